#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/slab.h"
#include "support/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- pages that are counted and can run out ---- */

#define PAGES_MAX 2000

static struct {
    void *block; /* from malloc() */
    void *pages; /* the aligned part of it */
    size_t size;
} held[PAGES_MAX];
static size_t held_count;
static size_t limit;

static void *alloc_pages(size_t size)
{
    assert_int_equal(size & (size - 1), 0);
    if (held_count >= limit)
        return NULL;
    char *block = malloc(2 * size);
    assert_non_null(block);
    char *pages = block + (size - (uintptr_t)block % size) % size;
    memset(pages, 0, size);
    held[held_count].block = block;
    held[held_count].pages = pages;
    held[held_count++].size = size;
    return pages;
}

static void free_pages(void *memory, size_t size)
{
    size_t i = 0;
    while (i < held_count && held[i].pages != memory)
        i++;
    assert_true(i < held_count);
    assert_int_equal(held[i].size, size);
    memset(memory, 0xEE, size);
    free(held[i].block);
    held[i] = held[--held_count];
}

static struct slab slab;

static void start(size_t object_size, size_t align)
{
    slab_init(&slab, object_size, align, (struct slab_pages){alloc_pages, free_pages});
}

static int set_up(void **state)
{
    (void)state;
    limit = PAGES_MAX;
    start(100, 8);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    slab_destroy(&slab);
    assert_int_equal(held_count, 0);
    return 0;
}

static void *taken(void)
{
    void *object = slab_take(&slab);
    assert_non_null(object);
    return object;
}

/* ---- sizes ---- */

static void nothing_is_allocated_before_the_first_take(void **state)
{
    (void)state;
    assert_int_equal(held_count, 0);
    assert_int_equal(slab.chunks, 0);
    assert_int_equal(slab.used, 0);
}

static void sizes_are_rounded_up_to_the_alignment(void **state)
{
    (void)state;
    static const struct {
        size_t size, align, object_size;
    } cases[] = {
        {100, 8, 104},        {104, 8, 104},          {1, 1, 16},   {17, 1, 24},
        {100, 64, 128},       {65, 64, 128},          {64, 64, 64}, {16384, 4096, 16384},
        {16385, 4096, 20480}, {1000000, 16, 1000000},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        start(cases[i].size, cases[i].align);
        assert_int_equal(slab.object_size, cases[i].object_size);
        assert_int_equal(slab.chunk_size & (slab.chunk_size - 1), 0);
        assert_true(slab.chunk_size >= 64 * 1024);
        assert_true(slab.per_chunk >= 8);
        assert_true(slab.per_chunk * slab.object_size < slab.chunk_size);
        /* No room for one more object is wasted. */
        assert_true((slab.per_chunk + 1) * slab.object_size + slab.align + 64 >
                    slab.chunk_size);
    }
}

static void objects_are_aligned_and_do_not_overlap(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 24, 100, 1000, 5000, 16384};
    static const size_t aligns[] = {1, 8, 16, 64, 4096};
    static unsigned char *objects[300];
    for (size_t s = 0; s < COUNT(sizes); s++) {
        for (size_t a = 0; a < COUNT(aligns); a++) {
            start(sizes[s], aligns[a]);
            for (size_t i = 0; i < COUNT(objects); i++) {
                objects[i] = taken();
                assert_int_equal((uintptr_t)objects[i] % aligns[a], 0);
                memset(objects[i], (int)(i % 251), sizes[s]);
            }
            for (size_t i = 0; i < COUNT(objects); i++) {
                assert_int_equal(objects[i][0], i % 251);
                assert_int_equal(objects[i][sizes[s] - 1], i % 251);
                slab_give(&slab, objects[i]);
            }
            slab_destroy(&slab);
        }
    }
}

/* ---- taking and giving ---- */

