/* How fast sessions move: by the rates of a session, of a client and of a route. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/clients.h"
#include "relay/queue/pace.h"
#include "relay/server_info.h"
#include "relay_fixture.h"

#define PLENTY (SIZE_MAX / 2)
#define RATE   100000u
#define BURST  10000u
#define MUCH   (8u * 1024 * 1024)

static unsigned char much[MUCH];

static const struct conf_pace pace = {.bytes_per_s = RATE, .burst_bytes = BURST};

static int set_up(void **state)
{
    fixture_setup(state);
    struct fixture *fix = *state;
    fix->route_conf.buffer_bytes = 65536;
    for (size_t i = 0; i < MUCH; i++)
        much[i] = (unsigned char)(i * 7 + (i >> 8) * 3 + (i >> 16));
    return 0;
}

/* A session both of whose ends take whatever comes. */
static struct session open_session(struct fixture *fix)
{
    struct session s = fixture_session(fix);
    fake_sock(s.client)->room = PLENTY;
    fake_sock(s.upstream)->room = PLENTY;
    return s;
}

static struct pair *latest(struct fixture *fix)
{
    struct pair *pair = fixture_latest(fix);
    assert_non_null(pair);
    pair_unref(pair); /* open as long as the test has it open */
    return pair;
}

/* `len` bytes are there at once, and the socket says so. */
static void arrive_much(struct fixture *fix, sock_t sock, size_t len)
{
    fixture_arrive_bytes(fix, sock, much, len);
}

/* A wait is over by a timer that may be two of its slots late, each time. */
static void expect_moved(sock_t sink, uint64_t bytes, uint64_t slack)
{
    const struct fake_sock *record = fake_sock(sink);
    assert_in_range(record->sent_len, bytes - slack, bytes + slack);
    assert_memory_equal(record->sent, much, record->sent_len);
}

/* Passes `ms`, and everything that becomes ready meanwhile does at once. */
static void run_for(struct fixture *fix, uint64_t ms, const sock_t *socks, size_t count)
{
    for (uint64_t passed = 0; passed < ms; passed += WHEEL_SLOT_MS) {
        fixture_pass(fix, WHEEL_SLOT_MS);
        for (size_t i = 0; i < count; i++) {
            struct op *op = fake_port_op(socks[i], OP_READ);
            if (op != NULL && fake_sock(socks[i])->coming_len > 0)
                assert_true(fake_port_finish_arrived(op));
        }
        fixture_pump(fix);
    }
}

static void a_burst_moves_at_once_and_the_rest_as_the_rate_says(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_up = pace;
    struct session s = open_session(fix);
    arrive_much(fix, s.client, 2000000);
    assert_int_equal(fake_sock(s.upstream)->sent_len, BURST);
    run_for(fix, 10000, &s.client, 1);
    expect_moved(s.upstream, BURST + 10 * RATE, RATE / 10);
}

static void each_direction_has_a_rate_of_its_own(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_down = pace;
    struct session s = open_session(fix);
    arrive_much(fix, s.client, 1000000);
    expect_moved(s.upstream, 1000000, 0);
    arrive_much(fix, s.upstream, 1000000);
    run_for(fix, 5000, &s.upstream, 1);
    expect_moved(s.client, BURST + 5 * RATE, RATE / 10);
}

static void a_parked_flow_has_nothing_in_flight_and_no_buffer(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_up = pace;
    struct session s = open_session(fix);
    arrive_much(fix, s.client, 500000);
    assert_null(fake_port_op(s.client, OP_READ));
    assert_null(fake_port_op(s.upstream, OP_WRITE));
    assert_int_equal(atomic_load(&fix->worker->cache.used), 0);
    assert_int_equal(latest(fix)->up.park, FLOW_PACED_SESSION);
    assert_int_equal(fixture_counter(fix, STAT_PACED), 1);
    assert_non_null(fake_port_op(s.upstream, OP_READ)); /* the other direction goes on */
}

