/* What the configuration limits in a session: that there is one at all, and how long nothing
 * may move in it. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/reason.h"
#include "base/str.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

#define TEXT_MAX 512

/* ---- max_sessions ---- */

#define ROUTE_REFUSED "sessions_refused_by_reason_total.limit_route"
#define RELAY_REFUSED "sessions_refused_by_reason_total.limit_sessions"

static uint64_t route_stat(struct relay_run *relay, const char *route, const char *member)
{
    char command[TEXT_MAX];
    str_format(command, sizeof command, "show stats route %s", route);
    json_t *root = relay_json(relay, command);
    uint64_t value =
        json_number_at(json_array_get(json_object_get(root, "routes"), 0), member, UINT64_MAX);
    json_decref(root);
    return value;
}

/* A relay with routes 'test' and 'other' to the same upstream; `other` gets the second's
 * address. */
static struct relay_run *start_with_two_routes(void **state, const struct addr *upstream,
                                               const char *relay_keys, const char *route_keys,
                                               const char *other_keys, struct addr *other)
{
    char text[ADDR_TEXT_MAX], more[TEXT_MAX];
    str_format(more, sizeof more,
               "[route other]\nlisten = 127.0.0.1:%%PORT2%%\nupstream = %s\n%s",
               addr_format(upstream, text), other_keys);
    const struct relay_setup setup = {.upstreams = upstream,
                                      .upstream_count = 1,
                                      .relay_keys = relay_keys,
                                      .route_keys = route_keys,
                                      .more = more};
    struct relay_run *relay = relay_start(state, &setup);
    *other = net_loopback(ADDR_IPV4, relay->port2);
    return relay;
}

/* A client is reset before it gets a byte. The first one of each route and window of time has a
 * line of the log, the others are counted there. */
static void expect_first_refused(struct relay_run *relay, const char *name,
                                 const struct addr *where, enum reason reason)
{
    struct addr client;
    char text[ADDR_TEXT_MAX];
    expect_refused_client(where, &client);
    expect_log(relay, "route '%s': client %s refused: %s\n", name, addr_format(&client, text),
               reason_sentence(reason));
}

/* The log has accounted for every refused client of a route at the end, if not before. */
static void expect_told(const struct relay_run *relay, const char *name, uint64_t refused)
{
    char line[TEXT_MAX], more[TEXT_MAX];
    str_format(line, sizeof line, " route '%s': client ", name);
    str_format(more, sizeof more, "route '%s': clients refused", name);
    assert_int_equal(count_told(relay, line, more), refused);
}

static void a_client_over_the_relays_limit_is_reset_and_counted(void **state)
{
    struct addr upstream, other;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay =
        start_with_two_routes(state, &upstream, "max_sessions = 3\n", "", "", &other);
    struct session first = session_open(&relay->addr, listener);
    struct session second = session_open(&other, listener);
    struct session third = session_open(&relay->addr, listener);

    /* Whichever route it comes by. */
    expect_first_refused(relay, "test", &relay->addr, REASON_LIMIT_SESSIONS);
    expect_first_refused(relay, "other", &other, REASON_LIMIT_SESSIONS);
    expect_refused_client(&other, NULL);
    assert_true(relay_wait_stat(relay, RELAY_REFUSED, 3));
    assert_int_equal(route_stat(relay, "test", RELAY_REFUSED), 1);
    assert_int_equal(route_stat(relay, "other", RELAY_REFUSED), 2);
    assert_int_equal(relay_stat(relay, "sessions_refused_total"), 3);

    /* They are no sessions, and no upstream heard of them. */
    assert_int_equal(route_stat(relay, "test", "sessions_open"), 2);
    assert_int_equal(route_stat(relay, "other", "sessions_open"), 1);
    assert_int_equal(relay_stat(relay, "sessions_total"), 3);
    assert_int_equal(relay_stat(relay, "sessions_peak"), 3);
    assert_int_equal(relay_stat(relay, "connects_total"), 3);
    assert_int_equal(relay_stat(relay, "sessions_ended_total"), 0);

    session_check(&first);
    session_check(&second);
    session_check(&third);
    session_end(&second);
    assert_true(relay_wait_info(relay, "sessions_open", 2));
    struct session next = session_open(&relay->addr, listener);
    session_check(&next);
    expect_refused_client(&other, NULL);

    session_end(&first);
    session_end(&third);
    session_end(&next);
    net_close(listener);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    expect_told(relay, "test", 1);
    expect_told(relay, "other", 3);
}

