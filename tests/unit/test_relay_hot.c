/* How a flow saves the receive call of a message where the port reads into buffers: what makes it
 * hot, what cools it down, and that every end is right in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay_fixture.h"

#define PLENTY (SIZE_MAX / 2)
#define ROOM   BUFFER_SMALLEST

/* ---- memory that can be out ---- */

static bool memory_is_out;

struct buffer __real_buffers_take(struct buffers *buffers, struct buffer_cache *cache,
                                  uint32_t size);
struct buffer __wrap_buffers_take(struct buffers *buffers, struct buffer_cache *cache,
                                  uint32_t size);
struct buffer __wrap_buffers_take(struct buffers *buffers, struct buffer_cache *cache,
                                  uint32_t size)
{
    struct buffer none = {NULL, 0};
    return memory_is_out ? none : __real_buffers_take(buffers, cache, size);
}

/* ---- helpers ---- */

static int set_up(void **state)
{
    memory_is_out = false;
    return fixture_setup_reading_into_buffers(state);
}

static int64_t buffers_used(struct fixture *fix)
{
    return atomic_load(&fix->worker->cache.used);
}

enum { HELLO_BYTES = sizeof "hello" - 1 };

/* The first message makes no flow hot. Nothing of it is left to be seen but the counts. */
static void say_hello(struct fixture *fix, sock_t from, sock_t to)
{
    fixture_arrive(fix, from, "hello");
    assert_int_equal(fixture_op(from, OP_READ)->len, 0);
    assert_int_equal(fake_sock(to)->sent_len, HELLO_BYTES);
    fake_sock(to)->sent_len = 0;
}

static struct session open_session(struct fixture *fix)
{
    struct session s = fixture_session(fix);
    fake_sock(s.client)->room = PLENTY;
    fake_sock(s.upstream)->room = PLENTY;
    say_hello(fix, s.client, s.upstream);
    say_hello(fix, s.upstream, s.client);
    return s;
}

/* A session whose client has just sent "1": its flow is hot. */
static struct session hot_session(struct fixture *fix)
{
    struct session s = open_session(fix);
    fixture_arrive(fix, s.client, "1");
    assert_int_equal(fixture_op(s.client, OP_READ)->len, ROOM);
    return s;
}

static void arrive_many(struct fixture *fix, sock_t sock, size_t len)
{
    char *bytes = malloc(len + 1);
    assert_non_null(bytes);
    memset(bytes, 'x', len);
    bytes[len] = '\0';
    fixture_arrive(fix, sock, bytes);
    free(bytes);
}

static void expect_sent(sock_t sock, const char *bytes)
{
    const struct fake_sock *record = fake_sock(sock);
    assert_int_equal(record->sent_len, strlen(bytes));
    assert_memory_equal(record->sent, bytes, record->sent_len);
}

static struct pair *pair_of(sock_t sock)
{
    const struct flow *flow = fixture_op(sock, OP_READ)->owner;
    return flow->pair;
}

/* ---- hot and cold ---- */

static void a_session_begins_without_a_buffer(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix);
    assert_int_equal(fixture_op(s.client, OP_READ)->len, 0);
    assert_int_equal(fixture_op(s.upstream, OP_READ)->len, 0);
    assert_int_equal(buffers_used(fix), 0);
}

static void a_message_that_came_soon_makes_room_for_the_next(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix);
    fixture_arrive(fix, s.client, "1");
    assert_int_equal(fixture_op(s.client, OP_READ)->len, ROOM);
    assert_int_equal(buffers_used(fix), 1);
    assert_int_equal(fixture_op(s.upstream, OP_READ)->len, 0); /* the other way is quiet */
}

static void a_message_that_was_waited_for_long_makes_none(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix);
    for (int i = 0; i < 3; i++) {
        fixture_pass(fix, 300);
        fixture_arrive(fix, s.client, "x");
        assert_int_equal(fixture_op(s.client, OP_READ)->len, 0);
    }
    assert_int_equal(buffers_used(fix), 0);
}

