#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "os/os.h"
#include "stat/stat.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WORKERS      3

/* Three routes with 2, 0 and 3 upstreams. */
static const size_t upstream_counts[] = {2, 0, 3};
#define ROUTES COUNT(upstream_counts)

static struct stat *stat;

static size_t scopes_of[ROUTES][4]; /* the route's own, then its upstreams' */

static size_t stat_route_scope(const struct stat *of, size_t route)
{
    assert_ptr_equal(of, stat);
    return scopes_of[route][0];
}

static size_t stat_upstream_scope(const struct stat *of, size_t route, size_t upstream)
{
    assert_ptr_equal(of, stat);
    return scopes_of[route][1 + upstream];
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(stat_open(&stat, WORKERS), ERR_OK);
    for (size_t r = 0; r < ROUTES; r++) {
        assert_int_equal(stat_begin_scope(stat, STAT_ROUTE, &scopes_of[r][0]), ERR_OK);
        for (size_t u = 0; u < upstream_counts[r]; u++)
            assert_int_equal(stat_begin_scope(stat, STAT_UPSTREAM, &scopes_of[r][1 + u]),
                             ERR_OK);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stat_close(stat);
    return 0;
}

static size_t all_scopes(size_t scopes[16])
{
    size_t count = 0;
    for (size_t r = 0; r < ROUTES; r++) {
        scopes[count++] = stat_route_scope(stat, r);
        for (size_t u = 0; u < upstream_counts[r]; u++)
            scopes[count++] = stat_upstream_scope(stat, r, u);
    }
    return count;
}

/* ---- counters ---- */

static void every_route_and_upstream_has_a_scope_of_its_own(void **state)
{
    (void)state;
    size_t scopes[16];
    size_t count = all_scopes(scopes);
    assert_int_equal(count, 8);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(scopes[i], scopes[k]);
}

static void everything_begins_at_zero(void **state)
{
    (void)state;
    size_t scopes[16];
    size_t count = all_scopes(scopes);
    static const struct stat_sums zero;
    struct stat_sums sums;
    for (size_t i = 0; i < count; i++) {
        memset(&sums, 0xEE, sizeof sums);
        stat_read(stat, scopes[i], &sums);
        assert_memory_equal(&sums, &zero, sizeof sums);
    }
    memset(&sums, 0xEE, sizeof sums);
    stat_read_total(stat, &sums);
    assert_memory_equal(&sums, &zero, sizeof sums);
}

/* Each worker, scope and counter gets a number of its own, so that any mix-up shows. */
static void each_counter_of_each_scope_is_the_workers_sum(void **state)
{
    (void)state;
    size_t scopes[16];
    size_t count = all_scopes(scopes);
    uint64_t n = 1;
    uint64_t expected[16][STAT_COUNTERS] = {{0}};
    for (unsigned w = 0; w < WORKERS; w++)
        for (size_t s = 0; s < count; s++)
            for (int c = 0; c < STAT_COUNTERS; c++, n = n * 3 % 1000003) {
                stat_add(stat, w, scopes[s], (enum stat_counter)c, n);
                stat_add(stat, w, scopes[s], (enum stat_counter)c, 5);
                expected[s][c] += n + 5;
            }
    for (size_t s = 0; s < count; s++) {
        struct stat_sums sums;
        stat_read(stat, scopes[s], &sums);
        assert_memory_equal(sums.counters, expected[s], sizeof sums.counters);
        for (int r = 0; r < REASON_COUNT; r++)
            assert_true(sums.reasons[r] == 0);
    }
}

static void reasons_are_counted_apart(void **state)
{
    (void)state;
    size_t scope = stat_upstream_scope(stat, 2, 1);
    for (int r = 0; r < REASON_COUNT; r++)
        for (int i = 0; i <= r; i++)
            stat_add_reason(stat, (unsigned)i % WORKERS, scope, (enum reason)r);
    struct stat_sums sums;
    stat_read(stat, scope, &sums);
    for (int r = 0; r < REASON_COUNT; r++)
        assert_int_equal(sums.reasons[r], r + 1);
    for (int c = 0; c < STAT_COUNTERS; c++)
        assert_true(sums.counters[c] == 0);
}

static void the_total_is_the_sum_of_the_routes_only(void **state)
{
    (void)state;
    stat_add(stat, 0, stat_route_scope(stat, 0), STAT_BYTES_UP, 100);
    stat_add(stat, 1, stat_route_scope(stat, 1), STAT_BYTES_UP, 20);
    stat_add(stat, 2, stat_route_scope(stat, 2), STAT_BYTES_UP, 3);
    stat_add(stat, 0, stat_upstream_scope(stat, 0, 1), STAT_BYTES_UP, 7000);
    stat_add_reason(stat, 0, stat_route_scope(stat, 2), REASON_KILLED);
    stat_add_reason(stat, 0, stat_upstream_scope(stat, 2, 2), REASON_KILLED);
    struct stat_sums sums;
    stat_read_total(stat, &sums);
    assert_true(sums.counters[STAT_BYTES_UP] == 123);
    assert_true(sums.reasons[REASON_KILLED] == 1);
}

static void large_numbers_are_added_whole(void **state)
{
    (void)state;
    size_t scope = stat_route_scope(stat, 0);
    stat_add(stat, 0, scope, STAT_BYTES_DOWN, UINT64_C(1) << 62);
    stat_add(stat, 1, scope, STAT_BYTES_DOWN, UINT64_C(1) << 62);
    struct stat_sums sums;
    stat_read(stat, scope, &sums);
    assert_true(sums.counters[STAT_BYTES_DOWN] == UINT64_C(1) << 63);
}

static void every_scope_has_histograms_of_its_own(void **state)
{
    (void)state;
    size_t scopes[16];
    size_t count = all_scopes(scopes);
    for (size_t i = 0; i < count; i++) {
        histogram_record(stat_connect_us(stat, scopes[i]), i + 1);
        histogram_record(stat_length_ms(stat, scopes[i]), 100 + i);
    }
    for (size_t i = 0; i < count; i++) {
        struct histogram_summary summary;
        histogram_summarise(stat_connect_us(stat, scopes[i]), &summary);
        assert_int_equal(summary.count, 1);
        assert_int_equal(summary.max, i + 1);
        histogram_summarise(stat_length_ms(stat, scopes[i]), &summary);
        assert_int_equal(summary.max, 100 + i);
    }
}

static void closing_nothing_is_fine(void **state)
{
    (void)state;
    stat_close(NULL);
}

/* ---- rates ---- */

#define START_MS UINT64_C(5000000)

/* Takes a sample every second from START_MS on, adding `n` bytes up before each but the first. */
static void sample_steadily(unsigned samples, uint64_t n)
{
    for (unsigned i = 0; i < samples; i++) {
        if (i > 0)
            stat_add(stat, i % WORKERS, stat_route_scope(stat, 0), STAT_BYTES_UP, n);
        stat_sample(stat, START_MS + i * UINT64_C(1000));
    }
}

static uint64_t bytes_up(unsigned seconds)
{
    struct stat_rates rates;
    memset(&rates, 0xEE, sizeof rates);
    stat_rates(stat, stat_route_scope(stat, 0), seconds, &rates);
    return rates.bytes_up;
}

static void there_is_no_rate_before_the_second_sample(void **state)
{
    (void)state;
    stat_add(stat, 0, stat_route_scope(stat, 0), STAT_BYTES_UP, 1000000);
    assert_true(bytes_up(1) == 0);
    stat_sample(stat, START_MS);
    assert_true(bytes_up(1) == 0);
    assert_true(bytes_up(60) == 0);
    stat_add(stat, 0, stat_route_scope(stat, 0), STAT_BYTES_UP, 500);
    assert_true(bytes_up(1) == 0); /* the sample has not seen it */
    stat_sample(stat, START_MS + 1000);
    assert_true(bytes_up(1) == 500);
}

static void a_steady_rate_is_the_same_over_any_time(void **state)
{
    (void)state;
    sample_steadily(200, 12345);
    for (unsigned seconds = 1; seconds <= 60; seconds++)
        assert_true(bytes_up(seconds) == 12345);
}

static void a_rate_forgets_what_is_older(void **state)
{
    (void)state;
    sample_steadily(61, 0);
    stat_add(stat, 0, stat_route_scope(stat, 0), STAT_BYTES_UP, 6000);
    for (unsigned age = 0; age <= 61; age++) {
        stat_sample(stat, START_MS + (61 + age) * UINT64_C(1000));
        assert_true(bytes_up(1) == (age < 1 ? 6000 : 0));
        assert_true(bytes_up(10) == (age < 10 ? 600 : 0));
        assert_true(bytes_up(60) == (age < 60 ? 100 : 0));
    }
}

static void a_short_history_gives_the_rate_over_what_there_is(void **state)
{
    (void)state;
    sample_steadily(4, 900);
    assert_true(bytes_up(60) == 900);
    assert_true(bytes_up(2) == 900);
}

static void late_samples_are_measured_by_the_clock(void **state)
{
    (void)state;
    size_t scope = stat_route_scope(stat, 0);
    stat_sample(stat, START_MS);
    stat_add(stat, 0, scope, STAT_BYTES_UP, 5000);
    stat_sample(stat, START_MS + 5000); /* four samples are missing */
    assert_true(bytes_up(1) == 1000);
    stat_add(stat, 0, scope, STAT_BYTES_UP, 3000);
    stat_sample(stat, START_MS + 6000);
    assert_true(bytes_up(1) == 3000);
    assert_true(bytes_up(6) == 1333); /* 8000 in 6 s, rounded */
    assert_true(bytes_up(5) == 1333); /* the begin is nearer than the middle */
    assert_true(bytes_up(3) == 3000); /* the middle is nearer than the begin */
}

static void a_little_jitter_does_not_change_what_is_compared(void **state)
{
    (void)state;
    size_t scope = stat_route_scope(stat, 0);
    uint64_t now = START_MS;
    for (unsigned i = 0; i < 100; i++) {
        stat_sample(stat, now);
        uint64_t step = i % 2 == 0 ? 984 : 1016; /* a slot of the timers early or late */
        now += step;
        stat_add(stat, 0, scope, STAT_BYTES_UP, step);
    }
    for (unsigned seconds = 1; seconds <= 60; seconds++)
        assert_true(bytes_up(seconds) == 1000);
}

static void frequent_samples_reach_back_as_far_as_they_are_kept(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 200; i++) {
        stat_add(stat, 0, stat_route_scope(stat, 0), STAT_BYTES_UP, 70);
        stat_sample(stat, START_MS + i * 100);
        if (i > 0)
            assert_true(bytes_up(60) == 700);
    }
}

