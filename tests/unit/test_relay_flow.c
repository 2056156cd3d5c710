/* How a flow moves bytes: at once while both ends keep up, in a buffer while the sink is slow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay_fixture.h"

#define PLENTY (SIZE_MAX / 2)

static struct pair *the_pair(struct fixture *fix)
{
    struct pair *pair = table_find(&fix->relay.table, 1);
    assert_non_null(pair);
    pair_unref(pair); /* open as long as the test has it open */
    return pair;
}

/* `len` bytes come to the client's socket, and its READ says so. */
static void arrive_many(struct fixture *fix, sock_t sock, size_t len)
{
    unsigned char *bytes = malloc(len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (unsigned char)(i * 7 + (i >> 8));
    fake_sock_arrive(sock, bytes, len);
    free(bytes);
    fake_port_finish(fixture_op(sock, OP_READ), ERR_OK, 0);
    fixture_pump(fix);
}

static void expect_many(sock_t sock, size_t len)
{
    const struct fake_sock *record = fake_sock(sock);
    assert_int_equal(record->sent_len, len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(record->sent[i], (unsigned char)(i * 7 + (i >> 8)));
}

static void bytes_that_go_at_once_need_no_buffer_and_no_write(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fake_sock(s.upstream)->room = PLENTY;
    fixture_arrive(fix, s.client, "move");

    assert_int_equal(fake_sock(s.upstream)->sent_len, 4);
    assert_int_equal(fake_port_waiting(s.upstream, OP_WRITE), 0);
    assert_int_equal(atomic_load(&fix->worker->cache.used), 0);
    assert_int_equal(fixture_counter(fix, STAT_BYTES_UP), 4);
    assert_int_equal(fixture_counter(fix, STAT_WRITES_UP), 1);
    assert_int_equal(fixture_op(s.client, OP_READ)->len, 0);
}

static void what_the_sink_does_not_take_waits_in_a_buffer(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fake_sock(s.upstream)->room = 3;
    fixture_arrive(fix, s.client, "patience");

    assert_int_equal(fake_sock(s.upstream)->sent_len, 3);
    assert_int_equal(fixture_op(s.upstream, OP_WRITE)->len, 5);
    assert_int_equal(atomic_load(&fix->worker->cache.used), 1);
    assert_null(fake_port_op(s.client, OP_READ));
    fixture_taken(fix, s.upstream);
    assert_memory_equal(fake_sock(s.upstream)->sent, "patience", 8);
    assert_int_equal(atomic_load(&fix->worker->cache.used), 0);
}

static void a_write_that_is_done_is_followed_by_what_came_meanwhile(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive(fix, s.client, "first ");
    fake_sock_arrive(s.client, "second", 6);
    fake_sock(s.upstream)->room = PLENTY;
    fixture_taken(fix, s.upstream);
    assert_memory_equal(fake_sock(s.upstream)->sent, "first second", 12);
}

static void a_sink_that_keeps_up_gets_larger_pieces(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.buffer_bytes = 256 * 1024;
    struct session s = fixture_session(fix);
    fake_sock(s.upstream)->room = PLENTY;
    arrive_many(fix, s.client, 700000);

    expect_many(s.upstream, 700000);
    assert_int_equal(the_pair(fix)->up.room, 256 * 1024);
    /* 16, 64, then 256 KB at a time. */
    assert_int_equal(fixture_counter(fix, STAT_WRITES_UP), 5);
}

static void buffer_size_bounds_what_is_held_for_a_slow_sink(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.buffer_bytes = 5000;
    struct session s = fixture_session(fix);
    fake_sock(s.upstream)->room = 6000;
    arrive_many(fix, s.client, 100000);
    assert_int_equal(fixture_op(s.upstream, OP_WRITE)->len, 4000);
    fake_sock(s.upstream)->room = PLENTY;
    while (fake_port_op(s.upstream, OP_WRITE) != NULL)
        fixture_taken(fix, s.upstream);
    expect_many(s.upstream, 100000);
}

static void a_sink_that_turns_slow_gets_small_pieces_again(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.buffer_bytes = 256 * 1024;
    struct session s = fixture_session(fix);
    fake_sock(s.upstream)->room = 400000;
    arrive_many(fix, s.client, 700000);
    assert_int_equal(the_pair(fix)->up.room, 256 * 1024);
    fixture_pass(fix, 200);
    fixture_taken(fix, s.upstream);
    assert_int_equal(the_pair(fix)->up.room, 16 * 1024);
}

static void a_busy_flow_lets_others_have_their_turn(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.buffer_bytes = 1024 * 1024;
    struct session s = fixture_session(fix);
    fake_sock(s.upstream)->room = PLENTY;
    arrive_many(fix, s.client, 20000000);

    size_t first_turn = fake_sock(s.upstream)->sent_len;
    assert_in_range(first_turn, 1000000, 3000000);
    while (fake_sock(s.client)->coming_len > 0) {
        fake_port_finish(fixture_op(s.client, OP_READ), ERR_OK, 0);
        fixture_pump(fix);
    }
    expect_many(s.upstream, 20000000);
}

static void fin_follows_what_went_at_once(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fake_sock(s.upstream)->room = PLENTY;
    fake_sock(s.client)->coming_end = ERR_OK;
    fixture_arrive(fix, s.client, "bye");
    assert_int_equal(fake_sock(s.upstream)->sent_len, 3);
    if (!fake_sock(s.upstream)->shut) /* it may take another look */
        fixture_arrive_fin(fix, s.client);
    assert_true(fake_sock(s.upstream)->shut);
}

static void the_second_fin_goes_out_with_the_close(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive_fin(fix, s.client);
    fixture_arrive_fin(fix, s.upstream);
    assert_int_equal(fake_sock(s.upstream)->shut_calls, 1);
    assert_int_equal(fake_sock(s.client)->shut_calls, 0);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ENDED);
}

static void a_sink_that_fails_at_once_is_noticed(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fake_sock(s.upstream)->send_result = ERR_RESET;
    fixture_arrive(fix, s.client, "x");
    fixture_arrive_error(fix, s.upstream, ERR_RESET);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_UPSTREAM_RESET), 1);
}