static void a_parked_flow_says_why_since_when_and_until_when(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_down_per_route = pace;
    struct session s = open_session(fix);
    arrive_much(fix, s.upstream, 500000);
    struct pair *pair = latest(fix);
    struct server_flow_info info;
    flow_get_info(&pair->down, fix->worker->now_ms + 5, &info);
    assert_int_equal(info.park, FLOW_PACED_ROUTE);
    assert_int_equal(info.parked_ms, 5);
    /* A quarter of the burst at 100,000 bytes/s. */
    assert_in_range(info.park_left_ms, 25 - 5, 25);
}

/* What is not worth a turn waits until more may move. */
static void bytes_do_not_dribble(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_up = pace;
    struct session s = open_session(fix);
    arrive_much(fix, s.client, 500000);
    run_for(fix, 2000, &s.client, 1);
    uint64_t moved = fake_sock(s.upstream)->sent_len;
    uint64_t writes = fixture_counter(fix, STAT_WRITES_UP);
    assert_true(writes <= 1 + moved / (BURST / 4));
    assert_true(fixture_counter(fix, STAT_PACED) <= 1 + moved / (BURST / 4));
}

/* Even far above what timers can do in pieces of the burst. */
static void a_high_rate_is_reached_with_a_small_burst(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_up =
        (struct conf_pace){.bytes_per_s = 4 * 1024 * 1024, .burst_bytes = 4096};
    struct session s = open_session(fix);
    arrive_much(fix, s.client, MUCH);
    run_for(fix, 1000, &s.client, 1);
    expect_moved(s.upstream, 4 * 1024 * 1024, 4 * 1024 * 1024 / 8);
}

static void a_slow_rate_moves_several_times_a_second(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_up = (struct conf_pace){.bytes_per_s = 1000, .burst_bytes = 64000};
    struct session s = open_session(fix);
    arrive_much(fix, s.client, 200000);
    run_for(fix, 3000, &s.client, 1); /* past the burst */
    uint64_t before = fake_sock(s.upstream)->sent_len;
    run_for(fix, 1000, &s.client, 1);
    assert_in_range(fake_sock(s.upstream)->sent_len - before, 700, 1300);
}

static void small_messages_below_the_rate_are_never_held_up(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_up = pace;
    struct session s = open_session(fix);
    for (int i = 0; i < 100; i++) {
        fixture_arrive(fix, s.client, "one message of forty bytes is not a lot.");
        fixture_pass(fix, 10);
    }
    assert_int_equal(fake_sock(s.upstream)->sent_len, 4000);
    assert_int_equal(fixture_counter(fix, STAT_PACED), 0);
}

/* ---- several sessions ---- */

static void run_many(struct fixture *fix, struct session *sessions, sock_t *socks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sessions[i] = open_session(fix);
        socks[i] = sessions[i].client;
    }
    for (size_t i = 0; i < count; i++)
        arrive_much(fix, socks[i], 1000000);
    run_for(fix, 10000, socks, count);
}

static void sessions_of_a_route_share_its_rate_and_none_starves(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_up_per_route = pace;
    struct session sessions[7];
    sock_t socks[7];
    run_many(fix, sessions, socks, 7);
    uint64_t sum = 0;
    for (size_t i = 0; i < 7; i++) {
        uint64_t moved = fake_sock(sessions[i].upstream)->sent_len;
        assert_in_range(moved, RATE * 10 / 7 * 8 / 10, RATE * 10 / 7 * 12 / 10 + BURST);
        sum += moved;
    }
    assert_in_range(sum, BURST + 9 * RATE, BURST + 11 * RATE);
}

/* The session that began last is taken for one of somebody else, or of nobody who is known. */
static void change_client(struct fixture *fix, const struct addr *addr)
{
    struct clients *clients = fix->relay.guard.clients;
    struct pair *pair = latest(fix);
    assert_non_null(pair->client_entry);
    clients_leave(clients, pair->client_entry, fix->worker->now_ms);
    pair->client_entry = NULL;
    if (addr == NULL)
        return;
    bool ban;
    assert_int_equal(clients_enter(clients, 1, addr, 32, &(struct client_limits){0},
                                   fix->worker->now_ms, &pair->client_entry, &ban),
                     CLIENT_ADMITTED);
    assert_non_null(pair->client_entry);
}

