/* The program as a service: its log, its console's name, its standard streams. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"
#include "support/platform.h"
#include "support/process.h"

#define TEXT_MAX 512

/* Two directories of the running test, besides those of its relay. */
static char dir[TEST_PATH_MAX], dir2[TEST_PATH_MAX];

static int make_dirs(void **state)
{
    (void)state;
    return test_make_dir(dir) == ERR_OK && test_make_dir(dir2) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    int code = relay_teardown(state);
    test_remove_dir(dir);
    test_remove_dir(dir2);
    return code;
}

static void one_session(const struct addr *relay, sock_t listener)
{
    struct session session = session_open(relay, listener);
    session_check(&session);
    session_end(&session);
}

/* ---- log file ---- */

/* How often a file holds a text; the file must be there. */
static unsigned count_in_file(const char *path, const char *text)
{
    char *all = test_read_file(path);
    assert_non_null(all);
    unsigned count = 0;
    for (const char *at = strstr(all, text); at != NULL; at = strstr(at + 1, text))
        count++;
    free(all);
    return count;
}

/* Waits until the file is there and holds the text. */
static void wait_file(const char *path, const char *text)
{
    uint64_t start = os_mono_ms();
    for (;;) {
        char *all = test_read_file(path);
        bool found = all != NULL && strstr(all, text) != NULL;
        if (!found && os_mono_ms() - start > NET_PATIENCE_MS)
            fail_msg("%s does not say '%s', but: %s", path, text, all == NULL ? "" : all);
        free(all);
        if (found)
            return;
        os_sleep_ms(5);
    }
}

/* A session whose line comes into this log. */
static void log_session(struct relay_run *relay, sock_t listener, const char *path, unsigned id)
{
    char line[64];
    one_session(&relay->addr, listener);
    str_format(line, sizeof line, " session %u ended: ", id);
    wait_file(path, line);
    assert_int_equal(count_in_file(path, line), 1);
}

static void a_log_that_was_moved_away_is_opened_again(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    char path[TEST_PATH_MAX], moved[3][TEST_PATH_MAX], text[2 * TEST_PATH_MAX];
    path_in(dir, "relay.log", path);
    path_in(dir, "relay.log.1", moved[0]);
    path_in(dir, "relay.log.2", moved[1]);
    path_in(dir2, "relay.log.3", moved[2]);
    str_format(text, sizeof text, "log_file = %s\n", path);
    const struct relay_setup setup = {
        .upstreams = &upstream, .upstream_count = 1, .relay_keys = text};
    struct relay_run *relay = relay_start(state, &setup);
    wait_file(path, " notice pairport " PAIRPORT_VERSION " (");
    log_session(relay, listener, path, 1);

    /* Moved away it is still the log, until it is opened again. */
    assert_int_equal(rename(path, moved[0]), 0);
    log_session(relay, listener, moved[0], 2);
    assert_null(test_read_file(path));
    str_format(text, sizeof text, "log file %s is open again\n", path);
    tell(relay, "reopen", 0, text);
    wait_file(path, " notice log file opened again\n");
    log_session(relay, listener, path, 3);
    assert_int_equal(count_in_file(moved[0], " ended: "), 2);

    if (test_on_windows()) {
        print_message("not shown: no SIGHUP on Windows, `reopen` does the same\n");
        tell(relay, "reopen", 0, text);
    } else {
        assert_int_equal(rename(path, moved[1]), 0);
        assert_true(process_hang_up(relay->process));
        wait_file(path, " notice log file opened again\n");
        assert_int_equal(count_in_file(moved[1], " ended: "), 1);
    }
    log_session(relay, listener, path, 4);

    /* The directory is gone: nothing is lost. */
    assert_int_equal(rename(path, moved[2]), 0);
    test_remove_dir(dir);
    str_format(text, sizeof text, "%s could not be opened: %s; the old file stays in use\n",
               path, err_text(ERR_NOT_FOUND));
    tell(relay, "reopen", 1, text);
    wait_file(moved[2], " error log file could not be opened again: ");
    log_session(relay, listener, moved[2], 5);
    relay_end(relay);
    wait_file(moved[2], " notice stopped after ");
    char *errors = relay_log(relay); /* stderr has nothing of it */
    assert_string_equal(errors, "");
    free(errors);
    net_close(listener);
}

