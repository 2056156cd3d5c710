#include "policy/expiry.h"

#include <stdbool.h>
#include <stddef.h>

static void put(struct expiry_heap *heap, uint32_t place, struct expiry *expiry)
{
    heap->entries[place] = expiry;
    expiry->place = place;
}

static void swap(struct expiry_heap *heap, uint32_t a, uint32_t b)
{
    struct expiry *expiry = heap->entries[a];
    put(heap, a, heap->entries[b]);
    put(heap, b, expiry);
}

static bool is_before(const struct expiry_heap *heap, uint32_t a, uint32_t b)
{
    return heap->entries[a]->at_ms < heap->entries[b]->at_ms;
}

static void rise(struct expiry_heap *heap, uint32_t place)
{
    while (place > 0 && is_before(heap, place, (place - 1) / 2)) {
        swap(heap, place, (place - 1) / 2);
        place = (place - 1) / 2;
    }
}

static void sink(struct expiry_heap *heap, uint32_t place)
{
    for (;;) {
        uint32_t first = place;
        for (uint32_t child = 2 * place + 1; child <= 2 * place + 2; child++) {
            if (child < heap->count && is_before(heap, child, first))
                first = child;
        }
        if (first == place)
            return;
        swap(heap, place, first);
        place = first;
    }
}

/* One of both does nothing. */
static void rise_or_sink(struct expiry_heap *heap, struct expiry *expiry)
{
    rise(heap, expiry->place);
    sink(heap, expiry->place);
}

struct expiry *expiry_first(const struct expiry_heap *heap)
{
    return heap->count > 0 ? heap->entries[0] : NULL;
}

void expiry_add(struct expiry_heap *heap, struct expiry *expiry)
{
    put(heap, heap->count++, expiry);
    rise(heap, expiry->place);
}

void expiry_move(struct expiry_heap *heap, struct expiry *expiry, uint64_t at_ms)
{
    expiry->at_ms = at_ms;
    rise_or_sink(heap, expiry);
}

void expiry_remove(struct expiry_heap *heap, struct expiry *expiry)
{
    struct expiry *last = heap->entries[--heap->count];
    if (last == expiry)
        return;
    put(heap, expiry->place, last);
    rise_or_sink(heap, last);
}
