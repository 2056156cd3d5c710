#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "os/os.h"
#include "unit/kept_log.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void only_the_first_of_a_window_is_written(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    for (int i = 0; i < 5; i++)
        log_limited(&limit, LOG_WARNING, "accept failed: %d", i);
    assert_int_equal(kept.lines, 1);
    assert_string_equal(kept.line, EPOCH "warning accept failed: 0\n");
    assert_int_equal(limit.total, 5);
    assert_int_equal(limit.suppressed, 4);
}

static void the_next_line_says_how_many_were_held_back(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    for (int i = 0; i < 5; i++)
        log_limited(&limit, LOG_WARNING, "accept failed");
    mono += 9999;
    log_limited(&limit, LOG_WARNING, "accept failed");
    assert_int_equal(kept.lines, 1);
    mono += 1;
    log_limited(&limit, LOG_WARNING, "accept failed");
    assert_int_equal(kept.lines, 2);
    assert_string_equal(kept.line,
                        EPOCH "warning accept failed (5 more since the last such line)\n");
    assert_int_equal(limit.suppressed, 0);

    mono += 10000;
    log_limited(&limit, LOG_WARNING, "accept failed");
    assert_string_equal(kept.line, EPOCH "warning accept failed\n");
    assert_int_equal(limit.total, 8);
}

static void a_limit_may_have_its_own_window(void **state)
{
    (void)state;
    struct log_limit limit = {.window_ms = 250};
    log_limited(&limit, LOG_WARNING, "x");
    mono += 249;
    log_limited(&limit, LOG_WARNING, "x");
    assert_int_equal(kept.lines, 1);
    mono += 1;
    log_limited(&limit, LOG_WARNING, "x");
    assert_int_equal(kept.lines, 2);
}

static void who_makes_lines_up_at_a_price_asks_whether_one_is_held_back(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    assert_false(log_limit_holds(&limit, LOG_WARNING, mono));
    assert_int_equal(limit.total, 0);
    log_limited(&limit, LOG_WARNING, "x");
    mono += 9999;
    assert_true(log_limit_holds(&limit, LOG_WARNING, mono));
    assert_true(log_limit_holds(&limit, LOG_WARNING, mono));
    assert_int_equal(limit.total, 3);
    mono += 1;
    assert_false(log_limit_holds(&limit, LOG_WARNING, mono));
    log_limited(&limit, LOG_WARNING, "x");
    assert_string_equal(kept.line, EPOCH "warning x (2 more since the last such line)\n");

    mono += 10000;
    log_set_level(LOG_ERROR); /* no line at all: counted, not held back */
    assert_true(log_limit_holds(&limit, LOG_WARNING, mono));
    assert_int_equal(limit.total, 5);
    assert_int_equal(limit.suppressed, 0);
}

static void a_long_limited_line_keeps_its_count(void **state)
{
    (void)state;
    static const char suffix[] = "... (2 more since the last such line)\n";
    struct log_limit limit = {0};
    for (int i = 0; i < 3; i++)
        log_limited(&limit, LOG_WARNING, "x");
    mono += 10000;
    log_limited(&limit, LOG_WARNING, "%2000s", "x");
    assert_int_equal(kept.len, LOG_LINE_MAX);
    assert_string_equal(kept.line + kept.len - strlen(suffix), suffix);
}

static void lines_above_the_level_are_counted_but_take_no_window(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    log_limited(&limit, LOG_INFO, "x");
    assert_int_equal(kept.lines, 0);
    assert_int_equal(limit.total, 1);
    assert_int_equal(limit.suppressed, 0);
    log_limited(&limit, LOG_WARNING, "x");
    assert_int_equal(kept.lines, 1);
}

static void a_flush_accounts_for_the_last_burst(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    for (int i = 0; i < 4; i++)
        log_limited(&limit, LOG_WARNING, "accept failed");

    mono += 9999;
    log_limit_flush(&limit, LOG_WARNING, "listener 'lobby': accept failed");
    assert_int_equal(kept.lines, 1);
    mono += 1;
    log_limit_flush(&limit, LOG_DEBUG, "listener 'lobby': accept failed");
    assert_int_equal(kept.lines, 1); /* above the level: the count is kept */
    log_limit_flush(&limit, LOG_WARNING, "listener 'lobby': accept failed");
    assert_int_equal(kept.lines, 2);
    assert_string_equal(kept.line, EPOCH "warning listener 'lobby': accept failed: 3 more\n");
    log_limit_flush(&limit, LOG_WARNING, "listener 'lobby': accept failed");
    assert_int_equal(kept.lines, 2);
    assert_int_equal(limit.total, 4);
}

