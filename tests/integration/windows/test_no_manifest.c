/* The program as Windows before 10 1903 runs it, which knows no UTF-8 manifest: one that was built
 * without. Its files have names that no code page but UTF-8 can tell. */
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

#define NAME                                                                                   \
    "gr\xC3\xB6\xC3\x9F"                                                                       \
    "e-\xE6\x97\xA5\xE6\x9C\xAC-\xD0\xB6"

static char dir[TEST_PATH_MAX], config[TEST_PATH_MAX], log_file[TEST_PATH_MAX];
static const char *program = PAIRPORT_PLAIN;
static struct addr at;

static int write_files(void **state)
{
    (void)state;
    char text[4 * TEST_PATH_MAX], list[TEST_PATH_MAX], listen[ADDR_TEXT_MAX];
    if (test_make_dir(dir) != ERR_OK)
        return -1;
    path_in(dir, NAME ".ini", config);
    path_in(dir, NAME ".log", log_file);
    path_in(dir, NAME ".txt", list);
    at = net_loopback(ADDR_IPV4, net_free_port());
    str_format(text, sizeof text,
               "[relay]\nlog_file = %s\n[console]\nlisten = none\n"
               "[route test]\nlisten = %s\nupstream = 127.0.0.1:9\ndeny = @%s\n",
               log_file, addr_format(&at, listen), list);
    bool written = test_write_file(config, text) == ERR_OK &&
                   test_write_file(list, "192.0.2.0/24\n") == ERR_OK;
    return written ? 0 : -1;
}

static int remove_files(void **state)
{
    (void)state;
    test_remove_dir(dir);
    return 0;
}

static void check_reads_files_with_any_name(void **state)
{
    (void)state;
    char path[TEST_PATH_MAX], expected[TEST_PATH_MAX + 64], *output, *errors;
    test_program_path(program, path);
    const char *args[] = {path, "check", "-c", config, NULL};
    const struct process_options options = {.args = args, .dir = dir, .name = "check"};
    int code = process_run(&options, NET_PATIENCE_MS, &output, &errors);
    str_format(expected, sizeof expected, "%s is fine: 1 route\n", config);
    if (code != 0 || strstr(output, expected) == NULL)
        fail_msg("exit code %d: %s%s", code, output, errors);
    free(output);
    free(errors);
}

static void the_log_may_have_any_name(void **state)
{
    (void)state;
    char path[TEST_PATH_MAX];
    test_program_path(program, path);
    const char *args[] = {path, "run", "-c", config, NULL};
    const struct process_options options = {.args = args, .dir = dir, .name = "relay"};
    struct process *process;
    assert_int_equal(process_start(&process, &options), ERR_OK);
    sock_t client = SOCK_NONE;
    uint64_t begun = os_mono_ms();
    while (net_connect(&at, NET_PATIENCE_MS, &client) != ERR_OK) {
        assert_in_range(os_mono_ms() - begun, 0, NET_PATIENCE_MS);
        assert_false(process_wait(process, 10, NULL));
    }
    net_close(client);
    int code = -1;
    assert_int_equal(process_stop(process), ERR_OK);
    assert_true(process_wait(process, NET_PATIENCE_MS, &code));
    assert_int_equal(code, 0);
    process_free(process);
    char *text = test_read_file(log_file);
    assert_non_null(text);
    assert_non_null(strstr(text, NAME ".ini")); /* where the configuration is */
    assert_non_null(strstr(text, "stopped after"));
    free(text);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(check_reads_files_with_any_name, write_files,
                                        remove_files),
        cmocka_unit_test_setup_teardown(the_log_may_have_any_name, write_files, remove_files),
    };
    return cmocka_run_group_tests_name("no_manifest", tests, NULL, NULL);
}
