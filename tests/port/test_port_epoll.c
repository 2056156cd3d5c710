/* What only the epoll backend can get wrong: events of sockets that are gone, registrations
 * that fail, and how much a message, a crowd or a long list costs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "descriptors.h"
#include "rig.h"
#include "wrapped.h"

/* ---- sockets that are gone ---- */

/* A copy of the descriptor keeps the registration alive after the close, so an event comes
 * for sure, and the number may be another socket's by then. */
static void an_event_of_a_closed_socket_is_dropped(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 2; i++) {
        sock_t sock, peer, other = SOCK_NONE, other_peer = SOCK_NONE;
        rig_pair(rig, &sock, &peer);
        struct op read = rig_op(OP_READ, sock, NULL, 0);
        rig_submit(rig, &read);
        assert_false(rig_is_out(rig, &read, 0));
        port_cancel(rig->port, sock);
        assert_err(rig_wait(rig, &read), ERR_CANCELLED);
        int copy = dup((int)sock);
        assert_int_not_equal(copy, -1);
        rig_close(rig->port, sock);
        if (i == 1) {
            rig_pair(rig, &other, &other_peer);
            int number = dup2((int)other, (int)sock); /* the old number, again */
            assert_int_equal(number, sock);
            assert_ok(port_attach(rig->port, sock));
            rig_submit(rig, &read);
            assert_false(rig_is_out(rig, &read, 0));
        }
        struct port_stats before = rig_stats(rig->port);
        assert_ok(net_send(peer, "whom?", 5, NET_PATIENCE_MS, NULL));
        for (int turn = 0; turn < 3; turn++)
            assert_int_equal(rig_turn(rig, PORT_BATCH, 5), 0);
        struct port_stats later = rig_stats(rig->port);
        assert_int_equal(later.stale_events_total - before.stale_events_total, 1);
        if (i == 1) {
            assert_true(read.in_flight);
            port_cancel(rig->port, sock);
            assert_err(rig_wait(rig, &read), ERR_CANCELLED);
            rig_close(rig->port, sock);
            rig_close(rig->port, other);
            net_close(other_peer);
        }
        close(copy);
        net_close(peer);
    }
}

/* ---- registrations that fail ---- */

static void an_operation_that_cannot_be_registered_fails_and_the_next_one_does_not(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_small_pair(rig, &sock, &peer);
    unsigned char byte;
    struct op read = rig_op(OP_READ, sock, &byte, 1);
    wrapped_fail_epoll_ctl(ENOSPC);
    assert_err(rig_do(rig, &read), ERR_NOMEM);
    assert_int_equal(read.raw, ENOSPC);
    rig_submit(rig, &read);
    assert_false(rig_is_out(rig, &read, 0));

    size_t len = 4 << 20;
    unsigned char *data = calloc(1, len);
    assert_non_null(data);
    struct op write = rig_op(OP_WRITE, sock, data, len);
    wrapped_fail_epoll_ctl(ENOMEM);
    assert_err(rig_do(rig, &write), ERR_NOMEM);
    assert_in_range(write.bytes, 1, len - 1);
    rig_submit(rig, &write);
    assert_false(rig_is_out(rig, &write, 0));
    port_cancel(rig->port, sock);
    assert_err(rig_wait(rig, &write), ERR_CANCELLED);
    assert_err(rig_wait(rig, &read), ERR_CANCELLED);
    free(data);
    rig_close(rig->port, sock);
    net_close(peer);
}