static void a_hot_flow_cools_down_when_a_message_comes_late(void **state)
{
    struct fixture *fix = *state;
    struct session s = hot_session(fix);
    fixture_pass(fix, 300);
    fixture_arrive(fix, s.client, "2");
    expect_sent(s.upstream, "12");
    assert_int_equal(fixture_op(s.client, OP_READ)->len, 0);
    assert_int_equal(buffers_used(fix), 0);
}

static void readiness_without_bytes_makes_no_flow_hot(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix);
    fake_port_finish(fixture_op(s.client, OP_READ), ERR_OK, 0);
    fixture_pump(fix);
    assert_int_equal(fixture_op(s.client, OP_READ)->len, 0);
}

static void large_pieces_are_received_as_ever(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.buffer_bytes = 65536;
    struct session s = open_session(fix);
    arrive_many(fix, s.client, ROOM);
    assert_int_equal(fixture_op(s.client, OP_READ)->len, 0);
    arrive_many(fix, s.client, 50000);
    assert_int_equal(fixture_op(s.client, OP_READ)->len, 0);
    assert_int_equal(fake_sock(s.upstream)->sent_len, ROOM + 50000);
    assert_int_equal(buffers_used(fix), 0);
}

static void without_memory_a_flow_waits_without_a_buffer(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix);
    memory_is_out = true;
    fixture_arrive(fix, s.client, "1");
    assert_int_equal(fixture_op(s.client, OP_READ)->len, 0);
    fixture_arrive(fix, s.client, "2");
    expect_sent(s.upstream, "12");
    memory_is_out = false;
    fixture_arrive(fix, s.client, "3");
    assert_int_equal(fixture_op(s.client, OP_READ)->len, ROOM);
}

/* ---- messages ---- */

static void a_message_goes_on_without_a_receive(void **state)
{
    struct fixture *fix = *state;
    struct session s = hot_session(fix);
    struct op *read = fixture_op(s.client, OP_READ);
    const unsigned char *buf = read->buf;
    fake_sock_arrive(s.client, "not yet", 7); /* a receive would find it */
    fake_port_finish_read(read, "23", 2);
    fixture_pump(fix);

    expect_sent(s.upstream, "123");
    assert_int_equal(fake_port_waiting(s.upstream, OP_WRITE), 0);
    read = fixture_op(s.client, OP_READ);
    assert_ptr_equal(read->buf, buf);
    assert_int_equal(read->len, ROOM);
    assert_int_equal(buffers_used(fix), 1);
    assert_int_equal(fixture_counter(fix, STAT_BYTES_UP), HELLO_BYTES + 3);
    assert_int_equal(fixture_counter(fix, STAT_WRITES_UP), 3);
}

static void a_buffer_that_was_filled_is_followed_by_a_receive(void **state)
{
    struct fixture *fix = *state;
    struct session s = hot_session(fix);
    arrive_many(fix, s.client, ROOM + 10);
    assert_int_equal(fake_sock(s.upstream)->sent_len, 1 + ROOM + 10);
    /* What comes in such pieces is better off without. */
    assert_int_equal(fixture_op(s.client, OP_READ)->len, 0);
    assert_int_equal(buffers_used(fix), 0);
}

static void what_the_sink_leaves_is_written_from_the_same_buffer(void **state)
{
    struct fixture *fix = *state;
    struct session s = hot_session(fix);
    unsigned char *buf = fixture_op(s.client, OP_READ)->buf;
    fake_sock(s.upstream)->room = 3;
    fixture_arrive(fix, s.client, "patience");

    struct op *write = fixture_op(s.upstream, OP_WRITE);
    assert_ptr_equal(write->buf, buf + 3);
    assert_int_equal(write->len, 5);
    assert_null(fake_port_op(s.client, OP_READ));
    assert_int_equal(buffers_used(fix), 1);
    fixture_taken(fix, s.upstream);
    expect_sent(s.upstream, "1patience");
    assert_int_equal(fixture_op(s.client, OP_READ)->len, 0);
    assert_int_equal(buffers_used(fix), 0);
    assert_int_equal(fixture_counter(fix, STAT_BYTES_UP), HELLO_BYTES + 9);
}

/* ---- idle ---- */