static void sessions_of_a_client_share_its_rate_and_other_clients_have_theirs(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_up_per_client = pace;
    struct session sessions[4];
    sock_t socks[4];
    for (size_t i = 0; i < 4; i++) {
        sessions[i] = open_session(fix);
        socks[i] = sessions[i].client;
    }
    change_client(fix, &(struct addr){.family = ADDR_IPV4, .ip = {10, 0, 0, 9}});
    for (size_t i = 0; i < 4; i++)
        arrive_much(fix, socks[i], 2000000);
    run_for(fix, 10000, socks, 4);
    uint64_t sum = 0;
    for (size_t i = 0; i < 3; i++) {
        uint64_t moved = fake_sock(sessions[i].upstream)->sent_len;
        assert_true(moved > RATE * 10 / 3 / 2);
        sum += moved;
    }
    assert_in_range(sum, BURST + 9 * RATE, BURST + 11 * RATE);
    expect_moved(sessions[3].upstream, BURST + 10 * RATE, RATE);
}

static void a_client_without_an_entry_is_not_paced_as_a_client(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_up_per_client = pace;
    struct session s = open_session(fix);
    change_client(fix, NULL);
    arrive_much(fix, s.client, 1000000);
    expect_moved(s.upstream, 1000000, 0);
}

static void of_several_rates_the_lowest_counts(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_up = pace;
    fix->route_conf.rate_up_per_route =
        (struct conf_pace){.bytes_per_s = RATE / 4, .burst_bytes = BURST};
    struct session s = open_session(fix);
    arrive_much(fix, s.client, 2000000);
    run_for(fix, 10000, &s.client, 1);
    expect_moved(s.upstream, BURST + 10 * RATE / 4, RATE / 4);
    assert_int_equal(latest(fix)->up.park, FLOW_PACED_ROUTE);
}

/* ---- while a flow is parked ---- */

/* A slow pace: the flow is parked for a second from now on. */
static struct session open_parked(struct fixture *fix)
{
    fix->route_conf.rate_up = (struct conf_pace){.bytes_per_s = 4, .burst_bytes = 20};
    struct session s = open_session(fix);
    arrive_much(fix, s.client, 20 + 3);
    run_for(fix, 16, &s.client, 1);
    assert_int_equal(fake_sock(s.upstream)->sent_len, 20);
    assert_int_equal(latest(fix)->up.park, FLOW_PACED_SESSION);
    return s;
}

static void a_fin_waits_for_what_came_before_it(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_parked(fix);
    fake_sock(s.client)->coming_end = ERR_OK;
    fixture_pass(fix, 200);
    assert_false(fake_sock(s.upstream)->shut);
    fixture_pass(fix, 3000);
    expect_moved(s.upstream, 23, 0);
    assert_true(fake_sock(s.upstream)->shut);
    fixture_arrive(fix, s.upstream, "answer");
    assert_int_equal(fake_sock(s.client)->sent_len, 6);
    fixture_arrive_fin(fix, s.upstream);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ENDED);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_FIN), 1);
}

static void a_reset_while_parked_is_passed_on_after_what_came_before_it(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_parked(fix);
    fake_sock(s.client)->peer_reset = true;
    fake_sock(s.client)->coming_end = ERR_RESET;
    fixture_pass(fix, 3000);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    expect_moved(s.upstream, 23, 0);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_RESET), 1);
}

static void a_reset_while_parked_is_noticed_in_a_second_or_two(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_up = (struct conf_pace){.bytes_per_s = 1, .burst_bytes = 1};
    struct session s = open_session(fix);
    arrive_much(fix, s.client, 1000);
    struct pair *pair = latest(fix);
    fake_sock(s.client)->peer_reset = true;
    fixture_pass(fix, 2100);
    assert_true(pair->client.reset);
    assert_int_equal(pair->reason, REASON_CLIENT_RESET);
}