static void a_sample_at_the_same_time_is_left_out(void **state)
{
    (void)state;
    size_t scope = stat_route_scope(stat, 0);
    stat_sample(stat, START_MS);
    stat_sample(stat, START_MS);
    assert_true(bytes_up(1) == 0);
    stat_add(stat, 0, scope, STAT_BYTES_UP, 10);
    stat_sample(stat, START_MS + 1000);
    stat_add(stat, 0, scope, STAT_BYTES_UP, 10);
    stat_sample(stat, START_MS + 1000);
    stat_sample(stat, START_MS + 999);
    assert_true(bytes_up(1) == 10);
}

static void each_rate_shows_its_own_counter(void **state)
{
    (void)state;
    size_t scope = stat_upstream_scope(stat, 0, 1);
    stat_sample(stat, START_MS);
    stat_add(stat, 0, scope, STAT_SESSIONS, 1);
    stat_add(stat, 1, scope, STAT_BYTES_UP, 20);
    stat_add(stat, 2, scope, STAT_BYTES_DOWN, 300);
    stat_add(stat, 0, scope, STAT_WRITES_UP, 4000);
    stat_add(stat, 1, scope, STAT_WRITES_DOWN, 50000);
    stat_sample(stat, START_MS + 1000);
    struct stat_rates rates;
    stat_rates(stat, scope, 1, &rates);
    assert_true(rates.sessions == 1);
    assert_true(rates.bytes_up == 20);
    assert_true(rates.bytes_down == 300);
    assert_true(rates.writes_up == 4000);
    assert_true(rates.writes_down == 50000);
    stat_rates(stat, stat_upstream_scope(stat, 0, 0), 1, &rates);
    assert_true(rates.bytes_up == 0);
    stat_rates_total(stat, 1, &rates);
    assert_true(rates.bytes_up == 0); /* upstreams are in their routes already */
}

