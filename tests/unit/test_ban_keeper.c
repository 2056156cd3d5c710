/* The thread that looks after the bans: what it keeps, and what it finds at a start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guard_fixture.h"
#include "os/file.h"
#include "os/os.h"
#include "relay/guard/ban_file.h"
#include "relay/guard/ban_keeper.h"
#include "relay/server_info.h"
#include "support/platform.h"

#define PATIENCE_MS 60000 /* of the real time, and only a broken program meets it */
#define STEP_MS     1000  /* a round of the keeper */
#define HOUR_MS     INT64_C(3600000)

struct kept {
    struct fixture *fix;
    struct ban_keeper *keeper;
    char dir[TEST_PATH_MAX];
    uint64_t test_thread;
};

static struct kept kept;

/* ---- the clocks and the disk, as a test has them ---- */

static struct {
    _Atomic int64_t wall_ahead_ms;
    _Atomic uint64_t mono_ahead_ms;
    _Atomic uint64_t passed_ms; /* by both clocks, because the test let it pass */
    _Atomic bool rested;        /* the keeper waited since the time was last moved */
    _Atomic int open_err;       /* of the next opening to read, enum err */
    struct os_mutex lock;
    struct os_cond changed;
    bool stuck;           /* the disk does not answer */
    _Atomic bool waiting; /* and somebody waits for it */
} world;

uint64_t __real_os_wall_us(void);
uint64_t __wrap_os_wall_us(void);
uint64_t __real_os_mono_ms(void);
uint64_t __wrap_os_mono_ms(void);
bool __real_os_cond_wait(struct os_cond *cond, struct os_mutex *mutex, uint32_t timeout_ms);
bool __wrap_os_cond_wait(struct os_cond *cond, struct os_mutex *mutex, uint32_t timeout_ms);
enum err __real_os_file_write_whole(const char *path, const char *bytes, size_t len);
enum err __wrap_os_file_write_whole(const char *path, const char *bytes, size_t len);
enum err __real_os_plain_open(FILE **out, const char *path);
enum err __wrap_os_plain_open(FILE **out, const char *path);

uint64_t __wrap_os_wall_us(void)
{
    return __real_os_wall_us() + (uint64_t)(world.wall_ahead_ms * 1000) +
           world.passed_ms * 1000;
}

uint64_t __wrap_os_mono_ms(void)
{
    return __real_os_mono_ms() + world.mono_ahead_ms + world.passed_ms;
}

/* Wakes early, as any wait may, to look at the clock. The test itself waits for the keeper: when
 * that one hangs at the disk, all of the time passes. */
bool __wrap_os_cond_wait(struct os_cond *cond, struct os_mutex *mutex, uint32_t timeout_ms)
{
    bool test = os_thread_id() == kept.test_thread;
    if (mutex == &world.lock || (test && timeout_ms == UINT32_MAX))
        return __real_os_cond_wait(cond, mutex, timeout_ms);
    if (!test)
        world.rested = true;
    bool woken = __real_os_cond_wait(cond, mutex, timeout_ms < 2 ? timeout_ms : 2);
    if (test && !woken && world.waiting)
        world.passed_ms += timeout_ms;
    return woken;
}

/* Lets time pass, a round of the keeper after the other, until this holds. */
static bool comes_true(bool (*holds)(uint64_t), uint64_t arg)
{
    uint64_t begun = __real_os_mono_ms();
    do {
        if (holds(arg))
            return true;
        if (atomic_exchange(&world.rested, false))
            world.passed_ms += STEP_MS;
        os_sleep_ms(1);
    } while (__real_os_mono_ms() - begun < PATIENCE_MS);
    return holds(arg);
}

static void wait_for_disk(void)
{
    os_mutex_lock(&world.lock);
    world.waiting = world.stuck;
    os_cond_wake_all(&world.changed);
    while (world.stuck)
        os_cond_wait(&world.changed, &world.lock, UINT32_MAX);
    world.waiting = false;
    os_mutex_unlock(&world.lock);
}

static bool disk_is_waited_for(uint64_t unused)
{
    (void)unused;
    return world.waiting;
}

