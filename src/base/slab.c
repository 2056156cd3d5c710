#include "base/slab.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#define CHUNK_MIN       ((size_t)64 * 1024)
#define OBJECTS_MIN     8
#define ALIGN_MAX       4096
#define OBJECT_SIZE_MAX (SIZE_MAX / 64)

/* What lies in an object that is free. The mark depends on the address, so that neither a copy
 * of a free object nor plain rubbish looks like one. */
struct free_object {
    struct free_object *next;
    uintptr_t mark;
};

/* The begin of a chunk; the objects follow. */
struct chunk {
    struct list link;          /* in slab->partial or slab->full */
    struct free_object *freed; /* objects that were given back */
    size_t fresh;              /* objects from here on were never taken: untouched pages */
    size_t used;
};

/* Free objects are poisoned for the address sanitizer, so that it finds uses after slab_give()
 * as it does after free(). */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_ASAN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(SLAB_ASAN)
#define SLAB_ASAN
#endif

#ifdef SLAB_ASAN
#include <sanitizer/asan_interface.h>
#define forbid(memory, size) ASAN_POISON_MEMORY_REGION(memory, size)
#define permit(memory, size) ASAN_UNPOISON_MEMORY_REGION(memory, size)
#else
#define forbid(memory, size) ((void)(memory), (void)(size))
#define permit(memory, size) ((void)(memory), (void)(size))
#endif

static size_t rounded_up(size_t size, size_t align)
{
    return (size + align - 1) & ~(align - 1);
}

static size_t first_object(const struct slab *slab)
{
    return rounded_up(sizeof(struct chunk), slab->align);
}

static struct chunk *chunk_of(const struct slab *slab, void *object)
{
    uintptr_t offset = (uintptr_t)object & (slab->chunk_size - 1);
    return (struct chunk *)(void *)((char *)object - offset);
}

static uintptr_t mark_of(const struct free_object *object)
{
    return (uintptr_t)object ^ (uintptr_t)UINT64_C(0x5fd0b7e3c2a94d16);
}

void slab_init(struct slab *slab, size_t object_size, size_t align, struct slab_pages pages)
{
    assert(object_size > 0 && object_size <= OBJECT_SIZE_MAX);
    assert(align > 0 && align <= ALIGN_MAX && (align & (align - 1)) == 0);

    if (align < _Alignof(struct free_object))
        align = _Alignof(struct free_object);
    if (object_size < sizeof(struct free_object))
        object_size = sizeof(struct free_object);

    *slab = (struct slab){.pages = pages, .align = align};
    list_init(&slab->partial);
    list_init(&slab->full);
    slab->object_size = rounded_up(object_size, align);
    slab->chunk_size = CHUNK_MIN;
    while (slab->chunk_size < first_object(slab) + OBJECTS_MIN * slab->object_size)
        slab->chunk_size *= 2;
    slab->per_chunk = (slab->chunk_size - first_object(slab)) / slab->object_size;
}

static void free_chunk(struct slab *slab, struct chunk *chunk)
{
    list_remove(&chunk->link);
    slab->chunks--;
    permit(chunk, slab->chunk_size); /* the next owner of these pages may use them all */
    slab->pages.free(chunk, slab->chunk_size);
}

void slab_destroy(struct slab *slab)
{
    assert(slab->used == 0);
    while (!list_empty(&slab->partial))
        free_chunk(slab, list_owner(slab->partial.next, struct chunk, link));
    slab->empty_chunks = 0;
    assert(list_empty(&slab->full) && slab->chunks == 0);
}

static bool add_chunk(struct slab *slab)
{
    struct chunk *chunk = slab->pages.alloc(slab->chunk_size);
    if (chunk == NULL)
        return false;
    assert(((uintptr_t)chunk & (slab->chunk_size - 1)) == 0);
    chunk->freed = NULL;
    chunk->fresh = 0;
    chunk->used = 0;
    list_push(&slab->partial, &chunk->link);
    slab->chunks++;
    slab->empty_chunks++;
    size_t begin = first_object(slab);
    forbid((char *)chunk + begin, slab->chunk_size - begin);
    return true;
}

void *slab_take(struct slab *slab)
{
    if (list_empty(&slab->partial) && !add_chunk(slab))
        return NULL;
    struct chunk *chunk = list_owner(slab->partial.next, struct chunk, link);

    void *object = chunk->freed;
    if (object != NULL) {
        permit(object, slab->object_size);
        assert(chunk->freed->mark == mark_of(chunk->freed) && "written to after it was given");
        chunk->freed->mark = 0;
        chunk->freed = chunk->freed->next;
    } else {
        object = (char *)chunk + first_object(slab) + chunk->fresh * slab->object_size;
        permit(object, slab->object_size);
        chunk->fresh++;
    }

    if (chunk->used == 0)
        slab->empty_chunks--;
    chunk->used++;
    slab->used++;
    if (chunk->used == slab->per_chunk) {
        list_remove(&chunk->link);
        list_push(&slab->full, &chunk->link);
    }
    return object;
}

/* Only called where an object in use looks like a free one: either it was given twice, or its
 * owner's bytes happen to equal the mark. */
static bool is_free(const struct slab *slab, const struct chunk *chunk, const void *object)
{
    const struct free_object *at = chunk->freed;
    while (at != NULL && at != object) {
        permit(at, sizeof *at);
        const struct free_object *next = at->next;
        forbid(at, slab->object_size);
        at = next;
    }
    return at != NULL;
}

/* Whether these are the first bytes of an object that slab_take() gave and that is not free. */
static bool is_taken(const struct slab *slab, const struct chunk *chunk, const void *object)
{
    size_t offset = (size_t)((const char *)object - (const char *)chunk);
    size_t begin = first_object(slab);
    if (offset < begin || (offset - begin) % slab->object_size != 0)
        return false;
    return (offset - begin) / slab->object_size < chunk->fresh && chunk->used > 0;
}

void slab_give(struct slab *slab, void *object)
{
    struct chunk *chunk = chunk_of(slab, object);
    assert(is_taken(slab, chunk, object));

    struct free_object *freed = object;
    permit(freed, sizeof *freed); /* an object given twice is told by the assertion below */
    assert((freed->mark != mark_of(freed) || !is_free(slab, chunk, object)) && "given twice");
    freed->mark = mark_of(freed);
    freed->next = chunk->freed;
    chunk->freed = freed;
    forbid(object, slab->object_size);

    if (chunk->used == slab->per_chunk) {
        /* To the front: fuller chunks are used first, so that others can become empty. */
        list_remove(&chunk->link);
        list_push(slab->partial.next, &chunk->link);
    }
    chunk->used--;
    slab->used--;
    if (chunk->used > 0)
        return;

    if (slab->empty_chunks > 0) {
        free_chunk(slab, chunk);
        return;
    }
    slab->empty_chunks = 1;
    list_remove(&chunk->link);
    list_push(&slab->partial, &chunk->link);
}
