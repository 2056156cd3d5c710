#include "relay/core/buffers.h"

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
    buffers->pages = (struct slab_pages){os_pages_alloc, os_pages_free};
    for (unsigned i = 0; i < BUFFER_CLASSES; i++) {
        os_mutex_init(&buffers->classes[i].lock, LOCK_BUFFER_CLASS);
        slab_init(&buffers->classes[i].slab, class_bytes(i), 4096, os_slab_pages());
    }
}

void buffers_destroy(struct buffers *buffers)
{
    for (unsigned i = 0; i < BUFFER_CLASSES; i++)
        slab_destroy(&buffers->classes[i].slab);
}

void buffers_close_cache(struct buffers *buffers, struct buffer_cache *cache)
{
    if (cache->scratch != NULL)
        buffers->pages.free(cache->scratch, BUFFER_LARGEST);
    if (cache->reserve != NULL)
        buffers->pages.free(cache->reserve, BUFFER_LARGEST);
    cache->scratch = cache->reserve = NULL;
}

enum err buffers_open_cache(struct buffers *buffers, struct buffer_cache *cache)
{
    cache->scratch = buffers->pages.alloc(BUFFER_LARGEST);
    cache->reserve = buffers->pages.alloc(BUFFER_LARGEST);
    if (cache->scratch != NULL && cache->reserve != NULL)
        return ERR_OK;
    buffers_close_cache(buffers, cache);
    return ERR_NOMEM;
}

bool buffers_refill(struct buffers *buffers, struct buffer_cache *cache, uint64_t now_ms)
{
    if (cache->reserve == NULL && cache->reserve_ms != now_ms) {
        cache->reserve_ms = now_ms;
        cache->reserve = buffers->pages.alloc(BUFFER_LARGEST);
    }
    return cache->reserve != NULL;
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

struct buffer buffers_keep_scratch(struct buffer_cache *cache)
{
    assert(cache->reserve != NULL);
    struct buffer buffer = {cache->scratch, BUFFER_OF_WORKER};
    cache->scratch = cache->reserve;
    cache->reserve = NULL;
    count_used(cache, 1);
    return buffer;
}

/* To the worker that gives it, if that lacks its reserve. */
static void give_to_worker(struct buffers *buffers, struct buffer_cache *cache,
                           unsigned char *bytes)
{
    if (cache->reserve == NULL)
        cache->reserve = bytes;
    else
        buffers->pages.free(bytes, BUFFER_LARGEST);
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
    if (class == BUFFER_OF_WORKER)
        give_to_worker(buffers, cache, buffer->bytes);
    else if (class_bytes(class) <= BUFFER_CACHED_MAX &&
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
