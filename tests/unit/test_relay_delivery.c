/* What the systems still have to deliver, when no operation waits for it: it is progress for every
 * deadline, a reset does not overtake it, and an end in order does not throw it away. Each is
 * tried with what Linux tells about it, what Windows tells, and what an old Windows does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay_fixture.h"

#define PLENTY     (SIZE_MAX / 2)
#define PIECE      4000
#define PIECES     100
#define ALL        (PIECES * PIECE)
#define TIMEOUT_MS 30000 /* half_close_timeout of the fixture */

static const enum sock_tells telling[] = {SOCK_TELLS_UNACKED, SOCK_TELLS_COUNTS};

static struct session open_session(struct fixture *fix, enum sock_tells tells)
{
    struct session s = fixture_session(fix);
    fake_sock(s.client)->tells = fake_sock(s.upstream)->tells = tells;
    fake_sock(s.client)->room = fake_sock(s.upstream)->room = PLENTY;
    return s;
}

/* The system of `to` takes everything at once, and its peer nothing yet. */
static void hand_over(struct fixture *fix, sock_t from, sock_t to)
{
    static const char piece[PIECE];
    for (int i = 0; i < PIECES; i++)
        fixture_arrive_bytes(fix, from, piece, sizeof piece);
    fake_sock(to)->unsent_bytes = ALL;
    assert_int_equal(fake_port_waiting(to, OP_WRITE), 0);
}

static void end_session(struct fixture *fix)
{
    struct pair *pair = fixture_latest(fix);
    if (pair == NULL)
        return;
    pair_unref(pair);
    fixture_kill_latest(fix);
}

static bool is_open(sock_t sock)
{
    return fake_sock(sock)->state == FAKE_SOCK_IS_OPEN;
}

/* The reader takes some now and then, for much longer than any deadline. */
static void read_slowly(struct fixture *fix, sock_t sock, uint64_t every_ms, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        fixture_pass(fix, every_ms);
        fixture_cancelled(fix);
        assert_true(is_open(sock));
        fake_sock(sock)->unsent_bytes -= 1000;
    }
}

/* ---- half_close_timeout ---- */

static void who_reads_on_after_the_fin_is_not_cut(void **state)
{
    struct fixture *fix = *state;
    for (size_t i = 0; i < 2; i++) {
        struct session s = open_session(fix, telling[i]);
        hand_over(fix, s.upstream, s.client);
        fixture_arrive_fin(fix, s.upstream);
        assert_true(fake_sock(s.client)->shut);
        read_slowly(fix, s.client, 20000, 20);
        fixture_arrive_fin(fix, s.client);
        assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ENDED);
        assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ENDED);
    }
    assert_int_equal(fixture_reasons(fix, REASON_UPSTREAM_FIN), 2);
}

static void an_upstream_that_reads_on_after_the_clients_fin_is_not_cut(void **state)
{
    struct fixture *fix = *state;
    for (size_t i = 0; i < 2; i++) {
        struct session s = open_session(fix, telling[i]);
        hand_over(fix, s.client, s.upstream);
        fixture_arrive_fin(fix, s.client);
        read_slowly(fix, s.upstream, 20000, 20);
        end_session(fix);
    }
}

static void who_takes_nothing_for_half_close_timeout_is_reset(void **state)
{
    struct fixture *fix = *state;
    for (size_t i = 0; i < 2; i++) {
        struct session s = open_session(fix, telling[i]);
        hand_over(fix, s.upstream, s.client);
        fixture_arrive_fin(fix, s.upstream);
        read_slowly(fix, s.client, 20000, 3);
        fixture_pass(fix, TIMEOUT_MS - 1000);
        fixture_cancelled(fix);
        assert_true(is_open(s.client));
        fixture_pass(fix, 1500);
        fixture_cancelled(fix);
        assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
        assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    }
    assert_int_equal(fixture_reasons(fix, REASON_HALF_CLOSE_TIMEOUT), 2);
}

static void who_has_got_all_is_closed_in_order_at_half_close_timeout(void **state)
{
    struct fixture *fix = *state;
    for (size_t i = 0; i < 2; i++) {
        struct session s = open_session(fix, telling[i]);
        hand_over(fix, s.upstream, s.client);
        fixture_arrive_fin(fix, s.upstream);
        fake_sock(s.client)->unsent_bytes = 0;
        fixture_pass(fix, TIMEOUT_MS + 1000);
        fixture_cancelled(fix);
        /* It may read slowly what its own system has; a reset would take that from it. */
        assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ENDED);
        assert_true(fake_sock(s.client)->discarded);
        /* The client has not finished, and the upstream must not take what it got for all. */
        assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    }
}

static void where_the_system_does_not_tell_the_deadline_closes_in_order(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix, SOCK_TELLS_NOTHING);
    hand_over(fix, s.upstream, s.client);
    fixture_arrive_fin(fix, s.upstream);
    fixture_pass(fix, TIMEOUT_MS - 1000);
    fixture_cancelled(fix);
    assert_true(is_open(s.client));
    fixture_pass(fix, 1500);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ENDED);
    assert_int_equal(fixture_reasons(fix, REASON_HALF_CLOSE_TIMEOUT), 1);
}