static void the_total_rate_is_the_sum_over_the_routes(void **state)
{
    (void)state;
    stat_sample(stat, START_MS);
    for (size_t r = 0; r < ROUTES; r++)
        stat_add(stat, 0, stat_route_scope(stat, r), STAT_BYTES_DOWN, 1000);
    stat_sample(stat, START_MS + 2000);
    struct stat_rates rates;
    stat_rates_total(stat, 10, &rates);
    assert_true(rates.bytes_down == 1500);
    assert_true(rates.bytes_up == 0);
}

/* ---- threads ---- */

#define ROUNDS 4000

static _Atomic uint32_t busy;

static void count_many(void *arg)
{
    const unsigned *worker = arg;
    for (int i = 0; i < ROUNDS; i++) {
        stat_add(stat, *worker, stat_route_scope(stat, 0), STAT_BYTES_UP, 3);
        stat_add_reason(stat, *worker, stat_route_scope(stat, 2), REASON_CLIENT_FIN);
        histogram_record(stat_connect_us(stat, 0), (uint64_t)i);
    }
    busy--;
}

static void workers_count_while_others_read_and_sample(void **state)
{
    (void)state;
    static unsigned numbers[WORKERS];
    struct os_thread *threads[WORKERS];
    busy = WORKERS;
    for (unsigned i = 0; i < WORKERS; i++) {
        numbers[i] = i;
        assert_int_equal(os_thread_start(&threads[i], "count", count_many, &numbers[i]),
                         ERR_OK);
    }
    uint64_t before = 0;
    uint64_t now = START_MS;
    do {
        struct stat_sums sums;
        stat_read_total(stat, &sums);
        assert_true(sums.counters[STAT_BYTES_UP] >= before); /* never goes back */
        assert_true(sums.counters[STAT_BYTES_UP] % 3 == 0);
        before = sums.counters[STAT_BYTES_UP];
        stat_sample(stat, now += 1000);
        assert_true(bytes_up(60) <= 3 * WORKERS * ROUNDS);
        struct histogram_summary summary;
        histogram_summarise(stat_connect_us(stat, 0), &summary);
        assert_true(summary.p999 <= summary.max && summary.mean <= summary.max);
    } while (busy > 0);
    for (unsigned i = 0; i < WORKERS; i++)
        os_thread_join(threads[i]);

    struct stat_sums sums;
    stat_read_total(stat, &sums);
    assert_true(sums.counters[STAT_BYTES_UP] == 3 * WORKERS * ROUNDS);
    assert_true(sums.reasons[REASON_CLIENT_FIN] == WORKERS * ROUNDS);
    struct histogram_summary summary;
    histogram_summarise(stat_connect_us(stat, 0), &summary);
    assert_true(summary.count == WORKERS * ROUNDS);
}

