/* test_service_log.c - log lines reach a file or the prompt, and never hold who logs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/str.h"
#include "os/file.h"
#include "os/os.h"
#include "service/log_output.h"
#include "support/platform.h"

enum { PATIENCE_MS = 60000 };

static char dir[TEST_PATH_MAX];
static char path[TEST_PATH_MAX + 16];
static char moved[TEST_PATH_MAX + 16];

static int set_up(void **state)
{
    (void)state;
    if (test_make_dir(dir) != ERR_OK)
        return -1;
    str_format(path, sizeof path, "%s/relay.log", dir);
    str_format(moved, sizeof moved, "%s/relay.log.1", dir);
    log_set_level(LOG_NOTICE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_output_stop(PATIENCE_MS);
    log_output_start(""); /* lets go of the file */
    log_output_stop(PATIENCE_MS);
    test_remove_dir(dir);
    return 0;
}

/* Stops the output and checks the messages in a file, each line without time and level. */
static void assert_file(const char *file, const char *expected)
{
    char *text = test_read_file(file);
    assert_non_null(text);
    struct str messages;
    str_init(&messages);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        const char *level = strchr(line, ' ');
        assert_non_null(level);
        const char *message = strchr(level + 1, ' ');
        assert_non_null(message);
        str_addf(&messages, "%s\n", message + 1);
    }
    assert_string_equal(messages.data, expected);
    str_free(&messages);
    free(text);
}

static void lines_are_appended_to_the_file(void **state)
{
    (void)state;
    assert_int_equal(log_output_start(path), ERR_OK);
    log_notice("one");
    log_warning("two");
    assert_true(log_output_stop(PATIENCE_MS));
    assert_file(path, "one\ntwo\n");
    assert_int_equal(log_output_start(path), ERR_OK);
    log_notice("three");
    assert_true(log_output_stop(PATIENCE_MS));
    assert_file(path, "one\ntwo\nthree\n");
}

static void a_line_that_comes_after_the_end_is_written_too(void **state)
{
    (void)state;
    assert_int_equal(log_output_start(path), ERR_OK);
    assert_true(log_output_stop(PATIENCE_MS));
    log_notice("late");
    assert_file(path, "late\n");
}

static void a_flush_returns_when_all_is_written(void **state)
{
    (void)state;
    assert_int_equal(log_output_start(path), ERR_OK);
    log_notice("one");
    assert_true(log_output_flush(PATIENCE_MS));
    assert_file(path, "one\n");
}

static void a_file_that_cannot_be_opened_is_an_error(void **state)
{
    (void)state;
    char nowhere[TEST_PATH_MAX + 32];
    str_format(nowhere, sizeof nowhere, "%s/no/such/dir", dir);
    assert_int_equal(log_output_start(nowhere), ERR_NOT_FOUND);
}

static void reopen_goes_on_in_a_new_file(void **state)
{
    (void)state;
    assert_int_equal(log_output_start(path), ERR_OK);
    log_notice("before");
    assert_int_equal(os_file_replace(path, moved), ERR_OK);
    log_notice("between");
    assert_int_equal(log_output_reopen(), ERR_OK);
    assert_file(moved, "before\nbetween\n"); /* all of it is there when reopen returns */
    log_notice("after");
    assert_true(log_output_stop(PATIENCE_MS));
    assert_file(moved, "before\nbetween\n");
    assert_file(path, "after\n");
}

static void reopen_that_fails_keeps_the_old_file(void **state)
{
    (void)state;
    if (test_on_windows())
        skip(); /* a directory with an open file cannot be removed there */
    char deeper[TEST_PATH_MAX];
    assert_int_equal(test_make_dir(deeper), ERR_OK);
    char file[TEST_PATH_MAX + 16];
    str_format(file, sizeof file, "%s/relay.log", deeper);
    assert_int_equal(log_output_start(file), ERR_OK);
    test_remove_dir(deeper);
    assert_int_equal(log_output_reopen(), ERR_NOT_FOUND);
    uint64_t lost = log_lost_total();
    log_notice("into the old one");
    assert_true(log_output_stop(PATIENCE_MS));
    assert_int_equal(log_lost_total(), lost);
}

static void there_is_nothing_to_reopen_on_stderr(void **state)
{
    (void)state;
    assert_int_equal(log_output_start(""), ERR_OK);
    assert_int_equal(log_output_reopen(), ERR_UNSUPPORTED);
}

static void lines_of_a_full_disk_are_counted(void **state)
{
    (void)state;
    if (test_on_windows())
        skip(); /* there is no such device */
    assert_int_equal(log_output_start("/dev/full"), ERR_OK);
    uint64_t lost = log_lost_total();
    for (int i = 0; i < 10; i++)
        log_notice("line %d", i);
    assert_true(log_output_stop(PATIENCE_MS));
    assert_int_equal(log_lost_total(), lost + 10);
}