static void both_fins_close_at_once_and_leave_the_rest_to_the_system(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix, SOCK_TELLS_UNACKED);
    fixture_arrive_fin(fix, s.client);
    hand_over(fix, s.upstream, s.client);
    fixture_arrive_fin(fix, s.upstream);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ENDED);
    assert_false(fake_sock(s.client)->discarded); /* that would cost every session a call */
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ENDED);
}

/* ---- the other deadlines ---- */

static void who_reads_on_is_not_idle(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.idle_timeout_ms = 4000;
    for (size_t i = 0; i < 2; i++) {
        struct session s = open_session(fix, telling[i]);
        hand_over(fix, s.upstream, s.client);
        read_slowly(fix, s.client, 3000, 20);
        fixture_pass(fix, 9000);
        fixture_cancelled(fix);
        assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    }
    assert_int_equal(fixture_reasons(fix, REASON_IDLE_TIMEOUT), 2);
}

static void what_the_system_can_not_deliver_is_a_backlog(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.max_backlog_age_ms = 20000;
    for (size_t i = 0; i < 2; i++) {
        struct session s = open_session(fix, telling[i]);
        hand_over(fix, s.upstream, s.client);
        read_slowly(fix, s.client, 15000, 10);
        for (int k = 0; k < 12; k++) { /* the client goes on talking, and reads nothing */
            fixture_arrive(fix, s.client, "talk");
            fixture_pass(fix, 1000);
        }
        assert_true(is_open(s.client));
        for (int k = 0; k < 19; k++) {
            if (fake_port_op(s.client, OP_READ) != NULL)
                fixture_arrive(fix, s.client, "talk");
            fixture_pass(fix, 1000);
            fixture_cancelled(fix);
        }
        assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    }
    assert_int_equal(fixture_reasons(fix, REASON_BACKLOG_AGE), 2);
}

static void who_reads_as_fast_as_min_rate_asks_is_not_cut(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.min_rate = (struct conf_min_rate){.bytes_per_s = 100, .over_ms = 20000};
    for (size_t i = 0; i < 2; i++) {
        struct session s = open_session(fix, telling[i]);
        hand_over(fix, s.upstream, s.client);
        read_slowly(fix, s.client, 5000, 30); /* 200 bytes a second */
        fixture_pass(fix, 50000);
        fixture_cancelled(fix);
        assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    }
    assert_int_equal(fixture_reasons(fix, REASON_MIN_RATE), 2);
}

static void a_write_that_the_system_has_as_a_whole_makes_progress_within(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.max_backlog_age_ms = 5000;
    struct session s = open_session(fix, SOCK_TELLS_COUNTS);
    hand_over(fix, s.upstream, s.client);
    fake_sock(s.client)->room = 0;
    fixture_arrive(fix, s.upstream, "does not fit any more");
    read_slowly(fix, s.client, 3000, 20);
    fixture_pass(fix, 8000);
    fixture_cancelled(fix);
    assert_int_equal(fixture_reasons(fix, REASON_BACKLOG_AGE), 1);
}

/* ---- resets ---- */

static void a_reset_waits_until_all_is_acknowledged(void **state)
{
    struct fixture *fix = *state;
    for (size_t i = 0; i < 2; i++) {
        struct session s = open_session(fix, telling[i]);
        hand_over(fix, s.upstream, s.client); /* nothing in flight: its window is closed */
        fixture_arrive_error(fix, s.upstream, ERR_RESET);
        read_slowly(fix, s.client, 20000, 5);
        fake_sock(s.client)->unsent_bytes = 0;
        fixture_pass(fix, 300);
        fixture_cancelled(fix);
        assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    }
    assert_int_equal(fixture_reasons(fix, REASON_UPSTREAM_RESET), 2);
}

static void bytes_on_the_way_or_sent_twice_are_not_acknowledged(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix, SOCK_TELLS_COUNTS);
    hand_over(fix, s.upstream, s.client);
    fake_sock(s.client)->in_flight_bytes = ALL;
    fake_sock(s.client)->again_bytes = 2 * ALL;
    fixture_arrive_error(fix, s.upstream, ERR_RESET);
    fixture_pass(fix, 5000);
    fixture_cancelled(fix);
    assert_true(is_open(s.client));
    fake_sock(s.client)->in_flight_bytes = 0;
    fake_sock(s.client)->unsent_bytes = 0;
    fixture_pass(fix, 300);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
}