static void a_client_over_its_routes_limit_is_reset_and_other_routes_go_on(void **state)
{
    struct addr upstream, other;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = start_with_two_routes(
        state, &upstream, NULL, "max_sessions = 1\n", "max_sessions = 2\n", &other);
    struct session mine = session_open(&relay->addr, listener);
    expect_first_refused(relay, "test", &relay->addr, REASON_LIMIT_ROUTE);
    struct session theirs = session_open(&other, listener);
    struct session more = session_open(&other, listener);
    expect_first_refused(relay, "other", &other, REASON_LIMIT_ROUTE);
    expect_refused_client(&relay->addr, NULL);

    assert_true(relay_wait_stat(relay, ROUTE_REFUSED, 3));
    assert_int_equal(route_stat(relay, "test", ROUTE_REFUSED), 2);
    assert_int_equal(route_stat(relay, "other", ROUTE_REFUSED), 1);
    assert_int_equal(relay_stat(relay, RELAY_REFUSED), 0);
    assert_int_equal(relay_stat(relay, "connects_total"), 3);
    session_check(&mine);
    session_check(&theirs);

    session_end(&mine);
    assert_true(relay_wait_info(relay, "sessions_open", 2));
    expect_refused_client(&other, NULL);
    mine = session_open(&relay->addr, listener);
    session_check(&mine);

    session_end(&mine);
    session_end(&theirs);
    session_end(&more);
    net_close(listener);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    expect_told(relay, "test", 2);
    expect_told(relay, "other", 2);
}

/* ---- a crowd ---- */

#define CROWD_MAX 300

struct crowd {
    size_t count;
    size_t refused;
    sock_t clients[CROWD_MAX]; /* SOCK_NONE once refused */
};

static void note_refused(struct crowd *crowd, size_t i)
{
    net_close(crowd->clients[i]);
    crowd->clients[i] = SOCK_NONE;
    crowd->refused++;
}

static void connect_crowd(struct crowd *crowd, const struct addr *to)
{
    for (size_t i = 0; i < crowd->count; i++)
        assert_int_equal(net_connect_begin(to, &crowd->clients[i]), ERR_OK);
    for (size_t i = 0; i < crowd->count; i++) {
        enum err err = net_connect_finish(crowd->clients[i], NET_PATIENCE_MS);
        if (err == ERR_OK)
            continue;
        assert_int_equal(err, ERR_RESET); /* it was that fast */
        note_refused(crowd, i);
    }
}

static void gather_resets(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        if (crowd->clients[i] == SOCK_NONE || !net_wait_reset(crowd->clients[i], 0))
            continue;
        expect_end(crowd->clients[i], NET_END_RESET, 0);
        note_refused(crowd, i);
    }
}

/* Several workers take clients at once, and still not one too many or too few. */
static void a_crowd_at_the_door_fills_the_limit_exactly(void **state)
{
    struct crowd crowd = {.count = test_on_windows() ? 60 : CROWD_MAX};
    size_t room = crowd.count / 3;
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream), servers[CROWD_MAX];
    char keys[TEXT_MAX];
    str_format(keys, sizeof keys, "max_sessions = %zu\n", room);
    const struct relay_setup setup = {
        .upstreams = &upstream, .upstream_count = 1, .route_keys = keys};
    struct relay_run *relay = relay_start(state, &setup);

    connect_crowd(&crowd, &relay->addr);
    for (size_t i = 0; i < room; i++)
        assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &servers[i]), ERR_OK);
    assert_true(relay_wait_stat(relay, ROUTE_REFUSED, crowd.count - room));
    gather_resets(&crowd);
    assert_int_equal(crowd.refused, crowd.count - room);
    assert_int_equal(relay_stat(relay, "sessions_open"), room);
    assert_int_equal(relay_stat(relay, "sessions_peak"), room);
    assert_int_equal(relay_stat(relay, "sessions_total"), room);
    sock_t too_many;
    assert_int_equal(net_accept(listener, 0, &too_many), ERR_TIMEDOUT);

    for (size_t i = 0; i < room; i++)
        net_close(servers[i]);
    for (size_t i = 0; i < crowd.count; i++)
        net_close(crowd.clients[i]);
    net_close(listener);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    expect_told(relay, "test", crowd.count - room);
}

/* ---- time ---- */

#define TIMEOUT_MS 1500 /* idle_timeout and half_close_timeout */
#define STEP_MS    50
#define ATTEMPTS   5

/* Sends a byte now and then. That a session lives on can only be asked for if the test itself
 * was never as slow as the timeout. */
struct trickle {
    sock_t from, to;
    uint64_t sent_ms;    /* before the last byte was sent */
    uint64_t last_ms;    /* when it had come */
    uint64_t longest_ms; /* without a byte */
};

static struct trickle trickle_begin(sock_t from, sock_t to)
{
    return (struct trickle){.from = from, .to = to, .last_ms = os_mono_ms()};
}

/* False: the session has ended. */
static bool trickle_step(struct trickle *trickle)
{
    char byte = 'x';
    trickle->sent_ms = os_mono_ms();
    if (net_send(trickle->from, &byte, 1, NET_PATIENCE_MS, NULL) != ERR_OK ||
        net_receive_all(trickle->to, &byte, 1, NET_PATIENCE_MS) != ERR_OK)
        return false;
    uint64_t now = os_mono_ms();
    if (now - trickle->last_ms > trickle->longest_ms)
        trickle->longest_ms = now - trickle->last_ms;
    trickle->last_ms = now;
    os_sleep_ms(STEP_MS);
    return true;
}

