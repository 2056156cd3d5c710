/* buffers.h - the memory that bytes pass through, held only while there are bytes.
 *
 * Buffers come in classes, one for each buffer_size that the routes use. A worker keeps a few
 * free ones of each class at hand, the last used first because it is warm in the cache; beyond
 * that they go back to the class's slab, which gives empty chunks back to the system.
 *
 * Threads: a struct buffer_cache belongs to its worker; the classes are shared and locked.
 */
#ifndef PAIRPORT_RELAY_BUFFERS_H
#define PAIRPORT_RELAY_BUFFERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slab.h"
#include "os/os.h"

#define BUFFER_CLASSES_MAX 64
#define BUFFER_CACHE_DEPTH 4

struct buffer_class {
    struct os_mutex lock; /* guards `slab` */
    struct slab slab;
    uint32_t bytes; /* size of one buffer */
};

struct buffers {
    struct buffer_class classes[BUFFER_CLASSES_MAX];
    unsigned count;
};

struct buffer_cache {
    struct {
        unsigned char *free[BUFFER_CACHE_DEPTH];
        unsigned count;
    } classes[BUFFER_CLASSES_MAX];
    _Atomic int64_t used; /* taken minus given by this worker; the sum over all is in use */
};

void buffers_init(struct buffers *buffers);
void buffers_destroy(struct buffers *buffers); /* every buffer is back, every cache emptied */

/* The class for buffers of this size. When all classes are taken, the smallest that is larger
 * serves, else the largest. */
unsigned buffers_class(struct buffers *buffers, uint32_t bytes);
uint32_t buffers_bytes(const struct buffers *buffers, unsigned class);

/* NULL: out of memory. */
unsigned char *buffers_take(struct buffers *buffers, struct buffer_cache *cache,
                            unsigned class);
void buffers_give(struct buffers *buffers, struct buffer_cache *cache, unsigned class,
                  unsigned char *buffer);

/* Hands the free buffers of a worker that ends back to the classes. */
void buffers_empty_cache(struct buffers *buffers, struct buffer_cache *cache);

/* Bytes of memory held for buffers, free ones included. */
uint64_t buffers_memory(struct buffers *buffers);

#endif
