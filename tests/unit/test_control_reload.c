/* test_control_reload.c - `reload` and `reload plan`: what they say of each change, and of a file
 * that changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "base/str.h"
#include "control/act/reload.h"
#include "control/command/command.h"
#include "fake_server.h"
#include "support/platform.h"

#define HEAD  "[relay]\nworkers = 2\nmax_sessions = 5000\n[console]\nname = fake\n"
#define LOBBY "[route lobby]\nlisten = *:7777\nupstream = 10.0.0.5:7000\n"
#define GAME  "upstream = game.example:7000\n"
#define WORLD                                                                                  \
    "[route world]\nlisten = 10.0.0.1:7778\nlisten = [fd00::1]:7778\n"                         \
    "upstream = [fd00::2]:7100\nmax_sessions = 100\nidle_timeout = off\n"
#define RUNS HEAD LOBBY GAME WORLD /* what the fake server has */

static struct server *server;
static struct console console;
static struct command_session session;
static struct command_result result;
static char dir[TEST_PATH_MAX];
static char path[TEST_PATH_MAX + 16];

static int set_up(void **state)
{
    (void)state;
    server = fake_server_open();
    console = fake_server_console(server);
    session = (struct command_session){.console = &console};
    command_result_init(&result);
    assert_int_equal(test_make_dir(dir), ERR_OK);
    str_format(path, sizeof path, "%s/relay.ini", dir);
    console.config_path = path;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    command_result_free(&result);
    fake_server_close(server);
    test_remove_dir(dir);
    return 0;
}

static void run(const char *file, const char *line)
{
    assert_int_equal(test_write_file(path, file), ERR_OK);
    command_run(&session, line, strlen(line), &result);
    assert_int_equal(server->holds, 0);
}

/* What is said, with "FILE" for the file's name. */
static void assert_said(bool failed, const char *expected)
{
    struct str said;
    str_init(&said);
    for (const char *at = result.text.data; *at != '\0';) {
        bool is_path = strncmp(at, path, strlen(path)) == 0;
        str_addf(&said, is_path ? "FILE" : "%c", *at);
        at += is_path ? strlen(path) : 1;
    }
    assert_string_equal(said.data, expected);
    assert_int_equal(result.failed, failed);
    str_free(&said);
}

static void the_same_file_is_no_change(void **state)
{
    (void)state;
    run(RUNS, "reload plan");
    assert_said(false, "no change: FILE says what is in effect\n");
    run(RUNS, "reload");
    assert_said(false, "no change: FILE says what is in effect\n");
}

/* Everything at once: the fake has 1 and 2 sessions on its routes. */
static const char other[] =
    "[relay]\nworkers = 3\nmax_sessions = 5001\n[console]\nname = fake\n" LOBBY
    "upstream = 10.0.0.6:7000 weight=2\nidle_timeout = 1h\nmax_sessions = 4500\n"
    "[route more]\nlisten = *:1234\nupstream = h:1\n";

static void a_plan_says_what_would_change_and_changes_nothing(void **state)
{
    (void)state;
    run(other, "reload plan");
    assert_said(false, "[relay] workers = 3, is 2; needs a restart\n"
                       "[relay] max_sessions = 5001, is 5000\n"
                       "route 'lobby': upstream 10.0.0.6:7000 weight=2 would be added\n"
                       "route 'lobby': upstream game.example:7000 would be removed; 2 sessions "
                       "would go on\n"
                       "route 'lobby': idle_timeout = 1h, is 10m (1 session)\n"
                       "route 'more' would be added: *:1234 -> h:1\n"
                       "route 'world' would be removed: 10.0.0.1:7778, [fd00::1]:7778 -> "
                       "[fd00::2]:7100; 2 sessions would go on\n"
                       "`reload` makes 6 changes\n");
    assert_int_equal(server->reloads, 0);
}