static void a_kill_while_parked_ends_the_session_at_once(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_parked(fix);
    fixture_kill_latest(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_KILLED), 1);
}

static void a_kill_with_both_directions_parked_has_nothing_to_cancel(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_up = fix->route_conf.rate_down = pace;
    struct session s = open_session(fix);
    arrive_much(fix, s.client, 500000);
    arrive_much(fix, s.upstream, 500000);
    struct pair *pair = fixture_latest(fix);
    assert_int_equal(pair->in_flight, 0);
    assert_true(pair_end(pair, REASON_KILLED));
    pair_unref(pair);
    fixture_pass(fix, WHEEL_SLOT_MS);
    assert_null(fixture_latest(fix));
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
}

static void a_session_that_waits_for_its_pace_is_not_idle(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.idle_timeout_ms = 500;
    fix->route_conf.rate_up = (struct conf_pace){.bytes_per_s = 1, .burst_bytes = 1};
    struct session s = open_session(fix);
    arrive_much(fix, s.client, 4); /* the rest takes a second each */
    fixture_pass(fix, 2500);
    assert_int_equal(fake_sock(s.upstream)->sent_len, 3);
    fixture_pass(fix, 1000);
    assert_int_equal(fake_sock(s.upstream)->sent_len, 4);
    fixture_pass(fix, 2000);
    fixture_cancelled(fix);
    assert_int_equal(fixture_reasons(fix, REASON_IDLE_TIMEOUT), 1);
}

static void a_pace_that_is_turned_on_and_off_counts_from_the_next_byte_on(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix);
    arrive_much(fix, s.client, 300000);
    expect_moved(s.upstream, 300000, 0);
    struct conf_route slower = fix->route_conf;
    slower.rate_up = pace;
    fix->relay.routes[0]->conf = &slower;
    fixture_arrive_bytes(fix, s.client, much + 300000, 300000);
    expect_moved(s.upstream, 300000 + BURST, 0);
    fix->relay.routes[0]->conf = &fix->route_conf;
    fixture_pass(fix, 200);
    expect_moved(s.upstream, 600000, 0);
}

static void a_flow_that_waits_goes_on_when_its_rate_is_raised(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_up = (struct conf_pace){.bytes_per_s = 4, .burst_bytes = 2000};
    fix->route_conf.rate_up_per_client = fix->route_conf.rate_up_per_route =
        fix->route_conf.rate_up;
    struct session s = open_session(fix);
    arrive_much(fix, s.client, 200000);
    fixture_pass(fix, 1000);
    assert_true(fake_sock(s.upstream)->sent_len < 2010);
    struct conf_route faster = fix->route_conf;
    faster.rate_up = faster.rate_up_per_client = faster.rate_up_per_route = pace;
    fix->relay.routes[0]->conf = &faster;
    pace_reconfigured(fix->relay.routes[0], &fix->route_conf);
    run_for(fix, 1000, &s.client, 1);
    expect_moved(s.upstream, 2000 + BURST + RATE, RATE / 10);
    fix->relay.routes[0]->conf = &fix->route_conf;
}

/* The last one would have its turn in five seconds by the old rate. */
static void a_queue_for_a_slow_rate_is_over_when_the_rate_is_raised(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_up_per_route = (struct conf_pace){.bytes_per_s = 4, .burst_bytes = 1};
    struct session sessions[20];
    for (size_t i = 0; i < 20; i++) {
        sessions[i] = open_session(fix);
        arrive_much(fix, sessions[i].client, 100);
    }
    struct conf_route faster = fix->route_conf;
    faster.rate_up_per_route = pace;
    fix->relay.routes[0]->conf = &faster;
    pace_reconfigured(fix->relay.routes[0], &fix->route_conf);
    fixture_pass(fix, 200);
    for (size_t i = 0; i < 20; i++)
        expect_moved(sessions[i].upstream, 100, 0);
    fix->relay.routes[0]->conf = &fix->route_conf;
}