static void sample_many(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        stat_add(stat, 0, stat_route_scope(stat, 0), STAT_BYTES_UP, 1000);
        stat_sample(stat, START_MS + i * UINT64_C(1000));
    }
    busy--;
}

/* The sampler runs round its ring as fast as it can; a reading that mixed two rounds would show
 * another rate than the steady one. */
static void a_reading_never_mixes_old_and_new_samples(void **state)
{
    (void)state;
    struct os_thread *thread;
    busy = 1;
    assert_int_equal(os_thread_start(&thread, "sample", sample_many, NULL), ERR_OK);
    uint64_t wrong = 0;
    do {
        struct stat_rates rates;
        stat_rates_total(stat, 60, &rates);
        wrong += rates.bytes_up != 0 && rates.bytes_up != 1000;
    } while (busy > 0);
    os_thread_join(thread);
    assert_true(wrong == 0);
    assert_true(bytes_up(60) == 1000);
}

/* ---- scopes that come and go ---- */

static void what_a_route_has_counted_outlives_it(void **state)
{
    (void)state;
    size_t scope = stat_route_scope(stat, 0);
    for (unsigned w = 0; w < WORKERS; w++) {
        stat_add(stat, w, scope, STAT_BYTES_UP, 100 + w);
        stat_add_reason(stat, w, scope, REASON_KILLED);
    }
    histogram_record(stat_connect_us(stat, scope), 850);
    histogram_record(stat_length_ms(stat, scope), 60);
    stat_add(stat, 0, stat_route_scope(stat, 1), STAT_BYTES_UP, 1000);
    stat_end_scope(stat, scope);

    struct stat_sums sums;
    stat_read_total(stat, &sums);
    assert_int_equal(sums.counters[STAT_BYTES_UP], 1303);
    assert_int_equal(sums.reasons[REASON_KILLED], 3);
    struct histogram connects = {0}, lengths = {0};
    struct histogram_summary summary;
    stat_add_connect_us(stat, &connects);
    stat_add_length_ms(stat, &lengths);
    histogram_summarise(&connects, &summary);
    assert_int_equal(summary.count, 1);
    assert_int_equal(summary.max, 850);
    histogram_summarise(&lengths, &summary);
    assert_int_equal(summary.max, 60);
}

