/* test_control_operate.c - commands of maintenance: pause, resume, drain, kill by a filter and the
 * stop that drains; what they do, what they answer, and what is shown of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "control/command/command.h"
#include "fake_clock.h"
#include "fake_server.h"

static struct server *server;
static struct console console;
static struct command_session session;
static struct command_result result;

static int set_up(void **state)
{
    (void)state;
    server = fake_server_open();
    console = fake_server_console(server);
    session = (struct command_session){.console = &console};
    command_result_init(&result);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    command_result_free(&result);
    fake_server_close(server);
    return 0;
}

static void assert_answers(const char *line, const char *text)
{
    command_run(&session, line, strlen(line), &result);
    assert_string_equal(result.text.data, text);
    assert_false(result.failed);
}

static void assert_fails(const char *line, const char *text)
{
    command_run(&session, line, strlen(line), &result);
    assert_string_equal(result.text.data, text);
    assert_true(result.failed);
}

static void assert_shows(const char *line, const char *part)
{
    command_run(&session, line, strlen(line), &result);
    assert_false(result.failed);
    if (strstr(result.text.data, part) == NULL)
        fail_msg("`%s` does not show '%s':\n%s", line, part, result.text.data);
}

static void assert_shows_no(const char *line, const char *part)
{
    command_run(&session, line, strlen(line), &result);
    assert_false(result.failed);
    assert_null(strstr(result.text.data, part));
}

/* ---- pause and resume ---- */

static void pause_says_how_many_wait_and_for_how_long(void **state)
{
    (void)state;
    assert_answers("pause lobby", "route 'lobby' is paused: new clients wait, at most 1000 of "
                                  "them and each for 5m; its sessions go on\n");
    assert_true(server->paused[0]);
    assert_false(server->frozen[0]);
    assert_false(server->paused[1]);
    assert_answers("pause lobby", "route 'lobby' was paused already\n");
    assert_answers("pause lobby frozen",
                   "route 'lobby' is paused and frozen: new clients wait, at most 1000 of them "
                   "and each for 5m; its sessions are not read from\n");
    assert_true(server->frozen[0]);
    assert_answers("pause lobby frozen", "route 'lobby' was paused and frozen already\n");
}

static void pause_all_pauses_every_route(void **state)
{
    (void)state;
    assert_answers("pause all frozen",
                   "route 'lobby' is paused and frozen: new clients wait, at most 1000 of them "
                   "and each for 5m; its sessions are not read from\n"
                   "route 'world' is paused and frozen: new clients wait, at most 1000 of them "
                   "and each for 5m; its sessions are not read from\n");
    assert_true(server->frozen[0] && server->frozen[1]);
}

static void resume_says_what_it_ended_and_how_many_are_let_in(void **state)
{
    (void)state;
    assert_answers("resume lobby", "route 'lobby' was neither paused nor drained\n");
    server->held[0] = 12;
    server->paused[0] = true;
    assert_answers("resume lobby", "route 'lobby' is resumed after 2m10s; 12 clients that "
                                   "waited are let in now\n");
    assert_false(server->paused[0]);
    server->held[0] = 1;
    server->paused[0] = true;
    server->drains[1].on = true;
    assert_answers("resume all",
                   "route 'lobby' is resumed after 2m10s; 1 client that waited is "
                   "let in now\n"
                   "route 'world' takes new clients again\n");
    server->held[0] = 0;
    server->paused[0] = true;
    server->drains[0].on = true;
    assert_answers("resume lobby", "route 'lobby' is resumed after 2m10s; nobody has waited, "
                                   "and takes new clients again\n");
}

static void a_wrong_word_of_pause_is_named(void **state)
{
    (void)state;
    assert_fails("pause", "`pause` needs `all`, or the name of a route: lobby, world\n");
    assert_fails("pause looby", "there is no route 'looby'; did you mean 'lobby'? it needs the "
                                "name of a route: lobby, world; or `all`\n");
    assert_fails("pause lobby hard", "`pause` does not know 'hard'; usage: pause ROUTE|all "
                                     "[frozen]\n");
    assert_fails("resume", "`resume` needs `all`, or the name of a route: lobby, world\n");
}

/* ---- drain ---- */

static void drain_route_says_how_many_are_left_and_what_becomes_of_them(void **state)
{
    (void)state;
    server->route_totals[0].sessions_open = 12;
    assert_answers("drain route lobby", "route 'lobby' takes no new clients; 12 are open\n");
    assert_int_equal(server->plan.over_ms, 0);
    assert_false(server->plan.kill);
    assert_answers("drain route lobby over 10m",
                   "route 'lobby' took no new clients already; 12 are open, ended evenly over "
                   "10m\n");
    assert_int_equal(server->plan.over_ms, 600000);
    assert_answers("drain route lobby kill over 90s",
                   "route 'lobby' took no new clients already; 12 are open, ended evenly over "
                   "90s\n");
    assert_int_equal(server->plan.over_ms, 90000);
    assert_true(server->plan.kill);
    assert_answers("drain route lobby kill",
                   "route 'lobby' took no new clients already; 12 are ended\n");
    server->route_totals[1].sessions_open = 0;
    assert_answers("drain route world", "route 'world' takes no new clients; none is open\n");
}