static void a_crash_is_the_last_line_of_the_log_and_of_stderr(void **state)
{
    if (test_under_sanitizer()) {
        print_message("not shown: a sanitizer has its own word on crashes\n");
        skip();
    }
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    const char *what = test_on_windows() ? " error crashed: exception 0xc0000005 (access "
                                         : " error crashed: SIGSEGV, sent by process ";
    char path[TEST_PATH_MAX], moved[TEST_PATH_MAX], text[2 * TEST_PATH_MAX];
    path_in(dir, "relay.log", path);
    path_in(dir, "relay.log.1", moved);
    str_format(text, sizeof text, "log_file = %s\n", path);
    const struct relay_setup setup = {
        .upstreams = &upstream, .upstream_count = 1, .relay_keys = text};
    struct relay_run *relay = relay_start(state, &setup);
    log_session(relay, listener, path, 1);
    assert_int_equal(rename(path, moved), 0);
    str_format(text, sizeof text, "log file %s is open again\n", path);
    tell(relay, "reopen", 0, text); /* the line goes to the file that is the log by then */
    wait_file(path, " notice log file opened again\n");

    int code = 0;
    assert_int_equal(process_crash(relay->process), ERR_OK);
    assert_true(process_wait(relay->process, NET_PATIENCE_MS, &code));
    if (!test_on_windows())
        assert_int_equal(code, 128 + 11); /* the signal had its way */
    assert_int_equal(count_in_file(path, what), 1);
    assert_int_equal(count_in_file(moved, what), 0);
    assert_int_equal(relay_count_log(relay, what), 1); /* which is stderr */
    net_close(listener);
}

static void a_log_file_that_cannot_be_opened_ends_the_start(void **state)
{
    (void)state;
    char config[TEST_PATH_MAX], path[TEST_PATH_MAX], text[4 * TEST_PATH_MAX], *output, *errors;
    path_in(dir2, "relay.log", path);
    test_remove_dir(dir2);
    path_in(dir, "relay.ini", config);
    str_format(text, sizeof text,
               "[relay]\nlog_file = %s\n"
               "[route test]\nlisten = 127.0.0.1:%u\nupstream = 127.0.0.1:9\n",
               path, (unsigned)net_free_port());
    assert_int_equal(test_write_file(config, text), ERR_OK);
    const char *args[] = {"run", "-c", config, NULL};
    assert_int_equal(run_pairport(dir, args, &output, &errors), 1);
    str_format(text, sizeof text,
               "%s:2: [relay] log_file: the folder '%s' does not exist; create it, or name "
               "another one\n",
               config, dir2);
    assert_string_equal(errors, text);
    assert_string_equal(output, "");
    free(output);
    free(errors);
}

/* The test and its relay run in another folder than that of the configuration. */
static void relative_files_are_beside_the_configuration(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    char path[TEST_PATH_MAX];
    const struct relay_setup setup = {
        .upstreams = &upstream,
        .upstream_count = 1,
        .relay_keys = "log_file = relative.log\nstate_file = relative.json\n"};
    struct relay_run *relay = relay_start(state, &setup);
    relay_path(relay, "relative.log", path);
    log_session(relay, listener, path, 1);
    relay_path(relay, "relative.json", path);
    wait_file(path, "\"pairport state\"");
    relay_end(relay);
    net_close(listener);
}

static void the_log_level_says_what_is_logged(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {.upstreams = &upstream,
                                      .upstream_count = 1,
                                      .relay_keys = "log_level = warning\nmax_sessions = 20\n"};
    struct relay_run *relay = relay_start(state, &setup);
    one_session(&relay->addr, listener);
    relay_wait_nothing_left(relay);
    tell(relay, "reopen", 0, "the log goes to stderr: there is no file to open again\n");
    tell(relay, "set log_level info", 0, "log level is now info, was warning\n");
    one_session(&relay->addr, listener);
    expect_log(relay, " info session 2 ended: ");
    assert_int_equal(relay_count_log(relay, " session 1 ended: "), 0);
    assert_int_equal(relay_count_log(relay, " notice "), 0);

    tell(relay, "set log_level error", 0, "log level is now error, was info\n");
    one_session(&relay->addr, listener);
    relay_wait_nothing_left(relay);
    json_t *info = relay_json(relay, "show info");
    assert_string_equal(json_text(info, "log_level"), "error");
    json_decref(info);
    relay_end(relay);
    assert_int_equal(relay_count_log(relay, " session 3 ended: "), 0);
    assert_int_equal(relay_count_log(relay, "stopped after"), 0);
    net_close(listener);
}

