/* test_os.c - clock, threads, memory and the machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/os.h"
#include "os/tty.h"
#include "support/platform.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- clock ---- */

static void the_monotonic_clocks_agree_and_never_go_back(void **state)
{
    (void)state;
    uint64_t last = os_mono_us();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = os_mono_us();
        assert_true(now >= last);
        last = now;
    }
    uint64_t before = os_mono_us() / 1000;
    uint64_t ms = os_mono_ms();
    uint64_t after = os_mono_us() / 1000;
    assert_in_range(ms, before, after);
}

/* After the test that compares the two clocks: they differ from here on. */
static void time_that_is_left_out_counts_no_more(void **state)
{
    (void)state;
    os_sleep_ms(20);
    uint64_t before = os_mono_ms();
    os_mono_leave_out(10);
    uint64_t first = os_mono_us() / 1000;
    uint64_t ms = os_mono_ms();
    uint64_t last = os_mono_us() / 1000;
    assert_in_range(ms + 10, first - 1, last + 1);
    assert_true(ms >= before - 10);
}

static void sleeping_takes_at_least_its_time(void **state)
{
    (void)state;
    uint64_t before = os_mono_us();
    os_sleep_ms(20);
    /* The clock of Windows' scheduler and the one read here round differently. */
    assert_true(os_mono_us() - before >= 18000);
}

static void the_wall_clock_is_past_the_day_this_was_written(void **state)
{
    (void)state;
    uint64_t january_2024_us = UINT64_C(1704067200000000);
    assert_true(os_wall_us() > january_2024_us);
    assert_true(os_wall_us() < 4 * january_2024_us);
}

/* ---- the terminal ---- */

static void without_a_terminal_tables_are_as_wide_as_the_environment_says(void **state)
{
    (void)state;
    if (tty_is_terminal_out())
        skip();
    static char none[] = "COLUMNS=", width[] = "COLUMNS=57", wrong[] = "COLUMNS=wide";
    assert_int_equal(putenv(width), 0);
    assert_int_equal(tty_columns_wanted(), 57);
    assert_int_equal(putenv(wrong), 0);
    assert_int_equal(tty_columns_wanted(), 0);
    assert_int_equal(putenv(none), 0);
    assert_int_equal(tty_columns_wanted(), 0);
}

static void ssh_says_from_where_the_terminal_is_used(void **state)
{
    (void)state;
    static char none[] = "SSH_CONNECTION=",
                four[] = "SSH_CONNECTION=192.0.2.7 50022 10.0.0.1 22",
                wrong[] = "SSH_CONNECTION=somewhere 1",
                no_client[] = "SSH_CLIENT=", client[] = "SSH_CLIENT=::ffff:192.0.2.8 50022 22";
    struct addr addr;
    char text[ADDR_TEXT_MAX];
    assert_int_equal(putenv(none), 0);
    assert_int_equal(putenv(no_client), 0);
    assert_false(tty_remote(&addr));
    assert_int_equal(putenv(four), 0);
    assert_true(tty_remote(&addr));
    assert_string_equal(addr_format_ip(&addr, text), "192.0.2.7");
    assert_int_equal(putenv(wrong), 0);
    assert_false(tty_remote(&addr));
    assert_int_equal(putenv(client), 0);
    assert_true(tty_remote(&addr));
    assert_string_equal(addr_format_ip(&addr, text), "192.0.2.8");
    assert_int_equal(putenv(none), 0);
    assert_int_equal(putenv(no_client), 0);
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 20000 };

struct counter {
    struct os_mutex mutex;
    struct os_cond cond;
    uint64_t value;
    uint64_t tried; /* locks taken by os_mutex_try() */
    bool go;
};

static void count_up(void *arg)
{
    struct counter *counter = arg;
    for (int i = 0; i < ROUNDS; i++) {
        bool tried = i % 3 == 0 && os_mutex_try(&counter->mutex);
        if (!tried)
            os_mutex_lock(&counter->mutex);
        counter->value++;
        counter->tried += tried;
        os_mutex_unlock(&counter->mutex);
    }
}

