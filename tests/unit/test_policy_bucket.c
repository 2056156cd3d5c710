#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/os.h"
#include "policy/bucket.h"
#include "support/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND       1000u
#define HOUR         (3600u * SECOND)
#define DECADE       (UINT64_C(10) * 365 * 24 * HOUR)

static const struct conf_rate ten_a_second = {.count = 10, .per_ms = SECOND, .burst = 20};
static const struct conf_pace kilobyte_a_second = {.bytes_per_s = 1000, .burst_bytes = 4000};

/* Takes until there is none; returns how many there were. */
static unsigned take_all(struct bucket *bucket, const struct conf_rate *rate, uint64_t now_ms)
{
    unsigned count = 0;
    while (bucket_take(bucket, rate, now_ms))
        count++;
    return count;
}

/* ---- a rate ---- */

static void a_bucket_of_zeroes_gives_a_burst_and_no_more(void **state)
{
    (void)state;
    struct bucket bucket = {0};
    assert_true(bucket_is_full(&bucket, 0));
    assert_int_equal(take_all(&bucket, &ten_a_second, 5000), 20);
    assert_false(bucket_take(&bucket, &ten_a_second, 5000));
    assert_false(bucket_is_full(&bucket, 5000));
}

static void a_bucket_works_at_time_zero(void **state)
{
    (void)state;
    struct bucket bucket = {0};
    assert_int_equal(take_all(&bucket, &ten_a_second, 0), 20);
    assert_int_equal(bucket_next_ms(&bucket, &ten_a_second, 0), 100);
}

static void it_fills_again_as_fast_as_the_rate(void **state)
{
    (void)state;
    struct bucket bucket = {0};
    take_all(&bucket, &ten_a_second, 5000);
    assert_false(bucket_take(&bucket, &ten_a_second, 5099));
    assert_true(bucket_take(&bucket, &ten_a_second, 5100));
    assert_false(bucket_take(&bucket, &ten_a_second, 5199));
    assert_int_equal(take_all(&bucket, &ten_a_second, 6100), 10);
    assert_false(bucket_is_full(&bucket, 8099));
    assert_true(bucket_is_full(&bucket, 8100));
    assert_int_equal(take_all(&bucket, &ten_a_second, 100000),
                     20); /* never more than a burst */
}

static void what_is_given_back_can_be_taken_again(void **state)
{
    (void)state;
    struct bucket bucket = {0};
    bucket_give(&bucket, &ten_a_second); /* into a full one: nothing changes */
    assert_int_equal(take_all(&bucket, &ten_a_second, 5000), 20);
    bucket_give(&bucket, &ten_a_second);
    bucket_give(&bucket, &ten_a_second);
    assert_int_equal(take_all(&bucket, &ten_a_second, 5000), 2);
}

static void a_rate_that_is_off_always_gives(void **state)
{
    (void)state;
    const struct conf_rate off = {0};
    struct bucket bucket = {0};
    for (int i = 0; i < 1000; i++)
        assert_true(bucket_take(&bucket, &off, 5000));
    bucket_give(&bucket, &off);
    assert_int_equal(bucket_next_ms(&bucket, &off, 5000), 5000);
    assert_true(bucket_is_full(&bucket, 5000));
}

static void it_says_when_the_next_one_can_be_taken(void **state)
{
    (void)state;
    const struct conf_rate thrice = {.count = 3, .per_ms = SECOND, .burst = 1};
    struct bucket bucket = {0};
    assert_int_equal(bucket_next_ms(&bucket, &thrice, 5000), 5000);
    assert_true(bucket_take(&bucket, &thrice, 5000));
    assert_int_equal(bucket_next_ms(&bucket, &thrice, 5000), 5334); /* 5333.3, rounded up */
    assert_int_equal(bucket_next_ms(&bucket, &thrice, 9000), 9000);
}

static void one_an_hour_after_decades_is_one_an_hour(void **state)
{
    (void)state;
    const struct conf_rate rate = {.count = 1, .per_ms = HOUR, .burst = 2};
    struct bucket bucket = {0};
    uint64_t now_ms = 5 * DECADE;
    assert_int_equal(take_all(&bucket, &rate, now_ms), 2);
    assert_int_equal(bucket_next_ms(&bucket, &rate, now_ms), now_ms + HOUR);
    assert_false(bucket_take(&bucket, &rate, now_ms + HOUR - 1));
    assert_true(bucket_take(&bucket, &rate, now_ms + HOUR));
}

