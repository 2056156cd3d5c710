/* Sessions that an operator ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/str.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

static void kill_resets_both_ends_of_one_session_in_any_state(void **state)
{
    struct two_routes two = start_two_routes(state);
    struct session open = session_open(&two.relay->addr, two.listeners[0]);
    struct session half = session_open(&two.relay->addr, two.listeners[0]);
    struct session stalled = session_open(&two.relay->addr, two.listeners[0]);
    struct session stays = session_open(&two.relay->addr, two.listeners[0]);
    uint64_t sent;
    session_check(&open);
    net_finish(half.client);
    expect_end(half.upstream, NET_END_FIN, 0);
    assert_int_equal(net_send_until_full(stalled.client, 300, &sent), ERR_OK);

    tell(two.relay, "kill 1", 0, "session 1 is ended\n");
    session_expect_reset(&open);
    tell(two.relay, "kill 2", 0, "session 2 is ended\n");
    assert_true(net_wait_reset(half.client, NET_PATIENCE_MS));
    assert_true(net_wait_reset(half.upstream, NET_PATIENCE_MS));
    tell(two.relay, "kill 3", 0, "session 3 is ended\n");
    assert_true(net_wait_reset(stalled.client, NET_PATIENCE_MS));
    assert_true(net_wait_reset(stalled.upstream, NET_PATIENCE_MS));
    session_drop(&half);
    session_drop(&stalled);

    assert_true(relay_wait_info(two.relay, "sessions_open", 1));
    session_check(&stays);
    tell(two.relay, "kill 1", 1,
         "session 1 is not open; `show sessions` lists the open ones\n");
    session_end(&stays);
    relay_wait_nothing_left(two.relay);
    assert_int_equal(relay_stat(two.relay, "sessions_ended_by_reason_total.killed"), 3);
    end_two_routes(&two);
    assert_int_equal(relay_count_log(two.relay, " reason=killed phase=data "), 2);
    assert_int_equal(relay_count_log(two.relay, " reason=killed phase=half_closed "), 1);
}

static void kill_route_ends_its_sessions_and_no_others(void **state)
{
    enum { SESSIONS = 5 };
    struct two_routes two = start_two_routes(state);
    struct session mine[SESSIONS], theirs[2];
    for (unsigned i = 0; i < SESSIONS; i++)
        mine[i] = session_open(&two.relay->addr, two.listeners[0]);
    for (unsigned i = 0; i < 2; i++)
        theirs[i] = session_open(&two.other, two.listeners[1]);
    tell(two.relay, "kill route test", 0,
         "5 sessions of route 'test' ended; the route goes on\n");
    for (unsigned i = 0; i < SESSIONS; i++)
        session_expect_reset(&mine[i]);
    expect_log(two.relay, " notice console: killed 5 sessions of route 'test'\n");
    assert_true(relay_wait_info(two.relay, "sessions_open", 2));
    tell(two.relay, "kill route test", 0,
         "0 sessions of route 'test' ended; the route goes on\n");
    session_check(&theirs[0]);
    session_check(&theirs[1]);
    mine[0] = session_open(&two.relay->addr, two.listeners[0]); /* it goes on */
    session_check(&mine[0]);
    session_end(&mine[0]);
    session_end(&theirs[0]);
    session_end(&theirs[1]);
    end_two_routes(&two);
}

/* A session whose client has this address. */
static struct session session_from(const char *ip, const struct addr *relay, sock_t listener)
{
    struct addr from;
    struct session session;
    assert_int_equal(addr_parse_ip(ip, &from), ERR_OK);
    assert_int_equal(net_connect_from(&from, relay, NET_PATIENCE_MS, &session.client), ERR_OK);
    assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &session.upstream), ERR_OK);
    return session;
}

