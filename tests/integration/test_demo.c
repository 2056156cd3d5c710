/* `pairport demo`: an echo server behind a route, for whoever tries the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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
#define CMD      "C:\\windows\\system32\\cmd.exe"

static char dir[TEST_PATH_MAX];   /* of the console's socket */
static char files[TEST_PATH_MAX]; /* of the programs' outputs */

static int make_dirs(void **state)
{
    (void)state;
    return test_make_dir(dir) == ERR_OK && test_make_dir(files) == ERR_OK ? 0 : -1;
}

static int remove_dirs(void **state)
{
    (void)state;
    char place[TEST_PATH_MAX]; /* which the program has made for the socket */
    path_in(dir, "pairport", place);
    test_remove_dir(place);
    test_remove_dir(dir);
    test_remove_dir(files);
    return 0;
}

/* The name of the demo's console is always the same: on Linux it gets a directory of its own,
 * so that another demo on this machine does not disturb. */
static void add_own_place(const char *args[RELAY_WORDS_MAX], size_t *count,
                          char place[TEST_PATH_MAX + 32], char program[TEST_PATH_MAX])
{
    if (!test_on_windows()) {
        str_format(place, TEST_PATH_MAX + 32, "XDG_RUNTIME_DIR=%s", dir);
        args[(*count)++] = "/usr/bin/env";
        args[(*count)++] = place;
    }
    pairport_path(program);
    args[(*count)++] = program;
}

static struct process *start_demo(const char *name, const char *listen)
{
    const char *args[RELAY_WORDS_MAX];
    char place[TEST_PATH_MAX + 32], program[TEST_PATH_MAX];
    size_t count = 0;
    add_own_place(args, &count, place, program);
    args[count++] = "demo";
    args[count++] = "--listen";
    args[count++] = listen;
    args[count] = NULL;
    const struct process_options options = {.args = args, .dir = files, .name = name};
    struct process *process;
    assert_int_equal(process_start(&process, &options), ERR_OK);
    return process;
}

static int demo_console(const char *one, const char *two, const char *three, char **output)
{
    const char *args[RELAY_WORDS_MAX] = {NULL};
    char place[TEST_PATH_MAX + 32], program[TEST_PATH_MAX];
    size_t count = 0;
    add_own_place(args, &count, place, program);
    args[count++] = "console";
    args[count++] = "--name";
    args[count++] = "demo";
    args[count++] = one;
    args[count++] = two;
    args[count++] = three;
    const struct process_options options = {.args = args, .dir = files, .name = "console"};
    return process_run(&options, NET_PATIENCE_MS, output, NULL);
}

static void the_demo_echoes_shows_its_sessions_and_stops(void **state)
{
    (void)state;
    struct addr addr = net_loopback(ADDR_IPV4, net_free_port());
    char text[ADDR_TEXT_MAX], port[16], line[128], *output;
    str_format(port, sizeof port, "%u", (unsigned)addr.port);
    str_format(line, sizeof line, "The route 'demo' in front of it listens on %s.\n",
               addr_format(&addr, text));
    struct process *demo = start_demo("demo", port); /* a port alone is one of this machine */
    assert_true(process_wait_output(demo, line, NET_PATIENCE_MS));

    sock_t client = connect_client(&addr);
    send_bytes(client, 20000);
    expect_bytes(client, 20000);
    assert_int_equal(demo_console("show", "sessions", "json", &output), 0);
    json_t *root = json_loads(output, 0, NULL);
    const json_t *session = find_session(root, client);
    assert_string_equal(json_text(session, "route"), "demo");
    assert_int_equal(json_number_at(session, "bytes_up_total", 0), 20000);
    assert_int_equal(json_number_at(session, "bytes_down_total", 0), 20000);
    json_decref(root);
    free(output);
    net_finish(client);
    expect_end(client, NET_END_FIN, 0);
    net_close(client);

    int code = -1;
    assert_int_equal(process_stop(demo), ERR_OK);
    assert_true(process_wait(demo, NET_PATIENCE_MS, &code));
    assert_int_equal(code, 0);
    char *errors = process_errors(demo);
    assert_non_null(strstr(errors, " session 1 ended: route='demo' "));
    assert_non_null(strstr(errors, " reason=client_fin phase=data bytes_up=20000 "
                                   "bytes_down=20000 "));
    free(errors);
    process_free(demo);
}

static void the_demo_stops_by_its_console_with_a_session_open(void **state)
{
    (void)state;
    struct addr addr = net_loopback(ADDR_IPV4, net_free_port());
    char text[ADDR_TEXT_MAX], *output;
    struct process *demo = start_demo("demo", addr_format(&addr, text));
    assert_true(process_wait_output(demo, "`shutdown` or Ctrl-C stops it.\n", NET_PATIENCE_MS));
    sock_t client = connect_client(&addr);
    send_bytes(client, 100);
    expect_bytes(client, 100);
    assert_int_equal(demo_console("shutdown", "now", NULL, &output), 0);
    assert_string_equal(output, "stopping now\n");
    free(output);
    expect_end(client, NET_END_RESET, 0);
    net_close(client);
    int code = -1;
    assert_true(process_wait(demo, NET_PATIENCE_MS, &code));
    assert_int_equal(code, 0);
    process_free(demo);
}

