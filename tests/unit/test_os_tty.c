/* test_os_tty.c - input and output of the prompt without a terminal, and signals.
 *
 * Both belong to the whole process, so the test runs itself as a child and plays its parent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/os.h"
#include "os/signals.h"
#include "os/tty.h"
#include "support/platform.h"
#include "support/process.h"

enum { PATIENCE_MS = 60000, MUCH = 300000 };

static char dir[TEST_PATH_MAX];

/* ---- the child ---- */

static void say(const char *text)
{
    tty_write(text, strlen(text));
}

static void wake_soon(void *arg)
{
    (void)arg;
    os_sleep_ms(30); /* so that the read has begun, as a rule; before it is right as well */
    tty_wake();
}

/* Says what it reads. "wake" wakes the next read, twice; "wake soon" the running one. */
static int run_reader(void)
{
    char buf[64];
    struct os_thread *thread = NULL;
    str_format(buf, sizeof buf, "in %d out %d columns %u raw %s\n", tty_is_terminal_in(),
               tty_is_terminal_out(), tty_columns(), err_word(tty_enter_raw()));
    tty_leave_raw();
    say(buf);
    for (;;) {
        char line[128];
        size_t got = 0;
        enum err err = tty_read(buf, sizeof buf, &got);
        if (err == ERR_OK)
            str_format(line, sizeof line, "got '%.*s'\n", (int)got, buf);
        else
            str_format(line, sizeof line, "%s\n", err_word(err));
        say(line);
        if (err == ERR_CLOSED)
            break;
        if (err == ERR_OK && got == 4 && memcmp(buf, "wake", 4) == 0) {
            tty_wake();
            tty_wake();
        }
        if (err == ERR_OK && got == 9 && memcmp(buf, "wake soon", 9) == 0 &&
            os_thread_start(&thread, "wake", wake_soon, NULL) != ERR_OK)
            return 1;
    }
    if (thread != NULL)
        os_thread_join(thread);
    return 0;
}

static int run_writer(void)
{
    char *text = malloc(MUCH);
    if (text == NULL)
        return 1;
    for (size_t i = 0; i < MUCH; i++)
        text[i] = (char)('a' + i % 26);
    tty_write(text, MUCH);
    say("größe 日本\n");
    free(text);
    return 0;
}

static struct {
    struct os_mutex mutex;
    struct os_cond cond;
    unsigned stops;
} signals;

static void on_signal(enum signal_kind kind, void *ctx)
{
    char line[64];
    os_mutex_lock(&signals.mutex);
    switch (kind) {
    case SIGNAL_STOP:
    case SIGNAL_STOP_QUICK:
        signals.stops++;
        str_format(line, sizeof line, "%s stop %u\n", (const char *)ctx, signals.stops);
        break;
    case SIGNAL_REOPEN: str_format(line, sizeof line, "%s reopen\n", (const char *)ctx); break;
    }
    say(line);
    os_cond_wake_all(&signals.cond);
    os_mutex_unlock(&signals.mutex);
}

static int run_signals(void)
{
    static char ctx[] = "signal:";
    if (signals_start(on_signal, ctx) != ERR_OK)
        return 1;
    say("ready\n");
    os_mutex_lock(&signals.mutex);
    while (signals.stops < 2)
        os_cond_wait(&signals.cond, &signals.mutex, UINT32_MAX);
    os_mutex_unlock(&signals.mutex);
    signals_stopped();
    return 7;
}

/* ---- the tests ---- */

static struct process *start(const char *child, bool pipe_stdin)
{
    static char program[TEST_PATH_MAX];
    assert_int_equal(os_program_path(program, sizeof program), ERR_OK);
    const char *const args[] = {program, child, NULL};
    struct process_options options = {
        .args = args, .dir = dir, .name = child, .pipe_stdin = pipe_stdin};
    struct process *process;
    assert_int_equal(process_start(&process, &options), ERR_OK);
    return process;
}

static void assert_says(struct process *process, const char *text)
{
    if (!process_wait_output(process, text, PATIENCE_MS)) {
        char *output = process_output(process);
        char *errors = process_errors(process);
        fail_msg("no '%s' in '%s', '%s'", text, output, errors);
    }
}

static void assert_exits(struct process *process, int expected)
{
    int code = -1;
    assert_true(process_wait(process, PATIENCE_MS, &code));
    assert_int_equal(code, expected);
    process_free(process);
}