static void a_mutex_of_zeroes_admits_one_thread_at_a_time(void **state)
{
    (void)state;
    struct counter counter;
    memset(&counter, 0, sizeof counter);
    struct os_thread *threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(os_thread_start(&threads[i], "counter", count_up, &counter), ERR_OK);
    for (int i = 0; i < THREADS; i++)
        os_thread_join(threads[i]);
    assert_int_equal(counter.value, THREADS * ROUNDS);
    assert_true(counter.tried > 0);
    struct os_mutex untouched = {0};
    assert_memory_equal(&counter.mutex, &untouched, sizeof untouched);
}

struct trial {
    struct os_mutex *mutex;
    bool got;
};

static void try_it(void *arg)
{
    struct trial *trial = arg;
    trial->got = os_mutex_try(trial->mutex);
    if (trial->got)
        os_mutex_unlock(trial->mutex);
}

static bool another_thread_gets(struct os_mutex *mutex)
{
    struct trial trial = {.mutex = mutex};
    struct os_thread *thread;
    assert_int_equal(os_thread_start(&thread, "trial", try_it, &trial), ERR_OK);
    os_thread_join(thread);
    return trial.got;
}

static void trying_a_held_mutex_fails_and_a_free_one_succeeds(void **state)
{
    (void)state;
    struct os_mutex mutex = {0};
    os_mutex_lock(&mutex);
    assert_false(another_thread_gets(&mutex));
    os_mutex_unlock(&mutex);
    assert_true(another_thread_gets(&mutex));
    assert_true(os_mutex_try(&mutex));
    assert_false(another_thread_gets(&mutex));
    os_mutex_unlock(&mutex);
}

/* Two threads take turns: one makes the value odd, the other even. */
static void make_even(void *arg)
{
    struct counter *counter = arg;
    os_mutex_lock(&counter->mutex);
    while (counter->value < 2 * 500) {
        if (counter->value % 2 == 1) {
            counter->value++;
            os_cond_wake_all(&counter->cond);
        } else {
            os_cond_wait(&counter->cond, &counter->mutex, UINT32_MAX);
        }
    }
    os_mutex_unlock(&counter->mutex);
}

static void a_waiting_thread_is_woken_each_time(void **state)
{
    (void)state;
    struct counter counter;
    memset(&counter, 0, sizeof counter);
    struct os_thread *thread;
    assert_int_equal(os_thread_start(&thread, "even", make_even, &counter), ERR_OK);
    os_mutex_lock(&counter.mutex);
    while (counter.value < 2 * 500) {
        if (counter.value % 2 == 0) {
            counter.value++;
            os_cond_wake_all(&counter.cond);
        } else {
            os_cond_wait(&counter.cond, &counter.mutex, UINT32_MAX);
        }
    }
    os_mutex_unlock(&counter.mutex);
    os_thread_join(thread);
    assert_int_equal(counter.value, 2 * 500);
}

static void wait_for_go(void *arg)
{
    struct counter *counter = arg;
    os_mutex_lock(&counter->mutex);
    counter->value++;
    os_cond_wake_all(&counter->cond);
    while (!counter->go)
        os_cond_wait(&counter->cond, &counter->mutex, UINT32_MAX);
    counter->tried++;
    os_mutex_unlock(&counter->mutex);
}

static void one_wake_reaches_all_that_wait(void **state)
{
    (void)state;
    struct counter counter;
    memset(&counter, 0, sizeof counter);
    struct os_thread *threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(os_thread_start(&threads[i], "waiter", wait_for_go, &counter), ERR_OK);
    os_mutex_lock(&counter.mutex);
    while (counter.value < THREADS)
        os_cond_wait(&counter.cond, &counter.mutex, UINT32_MAX);
    counter.go = true;
    os_cond_wake_all(&counter.cond);
    os_mutex_unlock(&counter.mutex);
    for (int i = 0; i < THREADS; i++)
        os_thread_join(threads[i]);
    assert_int_equal(counter.tried, THREADS);
}

static void a_wait_ends_when_its_time_is_over_and_holds_the_mutex(void **state)
{
    (void)state;
    struct os_mutex mutex = {0};
    struct os_cond cond = {0};
    os_mutex_lock(&mutex);
    while (os_cond_wait(&cond, &mutex, 2)) {
        /* It may wake without a cause. */
    }
    assert_false(another_thread_gets(&mutex));
    os_mutex_unlock(&mutex);
}

