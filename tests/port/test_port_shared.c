/* A listening socket that two ports have, as when one process takes it over from another: here
 * both are in one process, the second one with a thread of its own. (Windows
 * cancels the operations of a process on a file, and both handles are one file: what one port
 * cancels may come out of the other, too, and is submitted again.) */
#include <stdlib.h>
#include <string.h>

#include "os/listening.h"
#include "rig.h"

enum { HEIR_ACCEPTS = 4, CLIENTS = 200 };

/* The port that takes over. Its thread accepts until it is told to stop. */
static struct heir {
    sock_t copy; /* of the listener, its own */
    struct os_thread *thread;
    struct op accepts[HEIR_ACCEPTS];
    unsigned char scratch[HEIR_ACCEPTS][OP_ACCEPT_SCRATCH];
    atomic_bool started;
    atomic_bool stop;
    atomic_uint clients;
    atomic_uint cancelled;
    atomic_uint wrong; /* whatever should not have happened */
} heir;

static void take(struct port *port, struct op *op, unsigned *in_flight)
{
    (*in_flight)--;
    if (op->err == ERR_CANCELLED && (atomic_load(&heir.stop) || !test_on_windows())) {
        atomic_fetch_add(&heir.cancelled, 1);
        return;
    }
    if (op->err == ERR_CANCELLED) {
        port_submit(port, op);
        (*in_flight)++;
        return;
    }
    if (op->err != ERR_OK || op->addr.family != ADDR_IPV4) {
        atomic_fetch_add(&heir.wrong, 1);
        return;
    }
    sock_close(op->accepted, SOCK_CLOSE_NORMAL);
    atomic_fetch_add(&heir.clients, 1);
    if (!atomic_load(&heir.stop)) {
        port_submit(port, op);
        (*in_flight)++;
    }
}

static void live(void *arg)
{
    struct port *port;
    (void)arg;
    if (port_open(&port, 1) != ERR_OK || port_enter(port) != ERR_OK ||
        listening_adopt(heir.copy, 64) != ERR_OK || port_attach(port, heir.copy) != ERR_OK) {
        atomic_fetch_add(&heir.wrong, 1);
        return;
    }
    unsigned in_flight = HEIR_ACCEPTS;
    for (int i = 0; i < HEIR_ACCEPTS; i++) {
        heir.accepts[i] = rig_accept_op(heir.copy, heir.scratch[i]);
        port_submit(port, &heir.accepts[i]);
    }
    atomic_store(&heir.started, true);
    bool cancelled = false;
    while (in_flight > 0) {
        struct op *ops[PORT_BATCH];
        int count = port_wait(port, ops, PORT_BATCH, 5);
        for (int i = 0; i < count; i++)
            take(port, ops[i], &in_flight);
        if (atomic_load(&heir.stop) && !cancelled && in_flight > 0) {
            port_cancel(port, heir.copy);
            cancelled = true;
        }
    }
    port_close_socket(port, heir.copy, SOCK_CLOSE_NORMAL);
    port_leave(port);
    port_close(port);
}

static void start_heir(sock_t listener)
{
    memset(&heir, 0, sizeof heir);
    assert_ok(listening_copy(listener, &heir.copy));
    heir.thread = rig_thread(live, NULL);
    uint64_t start = os_mono_ms();
    while (!atomic_load(&heir.started)) {
        assert_true(os_mono_ms() - start < NET_PATIENCE_MS);
        assert_int_equal(atomic_load(&heir.wrong), 0);
        os_sleep_ms(1);
    }
}

static void stop_heir(void)
{
    atomic_store(&heir.stop, true);
    os_thread_join(heir.thread);
    assert_int_equal(atomic_load(&heir.wrong), 0);
}

static void connect_and_close(const struct addr *to)
{
    sock_t peer;
    assert_ok(net_connect(to, NET_PATIENCE_MS, &peer));
    net_close(peer);
}