static void keepalive_is_set_on_sessions_that_last(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.keepalive_idle_ms = 60000;
    fix->route_conf.keepalive_interval_ms = 10000;
    struct session s = fixture_session(fix);
    assert_int_equal(fake_sock(s.client)->keepalive_idle_ms, 0);
    fixture_pass(fix, 1000);
    assert_int_equal(fake_sock(s.client)->keepalive_idle_ms, 60000);
    assert_int_equal(fake_sock(s.upstream)->keepalive_idle_ms, 60000);
}

/* ---- memory is out ---- */

static void *no_pages(size_t size)
{
    (void)size;
    return NULL;
}

static void *some_pages(size_t size)
{
    return os_slab_pages().alloc(size);
}

/* No buffer is to be had, and no reserve once the worker has used its own. */
static void set_memory(struct fixture *fix, void *(*alloc)(size_t size))
{
    struct buffers *buffers = &fix->relay.buffers;
    buffers->pages.alloc = alloc;
    for (size_t i = 0; i < BUFFER_CLASSES; i++)
        buffers->classes[i].slab.pages.alloc = alloc;
}

/* The reserve is kept by a session of its own, whose upstream takes nothing. */
static struct session use_reserve_up(struct fixture *fix)
{
    struct session s = fixture_session(fix);
    set_memory(fix, no_pages);
    fixture_arrive(fix, s.client, "slow");
    assert_int_equal(fixture_op(s.upstream, OP_WRITE)->len, 4);
    assert_null(fix->worker->cache.reserve);
    return s;
}

static void without_memory_the_workers_reserve_keeps_what_the_sink_does_not_take(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_gather_log();
    set_memory(fix, no_pages);
    fake_sock(s.upstream)->room = 3;
    fixture_arrive(fix, s.client, "patience");
    assert_int_equal(fixture_op(s.upstream, OP_WRITE)->len, 5);
    fixture_expect_log("route 'game': session 1: no memory for a buffer of 5");
    fake_sock(s.client)->room = PLENTY;
    fixture_taken(fix, s.upstream);
    fixture_expect_sent(s.upstream, "patience", 8);
    assert_non_null(fix->worker->cache.reserve);
    assert_int_equal(atomic_load(&fix->worker->cache.used), 0);
    assert_int_equal(fixture_counter(fix, STAT_BYTES_UP), 8);
}

