#include "relay/held.h"

#include "relay/pair.h"
#include "relay/relay.h"
#include "relay/worker.h"

#define REST_MS 1000

void held_init(struct held *held)
{
    *held = (struct held){.quota.limit = UINT32_MAX};
    list_init(&held->pairs);
}

/* Behind those that were accepted before it. With the lock held. */
static void insert(struct held *held, struct pair *pair)
{
    struct list *before = held->pairs.prev;
    while (before != &held->pairs && list_owner(before, struct pair, in_held)->id > pair->id)
        before = before->prev;
    list_push(before->next, &pair->in_held);
}

/* Who has waited before had its place already. With the lock held. */
static bool take_place(struct held *held, const struct pair *pair)
{
    if (!pair->was_held && held_count(held) >= pair->route->conf->queue_max)
        return false;
    quota_force(&held->quota);
    return true;
}

bool held_add(struct held *held, struct pair *pair)
{
    os_mutex_lock(&held->lock);
    bool is_there = !list_empty(&pair->in_held);
    bool added = !is_there && take_place(held, pair);
    bool is_first = added && list_empty(&held->pairs);
    if (added) {
        pair_hold(pair);
        insert(held, pair);
    }
    os_mutex_unlock(&held->lock);
    if (added && !pair->was_held)
        atomic_fetch_add_explicit(&held->total, 1, memory_order_relaxed);
    /* A place that came free since the pair has asked for one was offered to nobody. */
    if (is_first)
        upstreams_stir(pair->route);
    return is_there || added;
}

void held_remove(struct held *held, struct pair *pair)
{
    os_mutex_lock(&held->lock);
    bool was = !list_empty(&pair->in_held);
    list_remove(&pair->in_held);
    os_mutex_unlock(&held->lock);
    if (!was)
        return;
    quota_give(&held->quota);
    pair_unhold(pair); /* not the last: the caller has the pair's lock, and a hold with it */
}

void held_rest(struct relay_route *route, uint64_t now_ms)
{
    struct held *held = &route->held;
    os_mutex_lock(&held->lock);
    if (held->serve_at_ms < now_ms + REST_MS)
        held->serve_at_ms = now_ms + REST_MS;
    held->scouting = false;
    atomic_store(&held->cautious, true);
    os_mutex_unlock(&held->lock);
    gate_end_ramp(route, now_ms);
}

void held_connected(struct relay_route *route, uint64_t now_ms)
{
    struct held *held = &route->held;
    if (!atomic_load_explicit(&held->cautious, memory_order_relaxed))
        return;
    os_mutex_lock(&held->lock);
    if (held->scouting)
        held->serve_at_ms = 0;
    held->scouting = false;
    atomic_store(&held->cautious, false);
    os_mutex_unlock(&held->lock);
    gate_came_back(route, now_ms);
    upstreams_stir(route);
}

/* The first one, with a hold of its own; NULL: none, or not yet. It stays in the queue. While the
 * route is drained all have a turn: to be told so. */
static struct pair *first(struct held *held, bool drained, uint64_t now_ms)
{
    struct pair *pair = NULL;
    os_mutex_lock(&held->lock);
    if (!list_empty(&held->pairs) && (drained || now_ms >= held->serve_at_ms)) {
        pair = list_owner(held->pairs.next, struct pair, in_held);
        pair_hold(pair);
        held->scouting = !drained && atomic_load(&held->cautious);
        if (held->scouting)
            held->serve_at_ms = now_ms + REST_MS;
    }
    os_mutex_unlock(&held->lock);
    return pair;
}

/* Whose turn it is, as first(); one of the gate's places is taken for it. */
static struct pair *next(struct relay_route *route, uint64_t now_ms)
{
    bool drained = drain_is_on(&route->drain);
    if (held_count(&route->held) == 0 || (!drained && !gate_admits(route, now_ms)))
        return NULL;
    struct pair *pair = first(&route->held, drained, now_ms);
    if (pair == NULL && !drained)
        gate_give(route);
    return pair;
}

/* No upstream took the client: the next turn is for whenever there is a place. */
static void take_back_turn(struct relay_route *route)
{
    struct held *held = &route->held;
    gate_give(route);
    os_mutex_lock(&held->lock);
    if (held->scouting)
        held->serve_at_ms = 0;
    held->scouting = false;
    os_mutex_unlock(&held->lock);
}

/* False: another worker gives turns, and will look again. */
static bool begin_serving(struct held *held)
{
    os_mutex_lock(&held->lock);
    bool free = !held->serving;
    held->serving = true;
    held->serve_again = !free;
    os_mutex_unlock(&held->lock);
    return free;
}

/* False: it has to be done once more. */
static bool end_serving(struct held *held)
{
    os_mutex_lock(&held->lock);
    bool again = held->serve_again;
    held->serve_again = false;
    held->serving = again;
    os_mutex_unlock(&held->lock);
    return !again;
}

static void serve(struct relay_route *route, struct worker *worker)
{
    struct pair *pair;
    bool more = true;
    while (more && (pair = next(route, worker->now_ms)) != NULL) {
        more = pair_serve(pair, worker);
        pair_unhold(pair);
        if (!more)
            take_back_turn(route);
    }
}

/* When somebody may have a turn for no other reason than that time has passed. */
static uint64_t rest_until(struct relay_route *route, uint64_t now_ms)
{
    struct held *held = &route->held;
    os_mutex_lock(&held->lock);
    bool waits = !list_empty(&held->pairs);
    uint64_t until_ms = held->serve_at_ms;
    os_mutex_unlock(&held->lock);
    uint64_t gate_ms = gate_next_ms(route, now_ms);
    until_ms = gate_ms > until_ms ? gate_ms : until_ms;
    return waits && until_ms > now_ms ? until_ms : UINT64_MAX;
}

uint64_t held_serve(struct relay_route *route, struct worker *worker)
{
    struct held *held = &route->held;
    if (begin_serving(held)) {
        do
            serve(route, worker);
        while (!end_serving(held));
    }
    return rest_until(route, worker->now_ms);
}
