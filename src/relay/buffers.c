#include "relay/buffers.h"

#include <assert.h>
#include <string.h>

void buffers_init(struct buffers *buffers)
{
    memset(buffers, 0, sizeof *buffers);
}

void buffers_destroy(struct buffers *buffers)
{
    for (unsigned i = 0; i < buffers->count; i++)
        slab_destroy(&buffers->classes[i].slab);
    buffers->count = 0;
}

unsigned buffers_class(struct buffers *buffers, uint32_t bytes)
{
    unsigned larger = buffers->count, largest = 0;
    for (unsigned i = 0; i < buffers->count; i++) {
        uint32_t have = buffers->classes[i].bytes;
        if (have == bytes)
            return i;
        if (have > buffers->classes[largest].bytes)
            largest = i;
        if (have > bytes && (larger == buffers->count || have < buffers->classes[larger].bytes))
            larger = i;
    }
    if (buffers->count == BUFFER_CLASSES_MAX)
        return larger < buffers->count ? larger : largest;

    struct buffer_class *class = &buffers->classes[buffers->count];
    class->bytes = bytes;
    slab_init(&class->slab, bytes, 4096, os_slab_pages());
    return buffers->count++;
}

uint32_t buffers_bytes(const struct buffers *buffers, unsigned class)
{
    assert(class < buffers->count);
    return buffers->classes[class].bytes;
}

static void count_used(struct buffer_cache *cache, int64_t n)
{
    int64_t used = atomic_load_explicit(&cache->used, memory_order_relaxed);
    atomic_store_explicit(&cache->used, used + n, memory_order_relaxed);
}

unsigned char *buffers_take(struct buffers *buffers, struct buffer_cache *cache, unsigned class)
{
    unsigned char *buffer;
    if (cache->classes[class].count > 0) {
        buffer = cache->classes[class].free[--cache->classes[class].count];
    } else {
        os_mutex_lock(&buffers->classes[class].lock);
        buffer = slab_take(&buffers->classes[class].slab);
        os_mutex_unlock(&buffers->classes[class].lock);
        if (buffer == NULL)
            return NULL;
    }
    count_used(cache, 1);
    return buffer;
}

static void give_back(struct buffer_class *class, unsigned char *buffer)
{
    os_mutex_lock(&class->lock);
    slab_give(&class->slab, buffer);
    os_mutex_unlock(&class->lock);
}

void buffers_give(struct buffers *buffers, struct buffer_cache *cache, unsigned class,
                  unsigned char *buffer)
{
    count_used(cache, -1);
    if (cache->classes[class].count < BUFFER_CACHE_DEPTH)
        cache->classes[class].free[cache->classes[class].count++] = buffer;
    else
        give_back(&buffers->classes[class], buffer);
}

void buffers_empty_cache(struct buffers *buffers, struct buffer_cache *cache)
{
    for (unsigned i = 0; i < buffers->count; i++)
        while (cache->classes[i].count > 0)
            give_back(&buffers->classes[i], cache->classes[i].free[--cache->classes[i].count]);
}

uint64_t buffers_memory(struct buffers *buffers)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < buffers->count; i++) {
        struct buffer_class *class = &buffers->classes[i];
        os_mutex_lock(&class->lock);
        bytes += class->slab.chunks * class->slab.chunk_size;
        os_mutex_unlock(&class->lock);
    }
    return bytes;
}
