/* The program as a command: what it prints, and with which exit code it ends. */
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
#include "support/platform.h"
#include "support/process.h"

static char dir[TEST_PATH_MAX];

static int make_dir(void **state)
{
    (void)state;
    return test_make_dir(dir) == ERR_OK ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    test_remove_dir(dir);
    return 0;
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Runs the program and compares both outputs; NULL is not compared. */
static void expect_run(const char *const *args, int code, const char *output,
                       const char *errors)
{
    char *out, *err;
    int ended = run_pairport(dir, args, &out, &err);
    if (errors != NULL)
        assert_string_equal(err, errors);
    if (output != NULL)
        assert_string_equal(out, output);
    assert_int_equal(ended, code);
    free(out);
    free(err);
}

static char *output_of(const char *const *args)
{
    char *out, *err;
    assert_int_equal(run_pairport(dir, args, &out, &err), 0);
    assert_string_equal(err, "");
    free(err);
    return out;
}

static void expect_start(const char *text, const char *start)
{
    if (strncmp(text, start, strlen(start)) != 0)
        fail_msg("'%s' does not begin with '%s'", text, start);
}

/* ---- version, help, usage ---- */

static void version_names_the_program_the_backend_and_the_system(void **state)
{
    (void)state;
    char expected[256], *out = output_of(ARGS("version"));
    str_format(expected, sizeof expected, "pairport " PAIRPORT_VERSION " (%s) on %s\n",
               test_on_windows() ? "iocp" : "epoll", os_name());
    assert_string_equal(out, expected);
    free(out);
    expect_run(ARGS("--version"), 0, expected, "");
}

static void help_explains_every_command(void **state)
{
    (void)state;
    static const char *const commands[] = {"run",  "check",   "console",
                                           "demo", "version", "help"};
    char *list = output_of(ARGS("help"));
    expect_start(list, "pairport " PAIRPORT_VERSION ", ");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        char line[64];
        str_format(line, sizeof line, "\n  %-9s  ", commands[i]);
        assert_non_null(strstr(list, line));
        if (strcmp(commands[i], "help") == 0)
            continue;
        char *text = output_of(ARGS("help", commands[i]));
        str_format(line, sizeof line, "usage: pairport %s%s",
                   strcmp(commands[i], "run") == 0 ? "[run]" : commands[i],
                   strcmp(commands[i], "version") == 0 ? "\n" : " ");
        expect_start(text, line);
        expect_run(ARGS(commands[i], "--help"), 0, text, "");
        expect_run(ARGS(commands[i], "-h"), 0, text, "");
        free(text);
    }
    expect_run(ARGS("--help"), 0, list, "");
    expect_run(ARGS("-h"), 0, list, "");
    expect_run(ARGS("help", "help"), 0, list, "");
    free(list);
}

static void wrong_usage_ends_with_2_and_says_what_is_right(void **state)
{
    (void)state;
    expect_run(ARGS("chekc"), 2, "",
               "pairport: unknown command 'chekc'; did you mean 'check'?\n"
               "Try 'pairport help'.\n");
    expect_run(ARGS("check", "-x"), 2, "",
               "pairport: 'check' does not know the option '-x'; usage: pairport check [-c "
               "FILE]\nTry 'pairport help'.\n");
    expect_run(ARGS("run", "--name", "x"), 2, "",
               "pairport: 'run' takes no option '--name'; usage: pairport [run] [-c FILE] "
               "[--takeover]\n"
               "Try 'pairport help'.\n");
    expect_run(ARGS("check", "-c"), 2, "",
               "pairport: --config needs FILE\nTry 'pairport help'.\n");
    expect_run(
        ARGS("-c", "pairport.ini", "more"), 2, "",
        "pairport: 'run' does not take 'more'; usage: pairport [run] [-c FILE] [--takeover]\n"
        "Try 'pairport help'.\n");
    expect_run(ARGS("help", "nothing"), 2, "",
               "pairport: there is no command 'nothing'; 'pairport help' lists them\n");
    expect_run(ARGS("demo", "--listen", "anywhere"), 2, "",
               "pairport: --listen takes ADDRESS:PORT or a port, as in 127.0.0.1:8000 or 8000, "
               "not 'anywhere'\n");
}

/* ---- check ---- */

/* Writes a file and gives its path. */
static void write_config(const char *name, const char *text, char path[TEST_PATH_MAX])
{
    path_in(dir, name, path);
    assert_int_equal(test_write_file(path, text), ERR_OK);
}

