#include "relay/buffers.h"

#include <assert.h>
#include <string.h>

static uint32_t class_bytes(unsigned class)
{
    return BUFFER_SMALLEST << 2 * class;
}

static unsigned class_for(uint32_t size)
{
    unsigned class = 0;
    while (class_bytes(class) < size)
        class ++;
    assert(class < BUFFER_CLASSES);
    return class;
}

void buffers_init(struct buffers *buffers)
{
    memset(buffers, 0, sizeof *buffers);
    for (unsigned i = 0; i < BUFFER_CLASSES; i++)
        slab_init(&buffers->classes[i].slab, class_bytes(i), 4096, os_slab_pages());
}

void buffers_destroy(struct buffers *buffers)
{
    for (unsigned i = 0; i < BUFFER_CLASSES; i++)
        slab_destroy(&buffers->classes[i].slab);
}

static void count_used(struct buffer_cache *cache, int64_t n)
{
    int64_t used = atomic_load_explicit(&cache->used, memory_order_relaxed);
    atomic_store_explicit(&cache->used, used + n, memory_order_relaxed);
}

struct buffer buffers_take(struct buffers *buffers, struct buffer_cache *cache, uint32_t size)
{
    struct buffer buffer = {NULL, class_for(size)};
    if (cache->classes[buffer.class].count > 0) {
        unsigned last = --cache->classes[buffer.class].count;
        buffer.bytes = cache->classes[buffer.class].free[last];
    } else {
        struct buffer_class *class = &buffers->classes[buffer.class];
        os_mutex_lock(&class->lock);
        buffer.bytes = slab_take(&class->slab);
        os_mutex_unlock(&class->lock);
    }
    if (buffer.bytes != NULL)
        count_used(cache, 1);
    return buffer;
}

static void give_back(struct buffer_class *class, unsigned char *bytes)
{
    os_mutex_lock(&class->lock);
    slab_give(&class->slab, bytes);
    os_mutex_unlock(&class->lock);
}

void buffers_give(struct buffers *buffers, struct buffer_cache *cache, struct buffer *buffer)
{
    if (buffer->bytes == NULL)
        return;
    count_used(cache, -1);
    unsigned class = buffer->class;
    if (class_bytes(class) <= BUFFER_CACHED_MAX &&
        cache->classes[class].count < BUFFER_CACHE_DEPTH)
        cache->classes[class].free[cache->classes[class].count++] = buffer->bytes;
    else
        give_back(&buffers->classes[class], buffer->bytes);
    buffer->bytes = NULL;
}

void buffers_empty_cache(struct buffers *buffers, struct buffer_cache *cache)
{
    for (unsigned i = 0; i < BUFFER_CLASSES; i++)
        while (cache->classes[i].count > 0)
            give_back(&buffers->classes[i], cache->classes[i].free[--cache->classes[i].count]);
}

uint64_t buffers_memory(struct buffers *buffers)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < BUFFER_CLASSES; i++) {
        struct buffer_class *class = &buffers->classes[i];
        os_mutex_lock(&class->lock);
        bytes += class->slab.chunks * class->slab.chunk_size;
        os_mutex_unlock(&class->lock);
    }
    return bytes;
}
