/* What the console shows of sessions and statistics, against what the test did. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

#define TEXT_MAX 512

static uint64_t number(const json_t *object, const char *member)
{
    uint64_t value = json_number_at(object, member, UINT64_MAX);
    if (value == UINT64_MAX)
        fail_msg("no number '%s'", member);
    return value;
}

static void expect_flag(const json_t *object, const char *member, bool value)
{
    assert_true(json_is_boolean(json_object_get(object, member)));
    assert_int_equal(json_is_true(json_object_get(object, member)), value);
}

static void move(sock_t from, sock_t to, size_t len)
{
    send_bytes(from, len);
    expect_bytes(to, len);
}

/* A byte may be there a moment before it is counted. */
static void wait_counted(struct relay_run *relay, uint64_t up, uint64_t down)
{
    assert_true(relay_wait_stat(relay, "bytes_up_total", up));
    assert_true(relay_wait_stat(relay, "bytes_down_total", down));
}

/* ---- sessions ---- */

static void a_session_is_shown_as_it_is(void **state)
{
    struct two_routes two = start_two_routes(state);
    uint64_t start = os_mono_ms();
    struct session first = session_open(&two.relay->addr, two.listeners[0]);
    struct session second = session_open(&two.other, two.listeners[1]);
    move(second.client, second.upstream, 10000);
    move(second.upstream, second.client, 70000);
    uint64_t moved = os_mono_ms();
    wait_counted(two.relay, 10000, 70000);

    uint64_t asked = os_mono_ms();
    json_t *root = relay_json(two.relay, "show sessions");
    uint64_t answered = os_mono_ms();
    assert_int_equal(number(root, "sessions_open"), 2);
    assert_int_equal(number(root, "sessions_shown"), 2);
    const json_t *shown = find_session(root, second.client);
    struct addr server = local_addr(second.upstream);
    char text[ADDR_TEXT_MAX];
    assert_string_equal(json_text(shown, "route"), "other");
    assert_string_equal(json_text(shown, "upstream"), addr_format(&two.upstreams[1], text));
    assert_string_equal(json_text(shown, "phase"), "data");
    assert_string_equal(json_text(shown, "reason"), "none");
    expect_flag(shown, "ending", false);
    expect_addr(shown, "client_local_addr", &two.other);
    expect_addr(shown, "upstream_addr", &server);
    assert_int_equal(number(shown, "id"), 2);
    assert_int_equal(number(shown, "bytes_up_total"), 10000);
    assert_int_equal(number(shown, "bytes_down_total"), 70000);
    assert_in_range(number(shown, "writes_up_total"), 1, 10000);
    assert_in_range(number(shown, "writes_down_total"), 1, 70000);
    assert_int_equal(number(shown, "waiting_up_bytes"), 0);
    assert_int_equal(number(shown, "waiting_down_bytes"), 0);
    assert_int_equal(number(shown, "connect_tries_total"), 1);
    assert_in_range(number(shown, "connect_time_us"), 1, 1000 * (moved - start + TICK_MS));
    assert_in_range(number(shown, "age_ms") + TICK_MS, asked - moved,
                    answered - start + TICK_MS);
    assert_in_range(number(shown, "idle_ms") + TICK_MS, asked - moved,
                    answered - start + TICK_MS);
    expect_flag(shown, "finished_up", false);
    expect_flag(shown, "finished_down", false);
    shown = find_session(root, first.client);
    assert_string_equal(json_text(shown, "route"), "test");
    assert_int_equal(number(shown, "id"), 1);
    assert_int_equal(number(shown, "bytes_up_total") + number(shown, "bytes_down_total"), 0);
    json_decref(root);

    /* The far end of what the relay connected. */
    root = relay_json(two.relay, "show session 2");
    struct addr ours;
    assert_int_equal(net_peer_addr(second.upstream, &ours), ERR_OK);
    expect_addr(root, "upstream_local_addr", &ours);
    static const char *const sides[] = {"client_tcp", "upstream_tcp"};
    for (unsigned i = 0; i < 2; i++) {
        const json_t *tcp = json_object_get(root, sides[i]);
        if (test_on_wine()) {
            print_message("not shown: Wine tells no round trip times\n");
            assert_true(json_is_null(tcp));
        } else {
            assert_in_range(number(tcp, "rtt_us"), 1, 60 * 1000 * 1000);
        }
    }
    json_decref(root);
    session_end(&first);
    session_end(&second);
    end_two_routes(&two);
}