static void an_accept_or_connect_that_cannot_be_registered_fails(void **state)
{
    struct rig *rig = *state;
    struct addr addr;
    unsigned char scratch[OP_ACCEPT_SCRATCH];
    sock_t listener = rig_listen(rig->port, ADDR_IPV4, &addr);
    struct op accept = rig_accept_op(listener, scratch);
    wrapped_fail_epoll_ctl(ENOSPC);
    assert_err(rig_do(rig, &accept), ERR_NOMEM);
    rig_submit(rig, &accept);
    sock_t sock = rig_open(rig->port, ADDR_IPV4);
    struct op connect = rig_connect_op(sock, &addr);
    wrapped_fail_epoll_ctl(ENOMEM);
    assert_err(rig_do(rig, &connect), ERR_NOMEM);
    rig_close(rig->port, sock);
    if (rig_is_out(rig, &accept, 100)) { /* the system had connected it already */
        assert_ok(accept.err);
        sock_close(accept.accepted, SOCK_CLOSE_NORMAL);
        rig_submit(rig, &accept);
    }
    port_cancel(rig->port, listener);
    assert_err(rig_wait(rig, &accept), ERR_CANCELLED);
    rig_close(rig->port, listener);
}

static void a_connect_without_an_address_to_come_from_is_no_want_of_ports(void **state)
{
    struct rig *rig = *state;
    static const struct {
        enum addr_family family;
        unsigned failures; /* 1: a datagram socket finds a source, so the ports are used up */
        enum err err;
    } cases[] = {
        {ADDR_IPV4, 1, ERR_NO_PORTS},
        {ADDR_IPV6, 1, ERR_NO_PORTS},
        {ADDR_IPV4, 2, ERR_UNREACHABLE},
        {ADDR_IPV6, 2, ERR_NO_FAMILY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct addr to = net_loopback(cases[i].family, 9);
        sock_t sock = rig_open(rig->port, cases[i].family);
        struct op connect = rig_connect_op(sock, &to);
        wrapped_fail_connects(EADDRNOTAVAIL, cases[i].failures);
        assert_err(rig_do(rig, &connect), cases[i].err);
        assert_int_equal(connect.raw, EADDRNOTAVAIL);
        rig_close(rig->port, sock);
    }
    wrapped_fail_connects(0, 0);
}

static void errors_of_accept_are_the_clients_or_a_lack_and_the_client_is_not_lost(void **state)
{
    struct rig *rig = *state;
    static const struct {
        int code;
        enum err err;
    } cases[] = {
        {ECONNABORTED, ERR_ABORTED},
        {EPROTO, ERR_ABORTED},
        {ENETDOWN, ERR_ABORTED},
        {EPERM, ERR_ABORTED},
        {EHOSTUNREACH, ERR_ABORTED},
        {ENOPROTOOPT, ERR_ABORTED},
        {EMFILE, ERR_NO_DESCRIPTORS},
        {ENFILE, ERR_NO_DESCRIPTORS},
        {ENOBUFS, ERR_NOMEM},
        {ENOMEM, ERR_NOMEM},
        {EINTR, ERR_OK},
    };
    struct addr addr;
    unsigned char scratch[OP_ACCEPT_SCRATCH];
    sock_t listener = rig_listen(rig->port, ADDR_IPV4, &addr), peer;
    struct op accept = rig_accept_op(listener, scratch);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig_submit(rig, &accept);
        assert_false(rig_is_out(rig, &accept, 0));
        wrapped_fail_accept(cases[i].code);
        assert_ok(net_connect(&addr, NET_PATIENCE_MS, &peer));
        assert_err(rig_wait(rig, &accept), cases[i].err);
        if (accept.err != ERR_OK) {
            assert_int_equal(accept.raw, cases[i].code);
            assert_ok(rig_do(rig, &accept)); /* at once: no new edge will come */
        }
        sock_close(accept.accepted, SOCK_CLOSE_NORMAL);
        net_close(peer);
    }
    rig_close(rig->port, listener);
}

/* ---- cost ---- */

/* The loop of a relay: a READ without length, then receive and send without operations. */
enum { MESSAGES = 100 };