static void a_chunk_is_filled_before_the_next_is_fetched(void **state)
{
    (void)state;
    void **objects = calloc(2 * slab.per_chunk, sizeof *objects);
    for (size_t i = 0; i < 2 * slab.per_chunk; i++) {
        objects[i] = taken();
        assert_int_equal(slab.chunks, i / slab.per_chunk + 1);
        assert_int_equal(held_count, slab.chunks);
        assert_int_equal(slab.used, i + 1);
        assert_int_equal(slab.empty_chunks, 0);
    }
    for (size_t i = 0; i < 2 * slab.per_chunk; i++)
        slab_give(&slab, objects[i]);
    free(objects);
}

static void a_given_object_is_the_next_one_taken(void **state)
{
    (void)state;
    void *a = taken();
    void *b = taken();
    slab_give(&slab, a);
    assert_ptr_equal(taken(), a);
    slab_give(&slab, b);
    slab_give(&slab, a);
    assert_ptr_equal(taken(), a); /* warm in the cache */
    assert_ptr_equal(taken(), b);
    slab_give(&slab, a);
    slab_give(&slab, b);
}

static void one_empty_chunk_is_kept_for_the_next_burst(void **state)
{
    (void)state;
    slab_give(&slab, taken());
    assert_int_equal(held_count, 1);
    assert_int_equal(slab.empty_chunks, 1);
    slab_give(&slab, taken());
    assert_int_equal(held_count, 1);
}

static void further_empty_chunks_go_back(void **state)
{
    (void)state;
    const size_t chunks = 5;
    size_t count = chunks * slab.per_chunk;
    void **objects = calloc(count, sizeof *objects);
    for (size_t i = 0; i < count; i++)
        objects[i] = taken();
    assert_int_equal(held_count, chunks);

    for (size_t i = 0; i < count; i++) {
        slab_give(&slab, objects[i]);
        size_t in_use = chunks - (i + 1) / slab.per_chunk;
        assert_int_equal(slab.chunks, in_use + slab.empty_chunks);
        assert_true(slab.empty_chunks <= 1);
        assert_int_equal(held_count, slab.chunks);
    }
    assert_int_equal(held_count, 1);
    free(objects);
}

static void going_up_and_down_at_a_chunks_edge_fetches_nothing(void **state)
{
    (void)state;
    void **objects = calloc(slab.per_chunk, sizeof *objects);
    for (size_t i = 0; i < slab.per_chunk; i++)
        objects[i] = taken();
    slab_give(&slab, taken()); /* the second chunk, empty again */
    limit = held_count;        /* no more from here on */
    for (int i = 0; i < 10; i++)
        slab_give(&slab, taken());
    assert_int_equal(held_count, 2);
    for (size_t i = 0; i < slab.per_chunk; i++)
        slab_give(&slab, objects[i]);
    free(objects);
}

static void without_memory_nothing_changes(void **state)
{
    (void)state;
    limit = 0;
    assert_null(slab_take(&slab));
    assert_int_equal(slab.used, 0);
    assert_int_equal(slab.chunks, 0);
    assert_int_equal(slab.empty_chunks, 0);

    limit = 1;
    void **objects = calloc(slab.per_chunk, sizeof *objects);
    for (size_t i = 0; i < slab.per_chunk; i++)
        objects[i] = taken();
    assert_null(slab_take(&slab));
    assert_int_equal(slab.used, slab.per_chunk);
    slab_give(&slab, objects[3]);
    assert_ptr_equal(taken(), objects[3]);
    for (size_t i = 0; i < slab.per_chunk; i++)
        slab_give(&slab, objects[i]);
    free(objects);
}

/* ---- against an obvious model ---- */

static void check_chunk_counts(void)
{
    assert_int_equal(held_count, slab.chunks);
    assert_true(slab.empty_chunks <= 1);
    assert_true(slab.used <= (slab.chunks - slab.empty_chunks) * slab.per_chunk);
}

