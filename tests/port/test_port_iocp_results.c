/* What only the completion port of Windows can get wrong: results that are known without a packet
 * of the system, and sockets. */
#include "iocp_rig.h"

#include <stdlib.h>

/* ---- results that are known at once ---- */

#define MANY      100
#define READY_MAX 64 /* what a worker keeps to itself */

/* READs that fail at once, since their sockets are not connected. */
static void open_many(struct rig *rig, struct op ops[MANY], unsigned char *buf)
{
    for (int i = 0; i < MANY; i++)
        ops[i] = rig_op(OP_READ, rig_open(rig->port, ADDR_IPV4), buf, 1);
}

static void results_beyond_a_workers_share_go_to_its_siblings(void **state)
{
    struct rig *rig = *state;
    static struct op ops[MANY];
    sock_t socks[MANY];
    unsigned char buf[1];
    open_many(rig, ops, buf);
    for (int i = 0; i < MANY; i++) {
        socks[i] = ops[i].sock;
        port_submit(rig->port, &ops[i]);
    }
    assert_int_equal(iocp_rig_counts(rig).spills_total, MANY - READY_MAX);

    struct taker taker;
    taker_start(&taker, rig->port, 0);
    assert_true(rig_reaches(&taker.taken, MANY - READY_MAX));
    taker_stop(&taker);
    assert_err(taker.last.err, ERR_CLOSED);
    for (int left = READY_MAX; left > 0;) {
        struct op *out[PORT_BATCH];
        int count = port_wait(rig->port, out, PORT_BATCH, 0);
        assert_true(count > 0);
        left -= count;
    }
    for (int i = 0; i < MANY; i++)
        rig_close(rig->port, socks[i]);
}

static void leave_results_behind(void *arg)
{
    struct op *ops = arg;
    struct port *port = ops[0].owner;
    if (port_enter(port) != ERR_OK)
        abort();
    for (int i = 0; i < 3; i++)
        port_submit(port, &ops[i]);
    port_leave(port);
}

static void a_worker_that_leaves_hands_its_results_back(void **state)
{
    struct rig *rig = *state;
    struct op ops[3];
    for (int i = 0; i < 3; i++) {
        ops[i] = rig_op(OP_READ, rig_open(rig->port, ADDR_IPV4), NULL, 0);
        ops[i].owner = rig->port;
    }
    os_thread_join(rig_thread(leave_results_behind, ops));

    struct op *out[PORT_BATCH];
    int count = 0;
    while (count < 3) {
        int more = port_wait(rig->port, out, PORT_BATCH, NET_PATIENCE_MS);
        assert_true(more > 0);
        count += more;
    }
    for (int i = 0; i < 3; i++) {
        assert_err(ops[i].err, ERR_CLOSED);
        rig_close(rig->port, ops[i].sock);
    }
}

static void a_busy_connection_does_not_hide_the_port(void **state)
{
    struct rig *rig = *state;
    unsigned char buf[1];
    struct op busy = rig_op(OP_READ, rig_open(rig->port, ADDR_IPV4), buf, 1);
    struct op wake = rig_op(OP_WAKE, SOCK_NONE, NULL, 0);
    port_submit(rig->port, &busy);
    port_post(rig->port, &wake);
    for (int turn = 0; wake.in_flight; turn++) {
        assert_true(turn < 8);
        struct op *out[1];
        if (port_wait(rig->port, out, 1, 0) == 1 && out[0] == &busy)
            port_submit(rig->port, &busy); /* its result is always known at once */
    }
    while (busy.in_flight) {
        struct op *out[1];
        (void)port_wait(rig->port, out, 1, 0);
    }
    rig_close(rig->port, busy.sock);
}

static void a_worker_that_stays_busy_wakes_its_siblings(void **state)
{
    struct rig *rig = *state;
    enum { CONNECTIONS = 4 };
    unsigned char buf[1];
    struct op busy[CONNECTIONS];
    sock_t socks[CONNECTIONS];
    struct taker taker;
    taker_start(&taker, rig->port, 1);
    for (int i = 0; i < CONNECTIONS; i++) {
        socks[i] = rig_open(rig->port, ADDR_IPV4);
        busy[i] = rig_op(OP_READ, socks[i], buf, 1); /* its result is always known at once */
        port_submit(rig->port, &busy[i]);
    }
    iocp_faults.posts_to_fail = 1; /* a first try finds no memory */
    uint64_t begun = os_mono_ms();
    while (taker.taken == 0) {
        assert_true(os_mono_ms() - begun < NET_PATIENCE_MS);
        struct op *out[PORT_BATCH];
        int count = port_wait(rig->port, out, PORT_BATCH, 0);
        for (int i = 0; i < count; i++)
            port_submit(rig->port, out[i]);
    }
    taker_stop(&taker);
    assert_true(iocp_rig_counts(rig).spills_total > 0);
    int left = CONNECTIONS - (int)taker.taken; /* it may have got two at once */
    while (left > 0) {
        assert_true(os_mono_ms() - begun < NET_PATIENCE_MS);
        struct op *out[PORT_BATCH];
        left -= port_wait(rig->port, out, PORT_BATCH, 0);
    }
    for (int i = 0; i < CONNECTIONS; i++)
        rig_close(rig->port, socks[i]);
}

/* ---- no memory for packets ---- */