static void an_idle_flow_gives_its_buffer_back(void **state)
{
    struct fixture *fix = *state;
    struct session s = hot_session(fix);
    fixture_arrive(fix, s.upstream, "answer");
    assert_int_equal(buffers_used(fix), 2);
    fixture_pass(fix, 12000);
    assert_true(fake_port_cancel_asked(fixture_op(s.client, OP_READ)));
    fixture_cancelled(fix);

    assert_int_equal(buffers_used(fix), 0);
    assert_int_equal(fixture_op(s.client, OP_READ)->len, 0);
    assert_int_equal(fixture_op(s.upstream, OP_READ)->len, 0);
    fixture_arrive(fix, s.client, "2");
    expect_sent(s.upstream, "12");
}

static void a_busy_flow_is_left_alone(void **state)
{
    struct fixture *fix = *state;
    struct session s = hot_session(fix);
    for (int i = 0; i < 150; i++) {
        fixture_pass(fix, 200);
        assert_false(fake_port_cancel_asked(fixture_op(s.client, OP_READ)));
        fixture_arrive(fix, s.client, "x");
    }
    assert_int_equal(buffers_used(fix), 1);
}

static void bytes_that_come_before_the_recall_are_not_lost(void **state)
{
    struct fixture *fix = *state;
    struct session s = hot_session(fix);
    fixture_pass(fix, 12000);
    struct op *read = fixture_op(s.client, OP_READ);
    assert_true(fake_port_cancel_asked(read));
    fake_port_finish_read(read, "in time", 7);
    fixture_pump(fix);
    expect_sent(s.upstream, "1in time");
    assert_int_equal(fixture_op(s.client, OP_READ)->len, 0);
    assert_int_equal(buffers_used(fix), 0);

    /* That recall is over: what is cancelled now was not asked for by the flow. */
    fixture_arrive(fix, s.client, "2");
    fake_port_finish(fixture_op(s.client, OP_READ), ERR_CANCELLED, 0);
    fixture_pump(fix);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
}

static void a_recall_does_not_cancel_what_is_written_to_the_same_socket(void **state)
{
    struct fixture *fix = *state;
    struct session s = hot_session(fix);
    fake_sock(s.client)->room = 0;
    fixture_arrive(fix, s.upstream, "slow");
    fixture_pass(fix, 15000);
    assert_false(fake_port_cancel_asked(fixture_op(s.client, OP_READ)));
    assert_false(fake_port_cancel_asked(fixture_op(s.client, OP_WRITE)));

    fixture_taken(fix, s.client);
    fixture_pass(fix, 2000);
    assert_true(fake_port_cancel_asked(fixture_op(s.client, OP_READ)));
    fixture_cancelled(fix);
    assert_int_equal(buffers_used(fix), 0);
    expect_sent(s.client, "slow");
}

static void what_is_left_of_a_half_closed_session_gives_its_buffer_back(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix);
    fixture_arrive(fix, s.upstream, "1");
    fixture_arrive_fin(fix, s.client);
    assert_int_equal(fixture_op(s.upstream, OP_READ)->len, ROOM);
    fixture_pass(fix, 3000);
    fixture_cancelled(fix);
    assert_int_equal(buffers_used(fix), 0);
    fixture_arrive(fix, s.upstream, "2");
    fixture_arrive_fin(fix, s.upstream);
    expect_sent(s.client, "12");
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ENDED);
}

/* ---- ends ---- */

static void fin_comes_into_a_buffer(void **state)
{
    struct fixture *fix = *state;
    struct session s = hot_session(fix);
    fixture_arrive_fin(fix, s.client);
    assert_true(fake_sock(s.upstream)->shut);
    assert_int_equal(buffers_used(fix), 0);
    fixture_arrive(fix, s.upstream, "bye");
    fixture_arrive_fin(fix, s.upstream);
    expect_sent(s.client, "bye");
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ENDED);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ENDED);
}

static void fin_comes_before_the_recall(void **state)
{
    struct fixture *fix = *state;
    struct session s = hot_session(fix);
    fixture_pass(fix, 12000);
    assert_true(fake_port_cancel_asked(fixture_op(s.client, OP_READ)));
    fixture_arrive_fin(fix, s.client);
    assert_true(fake_sock(s.upstream)->shut);
    assert_int_equal(buffers_used(fix), 0);
}

