#include "route_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct model_upstream model[MODEL_UPSTREAMS];

bool model_is_open(size_t u)
{
    return !model[u].removed && model[u].admin == ROUTE_READY && model[u].weight != 0;
}

const char *model_word(const struct model_server *server)
{
    if (!server->in_use)
        return "GONE";
    return !server->up ? "DOWN" : server->ejected_until_ms != 0 ? "EJECTED" : "UP";
}

bool model_is_up(size_t u, size_t k)
{
    return model_is_open(u) && strcmp(model_word(&model[u].servers[k]), "UP") == 0;
}

static size_t count_up(bool backups)
{
    size_t count = 0;
    for (size_t u = 0; u < MODEL_UPSTREAMS; u++)
        for (size_t k = 0; k < MODEL_ADDRESSES; k++)
            count += model_is_up(u, k) && model[u].backup == backups;
    return count;
}

uint32_t model_sessions(size_t u)
{
    uint32_t count = 0;
    for (size_t k = 0; k < MODEL_ADDRESSES; k++)
        count += model[u].servers[k].sessions;
    return count;
}

static bool model_is_full(size_t u)
{
    return model[u].max_sessions != 0 && model_sessions(u) >= model[u].max_sessions;
}

static bool is_used(size_t u, size_t k)
{
    return model_is_up(u, k) && (!model[u].backup || count_up(false) == 0);
}

size_t model_up_count(void)
{
    return count_up(false) + count_up(true);
}

bool model_is_usable(size_t u, size_t k)
{
    return is_used(u, k) && !model_is_full(u);
}

size_t model_usable_count(void)
{
    size_t count = 0;
    for (size_t u = 0; u < MODEL_UPSTREAMS; u++)
        for (size_t k = 0; k < MODEL_ADDRESSES; k++)
            count += model_is_usable(u, k);
    return count;
}

/* What is known of a server is forgotten; a check that runs does not count. */
static void forget_health(struct model_server *server)
{
    server->up = true;
    server->decided = false;
    server->against = 0;
    server->life++;
}

static bool is_ejected(size_t u, size_t k)
{
    return model_is_open(u) && strcmp(model_word(&model[u].servers[k]), "EJECTED") == 0;
}

static size_t ejected_count(void)
{
    size_t count = 0;
    for (size_t u = 0; u < MODEL_UPSTREAMS; u++)
        for (size_t k = 0; k < MODEL_ADDRESSES; k++)
            count += is_ejected(u, k);
    return count;
}

static size_t ejected_most(uint32_t percent)
{
    size_t all = 0;
    for (size_t u = 0; u < MODEL_UPSTREAMS; u++)
        for (size_t k = 0; k < MODEL_ADDRESSES; k++)
            all += model_is_open(u) && model[u].servers[k].in_use;
    size_t most = all * percent / 100;
    return most == 0 && all > 1 ? 1 : most;
}

/* Of two no ejection ends at the same time. */
static struct model_server *next_to_return(void)
{
    struct model_server *next = NULL;
    for (size_t u = 0; u < MODEL_UPSTREAMS; u++)
        for (size_t k = 0; k < MODEL_ADDRESSES; k++) {
            struct model_server *server = &model[u].servers[k];
            if (is_ejected(u, k) &&
                (next == NULL || server->ejected_until_ms < next->ejected_until_ms))
                next = server;
        }
    return next;
}

void model_settle(uint32_t eject_max_percent)
{
    while (ejected_count() > ejected_most(eject_max_percent))
        next_to_return()->ejected_until_ms = 0;
    if (model_up_count() != 0)
        return;
    for (size_t u = 0; u < MODEL_UPSTREAMS; u++)
        for (size_t k = 0; k < MODEL_ADDRESSES; k++)
            if (model_is_open(u) && model[u].servers[k].up)
                model[u].servers[k].ejected_until_ms = 0;
}

void model_answer(size_t u, const size_t numbers[], size_t count)
{
    struct model_upstream *upstream = &model[u];
    size_t in_use = 0;
    for (size_t k = 0; k < MODEL_ADDRESSES; k++) {
        bool stays = false;
        for (size_t i = 0; i < count; i++)
            stays |= numbers[i] == k;
        struct model_server *server = &upstream->servers[k];
        if (server->in_use && !stays) {
            server->in_use = false;
            server->ejected_until_ms = 0;
            server->fail_count = 0;
            server->life++;
        }
        in_use += server->in_use;
    }
    for (size_t i = 0; i < count && in_use < ROUTE_SERVERS_MAX; i++) {
        struct model_server *server = &upstream->servers[numbers[i]];
        if (server->in_use)
            continue;
        server->in_use = true;
        forget_health(server);
        if (server->told == NULL)
            server->told = upstream->answered ? "NEW" : "UP";
        in_use++;
    }
    upstream->answered = true;
}

