/* value_equal.c - whether a key has the same value in two configurations. Fields are compared, not
 * bytes: a struct may have gaps. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/addr_net.h"
#include "config/value/number.h"
#include "config/value/value.h"
#include "config/value/value_access.h"

static bool same_bytes(const struct conf_bytes *a, const struct conf_bytes *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static bool same_health(const struct conf_health *a, const struct conf_health *b)
{
    return a->on == b->on && a->port == b->port && a->interval_ms == b->interval_ms &&
           a->timeout_ms == b->timeout_ms && a->rise == b->rise && a->fall == b->fall &&
           a->fast_ms == b->fast_ms && same_bytes(&a->send, &b->send) &&
           same_bytes(&a->expect, &b->expect) && a->end == b->end;
}

static bool same_eject(const struct conf_eject *a, const struct conf_eject *b)
{
    return a->count == b->count && a->within_ms == b->within_ms && a->for_ms == b->for_ms;
}

static bool same_rate(const struct conf_rate *a, const struct conf_rate *b)
{
    return a->count == b->count && a->per_ms == b->per_ms && a->burst == b->burst;
}

static bool same_pace(const struct conf_pace *a, const struct conf_pace *b)
{
    return a->bytes_per_s == b->bytes_per_s && a->burst_bytes == b->burst_bytes;
}

static bool same_min_rate(const struct conf_min_rate *a, const struct conf_min_rate *b)
{
    return a->bytes_per_s == b->bytes_per_s && a->over_ms == b->over_ms;
}

static bool same_net(const struct addr_net *a, const struct addr_net *b)
{
    return a->bits == b->bits && addr_equal(&a->addr, &b->addr);
}

static bool same_nets(const struct addr_net *a, size_t a_count, const struct addr_net *b,
                      size_t b_count)
{
    bool same = a_count == b_count;
    for (size_t i = 0; same && i < a_count; ++i)
        same = same_net(&a[i], &b[i]);
    return same;
}

static bool same_sources(const struct conf_route *a, const struct conf_route *b)
{
    bool same = a->source_count == b->source_count;
    for (size_t i = 0; same && i < a->source_count; ++i)
        same = addr_equal(&a->sources[i], &b->sources[i]);
    return same;
}

static bool same_listens(const struct conf_route *a, const struct conf_route *b)
{
    bool same = a->listen_count == b->listen_count;
    for (size_t i = 0; same && i < a->listen_count; ++i)
        same = addr_equal(&a->listens[i].addr, &b->listens[i].addr) &&
               a->listens[i].port_count == b->listens[i].port_count &&
               a->listens[i].dual_stack == b->listens[i].dual_stack;
    return same;
}

static bool same_upstream(const struct conf_upstream *a, const struct conf_upstream *b)
{
    return strcmp(a->name, b->name) == 0 && a->weight == b->weight &&
           a->max_sessions == b->max_sessions && a->slow_start_ms == b->slow_start_ms &&
           a->backup == b->backup && a->disabled == b->disabled;
}

static bool same_upstreams(const struct conf_route *a, const struct conf_route *b)
{
    bool same = a->upstream_count == b->upstream_count;
    for (size_t i = 0; same && i < a->upstream_count; ++i)
        same = same_upstream(&a->upstreams[i], &b->upstreams[i]);
    return same;
}

/* Moves *at on to the next network that is allowed, or denied. False: there is none. */
static bool find_next(const struct conf_route *route, bool allow, size_t *at)
{
    while (*at < route->access_count && route->access[*at].allow != allow)
        ++*at;
    return *at < route->access_count;
}

/* Both lists are sorted. */
static bool same_access(const struct conf_route *a, const struct conf_route *b, bool allow)
{
    size_t i = 0;
    size_t j = 0;
    while (find_next(a, allow, &i)) {
        if (!find_next(b, allow, &j) || !same_net(&a->access[i].net, &b->access[j].net))
            return false;
        ++i;
        ++j;
    }
    return !find_next(b, allow, &j);
}

/* All choices are as large as an unsigned. */
static bool same_choice(const struct key *key, const void *a, const void *b)
{
    return memcmp(a, b, key->size) == 0;
}

bool value_equal(const struct key *key, const void *a, const void *b)
{
    const void *left = value_field_const(key, a);
    const void *right = value_field_const(key, b);
    const struct conf_route *route = a;
    const struct conf_route *other = b;
    switch (key->type) {
    case KEY_COUNT:
    case KEY_WORKERS:
    case KEY_DURATION:
    case KEY_SIZE:
    case KEY_PERCENT: return number_get(key, left) == number_get(key, right);
    case KEY_BOOL: return *(const bool *)left == *(const bool *)right;
    case KEY_LEVEL:
    case KEY_CHOICE: return same_choice(key, left, right);
    case KEY_TEXT: return strcmp(left, right) == 0;
    case KEY_WHEN_DOWN:
        return route->when_down == other->when_down && route->hold_ms == other->hold_ms;
    case KEY_REFUSE:
        return route->refuse == other->refuse && route->tarpit_ms == other->tarpit_ms;
    case KEY_HEALTH: return same_health(left, right);
    case KEY_EJECT:
    case KEY_BAN_AFTER: return same_eject(left, right);
    case KEY_RATE: return same_rate(left, right);
    case KEY_PACE: return same_pace(left, right);
    case KEY_MIN_RATE: return same_min_rate(left, right);
    case KEY_SOURCE: return same_sources(route, other);
    case KEY_TRUST:
        return same_nets(route->trusts, route->trust_count, other->trusts, other->trust_count);
    case KEY_EXEMPT:
        return same_nets(route->exempts, route->exempt_count, other->exempts,
                         other->exempt_count);
    case KEY_ACCESS: return same_access(route, other, value_is_allow(key));
    case KEY_BYTES: return same_bytes(left, right);
    case KEY_LISTEN: return same_listens(route, other);
    case KEY_UPSTREAM: return same_upstreams(route, other);
    }
    assert(false && "not a type");
    return false;
}
