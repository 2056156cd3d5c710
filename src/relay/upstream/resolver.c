#include "relay/upstream/resolver.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "config/slots.h"
#include "os/os.h"
#include "relay/relay.h"
#include "relay/upstream/prefetch.h"
#include "relay/upstream/upstream_name.h"

/* Look-ups that are begun in a row before replies are taken: a name server and this socket have
 * room for so many messages at once, not for thousands. */
#define BEGUN_MAX   32
#define BREATHER_MS 5

#define FORESEEN_ID                                                                            \
    (UINT64_C(1) << 63) /* of questions in advance: this, the list's number, the index */
#define FORESEEN_INDEX_BITS 24

struct resolver {
    struct relay *relay; /* not owned */
    struct os_thread *thread;
    struct dns *dns; /* owned; made with the thread and used by it */
    struct upstream_name
        *names; /* owned; they change while the relay is quiesced, and with the lock */
    size_t name_count;
    struct upstream_name *spare; /* owned: room for other names; NULL: none */
    struct prefetch
        known; /* of the reload that goes on: answers to what was asked in advance */
    uint64_t last_id;

    struct os_mutex lock; /* guards what follows and what changes in the names */
    struct os_cond changed;
    bool stopping;
    size_t answered;          /* names that had an answer */
    struct prefetch prefetch; /* what is asked in advance */
    uint64_t prefetch_number; /* of these, so that others are not taken for them */
};

/* ---- answers ---- */

static struct upstream_name *find_id(struct resolver *resolver, uint64_t id)
{
    for (size_t i = 0; i < resolver->name_count; i++)
        if (resolver->names[i].id == id)
            return &resolver->names[i];
    return NULL;
}

/* Without the lock, as a visitor: the names and the routes do not change meanwhile. */
static void take_answer(struct resolver *resolver, const struct dns_answer *answer)
{
    struct upstream_name *name = find_id(resolver, answer->id);
    if (name == NULL)
        return; /* a reload has taken the upstream out since it was asked for */
    enum err err = upstream_name_apply(name, answer);
    os_mutex_lock(&resolver->lock);
    resolver->answered += name->tried_ms == 0;
    enum name_state before = upstream_name_note(name, answer, err, os_mono_ms());
    os_cond_wake_all(&resolver->changed);
    os_mutex_unlock(&resolver->lock);
    upstream_name_log(name, before);
}

static void take_prefetched(struct resolver *resolver, const struct dns_answer *answer)
{
    uint64_t rest = answer->id & ~FORESEEN_ID;
    size_t index = rest & ((UINT64_C(1) << FORESEEN_INDEX_BITS) - 1);
    os_mutex_lock(&resolver->lock);
    if (rest >> FORESEEN_INDEX_BITS == resolver->prefetch_number) {
        prefetch_answer(&resolver->prefetch.names[index], answer);
        os_cond_wake_all(&resolver->changed);
    }
    os_mutex_unlock(&resolver->lock);
}

static void take(struct resolver *resolver, const struct dns_answer *answer)
{
    if (answer->id & FORESEEN_ID) {
        take_prefetched(resolver, answer);
        return;
    }
    quiesce_enter(resolver->relay);
    take_answer(resolver, answer);
    quiesce_leave(resolver->relay);
}

/* ---- questions ---- */

struct asked {
    uint64_t id;
    char host[CONF_HOST_MAX];
};

/* The next name to ask for; false: none is due, and *wait_ms is for how long. With the lock. */
static bool take_due(struct resolver *resolver, uint64_t now_ms, struct asked *out,
                     uint32_t *wait_ms)
{
    struct prefetch_name *prefetch = prefetch_next(&resolver->prefetch);
    if (prefetch != NULL) {
        prefetch->asked = true;
        out->id = FORESEEN_ID | resolver->prefetch_number << FORESEEN_INDEX_BITS |
                  (uint64_t)(prefetch - resolver->prefetch.names);
        str_format(out->host, sizeof out->host, "%s", prefetch->host);
        return true;
    }
    struct upstream_name *first = NULL;
    for (size_t i = 0; i < resolver->name_count; i++) {
        struct upstream_name *name = &resolver->names[i];
        if (!name->asking && (first == NULL || name->due_ms < first->due_ms))
            first = name;
    }
    uint64_t left = UINT32_MAX;
    if (first != NULL)
        left = first->due_ms > now_ms ? first->due_ms - now_ms : 0;
    *wait_ms = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
    if (left > 0)
        return false;
    first->asking = true;
    out->id = first->id;
    str_format(out->host, sizeof out->host, "%s", first->host);
    return true;
}

