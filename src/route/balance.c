/* balance.c - which of the servers that could be used? */
#include <assert.h>
#include <math.h>

#include "route/mix.h"
#include "route/route_private.h"

/* ---- in turn ---- */

/* One turn in units of turn_lag, and the most that a server is owed or owes; the difference of
 * two lags times the largest share (25600) fits 63 bits. */
#define TURN    ((int64_t)1 << 40)
#define LAG_MAX (16 * TURN)

struct turns {
    int64_t mean;  /* of the lags */
    int64_t unit;  /* what a turn is worth to one unit of share */
    int64_t whole; /* what a turn costs: exactly what it is worth to all, close to TURN */
};

static struct turns sum_up(struct route_server *const choice[], size_t count)
{
    int64_t lags = 0;
    int64_t shares = 0;
    for (size_t i = 0; i < count; i++) {
        lags += choice[i]->turn_lag;
        shares += choice[i]->share;
    }
    int64_t unit = TURN / shares;
    return (struct turns){lags / (int64_t)count, unit, unit * shares};
}

/* True when a's next turn must come before b's to keep a's share. */
static bool is_due_before(const struct route_server *a, const struct route_server *b,
                          const struct turns *turns)
{
    return (turns->whole - (a->turn_lag - turns->mean)) * b->share <
           (turns->whole - (b->turn_lag - turns->mean)) * a->share;
}

static int64_t clamp_lag(int64_t lag)
{
    return lag > LAG_MAX ? LAG_MAX : lag < -LAG_MAX ? -LAG_MAX : lag;
}

/* Each turn is worth to each server its share of it, and costs the chosen one the whole. Of
 * those that are owed something the one with the nearest deadline is chosen (earliest eligible
 * virtual deadline first), which spreads turns more evenly than taking who is owed most. All is
 * relative to those who stand for choice, so it holds when their number or shares change; one
 * that was away is owed what it was owed then, a turn or two at most. */
static struct route_server *take_turn(struct route_server *const choice[], size_t count)
{
    if (count == 1)
        return choice[0];
    struct turns turns = sum_up(choice, count);
    struct route_server *best = NULL;
    for (size_t i = 0; i < count; i++)
        if (choice[i]->turn_lag >= turns.mean &&
            (best == NULL || is_due_before(choice[i], best, &turns)))
            best = choice[i];
    assert(best != NULL); /* not all are below their mean */

    best->turn_lag -= turns.whole;
    for (size_t i = 0; i < count; i++)
        choice[i]->turn_lag =
            clamp_lag(choice[i]->turn_lag + turns.unit * (int64_t)choice[i]->share);
    return best;
}

/* ---- by load ---- */

/* Sessions for the share, of a against b: <0, 0, >0. */
static int compare_load(const struct route_server *a, const struct route_server *b)
{
    uint64_t load_a = (uint64_t)a->sessions * b->share;
    uint64_t load_b = (uint64_t)b->sessions * a->share;
    return (load_a > load_b) - (load_a < load_b);
}

/* The least loaded; those equally loaded take turns. */
static struct route_server *take_least_loaded(struct route_server *choice[], size_t count)
{
    size_t least = 0; /* choice[0..least-1] are the least loaded so far */
    for (size_t i = 0; i < count; i++) {
        struct route_server *server = choice[i];
        int order = least == 0 ? 0 : compare_load(server, choice[0]);
        if (order > 0)
            continue;
        if (order < 0)
            least = 0;
        choice[least++] = server;
    }
    return take_turn(choice, least);
}

/* ---- by chance ---- */

static size_t draw(struct route *route, struct route_server *const choice[], size_t count)
{
    uint64_t shares = 0;
    for (size_t i = 0; i < count; i++)
        shares += choice[i]->share;
    uint64_t ticket = mix_next(&route->random) % shares;
    size_t i = 0;
    while (ticket >= choice[i]->share)
        ticket -= choice[i++]->share;
    return i;
}

static struct route_server *take_random2(struct route *route, struct route_server *choice[],
                                         size_t count)
{
    size_t index = draw(route, choice, count);
    struct route_server *first = choice[index];
    if (count == 1)
        return first;
    choice[index] = choice[count - 1];
    struct route_server *second = choice[draw(route, choice, count - 1)];
    return compare_load(second, first) < 0 ? second : first;
}

/* ---- by the client ---- */

/* Weighted rendezvous: each server draws a lot from a distribution in which it wins with the
 * probability of its share, the lots being fixed by client and server. When a server goes, the
 * others' lots stay. -ln(x) >= 1 - x spares most servers the logarithm. */
static struct route_server *take_by_hash(struct route_server *const choice[], size_t count,
                                         const struct addr *client)
{
    assert(client != NULL);
    uint64_t client_hash = mix_bytes(client->family, client->ip, sizeof client->ip);
    struct route_server *best = NULL;
    double best_lot = INFINITY;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = mix(client_hash ^ choice[i]->hash) >> 11;
        double x = ((double)bits + 0.5) / 9007199254740992.0; /* 2^53; 0 < x < 1 */
        double share = choice[i]->share;
        if (best != NULL && (1 - x) / share >= best_lot)
            continue;
        double lot = -log(x) / share;
        if (best == NULL || lot < best_lot) {
            best = choice[i];
            best_lot = lot;
        }
    }
    return best;
}

/* ---- by order ---- */

static struct route_server *take_first(struct route_server *const choice[], size_t count)
{
    size_t same = 1;
    while (same < count && choice[same]->upstream == choice[0]->upstream)
        same++;
    return take_turn(choice, same);
}

struct route_server *balance_choose(struct route *route, size_t count,
                                    const struct addr *client)
{
    struct route_server **choice = route->choice;
    switch (route->conf->balance) {
    case CONF_ROUND_ROBIN: return take_turn(choice, count);
    case CONF_LEAST_SESSIONS: return take_least_loaded(choice, count);
    case CONF_SOURCE_HASH: return take_by_hash(choice, count, client);
    case CONF_RANDOM2: return take_random2(route, choice, count);
    case CONF_FIRST: return take_first(choice, count);
    }
    assert(false && "no balance");
    return NULL;
}