static bool is_counted(const struct model_server *server, uint32_t client,
                       const struct conf_eject *eject, uint64_t now_ms)
{
    for (size_t i = server->fail_count; i > 0 && server->fail_count - i < eject->count; i--)
        if (server->fails_of[i - 1] == client &&
            now_ms - server->fails_ms[i - 1] <= eject->within_ms)
            return true;
    return false;
}

void model_failure(size_t u, size_t k, uint32_t client, const struct conf_route *conf,
                   uint64_t now_ms)
{
    const struct conf_eject *eject = &conf->eject;
    struct model_server *server = &model[u].servers[k];
    if (eject->count == 0 || !model_is_up(u, k) || is_counted(server, client, eject, now_ms))
        return;
    assert_true(server->fail_count < MODEL_FAILS_MAX);
    server->fails_of[server->fail_count] = client;
    server->fails_ms[server->fail_count++] = now_ms;
    if (server->fail_count < eject->count ||
        now_ms - server->fails_ms[server->fail_count - eject->count] > eject->within_ms)
        return;
    if (model_up_count() == 1 || ejected_count() >= ejected_most(conf->eject_max_percent))
        return;
    server->ejected_until_ms = now_ms + eject->for_ms;
    server->fail_count = 0;
}

void model_result(struct model_server *server, const struct conf_health *conf, bool passed)
{
    uint32_t needed = passed ? conf->rise : conf->fall;
    if (passed)
        server->ejected_until_ms = 0;
    if (!server->decided)
        needed = 1;
    server->decided = true;
    server->against = passed == server->up ? 0 : server->against + 1;
    if (server->against < needed)
        return;
    server->up = passed;
    server->against = 0;
}

bool model_admin(size_t u, enum route_admin admin)
{
    enum route_admin before = model[u].admin;
    bool changed = admin != before;
    model[u].admin = admin;
    for (size_t k = 0; k < MODEL_ADDRESSES; k++) {
        struct model_server *server = &model[u].servers[k];
        if (!server->in_use)
            continue;
        if (before != admin && admin == ROUTE_DISABLED)
            server->life++;
        if (before != admin && before == ROUTE_DISABLED)
            forget_health(server);
        if (admin == ROUTE_READY && server->ejected_until_ms != 0) {
            server->ejected_until_ms = 0;
            changed = true;
        }
    }
    return changed;
}

void model_time(uint64_t now_ms)
{
    for (size_t u = 0; u < MODEL_UPSTREAMS; u++)
        for (size_t k = 0; k < MODEL_ADDRESSES; k++)
            if (model[u].servers[k].ejected_until_ms <= now_ms)
                model[u].servers[k].ejected_until_ms = 0;
}

static void change_checks(struct model_server *server, bool on)
{
    server->life++;
    server->against = 0;
    if (!on) {
        server->up = true;
        server->decided = false;
    }
}

static void change_upstream(size_t u, const struct conf_upstream *before,
                            const struct conf_upstream *after)
{
    struct model_upstream *upstream = &model[u];
    bool back = before->removed && !after->removed;
    bool was_disabled = upstream->admin == ROUTE_DISABLED;
    if (back || before->weight != after->weight)
        upstream->weight = after->weight;
    if (back || before->max_sessions != after->max_sessions)
        upstream->max_sessions = after->max_sessions;
    if (back || before->disabled != after->disabled)
        upstream->admin = after->disabled ? ROUTE_DISABLED : ROUTE_READY;
    upstream->backup = after->backup;
    upstream->removed = after->removed;
    bool is_disabled = upstream->admin == ROUTE_DISABLED;
    for (size_t k = 0; k < MODEL_ADDRESSES; k++) {
        struct model_server *server = &upstream->servers[k];
        if (!server->in_use)
            continue;
        server->life += is_disabled || after->removed;
        if (back || (was_disabled && !is_disabled))
            forget_health(server);
    }
}

void model_reconfigure(const struct model_change *change)
{
    const struct conf_eject *eject = &change->after->eject;
    for (size_t u = 0; u < MODEL_UPSTREAMS; u++) {
        change_upstream(u, &change->before->upstreams[u], &change->after->upstreams[u]);
        for (size_t k = 0; k < MODEL_ADDRESSES; k++) {
            struct model_server *server = &model[u].servers[k];
            if (eject->count != change->before->eject.count)
                server->fail_count = 0;
            if (eject->count == 0)
                server->ejected_until_ms = 0;
            if (server->in_use && change->checks_change)
                change_checks(server, change->after->health.on);
        }
    }
}
