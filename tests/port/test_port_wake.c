/* port_wait() and port_post(): who wakes, when, and how much comes out. */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

static void a_wait_of_no_time_returns_at_once(void **state)
{
    struct rig *rig = *state;
    uint64_t shortest = UINT64_MAX; /* the others may have had to wait for a processor */
    for (int i = 0; i < 100; i++) {
        uint64_t start = os_mono_us();
        assert_int_equal(rig_turn(rig, PORT_BATCH, 0), 0);
        uint64_t took = os_mono_us() - start;
        shortest = took < shortest ? took : shortest;
    }
    assert_in_range(shortest, 0, 1000);
}

/* It may end early without a result, so what is measured is the sum; but early is not at
 * once. */
static void a_wait_ends_when_its_time_is_over(void **state)
{
    struct rig *rig = *state;
    uint64_t start = os_mono_ms();
    unsigned turns = 0;
    while (os_mono_ms() - start < 60) {
        assert_int_equal(rig_turn(rig, PORT_BATCH, 20), 0);
        turns++;
    }
    assert_in_range(os_mono_ms() - start, 60, 5000);
    assert_in_range(turns, 1, 10);
}

static void a_result_at_once_comes_out_of_the_next_wait_and_not_before(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    unsigned char byte = 'x';
    struct op write = rig_op(OP_WRITE, sock, &byte, 1);
    rig_submit(rig, &write);
    assert_true(write.in_flight);
    assert_ok(rig_wait(rig, &write));
    rig_close(rig->port, sock);
    net_close(peer);
}

static void no_more_results_come_out_than_asked_for(void **state)
{
    struct rig *rig = *state;
    enum { MANY = 30 };
    sock_t socks[MANY], peers[MANY];
    struct op writes[MANY];
    unsigned char byte = 'x';
    for (int i = 0; i < MANY; i++)
        rig_pair(rig, &socks[i], &peers[i]);
    for (int i = 0; i < MANY; i++) {
        writes[i] = rig_op(OP_WRITE, socks[i], &byte, 1);
        rig_submit(rig, &writes[i]);
    }
    int outs = 0;
    for (int turn = 0; outs < MANY; turn++) {
        assert_in_range(turn, 0, 1000);
        outs += rig_turn(rig, 1 + turn % 3, 10); /* asserts the maximum */
    }
    for (int i = 0; i < MANY; i++) {
        assert_ok(writes[i].err);
        rig_close(rig->port, socks[i]);
        net_close(peers[i]);
    }
}

/* A socket whose operations are always done at once, beside one that waits for an edge. */
static void a_busy_socket_does_not_starve_the_others(void **state)
{
    struct rig *rig = *state;
    sock_t busy, busy_peer, calm, calm_peer;
    rig_pair(rig, &busy, &busy_peer);
    rig_pair(rig, &calm, &calm_peer);
    static unsigned char data[1 << 16];
    for (int i = 0; i < 5; i++) {
        unsigned char byte, calm_byte;
        assert_ok(net_send(busy_peer, data, 5000, NET_PATIENCE_MS, NULL));
        struct op calm_read = rig_op(OP_READ, calm, &calm_byte, 1);
        struct op busy_read = rig_op(OP_READ, busy, &byte, 1);
        rig_submit(rig, &busy_read);
        rig_submit(rig, &calm_read);
        rig_wait(rig, &busy_read);
        assert_ok(net_send(calm_peer, "x", 1, NET_PATIENCE_MS, NULL));
        unsigned busy_outs = 0;
        while (calm_read.in_flight) {
            if (!busy_read.in_flight) {
                assert_ok(busy_read.err);
                assert_in_range(++busy_outs, 1, 1000);
                rig_submit(rig, &busy_read);
            }
            rig_turn(rig, PORT_BATCH, test_on_windows() ? 100 : 0);
        }
        assert_ok(rig_wait(rig, &busy_read));
        for (unsigned left = 5000 - busy_outs - 1; left > 0;) {
            struct op rest = rig_op(OP_READ, busy, data, left);
            assert_ok(rig_do(rig, &rest));
            left -= rest.bytes;
        }
    }
    rig_close(rig->port, busy);
    rig_close(rig->port, calm);
    net_close(busy_peer);
    net_close(calm_peer);
}