static void
without_memory_and_reserve_nothing_is_received_that_the_sink_does_not_take(void **state)
{
    struct fixture *fix = *state;
    use_reserve_up(fix);
    struct session s = fixture_session(fix);
    fake_sock(s.upstream)->room = 3;
    fixture_arrive(fix, s.client, "patience");
    assert_int_equal(fake_sock(s.client)->coming_len, 5);
    assert_int_equal(fake_port_waiting(s.upstream, OP_WRITE), 0);
    fixture_expect_sent(s.upstream, "pat", 3);

    fake_sock(s.upstream)->room = 2;
    fixture_pass(fix, 200);
    fixture_expect_sent(s.upstream, "patie", 5);
    assert_int_equal(fake_sock(s.client)->coming_len, 3);
    fake_sock(s.upstream)->room = PLENTY;
    fixture_pass(fix, 200);
    fixture_expect_sent(s.upstream, "patience", 8);
    assert_int_equal(fake_sock(s.client)->coming_len, 0);
    fixture_arrive_fin(fix, s.client);
    assert_true(fake_sock(s.upstream)->shut);
}

static void without_memory_and_reserve_what_goes_at_once_still_does(void **state)
{
    struct fixture *fix = *state;
    use_reserve_up(fix);
    struct session s = fixture_session(fix);
    fake_sock(s.upstream)->room = PLENTY;
    arrive_many(fix, s.client, 300 * 1000);
    expect_many(s.upstream, 300 * 1000);
    assert_int_equal(fixture_counter(fix, STAT_BYTES_UP), 300 * 1000);
    assert_int_equal(fixture_op(s.client, OP_READ)->len, 0);
}

static void what_waits_with_the_system_is_not_taken_from_a_pace(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_up = (struct conf_pace){.bytes_per_s = 8, .burst_bytes = 8};
    use_reserve_up(fix);
    struct session s = fixture_session(fix);
    fixture_arrive(fix, s.client, "12345678");
    fixture_expect_sent(s.upstream, "", 0);
    fake_sock(s.upstream)->room = PLENTY;
    fixture_pass(fix, 200);
    fixture_expect_sent(s.upstream, "12345678", 8);
}

static void a_reset_is_seen_although_the_flow_waits_for_memory(void **state)
{
    struct fixture *fix = *state;
    use_reserve_up(fix);
    struct session s = fixture_session(fix);
    fixture_arrive(fix, s.client, "lost");
    fixture_arrive_error(fix, s.upstream, ERR_RESET);
    fixture_pass(fix, 2000);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_UPSTREAM_RESET), 1);
}

static void when_memory_is_there_again_the_worker_gets_its_reserve_back(void **state)
{
    struct fixture *fix = *state;
    use_reserve_up(fix);
    struct session s = fixture_session(fix);
    fixture_arrive(fix, s.client, "kept");
    set_memory(fix, some_pages);
    fixture_pass(fix, 200);
    assert_non_null(fix->worker->cache.reserve);
    assert_int_equal(fake_sock(s.client)->coming_len, 0);
    fixture_taken(fix, s.upstream);
    fixture_expect_sent(s.upstream, "kept", 4);
}

#define FLOW_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(bytes_that_go_at_once_need_no_buffer_and_no_write),
        FLOW_TEST(what_the_sink_does_not_take_waits_in_a_buffer),
        FLOW_TEST(a_write_that_is_done_is_followed_by_what_came_meanwhile),
        FLOW_TEST(a_sink_that_keeps_up_gets_larger_pieces),
        FLOW_TEST(buffer_size_bounds_what_is_held_for_a_slow_sink),
        FLOW_TEST(a_sink_that_turns_slow_gets_small_pieces_again),
        FLOW_TEST(a_busy_flow_lets_others_have_their_turn),
        FLOW_TEST(fin_follows_what_went_at_once),
        FLOW_TEST(the_second_fin_goes_out_with_the_close),
        FLOW_TEST(a_sink_that_fails_at_once_is_noticed),
        FLOW_TEST(keepalive_is_set_on_sessions_that_last),
        FLOW_TEST(without_memory_the_workers_reserve_keeps_what_the_sink_does_not_take),
        FLOW_TEST(without_memory_and_reserve_nothing_is_received_that_the_sink_does_not_take),
        FLOW_TEST(without_memory_and_reserve_what_goes_at_once_still_does),
        FLOW_TEST(what_waits_with_the_system_is_not_taken_from_a_pace),
        FLOW_TEST(a_reset_is_seen_although_the_flow_waits_for_memory),
        FLOW_TEST(when_memory_is_there_again_the_worker_gets_its_reserve_back),
    };
    return cmocka_run_group_tests_name("relay_flow", tests, NULL, NULL);
}