/* ---- the console's name ---- */

/* A second relay to the same upstream, with this [console] section. */
struct second {
    struct process *process;
    struct addr addr;
    char config[TEST_PATH_MAX];
};

static struct second start_second(const char *name, const char *console,
                                  const struct addr *upstream)
{
    char config[TEXT_MAX], file[64], text[ADDR_TEXT_MAX], where[ADDR_TEXT_MAX];
    struct second second = {.addr = net_loopback(ADDR_IPV4, net_free_port())};
    assert_int_not_equal(second.addr.port, 0);
    str_format(config, sizeof config,
               "[console]\n%s\n[route second]\nlisten = %s\nupstream = %s\n", console,
               addr_format(&second.addr, where), addr_format(upstream, text));
    str_format(file, sizeof file, "%s.ini", name);
    path_in(dir, file, second.config);
    assert_int_equal(test_write_file(second.config, config), ERR_OK);
    const char *args[] = {"run", "-c", second.config, NULL};
    second.process = start_pairport(dir, name, args, false);
    str_format(config, sizeof config, "route 'second': listens on %s, upstream ", where);
    assert_true(process_wait_errors(second.process, config, NET_PATIENCE_MS));
    return second;
}

static void end_second(struct second *second)
{
    int code = -1;
    assert_int_equal(process_stop(second->process), ERR_OK);
    assert_true(process_wait(second->process, NET_PATIENCE_MS, &code));
    assert_int_equal(code, 0);
    process_free(second->process);
}

/* The process that `pairport console` reaches with this configuration. */
static uint64_t reached_process(const char *config)
{
    const char *args[] = {"console", "-c", config, "show", "info", "json", NULL};
    char *output;
    assert_int_equal(run_pairport(dir, args, &output, NULL), 0);
    json_t *info = json_loads(output, 0, NULL);
    uint64_t id = json_number_at(info, "pid", 0);
    json_decref(info);
    free(output);
    return id;
}

static void a_relay_may_have_no_console(void **state)
{
    (void)state;
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct second second = start_second("none", "listen = none", &upstream);
    one_session(&second.addr, listener);
    assert_true(process_wait_errors(second.process, " session 1 ended: ", NET_PATIENCE_MS));

    char *output, *errors, expected[2 * TEST_PATH_MAX];
    const char *args[] = {"console", "-c", second.config, "show", "info", NULL};
    assert_int_equal(run_pairport(dir, args, &output, &errors), 1);
    str_format(expected, sizeof expected,
               "pairport: %s has 'listen = none' in [console]: its relay has no console but "
               "its own prompt\n",
               second.config);
    assert_string_equal(errors, expected);
    assert_string_equal(output, "");
    free(output);
    free(errors);
    errors = process_errors(second.process);
    assert_null(strstr(errors, "console: "));
    free(errors);
    end_second(&second);
    net_close(listener);
}

/* The line "name = ..." of the relay's configuration. */
static void console_name(const struct relay_run *relay, char line[TEXT_MAX])
{
    char *config = test_read_file(relay->config);
    const char *name = strstr(config, "name = ");
    assert_non_null(name);
    str_format(line, TEXT_MAX, "%.*s", (int)strcspn(name, "\n"), name);
    free(config);
}

