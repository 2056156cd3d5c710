/* buffers.h - memory for bytes that a sink did not take at once, and for READs with a buffer.
 *
 * A flow receives into its worker's scratch buffer and sends from there. Only what the sink
 * does not take is copied into a buffer of the flow, the smallest that holds it. A hot flow
 * (flow.h) keeps one of the smallest buffers, and its READ fills it. Buffers come in classes;
 * each class is four times the size of the one before. A worker caches a few free buffers.
 * Further ones go back to the slab of their class, which gives empty chunks back to the system.
 *
 * Bytes that were received must have a place even when memory has run out. So each worker has a
 * reserve, and receives for a flow only while it has the reserve. When a flow gets no buffer,
 * it keeps the scratch buffer with all bytes in it, and the reserve becomes the scratch buffer.
 *
 * Threads: a struct buffer_cache belongs to its worker; the classes are shared and locked.
 */
#ifndef PAIRPORT_RELAY_CORE_BUFFERS_H
#define PAIRPORT_RELAY_CORE_BUFFERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slab.h"
#include "os/os.h"

#define BUFFER_SMALLEST    4096u
#define BUFFER_LARGEST     (BUFFER_SMALLEST << 2 * (BUFFER_CLASSES - 1)) /* 1 MB */
#define BUFFER_CLASSES     5
#define BUFFER_OF_WORKER   BUFFER_CLASSES /* class of what was a scratch buffer */
#define BUFFER_CACHE_DEPTH 4 /* of each class that is no larger than BUFFER_CACHED_MAX */
#define BUFFER_CACHED_MAX  (16 * 1024u)

struct buffer {
    unsigned char *bytes; /* NULL: none */
    unsigned class;
};

struct buffers {
    struct slab_pages pages; /* of scratch buffers and reserves */
    struct buffer_class {
        struct os_mutex lock; /* guards `slab` */
        struct slab slab;
    } classes[BUFFER_CLASSES];
};

struct buffer_cache {
    struct {
        unsigned char *free[BUFFER_CACHE_DEPTH];
        unsigned count;
    } classes[BUFFER_CLASSES];
    unsigned char *scratch; /* owned, BUFFER_LARGEST bytes, resident as far as they are used:
                               what is on its way right now */
    unsigned char *reserve; /* owned, as large; NULL: a flow has what was here, or its like */
    uint64_t reserve_ms;    /* clock when memory for it was asked for last */
    _Atomic int64_t used;   /* taken minus given by this worker; the sum over all is in use */
};

void buffers_init(struct buffers *buffers);
void buffers_destroy(struct buffers *buffers); /* every buffer is back, every cache emptied */

/* Gives a worker its scratch buffer and its reserve. ERR_NOMEM leaves neither. Closing one that
 * was not opened is fine; needs an emptied cache. */
enum err buffers_open_cache(struct buffers *buffers, struct buffer_cache *cache);
void buffers_close_cache(struct buffers *buffers, struct buffer_cache *cache);

/* False: there is no reserve, and no memory for one. Asks the system once a millisecond. */
bool buffers_refill(struct buffers *buffers, struct buffer_cache *cache, uint64_t now_ms);

static inline bool buffers_have_reserve(const struct buffer_cache *cache)
{
    return cache->reserve != NULL;
}

/* Makes the scratch buffer, with what is in it, the caller's. Needs a reserve, and uses it up. */
struct buffer buffers_keep_scratch(struct buffer_cache *cache);

/* A buffer of at least `size` bytes, 1..BUFFER_LARGEST; its bytes are NULL when memory is out. */
struct buffer buffers_take(struct buffers *buffers, struct buffer_cache *cache, uint32_t size);

/* Gives a buffer back and makes it none; none is fine. */
void buffers_give(struct buffers *buffers, struct buffer_cache *cache, struct buffer *buffer);

/* Hands the free buffers of a worker that ends back to the classes. */
void buffers_empty_cache(struct buffers *buffers, struct buffer_cache *cache);

/* Bytes of memory held for buffers, free ones included, those that the workers began with not. */
uint64_t buffers_memory(struct buffers *buffers);

#endif
