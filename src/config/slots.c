#include "config/slots.h"

#include <stdlib.h>
#include <string.h>

bool slots_stay(const struct conf_route *before, const struct conf_route *after, size_t slot)
{
    return slot < before->upstream_count &&
           strcmp(before->upstreams[slot].name, after->upstreams[slot].name) == 0;
}

struct arrangement {
    struct conf_upstream *slots; /* room for all of both */
    bool *taken;                 /* of the slots */
    size_t count;
};

static size_t find_slot(const struct conf_route *before, const char *name)
{
    for (size_t i = 0; i < before->upstream_count; i++)
        if (strcmp(before->upstreams[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

static size_t find_free(const struct arrangement *made, const struct conf_route *before,
                        bool (*is_free)(void *ctx, size_t slot), void *ctx)
{
    for (size_t i = 0; i < before->upstream_count; i++)
        if (!made->taken[i] && before->upstreams[i].removed && is_free(ctx, i))
            return i;
    return made->count;
}

static void put(struct arrangement *made, size_t slot, const struct conf_upstream *upstream)
{
    made->slots[slot] = *upstream;
    made->taken[slot] = true;
    if (slot == made->count)
        made->count++;
}

/* First those that stay: a new one may not take the slot of one that comes back. */
static void put_all(struct arrangement *made, const struct conf_route *next,
                    const struct conf_route *before, bool (*is_free)(void *ctx, size_t slot),
                    void *ctx)
{
    for (size_t i = 0; i < next->upstream_count; i++) {
        size_t slot = find_slot(before, next->upstreams[i].name);
        if (slot != SIZE_MAX)
            put(made, slot, &next->upstreams[i]);
    }
    for (size_t i = 0; i < next->upstream_count; i++)
        if (find_slot(before, next->upstreams[i].name) == SIZE_MAX)
            put(made, find_free(made, before, is_free, ctx), &next->upstreams[i]);
    for (size_t i = 0; i < before->upstream_count; i++) {
        if (made->taken[i])
            continue;
        made->slots[i] = before->upstreams[i];
        made->slots[i].removed = true;
    }
}

enum err slots_arrange(struct conf_route *next, const struct conf_route *before,
                       bool (*is_free)(void *ctx, size_t slot), void *ctx)
{
    size_t room = before->upstream_count + next->upstream_count;
    struct arrangement made = {.slots = calloc(room, sizeof *made.slots),
                               .taken = calloc(room, sizeof *made.taken),
                               .count = before->upstream_count};
    enum err err = made.slots == NULL || made.taken == NULL ? ERR_NOMEM : ERR_OK;
    if (err == ERR_OK)
        put_all(&made, next, before, is_free, ctx);
    if (err == ERR_OK && made.count > SLOTS_MAX)
        err = ERR_INVALID;
    free(made.taken);
    if (err != ERR_OK) {
        free(made.slots);
        return err;
    }
    free(next->upstreams);
    next->upstreams = made.slots;
    next->upstream_count = made.count;
    return ERR_OK;
}