static void kill_client_ends_the_sessions_of_a_network_on_all_routes(void **state)
{
    struct two_routes two = start_two_routes(state);
    struct session near = session_from("127.0.0.1", &two.relay->addr, two.listeners[0]);
    struct session far[3] = {session_from("127.0.1.1", &two.relay->addr, two.listeners[0]),
                             session_from("127.0.1.2", &two.relay->addr, two.listeners[0]),
                             session_from("127.0.1.3", &two.other, two.listeners[1])};
    tell(two.relay, "kill client 127.0.1.2", 0, "1 session of client 127.0.1.2 ended\n");
    session_expect_reset(&far[1]);
    tell(two.relay, "kill client 10.0.0.0/8", 0, "0 sessions of client 10.0.0.0/8 ended\n");
    tell(two.relay, "kill client 127.0.1.0/24", 0, "2 sessions of client 127.0.1.0/24 ended\n");
    session_expect_reset(&far[0]);
    session_expect_reset(&far[2]);
    expect_log(two.relay, " notice console: killed 2 sessions of client 127.0.1.0/24\n");
    session_check(&near);
    session_end(&near);
    end_two_routes(&two);
}

static void kill_upstream_ends_the_sessions_at_it(void **state)
{
    struct two_routes two = start_two_routes(state);
    struct session mine = session_open(&two.relay->addr, two.listeners[0]);
    struct session other = session_open(&two.other, two.listeners[1]);
    char command[128], answer[256], addr[ADDR_TEXT_MAX];
    addr_format(&two.upstreams[0], addr);
    str_format(command, sizeof command, "kill upstream test/%s", addr);
    str_format(answer, sizeof answer,
               "1 session at upstream %s of route 'test' ended; it takes new ones\n", addr);
    tell(two.relay, command, 0, answer);
    session_expect_reset(&mine);
    session_check(&other);
    mine = session_open(&two.relay->addr, two.listeners[0]);
    session_end(&mine);
    session_end(&other);
    end_two_routes(&two);
}

static void kill_older_spares_sessions_that_began_later(void **state)
{
    struct two_routes two = start_two_routes(state);
    struct session old[2] = {session_open(&two.relay->addr, two.listeners[0]),
                             session_open(&two.other, two.listeners[1])};
    tell(two.relay, "kill older 1h", 0, "0 sessions older than 1h ended\n");
    os_sleep_ms(1100);
    tell(two.relay, "kill older 1s", 0, "2 sessions older than 1s ended\n");
    session_expect_reset(&old[0]);
    session_expect_reset(&old[1]);
    end_two_routes(&two);
}

/* The log of a relay whose client had MANY sessions, which were killed together. */
static void kill_many(void **state, const char *relay_keys, unsigned session_lines)
{
    enum { MANY = 200 };
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {
        .upstreams = &upstream, .upstream_count = 1, .relay_keys = relay_keys};
    struct relay_run *relay = relay_start(state, &setup);
    struct session sessions[MANY];
    for (unsigned i = 0; i < MANY; i++)
        sessions[i] = session_from("127.0.1.1", &relay->addr, listener);
    tell(relay, "kill client 127.0.1.1", 0, "200 sessions of client 127.0.1.1 ended\n");
    for (unsigned i = 0; i < MANY; i++)
        session_expect_reset(&sessions[i]);
    assert_true(relay_wait_info(relay, "sessions_open", 0));
    expect_log(relay, " notice console: killed 200 sessions of client 127.0.1.1\n");
    relay_end(relay);
    assert_int_equal(relay_count_log(relay, " reason=killed "), session_lines);
    assert_int_equal(relay_count_log(relay, "killed"), 1 + session_lines);
    net_close(listener);
}

static void kill_of_many_is_one_line_where_session_lines_are_not_logged(void **state)
{
    kill_many(state, "log_level = notice\n", 0);
}

static void each_killed_session_has_its_line_in_the_session_log(void **state)
{
    kill_many(state, "log_level = info\n", 200);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(kill_resets_both_ends_of_one_session_in_any_state,
                                  relay_teardown),
        cmocka_unit_test_teardown(kill_route_ends_its_sessions_and_no_others, relay_teardown),
        cmocka_unit_test_teardown(kill_client_ends_the_sessions_of_a_network_on_all_routes,
                                  relay_teardown),
        cmocka_unit_test_teardown(kill_upstream_ends_the_sessions_at_it, relay_teardown),
        cmocka_unit_test_teardown(kill_older_spares_sessions_that_began_later, relay_teardown),
        cmocka_unit_test_teardown(kill_of_many_is_one_line_where_session_lines_are_not_logged,
                                  relay_teardown),
        cmocka_unit_test_teardown(each_killed_session_has_its_line_in_the_session_log,
                                  relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