static void a_reload_says_the_same_of_what_has_changed(void **state)
{
    (void)state;
    run(other, "reload");
    assert_said(false,
                "[relay] workers = 3, was 2; needs a restart\n"
                "[relay] max_sessions = 5001, was 5000\n"
                "route 'lobby': upstream 10.0.0.6:7000 weight=2 added\n"
                "route 'lobby': upstream game.example:7000 removed; 2 sessions go on\n"
                "route 'lobby': idle_timeout = 1h, was 10m (1 session)\n"
                "route 'more' added: *:1234 -> h:1\n"
                "route 'world' removed: 10.0.0.1:7778, [fd00::1]:7778 -> [fd00::2]:7100; 2 "
                "sessions go on\n"
                "6 changes took effect\n");
    assert_int_equal(server->reloads, 1);
    assert_int_equal(server->conf->route_count, 2);
}

/* The answer is written when all is done: the configuration that had the route is gone then. */
static void what_the_relay_says_of_a_reload_is_told_with_it(void **state)
{
    (void)state;
    server->reload_says = "something was closed\n";
    run(HEAD LOBBY GAME, "reload json");
    json_t *root = json_loads(result.text.data, 0, NULL);
    assert_non_null(root);
    const json_t *messages = json_object_get(root, "messages");
    assert_int_equal(json_array_size(messages), 1);
    assert_string_equal(json_string_value(json_array_get(messages, 0)), "something was closed");
    const json_t *change = json_array_get(json_object_get(root, "changes"), 1);
    assert_string_equal(json_string_value(json_object_get(change, "route")), "world");
    json_decref(root);
    run(HEAD LOBBY, "reload");
    assert_said(false, "something was closed\n"
                       "route 'lobby': upstream game.example:7000 removed; 2 sessions go on\n"
                       "1 change took effect\n");
}

/* A session that is open has its connection already. */
static void what_only_new_sessions_see_is_said_to_be_for_them(void **state)
{
    (void)state;
    static const char text[] = HEAD LOBBY GAME WORLD "connect_timeout = 7s\nkeepalive = 30s\n";
    run(text, "reload plan");
    assert_said(false,
                "route 'world': connect_timeout = 7s, is 5s (for new sessions; 2 open go "
                "on as before)\n"
                "route 'world': keepalive = 30s, is 1m (2 sessions)\n"
                "`reload` makes 2 changes\n");
    run(text, "reload plan json");
    json_t *root = json_loads(result.text.data, 0, NULL);
    const json_t *changes = json_object_get(root, "changes");
    for (size_t i = 0; i < 2; i++) {
        const json_t *change = json_array_get(changes, i);
        assert_int_equal(json_integer_value(json_object_get(change, "sessions")), i * 2);
        assert_int_equal(json_is_true(json_object_get(change, "new_sessions_only")), i == 0);
    }
    json_decref(root);
}

static void a_restart_alone_is_no_change_to_make(void **state)
{
    (void)state;
    run("[relay]\nworkers = 5\nmax_sessions = 5000\n[console]\nname = fake\n" LOBBY GAME WORLD,
        "reload plan");
    assert_said(false, "[relay] workers = 5, is 2; needs a restart\n");
}

static void a_bad_file_is_answered_with_its_mistakes(void **state)
{
    (void)state;
    static const char said[] =
        "FILE:7: [route lobby] idle_timeout: 'soon' is not a duration; write a number with its "
        "unit, such as 10m (units: ms s m h d; allowed: off, or 10ms to 30d)\n"
        "nothing was changed\n";
    static const char bad[] = "[relay]\nworkers = 2\n\n" LOBBY "idle_timeout = soon\n";
    run(bad, "reload plan");
    assert_said(true, said);
    run(bad, "reload");
    assert_said(true, said);
    assert_int_equal(server->reloads, 0);
}

static void a_port_that_cannot_be_had_is_told(void **state)
{
    (void)state;
    assert_int_equal(test_write_file(path, other), ERR_OK);
    struct str said;
    str_init(&said);
    server->reload_fails = ERR_IN_USE;
    assert_false(reload_plan(&console, false, &said)); /* foresees it */
    assert_non_null(strstr(said.data, "route 'lobby': listen *:7777: "));
    str_free(&said);
    assert_false(reload_now(&console, false, &said));
    assert_string_equal(said.data,
                        "route 'lobby': listen *:7777: the address or name is already in use\n"
                        "nothing was changed\n");
    str_free(&said);
    assert_int_equal(server->reloads, 0);
}

