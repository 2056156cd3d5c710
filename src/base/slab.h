/* slab.h - objects of one size, handed out fast, memory given back when they are gone.
 *
 * Objects come from chunks of many; a chunk that becomes empty goes back to the system, except
 * one that is kept for the next burst. An object is not cleared when taken. Giving an object
 * twice, giving what is no object, and writing to the begin of one after it was given end the
 * program; with the address sanitizer any use after slab_give() does.
 *
 * Threads: none of its own; guard a slab as you guard its owner.
 */
#ifndef PAIRPORT_BASE_SLAB_H
#define PAIRPORT_BASE_SLAB_H

#include <stddef.h>

#include "base/list.h"

/* Where chunks come from: zeroed memory of `size` bytes, a power of two, aligned to `size`; NULL
 * when there is none. */
struct slab_pages {
    void *(*alloc)(size_t size);
    void (*free)(void *memory, size_t size);
};

struct slab {
    struct slab_pages pages;
    struct list partial; /* chunks with free objects */
    struct list full;    /* chunks without */
    size_t object_size;  /* rounded up to the alignment, at least two pointers */
    size_t align;        /* at least a pointer's */
    size_t chunk_size;   /* bytes, a power of two; a chunk is aligned to it */
    size_t per_chunk;
    size_t used;         /* objects handed out */
    size_t chunks;       /* chunks held, in use or kept */
    size_t empty_chunks; /* of these, chunks without objects in use; 0 or 1 */
};

/* `align` is a power of two up to 4096. A chunk holds at least 8 objects and 64 KB. */
void slab_init(struct slab *slab, size_t object_size, size_t align, struct slab_pages pages);

/* Needs used == 0. Gives every chunk back. */
void slab_destroy(struct slab *slab);

void *slab_take(struct slab *slab); /* NULL: no memory; nothing changed */
void slab_give(struct slab *slab, void *object);

#endif