static void check_prints_the_routes_of_a_good_file(void **state)
{
    (void)state;
    char path[TEST_PATH_MAX], expected[2 * TEST_PATH_MAX];
    write_config("good.ini",
                 "[relay]\n"
                 "workers = 2\n"
                 "[defaults]\n"
                 "max_sessions = 12\n"
                 "[route lobby]\n"
                 "listen = *:7777\n"
                 "listen = [2001:db8::1]:7779 ; IPv6 for those who have it\n"
                 "upstream = 10.0.0.5:7000\n"
                 "[route world-1]\n"
                 "listen = 192.0.2.1:7778\n"
                 "upstream = game.example.com:7000\n"
                 "upstream = [2001:db8::5]:7000\n"
                 "max_sessions = 5000\n",
                 path);
    str_format(expected, sizeof expected,
               "ROUTE    LISTEN              UPSTREAM               MAX SESSIONS\n"
               "lobby    *:7777              10.0.0.5:7000                    12\n"
               "         [2001:db8::1]:7779\n"
               "world-1  192.0.2.1:7778      game.example.com:7000          5000\n"
               "                             [2001:db8::5]:7000\n"
               "at present: route 'lobby': listen [2001:db8::1]:7779: %s\n"
               "at present: route 'world-1': listen 192.0.2.1:7778: %s\n"
               "%s is fine: 2 routes\n",
               err_text(ERR_NO_ADDRESS), err_text(ERR_NO_ADDRESS), path);
    expect_run(ARGS("check", "-c", path), 0, expected, "");
    expect_run(ARGS("check", "--config", path), 0, expected, "");
}

/* Every mistake stands with its line, all of them in one go, and `run` says the same. */
static void check_warns_of_ports_that_connections_may_take(void **state)
{
    (void)state;
    char path[TEST_PATH_MAX], text[512], expected[TEST_PATH_MAX + 128], *err;
    uint16_t first = 0, last = 0;
    if (!os_ephemeral_overlap(1, UINT16_MAX, &first, &last) || first < 3)
        skip(); /* this system does not tell, or gives all of them */
    str_format(text, sizeof text,
               "[route below]\nlisten = 127.0.0.1:%u\nupstream = 10.0.0.5:7000\n"
               "[route across]\nlisten = 127.0.0.1:%u-%u\nupstream = 10.0.0.5:7000\n",
               first - 2U, first - 1U, (unsigned)first);
    write_config("ports.ini", text, path);
    assert_int_equal(run_pairport(dir, ARGS("check", "-c", path), NULL, &err), 0);
    str_format(expected, sizeof expected,
               "%s:5: warning: [route across] listen: 127.0.0.1:%u-%u reaches into the ports "
               "%u-%u,",
               path, first - 1U, (unsigned)first, (unsigned)first, (unsigned)last);
    expect_start(err, expected);
    assert_null(strstr(err, "[route below]"));
    free(err);
}

static void check_reports_every_mistake_of_a_bad_file(void **state)
{
    (void)state;
    static const char config[] = "[relay]\n"
                                 "workerz = 2\n"
                                 "max_sessions = 0\n"
                                 "stop_timeout = 30\n"
                                 "[bogus]\n"
                                 "x = 1\n"
                                 "[route a]\n"
                                 "listen = 127.0.0.1:7000\n"
                                 "[route b]\n"
                                 "listen = 127.0.0.1:7000\n"
                                 "upstream = 10.0.0.1\n"
                                 "nodelay = maybe\n";
    static const char *const messages[] = {
        "2: [relay]: unknown key 'workerz'; did you mean 'workers'?",
        "3: [relay] max_sessions: '0' is out of range; allowed is 1 to 1000000",
        "4: [relay] stop_timeout: '30' has no unit; write it with one, such as 30s (units: ms "
        "s m h d; allowed: 0 to 1d)",
        "5: unknown section 'bogus'; sections are [relay], [console], [defaults] and [route "
        "NAME]",
        "7: [route a] has no upstream; add a line such as 'upstream = 10.0.0.5:7000'",
        "10: [route b] listen: 127.0.0.1:7000 is taken by [route a] in line 8; each address "
        "can be there once",
        "11: [route b] upstream: '10.0.0.1' has no port; write HOST:PORT, such as "
        "10.0.0.5:7000",
        "12: [route b] nodelay: 'maybe' is neither yes nor no; write one of them",
    };
    char path[TEST_PATH_MAX];
    write_config("bad.ini", config, path);
    struct str expected;
    str_init(&expected);
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++)
        str_addf(&expected, "%s:%s\n", path, messages[i]);
    assert_false(expected.failed);
    expect_run(ARGS("check", "-c", path), 1, "", expected.data);
    expect_run(ARGS("run", "-c", path), 1, "", expected.data);
    expect_run(ARGS("-c", path), 1, "", expected.data);
    str_free(&expected);
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    char path[TEST_PATH_MAX], expected[2 * TEST_PATH_MAX];
    path_in(dir, "missing.ini", path);
    str_format(expected, sizeof expected,
               "%s: there is no such file; name another one with -c FILE\n", path);
    expect_run(ARGS("check", "-c", path), 1, "", expected);
    expect_run(ARGS("run", "-c", path), 1, "", expected);

    char *err;
    assert_int_equal(run_pairport(dir, ARGS("check", "-c", dir), NULL, &err), 1);
    expect_start(err, dir);
    free(err);
}

