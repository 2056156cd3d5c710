/* Counting and adding up; see stat.h. */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "stat/cells.h"

/* Aligned and zeroed; calloc() promises no cache lines, aligned_alloc() is not everywhere. */
static struct stat_scope *open_scope(unsigned workers)
{
    size_t align = _Alignof(struct stat_scope);
    void *memory =
        calloc(1, sizeof(struct stat_scope) + workers * sizeof(struct stat_cell) + align - 1);
    if (memory == NULL)
        return NULL;
    struct stat_scope *scope =
        (struct stat_scope *)(((uintptr_t)memory + align - 1) & ~(uintptr_t)(align - 1));
    scope->memory = memory;
    return scope;
}

static void close_scope(struct stat_scope *scope)
{
    if (scope != NULL)
        free(scope->memory);
}

enum err stat_open(struct stat **out, unsigned workers)
{
    struct stat *stat = calloc(1, sizeof *stat);
    if (stat == NULL)
        return ERR_NOMEM;
    stat->workers = workers;
    stat->gone = open_scope(workers);
    if (stat->gone == NULL) {
        free(stat);
        return ERR_NOMEM;
    }
    stat->gone->kind = STAT_ROUTE;
    *out = stat;
    return ERR_OK;
}

void stat_close(struct stat *stat)
{
    if (stat == NULL)
        return;
    (void)stat_reserve(stat, 0);
    for (size_t i = 0; i < stat->scope_count; i++)
        close_scope(stat->scopes[i]);
    close_scope(stat->gone);
    free(stat->scopes);
    free(stat);
}

/* ---- scopes come ---- */

static struct stat_scope *take_spare(struct stat *stat)
{
    struct stat_scope *spare = stat->spares;
    stat->spares = spare->next_spare;
    stat->spare_count--;
    return spare;
}

/* Workers look at `scopes` meanwhile, so it stays where it is. */
static bool reserve_numbers(struct stat *stat, size_t count)
{
    size_t room = stat->scope_count + count;
    if (room <= stat->scope_room || (stat->larger != NULL && room <= stat->larger_room))
        return true;
    struct stat_scope **larger = calloc(room, sizeof(struct stat_scope *));
    if (larger == NULL)
        return false;
    free(stat->larger);
    stat->larger = larger;
    stat->larger_room = room;
    return true;
}

enum err stat_reserve(struct stat *stat, size_t count)
{
    while (stat->spare_count > count)
        close_scope(take_spare(stat));
    if (count == 0) {
        free(stat->larger);
        stat->larger = NULL;
    } else if (!reserve_numbers(stat, count)) {
        return ERR_NOMEM;
    }
    while (stat->spare_count < count) {
        struct stat_scope *spare = open_scope(stat->workers);
        if (spare == NULL)
            return ERR_NOMEM;
        spare->next_spare = stat->spares;
        stat->spares = spare;
        stat->spare_count++;
    }
    return ERR_OK;
}

static size_t free_number(struct stat *stat)
{
    for (size_t i = 0; i < stat->scope_count; i++)
        if (stat->scopes[i] == NULL)
            return i;
    if (stat->scope_count == stat->scope_room) {
        if (stat->scope_count > 0)
            memcpy(stat->larger, stat->scopes, stat->scope_count * sizeof *stat->scopes);
        free(stat->scopes);
        stat->scopes = stat->larger;
        stat->scope_room = stat->larger_room;
        stat->larger = NULL;
    }
    return stat->scope_count++;
}

enum err stat_begin_scope(struct stat *stat, enum stat_kind kind, size_t *scope)
{
    if (stat->spare_count == 0 && stat_reserve(stat, 1) != ERR_OK)
        return ERR_NOMEM;
    size_t number = free_number(stat);
    stat->scopes[number] = take_spare(stat);
    stat->scopes[number]->kind = kind;
    *scope = number;
    return ERR_OK;
}

static struct stat_scope *scope_of(const struct stat *stat, size_t scope)
{
    assert(scope < stat->scope_count);
    return stat->scopes[scope];
}

static struct stat_cell *cell_of(const struct stat *stat, unsigned worker, size_t scope)
{
    assert(worker < stat->workers);
    return &scope_of(stat, scope)->cells[worker];
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
    return &scope_of(stat, scope)->connect_us;
}

struct histogram *stat_length_ms(struct stat *stat, size_t scope)
{
    return &scope_of(stat, scope)->length_ms;
}

void stat_add_connect_us(const struct stat *stat, struct histogram *sum)
{
    STAT_EACH_ROUTE (scope, stat)
        histogram_add(sum, &scope->connect_us);
}

void stat_add_length_ms(const struct stat *stat, struct histogram *sum)
{
    STAT_EACH_ROUTE (scope, stat)
        histogram_add(sum, &scope->length_ms);
}

static void add_scope(const struct stat *stat, const struct stat_scope *scope,
                      struct stat_sums *out)
{
    for (unsigned w = 0; w < stat->workers; w++) {
        const struct stat_cell *cell = &scope->cells[w];
        for (size_t i = 0; i < STAT_COUNTERS; i++)
            out->counters[i] += atomic_load_explicit(&cell->counters[i], memory_order_relaxed);
        for (size_t i = 0; i < REASON_COUNT; i++)
            out->reasons[i] += atomic_load_explicit(&cell->reasons[i], memory_order_relaxed);
    }
}

void stat_read(const struct stat *stat, size_t scope, struct stat_sums *out)
{
    memset(out, 0, sizeof *out);
    add_scope(stat, scope_of(stat, scope), out);
}

void stat_read_total(const struct stat *stat, struct stat_sums *out)
{
    memset(out, 0, sizeof *out);
    STAT_EACH_ROUTE (scope, stat)
        add_scope(stat, scope, out);
}

/* Its samples, too, so that the rates of the whole have no jump. */
static void add_to_gone(struct stat *stat, const struct stat_scope *scope)
{
    struct stat_cell *cell = &stat->gone->cells[0];
    struct stat_sums sums;
    memset(&sums, 0, sizeof sums);
    add_scope(stat, scope, &sums);
    for (size_t i = 0; i < STAT_COUNTERS; i++)
        add(&cell->counters[i], sums.counters[i]);
    for (size_t i = 0; i < REASON_COUNT; i++)
        add(&cell->reasons[i], sums.reasons[i]);
    histogram_add(&stat->gone->connect_us, &scope->connect_us);
    histogram_add(&stat->gone->length_ms, &scope->length_ms);
    for (size_t i = 0; i < STAT_SAMPLES; i++)
        for (size_t k = 0; k < RATED; k++)
            add(&stat->gone->samples[i][k],
                atomic_load_explicit(&scope->samples[i][k], memory_order_relaxed));
}

void stat_end_scope(struct stat *stat, size_t scope)
{
    struct stat_scope *ended = scope_of(stat, scope);
    if (ended->kind == STAT_ROUTE)
        add_to_gone(stat, ended);
    close_scope(ended);
    stat->scopes[scope] = NULL;
}