/* ---- a disk that does not answer ---- */

static struct {
    struct os_mutex lock;
    struct os_cond changed;
    bool stuck;
} disk;

static void set_disk(bool stuck)
{
    os_mutex_lock(&disk.lock);
    disk.stuck = stuck;
    os_cond_wake_all(&disk.changed);
    os_mutex_unlock(&disk.lock);
}

enum err __real_os_log_open(FILE **out, const char *file);
enum err __wrap_os_log_open(FILE **out, const char *file);

enum err __wrap_os_log_open(FILE **out, const char *file)
{
    os_mutex_lock(&disk.lock);
    while (disk.stuck)
        os_cond_wait(&disk.changed, &disk.lock, UINT32_MAX);
    os_mutex_unlock(&disk.lock);
    return __real_os_log_open(out, file);
}

static void a_disk_that_does_not_answer_holds_nobody_and_is_used_when_it_does(void **state)
{
    (void)state;
    assert_int_equal(log_output_start(path), ERR_OK);
    log_notice("before");
    assert_true(log_output_flush(PATIENCE_MS));
    assert_int_equal(os_file_replace(path, moved), ERR_OK);
    set_disk(true);
    assert_int_equal(log_output_reopen(), ERR_TIMEDOUT);
    log_notice("meanwhile");
    assert_false(log_output_flush(10));
    assert_false(log_output_stop(10));
    set_disk(false);
    assert_true(log_output_stop(PATIENCE_MS));
    assert_file(moved, "before\n");
    assert_file(path, "meanwhile\nlog file opened again\n");
}

/* ---- somewhere else than stderr ---- */

static struct {
    struct os_mutex lock;
    struct os_cond changed;
    struct str text;
    bool stuck;   /* the function does not return while this is set */
    bool entered; /* it was called */
} elsewhere;

static void write_elsewhere(void *ctx, const char *lines, size_t len)
{
    assert_ptr_equal(ctx, &elsewhere);
    os_mutex_lock(&elsewhere.lock);
    str_add_bytes(&elsewhere.text, lines, len);
    elsewhere.entered = true;
    os_cond_wake_all(&elsewhere.changed);
    while (elsewhere.stuck)
        os_cond_wait(&elsewhere.changed, &elsewhere.lock, UINT32_MAX);
    os_mutex_unlock(&elsewhere.lock);
}

static void reset_elsewhere(bool stuck)
{
    str_init(&elsewhere.text);
    elsewhere.stuck = stuck;
    elsewhere.entered = false;
}

static void diverted_lines_go_to_the_function(void **state)
{
    (void)state;
    reset_elsewhere(false);
    assert_int_equal(log_output_start(""), ERR_OK);
    assert_true(log_output_divert(write_elsewhere, &elsewhere, 0));
    log_notice("to the prompt");
    assert_true(log_output_stop(PATIENCE_MS));
    assert_non_null(strstr(elsewhere.text.data, " notice to the prompt\n"));
    log_output_divert(NULL, NULL, 0);
    str_free(&elsewhere.text);
}

static void count_writes(void *ctx, const char *lines, size_t len)
{
    (void)lines, (void)len;
    atomic_fetch_add((_Atomic unsigned *)ctx, 1);
}

/* Lines that flow are written together, so that not each of them wakes the thread. */
static void lines_that_flow_are_few_writes(void **state)
{
    (void)state;
    static _Atomic unsigned writes;
    atomic_store(&writes, 0);
    assert_int_equal(log_output_start(""), ERR_OK);
    assert_true(log_output_divert(count_writes, &writes, 0));
    uint64_t start = os_mono_ms();
    for (int i = 0; i < 100; i++) {
        log_notice("line %d", i);
        os_sleep_ms(1);
    }
    uint64_t passed_ms = os_mono_ms() - start;
    assert_true(log_output_flush(PATIENCE_MS));
    /* One at once, one for each 10 ms, one for the flush. */
    assert_in_range(atomic_load(&writes), 1, passed_ms / 10 + 2);
    log_output_divert(NULL, NULL, 0);
}

/* Neither a flush nor another line is needed for what has been logged to be written. */
static void a_line_is_written_without_another_one(void **state)
{
    (void)state;
    static const struct {
        enum log_level level;
        const char *text;
    } lines[] = {{LOG_NOTICE, "first"}, {LOG_NOTICE, "soon after"}, {LOG_WARNING, "a warning"},
                 {LOG_NOTICE, "again"}, {LOG_ERROR, "an error"},    {LOG_NOTICE, "last"}};
    assert_int_equal(log_output_start(path), ERR_OK);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        log_write(lines[i].level, "%s", lines[i].text);
        uint64_t start = os_mono_ms();
        for (bool there = false; !there;) {
            assert_true(os_mono_ms() - start < PATIENCE_MS);
            char *text = test_read_file(path);
            there = text != NULL && strstr(text, lines[i].text) != NULL;
            free(text);
        }
    }
    assert_true(log_output_stop(PATIENCE_MS));
}