/* Relays some messages; gives what they cost. `wait` is in flight before and after. */
static struct port_stats cost_of_messages(struct rig *rig, struct op *wait, sock_t peer)
{
    unsigned char buf[512];
    uint32_t got = 0, sent = 0;
    struct port_stats before = rig_stats(rig->port);
    for (int i = 0; i < MESSAGES; i++) {
        assert_ok(net_send(peer, "message", 7, NET_PATIENCE_MS, NULL));
        assert_ok(rig_wait(rig, wait));
        assert_ok(port_receive_now(rig->port, wait->sock, buf, sizeof buf, &got));
        assert_int_equal(got, 7);
        assert_ok(port_send_now(rig->port, wait->sock, buf, got, &sent));
        assert_int_equal(sent, 7);
        assert_ok(net_receive_all(peer, buf, 7, NET_PATIENCE_MS));
        rig_submit(rig, wait);
    }
    struct port_stats cost = rig_stats(rig->port);
    cost.reads_total -= before.reads_total;
    cost.writes_total -= before.writes_total;
    cost.waits_total -= before.waits_total;
    return cost;
}

static void a_message_costs_one_receive_one_send_and_one_wait(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    struct op wait = rig_op(OP_READ, sock, NULL, 0);
    rig_submit(rig, &wait);
    assert_false(rig_is_out(rig, &wait, 0));
    struct port_stats cost = cost_of_messages(rig, &wait, peer);
    assert_int_equal(cost.reads_total, MESSAGES);
    assert_int_equal(cost.writes_total, MESSAGES);
    assert_in_range(cost.waits_total, MESSAGES, MESSAGES + MESSAGES / 4);
    port_cancel(rig->port, sock);
    assert_err(rig_wait(rig, &wait), ERR_CANCELLED);

    /* Where nothing is known to be, nothing is looked for. */
    unsigned char byte;
    uint32_t got;
    uint64_t reads = rig_stats(rig->port).reads_total;
    assert_err(port_receive_now(rig->port, sock, &byte, 1, &got), ERR_AGAIN);
    assert_int_equal(rig_stats(rig->port).reads_total, reads);
    rig_close(rig->port, sock);
    net_close(peer);
}

/* Urgent data makes short receives doubtful, but not for ever. */
static void urgent_data_makes_later_messages_no_dearer(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    struct op wait = rig_op(OP_READ, sock, NULL, 0);
    rig_submit(rig, &wait);
    assert_false(rig_is_out(rig, &wait, 0));
    assert_ok(net_send_urgent(peer, '!'));
    assert_ok(net_send(peer, "after", 5, NET_PATIENCE_MS, NULL));
    for (uint32_t total = 0, got; total < 6;) {
        unsigned char buf[16];
        assert_ok(rig_wait(rig, &wait));
        if (port_receive_now(rig->port, sock, buf, sizeof buf, &got) == ERR_OK)
            total += got;
        rig_submit(rig, &wait);
    }
    uint32_t got;
    unsigned char byte;
    while (rig_is_out(rig, &wait, 5)) { /* once more, to see that nothing is left */
        assert_err(port_receive_now(rig->port, sock, &byte, 1, &got), ERR_AGAIN);
        rig_submit(rig, &wait);
    }
    struct port_stats cost = cost_of_messages(rig, &wait, peer);
    assert_in_range(cost.reads_total, MESSAGES, MESSAGES + 2);
    port_cancel(rig->port, sock);
    assert_err(rig_wait(rig, &wait), ERR_CANCELLED);
    rig_close(rig->port, sock);
    net_close(peer);
}

static void one_turn_takes_a_limited_number_of_clients(void **state)
{
    struct rig *rig = *state;
    enum { CROWD = 40 };
    struct addr addr;
    unsigned char scratch[CROWD][OP_ACCEPT_SCRATCH];
    sock_t listener = rig_listen(rig->port, ADDR_IPV4, &addr), peers[CROWD];
    struct op accepts[CROWD];
    for (int i = 0; i < CROWD; i++) {
        accepts[i] = rig_accept_op(listener, scratch[i]);
        rig_submit(rig, &accepts[i]);
    }
    rig_turn(rig, PORT_BATCH, 0);
    for (int i = 0; i < CROWD; i++)
        assert_ok(net_connect(&addr, NET_PATIENCE_MS, &peers[i]));
    atomic_store(&wrapped_accepts, 0);
    assert_int_equal(rig_turn(rig, 5, 1000), 5);
    assert_in_range(atomic_load(&wrapped_accepts), 5, 16);
    for (int i = 0; i < CROWD; i++) {
        assert_ok(rig_wait(rig, &accepts[i]));
        sock_close(accepts[i].accepted, SOCK_CLOSE_NORMAL);
        net_close(peers[i]);
    }
    rig_close(rig->port, listener);
}