static bool trickle_was_steady(const struct trickle *trickle)
{
    if (trickle->longest_ms + 2 * TICK_MS < TIMEOUT_MS)
        return true;
    print_message("this machine stood still for %" PRIu64 " ms: once more\n",
                  trickle->longest_ms);
    return false;
}

/* One session in which nothing moves, and meanwhile one in which bytes move, in one direction
 * only. False: the machine was too slow to tell. */
static bool compare_idle_and_busy(struct relay_run *relay, sock_t listener, bool up)
{
    struct session busy = session_open(&relay->addr, listener);
    struct session idle = session_open(&relay->addr, listener);
    struct trickle trickle = up ? trickle_begin(busy.client, busy.upstream)
                                : trickle_begin(busy.upstream, busy.client);
    uint64_t start = os_mono_ms();
    session_check(&idle);
    bool alive = true;
    while (!net_wait_reset(idle.client, 0) && os_mono_ms() - start < NET_PATIENCE_MS)
        alive = alive && trickle_step(&trickle);
    expect_passed(start, TIMEOUT_MS);
    session_expect_reset(&idle);

    bool steady = trickle_was_steady(&trickle);
    if (steady) {
        assert_true(alive);
        session_check(&busy);
    }
    session_drop(&busy);
    return steady;
}

static void only_a_session_in_which_nothing_moves_ends_after_idle_timeout(void **state)
{
    struct addr upstream, other;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = start_with_two_routes(
        state, &upstream, NULL, "idle_timeout = 1500ms\n", "idle_timeout = off\n", &other);
    struct session never = session_open(&other, listener);
    for (unsigned i = 0; i < 2; i++) {
        unsigned attempts = 1;
        while (!compare_idle_and_busy(relay, listener, i == 0))
            assert_true(attempts++ < ATTEMPTS);
    }
    session_check(&never);
    session_end(&never);
    net_close(listener);
    expect_log(relay, "reason=idle_timeout phase=data bytes_up=3000 bytes_down=3000");
    relay_wait_nothing_left(relay);
    assert_true(relay_stat(relay, "sessions_ended_by_reason_total.idle_timeout") >= 2);
    relay_end(relay);
}

/* One side finishes and the other one goes on for a while, longer than half_close_timeout, and
 * then falls silent without a FIN. False: the machine was too slow to tell. */
static bool finish_and_go_on(struct relay_run *relay, sock_t listener, bool client_finishes)
{
    struct session session = session_open(&relay->addr, listener);
    sock_t finishes = client_finishes ? session.client : session.upstream;
    sock_t goes_on = client_finishes ? session.upstream : session.client;
    struct trickle trickle = trickle_begin(goes_on, finishes);
    net_finish(finishes);
    expect_end(goes_on, NET_END_FIN, 0);

    uint64_t start = os_mono_ms();
    bool alive = true;
    while (alive && os_mono_ms() - start < 2 * TIMEOUT_MS)
        alive = trickle_step(&trickle);
    bool steady = trickle_was_steady(&trickle);
    if (steady) {
        assert_true(alive);
        assert_true(net_wait_reset(finishes, NET_PATIENCE_MS));
        expect_passed(trickle.sent_ms, TIMEOUT_MS);
        /* Its stream was whole, and it may still read it; but nobody hears it any more. The relay
         * may still take a byte that comes before its own end. */
        uint64_t end_ms = os_mono_ms();
        do {
            assert_true(os_mono_ms() - end_ms < NET_PATIENCE_MS);
            (void)net_send(goes_on, "x", 1, NET_PATIENCE_MS, NULL);
        } while (!net_wait_reset(goes_on, STEP_MS));
    }
    session_drop(&session);
    return steady;
}

static void a_half_closed_session_ends_after_half_close_timeout_without_bytes(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {.upstreams = &upstream,
                                      .upstream_count = 1,
                                      .route_keys = "half_close_timeout = 1500ms\n"};
    struct relay_run *relay = relay_start(state, &setup);
    for (unsigned i = 0; i < 2; i++) {
        unsigned attempts = 1;
        while (!finish_and_go_on(relay, listener, i == 0))
            assert_true(attempts++ < ATTEMPTS);
    }
    net_close(listener);
    expect_log(relay, "reason=half_close_timeout phase=half_closed");
    relay_wait_nothing_left(relay);
    assert_true(relay_stat(relay, "sessions_ended_by_reason_total.half_close_timeout") >= 2);
    relay_end(relay);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_client_over_the_relays_limit_is_reset_and_counted,
                                  relay_teardown),
        cmocka_unit_test_teardown(
            a_client_over_its_routes_limit_is_reset_and_other_routes_go_on, relay_teardown),
        cmocka_unit_test_teardown(a_crowd_at_the_door_fills_the_limit_exactly, relay_teardown),
        cmocka_unit_test_teardown(only_a_session_in_which_nothing_moves_ends_after_idle_timeout,
                                  relay_teardown),
        cmocka_unit_test_teardown(
            a_half_closed_session_ends_after_half_close_timeout_without_bytes, relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