static void drain_upstream_takes_a_time_as_well(void **state)
{
    (void)state;
    server->upstreams[0][0].state.sessions = 30;
    assert_answers("drain upstream lobby/10.0.0.5 over 1h",
                   "upstream 10.0.0.5:7000 of route 'lobby' takes no new sessions; 30 are "
                   "open, ended evenly over 1h\n");
    assert_int_equal(server->plan.over_ms, 3600000);
    assert_int_equal(server->upstreams[0][0].state.admin, ROUTE_DRAIN);
    assert_answers("drain upstream lobby/10.0.0.5 kill",
                   "upstream 10.0.0.5:7000 of route 'lobby' took no new sessions already; 30 "
                   "are ended\n");
}

static void a_drain_whose_sessions_cannot_be_counted_is_begun_all_the_same(void **state)
{
    (void)state;
    server->fail = ERR_NOMEM;
    assert_answers("drain route lobby",
                   "route 'lobby' takes no new clients; its sessions could not be counted: out "
                   "of memory or of the system's buffers\n");
    assert_true(server->drains[0].on);
}

static void a_wrong_word_of_drain_is_named(void **state)
{
    (void)state;
    assert_fails("drain route lobby over",
                 "'over' needs a time with its unit (ms, s, m, h, d), as 30m, 12h or 7d\n");
    assert_fails("drain route lobby over 10",
                 "`drain route over` does not take '10'; the unit is missing; it needs a time "
                 "with its unit (ms, s, m, h, d), as 30m, 12h or 7d\n");
    assert_fails("drain route lobby over 0s",
                 "`drain route over` does not take '0s'; that is no time at all; it needs a "
                 "time with its unit (ms, s, m, h, d), as 30m, 12h or 7d\n");
    assert_fails("drain route lobby k",
                 "`drain route` does not know 'k'; did you mean 'kill'? usage: drain route "
                 "NAME [over DURATION] [kill]\n");
    assert_fails("drain route nowhere",
                 "there is no route 'nowhere'; it needs the name of a route: lobby, world\n");
    assert_false(server->drains[0].on);
}

/* ---- kill ---- */

static void kill_ends_what_the_filter_says_and_tells_how_many(void **state)
{
    (void)state;
    fake_server_add(server, 1, 0);
    fake_server_add(server, 2, 1);
    assert_answers("kill client 10.0.0.0/8", "2 sessions of client 10.0.0.0/8 ended\n");
    assert_int_equal(server->killed_net.bits, 8);
    assert_true(server->killed_route == SIZE_MAX && server->killed_upstream == SIZE_MAX);
    assert_answers("kill client 2001:db8::1", "2 sessions of client 2001:db8::1 ended\n");
    assert_answers("kill upstream world/[fd00::2]",
                   "1 session at upstream [fd00::2]:7100 of route 'world' ended; it takes new "
                   "ones\n");
    assert_int_equal(server->killed_route, 1);
    assert_int_equal(server->killed_upstream, 0);
    assert_answers("kill older 2h", "2 sessions older than 2h ended\n");
    assert_int_equal(server->killed_older_ms, 7200000);
    assert_true(server->killed_route == SIZE_MAX && server->killed_upstream == SIZE_MAX);
    server->fail = ERR_NOMEM;
    assert_fails("kill older 2h", "the sessions could not be ended: out of memory or of the "
                                  "system's buffers\n");
}

static void a_wrong_word_of_kill_is_named(void **state)
{
    (void)state;
    assert_fails("kill client", "`kill client` needs an IP address or a network, as 192.0.2.7, "
                                "192.0.2.0/24 or 2001:db8::/32\n");
    assert_fails("kill client 10.0.0.5/8",
                 "`kill client` does not take '10.0.0.5/8'; bits are set behind the first 8; "
                 "write 10.0.0.0/8 for the network, or 10.0.0.5 for the address\n");
    assert_fails("kill client 10.0.0.0/33",
                 "`kill client` does not take '10.0.0.0/33'; behind the / stand 0 to 32 bits "
                 "for IPv4, 0 to 128 for IPv6\n");
    assert_fails("kill client bob",
                 "`kill client` does not take 'bob'; it needs an IP address or a network, as "
                 "192.0.2.7, 192.0.2.0/24 or 2001:db8::/32\n");
    assert_fails("kill older",
                 "`kill older` needs a time with its unit (ms, s, m, h, d), as 30m, 12h or "
                 "7d\n");
    assert_fails("kill upstream lobby",
                 "'lobby' is no ROUTE/NAME; it needs an upstream as ROUTE/NAME: "
                 "lobby/10.0.0.5:7000, lobby/game.example:7000, world/[fd00::2]:7100\n");
    assert_int_equal(server->killed_older_ms, 0);
}

/* ---- shutdown ---- */