struct poster {
    struct port *port;
    struct op wakes[64];
    int count;
};

static void post_all(void *arg)
{
    struct poster *poster = arg;
    for (int i = 0; i < poster->count; i++) {
        poster->wakes[i] = rig_op(OP_WAKE, SOCK_NONE, NULL, 0);
        port_post(poster->port, &poster->wakes[i]);
    }
}

static void a_post_from_another_thread_wakes_a_wait_without_end(void **state)
{
    struct rig *rig = *state;
    struct poster poster = {.port = rig->port, .count = 1};
    for (int i = 0; i < 50; i++) {
        struct os_thread *thread = rig_thread(post_all, &poster);
        int outs = 0;
        while (outs == 0)
            outs = rig_turn(rig, PORT_BATCH, -1);
        assert_int_equal(outs, 1);
        os_thread_join(thread);
        assert_ok(poster.wakes[0].err);
    }
}

static void everything_posted_comes_out_once(void **state)
{
    struct rig *rig = *state;
    enum { THREADS = 4 };
    struct poster posters[THREADS];
    for (int round = 0; round < 20; round++) {
        struct os_thread *threads[THREADS];
        uint64_t before = rig->outs;
        for (int i = 0; i < THREADS; i++) {
            posters[i] = (struct poster){.port = rig->port, .count = 64};
            threads[i] = rig_thread(post_all, &posters[i]);
        }
        while (rig->outs - before < THREADS * 64)
            rig_turn(rig, 7, 100);
        for (int i = 0; i < THREADS; i++)
            os_thread_join(threads[i]);
        assert_int_equal(rig_turn(rig, PORT_BATCH, 0), 0);
        assert_int_equal(rig->outs - before, THREADS * 64);
    }
}

/* A worker posts to whom it may concern, itself included. */
static void a_worker_gets_what_it_posts_when_it_is_alone(void **state)
{
    struct rig *rig = *state;
    struct op wake = rig_op(OP_WAKE, SOCK_NONE, NULL, 0);
    for (int i = 0; i < 100; i++) {
        if (i % 2)
            port_post(rig->port, &wake);
        else
            port_submit(rig->port, &wake);
        assert_true(wake.in_flight);
        while (rig_turn(rig, PORT_BATCH, -1) == 0)
            ;
        assert_false(wake.in_flight);
    }
}

static void ignore(void *arg, struct op *op)
{
    (void)arg;
    (void)op;
}

static void an_idle_port_does_not_wake(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    struct op read = rig_op(OP_READ, sock, NULL, 0);
    rig_submit(rig, &read); /* waits all the time */
    rig_turn(rig, PORT_BATCH, 1);
    assert_true(read.in_flight);
    struct crew *crew = rig_hand_over(rig, 4, ignore, NULL);
    os_sleep_ms(50); /* all of them sleep now */
    struct port_stats before = rig_stats(rig->port);
    os_sleep_ms(300);
    struct port_stats after = rig_stats(rig->port);
    assert_in_range(after.wakeups_total - before.wakeups_total, 0, 1);
    assert_in_range(after.waits_total - before.waits_total, 0, 1);
    rig_take_back(rig, crew);
    port_cancel(rig->port, sock);
    rig_wait(rig, &read);
    rig_close(rig->port, sock);
    net_close(peer);
}

/* The crew's stop is such a chain; here it is done often, with sleepers and without. */
static void a_wake_that_is_passed_on_reaches_every_worker(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < (int)test_scaled(50); i++) {
        struct crew *crew = rig_hand_over(rig, 5, ignore, NULL);
        if (i % 5 == 0)
            os_sleep_ms(2);
        rig_take_back(rig, crew);
    }
}

struct leaver {
    struct rig *rig;
    sock_t sock;
    struct op writes[1];
    struct op read;
    unsigned char byte;
};

