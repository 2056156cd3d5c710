/* test_control_predecessors.c - relays that were taken over are part of what the new one shows and
 * does. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "base/log.h"
#include "control/console/endpoint.h"
#include "control/console/wire.h"
#include "control/takeover/predecessors.h"
#include "fake_server.h"
#include "os/os.h"
#include "support/platform.h"

/* Both are in this process, so they have the same id. */
static struct server *old, *server;
static struct console old_console, console;
static struct endpoint *endpoint;
static struct predecessors *predecessors;
static struct command_session session;
static struct command_result result;
static char path[LOCAL_NAME_MAX];

static int set_up(void **state)
{
    static unsigned number;
    char name[64];
    (void)state;
    old = fake_server_open();
    server = fake_server_open();
    old_console = fake_server_console(old);
    console = fake_server_console(server);
    str_format(name, sizeof name, "before-%" PRIu64 "-%u", os_process_id(), number++);
    if (local_path(name, path) != ERR_OK || predecessors_open(&predecessors) != ERR_OK)
        return -1;
    console.predecessors = predecessors;
    session = (struct command_session){.console = &console};
    command_result_init(&result);
    predecessors_add(predecessors, os_process_id(), path);
    return endpoint_start(&endpoint, path, &old_console) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    if (endpoint != NULL)
        endpoint_stop(endpoint);
    endpoint = NULL;
    command_result_free(&result);
    predecessors_close(predecessors);
    fake_server_close(old);
    fake_server_close(server);
    return 0;
}

static const char *run(const char *line)
{
    command_run(&session, line, strlen(line), &result);
    assert_int_equal(server->holds, 0);
    return result.text.data;
}

static json_t *run_json(const char *line)
{
    json_t *root = json_loads(run(line), 0, NULL);
    assert_non_null(root);
    return root;
}

static json_int_t number(const json_t *root, const char *name)
{
    return json_integer_value(json_object_get(root, name));
}

static void expect_said(const char *text)
{
    if (strstr(result.text.data, text) == NULL)
        fail_msg("'%s' is not in\n%s", text, result.text.data);
}

/* ---- shown ---- */

static void their_sessions_are_among_ours(void **state)
{
    (void)state;
    char heading[80];
    fake_server_add(server, 100001, 0);
    fake_server_add(old, 7, 0);
    fake_server_add(old, 8, 1);
    json_t *root = run_json("show sessions json");
    const json_t *sessions = json_object_get(root, "sessions");
    assert_int_equal(json_array_size(sessions), 3);
    assert_int_equal(number(root, "sessions_open"), 3);
    assert_int_equal(number(root, "sessions_shown"), 3);
    assert_int_equal(number(json_array_get(sessions, 0), "id"), 100001);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(number(json_array_get(sessions, i), "pid"), os_process_id());
    json_decref(root);

    run("sh sess route world");
    str_format(heading, sizeof heading,
               "\npid %" PRIu64 ", which was taken over and lets its sessions finish:\n",
               os_process_id());
    expect_said("no session of route 'world' is open\n");
    expect_said(heading);
    expect_said("1 session of route 'world', sorted by rate\n");
}

static void who_they_are_and_what_they_wait_for_is_shown(void **state)
{
    (void)state;
    old->info.sessions_open = 7;
    old->info.stop_left_ms = 90000;
    json_t *root = run_json("show info json");
    const json_t *one = json_array_get(json_object_get(root, "predecessors"), 0);
    assert_int_equal(number(one, "pid"), os_process_id());
    assert_int_equal(number(one, "sessions_open"), 7);
    assert_int_equal(number(one, "stop_left_ms"), 90000);
    json_decref(root);
    run("show info");
    expect_said("waits for 7 sessions to finish, ends the rest in 1m30s\n");
}