static void an_end_accounts_for_what_was_held_back_before_the_window_is_over(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    for (int i = 0; i < 3; i++)
        log_limited(&limit, LOG_WARNING, "accept failed");
    log_limit_flush(&limit, LOG_WARNING, "accept failed");
    assert_int_equal(kept.lines, 1);
    log_limit_end(&limit, LOG_DEBUG, "accept failed");
    assert_int_equal(kept.lines, 1);
    log_limit_end(&limit, LOG_WARNING, "accept failed");
    assert_int_equal(kept.lines, 2);
    assert_string_equal(kept.line, EPOCH "warning accept failed: 2 more\n");
    log_limit_end(&limit, LOG_WARNING, "accept failed");
    assert_int_equal(kept.lines, 2);
}

static void a_flush_of_nothing_writes_nothing(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    log_limit_flush(&limit, LOG_WARNING, "x");
    log_limited(&limit, LOG_WARNING, "x");
    mono += 20000;
    log_limit_flush(&limit, LOG_WARNING, "x");
    assert_int_equal(kept.lines, 1);
}

/* ---- threads ---- */

/* Two outputs, each with a context of its own; a line with the other's is a mixture. */
static struct counting {
    _Atomic uint32_t lines;
    _Atomic uint32_t mixed;
} one, two;

static void write_one(void *ctx, enum log_level level, const char *line, size_t len)
{
    (void)level;
    struct counting *counting = ctx;
    one.mixed += ctx != &one || line[len - 1] != '\n';
    counting->lines++;
}

static void write_two(void *ctx, enum log_level level, const char *line, size_t len)
{
    (void)level;
    struct counting *counting = ctx;
    two.mixed += ctx != &two || line[len - 1] != '\n';
    counting->lines++;
}

#define LINES_EACH 5000

static struct log_limit shared_limit;

static void log_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < LINES_EACH; i++) {
        log_notice("line %d", i);
        log_limited(&shared_limit, LOG_NOTICE, "limited %d", i);
    }
}

static void threads_may_log_while_the_output_changes(void **state)
{
    (void)state;
    const struct log_output outputs[] = {
        {fake_wall, fake_mono, write_one, &one},
        {fake_wall, fake_mono, write_two, &two},
    };
    log_set_output(&outputs[0]);
    struct os_thread *threads[3];
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(os_thread_start(&threads[i], "log", log_many, NULL), ERR_OK);
    for (size_t i = 0; i < 2000; i++)
        log_set_output(&outputs[i % 2]);
    for (size_t i = 0; i < COUNT(threads); i++)
        os_thread_join(threads[i]);

    uint32_t plain = COUNT(threads) * LINES_EACH;
    assert_int_equal(one.lines + two.lines, plain + 1); /* the time stands: one limited line */
    assert_int_equal(one.mixed + two.mixed, 0);
    assert_int_equal(shared_limit.total, plain);
    assert_int_equal(shared_limit.suppressed, plain - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(only_the_first_of_a_window_is_written, kept_set_up),
        cmocka_unit_test_setup(the_next_line_says_how_many_were_held_back, kept_set_up),
        cmocka_unit_test_setup(a_limit_may_have_its_own_window, kept_set_up),
        cmocka_unit_test_setup(who_makes_lines_up_at_a_price_asks_whether_one_is_held_back,
                               kept_set_up),
        cmocka_unit_test_setup(a_long_limited_line_keeps_its_count, kept_set_up),
        cmocka_unit_test_setup(lines_above_the_level_are_counted_but_take_no_window,
                               kept_set_up),
        cmocka_unit_test_setup(a_flush_accounts_for_the_last_burst, kept_set_up),
        cmocka_unit_test_setup(an_end_accounts_for_what_was_held_back_before_the_window_is_over,
                               kept_set_up),
        cmocka_unit_test_setup(a_flush_of_nothing_writes_nothing, kept_set_up),
        cmocka_unit_test_setup(threads_may_log_while_the_output_changes, kept_set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
