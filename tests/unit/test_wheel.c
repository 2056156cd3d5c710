#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/wheel.h"
#include "support/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SLOT         ((uint64_t)WHEEL_SLOT_MS)

static struct wheel wheel;
static struct wheel_entry entries[3];

static void start(uint64_t now_ms)
{
    wheel_init(&wheel, now_ms);
    for (size_t i = 0; i < COUNT(entries); i++)
        wheel_entry_init(&entries[i]);
}

static int set_up(void **state)
{
    (void)state;
    start(1000 * SLOT);
    return 0;
}

#define NOW (1000 * SLOT)

static void a_new_wheel_is_empty(void **state)
{
    (void)state;
    assert_int_equal(wheel.armed, 0);
    assert_null(wheel_expire(&wheel, NOW + 1000000));
    assert_true(wheel_next_ms(&wheel) == WHEEL_NEVER);
    assert_false(wheel_is_armed(&entries[0]));
}

static void an_entry_fires_at_its_time_and_once(void **state)
{
    (void)state;
    wheel_arm(&wheel, &entries[0], NOW + 10 * SLOT);
    assert_true(wheel_is_armed(&entries[0]));
    assert_int_equal(wheel.armed, 1);
    assert_null(wheel_expire(&wheel, NOW + 10 * SLOT - 1));
    assert_ptr_equal(wheel_expire(&wheel, NOW + 10 * SLOT), &entries[0]);
    assert_false(wheel_is_armed(&entries[0]));
    assert_int_equal(wheel.armed, 0);
    assert_null(wheel_expire(&wheel, NOW + 10 * SLOT));
    assert_null(wheel_expire(&wheel, NOW + 1000 * SLOT));
}

static void a_time_inside_a_slot_is_never_early_and_less_than_a_slot_late(void **state)
{
    (void)state;
    for (uint64_t offset = 1; offset <= 2 * SLOT; offset++) {
        start(NOW);
        uint64_t due = NOW + offset;
        wheel_arm(&wheel, &entries[0], due);
        uint64_t now = NOW;
        while (wheel_expire(&wheel, now) == NULL)
            now++;
        assert_true(now >= due);
        assert_true(now < due + SLOT);
    }
}

static void a_time_in_the_past_fires_with_the_next_expire(void **state)
{
    (void)state;
    assert_null(wheel_expire(&wheel, NOW + 5 * SLOT + 3));
    wheel_arm(&wheel, &entries[0], 0);
    wheel_arm(&wheel, &entries[1], NOW);
    wheel_arm(&wheel, &entries[2], NOW + 5 * SLOT);
    assert_int_equal(wheel.armed, 3);
    assert_true(wheel_next_ms(&wheel) == 0);
    assert_ptr_equal(wheel_expire(&wheel, NOW + 5 * SLOT + 3), &entries[0]);
    assert_ptr_equal(wheel_expire(&wheel, NOW + 5 * SLOT + 3), &entries[1]);
    assert_ptr_equal(wheel_expire(&wheel, NOW + 5 * SLOT + 3), &entries[2]);
    assert_null(wheel_expire(&wheel, NOW + 5 * SLOT + 3));
    assert_int_equal(wheel.armed, 0);
}

static void a_clock_that_stands_or_goes_back_does_no_harm(void **state)
{
    (void)state;
    wheel_arm(&wheel, &entries[0], NOW + 3 * SLOT);
    assert_null(wheel_expire(&wheel, NOW + 2 * SLOT));
    assert_null(wheel_expire(&wheel, NOW + 2 * SLOT));
    assert_null(wheel_expire(&wheel, NOW));
    assert_null(wheel_expire(&wheel, 0));
    assert_ptr_equal(wheel_expire(&wheel, NOW + 3 * SLOT), &entries[0]);
}

static void entries_of_one_slot_come_out_in_the_order_of_arming(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(entries); i++)
        wheel_arm(&wheel, &entries[i], NOW + 7 * SLOT - i);
    for (size_t i = 0; i < COUNT(entries); i++)
        assert_ptr_equal(wheel_expire(&wheel, NOW + 100 * SLOT), &entries[i]);
}