static void a_million_a_second_are_a_million(void **state)
{
    (void)state;
    const struct conf_rate rate = {.count = 1000000, .per_ms = SECOND, .burst = 5000};
    struct bucket bucket = {0};
    uint64_t now_ms = 5 * DECADE;
    assert_int_equal(take_all(&bucket, &rate, now_ms), 5000);
    unsigned taken = 0;
    for (unsigned i = 1; i <= SECOND; i++)
        taken += take_all(&bucket, &rate, now_ms + i);
    assert_int_equal(taken, 1000000);
}

static void the_largest_numbers_do_not_overflow(void **state)
{
    (void)state;
    const struct conf_rate slow = {.count = 1, .per_ms = UINT32_MAX, .burst = UINT32_MAX};
    const struct conf_rate fast = {.count = UINT32_MAX, .per_ms = 1, .burst = UINT32_MAX};
    struct bucket bucket = {0};
    for (int i = 0; i < 1000; i++)
        assert_true(bucket_take(&bucket, &slow, DECADE));
    assert_int_equal(bucket_next_ms(&bucket, &slow, DECADE), DECADE);
    bucket_fill(&bucket);
    for (int i = 0; i < 1000; i++)
        assert_true(bucket_take(&bucket, &fast, DECADE));
    assert_true(bucket_is_full(&bucket, DECADE + 1));
}

static void a_clock_that_is_a_little_behind_gains_nothing(void **state)
{
    (void)state;
    struct bucket bucket = {0};
    assert_int_equal(take_all(&bucket, &ten_a_second, 5000), 20);
    assert_false(bucket_take(&bucket, &ten_a_second, 4900));
    assert_false(bucket_take(&bucket, &ten_a_second, 5000));
    assert_true(bucket_take(&bucket, &ten_a_second, 5100));
}

static void an_empty_bucket_of_a_slow_rate_is_only_empty_when_the_rate_is_raised(void **state)
{
    (void)state;
    const struct conf_rate slow = {.count = 1, .per_ms = HOUR, .burst = 20};
    struct bucket bucket = {0};
    take_all(&bucket, &slow, 5000);
    assert_int_equal(bucket_next_ms(&bucket, &ten_a_second, 5000), 5100);
    assert_false(bucket_take(&bucket, &ten_a_second, 5000));
    assert_int_equal(bucket_next_ms(&bucket, &ten_a_second, 5000), 5100);
    assert_true(bucket_take(&bucket, &ten_a_second, 5100));
}

/* ---- a pace ---- */

static void so_many_bytes_may_pass_at_once_and_then_as_many_as_the_pace(void **state)
{
    (void)state;
    const struct conf_pace *pace = &kilobyte_a_second;
    struct bucket bucket = {0};
    assert_int_equal(bucket_room(&bucket, pace, 100, 5000), 100);
    assert_int_equal(bucket_room(&bucket, pace, 65536, 5000), 4000);
    bucket_passed(&bucket, pace, 4000, 5000);
    assert_int_equal(bucket_room(&bucket, pace, 65536, 5000), 0);
    assert_int_equal(bucket_room(&bucket, pace, 65536, 5001), 1);
    assert_int_equal(bucket_room(&bucket, pace, 65536, 5500), 500);
    assert_int_equal(bucket_room(&bucket, pace, 65536, 60000), 4000);
}

static void more_than_there_was_room_for_makes_the_next_ones_wait(void **state)
{
    (void)state;
    const struct conf_pace *pace = &kilobyte_a_second;
    struct bucket bucket = {0};
    bucket_passed(&bucket, pace, 14000, 5000);
    assert_int_equal(bucket_room(&bucket, pace, 65536, 15000), 0);
    assert_int_equal(bucket_room(&bucket, pace, 65536, 15100), 100);
    assert_int_equal(bucket_room_ms(&bucket, pace, 100, 5000), 15100);
}

static void it_says_when_there_is_room(void **state)
{
    (void)state;
    const struct conf_pace *pace = &kilobyte_a_second;
    struct bucket bucket = {0};
    assert_int_equal(bucket_room_ms(&bucket, pace, 65536, 5000), 5000);
    bucket_passed(&bucket, pace, 4000, 5000);
    assert_int_equal(bucket_room_ms(&bucket, pace, 0, 5000), 5000);
    assert_int_equal(bucket_room_ms(&bucket, pace, 1, 5000), 5001);
    assert_int_equal(bucket_room_ms(&bucket, pace, 1500, 5000), 6500);
    assert_int_equal(bucket_room_ms(&bucket, pace, 65536, 5000), 9000); /* a whole burst */
    assert_int_equal(bucket_room_ms(&bucket, pace, 1500, 8000), 8000);
}