static void tell_id(void *arg)
{
    uint64_t *id = arg;
    *id = os_thread_id();
}

static void every_thread_has_an_id_of_its_own(void **state)
{
    (void)state;
    uint64_t id = 0;
    struct os_thread *thread;
    assert_int_equal(
        os_thread_start(&thread, "a name of more than fifteen bytes", tell_id, &id), ERR_OK);
    os_thread_join(thread);
    assert_int_not_equal(id, 0);
    assert_int_not_equal(id, os_thread_id());
    assert_int_equal(os_thread_id(), os_thread_id());
}

/* ---- memory ---- */

static void pages_are_zeroed_and_aligned_to_their_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {4096, 8192, 65536, 131072, 1 << 20, 4 << 20};
    unsigned char *pages[2 * COUNT(sizes)];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (int twice = 0; twice < 2; twice++) {
            unsigned char *memory = os_pages_alloc(sizes[i]);
            assert_non_null(memory);
            assert_int_equal((uintptr_t)memory % sizes[i], 0);
            assert_int_equal(memory[0], 0);
            assert_int_equal(memory[sizes[i] - 1], 0);
            memset(memory, 0xAA, sizes[i]);
            pages[count++] = memory;
        }
    }
    while (count-- > 0)
        os_pages_free(pages[count], sizes[count / 2]);
}

static void pages_of_an_odd_size_hold_that_much(void **state)
{
    (void)state;
    size_t size = 3 * 65536 + 1;
    unsigned char *memory = os_pages_alloc(size);
    assert_non_null(memory);
    memset(memory, 0xAA, size);
    os_pages_free(memory, size);
}

static void an_impossible_size_gives_no_pages(void **state)
{
    (void)state;
    assert_null(os_pages_alloc(0));
    assert_null(os_pages_alloc(SIZE_MAX));
    assert_null(os_pages_alloc((size_t)1 << 62));
    os_pages_free(NULL, 4096);
}

static void freed_pages_are_given_back(void **state)
{
    (void)state;
    size_t size = 64 << 20;
    unsigned char *memory = os_pages_alloc(size);
    assert_non_null(memory);
    memset(memory, 1, size);
    uint64_t with = os_resident_bytes();
    os_pages_free(memory, size);
    uint64_t without = os_resident_bytes();
    assert_true(with >= size);
    /* Half of it, since other memory of the process comes and goes. */
    assert_true(without < with - size / 2);
}

static void slabs_get_these_pages(void **state)
{
    (void)state;
    struct slab_pages pages = os_slab_pages();
    void *memory = pages.alloc(65536);
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % 65536, 0);
    pages.free(memory, 65536);
}

/* ---- machine ---- */

static void the_machine_has_a_processor_a_name_and_this_process(void **state)
{
    (void)state;
    assert_in_range(os_cpu_count(), 1, 4096);
    assert_int_not_equal(os_process_id(), 0);
    const char *system = test_on_windows() ? "Windows " : "Linux ";
    assert_int_equal(strncmp(os_name(), system, strlen(system)), 0);
    assert_in_range(os_name()[strlen(system)], '0', '9');
    assert_int_equal(strstr(os_name(), "(Wine ") != NULL, test_on_wine());
}

static void ports_for_outgoing_connections_are_told_by_their_range(void **state)
{
    (void)state;
    uint16_t first = 0, last = 0, again_first, again_last;
    if (!os_ephemeral_overlap(1, UINT16_MAX, &first, &last)) {
        assert_int_equal(os_ephemeral_ports(), 0); /* this system does not tell */
        return;
    }
    assert_in_range(first, 1, last);
    assert_int_equal(os_ephemeral_ports(), last - first + 1);
    assert_false(os_ephemeral_overlap(0, first - 1, &again_first, &again_last));
    if (last < UINT16_MAX)
        assert_false(os_ephemeral_overlap(last + 1, UINT16_MAX, &again_first, &again_last));
    assert_true(os_ephemeral_overlap(first - 1, last, &again_first, &again_last));
    assert_int_equal(again_first, first);
    assert_int_equal(again_last, last);
}

