/* Sessions that an operator ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(kill_resets_both_ends_of_one_session_in_any_state,
                                  relay_teardown),
        cmocka_unit_test_teardown(kill_route_ends_its_sessions_and_no_others, relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
