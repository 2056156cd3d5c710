/* The upstreams of a route become those of another configuration; see upstreams.h. */
#include <stdlib.h>

#include "config/diff.h"
#include "config/slots.h"
#include "relay/pair.h"
#include "relay/relay.h"
#include "relay/upstream/upstreams.h"

/* ---- what needs memory ---- */

static enum err prepare_slot(struct relay_route *route, const struct conf_route *conf,
                             size_t slot, struct upstreams_plan *plan)
{
    size_t source_count = upstreams_source_count(conf);
    if (!slots_stay(route->conf, conf, slot)) {
        plan->new_count++;
        return upstream_open(&plan->each[slot], source_count);
    }
    if (plan->sources != NULL) {
        plan->sources[slot] = calloc(source_count, sizeof *plan->sources[slot]);
        if (plan->sources[slot] == NULL)
            return ERR_NOMEM;
    }
    plan->each[slot] = route->upstreams.each[slot];
    return ERR_OK;
}

/* The workers go on meanwhile. */
static enum err prepare_route(struct relay_route *route, const struct conf_route *conf,
                              struct upstreams_plan *plan)
{
    size_t *counts = calloc(conf->upstream_count, sizeof *counts);
    if (counts == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < conf->upstream_count; i++)
        counts[i] = resolver_count_addrs(route->relay->resolver, route, conf, i);
    os_mutex_lock(&route->upstreams.lock);
    enum err err = route_prepare(&plan->route, route->upstreams.route, conf);
    if (err == ERR_OK)
        err = route_plan_addrs(plan->route, route->upstreams.route, counts);
    os_mutex_unlock(&route->upstreams.lock);
    free(counts);
    return err;
}

enum err upstreams_prepare(struct relay_route *route, const struct conf_route *conf,
                           struct upstreams_plan *plan)
{
    *plan = (struct upstreams_plan){.count = 0};
    enum err err = prepare_route(route, conf, plan);
    if (err != ERR_OK) {
        upstreams_plan_free(route, plan);
        return err;
    }
    plan->each = calloc(conf->upstream_count, sizeof(struct relay_upstream *));
    bool other_sources = diff_key(route->conf, conf, "source");
    if (other_sources)
        plan->sources = calloc(conf->upstream_count, sizeof(struct source_use *));
    if (plan->each == NULL || (plan->sources == NULL && other_sources))
        err = ERR_NOMEM;
    for (; err == ERR_OK && plan->count < conf->upstream_count; plan->count++) {
        err = prepare_slot(route, conf, plan->count, plan);
        if (err != ERR_OK)
            break;
    }
    if (err != ERR_OK)
        upstreams_plan_free(route, plan);
    return err;
}

void upstreams_plan_free(struct relay_route *route, struct upstreams_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (i >= route->upstreams.count || plan->each[i] != route->upstreams.each[i])
            upstream_close(plan->each[i], route->relay);
        if (plan->sources != NULL)
            free(plan->sources[i]);
    }
    free(plan->sources);
    free(plan->each);
    route_plan_free(plan->route);
    *plan = (struct upstreams_plan){.count = 0};
}

/* ---- carrying it out ---- */

static void take_sources(struct relay_route *route, struct upstreams_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->sources[i] == NULL)
            continue; /* a new upstream */
        free(route->upstreams.each[i]->sources);
        route->upstreams.each[i]->sources = plan->sources[i];
    }
}

/* Counts a pair at its local address, which has another number now, or none any more. */
static void count_source(struct pair *pair, const struct conf_route *before,
                         const struct conf_route *after)
{
    bool chosen = pair->attempt.source_index < before->source_count;
    pair->attempt.has_source = false;
    for (size_t i = 0; chosen && i < after->source_count && !pair->attempt.has_source; i++) {
        if (!addr_equal(&before->sources[pair->attempt.source_index], &after->sources[i]))
            continue;
        pair->attempt.has_source = true;
        pair->attempt.source_index = (uint16_t)i;
        upstreams_source_begins(pair->route, pair->attempt.upstream_index,
                                pair->attempt.source_index);
        return;
    }
}

struct recount {
    struct relay_route *route;
    const struct conf_route *after;
};

static void recount_pair(void *ctx, struct pair *pair)
{
    const struct recount *recount = ctx;
    if (pair->route == recount->route && pair->attempt.has_source)
        count_source(pair, pair->route->conf, recount->after);
}

void upstreams_reconfigure(struct relay_route *route, const struct conf_route *conf,
                           struct upstreams_plan *plan, uint64_t now_ms)
{
    struct upstreams *upstreams = &route->upstreams;
    for (size_t i = 0; i < upstreams->count; i++)
        if (plan->each[i] != upstreams->each[i])
            upstream_close(upstreams->each[i], route->relay);
    free(upstreams->each);
    upstreams->each = plan->each;
    upstreams->count = plan->count;
    upstreams_begin(route);
    if (plan->sources != NULL) {
        struct recount recount = {route, conf};
        take_sources(route, plan);
        table_each(&route->relay->table, recount_pair, &recount);
        free(plan->sources);
    }
    os_mutex_lock(&upstreams->lock); /* of nobody now, but it is what guards the route */
    route_reconfigure(upstreams->route, plan->route, now_ms);
    os_mutex_unlock(&upstreams->lock);
    route->conf = conf;
    *plan = (struct upstreams_plan){.count = 0};
}