static void set_disk(bool stuck)
{
    os_mutex_lock(&world.lock);
    world.stuck = stuck;
    os_cond_wake_all(&world.changed);
    os_mutex_unlock(&world.lock);
}

enum err __wrap_os_file_write_whole(const char *path, const char *bytes, size_t len)
{
    wait_for_disk();
    return __real_os_file_write_whole(path, bytes, len);
}

enum err __wrap_os_plain_open(FILE **out, const char *path)
{
    wait_for_disk();
    enum err err = (enum err)atomic_exchange(&world.open_err, ERR_OK);
    if (err != ERR_OK)
        return err;
    return __real_os_plain_open(out, path);
}

static int set_up(void **state)
{
    void *fix;
    world.wall_ahead_ms = 0;
    world.mono_ahead_ms = 0;
    world.passed_ms = 0;
    kept.test_thread = os_thread_id();
    assert_int_equal(test_make_dir(kept.dir), ERR_OK);
    fixture_setup(&fix);
    kept.fix = fix;
    str_format(kept.fix->conf.state_file, CONF_PATH_MAX, "%s/state.json", kept.dir);
    fixture_gather_log();
    *state = fix;
    return 0;
}

static void start(void)
{
    assert_int_equal(ban_keeper_start(&kept.keeper, &kept.fix->relay), ERR_OK);
}

static void stop(void)
{
    ban_keeper_stop(kept.keeper);
    kept.keeper = NULL;
}

static int tear_down(void **state)
{
    stop();
    test_remove_dir(kept.dir);
    return fixture_teardown(state);
}

/* By the clock of bans; until a test sets a clock the wall clock shows the same. */
static uint64_t now_ms(void)
{
    return ban_clock_now(&kept.fix->relay.guard.ban_clock);
}

static void add(const char *net, uint64_t until_ms)
{
    struct ban made = {.net = net_of(net), .set_ms = now_ms(), .until_ms = until_ms};
    str_format(made.by, sizeof made.by, "console");
    assert_int_equal(bans_add(kept.fix->relay.guard.bans, &made, now_ms(), NULL), ERR_OK);
    ban_keeper_wake(kept.keeper, false);
}

static size_t in_file(struct ban **out)
{
    struct str why;
    size_t count;
    str_init(&why);
    if (ban_file_read(kept.fix->conf.state_file, out, &count, &why) != ERR_OK)
        fail_msg("%s", why.data);
    str_free(&why);
    return count;
}

static bool has_in_file(uint64_t count)
{
    struct ban *bans;
    size_t there = in_file(&bans);
    free(bans);
    return there == count;
}

static bool wait_in_file(size_t count)
{
    return comes_true(has_in_file, count);
}

static bool has_bans(uint64_t count)
{
    return bans_count(kept.fix->relay.guard.bans) == count;
}

/* Forgets all bans, as a new process would have none. */
static void forget(void)
{
    struct ban *bans;
    size_t count;
    assert_int_equal(bans_list(kept.fix->relay.guard.bans, now_ms(), &bans, &count), ERR_OK);
    for (size_t i = 0; i < count; i++)
        assert_true(bans_remove(kept.fix->relay.guard.bans, &bans[i].net));
    free(bans);
}

static void bans_outlive_a_restart(void **state)
{
    (void)state;
    start();
    add("192.0.2.7", BAN_FOR_EVER);
    add("10.0.0.0/8", now_ms() + 3600000);
    stop();
    forget();
    start();
    assert_int_equal(bans_count(kept.fix->relay.guard.bans), 2);
    expect_reset(kept.fix, "10.1.2.3", REASON_BANNED);
    fixture_expect_log("2 bans read");
}

static void a_change_is_in_the_file_soon(void **state)
{
    (void)state;
    start();
    assert_true(wait_in_file(0));
    add("192.0.2.7", BAN_FOR_EVER);
    assert_true(wait_in_file(1));
    add("192.0.2.8", BAN_FOR_EVER);
    assert_true(wait_in_file(2));
    struct addr_net net = net_of("192.0.2.7");
    assert_true(bans_remove(kept.fix->relay.guard.bans, &net));
    ban_keeper_wake(kept.keeper, false);
    assert_true(wait_in_file(1));
}