static unsigned count(struct process *process, const char *text)
{
    char *output = process_output(process);
    unsigned count = 0;
    for (const char *at = output; (at = strstr(at, text)) != NULL; at++)
        count++;
    free(output);
    return count;
}

static void a_pipe_is_no_terminal(void **state)
{
    (void)state;
    struct process *process = start("reader", true);
    assert_says(process, "in 0 out 0 columns 80 raw unsupported");
    process_end_input(process);
    assert_exits(process, 0);
}

static void piped_input_is_read_as_it_comes_and_its_end_is_told(void **state)
{
    (void)state;
    struct process *process = start("reader", true);
    assert_int_equal(process_write(process, "show info\n"), ERR_OK);
    assert_says(process, "got 'show info\n'");
    assert_int_equal(process_write(process, "größe"), ERR_OK);
    assert_says(process, "got 'größe'");
    process_end_input(process);
    assert_says(process, "closed");
    assert_exits(process, 0);
}

static void input_that_is_at_its_end_is_closed(void **state)
{
    (void)state;
    struct process *process = start("reader", false);
    assert_says(process, "closed");
    assert_exits(process, 0);
}

static void a_wake_cancels_the_next_read_once(void **state)
{
    (void)state;
    struct process *process = start("reader", true);
    assert_int_equal(process_write(process, "wake"), ERR_OK);
    assert_says(process, "cancelled");
    assert_int_equal(process_write(process, "after"), ERR_OK);
    assert_says(process, "got 'after'");
    assert_int_equal(count(process, "cancelled"), 1);
    process_end_input(process);
    assert_exits(process, 0);
}

static void a_wake_cancels_a_running_read_and_loses_no_input(void **state)
{
    (void)state;
    struct process *process = start("reader", true);
    assert_int_equal(process_write(process, "wake soon"), ERR_OK);
    assert_says(process, "cancelled");
    assert_int_equal(process_write(process, "after"), ERR_OK);
    assert_says(process, "got 'after'");
    process_end_input(process);
    assert_exits(process, 0);
}

static void a_long_output_is_written_whole(void **state)
{
    (void)state;
    struct process *process = start("writer", false);
    assert_true(process_wait(process, PATIENCE_MS, NULL));
    char *output = process_output(process);
    assert_int_equal(strlen(output), MUCH + strlen("größe 日本\n"));
    for (size_t i = 0; i < MUCH; i++)
        assert_int_equal(output[i], 'a' + i % 26);
    assert_string_equal(output + MUCH, "größe 日本\n");
    free(output);
    process_free(process);
}

static void every_stop_is_delivered_and_does_not_end_the_process(void **state)
{
    (void)state;
    struct process *process = start("signals", false);
    assert_says(process, "ready");
    assert_int_equal(process_stop(process), ERR_OK);
    assert_says(process, "signal: stop 1");
    assert_int_equal(process_stop(process), ERR_OK);
    assert_says(process, "signal: stop 2");
    assert_exits(process, 7);
}

static void a_hang_up_asks_to_reopen(void **state)
{
    (void)state;
    struct process *process = start("signals", false);
    assert_says(process, "ready");
    if (!process_hang_up(process)) {
        process_free(process);
        skip();
    }
    assert_says(process, "signal: reopen");
    assert_int_equal(process_stop(process), ERR_OK);
    assert_int_equal(process_stop(process), ERR_OK);
    process_free(process);
}

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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipe_is_no_terminal),
        cmocka_unit_test(piped_input_is_read_as_it_comes_and_its_end_is_told),
        cmocka_unit_test(input_that_is_at_its_end_is_closed),
        cmocka_unit_test(a_wake_cancels_the_next_read_once),
        cmocka_unit_test(a_wake_cancels_a_running_read_and_loses_no_input),
        cmocka_unit_test(a_long_output_is_written_whole),
        cmocka_unit_test(every_stop_is_delivered_and_does_not_end_the_process),
        cmocka_unit_test(a_hang_up_asks_to_reopen),
    };
    os_init();
    if (argc == 2 && strcmp(argv[1], "reader") == 0)
        return run_reader();
    if (argc == 2 && strcmp(argv[1], "writer") == 0)
        return run_writer();
    if (argc == 2 && strcmp(argv[1], "signals") == 0)
        return run_signals();
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