static void a_second_relay_of_the_same_name_warns_and_goes_on(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    char name[TEXT_MAX];
    console_name(relay, name);
    struct second second = start_second("second", name, &upstream);
    assert_true(
        process_wait_errors(second.process,
                            " is in use by another relay; 'pairport console' cannot reach this "
                            "one until [console] has another 'name'\n",
                            NET_PATIENCE_MS));
    one_session(&second.addr, listener);
    one_session(&relay->addr, listener);
    assert_int_equal(reached_process(second.config), process_id(relay->process));
    end_second(&second);

    /* The first one's console is still its own. */
    assert_int_equal(relay_info(relay, "pid"), process_id(relay->process));
    relay_end(relay);
    net_close(listener);
}

static void a_relay_takes_over_the_name_of_one_that_was_killed(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    char name[TEXT_MAX];
    console_name(relay, name);
    process_kill(relay->process);
    assert_true(process_wait(relay->process, NET_PATIENCE_MS, NULL));
    relay->ended = true;

    struct second second = start_second("heir", name, &upstream);
    assert_true(process_wait_errors(second.process, " notice console: 'pairport console' ",
                                    NET_PATIENCE_MS));
    assert_int_equal(reached_process(second.config), process_id(second.process));
    end_second(&second);
    net_close(listener);
}

/* ---- standard streams ---- */

static void what_comes_from_a_pipe_is_not_read_as_commands(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {
        .upstreams = &upstream, .upstream_count = 1, .pipe_stdin = true};
    struct relay_run *relay = relay_start(state, &setup);
    assert_int_equal(process_write(relay->process, "shutdown now\n"), ERR_OK);
    one_session(&relay->addr, listener);
    process_end_input(relay->process);
    one_session(&relay->addr, listener);
    relay_wait_nothing_left(relay);
    assert_int_equal(relay_stat(relay, "sessions_ended_by_reason_total.client_fin"), 2);
    relay_end(relay);
    assert_int_equal(relay_count_log(relay, "shutdown"), 0);
    net_close(listener);
}

/* Nothing but the null device may have got their numbers: neither a socket, out of which the log
 * would come, nor what wakes a worker. */
static void expect_null_streams(struct relay_run *relay)
{
    char command[128], *output;
    unsigned long long id = process_id(relay->process);
    str_format(command, sizeof command,
               "readlink /proc/%llu/fd/0 /proc/%llu/fd/1 /proc/%llu/fd/2", id, id, id);
    const char *args[] = {"/bin/sh", "-c", command, NULL};
    const struct process_options options = {.args = args, .dir = dir, .name = "readlink"};
    assert_int_equal(process_run(&options, NET_PATIENCE_MS, &output, NULL), 0);
    assert_string_equal(output, "/dev/null\n/dev/null\n/dev/null\n");
    free(output);
}

static void a_relay_without_standard_streams_relays(void **state)
{
    enum { SESSIONS = 20 };
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {.upstreams = &upstream,
                                      .upstream_count = 1,
                                      .relay_keys = "log_level = debug\n",
                                      .no_streams = true};
    struct relay_run *relay = relay_start(state, &setup);
    struct session sessions[SESSIONS];
    for (unsigned i = 0; i < SESSIONS; i++)
        sessions[i] = session_open(&relay->addr, listener);
    for (unsigned i = 0; i < SESSIONS; i += 2)
        session_end(&sessions[i]); /* each with a line of the log */
    for (unsigned i = 1; i < SESSIONS; i += 2) {
        session_check(&sessions[i]);
        session_end(&sessions[i]);
    }
    relay_wait_nothing_left(relay);
    /* Windows has no numbers that are given out again. */
    if (!test_on_windows())
        expect_null_streams(relay);
    relay_end(relay);
    net_close(listener);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_dirs, tear_down)

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        TEST(a_log_that_was_moved_away_is_opened_again),
        TEST(a_crash_is_the_last_line_of_the_log_and_of_stderr),
        TEST(a_log_file_that_cannot_be_opened_ends_the_start),
        TEST(relative_files_are_beside_the_configuration),
        TEST(the_log_level_says_what_is_logged),
        TEST(a_relay_may_have_no_console),
        TEST(a_second_relay_of_the_same_name_warns_and_goes_on),
        TEST(a_relay_takes_over_the_name_of_one_that_was_killed),
        TEST(what_comes_from_a_pipe_is_not_read_as_commands),
        TEST(a_relay_without_standard_streams_relays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