static void random_bursts_keep_every_object_intact(void **state)
{
    (void)state;
    enum { OBJECTS = 3000 };
    struct object {
        uint64_t words[40];
    };
    static struct object *objects[OBJECTS];
    static uint64_t values[OBJECTS];
    struct random random;
    random_init(&random, random_test_seed(), 1);
    start(sizeof(struct object), 64);

    size_t count = 0;
    for (int burst = 0; burst < 200; burst++) {
        size_t target = (size_t)random_below(&random, OBJECTS + 1);
        while (count < target) {
            objects[count] = taken();
            values[count] = random_next(&random);
            for (size_t w = 0; w < COUNT(objects[count]->words); w++)
                objects[count]->words[w] = values[count] + w;
            count++;
        }
        while (count > target) {
            size_t i = (size_t)random_below(&random, count);
            for (size_t w = 0; w < COUNT(objects[i]->words); w++)
                assert_true(objects[i]->words[w] == values[i] + w);
            slab_give(&slab, objects[i]);
            objects[i] = objects[--count];
            values[i] = values[count];
        }
        assert_int_equal(slab.used, count);
        check_chunk_counts();
    }
    while (count > 0)
        slab_give(&slab, objects[--count]);
    assert_int_equal(held_count, 1);
}

/* A buffer may hold any bytes, also those of a free object that was read by mistake. */
static void an_object_that_looks_free_can_be_given(void **state)
{
    (void)state;
    unsigned char *object = taken();
    unsigned char copy[16];
    slab_give(&slab, object);
    assert_ptr_equal(taken(), object);
    memcpy(copy, object, sizeof copy);
    for (size_t i = sizeof copy / 2; i < sizeof copy; i++)
        assert_int_equal(copy[i], 0); /* the mark is wiped when taken */

    slab_give(&slab, taken()); /* so that there is a free object to compare with */
    uintptr_t mark = (uintptr_t)object ^ (uintptr_t)UINT64_C(0x5fd0b7e3c2a94d16);
    memcpy(object + sizeof(void *), &mark, sizeof mark);
    slab_give(&slab, object);
    assert_ptr_equal(taken(), object);
    slab_give(&slab, object);
}

/* ---- misuse ends the program ---- */

static jmp_buf before_abort;

static void leave_abort(int number)
{
    (void)number;
    longjmp(before_abort, 1);
}

/* Whether slab_give() stops at an assertion, which it does before it has changed anything. */
static bool give_aborts(void *object)
{
    void (*saved)(int) = signal(SIGABRT, leave_abort);
    volatile bool aborted = true;
    if (setjmp(before_abort) == 0) {
        slab_give(&slab, object);
        aborted = false;
    }
    signal(SIGABRT, saved);
    return aborted;
}

static void an_object_cannot_be_given_twice(void **state)
{
    (void)state;
    char *a = taken();
    char *b = taken();
    char *c = taken();
    slab_give(&slab, a);
    slab_give(&slab, b);
    assert_true(give_aborts(a));
    assert_true(give_aborts(b));
    assert_false(give_aborts(c));
    assert_true(give_aborts(c)); /* its chunk is empty by now */
}

static void what_is_no_object_cannot_be_given(void **state)
{
    (void)state;
    char *object = taken();
    assert_true(give_aborts(object + 8));
    assert_true(give_aborts(object + slab.object_size)); /* was never taken */
    assert_true(give_aborts((char *)((uintptr_t)object & ~(slab.chunk_size - 1))));
    slab_give(&slab, object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_allocated_before_the_first_take, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(sizes_are_rounded_up_to_the_alignment, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(objects_are_aligned_and_do_not_overlap, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_chunk_is_filled_before_the_next_is_fetched, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_given_object_is_the_next_one_taken, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_empty_chunk_is_kept_for_the_next_burst, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(further_empty_chunks_go_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(going_up_and_down_at_a_chunks_edge_fetches_nothing,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_nothing_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(random_bursts_keep_every_object_intact, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_object_that_looks_free_can_be_given, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_object_cannot_be_given_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_object_cannot_be_given, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