static void hits_are_in_the_file_at_the_end(void **state)
{
    (void)state;
    struct ban *bans;
    start();
    add("192.0.2.7", BAN_FOR_EVER);
    assert_true(wait_in_file(1));
    expect_reset(kept.fix, "192.0.2.7", REASON_BANNED);
    stop();
    assert_int_equal(in_file(&bans), 1);
    assert_int_equal(bans[0].hits, 1);
    free(bans);
}

static void bans_that_are_over_are_dropped_and_told(void **state)
{
    (void)state;
    start();
    add("192.0.2.7", now_ms() + 200);
    assert_true(comes_true(has_bans, 0));
    assert_true(wait_in_file(0));
    stop();
    fixture_expect_log("notice 1 ban is over");
}

static void bans_that_are_over_at_the_start_are_left_out(void **state)
{
    (void)state;
    struct ban bans[2] = {
        {.net = net_of("192.0.2.7"), .set_ms = 1, .until_ms = 2},
        {.net = net_of("192.0.2.8"), .set_ms = 1, .until_ms = BAN_FOR_EVER},
    };
    assert_int_equal(ban_file_write(kept.fix->conf.state_file, bans, 2, NULL), ERR_OK);
    start();
    assert_int_equal(bans_count(kept.fix->relay.guard.bans), 1);
    fixture_expect_log("1 ban read, 1 expired");
}

static void a_damaged_file_is_put_aside_and_told(void **state)
{
    (void)state;
    char aside[TEST_PATH_MAX + 16];
    str_format(aside, sizeof aside, "%s.damaged", kept.fix->conf.state_file);
    assert_int_equal(test_write_file(kept.fix->conf.state_file, "{ rubbish"), ERR_OK);
    start();
    fixture_expect_log("state.json is damaged: line 1, column");
    fixture_expect_log(".damaged, and the relay starts without bans");
    char *text = test_read_file(aside);
    assert_string_equal(text, "{ rubbish");
    free(text);
    assert_true(wait_in_file(0));
}

static bool file_was_read(uint64_t unused)
{
    struct ban_keeper_info info;
    (void)unused;
    ban_keeper_get_info(kept.keeper, &info);
    return info.read_err == ERR_OK;
}

static void a_file_that_cannot_be_read_now_stays_and_is_read_later(void **state)
{
    (void)state;
    char aside[TEST_PATH_MAX + 16];
    struct ban ban = {.net = net_of("192.0.2.7"), .set_ms = 1, .until_ms = BAN_FOR_EVER};
    str_format(aside, sizeof aside, "%s.damaged", kept.fix->conf.state_file);
    assert_int_equal(ban_file_write(kept.fix->conf.state_file, &ban, 1, NULL), ERR_OK);
    atomic_store(&world.open_err, ERR_NO_DESCRIPTORS);
    start();
    fixture_expect_log("state.json can't be read: no descriptors are left (open file limit); "
                       "its bans have no effect, and others are not kept, until it can");
    assert_true(comes_true(file_was_read, 0));
    assert_int_equal(bans_count(kept.fix->relay.guard.bans), 1);
    stop();
    fixture_expect_log("state.json can be read now");
    assert_null(test_read_file(aside));
    assert_true(wait_in_file(1));
}

static void a_file_that_cannot_be_written_is_told_at_the_start(void **state)
{
    (void)state;
    struct ban_keeper_info info;
    str_format(kept.fix->conf.state_file, CONF_PATH_MAX, "%s/no/such/state.json", kept.dir);
    start();
    fixture_expect_log("state.json can't be written: ");
    ban_keeper_get_info(kept.keeper, &info);
    assert_int_not_equal(info.err, ERR_OK);
}

static void without_a_file_nothing_is_kept(void **state)
{
    (void)state;
    struct ban_keeper_info info;
    kept.fix->conf.state_file[0] = '\0';
    start();
    add("192.0.2.7", BAN_FOR_EVER);
    ban_keeper_get_info(kept.keeper, &info);
    assert_string_equal(info.path, "");
    assert_int_equal(info.err, ERR_OK);
}