static void their_sessions_are_counted_for_each_route(void **state)
{
    (void)state;
    old->route_totals[0].sessions_open = 3;
    old->route_totals[1].sessions_open = 0;
    json_t *root = run_json("show routes json");
    const json_t *routes = json_object_get(root, "routes");
    assert_int_equal(number(json_array_get(routes, 0), "predecessor_sessions_open"), 3);
    assert_int_equal(number(json_array_get(routes, 1), "predecessor_sessions_open"), 0);
    json_decref(root);
    run("show routes");
    expect_said(", which was taken over, has more: 3 of lobby\n");

    static const struct conf_route removed = {.name = "gone"};
    old->removed[0] =
        (struct server_removed_info){.conf = &removed, .totals = {.sessions_open = 2}};
    old->removed_count = 1;
    run("show routes");
    expect_said(", which was taken over, has more: 3 of lobby, 2 of gone\n");
}

static void without_any_the_fields_are_there(void **state)
{
    (void)state;
    predecessors_clear(predecessors);
    fake_server_add(server, 1, 0);
    json_t *root = run_json("show info json");
    assert_int_equal(json_array_size(json_object_get(root, "predecessors")), 0);
    assert_true(json_is_array(json_object_get(root, "predecessors")));
    json_decref(root);
    root = run_json("show routes json");
    const json_t *route = json_array_get(json_object_get(root, "routes"), 0);
    assert_true(json_is_integer(json_object_get(route, "predecessor_sessions_open")));
    json_decref(root);
}

static void one_of_their_sessions_is_found(void **state)
{
    (void)state;
    fake_server_add(server, 9, 0);
    fake_server_add(old, 7, 0);
    run("show session 7");
    assert_false(result.failed);
    expect_said(", which was taken over: session 7\n");
    json_t *root = run_json("show session 7 json");
    assert_int_equal(number(root, "id"), 7);
    json_decref(root);
    run("show session 9");
    assert_true(strncmp(result.text.data, "session 9\n", 10) == 0);
    run("show session 8");
    assert_true(result.failed);
    assert_string_equal(result.text.data,
                        "session 8 is not open; `show sessions` lists the open ones\n");
}

/* ---- done ---- */

static void one_of_their_sessions_is_killed(void **state)
{
    (void)state;
    fake_server_add(old, 7, 0);
    run("kill 7");
    assert_false(result.failed);
    expect_said(": session 7 is ended\n");
    assert_int_equal(old->killed, 7);
    assert_int_equal(server->killed, 0);
}

static void what_ends_many_ends_theirs_too(void **state)
{
    (void)state;
    fake_server_add(old, 7, 1);
    fake_server_add(old, 8, 1);
    run("kill route world");
    expect_said("0 sessions of route 'world' ended; the route goes on\n");
    expect_said(": 2 sessions of route 'world' ended; the route goes on\n");
    assert_int_equal(old->killed_route, 1);
}

static void a_ban_is_theirs_too(void **state)
{
    (void)state;
    run("ban 10.1.2.3 for 5m");
    assert_int_equal(server->ban_calls, 1);
    assert_int_equal(old->ban_calls, 1);
    assert_int_equal(old->banned.until_ms, 300000);
    run("ban 10.1.2.3 for");
    assert_true(result.failed);
    assert_int_equal(old->ban_calls, 1);
}

static void what_wants_force_here_is_not_done_there(void **state)
{
    (void)state;
    assert_int_equal(addr_parse_ip("192.0.2.7", &session.caller), ERR_OK);
    run("ban 192.0.2.0/24");
    assert_true(result.failed);
    assert_int_equal(old->ban_calls, 0);
    run("ban 192.0.2.0/24 force");
    assert_int_equal(old->ban_calls, 1);
}

static void what_is_about_this_relay_is_not_asked_there(void **state)
{
    (void)state;
    run("set weight lobby/10.0.0.5:7000 3");
    run("pause lobby");
    run("shutdown");
    assert_int_equal(old->changes, 0);
    assert_false(old->paused[0]);
    assert_int_equal(old->stops, 0);
}

/* ---- who is gone, or somebody else ---- */