static void every_file_that_comes_along_is_fine(void **state)
{
    (void)state;
    char files[] = PAIRPORT_CONF_FILES, name[TEST_PATH_MAX], path[TEST_PATH_MAX];
    unsigned count = 0;
    for (char *file = strtok(files, "|"); file != NULL; file = strtok(NULL, "|")) {
        str_format(name, sizeof name, PAIRPORT_CONF_DIR "/%s", file);
        test_program_path(name, path);
        char *out = output_of(ARGS("check", "-c", path)), fine[TEST_PATH_MAX + 64];
        str_format(fine, sizeof fine, "\n%s is fine: ", path);
        assert_non_null(strstr(out, fine));
        expect_start(out, "ROUTE ");
        free(out);
        count++;
    }
    assert_true(count >= 2); /* minimal.ini and pairport.ini */
}

/* ---- names that are not ASCII ---- */

/* Portuguese, Chinese, and one beyond the first 65,536 characters. */
#define FAR_NAME "configura\xc3\xa7\xc3\xa3o \xe9\x85\x8d\xe7\xbd\xae \xf0\x9f\x8e\xae"

static void a_configuration_may_have_any_name(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream); /* for its configuration */
    char *config = test_read_file(relay->config);
    relay_end(relay);

    char path[TEST_PATH_MAX], log[TEST_PATH_MAX], expected[2 * TEST_PATH_MAX];
    path_in(dir, FAR_NAME ".log", log);
    struct str text;
    str_init(&text);
    static const char first[] = "[relay]\n"; /* the line that it begins with */
    expect_start(config, first);
    str_addf(&text, "%slog_file = %s\n%s", first, log, config + strlen(first));
    write_config(FAR_NAME ".ini", text.data, path);
    str_free(&text);
    free(config);
    char *out = output_of(ARGS("check", "-c", path));
    str_format(expected, sizeof expected, "\n%s is fine: 1 route\n", path);
    assert_non_null(strstr(out, expected));
    free(out);

    struct process *process = start_pairport(dir, "far", ARGS("run", "-c", path), false);
    uint64_t start = os_mono_ms();
    while (run_pairport(dir, ARGS("console", "-c", path, "show", "info"), NULL, NULL) != 0)
        assert_true(os_mono_ms() - start < NET_PATIENCE_MS);
    out = output_of(ARGS("console", "-c", path, "show", "info", "json"));
    json_t *info = json_loads(out, 0, NULL);
    assert_string_equal(json_text(info, "config_file"), path);
    assert_string_equal(json_text(info, "log_file"), log);
    json_decref(info);
    free(out);
    struct session session = session_open(&relay->addr, listener);
    session_check(&session);
    session_end(&session);

    int code = -1;
    assert_int_equal(process_stop(process), ERR_OK);
    assert_true(process_wait(process, NET_PATIENCE_MS, &code));
    assert_int_equal(code, 0);
    process_free(process);
    char *logged = test_read_file(log);
    assert_non_null(logged);
    str_format(expected, sizeof expected, " notice configuration %s", path);
    assert_non_null(strstr(logged, expected));
    assert_non_null(strstr(logged, " ended: route='test' "));
    free(logged);
    net_close(listener);
}

static int end_far_name(void **state)
{
    remove_dir(state);
    return relay_teardown(state);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(version_names_the_program_the_backend_and_the_system,
                                        make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(help_explains_every_command, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(wrong_usage_ends_with_2_and_says_what_is_right,
                                        make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(check_prints_the_routes_of_a_good_file, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(check_warns_of_ports_that_connections_may_take,
                                        make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(check_reports_every_mistake_of_a_bad_file, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_read_is_named, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(every_file_that_comes_along_is_fine, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_configuration_may_have_any_name, make_dir,
                                        end_far_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