static void the_phase_of_a_session_follows_its_ends(void **state)
{
    struct two_routes two = start_two_routes(state);
    struct session session = session_open(&two.relay->addr, two.listeners[0]);
    net_finish(session.client);
    expect_end(session.upstream, NET_END_FIN, 0);
    json_t *root = relay_json(two.relay, "show session 1");
    assert_string_equal(json_text(root, "phase"), "half_closed");
    expect_flag(root, "finished_up", true);
    expect_flag(root, "finished_down", false);
    json_decref(root);
    net_finish(session.upstream);
    expect_end(session.client, NET_END_FIN, 0);
    session_drop(&session);
    relay_wait_nothing_left(two.relay);
    tell(two.relay, "show session 1", 1,
         "session 1 is not open; `show sessions` lists the open ones\n");
    end_two_routes(&two);
}

static void a_session_that_is_connecting_has_no_upstream_yet(void **state)
{
    struct net_deaf deaf;
    upstream_deaf(&deaf);
    const struct relay_setup setup = {
        .upstreams = &deaf.addr, .upstream_count = 1, .route_keys = "connect_timeout = 10m\n"};
    struct relay_run *relay = relay_start(state, &setup);
    sock_t client = connect_client(&relay->addr);
    assert_true(relay_wait_info(relay, "sessions_open", 1));
    json_t *root = relay_json(relay, "show session 1");
    assert_string_equal(json_text(root, "phase"), "connect");
    expect_addr(root, "upstream_addr", &deaf.addr);
    assert_true(json_is_null(json_object_get(root, "upstream_local_addr")));
    assert_true(json_is_null(json_object_get(root, "upstream_tcp")));
    assert_int_equal(number(root, "connect_time_us"), 0);
    json_decref(root);
    tell(relay, "kill 1", 0, "session 1 is ended\n");
    expect_end(client, NET_END_RESET, 0);
    net_close(client);
    expect_log(relay, "reason=killed phase=connect");
    relay_wait_nothing_left(relay);
    net_deaf_close(&deaf);
    relay_end(relay);
}

static void bytes_that_one_side_does_not_take_are_shown_as_waiting(void **state)
{
    struct two_routes two = start_two_routes(state);
    struct session busy = session_open(&two.relay->addr, two.listeners[0]);
    struct session slow = session_open(&two.relay->addr, two.listeners[0]);
    move(busy.client, busy.upstream, 5000);
    uint64_t sent;
    assert_int_equal(net_send_until_full(slow.upstream, 500, &sent), ERR_OK);

    json_t *root = relay_json(two.relay, "show sessions sort waiting limit 1");
    assert_int_equal(number(root, "sessions_shown"), 1);
    assert_int_equal(number(root, "sessions_open"), 2);
    const json_t *shown = find_session(root, slow.client);
    uint64_t waiting = number(shown, "waiting_down_bytes");
    uint64_t moved = number(shown, "bytes_down_total");
    assert_in_range(waiting, 1, 1024 * 1024); /* no more than one buffer_size */
    assert_in_range(moved + waiting, 1, sent);
    assert_int_equal(number(shown, "waiting_up_bytes"), 0);
    uint64_t waited = number(shown, "waiting_down_ms");
    json_decref(root);

    os_sleep_ms(50);
    root = relay_json(two.relay, "show session 2");
    assert_int_equal(number(root, "waiting_down_bytes"), waiting);
    assert_int_equal(number(root, "bytes_down_total"), moved);
    assert_in_range(number(root, "waiting_down_ms"), waited + 50, UINT64_MAX - 1);
    json_decref(root);

    /* Once it is taken, nothing waits, and every byte is counted. */
    net_finish(slow.upstream);
    expect_end(slow.client, NET_END_FIN, sent);
    root = relay_json(two.relay, "show session 2");
    assert_int_equal(number(root, "waiting_down_bytes"), 0);
    assert_int_equal(number(root, "waiting_down_ms"), 0);
    assert_int_equal(number(root, "bytes_down_total"), sent);
    json_decref(root);
    net_finish(slow.client);
    expect_end(slow.upstream, NET_END_FIN, 0);
    session_drop(&slow);
    session_end(&busy);
    end_two_routes(&two);
}