static void what_an_upstream_has_counted_goes_with_it(void **state)
{
    (void)state;
    size_t scope = stat_upstream_scope(stat, 0, 0);
    stat_add(stat, 0, scope, STAT_BYTES_UP, 7000);
    stat_end_scope(stat, scope);
    struct stat_sums sums;
    stat_read_total(stat, &sums);
    assert_int_equal(sums.counters[STAT_BYTES_UP], 0);
}

static void a_number_that_is_given_again_begins_at_zero(void **state)
{
    (void)state;
    size_t scope = stat_route_scope(stat, 1), again;
    stat_add(stat, 0, scope, STAT_BYTES_UP, 5);
    histogram_record(stat_connect_us(stat, scope), 850);
    stat_end_scope(stat, scope);
    assert_int_equal(stat_begin_scope(stat, STAT_UPSTREAM, &again), ERR_OK);
    assert_int_equal(again, scope);
    struct stat_sums sums;
    struct histogram_summary summary;
    stat_read(stat, again, &sums);
    assert_int_equal(sums.counters[STAT_BYTES_UP], 0);
    histogram_summarise(stat_connect_us(stat, again), &summary);
    assert_int_equal(summary.count, 0);
    stat_add(stat, 0, again, STAT_BYTES_UP,
             1000); /* of an upstream now, no part of the whole */
    stat_read_total(stat, &sums);
    assert_int_equal(sums.counters[STAT_BYTES_UP], 5);
}

static void a_route_that_goes_makes_no_jump_in_the_total_rate(void **state)
{
    (void)state;
    struct stat_rates rates;
    sample_steadily(30, 12000);
    stat_end_scope(stat, stat_route_scope(stat, 0));
    stat_rates_total(stat, 10, &rates);
    assert_int_equal(rates.bytes_up, 12000);
    for (unsigned i = 0; i < 3; i++)
        stat_sample(stat, START_MS + (30 + i) * UINT64_C(1000));
    stat_rates_total(stat, 1, &rates);
    assert_int_equal(rates.bytes_up, 0);
    stat_rates_total(stat, 4, &rates);
    assert_int_equal(rates.bytes_up, 3000); /* the last second of it and three without */
}

static void a_route_that_comes_late_has_its_own_rate(void **state)
{
    (void)state;
    size_t scope;
    struct stat_rates rates;
    sample_steadily(30, 0);
    assert_int_equal(stat_begin_scope(stat, STAT_ROUTE, &scope), ERR_OK);
    stat_add(stat, 1, scope, STAT_BYTES_DOWN, 500);
    stat_sample(stat, START_MS + 30 * UINT64_C(1000));
    stat_rates(stat, scope, 1, &rates);
    assert_int_equal(rates.bytes_down, 500);
    stat_rates_total(stat, 1, &rates);
    assert_int_equal(rates.bytes_down, 500);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_route_and_upstream_has_a_scope_of_its_own),
        TEST(everything_begins_at_zero),
        TEST(each_counter_of_each_scope_is_the_workers_sum),
        TEST(reasons_are_counted_apart),
        TEST(the_total_is_the_sum_of_the_routes_only),
        TEST(large_numbers_are_added_whole),
        TEST(every_scope_has_histograms_of_its_own),
        cmocka_unit_test(closing_nothing_is_fine),
        TEST(there_is_no_rate_before_the_second_sample),
        TEST(a_steady_rate_is_the_same_over_any_time),
        TEST(a_rate_forgets_what_is_older),
        TEST(a_short_history_gives_the_rate_over_what_there_is),
        TEST(late_samples_are_measured_by_the_clock),
        TEST(a_little_jitter_does_not_change_what_is_compared),
        TEST(frequent_samples_reach_back_as_far_as_they_are_kept),
        TEST(a_sample_at_the_same_time_is_left_out),
        TEST(each_rate_shows_its_own_counter),
        TEST(the_total_rate_is_the_sum_over_the_routes),
        TEST(workers_count_while_others_read_and_sample),
        TEST(a_reading_never_mixes_old_and_new_samples),
        TEST(what_a_route_has_counted_outlives_it),
        TEST(what_an_upstream_has_counted_goes_with_it),
        TEST(a_number_that_is_given_again_begins_at_zero),
        TEST(a_route_that_goes_makes_no_jump_in_the_total_rate),
        TEST(a_route_that_comes_late_has_its_own_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