/* True: it was an address, for which there was no memory when it came; see take_upstream(). */
static bool answer_address(const struct asked *asked, struct dns_answer *answer)
{
    struct addr addr;
    if (addr_parse_ip(asked->host, &addr) != ERR_OK)
        return false;
    answer->ipv4 = addr.family == ADDR_IPV4 ? DNS_FOUND : DNS_NONE;
    answer->ipv6 = addr.family == ADDR_IPV6 ? DNS_FOUND : DNS_NONE;
    answer->addrs[0] = addr;
    answer->count = 1;
    return true;
}

/* Without the lock: the hosts file is read on the way. */
static void ask(struct resolver *resolver, const struct asked *asked)
{
    struct dns_answer answer = {.id = asked->id, .ttl_ms = DNS_NO_TTL};
    if (!answer_address(asked, &answer)) {
        enum err err = dns_ask(resolver->dns, asked->host, asked->id);
        if (err == ERR_OK)
            return;
        str_format(answer.why, sizeof answer.why, "%s", err_text(err));
    }
    take(resolver, &answer);
}

/* Asks for what is due; *wait_ms is for how long there is nothing more to ask for. False: the
 * relay stops. */
static bool ask_due(struct resolver *resolver, uint32_t *wait_ms)
{
    standstill_check_outside(
        &resolver->relay->standstill); /* before it is told how long to wait */
    for (unsigned begun = 0;; begun++) {
        struct asked asked;
        os_mutex_lock(&resolver->lock);
        bool stopping = resolver->stopping;
        bool due =
            !stopping && begun < BEGUN_MAX && take_due(resolver, os_mono_ms(), &asked, wait_ms);
        os_mutex_unlock(&resolver->lock);
        if (begun == BEGUN_MAX)
            *wait_ms = BREATHER_MS;
        if (!due)
            return !stopping;
        ask(resolver, &asked);
    }
}

static void run(void *arg)
{
    struct resolver *resolver = arg;
    struct dns_answer answer;
    uint32_t wait_ms;
    while (ask_due(resolver, &wait_ms))
        if (dns_wait(resolver->dns, wait_ms, &answer))
            take(resolver, &answer);
}

static enum err start_thread(struct resolver *resolver)
{
    if (resolver->thread != NULL)
        return ERR_OK;
    enum err err = dns_open(&resolver->dns);
    if (err != ERR_OK)
        return err;
    err = os_thread_start(&resolver->thread, "resolver", run, resolver);
    if (err != ERR_OK) {
        dns_close(resolver->dns);
        resolver->dns = NULL;
    }
    return err;
}

static struct upstream_name *find(struct resolver *resolver, const struct relay_route *route,
                                  size_t upstream)
{
    for (size_t i = 0; resolver != NULL && i < resolver->name_count; i++)
        if (resolver->names[i].route == route && resolver->names[i].upstream == upstream)
            return &resolver->names[i];
    return NULL;
}

bool resolver_hurry(struct resolver *resolver, const struct relay_route *route, size_t upstream)
{
    struct upstream_name *name = find(resolver, route, upstream);
    if (name == NULL)
        return false;
    os_mutex_lock(&resolver->lock);
    uint64_t soon = name->tried_ms + NAME_NOT_BEFORE_MS;
    if (!name->asking && soon < name->due_ms) {
        name->due_ms = soon;
        dns_wake(resolver->dns);
    }
    os_mutex_unlock(&resolver->lock);
    return true;
}

bool resolver_get_info(struct resolver *resolver, const struct relay_route *route,
                       size_t upstream, struct resolver_info *out)
{
    const struct upstream_name *name = find(resolver, route, upstream);
    memset(out, 0, sizeof *out);
    if (name == NULL)
        return false;
    os_mutex_lock(&resolver->lock);
    *out = name->info;
    os_mutex_unlock(&resolver->lock);
    return true;
}

/* ---- start and stop ---- */

/* An address at once, a name into the list `names`; an address too that finds no memory, so that
 * the thread tries it again. */
static enum err take_upstream(struct resolver *resolver, struct relay_route *route,
                              size_t index, struct upstream_name *names, size_t *count)
{
    const struct conf_upstream *conf = &route->conf->upstreams[index];
    const struct upstream_name *before = find(resolver, route, index);
    enum err err = ERR_OK;
    struct addr addr;
    if (addr_parse_ip(conf->host, &addr) == ERR_OK &&
        (err = upstream_name_set_addrs(route, index, &addr, 1)) == ERR_OK)
        return ERR_OK;
    if (before != NULL && strcmp(before->host, conf->host) == 0) {
        struct upstream_name *kept = &names[(*count)++];
        *kept = *before; /* and all that is known of it */
        upstream_name_reschedule(kept, route->conf->resolve_interval_ms, os_mono_ms());
        return err;
    }
    struct upstream_name *name = &names[(*count)++];
    *name =
        (struct upstream_name){.id = ++resolver->last_id, .route = route, .upstream = index};
    str_format(name->host, sizeof name->host, "%s", conf->host);
    const struct prefetch_name *known = prefetch_find(&resolver->known, conf->host);
    if (known == NULL)
        return err;
    err = upstream_name_set_addrs(route, index, known->addrs, known->count);
    if (err == ERR_OK)
        upstream_name_known(name, known->ttl_ms, os_mono_ms());
    return err;
}