static void later_entries_come_out_later_even_in_one_leap(void **state)
{
    (void)state;
    wheel_arm(&wheel, &entries[0], NOW + 1000000 * SLOT);
    wheel_arm(&wheel, &entries[1], NOW + 70 * SLOT);
    wheel_arm(&wheel, &entries[2], NOW + 5000 * SLOT);
    uint64_t leap = NOW + 2000000 * SLOT;
    assert_ptr_equal(wheel_expire(&wheel, leap), &entries[1]);
    assert_ptr_equal(wheel_expire(&wheel, leap), &entries[2]);
    assert_ptr_equal(wheel_expire(&wheel, leap), &entries[0]);
    assert_null(wheel_expire(&wheel, leap));
}

static void arming_again_moves_the_entry(void **state)
{
    (void)state;
    wheel_arm(&wheel, &entries[0], NOW + 10 * SLOT);
    wheel_arm(&wheel, &entries[0], NOW + 5000 * SLOT);
    assert_int_equal(wheel.armed, 1);
    assert_null(wheel_expire(&wheel, NOW + 100 * SLOT));
    wheel_arm(&wheel, &entries[0], NOW + 200 * SLOT);
    assert_null(wheel_expire(&wheel, NOW + 199 * SLOT));
    assert_ptr_equal(wheel_expire(&wheel, NOW + 200 * SLOT), &entries[0]);
    assert_null(wheel_expire(&wheel, NOW + 9000 * SLOT));
}

static void a_disarmed_entry_does_not_fire(void **state)
{
    (void)state;
    wheel_disarm(&wheel, &entries[0]); /* armed or not */
    assert_int_equal(wheel.armed, 0);
    wheel_arm(&wheel, &entries[0], NOW + 10 * SLOT);
    wheel_arm(&wheel, &entries[1], NOW + 10 * SLOT);
    wheel_disarm(&wheel, &entries[0]);
    wheel_disarm(&wheel, &entries[0]);
    assert_int_equal(wheel.armed, 1);
    assert_false(wheel_is_armed(&entries[0]));
    assert_ptr_equal(wheel_expire(&wheel, NOW + 10 * SLOT), &entries[1]);
    assert_null(wheel_expire(&wheel, NOW + 100 * SLOT));
}

static void an_entry_that_is_due_can_still_be_disarmed_or_moved(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(entries); i++)
        wheel_arm(&wheel, &entries[i], NOW + 10 * SLOT);
    assert_ptr_equal(wheel_expire(&wheel, NOW + 10 * SLOT), &entries[0]);
    wheel_disarm(&wheel, &entries[1]);
    wheel_arm(&wheel, &entries[2], NOW + 20 * SLOT);
    assert_int_equal(wheel.armed, 1);
    assert_null(wheel_expire(&wheel, NOW + 10 * SLOT));
    assert_ptr_equal(wheel_expire(&wheel, NOW + 20 * SLOT), &entries[2]);
}

static void an_owner_may_put_its_entry_back_while_entries_come_out(void **state)
{
    (void)state;
    wheel_arm(&wheel, &entries[0], NOW + 10 * SLOT);
    wheel_arm(&wheel, &entries[1], NOW + 10 * SLOT);
    uint64_t now = NOW + 15 * SLOT;
    assert_ptr_equal(wheel_expire(&wheel, now), &entries[0]);
    wheel_arm(&wheel, &entries[0], NOW + 12 * SLOT); /* past by now, but after entry 1 */
    assert_ptr_equal(wheel_expire(&wheel, now), &entries[1]);
    wheel_arm(&wheel, &entries[1], NOW + 16 * SLOT);
    assert_ptr_equal(wheel_expire(&wheel, now), &entries[0]);
    assert_null(wheel_expire(&wheel, now));
    assert_ptr_equal(wheel_expire(&wheel, NOW + 16 * SLOT), &entries[1]);
}

/* ---- when to wake ---- */

static void next_is_the_near_entrys_slot(void **state)
{
    (void)state;
    start(64 * 64 * SLOT);
    uint64_t now = 64 * 64 * SLOT;
    wheel_arm(&wheel, &entries[0], now + 20 * SLOT - 5);
    assert_true(wheel_next_ms(&wheel) == now + 20 * SLOT);
    wheel_arm(&wheel, &entries[1], now + 3 * SLOT);
    assert_true(wheel_next_ms(&wheel) == now + 3 * SLOT);
    wheel_disarm(&wheel, &entries[1]);
    assert_true(wheel_next_ms(&wheel) == now + 20 * SLOT);
    wheel_disarm(&wheel, &entries[0]);
    assert_true(wheel_next_ms(&wheel) == WHEEL_NEVER);
}

