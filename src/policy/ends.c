#include "policy/ends.h"

#include <stdbool.h>
#include <stddef.h>

static void put(struct ends *ends, uint32_t place, struct end *end)
{
    ends->heap[place] = end;
    end->place = place;
}

static void swap(struct ends *ends, uint32_t a, uint32_t b)
{
    struct end *end = ends->heap[a];
    put(ends, a, ends->heap[b]);
    put(ends, b, end);
}

static bool is_before(const struct ends *ends, uint32_t a, uint32_t b)
{
    return ends->heap[a]->at_ms < ends->heap[b]->at_ms;
}

static void rise(struct ends *ends, uint32_t place)
{
    while (place > 0 && is_before(ends, place, (place - 1) / 2)) {
        swap(ends, place, (place - 1) / 2);
        place = (place - 1) / 2;
    }
}

static void sink(struct ends *ends, uint32_t place)
{
    for (;;) {
        uint32_t first = place;
        for (uint32_t child = 2 * place + 1; child <= 2 * place + 2; child++) {
            if (child < ends->count && is_before(ends, child, first))
                first = child;
        }
        if (first == place)
            return;
        swap(ends, place, first);
        place = first;
    }
}

/* One of both does nothing. */
static void rise_or_sink(struct ends *ends, struct end *end)
{
    rise(ends, end->place);
    sink(ends, end->place);
}

struct end *ends_first(const struct ends *ends)
{
    return ends->count > 0 ? ends->heap[0] : NULL;
}

void ends_add(struct ends *ends, struct end *end)
{
    put(ends, ends->count++, end);
    rise(ends, end->place);
}

void ends_move(struct ends *ends, struct end *end, uint64_t at_ms)
{
    end->at_ms = at_ms;
    rise_or_sink(ends, end);
}

void ends_remove(struct ends *ends, struct end *end)
{
    struct end *last = ends->heap[--ends->count];
    if (last == end)
        return;
    put(ends, end->place, last);
    rise_or_sink(ends, last);
}