static enum err take_upstreams(struct resolver *resolver, struct upstream_name *names,
                               size_t *count)
{
    const struct relay *relay = resolver->relay;
    enum err err = ERR_OK;
    for (size_t r = 0; r < relay->route_count; r++) {
        struct relay_route *route = relay->routes[r];
        for (size_t i = 0; i < route->conf->upstream_count; i++) {
            if (route->conf->upstreams[i].removed)
                continue;
            enum err one = take_upstream(resolver, route, i, names, count);
            if (one != ERR_OK)
                err = one;
        }
    }
    return err;
}

static size_t count_upstreams(const struct relay *relay)
{
    size_t count = 0;
    for (size_t r = 0; r < relay->route_count; r++)
        count += relay->routes[r]->conf->upstream_count;
    return count;
}

/* The route has had this name, and an answer for it. */
static bool is_known(const struct resolver *resolver, const char *route, const char *host)
{
    for (size_t i = 0; i < resolver->name_count; i++) {
        const struct upstream_name *name = &resolver->names[i];
        if (strcmp(name->host, host) == 0 && strcmp(name->route->conf->name, route) == 0 &&
            name->info.resolved_ms != 0)
            return true;
    }
    return false;
}

/* Room for all that `conf` has, and in `prefetch` the names that are new. With the lock. */
static enum err list_names(const struct resolver *resolver, const struct conf *conf,
                           struct prefetch *prefetch, struct upstream_name **spare)
{
    size_t upstreams = 0;
    struct addr addr;
    for (size_t r = 0; r < conf->route_count; r++)
        upstreams += conf->routes[r].upstream_count;
    if (prefetch_open(prefetch, upstreams) != ERR_OK)
        return ERR_NOMEM;
    *spare = calloc(upstreams + 1, sizeof **spare);
    if (*spare == NULL) {
        prefetch_close(prefetch);
        return ERR_NOMEM;
    }
    for (size_t r = 0; r < conf->route_count; r++) {
        const struct conf_route *route = &conf->routes[r];
        for (size_t i = 0; i < route->upstream_count; i++)
            if (addr_parse_ip(route->upstreams[i].host, &addr) != ERR_OK &&
                !is_known(resolver, route->name, route->upstreams[i].host))
                prefetch_add(prefetch, route->upstreams[i].host);
    }
    return ERR_OK;
}

static void await_prefetched(struct resolver *resolver, uint32_t patience_ms)
{
    uint64_t until = os_mono_ms() + patience_ms, now;
    while (!prefetch_is_done(&resolver->prefetch) && !resolver->stopping &&
           (now = os_mono_ms()) < until)
        os_cond_wait(&resolver->changed, &resolver->lock, (uint32_t)(until - now));
}

enum err resolver_prepare(struct resolver *resolver, const struct conf *conf,
                          uint32_t patience_ms)
{
    struct prefetch prefetch = {.names = NULL};
    struct upstream_name *spare;
    os_mutex_lock(&resolver->lock);
    enum err err = list_names(resolver, conf, &prefetch, &spare);
    os_mutex_unlock(&resolver->lock);
    if (err != ERR_OK)
        return err;
    err = start_thread(resolver);
    if (err != ERR_OK) {
        free(spare);
        prefetch_close(&prefetch);
        return err;
    }
    free(resolver->spare);
    resolver->spare = spare;
    os_mutex_lock(&resolver->lock);
    prefetch_close(&resolver->prefetch);
    resolver->prefetch = prefetch;
    resolver->prefetch_number++;
    dns_wake(resolver->dns);
    await_prefetched(resolver, patience_ms);
    bool missing = !prefetch_is_done(&resolver->prefetch);
    prefetch_close(&resolver->known); /* of a reload that was given up */
    resolver->known = resolver->prefetch;
    resolver->prefetch = (struct prefetch){.names = NULL};
    resolver->prefetch_number++; /* later answers are not for it */
    os_mutex_unlock(&resolver->lock);
    if (missing)
        log_warning("reload: names of new upstreams are still being resolved; no session goes "
                    "there until they are");
    return ERR_OK;
}