static void a_pace_that_is_off_has_room_for_all(void **state)
{
    (void)state;
    const struct conf_pace off = {0};
    struct bucket bucket = {0};
    bucket_passed(&bucket, &off, UINT32_MAX, 5000);
    assert_int_equal(bucket_room(&bucket, &off, 65536, 5000), 65536);
    assert_int_equal(bucket_room_ms(&bucket, &off, 65536, 5000), 5000);
    assert_true(bucket_is_full(&bucket, 5000));
}

static void a_byte_a_second_with_the_largest_burst_does_not_overflow(void **state)
{
    (void)state;
    const struct conf_pace pace = {.bytes_per_s = 1, .burst_bytes = UINT32_MAX};
    struct bucket bucket = {0};
    assert_true(bucket_room(&bucket, &pace, UINT32_MAX, DECADE) == UINT32_MAX);
    bucket_passed(&bucket, &pace, UINT32_MAX, DECADE);
    assert_int_equal(bucket_room(&bucket, &pace, UINT32_MAX, DECADE), 0);
    assert_int_equal(bucket_room(&bucket, &pace, UINT32_MAX, DECADE + 3 * SECOND), 3);
    for (int i = 0; i < 10; i++)
        bucket_passed(&bucket, &pace, UINT32_MAX, DECADE);
    assert_int_equal(bucket_room(&bucket, &pace, UINT32_MAX, DECADE), 0);
    assert_true(bucket_room_ms(&bucket, &pace, 1, DECADE) > DECADE);
}

static void a_bucket_that_was_filled_is_full(void **state)
{
    (void)state;
    struct bucket bucket = {0};
    bucket_passed(&bucket, &kilobyte_a_second, 1000000, 5000);
    bucket_fill(&bucket);
    assert_true(bucket_is_full(&bucket, 5000));
    assert_int_equal(bucket_room(&bucket, &kilobyte_a_second, 65536, 5000), 4000);
}

/* Asks each millisecond and lets pass all there is room for, in calls of `most` bytes. */
static uint64_t pass_all_for(const struct conf_pace *pace, uint32_t most, uint64_t begin_ms,
                             unsigned ms)
{
    struct bucket bucket = {0};
    uint64_t passed = 0;
    for (uint64_t now_ms = begin_ms; now_ms <= begin_ms + ms; now_ms++) {
        uint32_t room;
        while ((room = bucket_room(&bucket, pace, most, now_ms)) > 0) {
            bucket_passed(&bucket, pace, room, now_ms);
            passed += room;
        }
    }
    return passed;
}

static void whatever_the_pace_nobody_gains_and_hardly_anything_is_lost(void **state)
{
    (void)state;
    struct random dice;
    random_init(&dice, random_test_seed(), 0);
    static const uint64_t decades[] = {1000,       30000,         1000000,
                                       1000000000, 100000000000u, UINT64_C(1000000000000)};
    for (size_t i = 0; i < COUNT(decades); i++) {
        for (int round = 0; round < 5; round++) {
            uint64_t bytes_per_s = random_between(&dice, decades[i] / 10 + 1, decades[i]);
            uint64_t burst = bytes_per_s / 100 + 100; /* that of 10 ms at least */
            struct conf_pace pace = {.bytes_per_s = bytes_per_s,
                                     .burst_bytes =
                                         burst < UINT32_MAX ? (uint32_t)burst : UINT32_MAX};
            uint32_t most = pace.burst_bytes / 4 + 1;
            uint64_t passed = pass_all_for(&pace, most, DECADE, 10 * SECOND);
            assert_true(passed <= pace.burst_bytes + 10 * bytes_per_s);
            if (pace.burst_bytes < UINT32_MAX)
                assert_true(passed >= 10 * (bytes_per_s - bytes_per_s / 1000) - 1);
        }
    }
}

/* ---- random, against models that are slow and obvious ---- */

/* A bucket that counts in shares: one token is `per_ms` of them, `count` come each millisecond. */
struct rate_model {
    uint64_t shares;
    uint64_t seen_ms;
};

static void fill_model(struct rate_model *model, const struct conf_rate *rate, uint64_t now_ms)
{
    uint64_t all = (uint64_t)rate->burst * rate->per_ms;
    model->shares += (now_ms - model->seen_ms) * rate->count;
    if (model->shares > all)
        model->shares = all;
    model->seen_ms = now_ms;
}

static bool take_from_model(struct rate_model *model, const struct conf_rate *rate,
                            uint64_t now_ms)
{
    fill_model(model, rate, now_ms);
    if (model->shares < rate->per_ms)
        return false;
    model->shares -= rate->per_ms;
    return true;
}

