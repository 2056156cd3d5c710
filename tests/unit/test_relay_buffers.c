/* The buffers of what slow sinks leave: sizes, what a worker keeps at hand, what goes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/core/buffers.h"

struct rig {
    struct buffers buffers;
    struct buffer_cache cache, other;
};

/* Scratch buffers and reserves that are not freed. */
static int chunks;
static bool chunks_are_out;

static void *take_chunk(size_t size)
{
    if (chunks_are_out)
        return NULL;
    chunks++;
    return os_slab_pages().alloc(size);
}

static void free_chunk(void *memory, size_t size)
{
    chunks--;
    os_slab_pages().free(memory, size);
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    buffers_init(&rig->buffers);
    chunks = 0;
    chunks_are_out = false;
    rig->buffers.pages = (struct slab_pages){take_chunk, free_chunk};
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(atomic_load(&rig->cache.used) + atomic_load(&rig->other.used), 0);
    buffers_close_cache(&rig->buffers, &rig->cache);
    buffers_close_cache(&rig->buffers, &rig->other);
    assert_int_equal(chunks, 0);
    buffers_empty_cache(&rig->buffers, &rig->cache);
    buffers_empty_cache(&rig->buffers, &rig->other);
    for (unsigned i = 0; i < BUFFER_CLASSES; i++)
        assert_int_equal(rig->buffers.classes[i].slab.used, 0);
    buffers_destroy(&rig->buffers);
    free(rig);
    return 0;
}

static void a_buffer_has_room_for_what_was_asked_and_not_much_more(void **state)
{
    struct rig *rig = *state;
    static const uint32_t sizes[] = {1,     4095,  4096,   4097,   16384,         16385,
                                     65536, 65537, 262144, 262145, BUFFER_LARGEST};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buffer buffer = buffers_take(&rig->buffers, &rig->cache, sizes[i]);
        assert_non_null(buffer.bytes);
        size_t room = rig->buffers.classes[buffer.class].slab.object_size;
        assert_true(room >= sizes[i]);
        assert_true(room == BUFFER_SMALLEST || room < 4 * (size_t)sizes[i]);
        memset(buffer.bytes, 0xA5, sizes[i]);
        buffers_give(&rig->buffers, &rig->cache, &buffer);
        assert_null(buffer.bytes);
    }
}

static void giving_what_is_none_changes_nothing(void **state)
{
    struct rig *rig = *state;
    struct buffer none = {NULL, 0};
    buffers_give(&rig->buffers, &rig->cache, &none);
    assert_int_equal(atomic_load(&rig->cache.used), 0);
    assert_int_equal(rig->cache.classes[0].count, 0);
}

static void a_worker_keeps_a_few_at_hand_and_takes_the_warmest_first(void **state)
{
    struct rig *rig = *state;
    struct buffer taken[BUFFER_CACHE_DEPTH + 2];
    for (size_t i = 0; i < BUFFER_CACHE_DEPTH + 2; i++)
        taken[i] = buffers_take(&rig->buffers, &rig->cache, 100);
    assert_int_equal(atomic_load(&rig->cache.used), BUFFER_CACHE_DEPTH + 2);
    const unsigned char *last_kept = taken[BUFFER_CACHE_DEPTH - 1].bytes;
    for (size_t i = 0; i < BUFFER_CACHE_DEPTH + 2; i++)
        buffers_give(&rig->buffers, &rig->cache, &taken[i]);
    assert_int_equal(rig->buffers.classes[0].slab.used, BUFFER_CACHE_DEPTH);

    struct buffer again = buffers_take(&rig->buffers, &rig->cache, 100);
    assert_ptr_equal(again.bytes, last_kept);
    buffers_give(&rig->buffers, &rig->cache, &again);
}

static void large_buffers_go_back_at_once(void **state)
{
    struct rig *rig = *state;
    struct buffer large = buffers_take(&rig->buffers, &rig->cache, BUFFER_CACHED_MAX + 1);
    unsigned class = large.class;
    buffers_give(&rig->buffers, &rig->cache, &large);
    assert_int_equal(rig->buffers.classes[class].slab.used, 0);
    struct buffer cached = buffers_take(&rig->buffers, &rig->cache, BUFFER_CACHED_MAX);
    class = cached.class;
    buffers_give(&rig->buffers, &rig->cache, &cached);
    assert_int_equal(rig->buffers.classes[class].slab.used, 1);
}

static void what_one_worker_takes_another_may_give(void **state)
{
    struct rig *rig = *state;
    struct buffer buffer = buffers_take(&rig->buffers, &rig->cache, 5000);
    buffers_give(&rig->buffers, &rig->other, &buffer);
    assert_int_equal(atomic_load(&rig->cache.used), 1);
    assert_int_equal(atomic_load(&rig->other.used), -1);
    struct buffer same = buffers_take(&rig->buffers, &rig->other, 5000);
    assert_int_equal(rig->buffers.classes[same.class].slab.used, 1);
    buffers_give(&rig->buffers, &rig->cache, &same);
}

