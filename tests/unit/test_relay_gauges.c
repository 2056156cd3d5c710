/* test_relay_gauges.c - a warning before something runs out, and not too many of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "relay/queue/gauges.h"
#include "relay_fixture.h"
#include "support/random.h"

#define MINUTES_10 600000

/* ---- one gauge ---- */

static void it_warns_at_eighty_percent_and_not_below(void **state)
{
    (void)state;
    static const struct {
        uint64_t used, limit;
        enum gauge_news news;
    } cases[] = {
        {79, 100, GAUGE_NO_NEWS},
        {80, 100, GAUGE_HIGH},
        {100, 100, GAUGE_HIGH},
        {250, 100, GAUGE_HIGH},
        {0, 1, GAUGE_NO_NEWS},
        {1, 1, GAUGE_HIGH},
        {3, 4, GAUGE_NO_NEWS},
        {4, 5, GAUGE_HIGH},
        {UINT64_MAX / 2, UINT64_MAX - 1, GAUGE_NO_NEWS},
        {UINT64_MAX / 10 * 9, UINT64_MAX - 1, GAUGE_HIGH},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gauge gauge = {false};
        assert_int_equal(gauge_update(&gauge, cases[i].used, cases[i].limit, 5), cases[i].news);
    }
}

static void without_a_limit_there_is_nothing_to_say(void **state)
{
    (void)state;
    struct gauge gauge = {false};
    assert_int_equal(gauge_update(&gauge, 1000000, 0, 5), GAUGE_NO_NEWS);
    assert_int_equal(gauge_update(&gauge, UINT64_MAX, UINT64_MAX, 5), GAUGE_NO_NEWS);
}

static void it_warns_again_after_ten_minutes_only(void **state)
{
    (void)state;
    struct gauge gauge = {false};
    assert_int_equal(gauge_update(&gauge, 90, 100, 1000), GAUGE_HIGH);
    assert_int_equal(gauge_update(&gauge, 95, 100, 2000), GAUGE_NO_NEWS);
    assert_int_equal(gauge_update(&gauge, 99, 100, 1000 + MINUTES_10 - 1), GAUGE_NO_NEWS);
    assert_int_equal(gauge_update(&gauge, 99, 100, 1000 + MINUTES_10), GAUGE_HIGH);
    assert_int_equal(gauge_update(&gauge, 99, 100, 1001 + MINUTES_10), GAUGE_NO_NEWS);
}

static void it_is_back_below_seventy_percent_once(void **state)
{
    (void)state;
    struct gauge gauge = {false};
    assert_int_equal(gauge_update(&gauge, 60, 100, 1000), GAUGE_NO_NEWS);
    assert_int_equal(gauge_update(&gauge, 80, 100, 2000), GAUGE_HIGH);
    assert_int_equal(gauge_update(&gauge, 70, 100, 3000), GAUGE_NO_NEWS);
    assert_int_equal(gauge_update(&gauge, 69, 100, 4000), GAUGE_BACK);
    assert_int_equal(gauge_update(&gauge, 60, 100, 5000), GAUGE_NO_NEWS);
    /* Up again within the ten minutes: no line, and none for the way back. */
    assert_int_equal(gauge_update(&gauge, 90, 100, 6000), GAUGE_NO_NEWS);
    assert_int_equal(gauge_update(&gauge, 10, 100, 7000), GAUGE_NO_NEWS);
    assert_int_equal(gauge_update(&gauge, 90, 100, 2000 + MINUTES_10), GAUGE_HIGH);
    assert_int_equal(gauge_update(&gauge, 10, 0, 3000 + MINUTES_10),
                     GAUGE_BACK); /* no limit now */
}

/* Against what was promised, told in another way: no two warnings within ten minutes, none below
 * 80 %, each way back after a warning and below 70 %, and no long time high without a word. */
static void whatever_goes_up_and_down_the_promises_hold(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, random_test_seed(), 1);
    for (int round = 0; round < 200; round++) {
        struct gauge gauge = {false};
        uint64_t limit = random_between(&random, 1, 1000), warned_ms = 0, now = 1;
        bool warned = false, ever = false;
        for (int i = 0; i < 2000; i++) {
            uint64_t used = random_below(&random, limit + limit / 10 + 1);
            now += random_chance(&random, 1) ? MINUTES_10 : 1000;
            bool high = (double)used / (double)limit > 0.7999999;
            bool low = (double)used / (double)limit < 0.6999999;
            bool may_warn = !ever || now >= warned_ms + MINUTES_10;
            enum gauge_news want = GAUGE_NO_NEWS;
            if (high && may_warn)
                want = GAUGE_HIGH;
            else if (low && warned)
                want = GAUGE_BACK;
            assert_int_equal(gauge_update(&gauge, used, limit, now), want);
            if (want == GAUGE_HIGH) {
                warned = ever = true;
                warned_ms = now;
            } else if (want == GAUGE_BACK) {
                warned = false;
            }
        }
    }
}

/* ---- all of them ---- */

