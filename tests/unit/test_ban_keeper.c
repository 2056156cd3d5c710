/* The thread that looks after the bans: what it keeps, and what it finds at a start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guard_fixture.h"
#include "os/os.h"
#include "relay/ban_file.h"
#include "relay/ban_keeper.h"
#include "support/platform.h"

#define PATIENCE_MS 60000

struct kept {
    struct fixture *fix;
    struct ban_keeper *keeper;
    char dir[TEST_PATH_MAX];
};

static struct kept kept;

static int set_up(void **state)
{
    void *fix;
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

static uint64_t now_ms(void)
{
    return os_wall_us() / 1000;
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

static bool wait_in_file(size_t count)
{
    for (uint64_t begun = os_mono_ms(); os_mono_ms() - begun < PATIENCE_MS; os_sleep_ms(10)) {
        struct ban *bans;
        size_t there = in_file(&bans);
        free(bans);
        if (there == count)
            return true;
    }
    return false;
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
    fixture_expect_log("2 bans taken over");
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
    for (uint64_t begun = os_mono_ms(); os_mono_ms() - begun < PATIENCE_MS; os_sleep_ms(10))
        if (bans_count(kept.fix->relay.guard.bans) == 0)
            break;
    assert_int_equal(bans_count(kept.fix->relay.guard.bans), 0);
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
    assert_int_equal(ban_file_write(kept.fix->conf.state_file, bans, 2), ERR_OK);
    start();
    assert_int_equal(bans_count(kept.fix->relay.guard.bans), 1);
    fixture_expect_log("1 ban taken over, 1 over or too many");
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
    for (uint64_t begun = os_mono_ms(); os_mono_ms() - begun < PATIENCE_MS; os_sleep_ms(10)) {
        struct server_session_info info;
        struct pair *pair = fixture_latest(fix);
        assert_non_null(pair);
        assert_true(pair_get_info(pair, false, &info));
        pair_unhold(pair);
        if (info.ending)
            break;
    }
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
        TEST(a_file_that_cannot_be_written_is_told_at_the_start),
        TEST(without_a_file_nothing_is_kept),
        TEST(a_file_that_was_handed_over_is_not_written_any_more),
        TEST(sessions_of_clients_banned_by_ban_after_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