static void many_sessions_are_sorted_limited_and_chosen_by_route(void **state)
{
    enum { SESSIONS = 60, OTHER = 4, DEFAULT_LIMIT = 50 };
    struct two_routes two = start_two_routes(state);
    struct session sessions[SESSIONS];
    for (unsigned i = 0; i < SESSIONS; i++) {
        bool other = i < OTHER;
        sessions[i] = session_open(other ? &two.other : &two.relay->addr, two.listeners[other]);
        move(sessions[i].client, sessions[i].upstream, 100 * (i + 1));
    }
    wait_counted(two.relay, 100 * SESSIONS * (SESSIONS + 1) / 2, 0);
    json_t *root = relay_json(two.relay, "show sessions sort bytes");
    const json_t *array = json_object_get(root, "sessions");
    assert_int_equal(json_array_size(array), DEFAULT_LIMIT);
    assert_int_equal(number(root, "sessions_shown"), DEFAULT_LIMIT);
    assert_int_equal(number(root, "sessions_open"), SESSIONS);
    for (unsigned i = 0; i < DEFAULT_LIMIT; i++) {
        const json_t *shown = json_array_get(array, i);
        assert_int_equal(number(shown, "id"), SESSIONS - i);
        assert_int_equal(number(shown, "bytes_up_total"), 100 * (SESSIONS - i));
    }
    json_decref(root);

    root = relay_json(two.relay, "show sessions sort id limit 1000");
    array = json_object_get(root, "sessions");
    assert_int_equal(json_array_size(array), SESSIONS);
    for (unsigned i = 0; i < SESSIONS; i++)
        assert_int_equal(number(json_array_get(array, i), "id"), i + 1);
    json_decref(root);

    root = relay_json(two.relay, "show sessions route other sort id");
    array = json_object_get(root, "sessions");
    assert_int_equal(json_array_size(array), OTHER);
    for (unsigned i = 0; i < OTHER; i++) {
        assert_int_equal(number(json_array_get(array, i), "id"), i + 1);
        assert_string_equal(json_text(json_array_get(array, i), "route"), "other");
    }
    json_decref(root);
    for (unsigned i = 0; i < SESSIONS; i++)
        session_end(&sessions[i]);
    end_two_routes(&two);
}

/* ---- statistics ---- */

static const char *const ends[] = {"client_fin", "upstream_fin", "client_reset",
                                   "upstream_reset", "killed"};
#define ENDS (sizeof ends / sizeof ends[0])

/* A session that moves 3,000 bytes each way and ends as ends[i]. */
static void end_session_as(struct two_routes *two, size_t i)
{
    struct session session = session_open(&two->relay->addr, two->listeners[0]);
    char command[64];
    session_check(&session);
    switch (i) {
    case 0: session_end(&session); break;
    case 1:
        net_finish(session.upstream);
        expect_end(session.client, NET_END_FIN, 0);
        net_finish(session.client);
        expect_end(session.upstream, NET_END_FIN, 0);
        session_drop(&session);
        break;
    case 2:
        net_reset(session.client);
        expect_end(session.upstream, NET_END_RESET, 0);
        net_close(session.upstream);
        break;
    case 3:
        net_reset(session.upstream);
        expect_end(session.client, NET_END_RESET, 0);
        net_close(session.client);
        break;
    default:
        os_sleep_ms(300); /* the longest one */
        str_format(command, sizeof command, "kill %zu", i + 1);
        assert_int_equal(relay_console(two->relay, command, NULL, NULL), 0);
        session_expect_reset(&session);
        break;
    }
    assert_true(relay_wait_info(two->relay, "sessions_open", 0));
}

static void expect_ordered(const json_t *totals, const char *what, const char *unit)
{
    static const char *const steps[] = {"p50", "p90", "p99", "p999"};
    uint64_t before = 0;
    char name[64];
    for (unsigned i = 0; i < 4; i++) {
        str_format(name, sizeof name, "%s_%s_%s", what, steps[i], unit);
        assert_in_range(number(totals, name), before, UINT64_MAX - 1);
        before = number(totals, name);
    }
    str_format(name, sizeof name, "%s_max_%s", what, unit);
    uint64_t max = number(totals, name);
    assert_in_range(before, 0, max + max / 16 + 1); /* a percentile is rounded up */
    str_format(name, sizeof name, "%s_mean_%s", what, unit);
    assert_in_range(number(totals, name), 0, max);
}