/* ---- clocks that are set ---- */

static bool is_banned(const char *ip)
{
    struct addr addr = net_of(ip).addr;
    return bans_has(kept.fix->relay.guard.bans, &addr, now_ms(), false, NULL);
}

/* By the wall clock the only ban in the file has as much left as this one in memory, more or less;
 * a restart would find that. */
static bool has_in_file_what_is_left_until(uint64_t until_ms)
{
    struct ban *bans;
    assert_int_equal(in_file(&bans), 1);
    int64_t left_ms = (int64_t)(until_ms - now_ms());
    int64_t off = (int64_t)(bans[0].until_ms - os_wall_us() / 1000) - left_ms;
    free(bans);
    return off > -PATIENCE_MS && off < PATIENCE_MS;
}

static void a_wall_clock_that_is_set_makes_no_ban_longer_or_shorter(void **state)
{
    (void)state;
    start();
    uint64_t until_ms = now_ms() + HOUR_MS;
    add("192.0.2.7", until_ms);
    assert_true(wait_in_file(1));
    world.wall_ahead_ms = 5 * HOUR_MS;
    assert_true(is_banned("192.0.2.7"));
    assert_true(comes_true(has_in_file_what_is_left_until, until_ms));
    world.wall_ahead_ms = -5 * HOUR_MS;
    assert_true(is_banned("192.0.2.7"));
    assert_true(comes_true(has_in_file_what_is_left_until, until_ms));
    world.mono_ahead_ms = HOUR_MS;
    assert_false(is_banned("192.0.2.7"));
    stop();
    assert_true(wait_in_file(0));
}

static void a_ban_of_the_file_lasts_no_longer_than_it_was_meant_to(void **state)
{
    (void)state;
    uint64_t now = now_ms();
    struct ban ban = {.net = net_of("192.0.2.7"),
                      .set_ms = now + 5 * HOUR_MS, /* the clock was set back since */
                      .until_ms = now + 6 * HOUR_MS};
    assert_int_equal(ban_file_write(kept.fix->conf.state_file, &ban, 1, NULL), ERR_OK);
    start();
    assert_true(is_banned("192.0.2.7"));
    world.mono_ahead_ms = HOUR_MS;
    assert_false(is_banned("192.0.2.7"));
}

/* ---- one writer at a time ---- */

static void a_file_of_another_process_is_read_but_not_written_until_that_one_ends(void **state)
{
    (void)state;
    struct os_file_lock *lock;
    struct ban_keeper_info info;
    uint64_t holder;
    char text[128];
    struct ban ban = {.net = net_of("192.0.2.7"), .set_ms = 1, .until_ms = BAN_FOR_EVER};
    assert_int_equal(ban_file_write(kept.fix->conf.state_file, &ban, 1, NULL), ERR_OK);
    assert_int_equal(os_file_lock(&lock, kept.fix->conf.state_file, &holder), ERR_OK);
    start();
    assert_true(is_banned("192.0.2.7"));
    str_format(text, sizeof text,
               "is written by another relay, pid %llu: ", (unsigned long long)os_process_id());
    fixture_expect_log(text);
    ban_keeper_get_info(kept.keeper, &info);
    assert_true(info.locked_out);
    assert_int_equal(info.holder, os_process_id());
    add("192.0.2.8", BAN_FOR_EVER);
    add("192.0.2.9", BAN_FOR_EVER);
    assert_true(is_banned("192.0.2.8"));
    assert_true(wait_in_file(1));
    stop();
    assert_true(wait_in_file(1)); /* not at the end either */

    start();
    os_file_unlock(lock);
    assert_true(wait_in_file(3));
    ban_keeper_get_info(kept.keeper, &info);
    assert_false(info.locked_out);
    fixture_expect_log("is written by this relay from now on");
}