static void memory_that_is_held_is_counted_and_given_back(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(buffers_memory(&rig->buffers), 0);
    enum { COUNT = 200 };
    struct buffer taken[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        taken[i] = buffers_take(&rig->buffers, &rig->cache, 65536);
    uint64_t most = buffers_memory(&rig->buffers);
    assert_true(most >= COUNT * 65536u && most < 2 * COUNT * 65536u);
    for (size_t i = 0; i < COUNT; i++)
        buffers_give(&rig->buffers, &rig->cache, &taken[i]);
    assert_true(buffers_memory(&rig->buffers) < most / 8);
}

static void *no_pages(size_t size)
{
    (void)size;
    return NULL;
}

static void without_memory_there_is_no_buffer_and_nothing_is_counted(void **state)
{
    struct rig *rig = *state;
    rig->buffers.classes[0].slab.pages.alloc = no_pages;
    assert_null(buffers_take(&rig->buffers, &rig->cache, 100).bytes);
    assert_int_equal(atomic_load(&rig->cache.used), 0);
}

static void a_flow_may_keep_the_scratch_buffer_and_the_reserve_takes_its_place(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(buffers_open_cache(&rig->buffers, &rig->cache), ERR_OK);
    unsigned char *scratch = rig->cache.scratch, *reserve = rig->cache.reserve;
    memset(scratch, 7, BUFFER_LARGEST);
    struct buffer buffer = buffers_keep_scratch(&rig->cache);
    assert_ptr_equal(buffer.bytes, scratch);
    assert_ptr_equal(rig->cache.scratch, reserve);
    assert_false(buffers_have_reserve(&rig->cache));
    assert_int_equal(atomic_load(&rig->cache.used), 1);
    buffers_give(&rig->buffers, &rig->cache, &buffer);
    assert_null(buffer.bytes);
    assert_ptr_equal(rig->cache.reserve, scratch);
    assert_int_equal(chunks, 2);
}

static void what_was_a_scratch_buffer_is_freed_by_a_worker_that_has_its_reserve(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(buffers_open_cache(&rig->buffers, &rig->cache), ERR_OK);
    assert_int_equal(buffers_open_cache(&rig->buffers, &rig->other), ERR_OK);
    struct buffer buffer = buffers_keep_scratch(&rig->cache);
    buffers_give(&rig->buffers, &rig->other, &buffer);
    assert_int_equal(chunks, 3);
}

static void a_reserve_is_asked_for_once_in_a_while_until_there_is_one(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(buffers_open_cache(&rig->buffers, &rig->cache), ERR_OK);
    struct buffer buffer = buffers_keep_scratch(&rig->cache);
    chunks_are_out = true;
    assert_false(buffers_refill(&rig->buffers, &rig->cache, 100));
    chunks_are_out = false;
    assert_false(buffers_refill(&rig->buffers, &rig->cache, 100));
    assert_true(buffers_refill(&rig->buffers, &rig->cache, 101));
    assert_true(buffers_refill(&rig->buffers, &rig->cache, 101));
    assert_int_equal(chunks, 3);
    buffers_give(&rig->buffers, &rig->cache, &buffer);
}

static void without_memory_for_both_a_cache_does_not_open(void **state)
{
    struct rig *rig = *state;
    chunks_are_out = true;
    assert_int_equal(buffers_open_cache(&rig->buffers, &rig->cache), ERR_NOMEM);
}

#define BUFFERS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BUFFERS_TEST(a_buffer_has_room_for_what_was_asked_and_not_much_more),
        BUFFERS_TEST(giving_what_is_none_changes_nothing),
        BUFFERS_TEST(a_worker_keeps_a_few_at_hand_and_takes_the_warmest_first),
        BUFFERS_TEST(large_buffers_go_back_at_once),
        BUFFERS_TEST(what_one_worker_takes_another_may_give),
        BUFFERS_TEST(memory_that_is_held_is_counted_and_given_back),
        BUFFERS_TEST(without_memory_there_is_no_buffer_and_nothing_is_counted),
        BUFFERS_TEST(a_flow_may_keep_the_scratch_buffer_and_the_reserve_takes_its_place),
        BUFFERS_TEST(what_was_a_scratch_buffer_is_freed_by_a_worker_that_has_its_reserve),
        BUFFERS_TEST(a_reserve_is_asked_for_once_in_a_while_until_there_is_one),
        BUFFERS_TEST(without_memory_for_both_a_cache_does_not_open),
    };
    return cmocka_run_group_tests_name("relay_buffers", tests, NULL, NULL);
}