static void the_second_goes_on_when_the_first_has_closed(void **state)
{
    struct rig *rig = *state;
    struct addr addr;
    unsigned char scratch[OP_ACCEPT_SCRATCH];
    sock_t listener = rig_listen(rig->port, ADDR_IPV4, &addr);
    struct op accept = rig_accept_op(listener, scratch);
    rig_submit(rig, &accept);
    rig_is_out(rig, &accept, 0);
    start_heir(listener);
    port_cancel(rig->port, listener);
    assert_err(rig_wait(rig, &accept), ERR_CANCELLED);
    rig_close(rig->port, listener);
    for (unsigned i = 1; i <= CLIENTS; i++) {
        connect_and_close(&addr);
        assert_true(rig_reaches(&heir.clients, i));
    }
    assert_int_equal(rig_turn(rig, PORT_BATCH, 0), 0);
    stop_heir();
    assert_int_equal(atomic_load(&heir.cancelled), HEIR_ACCEPTS);
}

static void clients_in_the_backlog_come_to_who_accepts(void **state)
{
    struct rig *rig = *state;
    struct addr addr;
    unsigned char scratch[OP_ACCEPT_SCRATCH];
    sock_t listener = rig_listen(rig->port, ADDR_IPV4, &addr), copy, peers[20];
    struct op accept = rig_accept_op(listener, scratch);
    rig_submit(rig, &accept);
    assert_false(rig_is_out(rig, &accept, 0));
    assert_ok(listening_copy(listener, &copy));
    port_cancel(rig->port, listener);
    assert_err(rig_wait(rig, &accept), ERR_CANCELLED);
    rig_close(rig->port, listener);
    for (size_t i = 0; i < 20; i++) /* nobody accepts */
        assert_ok(net_connect(&addr, NET_PATIENCE_MS, &peers[i]));
    assert_int_equal(rig_turn(rig, PORT_BATCH, 0), 0);
    assert_int_equal(rig_stats(rig->port).stale_events_total, 0); /* it hears nothing of them */
    start_heir(copy);
    sock_close(copy, SOCK_CLOSE_NORMAL);
    assert_true(rig_reaches(&heir.clients, 20));
    stop_heir();
    for (size_t i = 0; i < 20; i++)
        net_close(peers[i]);
}

static void each_client_comes_to_one_of_both(void **state)
{
    struct rig *rig = *state;
    struct addr addr;
    unsigned char scratch[OP_ACCEPT_SCRATCH];
    unsigned first = 0;
    sock_t listener = rig_listen(rig->port, ADDR_IPV4, &addr);
    struct op accept = rig_accept_op(listener, scratch);
    rig_submit(rig, &accept);
    start_heir(listener);
    for (unsigned i = 1; i <= CLIENTS; i++) {
        connect_and_close(&addr);
        uint64_t start = os_mono_ms();
        while (first + atomic_load(&heir.clients) < i) {
            assert_true(os_mono_ms() - start < NET_PATIENCE_MS);
            if (!rig_is_out(rig, &accept, 1))
                continue;
            assert_ok(accept.err);
            sock_close(accept.accepted, SOCK_CLOSE_NORMAL);
            first++;
            rig_submit(rig, &accept);
        }
        assert_int_equal(first + atomic_load(&heir.clients), i);
    }
    print_message("%u of %d clients came to the first\n", first, CLIENTS);
    stop_heir(); /* the ACCEPT of the first stays */
    if (rig_is_out(rig, &accept, 20)) {
        assert_true(test_on_windows());
        assert_err(accept.err, ERR_CANCELLED);
        rig_submit(rig, &accept);
    }
    connect_and_close(&addr);
    assert_ok(rig_wait(rig, &accept));
    sock_close(accept.accepted, SOCK_CLOSE_NORMAL);
    rig_close(rig->port, listener);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        rig_test(the_second_goes_on_when_the_first_has_closed),
        rig_test(clients_in_the_backlog_come_to_who_accepts),
        rig_test(each_client_comes_to_one_of_both),
    };
    return cmocka_run_group_tests_name("port_shared", tests, NULL, NULL);
}