/* Sleeps from one wheel_next_ms() to the next; gives the wakeups until the entry fires, and
 * checks that it fires in time. */
static unsigned wakeups_until(uint64_t now, uint64_t due)
{
    start(now);
    wheel_arm(&wheel, &entries[0], due);
    for (unsigned wakeups = 1;; wakeups++) {
        uint64_t next = wheel_next_ms(&wheel);
        assert_true(next != WHEEL_NEVER);
        assert_true(next > now); /* time moves, so this ends */
        now = next;
        if (wheel_expire(&wheel, now) == NULL)
            continue;
        assert_true(now >= due);
        assert_true(now - due < SLOT);
        return wakeups;
    }
}

static void a_far_entry_costs_few_wakeups(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, random_test_seed(), 1);
    static const struct {
        uint64_t distance;
        unsigned most;
    } cases[] = {
        {60 * SLOT, 2},          /* a second: may cross into the next 64 slots */
        {10000, 3},              /* connect_timeout */
        {600000, 4},             /* idle_timeout */
        {86400000, 5},           /* a day */
        {UINT64_C(1) << 40, 10}, /* 34 years */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (int again = 0; again < 200; again++) {
            uint64_t now = random_below(&random, UINT64_C(1) << 45);
            assert_true(wakeups_until(now, now + cases[i].distance) <= cases[i].most);
        }
    }
}

static void every_level_and_its_boundaries_fire_in_time(void **state)
{
    (void)state;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        uint64_t boundary = SLOT << (WHEEL_BITS * level);
        for (uint64_t before = 1; before <= 2 * SLOT && before <= boundary; before++) {
            for (uint64_t after = 0; after <= SLOT + 1; after++)
                assert_true(wakeups_until(boundary - before, boundary + after) <= WHEEL_LEVELS);
        }
        assert_true(wakeups_until(3, boundary * 63 + 5) <= WHEEL_LEVELS);
    }
}

static void the_end_of_time_is_reached_and_not_passed(void **state)
{
    (void)state;
    const uint64_t last = UINT64_MAX / SLOT * SLOT; /* the last slot's begin */
    wheel_arm(&wheel, &entries[0], UINT64_MAX);
    wheel_arm(&wheel, &entries[1], last - 1);
    wheel_arm(&wheel, &entries[2], last - 2 * SLOT);
    assert_null(wheel_expire(&wheel, UINT64_C(1) << 62));
    assert_true(wheel_next_ms(&wheel) <= last - 2 * SLOT);
    assert_ptr_equal(wheel_expire(&wheel, last - 1), &entries[2]);
    assert_null(wheel_expire(&wheel, last - 1));
    assert_true(wheel_next_ms(&wheel) == last);
    assert_ptr_equal(wheel_expire(&wheel, UINT64_MAX), &entries[0]);
    assert_ptr_equal(wheel_expire(&wheel, UINT64_MAX), &entries[1]);
    assert_null(wheel_expire(&wheel, UINT64_MAX));
}

/* ---- against an obvious model ---- */

#define TIMERS 60

struct model {
    struct wheel_entry entry;
    bool armed;
    bool ahead; /* armed for a time to come */
    uint64_t due_ms;
};

static struct model timers[TIMERS];

static uint64_t rounded_up(uint64_t ms)
{
    return (ms + SLOT - 1) / SLOT * SLOT;
}

/* Takes out all that is due and checks each; afterwards checks that nothing was forgotten and
 * that the next wakeup is early enough, but not idle. */