static void shutdown_drain_ends_sessions_over_a_time(void **state)
{
    (void)state;
    assert_answers("shutdown drain 10m",
                   "stopping: 3 sessions are ended evenly over 10m, which `show info` shows; a "
                   "second `shutdown` ends the rest at once\n");
    assert_int_equal(server->stopped_over_ms, 600000);
    server->info.state = SERVER_STOPPING;
    assert_answers("shutdown drain 10m", "stopping now\n");
    assert_true(server->stopped_now);
}

static void shutdown_takes_one_way_only(void **state)
{
    (void)state;
    assert_fails("shutdown now drain 10m",
                 "`shutdown` takes either 'now' or 'drain DURATION', not both\n");
    assert_fails("shutdown drain",
                 "'drain' needs a time with its unit (ms, s, m, h, d), as 30m, 12h or 7d\n");
    assert_int_equal(server->stops, 0);
}

static void show_info_says_that_a_stop_drains(void **state)
{
    (void)state;
    server->info.state = SERVER_STOPPING;
    server->info.stop_left_ms = 300000;
    assert_shows("show info", "stopping, 5m00s left, up for ");
    server->info.stop_drains = true;
    assert_shows("show info", "stopping, 5m00s left, sessions are ended evenly, up for ");
    assert_shows("show info json", "\"stop_drains\": true");
}

/* ---- what is shown ---- */

static void show_routes_tells_of_a_pause(void **state)
{
    (void)state;
    assert_shows_no("show routes", "paused");
    server->held[0] = 12;
    session.at_relay = true;
    assert_answers("pause lobby", "route 'lobby' is paused: new clients wait, at most 1000 of "
                                  "them and each for 5m; its sessions go on\n");
    assert_shows("show routes", " PAUSED ");
    assert_shows("show routes", "\nlobby: paused for 2m10s by prompt; 12 of 1000 clients wait, "
                                "each for 5m at most\n");
    assert_shows("show routes json", "\"paused\": true");
    assert_shows("show routes json", "\"paused_by\": \"prompt\"");
    assert_shows("show routes json", "\"paused_ms\": 130000");
    assert_shows("show routes json", "\"held_max\": 1000");
    server->frozen[0] = true;
    assert_shows("show routes", " FROZEN ");
    assert_shows("show routes", "by prompt, its sessions are frozen; 12 of 1000 ");
    assert_shows("show routes json", "\"frozen\": true");
}

static void show_routes_tells_of_a_drain(void **state)
{
    (void)state;
    server->drains[0] = (struct server_drain_info){
        .on = true, .left = 40, .first_left = 120, .ended_total = 70, .age_ms = 60000};
    assert_shows("show routes", " DRAIN ");
    assert_shows("show routes", "\nlobby: drained, 40 of 120 sessions left; new clients are "
                                "refused until `resume lobby`\n");
    assert_shows("show routes json", "\"sessions_left\": 40");
    server->drains[0].over = true;
    server->drains[0].left_ms = 298000;
    assert_shows("show routes",
                 "\nlobby: drained, 40 of 120 sessions left, ended evenly within "
                 "4m58s; new clients are refused until `resume lobby`\n");
    assert_shows("show routes json", "\"left_ms\": 298000");
    server->drains[0].left = 0;
    assert_shows("show routes", "\nlobby: drained, no session left; ");
}

static void show_routes_tells_of_a_ramp(void **state)
{
    (void)state;
    server->ramps[0] = true;
    server->held[0] = 7;
    assert_shows("show routes", " ramps ");
    assert_shows("show routes", "\nlobby: clients are let in at its admission_ramp; 7 wait\n");
    assert_shows("show routes json", "\"ramps\": true");
}

static void show_upstreams_tells_of_a_drain(void **state)
{
    (void)state;
    session.columns = 0;
    assert_answers("drain upstream lobby/10.0.0.5 over 10m",
                   "upstream 10.0.0.5:7000 of route 'lobby' takes no new sessions; 1 is open, "
                   "ended evenly over 10m\n");
    assert_shows("show upstreams", "1 of 1 sessions left, ended evenly within 10m00s; until it "
                                   "is enabled; L4OK in 850us");
    assert_shows("show upstreams json", "\"sessions_left\": 1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pause_says_how_many_wait_and_for_how_long),
        TEST(pause_all_pauses_every_route),
        TEST(resume_says_what_it_ended_and_how_many_are_let_in),
        TEST(a_wrong_word_of_pause_is_named),
        TEST(drain_route_says_how_many_are_left_and_what_becomes_of_them),
        TEST(drain_upstream_takes_a_time_as_well),
        TEST(a_drain_whose_sessions_cannot_be_counted_is_begun_all_the_same),
        TEST(a_wrong_word_of_drain_is_named),
        TEST(kill_ends_what_the_filter_says_and_tells_how_many),
        TEST(a_wrong_word_of_kill_is_named),
        TEST(shutdown_drain_ends_sessions_over_a_time),
        TEST(shutdown_takes_one_way_only),
        TEST(show_info_says_that_a_stop_drains),
        TEST(show_routes_tells_of_a_pause),
        TEST(show_routes_tells_of_a_drain),
        TEST(show_routes_tells_of_a_ramp),
        TEST(show_upstreams_tells_of_a_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