/* An upstream's addresses as far as they are known without asking; gives their number. */
static size_t known_addrs(const struct resolver *resolver, const char *host,
                          struct addr *literal, const struct addr **out)
{
    *out = literal;
    if (addr_parse_ip(host, literal) == ERR_OK)
        return 1;
    const struct prefetch_name *known = prefetch_find(&resolver->known, host);
    if (known == NULL)
        return 0;
    *out = known->addrs;
    return known->count;
}

/* It stays, and is an address: it has had it since it came, unless there was no memory. */
static bool has_address(struct relay_route *route, const struct conf_route *conf,
                        size_t upstream)
{
    struct addr addrs[ROUTE_SERVERS_MAX];
    if (!slots_stay(route->conf, conf, upstream))
        return false;
    os_mutex_lock(&route->upstreams.lock);
    size_t count = route_get_addrs(route->upstreams.route, upstream, addrs);
    os_mutex_unlock(&route->upstreams.lock);
    return count > 0;
}

size_t resolver_count_addrs(struct resolver *resolver, struct relay_route *route,
                            const struct conf_route *conf, size_t upstream)
{
    const struct conf_upstream *next = &conf->upstreams[upstream];
    struct addr literal;
    const struct addr *addrs;
    if (resolver == NULL || next->removed)
        return 0;
    if (addr_parse_ip(next->host, &literal) == ERR_OK)
        return has_address(route, conf, upstream) ? 0 : 1;
    const struct upstream_name *name = find(resolver, route, upstream);
    if (name != NULL && strcmp(name->host, next->host) == 0)
        return 0; /* it goes on with what it knows */
    return known_addrs(resolver, next->host, &literal, &addrs);
}

enum err resolver_begin_route(struct resolver *resolver, struct relay_route *route)
{
    enum err err = ERR_OK;
    for (size_t i = 0; i < route->conf->upstream_count && err == ERR_OK; i++) {
        struct addr literal;
        const struct addr *addrs;
        size_t count = known_addrs(resolver, route->conf->upstreams[i].host, &literal, &addrs);
        if (count > 0)
            err = route_set_addrs(route->upstreams.route, i, addrs, count, os_mono_ms(), NULL);
    }
    return err;
}

void resolver_reload(struct resolver *resolver)
{
    struct upstream_name *names = resolver->spare;
    size_t count = 0;
    enum err err = take_upstreams(resolver, names, &count);
    if (err != ERR_OK)
        log_error("reload: not every upstream has its addresses yet: %s; trying again",
                  err_text(err));
    prefetch_close(&resolver->known);
    os_mutex_lock(&resolver->lock);
    free(resolver->names);
    resolver->names = names;
    resolver->name_count = count;
    resolver->spare = NULL;
    os_mutex_unlock(&resolver->lock);
    dns_wake(resolver->dns);
}

static void await_answers(struct resolver *resolver, uint32_t patience_ms)
{
    uint64_t until = os_mono_ms() + patience_ms, now;
    os_mutex_lock(&resolver->lock);
    while (resolver->answered < resolver->name_count && (now = os_mono_ms()) < until)
        os_cond_wait(&resolver->changed, &resolver->lock, (uint32_t)(until - now));
    size_t missing = resolver->name_count - resolver->answered;
    os_mutex_unlock(&resolver->lock);
    if (missing > 0)
        log_warning(
            "upstreams whose names are still being resolved: %zu; no session goes there "
            "until they are",
            missing);
}

enum err resolver_start(struct resolver **out, struct relay *relay, uint32_t patience_ms)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL)
        return ERR_NOMEM;
    os_mutex_init(&resolver->lock, LOCK_RESOLVER);
    resolver->relay = relay;
    resolver->names = calloc(count_upstreams(relay) + 1, sizeof *resolver->names);
    size_t count = 0;
    enum err err = resolver->names == NULL ? ERR_NOMEM : ERR_OK;
    if (err == ERR_OK)
        err = take_upstreams(resolver, resolver->names, &count);
    resolver->name_count = count;
    if (err == ERR_OK && resolver->name_count > 0)
        err = start_thread(resolver);
    if (err != ERR_OK) {
        free(resolver->names);
        free(resolver);
        return err;
    }
    await_answers(resolver, patience_ms);
    *out = resolver;
    return ERR_OK;
}

void resolver_stop(struct resolver *resolver)
{
    if (resolver == NULL)
        return;
    if (resolver->thread != NULL) {
        os_mutex_lock(&resolver->lock);
        resolver->stopping = true;
        os_cond_wake_all(&resolver->changed);
        os_mutex_unlock(&resolver->lock);
        dns_wake(resolver->dns);
        os_thread_join(resolver->thread);
        dns_close(resolver->dns);
    }
    prefetch_close(&resolver->prefetch);
    prefetch_close(&resolver->known);
    free(resolver->spare);
    free(resolver->names);
    free(resolver);
}