static void without_a_file_there_is_nothing_to_read(void **state)
{
    (void)state;
    console.config_path = "";
    run(RUNS, "reload");
    assert_said(true, "the relay has no configuration file that could be read again\n");
    console.config_path = path;
    test_remove_dir(dir);
    command_run(&session, "reload", 6, &result);
    assert_said(true, "FILE: there is no such file; name another one with -c FILE\n"
                      "nothing was changed\n");
    assert_int_equal(test_make_dir(dir), ERR_OK);
}

static void json_tells_each_change(void **state)
{
    (void)state;
    run(other, "reload plan json");
    json_t *root = json_loads(result.text.data, 0, NULL);
    assert_non_null(root);
    assert_true(json_is_true(json_object_get(root, "good")));
    assert_true(json_is_false(json_object_get(root, "applied")));
    const json_t *changes = json_object_get(root, "changes");
    assert_int_equal(json_array_size(changes), 7);
    static const struct {
        const char *change, *route, *upstream, *key, *from, *to;
        bool restart;
        int sessions;
    } expected[] = {
        {"key_changed", NULL, NULL, "workers", "2", "3", true, 0},
        {"key_changed", NULL, NULL, "max_sessions", "5000", "5001", false, 0},
        {"upstream_added", "lobby", "10.0.0.6:7000", NULL, NULL, "10.0.0.6:7000 weight=2",
         false, 0},
        {"upstream_removed", "lobby", "game.example:7000", NULL, "game.example:7000", NULL,
         false, 2},
        {"key_changed", "lobby", NULL, "idle_timeout", "10m", "1h", false, 1},
        {"route_added", "more", NULL, NULL, NULL, "*:1234 -> h:1", false, 0},
        {"route_removed", "world", NULL, NULL,
         "10.0.0.1:7778, [fd00::1]:7778 -> [fd00::2]:7100", NULL, false, 2},
    };
    for (size_t i = 0; i < 7; i++) {
        const json_t *change = json_array_get(changes, i);
        const char *names[] = {"change", "route", "upstream", "key", "from", "to"};
        const char *texts[] = {expected[i].change, expected[i].route, expected[i].upstream,
                               expected[i].key,    expected[i].from,  expected[i].to};
        for (size_t k = 0; k < 6; k++) {
            const json_t *value = json_object_get(change, names[k]);
            assert_non_null(value);
            if (texts[k] == NULL)
                assert_true(json_is_null(value));
            else
                assert_string_equal(json_string_value(value), texts[k]);
        }
        assert_int_equal(json_is_true(json_object_get(change, "needs_restart")),
                         expected[i].restart);
        assert_int_equal(json_integer_value(json_object_get(change, "sessions")),
                         expected[i].sessions);
    }
    json_decref(root);
}

static void json_tells_mistakes(void **state)
{
    (void)state;
    run("[route lobby]\n", "reload json");
    assert_true(result.failed);
    json_t *root = json_loads(result.text.data, 0, NULL);
    assert_non_null(root);
    assert_true(json_is_false(json_object_get(root, "good")));
    assert_true(json_array_size(json_object_get(root, "messages")) >= 1);
    assert_int_equal(json_array_size(json_object_get(root, "changes")), 0);
    json_decref(root);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_file_is_no_change),
        TEST(a_plan_says_what_would_change_and_changes_nothing),
        TEST(a_reload_says_the_same_of_what_has_changed),
        TEST(what_the_relay_says_of_a_reload_is_told_with_it),
        TEST(what_only_new_sessions_see_is_said_to_be_for_them),
        TEST(a_restart_alone_is_no_change_to_make),
        TEST(a_bad_file_is_answered_with_its_mistakes),
        TEST(a_port_that_cannot_be_had_is_told),
        TEST(without_a_file_there_is_nothing_to_read),
        TEST(json_tells_each_change),
        TEST(json_tells_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