static void a_demo_whose_port_is_taken_says_what_to_do(void **state)
{
    (void)state;
    static const char hint[] =
        "pairport: 'pairport demo --listen ADDRESS:PORT' listens elsewhere\n";
    struct addr taken;
    sock_t owner = upstream_listen(ADDR_IPV4, &taken);
    char text[ADDR_TEXT_MAX], line[TEXT_MAX];
    struct process *demo = start_demo("taken", addr_format(&taken, text));
    int code = -1;
    assert_true(process_wait(demo, NET_PATIENCE_MS, &code));
    assert_int_equal(code, 1);
    char *errors = process_errors(demo), *output = process_output(demo);
    str_format(line, sizeof line, " error route 'demo': listen %s: %s", text,
               err_text(ERR_IN_USE));
    assert_non_null(strstr(errors, line));
    assert_true(strlen(errors) > strlen(hint));
    assert_string_equal(errors + strlen(errors) - strlen(hint), hint); /* its last line */
    assert_string_equal(output, "");
    free(errors);
    free(output);
    process_free(demo);
    net_close(owner);
}

/* Types a line into the system's shell, whose answer holds `text`. */
static void paste(const char *line, const char *text)
{
    const char *args[RELAY_WORDS_MAX];
    char place[TEST_PATH_MAX + 32], program[TEST_PATH_MAX];
    size_t count = 0;
    add_own_place(args, &count, place, program);
    args[count - 1] = test_on_windows() ? CMD : "/bin/sh";
    args[count] = NULL;
    const struct process_options options = {
        .args = args, .dir = files, .name = "shell", .pipe_stdin = true};
    struct process *shell;
    assert_int_equal(process_start(&shell, &options), ERR_OK);
    assert_int_equal(process_write(shell, line), ERR_OK);
    process_end_input(shell);
    assert_true(process_wait(shell, NET_PATIENCE_MS, NULL));
    char *output = process_output(shell);
    if (strstr(output, text) == NULL)
        fail_msg("'%s' gives: %s", line, output);
    free(output);
    process_free(shell);
}

/* "COMMAND "ONE" "TWO"" in that shell. */
static void paste_on(const char *command, const char *one, const char *two)
{
    char line[3 * TEST_PATH_MAX];
    str_format(line, sizeof line, two == NULL ? "%s \"%s\"\n" : "%s \"%s\" \"%s\"\n", command,
               one, two);
    paste(line, "");
}

/* Starts the program in a folder whose name needs quotes, where a shell finds no program but those
 * of `path`. */
static struct process *start_elsewhere(const char *folder, const char *path, const char *listen)
{
    const char *args[RELAY_WORDS_MAX];
    char place[TEST_PATH_MAX + 32], paths[TEST_PATH_MAX + 8], program[TEST_PATH_MAX],
        copy[TEST_PATH_MAX];
    size_t count = 0;
    add_own_place(args, &count, place, program);
    str_format(paths, sizeof paths, "PATH=%s", path);
    path_in(folder, test_on_windows() ? "pairport.exe" : "pairport", copy);
    paste_on("mkdir", folder, NULL);
    paste_on(test_on_windows() ? "copy" : "cp", program, copy);
    count--;
    if (!test_on_windows())
        args[count++] = paths;
    args[count++] = copy;
    args[count++] = "demo";
    args[count++] = "--listen";
    args[count++] = listen;
    args[count] = NULL;
    const struct process_options options = {.args = args, .dir = files, .name = "elsewhere"};
    struct process *process;
    assert_int_equal(process_start(&process, &options), ERR_OK);
    assert_true(
        process_wait_output(process, "`shutdown` or Ctrl-C stops it.\n", NET_PATIENCE_MS));
    return process;
}

static void what_the_demo_prints_can_be_pasted(void **state)
{
    (void)state;
    static const char before[] = "\nWho is connected:\n\n    ";
    struct addr addr = net_loopback(ADDR_IPV4, net_free_port());
    char folder[TEST_PATH_MAX], text[ADDR_TEXT_MAX], line[TEST_PATH_MAX + 64];
    path_in(files, "it's a place", folder);
    struct process *demo = start_elsewhere(folder, "/nowhere", addr_format(&addr, text));
    char *output = process_output(demo);
    const char *at = strstr(output, before);
    assert_non_null(at);
    at += strlen(before);
    str_format(line, sizeof line, "%.*s\n", (int)strcspn(at, "\r\n"), at);
    paste(line, "no session is open");
    assert_null(strstr(output, "pairload")); /* it is not there */
    if (!test_on_windows())
        assert_non_null(strstr(output, "install nc, ncat or curl, which are\nmissing here"));
    free(output);
    assert_int_equal(demo_console("shutdown", "now", NULL, NULL), 0);
    assert_true(process_wait(demo, NET_PATIENCE_MS, NULL));
    process_free(demo);
    test_remove_dir(folder);
}

static void a_client_that_is_installed_is_named(void **state)
{
    (void)state;
    struct addr addr = net_loopback(ADDR_IPV4, net_free_port());
    char folder[TEST_PATH_MAX], tools[TEST_PATH_MAX], text[ADDR_TEXT_MAX], line[TEXT_MAX];
    if (test_on_windows())
        return; /* its PATH is that of the tests */
    path_in(files, "x", folder);
    path_in(dir, "nc", tools);
    paste_on("cp", "/bin/sh", tools);
    struct process *demo = start_elsewhere(folder, dir, addr_format(&addr, text));
    char *output = process_output(demo);
    str_format(line, sizeof line, "\nWhat you type comes back:\n\n    nc 127.0.0.1 %u\n",
               (unsigned)addr.port);
    assert_non_null(strstr(output, line));
    free(output);
    assert_int_equal(demo_console("shutdown", "now", NULL, NULL), 0);
    assert_true(process_wait(demo, NET_PATIENCE_MS, NULL));
    process_free(demo);
    test_remove_dir(folder);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_dirs, remove_dirs)

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        TEST(the_demo_echoes_shows_its_sessions_and_stops),
        TEST(the_demo_stops_by_its_console_with_a_session_open),
        TEST(what_the_demo_prints_can_be_pasted),
        TEST(a_client_that_is_installed_is_named),
        TEST(a_demo_whose_port_is_taken_says_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