static void the_relays_own_header_counts_as_handed_over(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.proxy_out = CONF_PROXY_OUT_V1;
    fixture_accept(fix);
    sock_t upstream = fixture_connecting();
    fake_sock(upstream)->room = PLENTY;
    fake_sock(upstream)->tells = SOCK_TELLS_COUNTS;
    fixture_connect(fix);
    struct pair *pair = fixture_latest(fix);
    sock_t client = pair->client.sock;
    pair_unref(pair);
    fixture_arrive(fix, client, "x");
    fake_sock(upstream)->unsent_bytes = 1;
    fixture_arrive_error(fix, client, ERR_RESET);
    fixture_pass(fix, 5000);
    fixture_cancelled(fix);
    assert_true(is_open(upstream));
    fake_sock(upstream)->unsent_bytes = 0;
    fixture_pass(fix, 300);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(upstream), FAKE_SOCK_ABORTED);
}

static void where_the_system_does_not_tell_a_reset_waits_for_the_deadline(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix, SOCK_TELLS_NOTHING);
    hand_over(fix, s.upstream, s.client);
    fixture_arrive_error(fix, s.upstream, ERR_RESET);
    fixture_pass(fix, TIMEOUT_MS - 1000);
    fixture_cancelled(fix);
    assert_true(is_open(s.client));
    fixture_pass(fix, 1500);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_UPSTREAM_RESET), 1);
}

static void a_reset_of_who_got_nothing_need_not_wait(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix, SOCK_TELLS_NOTHING);
    fixture_arrive_error(fix, s.upstream, ERR_RESET);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
}

/* ---- who ends the session from outside ---- */

static void end_by(struct fixture *fix, enum reason reason)
{
    struct pair *pair = fixture_latest(fix);
    assert_non_null(pair);
    assert_true(pair_end(pair, reason));
    pair_unref(pair);
    fixture_pass(fix, 50);
    fixture_cancelled(fix);
}

static void a_stop_leaves_it_to_the_system_to_deliver_a_whole_stream(void **state)
{
    struct fixture *fix = *state;
    static const enum reason reasons[] = {REASON_STOPPED, REASON_DRAINED};
    static const enum sock_tells all[] = {SOCK_TELLS_UNACKED, SOCK_TELLS_COUNTS,
                                          SOCK_TELLS_NOTHING};
    for (size_t i = 0; i < 6; i++) {
        struct session s = open_session(fix, all[i / 2]);
        hand_over(fix, s.upstream, s.client);
        fixture_arrive_fin(fix, s.upstream);
        end_by(fix, reasons[i % 2]);
        assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ENDED);
        assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    }
}

static void a_stop_resets_whose_stream_is_not_whole_or_who_has_all(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix, SOCK_TELLS_UNACKED);
    hand_over(fix, s.upstream, s.client);
    end_by(fix, REASON_STOPPED);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);

    s = open_session(fix, SOCK_TELLS_UNACKED);
    hand_over(fix, s.upstream, s.client);
    fixture_arrive_fin(fix, s.upstream);
    fake_sock(s.client)->unsent_bytes = 0;
    end_by(fix, REASON_STOPPED);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
}

static void a_kill_resets_whatever_is_left(void **state)
{
    struct fixture *fix = *state;
    static const enum reason reasons[] = {REASON_KILLED, REASON_BAN};
    for (size_t i = 0; i < 2; i++) {
        struct session s = open_session(fix, SOCK_TELLS_UNACKED);
        hand_over(fix, s.upstream, s.client);
        fixture_arrive_fin(fix, s.upstream);
        end_by(fix, reasons[i]);
        assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    }
}

#define DELIVERY_TEST(name)                                                                    \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DELIVERY_TEST(who_reads_on_after_the_fin_is_not_cut),
        DELIVERY_TEST(an_upstream_that_reads_on_after_the_clients_fin_is_not_cut),
        DELIVERY_TEST(who_takes_nothing_for_half_close_timeout_is_reset),
        DELIVERY_TEST(who_has_got_all_is_closed_in_order_at_half_close_timeout),
        DELIVERY_TEST(where_the_system_does_not_tell_the_deadline_closes_in_order),
        DELIVERY_TEST(both_fins_close_at_once_and_leave_the_rest_to_the_system),
        DELIVERY_TEST(who_reads_on_is_not_idle),
        DELIVERY_TEST(what_the_system_can_not_deliver_is_a_backlog),
        DELIVERY_TEST(who_reads_as_fast_as_min_rate_asks_is_not_cut),
        DELIVERY_TEST(a_write_that_the_system_has_as_a_whole_makes_progress_within),
        DELIVERY_TEST(a_reset_waits_until_all_is_acknowledged),
        DELIVERY_TEST(bytes_on_the_way_or_sent_twice_are_not_acknowledged),
        DELIVERY_TEST(the_relays_own_header_counts_as_handed_over),
        DELIVERY_TEST(where_the_system_does_not_tell_a_reset_waits_for_the_deadline),
        DELIVERY_TEST(a_reset_of_who_got_nothing_need_not_wait),
        DELIVERY_TEST(a_stop_leaves_it_to_the_system_to_deliver_a_whole_stream),
        DELIVERY_TEST(a_stop_resets_whose_stream_is_not_whole_or_who_has_all),
        DELIVERY_TEST(a_kill_resets_whatever_is_left),
    };
    return cmocka_run_group_tests_name("relay_delivery", tests, NULL, NULL);
}