static void each_says_what_runs_out_and_what_helps(void **state)
{
    (void)state;
    struct gauges gauges = {.begun = false};
    struct gauge_readings readings = {
        .each = {[GAUGE_DESCRIPTORS] = {850, 1000},
                 [GAUGE_SESSIONS] = {81, 100},
                 [GAUGE_MEMORY] = {UINT64_C(15) << 26, UINT64_C(1) << 30}}};
    fixture_gather_log();
    gauges_note(&gauges, &readings, 1000);
    fixture_expect_log(
        "warning descriptors: 850 of 1000 in use (85 %); without any no client can "
        "be taken; raise the limit of open files");
    fixture_expect_log(
        "warning sessions: 81 of 100 in use (81 %); further clients will be refused");
    fixture_expect_log("warning memory: 960 MB of 1.00 GB in use (93 %)");
    fixture_gather_log();
    gauges_note(&gauges, &readings, 2000);
    fixture_expect_no_log("in use");
    readings.each[GAUGE_SESSIONS].used = 5;
    readings.each[GAUGE_DESCRIPTORS].used = 690;
    gauges_note(&gauges, &readings, 3000);
    fixture_expect_log("notice sessions: back to 5 of 100 (5 %)");
    fixture_expect_log("notice descriptors: back to 690 of 1000 (69 %)");
    fixture_expect_no_log("memory");
}

static struct gauge_backlog note_drops(struct gauges *gauges, uint64_t drops,
                                       uint64_t overflows, uint64_t now_ms)
{
    const struct gauge_readings readings = {.backlog_known = true,
                                            .backlog_drops = drops,
                                            .backlog_overflows = overflows,
                                            .backlog_limit = 4096};
    struct gauge_backlog backlog;
    gauges_note(gauges, &readings, now_ms);
    gauges_get_backlog(gauges, &backlog);
    return backlog;
}

static void drops_are_counted_from_the_start_on(void **state)
{
    (void)state;
    struct gauges gauges = {.begun = false};
    fixture_gather_log();
    struct gauge_backlog seen = note_drops(&gauges, 1000, 900, 1000);
    assert_true(seen.known);
    assert_int_equal(seen.drops, 0);
    assert_int_equal(seen.overflows, 0);
    seen = note_drops(&gauges, 1007, 900, 2000); /* not for a full backlog */
    assert_int_equal(seen.drops, 7);
    assert_int_equal(seen.drops_per_s, 7);
    fixture_expect_no_log("backlog");
    seen = note_drops(&gauges, 1010, 903, 3000);
    assert_int_equal(seen.drops_per_s, 3);
    assert_int_equal(seen.overflows, 3);
    fixture_expect_log("warning backlog: 3 connects to this machine were dropped because a "
                       "backlog was full");
    fixture_expect_log("raise net.core.somaxconn, which is 4096");
    fixture_gather_log();
    seen = note_drops(&gauges, 1020, 913, 4000);
    seen = note_drops(&gauges, 1020, 913, 5000);
    assert_int_equal(seen.drops_per_s, 0);
    fixture_expect_no_log("backlog");
    note_drops(&gauges, 1021, 914, 3000 + MINUTES_10);
    fixture_expect_log("backlog: 11 connects"); /* with those that were not told */
}

static void clients_that_are_forgotten_too_soon_are_told_now_and_then(void **state)
{
    (void)state;
    struct gauges gauges = {.begun = false};
    struct gauge_readings readings = {.clients_lost = 0};
    fixture_gather_log();
    gauges_note(&gauges, &readings, 1000);
    fixture_expect_no_log("client table");
    readings.clients_lost = 7;
    gauges_note(&gauges, &readings, 2000);
    fixture_expect_log("warning client table: 7 clients were forgotten");
    fixture_gather_log();
    readings.clients_lost = 20;
    gauges_note(&gauges, &readings, 3000);
    fixture_expect_no_log("client table");
    gauges_note(&gauges, &readings, 2000 + MINUTES_10);
    fixture_expect_log("client table: 13 clients were forgotten");
    fixture_gather_log();
    gauges_note(&gauges, &readings, 2000 + 2 * MINUTES_10);
    fixture_expect_no_log("client table");
}

static void a_system_that_does_not_count_drops_is_unknown(void **state)
{
    (void)state;
    struct gauges gauges = {.begun = false};
    const struct gauge_readings readings = {.backlog_known = false};
    struct gauge_backlog backlog;
    gauges_note(&gauges, &readings, 1000);
    gauges_get_backlog(&gauges, &backlog);
    assert_false(backlog.known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_warns_at_eighty_percent_and_not_below),
        cmocka_unit_test(without_a_limit_there_is_nothing_to_say),
        cmocka_unit_test(it_warns_again_after_ten_minutes_only),
        cmocka_unit_test(it_is_back_below_seventy_percent_once),
        cmocka_unit_test(whatever_goes_up_and_down_the_promises_hold),
        cmocka_unit_test(each_says_what_runs_out_and_what_helps),
        cmocka_unit_test(drops_are_counted_from_the_start_on),
        cmocka_unit_test(clients_that_are_forgotten_too_soon_are_told_now_and_then),
        cmocka_unit_test(a_system_that_does_not_count_drops_is_unknown),
    };
    return cmocka_run_group_tests_name("relay_gauges", tests, NULL, NULL);
}