static void one_that_has_ended_is_forgotten(void **state)
{
    (void)state;
    struct predecessor each[PREDECESSORS_MAX];
    endpoint_stop(endpoint);
    endpoint = NULL;
    fake_server_add(server, 1, 0);
    json_t *root = run_json("show sessions json");
    assert_int_equal(number(root, "sessions_open"), 1);
    json_decref(root);
    assert_int_equal(predecessors_copy(predecessors, each), 0);
}

static void another_process_at_its_place_is_not_believed(void **state)
{
    (void)state;
    predecessors_clear(predecessors);
    predecessors_add(predecessors, os_process_id() + 1, path);
    fake_server_add(old, 7, 0);
    run("kill 7");
    assert_true(result.failed);
    expect_said(", which was taken over, was not reached: ");
    assert_int_equal(old->killed, 0);
}

/* To a process that is stopped the system connects, and nothing else happens. */
static void those_that_do_not_answer_hold_up_nobody_for_long(void **state)
{
    (void)state;
    char stuck_path[LOCAL_NAME_MAX], name[64];
    struct local_listener *stuck;
    str_format(name, sizeof name, "stuck-%" PRIu64, os_process_id());
    assert_int_equal(local_path(name, stuck_path), ERR_OK);
    assert_int_equal(local_listen(stuck_path, &stuck), ERR_OK);
    predecessors_clear(predecessors);
    for (unsigned i = 0; i < 4; i++)
        predecessors_add(predecessors, os_process_id(), i == 2 ? path : stuck_path);
    fake_server_add(server, 100001, 0);
    fake_server_add(old, 7, 0);
    /* Later its console gives up. A machine that has a lot else to do gets further attempts. */
    bool in_time = false;
    for (unsigned attempts = 0; !in_time && attempts < 5; attempts++) {
        uint64_t begun = os_mono_ms();
        run("show sessions");
        in_time = os_mono_ms() - begun < WIRE_TIMEOUT_MS - 1000;
    }
    assert_true(in_time);
    assert_false(result.failed);
    expect_said("100001");
    expect_said(", which was taken over, was not reached: ");
    expect_said(", which was taken over and lets its sessions finish:\n");
    local_listener_close(stuck);
}

/* ---- the list ---- */

static void a_list_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct str text;
    str_init(&text);
    predecessors_clear(predecessors);
    predecessors_read(predecessors,
                      "12 /run/a b.sock\n\nx /y\n13\n14 \n0 /z\n15 \\\\.\\pipe\\c");
    predecessors_write(predecessors, &text);
    assert_string_equal(text.data, "12 /run/a b.sock\n15 \\\\.\\pipe\\c\n");
    str_clear(&text);
    for (uint64_t i = 1; i <= PREDECESSORS_MAX + 2; i++)
        predecessors_add(predecessors, 100 + i, "/p");
    predecessors_write(predecessors, &text);
    assert_int_equal(strncmp(text.data, "103 /p\n", 7), 0); /* the oldest are left out */
    str_free(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    os_init();
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        TEST(their_sessions_are_among_ours),
        TEST(who_they_are_and_what_they_wait_for_is_shown),
        TEST(their_sessions_are_counted_for_each_route),
        TEST(without_any_the_fields_are_there),
        TEST(one_of_their_sessions_is_found),
        TEST(one_of_their_sessions_is_killed),
        TEST(what_ends_many_ends_theirs_too),
        TEST(a_ban_is_theirs_too),
        TEST(what_wants_force_here_is_not_done_there),
        TEST(what_is_about_this_relay_is_not_asked_there),
        TEST(one_that_has_ended_is_forgotten),
        TEST(another_process_at_its_place_is_not_believed),
        TEST(those_that_do_not_answer_hold_up_nobody_for_long),
        TEST(a_list_is_read_as_it_was_written),
    };
    return cmocka_run_group_tests_name("control_predecessors", tests, NULL, NULL);
}
