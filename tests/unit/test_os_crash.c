/* test_os_crash.c - the last line of a program that crashes. The program is this one, started again
 * with the way in which it is to end. */
#include <assert.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"
#include "os/crash.h"
#include "os/os.h"
#include "support/platform.h"
#include "support/process.h"

enum { PATIENCE_MS = 60000 };

/* ---- the program that crashes ---- */

static volatile uintptr_t nowhere = 16;
static volatile int depth;

static void touch_nothing(void *arg)
{
    (void)arg;
    *(volatile char *)nowhere = 1;
}

static void exhaust_the_stack(void *arg)
{
    volatile char some[4096];
    some[0] = (char)depth++;
    if (depth > 0) /* always */
        exhaust_the_stack(arg);
    some[1] = some[0];
}

static void undo(void)
{
    fputs("undone\n", stdout);
    fflush(stdout);
}

static void in_thread(void (*body)(void *arg))
{
    struct os_thread *thread;
    if (os_thread_start(&thread, "crasher", body, NULL) == ERR_OK)
        os_thread_join(thread);
}

/* argv: how, log file. */
static int crash(const char *how, const char *log)
{
    FILE *file;
    if (os_file_open(&file, log, "ab") != ERR_OK)
        return 3;
    crash_log_to(file);
    crash_undo(undo);
    if (strcmp(how, "touch") == 0)
        touch_nothing(NULL);
    else if (strcmp(how, "touch in a thread") == 0)
        in_thread(touch_nothing);
    else if (strcmp(how, "exhaust") == 0)
        exhaust_the_stack(NULL);
    else if (strcmp(how, "exhaust in a thread") == 0)
        in_thread(exhaust_the_stack);
    else if (strcmp(how, "abort") == 0)
        abort();
    else if (strcmp(how, "assert") == 0)
        assert(how == NULL && "of the test");
    return 4; /* it did not crash */
}

/* ---- the tests ---- */

static char dir[TEST_PATH_MAX];
static const char *self;

/* The text holds it once. */
static const char *expect_once(const char *text, const char *part)
{
    const char *found = strstr(text, part);
    if (found == NULL || strstr(found + 1, part) != NULL)
        fail_msg("not once in '%s': %s", text, part);
    return found;
}

/* Runs it, and expects the line at both places. */
static void expect_line(const char *how, const char *part, const char *second_part)
{
    if (test_under_sanitizer()) {
        print_message("not shown: a sanitizer has its own word on crashes\n");
        skip();
    }
    char log[TEST_PATH_MAX];
    char *output, *errors;
    str_format(log, sizeof log, "%s/log", dir);
    const char *args[] = {self, how, log, NULL};
    const struct process_options options = {.args = args, .dir = dir, .name = "crash"};
    int code = process_run(&options, PATIENCE_MS, &output, &errors);
    char *logged = test_read_file(log);
    assert_non_null(logged);
    assert_int_not_equal(code, 3);
    assert_int_not_equal(code, 4);
    assert_non_null(strstr(output, "undone"));
    const char *texts[] = {errors, logged};
    for (size_t i = 0; i < 2; i++) {
        const char *line = expect_once(texts[i], " error crashed: ");
        assert_non_null(strstr(line, part));
        assert_non_null(strstr(line, second_part));
        assert_non_null(strchr(line, '\n'));
        assert_int_equal(line[-1], 'Z'); /* of the time */
    }
    if (!test_on_windows())
        assert_in_range(code, 128, 255); /* by a signal, as if nobody had looked */
    else
        assert_int_not_equal(code, 0);
    free(output);
    free(errors);
    free(logged);
    assert_int_equal(os_file_remove(log), ERR_OK);
}

static const char *place(void)
{
    return test_on_windows() ? " at test_os_crash.exe+0x" : " at test_os_crash+0x";
}

static const char *fault(void)
{
    return test_on_windows() ? "exception 0xc0000005 (access violation)" : "SIGSEGV";
}

static void a_bad_access_is_told_with_its_place_and_address(void **state)
{
    (void)state;
    expect_line("touch", fault(), place());
    expect_line("touch", "address 0x10", place());
}

static void so_is_one_in_another_thread(void **state)
{
    (void)state;
    expect_line("touch in a thread", fault(), place());
}

static void a_stack_that_overflows_is_told(void **state)
{
    (void)state;
    const char *what = test_on_windows() ? "(stack overflow)" : "SIGSEGV";
    if (test_on_wine()) {
        print_message("not shown: Wine leaves no stack for the filter\n");
        skip();
    }
    expect_line("exhaust", what, place());
    expect_line("exhaust in a thread", what, place());
}

static void an_abort_is_told(void **state)
{
    (void)state;
    expect_line("abort", test_on_windows() ? "abort was called" : "SIGABRT", "");
}

static void a_failed_assert_is_told_with_its_line_and_once(void **state)
{
    (void)state;
    expect_line("assert", "assertion failed: how == NULL && \"of the test\", ",
                "test_os_crash.c:");
}

int main(int argc, char *argv[])
{
    os_init();
    if (argc == 3)
        return crash(argv[1], argv[2]);
    self = argv[0];
    if (test_make_dir(dir) != ERR_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_access_is_told_with_its_place_and_address),
        cmocka_unit_test(so_is_one_in_another_thread),
        cmocka_unit_test(a_stack_that_overflows_is_told),
        cmocka_unit_test(an_abort_is_told),
        cmocka_unit_test(a_failed_assert_is_told_with_its_line_and_once),
    };
    int code = cmocka_run_group_tests_name("os_crash", tests, NULL, NULL);
    test_remove_dir(dir);
    return code;
}