static void a_reset_comes_into_a_buffer(void **state)
{
    struct fixture *fix = *state;
    struct session s = hot_session(fix);
    fixture_arrive_error(fix, s.client, ERR_RESET);
    assert_int_equal(buffers_used(fix), 0);
    fixture_cancelled(fix);
    assert_false(fake_sock(s.upstream)->shut);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_RESET), 1);
}

static void a_broken_source_ends_with_a_reset_and_not_with_fin(void **state)
{
    struct fixture *fix = *state;
    struct session s = hot_session(fix);
    fake_sock(s.client)->send_result = ERR_RESET;
    fixture_arrive(fix, s.upstream, "to nobody");
    fixture_arrive(fix, s.client, "last words");
    fixture_arrive_fin(fix, s.client); /* so it looks */
    fixture_cancelled(fix);
    assert_false(fake_sock(s.upstream)->shut);
    expect_sent(s.upstream, "1last words");
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_RESET), 1);
}

static void a_sink_that_fails_under_a_message_is_noticed(void **state)
{
    struct fixture *fix = *state;
    struct session s = hot_session(fix);
    fake_sock(s.upstream)->send_result = ERR_RESET;
    fixture_arrive(fix, s.client, "x");
    assert_int_equal(buffers_used(fix), 0);
    fixture_arrive_error(fix, s.upstream, ERR_RESET);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_UPSTREAM_RESET), 1);
}

static void a_killed_session_keeps_its_buffer_until_the_read_is_out(void **state)
{
    struct fixture *fix = *state;
    struct session s = hot_session(fix);
    assert_true(pair_end(pair_of(s.client), REASON_KILLED));
    fixture_pass(fix, 50);
    assert_int_equal(buffers_used(fix), 1); /* the system may still write to it */
    fake_port_finish_read(fixture_op(s.client, OP_READ), "too late", 8);
    fixture_pump(fix);
    assert_int_equal(buffers_used(fix), 0);
    expect_sent(s.upstream, "1");
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_KILLED), 1);
}

static void a_kill_during_a_recall_ends_the_session(void **state)
{
    struct fixture *fix = *state;
    struct session s = hot_session(fix);
    fixture_pass(fix, 12000);
    assert_true(fake_port_cancel_asked(fixture_op(s.client, OP_READ)));
    assert_true(pair_end(pair_of(s.client), REASON_KILLED));
    fixture_pass(fix, 50);
    fixture_cancelled(fix);
    assert_int_equal(buffers_used(fix), 0);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_KILLED), 1);
}

#define HOT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOT_TEST(a_session_begins_without_a_buffer),
        HOT_TEST(a_message_that_came_soon_makes_room_for_the_next),
        HOT_TEST(a_message_that_was_waited_for_long_makes_none),
        HOT_TEST(a_hot_flow_cools_down_when_a_message_comes_late),
        HOT_TEST(readiness_without_bytes_makes_no_flow_hot),
        HOT_TEST(large_pieces_are_received_as_ever),
        HOT_TEST(without_memory_a_flow_waits_without_a_buffer),
        HOT_TEST(a_message_goes_on_without_a_receive),
        HOT_TEST(a_buffer_that_was_filled_is_followed_by_a_receive),
        HOT_TEST(what_the_sink_leaves_is_written_from_the_same_buffer),
        HOT_TEST(an_idle_flow_gives_its_buffer_back),
        HOT_TEST(a_busy_flow_is_left_alone),
        HOT_TEST(bytes_that_come_before_the_recall_are_not_lost),
        HOT_TEST(a_recall_does_not_cancel_what_is_written_to_the_same_socket),
        HOT_TEST(what_is_left_of_a_half_closed_session_gives_its_buffer_back),
        HOT_TEST(fin_comes_into_a_buffer),
        HOT_TEST(fin_comes_before_the_recall),
        HOT_TEST(a_reset_comes_into_a_buffer),
        HOT_TEST(a_broken_source_ends_with_a_reset_and_not_with_fin),
        HOT_TEST(a_sink_that_fails_under_a_message_is_noticed),
        HOT_TEST(a_killed_session_keeps_its_buffer_until_the_read_is_out),
        HOT_TEST(a_kill_during_a_recall_ends_the_session),
    };
    return cmocka_run_group_tests_name("relay_hot", tests, NULL, NULL);
}