static atomic_uint got_by_another;

static void take_some(void *arg)
{
    struct op *ops[PORT_BATCH];
    if (port_enter(arg) != ERR_OK)
        return;
    atomic_store(&got_by_another, (unsigned)port_wait(arg, ops, PORT_BATCH, 1000));
    port_leave(arg);
}

/* A worker that has more results than it can hand out soon shares them. */
static void a_long_ready_list_is_shared(void **state)
{
    (void)state;
    enum { MANY = 400 };
    struct port *port;
    assert_ok(port_open(&port, 2));
    assert_ok(port_enter(port));
    struct addr addr;
    sock_t listener = rig_listen(port, ADDR_IPV4, &addr);
    struct op *accepts = calloc(MANY, sizeof *accepts);
    unsigned char *scratch = calloc(MANY, OP_ACCEPT_SCRATCH);
    assert_non_null(accepts);
    assert_non_null(scratch);
    for (int i = 0; i < MANY; i++) {
        accepts[i] = rig_accept_op(listener, scratch + (size_t)i * OP_ACCEPT_SCRATCH);
        port_submit(port, &accepts[i]);
    }
    port_cancel(port, listener);
    struct op *ops[PORT_BATCH];
    unsigned mine = (unsigned)port_wait(port, ops, 1, 0);
    os_thread_join(rig_thread(take_some, port));
    unsigned others = atomic_load(&got_by_another);
    assert_in_range(others, 1, PORT_BATCH);
    for (int turns = 0; mine + others < MANY; turns++) {
        assert_in_range(turns, 0, MANY);
        mine += (unsigned)port_wait(port, ops, PORT_BATCH, 1000);
    }
    rig_close(port, listener);
    port_leave(port);
    port_close(port);
    free(scratch);
    free(accepts);
}

static void a_port_that_cannot_be_opened_leaves_nothing_behind(void **state)
{
    (void)state;
    uint64_t before = os_descriptor_count();
    for (unsigned workers = 1; workers <= 2; workers++) {
        enum err err = ERR_NO_DESCRIPTORS;
        for (unsigned more = 0; err != ERR_OK; more++) {
            struct port *port;
            assert_in_range(more, 0, 10);
            assert_true(descriptors_leave(more));
            err = port_open(&port, workers);
            descriptors_allow();
            if (err == ERR_OK)
                port_close(port);
            else
                assert_err(err, ERR_NO_DESCRIPTORS);
            assert_int_equal(os_descriptor_count(), before);
        }
    }
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        rig_test(an_event_of_a_closed_socket_is_dropped),
        rig_test(an_operation_that_cannot_be_registered_fails_and_the_next_one_does_not),
        rig_test(an_accept_or_connect_that_cannot_be_registered_fails),
        rig_test(a_connect_without_an_address_to_come_from_is_no_want_of_ports),
        rig_test(errors_of_accept_are_the_clients_or_a_lack_and_the_client_is_not_lost),
        rig_test(a_message_costs_one_receive_one_send_and_one_wait),
        rig_test(urgent_data_makes_later_messages_no_dearer),
        rig_test(one_turn_takes_a_limited_number_of_clients),
        cmocka_unit_test(a_long_ready_list_is_shared),
        cmocka_unit_test(a_port_that_cannot_be_opened_leaves_nothing_behind),
    };
    return cmocka_run_group_tests_name("port: epoll", tests, NULL, NULL);
}
