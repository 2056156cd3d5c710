/* kept_log.h - a log output for tests that keeps the last line, under clocks that the test sets.
 *
 * Threads: one.
 */
#ifndef PAIRPORT_TESTS_KEPT_LOG_H
#define PAIRPORT_TESTS_KEPT_LOG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"

#define EPOCH "1970-01-01T00:00:00.000Z " /* the time while wall_us is 0 */

static uint64_t wall_us;
static uint64_t mono;

static uint64_t fake_wall(void)
{
    return wall_us;
}

static uint64_t fake_mono(void)
{
    return mono;
}

struct kept {
    unsigned lines;
    enum log_level level;
    size_t len;
    char line[LOG_LINE_MAX + 1];
};

static void keep(void *ctx, enum log_level level, const char *line, size_t len)
{
    struct kept *kept = ctx;
    assert_true(len <= LOG_LINE_MAX);
    assert_ptr_equal(memchr(line, '\n', len), line + len - 1); /* one, at the end */
    kept->lines++;
    kept->level = level;
    kept->len = len;
    memcpy(kept->line, line, len);
    kept->line[len] = '\0';
}

static struct kept kept;

/* The setup of a test. */
static int kept_set_up(void **state)
{
    (void)state;
    wall_us = 0;
    mono = 1000000;
    memset(&kept, 0, sizeof kept);
    log_set_output(&(struct log_output){fake_wall, fake_mono, keep, &kept});
    log_set_level(LOG_NOTICE);
    return 0;
}

#endif