static void a_file_that_is_handed_over_is_unlocked_and_can_be_taken_back(void **state)
{
    (void)state;
    struct os_file_lock *lock;
    struct ban_keeper_info info;
    uint64_t holder;
    start();
    add("192.0.2.7", BAN_FOR_EVER);
    assert_true(wait_in_file(1));
    stop();
    start(); /* the ban comes from the file now */
    ban_keeper_hand_over(kept.keeper);
    assert_int_equal(os_file_lock(&lock, kept.fix->conf.state_file, &holder), ERR_OK);
    struct ban ban = {.net = net_of("192.0.2.8"), .set_ms = 1, .until_ms = BAN_FOR_EVER};
    assert_int_equal(ban_file_write(kept.fix->conf.state_file, &ban, 1, NULL), ERR_OK);
    os_file_unlock(lock);
    ban_keeper_take_over(kept.keeper);
    assert_true(is_banned("192.0.2.8"));
    assert_false(is_banned("192.0.2.7")); /* the other one has removed it */
    ban_keeper_get_info(kept.keeper, &info);
    assert_false(info.handed_over);
    assert_int_equal(os_file_lock(&lock, kept.fix->conf.state_file, &holder), ERR_IN_USE);
}

/* ---- many bans ---- */

static bool has_aside(uint64_t count)
{
    struct ban_keeper_info info;
    ban_keeper_get_info(kept.keeper, &info);
    return info.aside == count;
}

static void bans_that_do_not_fit_stay_in_the_file_and_come_when_there_is_room(void **state)
{
    (void)state;
    enum { MORE = 3 };
    struct ban *bans = calloc(BANS_MAX + MORE, sizeof *bans);
    assert_non_null(bans);
    for (unsigned i = 0; i < BANS_MAX + MORE; i++) {
        char ip[32];
        str_format(ip, sizeof ip, "10.%u.%u.%u", i >> 16, (i >> 8) & 255, i & 255);
        bans[i] = (struct ban){.net = net_of(ip), .set_ms = 1, .until_ms = BAN_FOR_EVER};
    }
    assert_int_equal(ban_file_write(kept.fix->conf.state_file, bans, BANS_MAX + MORE, NULL),
                     ERR_OK);
    start();
    assert_true(comes_true(has_aside, MORE)); /* slow machines take longer than a start waits */
    struct ban *there;

    assert_true(ban_keeper_remove_aside(kept.keeper, &bans[BANS_MAX].net));
    assert_false(ban_keeper_remove_aside(kept.keeper, &bans[0].net));
    assert_true(bans_remove(kept.fix->relay.guard.bans, &bans[0].net));
    assert_true(bans_remove(kept.fix->relay.guard.bans, &bans[1].net));
    ban_keeper_wake(kept.keeper, false);
    assert_true(comes_true(has_aside, 0));
    assert_true(is_banned("10.1.134.162")); /* the last one */
    stop();
    fixture_expect_log("3 bans are more than fit");
    assert_int_equal(in_file(&there), BANS_MAX);
    free(there);
    free(bans);
}

static void writes_come_in_proportion_to_what_they_cost(void **state)
{
    (void)state;
    const uint64_t mb = 1024 * 1024;
    assert_int_equal(ban_keeper_pause_ms(0, 0), 1000);
    assert_int_equal(ban_keeper_pause_ms(100 * 1024, 10), 1000);
    assert_int_equal(ban_keeper_pause_ms(2 * mb, 100), 8192);
    assert_int_equal(ban_keeper_pause_ms(100 * 1024, 1000), 20000); /* a slow disk */
    assert_int_equal(ban_keeper_pause_ms(18 * mb, 500), 60000);
}

/* ---- a disk that does not answer ---- */

static void a_disk_that_does_not_answer_holds_nobody_who_asks(void **state)
{
    (void)state;
    struct ban_keeper_info info;
    start();
    set_disk(true);
    add("192.0.2.7", BAN_FOR_EVER);
    ban_keeper_hurry(kept.keeper);
    assert_true(comes_true(disk_is_waited_for, 0));
    ban_keeper_get_info(kept.keeper, &info);
    assert_int_equal(info.err, ERR_OK);
    ban_keeper_hand_over(kept.keeper);
    fixture_expect_log("its disk does not answer; going on without waiting for it");
    set_disk(false);
    stop();
    struct ban *bans;
    assert_int_equal(in_file(&bans), 1);
    free(bans);
}