/* Rates of which one takes a whole number of nanoseconds, so that both count alike. */
static struct conf_rate random_rate(struct random *dice)
{
    static const uint32_t counts[] = {1, 2, 3, 4, 5, 8, 10, 16, 20, 25, 100, 1000, 1000000};
    static const uint32_t times_ms[] = {3000, 60000, 3600000};
    return (struct conf_rate){
        .count = counts[random_below(dice, COUNT(counts))],
        .per_ms = times_ms[random_below(dice, COUNT(times_ms))],
        .burst = (uint32_t)random_between(dice, 1, random_chance(dice, 50) ? 5 : 1000),
    };
}

/* What the bucket says about the next one is true to the millisecond. */
static void check_next(const struct bucket *bucket, const struct conf_rate *rate,
                       uint64_t now_ms)
{
    uint64_t next_ms = bucket_next_ms(bucket, rate, now_ms);
    assert_true(next_ms >= now_ms);
    struct bucket copy = {bucket->full_at};
    assert_true(bucket_take(&copy, rate, next_ms));
    copy.full_at = bucket->full_at;
    if (next_ms > now_ms)
        assert_false(bucket_take(&copy, rate, next_ms - 1));
}

static void a_rate_gives_as_the_model_whenever_it_is_asked(void **state)
{
    (void)state;
    struct random dice;
    random_init(&dice, random_test_seed(), 1);
    unsigned given = 0;
    unsigned refused = 0;
    for (int round = 0; round < 200; round++) {
        struct conf_rate rate = random_rate(&dice);
        uint64_t now_ms = random_below(&dice, 5 * DECADE);
        struct bucket bucket = {0};
        struct rate_model model = {(uint64_t)rate.burst * rate.per_ms, now_ms};
        uint64_t pause_ms = 3 * (uint64_t)rate.per_ms / rate.count + 2;
        for (int i = 0; i < 500; i++) {
            if (random_chance(&dice, 40))
                now_ms += random_below(&dice, pause_ms);
            bool taken = take_from_model(&model, &rate, now_ms);
            assert_int_equal(bucket_take(&bucket, &rate, now_ms), taken);
            given += taken;
            refused += !taken;
            if (taken && random_chance(&dice, 20)) {
                bucket_give(&bucket, &rate);
                model.shares += rate.per_ms;
            }
            bool full = model.shares == (uint64_t)rate.burst * rate.per_ms;
            assert_int_equal(bucket_is_full(&bucket, now_ms), full);
            check_next(&bucket, &rate, now_ms);
        }
    }
    assert_true(given > 1000 && refused > 1000);
}

/* Nanoseconds in credit, or in debt; a byte takes a whole number of them. */
struct pace_model {
    int64_t credit_ns;
    uint64_t seen_ms;
};

static int64_t ns_of_byte(const struct conf_pace *pace)
{
    return (int64_t)(1000000000 / pace->bytes_per_s);
}

static void pass_in_model(struct pace_model *model, const struct conf_pace *pace,
                          uint64_t now_ms)
{
    int64_t all = (int64_t)pace->burst_bytes * ns_of_byte(pace);
    model->credit_ns += (int64_t)((now_ms - model->seen_ms) * 1000000);
    if (model->credit_ns > all)
        model->credit_ns = all;
    model->seen_ms = now_ms;
}

static uint32_t room_in_model(const struct pace_model *model, const struct conf_pace *pace,
                              uint32_t most)
{
    int64_t room = model->credit_ns > 0 ? model->credit_ns / ns_of_byte(pace) : 0;
    return room < most ? (uint32_t)room : most;
}

static void check_room_ms(const struct bucket *bucket, const struct conf_pace *pace,
                          uint32_t bytes, uint64_t now_ms)
{
    uint32_t wanted = bytes < pace->burst_bytes ? bytes : pace->burst_bytes;
    uint64_t room_ms = bucket_room_ms(bucket, pace, bytes, now_ms);
    assert_true(room_ms >= now_ms);
    if (wanted == 0)
        return;
    assert_int_equal(bucket_room(bucket, pace, wanted, room_ms), wanted);
    if (room_ms > now_ms)
        assert_true(bucket_room(bucket, pace, wanted, room_ms - 1) < wanted);
}

