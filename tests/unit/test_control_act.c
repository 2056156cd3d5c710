/* test_control_act.c - commands that change upstreams: what they do, how one is named, and what
 * is said of a name that means none. */
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

static void open_with(const char *config)
{
    server = config == NULL ? fake_server_open() : fake_server_open_with(config);
    console = fake_server_console(server);
    session = (struct command_session){.console = &console};
}

static int set_up(void **state)
{
    (void)state;
    open_with(NULL);
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

static void reopen_with(const char *config)
{
    fake_server_close(server);
    open_with(config);
}

static void assert_answers(const char *line, const char *text)
{
    command_run(&session, line, strlen(line), &result);
    assert_string_equal(result.text.data, text);
    assert_false(result.failed);
}

static void assert_fails(const char *line, const char *text)
{
    unsigned changes = server->changes, resolves = server->resolves;
    command_run(&session, line, strlen(line), &result);
    assert_string_equal(result.text.data, text);
    assert_true(result.failed);
    assert_int_equal(server->changes, changes);
    assert_int_equal(server->resolves, resolves);
}

static const struct route_upstream_info *state_of(size_t route, size_t upstream)
{
    return &server->upstreams[route][upstream].state;
}

/* ---- what they do ---- */

static void drain_takes_new_sessions_away_and_says_how_many_are_left(void **state)
{
    (void)state;
    server->upstreams[0][0].state.sessions = 12;
    assert_answers("drain upstream lobby/10.0.0.5:7000",
                   "upstream 10.0.0.5:7000 of route 'lobby' takes no new sessions; 12 are "
                   "open\n");
    assert_int_equal(state_of(0, 0)->admin, ROUTE_DRAIN);
    assert_int_equal(state_of(0, 1)->admin, ROUTE_READY);
    server->upstreams[0][0].state.sessions = 1;
    assert_answers("drain upstream lobby/10.0.0.5:7000",
                   "upstream 10.0.0.5:7000 of route 'lobby' took no new sessions already; 1 is "
                   "open\n");
    server->upstreams[0][0].state.sessions = 0;
    assert_answers("drain upstream lobby/10.0.0.5:7000",
                   "upstream 10.0.0.5:7000 of route 'lobby' took no new sessions already; none "
                   "is open\n");
}

static void disable_ends_its_checks_too(void **state)
{
    (void)state;
    assert_answers("disable upstream world/[fd00::2]:7100",
                   "upstream [fd00::2]:7100 of route 'world' is disabled: it takes no new "
                   "sessions and is not checked; 2 are open\n");
    assert_int_equal(state_of(1, 0)->admin, ROUTE_DISABLED);
    assert_answers(
        "disable upstream world/[fd00::2]:7100",
        "upstream [fd00::2]:7100 of route 'world' was disabled already; 2 are open\n");
}

static void enable_brings_it_back_and_says_how_it_is(void **state)
{
    (void)state;
    assert_answers("enable upstream lobby/10.0.0.5:7000",
                   "upstream 10.0.0.5:7000 of route 'lobby' was enabled already; its state is "
                   "UP (L4OK in 850us)\n");
    assert_answers(
        "drain upstream lobby/10.0.0.5:7000",
        "upstream 10.0.0.5:7000 of route 'lobby' takes no new sessions; 1 is open\n");
    assert_answers("enable upstream lobby/10.0.0.5:7000",
                   "upstream 10.0.0.5:7000 of route 'lobby' is enabled; its state is UP (L4OK "
                   "in 850us)\n");
    assert_int_equal(state_of(0, 0)->admin, ROUTE_READY);
    server->upstreams[1][0].state.weight = 0;
    assert_answers("enable upstream world/[fd00::2]:7100",
                   "upstream [fd00::2]:7100 of route 'world' was enabled already; its state is "
                   "DRAIN (weight is 0)\n");
}

static void a_weight_is_set_with_what_it_was(void **state)
{
    (void)state;
    assert_answers("set weight lobby/game.example:7000 256",
                   "weight of upstream game.example:7000 of route 'lobby' is now 256, was 1\n");
    assert_int_equal(state_of(0, 1)->weight, 256);
    assert_answers(
        "set weight lobby/game.example:7000 256",
        "weight of upstream game.example:7000 of route 'lobby' is now 256, was 256\n");
    assert_answers(
        "set weight lobby/game.example:7000 0",
        "weight of upstream game.example:7000 of route 'lobby' is now 0, was 256: it "
        "takes no new sessions; 2 are open\n");
    assert_int_equal(state_of(0, 1)->weight, 0);
}

static void a_limit_is_set_with_what_it_was(void **state)
{
    (void)state;
    assert_answers(
        "set max_sessions world/[fd00::2]:7100 1000000",
        "max_sessions of upstream [fd00::2]:7100 of route 'world' is now 1000000, was "
        "no limit; 2 are open\n");
    assert_int_equal(state_of(1, 0)->sessions_max, 1000000);
    assert_answers("set max_sessions world/[fd00::2]:7100 0",
                   "max_sessions of upstream [fd00::2]:7100 of route 'world' is now no limit, "
                   "was 1000000; 2 are open\n");
    assert_int_equal(state_of(1, 0)->sessions_max, 0);
}

static void resolve_asks_for_a_name_and_refuses_an_address(void **state)
{
    (void)state;
    assert_answers("resolve lobby/game.example:7000",
                   "upstream game.example:7000 of route 'lobby' is being resolved; `show "
                   "upstreams` shows what comes of it\n");
    assert_int_equal(server->resolves, 1);
    assert_fails("resolve lobby/10.0.0.5:7000",
                 "upstream 10.0.0.5:7000 of route 'lobby' is an address: there is nothing to "
                 "resolve\n");
}

static void what_cannot_be_looked_at_is_changed_all_the_same(void **state)
{
    (void)state;
    server->fail = ERR_NOMEM;
    assert_answers(
        "drain upstream lobby/10",
        "upstream 10.0.0.5:7000 of route 'lobby' takes no new sessions; its sessions "
        "could not be counted: out of memory or of the system's buffers\n");
    assert_answers("enable upstream lobby/10",
                   "upstream 10.0.0.5:7000 of route 'lobby' is enabled\n");
    assert_answers(
        "set weight lobby/10 0",
        "weight of upstream 10.0.0.5:7000 of route 'lobby' is now 0: it takes no new "
        "sessions\n");
    assert_answers("set max_sessions lobby/10 5",
                   "max_sessions of upstream 10.0.0.5:7000 of route 'lobby' is now 5\n");
    assert_int_equal(state_of(0, 0)->sessions_max, 5);
}

static void their_words_may_be_shortened(void **state)
{
    (void)state;
    assert_answers("DIS UP lobby/10",
                   "upstream 10.0.0.5:7000 of route 'lobby' is disabled: it takes no new "
                   "sessions and is not checked; 1 is open\n");
    assert_answers("en up lobby/10", "upstream 10.0.0.5:7000 of route 'lobby' is enabled; its "
                                     "state is UP (L4OK in 850us)\n");
    assert_answers("set w lobby/10 2",
                   "weight of upstream 10.0.0.5:7000 of route 'lobby' is now 2, was 1\n");
}

/* ---- how an upstream is named ---- */

/* Three that begin alike, one of them beside another port of the same host, and a range. */
static const char alike[] = "[route a]\nlisten = *:1\n"
                            "upstream = 10.0.0.1:7000\nupstream = 10.0.0.1:7001\n"
                            "upstream = 10.0.0.10:7000\nupstream = Game.example:7000\n"
                            "[route b]\nlisten = *:7000-7015\n"
                            "upstream = [::1]:8000-8015\n";

static void assert_means(const char *name, size_t route, size_t upstream)
{
    char line[128];
    str_format(line, sizeof line, "drain upstream %s", name);
    server->upstreams[route][upstream].state.admin = ROUTE_READY;
    command_run(&session, line, strlen(line), &result);
    if (result.failed)
        fail_msg("%s", result.text.data);
    assert_int_equal(server->upstreams[route][upstream].state.admin, ROUTE_DRAIN);
}

static void its_host_or_an_unambiguous_beginning_is_enough(void **state)
{
    (void)state;
    reopen_with(alike);
    assert_means("a/10.0.0.1:7000", 0, 0);
    assert_means("a/10.0.0.1:7001", 0, 1);
    assert_means("a/10.0.0.10:7000", 0, 2);
    assert_means("a/10.0.0.10", 0, 2);
    assert_means("a/game.example", 0, 3);
    assert_means("a/GAME.example:7000", 0, 3);
    assert_means("a/g", 0, 3);
    assert_means("b/[::1]:8000-8015", 1, 0);
    assert_means("b/[::1]:8000", 1, 0);
    assert_means("b/[::1]", 1, 0);
    assert_means("b/::1", 1, 0);
}

static void a_host_in_full_is_not_also_the_beginning_of_another(void **state)
{
    (void)state;
    reopen_with("[route a]\nlisten = *:1\nupstream = 10.0.0.10:7000\n"
                "upstream = 10.0.0.1:7000\n");
    assert_means("a/10.0.0.1", 0, 1);
    assert_means("a/10.0.0.10", 0, 0);
}

static void a_name_that_means_several_lists_them(void **state)
{
    (void)state;
    reopen_with(alike);
    assert_fails("drain upstream a/10.0.0.1",
                 "'a/10.0.0.1' can mean several upstreams: a/10.0.0.1:7000, a/10.0.0.1:7001; "
                 "write more of it\n");
    assert_fails("resolve a/10.0",
                 "'a/10.0' can mean several upstreams: a/10.0.0.1:7000, a/10.0.0.1:7001, "
                 "a/10.0.0.10:7000; write more of it\n");
}

static void a_name_that_means_none_lists_what_there_is(void **state)
{
    (void)state;
    assert_fails(
        "drain upstream lobby/10.0.0.6:7000",
        "route 'lobby' has no upstream '10.0.0.6:7000'; did you mean "
        "'lobby/10.0.0.5:7000'? it has lobby/10.0.0.5:7000, lobby/game.example:7000\n");
    assert_fails("enable upstream lobby/",
                 "route 'lobby' has no upstream ''; it has lobby/10.0.0.5:7000, "
                 "lobby/game.example:7000\n");
    assert_fails("disable upstream loby/10.0.0.5:7000",
                 "there is no route 'loby'; did you mean 'lobby'? it needs an upstream as "
                 "ROUTE/NAME: lobby/10.0.0.5:7000, lobby/game.example:7000, "
                 "world/[fd00::2]:7100\n");
    assert_fails("resolve game.example:7000",
                 "'game.example:7000' is no ROUTE/NAME; it needs an upstream as ROUTE/NAME: "
                 "lobby/10.0.0.5:7000, lobby/game.example:7000, world/[fd00::2]:7100\n");
    assert_fails(
        "set weight lobby/10.0.0.5:7000/x 1",
        "route 'lobby' has no upstream '10.0.0.5:7000/x'; did you mean "
        "'lobby/10.0.0.5:7000'? it has lobby/10.0.0.5:7000, lobby/game.example:7000\n");
    assert_fails("drain upstream a_route_of_a_name_much_longer_than_any_can_be/x",
                 "there is no route 'a_route_of_a_name_much_longer_t'; it needs an upstream as "
                 "ROUTE/NAME: lobby/10.0.0.5:7000, lobby/game.example:7000, "
                 "world/[fd00::2]:7100\n");
}

static void a_long_list_ends_with_how_many_there_are(void **state)
{
    (void)state;
    struct str config, expected;
    str_init(&config);
    str_init(&expected);
    str_add(&config, "[route a]\nlisten = *:1\n");
    str_add(&expected, "'x' is no ROUTE/NAME; it needs an upstream as ROUTE/NAME: ");
    for (unsigned i = 1; i <= 18; i++) {
        str_addf(&config, "upstream = h%u:7000\n", i);
        if (i <= 16)
            str_addf(&expected, "%sa/h%u:7000", i == 1 ? "" : ", ", i);
    }
    str_add(&expected, " and 2 more; `show upstreams` lists them\n");
    reopen_with(config.data);
    assert_fails("resolve x", expected.data);
    str_free(&config);
    str_free(&expected);
}

static void of_many_routes_the_nearest_is_named_first(void **state)
{
    (void)state;
    struct str config;
    str_init(&config);
    for (unsigned i = 1; i <= 12; i++)
        str_addf(&config, "[route world-%c]\nlisten = *:%u\nupstream = h:7000\n",
                 (char)('a' + i - 1), i);
    reopen_with(config.data);
    assert_fails(
        "drain route wrld-k",
        "there is no route 'wrld-k'; did you mean 'world-k'? it needs the name of a "
        "route: world-k, world-a, world-b, world-c, world-d, world-e, world-f, world-g "
        "and 4 more, which `show routes` lists\n");
    assert_fails("drain route nope",
                 "there is no route 'nope'; it needs the name of a route: world-a, world-b, "
                 "world-c, world-d, world-e, world-f, world-g, world-h and 4 more, which `show "
                 "routes` lists\n");
    str_free(&config);
}

static void what_is_missing_or_wrong_is_named(void **state)
{
    (void)state;
    assert_fails("drain", "'drain' needs one more word: route, upstream\n");
    assert_fails(
        "drain lobby/10.0.0.6:7000",
        "unknown command 'drain lobby/10.0.0.6:7000'; drain knows: route, upstream; "
        "route 'lobby' has no upstream '10.0.0.6:7000'; did you mean "
        "'lobby/10.0.0.5:7000'? it has lobby/10.0.0.5:7000, lobby/game.example:7000\n");
    assert_fails(
        "drain nope",
        "unknown command 'drain nope'; drain knows: route, upstream; there is no route "
        "'nope'; it needs the name of a route: lobby, world\n");
    assert_fails("drain route nope",
                 "there is no route 'nope'; it needs the name of a route: lobby, world\n");
    assert_fails("drain upstream",
                 "`drain upstream` needs an upstream as ROUTE/NAME: lobby/10.0.0.5:7000, "
                 "lobby/game.example:7000, world/[fd00::2]:7100\n");
    assert_fails("set weight lobby/10",
                 "`set weight` needs a weight from 1 to 256, or 0 for no new sessions\n");
    assert_fails("set weight lobby/10 257",
                 "`set weight` does not take '257'; it needs a weight from 1 to 256, or 0 for "
                 "no new sessions\n");
    assert_fails("set weight lobby/10 50%",
                 "`set weight` does not take '50%'; it needs a weight from 1 to 256, or 0 for "
                 "no new sessions\n");
    assert_fails("set max_sessions lobby/10 1000001",
                 "`set max_sessions` does not take '1000001'; it needs a number from 1 to "
                 "1000000, or 0 for no limit\n");
    assert_fails("set weight lobby/10 1 2", "`set weight` does not know '2'; usage: set weight "
                                            "ROUTE/NAME N\n");
    assert_fails(
        "enabel upstream lobby/10",
        "unknown command 'enabel'; did you mean 'enable'? `help` lists the commands\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(drain_takes_new_sessions_away_and_says_how_many_are_left),
        TEST(disable_ends_its_checks_too),
        TEST(enable_brings_it_back_and_says_how_it_is),
        TEST(a_weight_is_set_with_what_it_was),
        TEST(a_limit_is_set_with_what_it_was),
        TEST(resolve_asks_for_a_name_and_refuses_an_address),
        TEST(what_cannot_be_looked_at_is_changed_all_the_same),
        TEST(their_words_may_be_shortened),
        TEST(its_host_or_an_unambiguous_beginning_is_enough),
        TEST(a_host_in_full_is_not_also_the_beginning_of_another),
        TEST(a_name_that_means_several_lists_them),
        TEST(a_name_that_means_none_lists_what_there_is),
        TEST(a_long_list_ends_with_how_many_there_are),
        TEST(of_many_routes_the_nearest_is_named_first),
        TEST(what_is_missing_or_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