static void expire_and_check(uint64_t now)
{
    struct wheel_entry *entry;
    uint64_t last = 0; /* slot of the entry before, among those armed ahead of their time */
    while ((entry = wheel_expire(&wheel, now)) != NULL) {
        struct model *timer = (struct model *)((char *)entry - offsetof(struct model, entry));
        assert_true(timer->armed);
        assert_true(timer->due_ms <= now); /* never early */
        if (timer->ahead) {
            assert_true(rounded_up(timer->due_ms) >= last);
            last = rounded_up(timer->due_ms);
        }
        timer->armed = false;
    }

    size_t armed = 0;
    uint64_t earliest = WHEEL_NEVER;
    for (size_t i = 0; i < TIMERS; i++) {
        assert_int_equal(wheel_is_armed(&timers[i].entry), timers[i].armed);
        if (!timers[i].armed)
            continue;
        armed++;
        uint64_t slot = rounded_up(timers[i].due_ms);
        assert_true(slot > now); /* at most one slot late */
        if (slot < earliest)
            earliest = slot;
    }
    assert_int_equal(wheel.armed, armed);
    uint64_t next = wheel_next_ms(&wheel);
    if (armed == 0)
        assert_true(next == WHEEL_NEVER);
    else
        assert_true(next > now && next <= earliest);
}

static uint64_t random_distance(struct random *random)
{
    unsigned bits = (unsigned)random_below(random, 34);
    uint64_t distance = random_below(random, UINT64_C(1) << bits);
    if (random_chance(random, 20)) /* at and beside the edges of slots and levels */
        distance = (UINT64_C(1) << bits) + random_below(random, 3) - 1;
    return distance;
}

static void play(struct random *random, uint64_t now)
{
    wheel_init(&wheel, now);
    for (size_t i = 0; i < TIMERS; i++) {
        wheel_entry_init(&timers[i].entry);
        timers[i].armed = false;
    }
    unsigned busyness = (unsigned)random_below(random, 60);

    for (int turn = 0; turn < 2000; turn++) {
        struct model *timer = &timers[random_below(random, TIMERS)];
        if (random_chance(random, 20 + busyness)) {
            timer->due_ms = random_chance(random, 10)
                                ? now - random_below(random, now < 5000 ? now + 1 : 5000)
                                : now + random_distance(random);
            timer->armed = true;
            timer->ahead = timer->due_ms > now;
            wheel_arm(&wheel, &timer->entry, timer->due_ms);
        } else if (random_chance(random, 30)) {
            timer->armed = false;
            wheel_disarm(&wheel, &timer->entry);
        } else {
            uint64_t next = wheel_next_ms(&wheel);
            if (random_chance(random, 50) && next != WHEEL_NEVER && next > now)
                now = next;
            else
                now += random_distance(random);
            expire_and_check(now);
        }
    }
    while (wheel_next_ms(&wheel) != WHEEL_NEVER) {
        if (wheel_next_ms(&wheel) > now)
            now = wheel_next_ms(&wheel);
        expire_and_check(now);
    }
    assert_int_equal(wheel.armed, 0);
}

static void it_does_what_a_list_of_deadlines_does(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, random_test_seed(), 2);
    for (int round = 0; round < 60; round++)
        play(&random, random_chance(&random, 30) ? random_below(&random, 100)
                                                 : random_next(&random) >> 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_new_wheel_is_empty, set_up),
        cmocka_unit_test_setup(an_entry_fires_at_its_time_and_once, set_up),
        cmocka_unit_test_setup(a_time_inside_a_slot_is_never_early_and_less_than_a_slot_late,
                               set_up),
        cmocka_unit_test_setup(a_time_in_the_past_fires_with_the_next_expire, set_up),
        cmocka_unit_test_setup(a_clock_that_stands_or_goes_back_does_no_harm, set_up),
        cmocka_unit_test_setup(entries_of_one_slot_come_out_in_the_order_of_arming, set_up),
        cmocka_unit_test_setup(later_entries_come_out_later_even_in_one_leap, set_up),
        cmocka_unit_test_setup(arming_again_moves_the_entry, set_up),
        cmocka_unit_test_setup(a_disarmed_entry_does_not_fire, set_up),
        cmocka_unit_test_setup(an_entry_that_is_due_can_still_be_disarmed_or_moved, set_up),
        cmocka_unit_test_setup(an_owner_may_put_its_entry_back_while_entries_come_out, set_up),
        cmocka_unit_test_setup(next_is_the_near_entrys_slot, set_up),
        cmocka_unit_test_setup(a_far_entry_costs_few_wakeups, set_up),
        cmocka_unit_test_setup(every_level_and_its_boundaries_fire_in_time, set_up),
        cmocka_unit_test_setup(the_end_of_time_is_reached_and_not_passed, set_up),
        cmocka_unit_test(it_does_what_a_list_of_deadlines_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