static void a_file_is_not_diverted(void **state)
{
    (void)state;
    reset_elsewhere(false);
    assert_int_equal(log_output_start(path), ERR_OK);
    assert_true(log_output_divert(write_elsewhere, &elsewhere, 0));
    log_notice("to the file");
    assert_true(log_output_stop(PATIENCE_MS));
    assert_string_equal(elsewhere.text.data, "");
    assert_file(path, "to the file\n");
    log_output_divert(NULL, NULL, 0);
    str_free(&elsewhere.text);
}

static void wait_entered(void)
{
    os_mutex_lock(&elsewhere.lock);
    while (!elsewhere.entered)
        os_cond_wait(&elsewhere.changed, &elsewhere.lock, UINT32_MAX);
    os_mutex_unlock(&elsewhere.lock);
}

static void let_go(void)
{
    os_mutex_lock(&elsewhere.lock);
    elsewhere.stuck = false;
    os_cond_wake_all(&elsewhere.changed);
    os_mutex_unlock(&elsewhere.lock);
}

static void an_output_that_stands_still_holds_nobody_and_loses_with_a_number(void **state)
{
    (void)state;
    reset_elsewhere(true);
    assert_int_equal(log_output_start(""), ERR_OK);
    log_output_divert(write_elsewhere, &elsewhere, 0);
    log_notice("the first");
    wait_entered();
    uint64_t lost = log_lost_total();
    char text[900];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < 1000; i++) /* more than the queue holds; each call returns */
        log_notice("%s", text);
    lost = log_lost_total() - lost;
    assert_true(lost > 100 && lost < 900);
    assert_false(log_output_flush(10));
    assert_false(log_output_divert(NULL, NULL, 0)); /* it is in there, and stays */
    assert_false(log_output_stop(10));

    log_output_divert(write_elsewhere, &elsewhere, 0);
    let_go();
    assert_true(log_output_stop(PATIENCE_MS));
    char note[64];
    str_format(note, sizeof note, "log: %llu lines were lost before this one",
               (unsigned long long)lost);
    assert_non_null(strstr(elsewhere.text.data, note));
    log_output_divert(NULL, NULL, 0);
    str_free(&elsewhere.text);
}

/* ---- many threads ---- */

#define THREADS 4

static void log_many(void *arg)
{
    for (uint64_t i = 0; i < test_scaled(2000); i++)
        log_notice("thread %d line %d", *(int *)arg, (int)i);
}

static void lines_of_many_threads_stay_whole_and_in_order(void **state)
{
    (void)state;
    assert_int_equal(log_output_start(path), ERR_OK);
    struct os_thread *threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(os_thread_start(&threads[i], "logger", log_many, &numbers[i]), ERR_OK);
    }
    for (int i = 0; i < THREADS; i++)
        os_thread_join(threads[i]);
    assert_true(log_output_stop(PATIENCE_MS));

    char *text = test_read_file(path);
    assert_non_null(text);
    int next[THREADS] = {0};
    uint64_t lines = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++) {
        int thread, number;
        const char *message = strstr(line, " notice ");
        assert_non_null(message);
        assert_int_equal(sscanf(message, " notice thread %d line %d", &thread, &number), 2);
        assert_true(thread >= 0 && thread < THREADS);
        assert_int_equal(number, next[thread]++);
    }
    assert_int_equal(lines, THREADS * test_scaled(2000));
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_are_appended_to_the_file),
        TEST(a_line_that_comes_after_the_end_is_written_too),
        TEST(a_flush_returns_when_all_is_written),
        TEST(a_file_that_cannot_be_opened_is_an_error),
        TEST(reopen_goes_on_in_a_new_file),
        TEST(reopen_that_fails_keeps_the_old_file),
        TEST(there_is_nothing_to_reopen_on_stderr),
        TEST(lines_of_a_full_disk_are_counted),
        TEST(a_disk_that_does_not_answer_holds_nobody_and_is_used_when_it_does),
        TEST(diverted_lines_go_to_the_function),
        TEST(lines_that_flow_are_few_writes),
        TEST(a_line_is_written_without_another_one),
        TEST(a_file_is_not_diverted),
        TEST(an_output_that_stands_still_holds_nobody_and_loses_with_a_number),
        TEST(lines_of_many_threads_stay_whole_and_in_order),
    };
    os_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