static bool bans_the_first(uint64_t unused)
{
    (void)unused;
    return is_banned("192.0.2.7");
}

static void a_start_does_not_wait_for_ever_for_its_bans(void **state)
{
    (void)state;
    struct ban ban = {.net = net_of("192.0.2.7"), .set_ms = 1, .until_ms = BAN_FOR_EVER};
    assert_int_equal(ban_file_write(kept.fix->conf.state_file, &ban, 1, NULL), ERR_OK);
    set_disk(true);
    start();
    fixture_expect_log("its disk does not answer; the relay starts without its bans");
    assert_false(is_banned("192.0.2.7"));
    set_disk(false);
    assert_true(comes_true(bans_the_first, 0));
}

static void a_file_that_was_handed_over_is_not_written_any_more(void **state)
{
    (void)state;
    struct ban *bans;
    struct ban_keeper_info info;
    start();
    add("192.0.2.7", BAN_FOR_EVER);
    ban_keeper_hand_over(kept.keeper);
    assert_int_equal(in_file(&bans), 1);
    free(bans);
    add("192.0.2.8", BAN_FOR_EVER);
    ban_keeper_get_info(kept.keeper, &info);
    assert_true(info.handed_over);
    stop();
    assert_int_equal(in_file(&bans), 1);
    free(bans);
}

static bool latest_is_ending(uint64_t unused)
{
    struct server_session_info info;
    struct pair *pair = fixture_latest(kept.fix);
    (void)unused;
    assert_non_null(pair);
    assert_true(pair_get_info(pair, false, &info));
    pair_unref(pair);
    return info.ending;
}

static void sessions_of_clients_banned_by_ban_after_end(void **state)
{
    struct fixture *fix = *state;
    start();
    fix->route_conf.max_sessions_per_client = 1;
    fix->route_conf.ban_after = (struct conf_eject){1, 10000, 3600000};
    expect_let_in(fix, "10.0.0.6");
    sock_t client = expect_let_in(fix, "10.0.0.5");
    expect_reset(fix, "10.0.0.5", REASON_LIMIT_CLIENT);
    /* As the guard does, but only now: the port of the tests has one thread at a time. */
    ban_keeper_wake(kept.keeper, true);
    assert_true(comes_true(latest_is_ending, 0));
    stop();
    fixture_pass(fix, WHEEL_SLOT_MS);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_BAN), 1);
    fixture_expect_log("1 session of banned clients ended");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        TEST(bans_outlive_a_restart),
        TEST(a_change_is_in_the_file_soon),
        TEST(hits_are_in_the_file_at_the_end),
        TEST(bans_that_are_over_are_dropped_and_told),
        TEST(bans_that_are_over_at_the_start_are_left_out),
        TEST(a_damaged_file_is_put_aside_and_told),
        TEST(a_file_that_cannot_be_read_now_stays_and_is_read_later),
        TEST(a_file_that_cannot_be_written_is_told_at_the_start),
        TEST(without_a_file_nothing_is_kept),
        TEST(a_file_that_was_handed_over_is_not_written_any_more),
        TEST(a_wall_clock_that_is_set_makes_no_ban_longer_or_shorter),
        TEST(a_ban_of_the_file_lasts_no_longer_than_it_was_meant_to),
        TEST(a_file_of_another_process_is_read_but_not_written_until_that_one_ends),
        TEST(a_file_that_is_handed_over_is_unlocked_and_can_be_taken_back),
        TEST(bans_that_do_not_fit_stay_in_the_file_and_come_when_there_is_room),
        TEST(writes_come_in_proportion_to_what_they_cost),
        TEST(a_disk_that_does_not_answer_holds_nobody_who_asks),
        TEST(a_start_does_not_wait_for_ever_for_its_bans),
        TEST(sessions_of_clients_banned_by_ban_after_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
