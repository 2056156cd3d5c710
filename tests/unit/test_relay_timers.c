/* One worker waits for all deadlines: who, for how long, and when it is woken. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "relay/core/standstill.h"
#include "relay/core/timers.h"
#include "relay/core/worker.h"
#include "support/fake_port.h"

#define LONG_AGO_MS (1u << 20)
#define YEARS_MS    (UINT64_C(1) << 40) /* some 35 */

struct rig {
    struct port *port;
    struct standstill standstill;
    struct timers timers;
    struct worker worker;
    uint64_t now_ms;
};

struct ringer {
    struct timer timer;
    unsigned held, fired;
    uint64_t again_ms; /* arms itself again for then, if not 0 */
    struct timers *timers;
};

static struct ringer *ringer_of(struct timer *timer)
{
    return (struct ringer *)((char *)timer - offsetof(struct ringer, timer));
}

static void hold(struct timer *timer)
{
    ringer_of(timer)->held++;
}

static void ring(struct timer *timer, struct worker *worker)
{
    (void)worker;
    struct ringer *ringer = ringer_of(timer);
    assert_int_equal(ringer->held, ringer->fired + 1);
    ringer->fired++;
    if (ringer->again_ms != 0)
        timers_arm(ringer->timers, timer, ringer->again_ms);
}

static const struct timer_kind kind = {.ref = hold, .fire = ring};

static int set_up(void **state)
{
    fake_port_begin();
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    assert_int_equal(port_open(&rig->port, 2), ERR_OK);
    assert_int_equal(port_enter(rig->port), ERR_OK);
    /* Where an entry stands in the wheel does not depend on when the test runs. By the real
     * clock, which timers_wait_ms() asks, it is long ago. */
    rig->now_ms = LONG_AGO_MS;
    standstill_init(&rig->standstill);
    timers_init(&rig->timers, rig->port, &rig->standstill, rig->now_ms);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    struct op *op;
    while (port_wait(rig->port, &op, 1, 0) > 0)
        ;
    port_leave(rig->port);
    port_close(rig->port);
    fake_port_end();
    free(rig);
    return 0;
}

static void init_ringer(struct rig *rig, struct ringer *ringer)
{
    *ringer = (struct ringer){.timers = &rig->timers};
    timer_init(&ringer->timer, &kind);
}

/* The message that is on its way, if any, comes out in this worker. */
static bool wakes(struct rig *rig, unsigned worker)
{
    struct op *op;
    if (port_wait(rig->port, &op, 1, 0) == 0)
        return false;
    assert_ptr_equal(op, &rig->timers.wake);
    timers_on_wake(&rig->timers, worker);
    return true;
}

static void without_a_deadline_everybody_sleeps_for_ever(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(timers_wait_ms(&rig->timers, 0), -1);
    assert_int_equal(timers_wait_ms(&rig->timers, 1), -1);
}

static void who_gets_the_message_waits_for_the_deadline_and_nobody_else_does(void **state)
{
    struct rig *rig = *state;
    struct ringer late;
    init_ringer(rig, &late);
    timers_arm(&rig->timers, &late.timer, YEARS_MS);
    assert_true(wakes(rig, 1));
    assert_int_equal(timers_wait_ms(&rig->timers, 0), -1);
    assert_in_range(timers_wait_ms(&rig->timers, 1), 1, INT_MAX);
}

static void a_deadline_of_long_ago_is_not_waited_for(void **state)
{
    struct rig *rig = *state;
    struct ringer due;
    init_ringer(rig, &due);
    timers_arm(&rig->timers, &due.timer, 0);
    assert_true(wakes(rig, 0));
    assert_int_equal(timers_wait_ms(&rig->timers, 0), 0);
}

static void a_deadline_ahead_is_waited_for_no_longer_than_it_is_away(void **state)
{
    struct rig *rig = *state;
    struct ringer soon;
    init_ringer(rig, &soon);
    uint64_t now = os_mono_ms();
    timers_run(&rig->timers, &rig->worker, now); /* the wheel's time is the clock's */
    timers_arm(&rig->timers, &soon.timer, now + 60000);
    assert_true(wakes(rig, 0));
    assert_in_range(timers_wait_ms(&rig->timers, 0), 0, 60000 + WHEEL_SLOT_MS);
}

static void the_longest_deadline_fits_a_wait(void **state)
{
    struct rig *rig = *state;
    struct ringer never;
    init_ringer(rig, &never);
    timers_arm(&rig->timers, &never.timer, UINT64_MAX / 2);
    assert_true(wakes(rig, 0));
    assert_in_range(timers_wait_ms(&rig->timers, 0), 1, INT_MAX);
}

static void only_an_earlier_deadline_wakes_somebody(void **state)
{
    struct rig *rig = *state;
    struct ringer a, b, c;
    init_ringer(rig, &a);
    init_ringer(rig, &b);
    init_ringer(rig, &c);
    timers_arm(&rig->timers, &a.timer, rig->now_ms + 1000);
    assert_true(wakes(rig, 0));
    timers_arm(&rig->timers, &b.timer, rig->now_ms + 2000);
    assert_int_equal(fake_port_ready(), 0);
    timers_arm(&rig->timers, &c.timer, rig->now_ms + 100);
    assert_true(wakes(rig, 0));
}