static void a_message_that_finds_no_memory_comes_out_all_the_same(void **state)
{
    struct rig *rig = *state;
    struct op wakes[3];
    iocp_faults.posts_to_fail = 2;
    for (int i = 0; i < 3; i++) {
        wakes[i] = rig_op(OP_WAKE, SOCK_NONE, NULL, 0);
        port_post(rig->port, &wakes[i]);
    }
    assert_int_equal(iocp_rig_counts(rig).overflows_total, 2);
    for (int turn = 0; wakes[0].in_flight || wakes[1].in_flight || wakes[2].in_flight; turn++) {
        assert_true(turn < 8);
        struct op *out[1];
        (void)port_wait(rig->port, out, 1, 0);
    }
}

static void a_message_that_finds_no_memory_reaches_a_sleeping_worker(void **state)
{
    struct rig *rig = *state;
    struct taker taker;
    taker_start(&taker, rig->port, 1);
    uint64_t begun = os_mono_ms();
    while (rig_stats(rig->port).wakeups_total == 0) /* counted when the wait begins */
        assert_true(os_mono_ms() - begun < NET_PATIENCE_MS);

    struct op lost = rig_op(OP_WAKE, SOCK_NONE, NULL, 0);
    iocp_faults.posts_to_fail = 1;
    port_post(rig->port, &lost);
    assert_true(rig_reaches(&taker.taken, 1));
    taker_stop(&taker);
    assert_true(taker_spoilt(&lost));
}

static void submit_from_outside(void *arg)
{
    struct op *op = arg;
    port_submit(op->owner, op);
}

static void a_foreign_threads_result_that_finds_no_memory_comes_out(void **state)
{
    struct rig *rig = *state;
    struct op op = rig_op(OP_READ, rig_open(rig->port, ADDR_IPV4), NULL, 0);
    op.owner = rig->port;
    iocp_faults.posts_to_fail = 1;
    os_thread_join(rig_thread(submit_from_outside, &op));
    assert_int_equal(iocp_rig_counts(rig).overflows_total, 1);
    struct op *out[1];
    assert_int_equal(port_wait(rig->port, out, 1, NET_PATIENCE_MS), 1);
    assert_ptr_equal(out[0], &op);
    assert_err(op.err, ERR_CLOSED);
    rig_close(rig->port, op.sock);
}

/* ---- sockets ---- */

static void an_accept_without_a_socket_fails_and_the_next_one_works(void **state)
{
    struct rig *rig = *state;
    struct addr bound;
    sock_t listener = rig_listen(rig->port, ADDR_IPV4, &bound);
    unsigned char scratch[OP_ACCEPT_SCRATCH];
    struct op op = rig_accept_op(listener, scratch);
    iocp_faults.accepts_to_fail = 1;
    assert_err(rig_do(rig, &op), ERR_NO_DESCRIPTORS);
    assert_true(op.accepted == SOCK_NONE);

    rig_submit(rig, &op);
    sock_t peer = SOCK_NONE;
    assert_ok(net_connect(&bound, NET_PATIENCE_MS, &peer));
    assert_ok(rig_wait(rig, &op));
    sock_close(op.accepted, SOCK_CLOSE_NORMAL);
    net_close(peer);
    rig_close(rig->port, listener);
}

/* Grows by one with each handle that is kept: their number or, since Wine does not count, the
 * place of the first free one. */
static uint64_t handles_in_use(void)
{
    uint64_t count = os_descriptor_count();
    if (count > 0)
        return count;
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    assert_non_null(event);
    CloseHandle(event);
    return (uintptr_t)event / 4;
}

static void accepts_that_end_without_a_client_leave_no_socket_behind(void **state)
{
    struct rig *rig = *state;
    struct addr bound;
    sock_t listener = rig_listen(rig->port, ADDR_IPV4, &bound);
    unsigned char scratch[OP_ACCEPT_SCRATCH];
    uint64_t before = 0;
    enum { WARM_UP = 10, TURNS = 100 };
    for (int i = 0; i < WARM_UP + TURNS; i++) {
        if (i == WARM_UP)
            before = handles_in_use();
        struct op op = rig_accept_op(listener, scratch);
        rig_submit(rig, &op);
        port_cancel(rig->port, listener);
        assert_err(rig_wait(rig, &op), ERR_CANCELLED);
        assert_true(op.accepted == SOCK_NONE);
    }
    assert_in_range(handles_in_use(), 0, before + TURNS / 10);
    rig_close(rig->port, listener);
}

static void handles_that_are_used_again_find_a_clean_record(void **state)
{
    struct rig *rig = *state;
    uint64_t turns = test_scaled(5000);
    for (uint64_t i = 0; i < turns; i++) {
        sock_t sock = rig_open(rig->port, ADDR_IPV4);
        struct op op = rig_op(OP_READ, sock, NULL, 0);
        assert_err(rig_do(rig, &op), ERR_CLOSED);
        port_cancel(rig->port, sock);
        rig_close(rig->port, sock);
    }
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        iocp_test(results_beyond_a_workers_share_go_to_its_siblings),
        iocp_test(a_worker_that_leaves_hands_its_results_back),
        iocp_test(a_busy_connection_does_not_hide_the_port),
        iocp_test(a_worker_that_stays_busy_wakes_its_siblings),
        iocp_test(a_message_that_finds_no_memory_comes_out_all_the_same),
        iocp_test(a_message_that_finds_no_memory_reaches_a_sleeping_worker),
        iocp_test(a_foreign_threads_result_that_finds_no_memory_comes_out),
        iocp_test(an_accept_without_a_socket_fails_and_the_next_one_works),
        iocp_test(accepts_that_end_without_a_client_leave_no_socket_behind),
        iocp_test(handles_that_are_used_again_find_a_clean_record),
    };
    return cmocka_run_group_tests_name("port: iocp results", tests, NULL, NULL);
}