static void a_pace_has_room_as_the_model_whenever_it_is_asked(void **state)
{
    (void)state;
    static const uint32_t paces[] = {1, 10, 1000, 64000, 1000000, 20000000, 1000000000};
    struct random dice;
    random_init(&dice, random_test_seed(), 2);
    for (int round = 0; round < 200; round++) {
        struct conf_pace pace = {
            .bytes_per_s = paces[random_below(&dice, COUNT(paces))],
            .burst_bytes = (uint32_t)random_between(&dice, 1, 100000),
        };
        uint64_t now_ms = random_below(&dice, 5 * DECADE);
        struct bucket bucket = {0};
        struct pace_model model = {(int64_t)pace.burst_bytes * ns_of_byte(&pace), now_ms};
        uint64_t pause_ms = 1000 * (uint64_t)pace.burst_bytes / pace.bytes_per_s + 2;
        for (int i = 0; i < 300; i++) {
            if (random_chance(&dice, 50))
                now_ms += random_below(&dice, pause_ms);
            pass_in_model(&model, &pace, now_ms);
            uint32_t most = (uint32_t)random_below(&dice, 2 * (uint64_t)pace.burst_bytes);
            uint32_t room = bucket_room(&bucket, &pace, most, now_ms);
            assert_int_equal(room, room_in_model(&model, &pace, most));
            uint32_t bytes = random_chance(&dice, 90) ? room : most;
            bucket_passed(&bucket, &pace, bytes, now_ms);
            model.credit_ns -= (int64_t)bytes * ns_of_byte(&pace);
            check_room_ms(&bucket, &pace, most, now_ms);
        }
    }
}

/* ---- threads ---- */

#define THREADS 4
#define ROUNDS  20000

static struct bucket shared;
static const struct conf_rate shared_rate = {.count = 1, .per_ms = HOUR, .burst = 30000};
static _Atomic unsigned taken;
static _Atomic unsigned missing;

static void take_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        if (bucket_take(&shared, &shared_rate, 5000))
            taken++;
    }
}

static void take_and_give_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        missing += !bucket_take(&shared, &shared_rate, 5000);
        bucket_give(&shared, &shared_rate);
    }
}

static void pass_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++)
        bucket_passed(&shared, &kilobyte_a_second, 1, 5000);
}

static void run_threads(void (*body)(void *arg))
{
    struct os_thread *threads[THREADS];
    bucket_fill(&shared);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(os_thread_start(&threads[i], "bucket", body, NULL), ERR_OK);
    for (size_t i = 0; i < THREADS; i++)
        os_thread_join(threads[i]);
}

static void threads_take_as_many_as_there_are(void **state)
{
    (void)state;
    run_threads(take_many);
    assert_int_equal(taken, 30000);
}

static void what_threads_give_back_is_not_lost(void **state)
{
    (void)state;
    run_threads(take_and_give_many);
    assert_int_equal(missing, 0);
    assert_true(bucket_is_full(&shared, 5000));
}

static void each_byte_of_each_thread_counts(void **state)
{
    (void)state;
    run_threads(pass_many);
    uint64_t room_ms = bucket_room_ms(&shared, &kilobyte_a_second, 4000, 5000);
    assert_int_equal(room_ms, 5000 + THREADS * ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_of_zeroes_gives_a_burst_and_no_more),
        cmocka_unit_test(a_bucket_works_at_time_zero),
        cmocka_unit_test(it_fills_again_as_fast_as_the_rate),
        cmocka_unit_test(what_is_given_back_can_be_taken_again),
        cmocka_unit_test(a_rate_that_is_off_always_gives),
        cmocka_unit_test(it_says_when_the_next_one_can_be_taken),
        cmocka_unit_test(one_an_hour_after_decades_is_one_an_hour),
        cmocka_unit_test(a_million_a_second_are_a_million),
        cmocka_unit_test(the_largest_numbers_do_not_overflow),
        cmocka_unit_test(a_clock_that_is_a_little_behind_gains_nothing),
        cmocka_unit_test(an_empty_bucket_of_a_slow_rate_is_only_empty_when_the_rate_is_raised),
        cmocka_unit_test(so_many_bytes_may_pass_at_once_and_then_as_many_as_the_pace),
        cmocka_unit_test(more_than_there_was_room_for_makes_the_next_ones_wait),
        cmocka_unit_test(it_says_when_there_is_room),
        cmocka_unit_test(a_pace_that_is_off_has_room_for_all),
        cmocka_unit_test(a_byte_a_second_with_the_largest_burst_does_not_overflow),
        cmocka_unit_test(a_bucket_that_was_filled_is_full),
        cmocka_unit_test(whatever_the_pace_nobody_gains_and_hardly_anything_is_lost),
        cmocka_unit_test(a_rate_gives_as_the_model_whenever_it_is_asked),
        cmocka_unit_test(a_pace_has_room_as_the_model_whenever_it_is_asked),
        cmocka_unit_test(threads_take_as_many_as_there_are),
        cmocka_unit_test(what_threads_give_back_is_not_lost),
        cmocka_unit_test(each_byte_of_each_thread_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