static void one_message_serves_all_that_were_armed_before_it_came(void **state)
{
    struct rig *rig = *state;
    struct ringer a, b;
    init_ringer(rig, &a);
    init_ringer(rig, &b);
    timers_arm(&rig->timers, &a.timer, YEARS_MS);
    timers_arm(&rig->timers, &b.timer, 0);
    assert_int_equal(fake_port_ready(), 1);
    assert_true(wakes(rig, 1));
    assert_int_equal(timers_wait_ms(&rig->timers, 1), 0);
}

static void what_is_due_fires_once_and_what_is_not_waits(void **state)
{
    struct rig *rig = *state;
    struct ringer due, later;
    init_ringer(rig, &due);
    init_ringer(rig, &later);
    timers_arm(&rig->timers, &due.timer, rig->now_ms + 100);
    timers_arm(&rig->timers, &later.timer, rig->now_ms + 1000);
    timers_run(&rig->timers, &rig->worker, rig->now_ms + 99);
    assert_int_equal(due.fired, 0);
    timers_run(&rig->timers, &rig->worker, rig->now_ms + 100 + WHEEL_SLOT_MS);
    timers_run(&rig->timers, &rig->worker, rig->now_ms + 100 + WHEEL_SLOT_MS);
    assert_int_equal(due.fired, 1);
    assert_int_equal(later.fired, 0);
}

static void
a_disarmed_timer_does_not_fire_and_a_moved_one_fires_when_it_was_moved_to(void **state)
{
    struct rig *rig = *state;
    struct ringer gone, moved;
    init_ringer(rig, &gone);
    init_ringer(rig, &moved);
    timers_arm(&rig->timers, &gone.timer, rig->now_ms + 100);
    timers_arm(&rig->timers, &moved.timer, rig->now_ms + 100);
    timers_disarm(&rig->timers, &gone.timer);
    timers_arm(&rig->timers, &moved.timer, rig->now_ms + 1000);
    timers_run(&rig->timers, &rig->worker, rig->now_ms + 900);
    assert_int_equal(gone.fired + moved.fired, 0);
    timers_run(&rig->timers, &rig->worker, rig->now_ms + 1000 + WHEEL_SLOT_MS);
    assert_int_equal(gone.fired, 0);
    assert_int_equal(moved.fired, 1);
}

/* After a deadline passed, its guard waits for what is left, and the next earlier one must wake
 * somebody although it is later than the one that passed. */
static void after_a_deadline_the_next_one_counts(void **state)
{
    struct rig *rig = *state;
    struct ringer first, second;
    init_ringer(rig, &first);
    init_ringer(rig, &second);
    timers_arm(&rig->timers, &first.timer, rig->now_ms + 100);
    assert_true(wakes(rig, 0));
    timers_run(&rig->timers, &rig->worker, rig->now_ms + 200);
    assert_int_equal(first.fired, 1);
    assert_int_equal(timers_wait_ms(&rig->timers, 0), -1);
    timers_arm(&rig->timers, &second.timer, rig->now_ms + 5000);
    assert_true(wakes(rig, 1));
}

static void a_timer_that_arms_itself_again_for_later_does_not_spin(void **state)
{
    struct rig *rig = *state;
    struct ringer again;
    init_ringer(rig, &again);
    again.again_ms = rig->now_ms + 300;
    timers_arm(&rig->timers, &again.timer, rig->now_ms + 100);
    timers_run(&rig->timers, &rig->worker, rig->now_ms + 200);
    assert_int_equal(again.fired, 1);
    again.again_ms = 0;
    timers_run(&rig->timers, &rig->worker, rig->now_ms + 300 + WHEEL_SLOT_MS);
    assert_int_equal(again.fired, 2);
}

/* Two workers read the clock at different times; the later one's turn comes first. */
static void a_worker_whose_clock_lags_behind_harms_no_deadline(void **state)
{
    struct rig *rig = *state;
    struct ringer a, b;
    init_ringer(rig, &a);
    init_ringer(rig, &b);
    timers_arm(&rig->timers, &a.timer, rig->now_ms + 100);
    timers_run(&rig->timers, &rig->worker, rig->now_ms + 200);
    timers_arm(&rig->timers, &b.timer, rig->now_ms + 150);
    timers_run(&rig->timers, &rig->worker, rig->now_ms + 140);
    timers_run(&rig->timers, &rig->worker, rig->now_ms + 200);
    assert_int_equal(a.fired, 1);
    assert_int_equal(b.fired, 1);
}

#define TIMERS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TIMERS_TEST(without_a_deadline_everybody_sleeps_for_ever),
        TIMERS_TEST(who_gets_the_message_waits_for_the_deadline_and_nobody_else_does),
        TIMERS_TEST(a_deadline_of_long_ago_is_not_waited_for),
        TIMERS_TEST(a_deadline_ahead_is_waited_for_no_longer_than_it_is_away),
        TIMERS_TEST(the_longest_deadline_fits_a_wait),
        TIMERS_TEST(only_an_earlier_deadline_wakes_somebody),
        TIMERS_TEST(one_message_serves_all_that_were_armed_before_it_came),
        TIMERS_TEST(what_is_due_fires_once_and_what_is_not_waits),
        TIMERS_TEST(a_disarmed_timer_does_not_fire_and_a_moved_one_fires_when_it_was_moved_to),
        TIMERS_TEST(after_a_deadline_the_next_one_counts),
        TIMERS_TEST(a_timer_that_arms_itself_again_for_later_does_not_spin),
        TIMERS_TEST(a_worker_whose_clock_lags_behind_harms_no_deadline),
    };
    return cmocka_run_group_tests_name("relay_timers", tests, NULL, NULL);
}