static void expect_totals(const json_t *totals)
{
    assert_int_equal(number(totals, "sessions_open"), 0);
    assert_int_equal(number(totals, "sessions_peak"), 1);
    assert_int_equal(number(totals, "sessions_total"), ENDS);
    assert_int_equal(number(totals, "sessions_ended_total"), ENDS);
    assert_int_equal(number(totals, "sessions_refused_total"), 0);
    for (size_t i = 0; i < ENDS; i++) {
        char name[64];
        str_format(name, sizeof name, "sessions_ended_by_reason_total.%s", ends[i]);
        assert_int_equal(number(totals, name), 1);
    }
    assert_int_equal(number(totals, "connects_total"), ENDS);
    assert_int_equal(number(totals, "connect_failures_total"), 0);
    assert_int_equal(number(totals, "connect_retries_total"), 0);
    assert_int_equal(number(totals, "accept_failures_total"), 0);
    assert_int_equal(number(totals, "bytes_up_total"), 3000 * ENDS);
    assert_int_equal(number(totals, "bytes_down_total"), 3000 * ENDS);
    assert_in_range(number(totals, "writes_up_total"), ENDS, 3000 * ENDS);
    assert_in_range(number(totals, "writes_down_total"), ENDS, 3000 * ENDS);
    assert_int_equal(number(totals, "connect_time_count"), ENDS);
    assert_int_equal(number(totals, "session_length_count"), ENDS);
    assert_in_range(number(totals, "session_length_max_ms"), 300 - TICK_MS,
                    10 * NET_PATIENCE_MS);
    expect_ordered(totals, "connect_time", "us");
    expect_ordered(totals, "session_length", "ms");
}

static void statistics_agree_with_what_has_happened(void **state)
{
    struct two_routes two = start_two_routes(state);
    for (size_t i = 0; i < ENDS; i++)
        end_session_as(&two, i);
    relay_wait_nothing_left(two.relay);

    json_t *root = relay_json(two.relay, "show stats");
    const json_t *routes = json_object_get(root, "routes");
    assert_int_equal(json_array_size(routes), 2);
    expect_totals(json_object_get(root, "all"));
    expect_totals(json_array_get(routes, 0));
    assert_string_equal(json_text(json_array_get(routes, 0), "route"), "test");
    assert_int_equal(number(json_array_get(routes, 1), "sessions_total"), 0);
    assert_int_equal(number(json_array_get(routes, 1), "sessions_ended_total"), 0);
    json_decref(root);

    root = relay_json(two.relay, "show stats route test");
    assert_int_equal(json_array_size(json_object_get(root, "routes")), 1);
    expect_totals(json_array_get(json_object_get(root, "routes"), 0));
    json_decref(root);
    root = relay_json(two.relay, "show routes");
    expect_totals(json_array_get(json_object_get(root, "routes"), 0));
    json_decref(root);
    root = relay_json(two.relay, "show upstreams");
    assert_int_equal(json_array_size(json_object_get(root, "upstreams")), 2);
    expect_totals(json_array_get(json_object_get(root, "upstreams"), 0));
    json_decref(root);
    root = relay_json(two.relay, "show upstreams route other");
    assert_int_equal(json_array_size(json_object_get(root, "upstreams")), 1);
    assert_int_equal(
        number(json_array_get(json_object_get(root, "upstreams"), 0), "connects_total"), 0);
    json_decref(root);
    end_two_routes(&two);
}

static void rates_rise_while_bytes_move_and_fall_again(void **state)
{
    struct two_routes two = start_two_routes(state);
    struct session session = session_open(&two.relay->addr, two.listeners[0]);
    uint64_t start = os_mono_ms(), rate = 0, minute = 0;
    while (rate == 0 || minute == 0) {
        move(session.upstream, session.client, 50000);
        os_sleep_ms(20);
        json_t *root = relay_json(two.relay, "show stats");
        rate = number(root, "all.rates_1s.bytes_down_per_second");
        minute = number(root, "all.rates_60s.bytes_down_per_second");
        json_decref(root);
        assert_true(os_mono_ms() - start < NET_PATIENCE_MS);
    }
    assert_true(relay_wait_stat(two.relay, "rates_1s.bytes_down_per_second", 0));
    json_t *root = relay_json(two.relay, "show stats route test");
    const json_t *route = json_array_get(json_object_get(root, "routes"), 0);
    assert_true(number(route, "rates_60s.bytes_down_per_second") > 0);
    assert_int_equal(number(route, "rates_60s.bytes_up_per_second"), 0);
    json_decref(root);
    session_end(&session);
    end_two_routes(&two);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_session_is_shown_as_it_is, relay_teardown),
        cmocka_unit_test_teardown(the_phase_of_a_session_follows_its_ends, relay_teardown),
        cmocka_unit_test_teardown(a_session_that_is_connecting_has_no_upstream_yet,
                                  relay_teardown),
        cmocka_unit_test_teardown(bytes_that_one_side_does_not_take_are_shown_as_waiting,
                                  relay_teardown),
        cmocka_unit_test_teardown(many_sessions_are_sorted_limited_and_chosen_by_route,
                                  relay_teardown),
        cmocka_unit_test_teardown(statistics_agree_with_what_has_happened, relay_teardown),
        cmocka_unit_test_teardown(rates_rise_while_bytes_move_and_fall_again, relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
