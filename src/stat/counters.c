/* Counting and adding up; see stat.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "stat/cells.h"

static enum err number_scopes(struct stat *stat, const size_t upstream_counts[])
{
    stat->first_scope = calloc(stat->route_count + 1, sizeof *stat->first_scope);
    if (stat->first_scope == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < stat->route_count; i++) {
        stat->first_scope[i] = stat->scope_count;
        stat->scope_count += 1 + upstream_counts[i];
    }
    return ERR_OK;
}

/* Aligned and zeroed; calloc() promises no cache lines, aligned_alloc() is not everywhere. */
static struct stat_cell *cells_alloc(size_t count)
{
    size_t align = _Alignof(struct stat_cell);
    char *memory = calloc(1, count * sizeof(struct stat_cell) + align + sizeof(void *));
    if (memory == NULL)
        return NULL;
    uintptr_t start =
        ((uintptr_t)memory + sizeof(void *) + align - 1) & ~(uintptr_t)(align - 1);
    memcpy((char *)start - sizeof(void *), &memory, sizeof memory);
    return (struct stat_cell *)start;
}

static void cells_free(struct stat_cell *cells)
{
    if (cells == NULL)
        return;
    char *memory;
    memcpy(&memory, (char *)cells - sizeof(void *), sizeof memory);
    free(memory);
}

enum err stat_open(struct stat **out, unsigned workers, const size_t upstream_counts[],
                   size_t route_count)
{
    struct stat *stat = calloc(1, sizeof *stat);
    if (stat == NULL)
        return ERR_NOMEM;
    stat->workers = workers;
    stat->route_count = route_count;
    if (number_scopes(stat, upstream_counts) != ERR_OK)
        goto undo;
    stat->cells = cells_alloc(workers * stat->scope_count);
    stat->scopes = calloc(stat->scope_count + 1, sizeof *stat->scopes);
    if (stat->cells == NULL || stat->scopes == NULL)
        goto undo;
    *out = stat;
    return ERR_OK;

undo:
    stat_close(stat);
    return ERR_NOMEM;
}

void stat_close(struct stat *stat)
{
    if (stat == NULL)
        return;
    free(stat->first_scope);
    cells_free(stat->cells);
    free(stat->scopes);
    free(stat);
}

size_t stat_route_scope(const struct stat *stat, size_t route)
{
    assert(route < stat->route_count);
    return stat->first_scope[route];
}

size_t stat_upstream_scope(const struct stat *stat, size_t route, size_t upstream)
{
    size_t scope = stat_route_scope(stat, route) + 1 + upstream;
    assert(scope <
           (route + 1 < stat->route_count ? stat->first_scope[route + 1] : stat->scope_count));
    return scope;
}

static struct stat_cell *cell_of(const struct stat *stat, unsigned worker, size_t scope)
{
    assert(worker < stat->workers && scope < stat->scope_count);
    return &stat->cells[worker * stat->scope_count + scope];
}

/* Only one thread writes to the counter: two plain moves, no locked instruction. */
static void add(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + n, memory_order_relaxed);
}

void stat_add(struct stat *stat, unsigned worker, size_t scope, enum stat_counter counter,
              uint64_t n)
{
    assert(counter < STAT_COUNTERS);
    add(&cell_of(stat, worker, scope)->counters[counter], n);
}

void stat_add_reason(struct stat *stat, unsigned worker, size_t scope, enum reason reason)
{
    assert(reason < REASON_COUNT);
    add(&cell_of(stat, worker, scope)->reasons[reason], 1);
}

struct histogram *stat_connect_us(struct stat *stat, size_t scope)
{
    assert(scope < stat->scope_count);
    return &stat->scopes[scope].connect_us;
}

struct histogram *stat_length_ms(struct stat *stat, size_t scope)
{
    assert(scope < stat->scope_count);
    return &stat->scopes[scope].length_ms;
}

static void add_scope(const struct stat *stat, size_t scope, struct stat_sums *out)
{
    for (unsigned w = 0; w < stat->workers; w++) {
        const struct stat_cell *cell = cell_of(stat, w, scope);
        for (size_t i = 0; i < STAT_COUNTERS; i++)
            out->counters[i] += atomic_load_explicit(&cell->counters[i], memory_order_relaxed);
        for (size_t i = 0; i < REASON_COUNT; i++)
            out->reasons[i] += atomic_load_explicit(&cell->reasons[i], memory_order_relaxed);
    }
}

void stat_read(const struct stat *stat, size_t scope, struct stat_sums *out)
{
    memset(out, 0, sizeof *out);
    add_scope(stat, scope, out);
}

void stat_read_total(const struct stat *stat, struct stat_sums *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < stat->route_count; i++)
        add_scope(stat, stat_route_scope(stat, i), out);
}