static void submit_and_leave(void *arg)
{
    struct leaver *leaver = arg;
    struct port *port = leaver->rig->port;
    if (port_enter(port) != ERR_OK)
        return;
    leaver->writes[0] = rig_op(OP_WRITE, leaver->sock, &leaver->byte, 1);
    port_submit(port, &leaver->writes[0]);
    port_leave(port);
}

static void results_of_a_worker_that_leaves_go_to_the_others(void **state)
{
    struct rig *rig = *state;
    struct leaver leaver = {.rig = rig};
    sock_t peer;
    rig_pair(rig, &leaver.sock, &peer);
    for (int i = 0; i < 20; i++) {
        os_thread_join(rig_thread(submit_and_leave, &leaver));
        struct op *ops[4];
        int count = 0;
        while (count == 0)
            count = port_wait(rig->port, ops, 4, -1);
        assert_int_equal(count, 1);
        assert_ptr_equal(ops[0], &leaver.writes[0]);
        assert_ok(ops[0]->err);
        assert_ok(net_receive_all(peer, &leaver.byte, 1, NET_PATIENCE_MS));
    }
    rig_close(rig->port, leaver.sock);
    net_close(peer);
}

struct outsider {
    struct rig *rig;
    sock_t sock;
    struct op read, write;
    unsigned char byte, got;
    atomic_uint may_end;
};

/* Submits without having entered, and outlives its operations. */
static void submit_from_outside(void *arg)
{
    struct outsider *outsider = arg;
    port_submit(outsider->rig->port, &outsider->write);
    port_submit(outsider->rig->port, &outsider->read);
    rig_reaches(&outsider->may_end, 1);
}

static void what_an_outsider_submits_comes_out_in_a_worker(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 20; i++) {
        struct outsider outsider = {.rig = rig, .byte = 'o'};
        sock_t peer;
        rig_pair(rig, &outsider.sock, &peer);
        outsider.write = rig_op(OP_WRITE, outsider.sock, &outsider.byte, 1);
        outsider.read = rig_op(OP_READ, outsider.sock, &outsider.got, 1);
        rig->pending[rig->pending_count++] = &outsider.write;
        rig->pending[rig->pending_count++] = &outsider.read;
        if (i % 2)
            assert_ok(net_send(peer, "i", 1, NET_PATIENCE_MS, NULL));
        struct os_thread *thread = rig_thread(submit_from_outside, &outsider);
        while (rig->pending_count == 2)
            rig_turn(rig, PORT_BATCH, 100);
        if (i % 2 == 0)
            assert_ok(net_send(peer, "i", 1, NET_PATIENCE_MS, NULL));
        while (rig->pending_count > 0)
            rig_turn(rig, PORT_BATCH, 100);
        atomic_store(&outsider.may_end, 1);
        os_thread_join(thread);
        assert_ok(outsider.write.err);
        assert_ok(outsider.read.err);
        assert_int_equal(outsider.got, 'i');
        rig_close(rig->port, outsider.sock);
        net_close(peer);
    }
}

static void the_backend_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(port_backend_name(), test_on_windows() ? "iocp" : "epoll");
}

int main(void)
{
    os_init();
    random_test_seed();
    const struct CMUnitTest tests[] = {
        rig_test(a_wait_of_no_time_returns_at_once),
        rig_test(a_wait_ends_when_its_time_is_over),
        rig_test(a_result_at_once_comes_out_of_the_next_wait_and_not_before),
        rig_test(no_more_results_come_out_than_asked_for),
        rig_test(a_busy_socket_does_not_starve_the_others),
        rig_test(a_post_from_another_thread_wakes_a_wait_without_end),
        rig_test(everything_posted_comes_out_once),
        rig_test(a_worker_gets_what_it_posts_when_it_is_alone),
        rig_test(an_idle_port_does_not_wake),
        rig_test(a_wake_that_is_passed_on_reaches_every_worker),
        rig_test(results_of_a_worker_that_leaves_go_to_the_others),
        rig_test(what_an_outsider_submits_comes_out_in_a_worker),
        cmocka_unit_test(the_backend_has_a_name),
    };
    return cmocka_run_group_tests_name("port: wake", tests, NULL, NULL);
}