static void another_configuration_with_the_same_rates_gives_nothing_away(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_up = pace;
    struct session s = open_session(fix);
    arrive_much(fix, s.client, 2000000);
    for (int i = 0; i < 100; i++) {
        pace_reconfigured(fix->relay.routes[0], &fix->route_conf);
        run_for(fix, 10, &s.client, 1);
    }
    uint64_t passed_ms = 100 * WHEEL_SLOT_MS;
    expect_moved(s.upstream, BURST + passed_ms * RATE / 1000, RATE / 10);
}

/* ---- where the port reads into buffers ---- */

static int set_up_buffers(void **state)
{
    fixture_setup_reading_into_buffers(state);
    struct fixture *fix = *state;
    fix->route_conf.buffer_bytes = 65536;
    for (size_t i = 0; i < MUCH; i++)
        much[i] = (unsigned char)(i * 7 + (i >> 8) * 3 + (i >> 16));
    return 0;
}

static void messages_into_the_buffer_count(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.rate_up = (struct conf_pace){.bytes_per_s = 1000, .burst_bytes = 1000};
    struct session s = open_session(fix);
    size_t at = 0;
    for (int i = 0; i < 500; i++, at += 100) {
        fake_sock_arrive(s.client, much + at, 100);
        struct op *op = fake_port_op(s.client, OP_READ);
        if (op != NULL)
            (void)fake_port_finish_arrived(op);
        fixture_pump(fix);
        fixture_pass(fix, 32);
    }
    /* 50,000 bytes came in 16 s. */
    expect_moved(s.upstream, 17000, 2000);
}

#define PACE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_teardown)
#define BUFFER_TEST(name)                                                                      \
    cmocka_unit_test_setup_teardown(name, set_up_buffers, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PACE_TEST(a_burst_moves_at_once_and_the_rest_as_the_rate_says),
        PACE_TEST(each_direction_has_a_rate_of_its_own),
        PACE_TEST(a_parked_flow_has_nothing_in_flight_and_no_buffer),
        PACE_TEST(a_parked_flow_says_why_since_when_and_until_when),
        PACE_TEST(bytes_do_not_dribble),
        PACE_TEST(a_high_rate_is_reached_with_a_small_burst),
        PACE_TEST(a_slow_rate_moves_several_times_a_second),
        PACE_TEST(small_messages_below_the_rate_are_never_held_up),
        PACE_TEST(sessions_of_a_route_share_its_rate_and_none_starves),
        PACE_TEST(sessions_of_a_client_share_its_rate_and_other_clients_have_theirs),
        PACE_TEST(a_client_without_an_entry_is_not_paced_as_a_client),
        PACE_TEST(of_several_rates_the_lowest_counts),
        PACE_TEST(a_fin_waits_for_what_came_before_it),
        PACE_TEST(a_reset_while_parked_is_passed_on_after_what_came_before_it),
        PACE_TEST(a_reset_while_parked_is_noticed_in_a_second_or_two),
        PACE_TEST(a_kill_while_parked_ends_the_session_at_once),
        PACE_TEST(a_kill_with_both_directions_parked_has_nothing_to_cancel),
        PACE_TEST(a_session_that_waits_for_its_pace_is_not_idle),
        PACE_TEST(a_pace_that_is_turned_on_and_off_counts_from_the_next_byte_on),
        PACE_TEST(a_flow_that_waits_goes_on_when_its_rate_is_raised),
        PACE_TEST(a_queue_for_a_slow_rate_is_over_when_the_rate_is_raised),
        PACE_TEST(another_configuration_with_the_same_rates_gives_nothing_away),
        BUFFER_TEST(messages_into_the_buffer_count),
    };
    return cmocka_run_group_tests_name("relay_pace", tests, NULL, NULL);
}
