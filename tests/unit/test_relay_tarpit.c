/* The tarpit under random times, against a list that is looked through. The seed is printed;
 * PAIRPORT_SEED repeats a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/guard/tarpit.h"
#include "relay_fixture.h"
#include "support/random.h"

#define PLACES    150
#define STEPS     20000
#define TIME_MAX  5000
#define TAKEN_MAX 65536

static uint64_t seed;

struct taken {
    sock_t sock;
    uint64_t due_ms;
};

static const struct addr here = {.family = ADDR_IPV4, .port = 7000, .ip = {127, 0, 0, 1}};
static const struct addr there = {.family = ADDR_IPV4, .port = 9, .ip = {192, 0, 2, 1}};

static void check(const struct taken *taken, size_t count, uint64_t now_ms)
{
    for (size_t i = 0; i < count; i++) {
        enum fake_sock_state state = fake_sock(taken[i].sock)->state;
        /* Never early, and at most two slots of the timers late. */
        if (now_ms < taken[i].due_ms)
            assert_int_equal(state, FAKE_SOCK_IS_OPEN);
        else if (now_ms >= taken[i].due_ms + 2 * WHEEL_SLOT_MS)
            assert_int_equal(state, FAKE_SOCK_ABORTED);
    }
}

static void whoever_is_in_it_is_reset_at_its_time_and_not_before(void **state)
{
    struct fixture *fix = *state;
    static struct taken taken[TAKEN_MAX];
    struct tarpit tarpit = {.max = 0};
    struct random random;
    size_t count = 0, first = 0;
    random_init(&random, seed, 0);
    assert_int_equal(tarpit_open(&tarpit, &fix->relay.timers, PLACES), ERR_OK);
    for (int step = 0; step < STEPS; step++) {
        if (random_chance(&random, 60) && count < TAKEN_MAX) {
            bool full = atomic_load(&tarpit.held) == PLACES;
            sock_t sock = fake_sock_make(&here, &there);
            uint64_t due = fix->worker->now_ms + random_below(&random, TIME_MAX);
            assert_int_equal(tarpit_take(&tarpit, sock, due), !full);
            if (full)
                sock_close(sock, SOCK_CLOSE_ABORT);
            else
                taken[count++] = (struct taken){sock, due};
        } else {
            fixture_pass(fix, random_below(&random, 40));
            check(taken + first, count - first, fix->worker->now_ms);
            while (first < count &&
                   taken[first].due_ms + 2 * WHEEL_SLOT_MS <= fix->worker->now_ms)
                first++;
        }
    }
    tarpit_stop(&tarpit);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(fake_sock(taken[i].sock)->state, FAKE_SOCK_ABORTED);
    assert_int_equal(atomic_load(&tarpit.total), count);
    assert_int_equal(atomic_load(&tarpit.held), 0);
    assert_true(atomic_load(&tarpit.full_total) > 0);
    tarpit_close(&tarpit);
}

static void a_tarpit_without_places_takes_nobody(void **state)
{
    struct fixture *fix = *state;
    struct tarpit tarpit = {.max = 0};
    assert_int_equal(tarpit_open(&tarpit, &fix->relay.timers, 0), ERR_OK);
    sock_t sock = fake_sock_make(&here, &there);
    assert_false(tarpit_take(&tarpit, sock, UINT64_MAX));
    sock_close(sock, SOCK_CLOSE_ABORT);
    tarpit_close(&tarpit);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    seed = random_test_seed();
    const struct CMUnitTest tests[] = {
        TEST(whoever_is_in_it_is_reset_at_its_time_and_not_before),
        TEST(a_tarpit_without_places_takes_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