static void work_shows_as_processor_time(void **state)
{
    (void)state;
    uint64_t before = os_cpu_us();
    volatile uint64_t sum = 0;
    /* Until the clock of the process has moved; some systems count in ticks of 16 ms. */
    uint64_t give_up = os_mono_ms() + 20000;
    while (os_cpu_us() == before && os_mono_ms() < give_up) {
        for (int i = 0; i < 10000; i++)
            sum += (uint64_t)i;
    }
    (void)sum;
    assert_true(os_cpu_us() > before);
}

static void open_files_count_as_descriptors_within_the_limit(void **state)
{
    const char *dir = *state;
    char path[TEST_PATH_MAX];
    str_format(path, sizeof path, "%s/counted", dir);
    const char *limit_name = NULL;
    uint64_t limit = os_raise_descriptor_limit(&limit_name);
    assert_non_null(limit_name);
    assert_int_equal(limit, os_descriptor_limit());
    assert_int_equal(limit, os_raise_descriptor_limit(&limit_name));

    uint64_t before = os_descriptor_count();
    if (before == 0) { /* Wine 8 does not count */
        assert_true(test_on_wine());
        skip();
    }
    FILE *files[8];
    for (size_t i = 0; i < COUNT(files); i++)
        assert_int_equal(os_file_open(&files[i], path, "w"), ERR_OK);
    uint64_t with = os_descriptor_count();
    for (size_t i = 0; i < COUNT(files); i++)
        fclose(files[i]);
    assert_int_equal(with, before + COUNT(files));
    assert_int_equal(os_descriptor_count(), before);
    assert_true(with < limit);
}

static void random_numbers_differ(void **state)
{
    (void)state;
    uint64_t seen[16];
    uint64_t low = 0;
    uint64_t high = 0;
    for (size_t i = 0; i < COUNT(seen); i++) {
        seen[i] = os_random();
        low |= seen[i] & UINT32_MAX;
        high |= seen[i] >> 32;
        for (size_t j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
    }
    assert_true(low != 0 && high != 0);
}

static int make_dir(void **state)
{
    char *dir = malloc(TEST_PATH_MAX);
    if (dir == NULL || test_make_dir(dir) != ERR_OK)
        return -1;
    *state = dir;
    return 0;
}

static int remove_dir(void **state)
{
    test_remove_dir(*state);
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_terminal_tables_are_as_wide_as_the_environment_says),
        cmocka_unit_test(ssh_says_from_where_the_terminal_is_used),
        cmocka_unit_test(the_monotonic_clocks_agree_and_never_go_back),
        cmocka_unit_test(time_that_is_left_out_counts_no_more),
        cmocka_unit_test(sleeping_takes_at_least_its_time),
        cmocka_unit_test(the_wall_clock_is_past_the_day_this_was_written),
        cmocka_unit_test(a_mutex_of_zeroes_admits_one_thread_at_a_time),
        cmocka_unit_test(trying_a_held_mutex_fails_and_a_free_one_succeeds),
        cmocka_unit_test(a_waiting_thread_is_woken_each_time),
        cmocka_unit_test(one_wake_reaches_all_that_wait),
        cmocka_unit_test(a_wait_ends_when_its_time_is_over_and_holds_the_mutex),
        cmocka_unit_test(every_thread_has_an_id_of_its_own),
        cmocka_unit_test(pages_are_zeroed_and_aligned_to_their_size),
        cmocka_unit_test(pages_of_an_odd_size_hold_that_much),
        cmocka_unit_test(an_impossible_size_gives_no_pages),
        cmocka_unit_test(freed_pages_are_given_back),
        cmocka_unit_test(slabs_get_these_pages),
        cmocka_unit_test(the_machine_has_a_processor_a_name_and_this_process),
        cmocka_unit_test(ports_for_outgoing_connections_are_told_by_their_range),
        cmocka_unit_test(work_shows_as_processor_time),
        cmocka_unit_test(open_files_count_as_descriptors_within_the_limit),
        cmocka_unit_test(random_numbers_differ),
    };
    os_init();
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
