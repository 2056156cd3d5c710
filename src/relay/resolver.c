#include "relay/resolver.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "os/os.h"
#include "relay/relay.h"

#define NOT_BEFORE_MS 1000  /* from one try to the next that somebody hurries */
#define UNANSWERED_MS 30000 /* with resolve_interval = off, until there is a first answer */
#define STOP_FOR_MS   2000  /* a stop waits so long for a question that is on its way */

struct name {
    uint64_t id; /* no two that there ever were have the same */
    struct relay_route *route;
    size_t upstream;
    char host[CONF_HOST_MAX];
    uint16_t port;
    uint64_t due_ms;   /* UINT64_MAX: only when asked */
    uint64_t tried_ms; /* when the last try ended; 0: never */
    bool failed;       /* the last try did */
    struct resolver_info info;
};

struct resolver {
    struct relay *relay; /* not owned */
    struct os_thread *thread;
    struct name *names; /* owned; they change at a standstill, and with the lock */
    size_t name_count;
    struct name *spare;    /* owned: room for other names; NULL: none */
    struct foreseen known; /* of the reload that goes on: what was asked in advance */
    uint64_t last_id;

    struct os_mutex lock; /* guards what follows and what changes in the names */
    struct os_cond changed;
    bool stopping;
    bool asking;     /* the thread waits for the system and touches nothing of the relay */
    bool ended;      /* it touches nothing any more */
    size_t answered; /* names that were tried at least once */
    struct foreseen foreseen; /* what is asked in advance */
    uint64_t foreseen_number; /* of these, so that others are not taken for them */
};

static enum err set_addrs(struct relay_route *route, size_t upstream, const struct addr *addrs,
                          size_t count)
{
    os_mutex_lock(&route->upstreams.lock);
    enum err err =
        route_set_addrs(route->upstreams.route, upstream, addrs, count, os_mono_ms(), NULL);
    os_mutex_unlock(&route->upstreams.lock);
    upstreams_stir(route);
    return err;
}

static void set_unresolved(struct relay_route *route, size_t upstream)
{
    os_mutex_lock(&route->upstreams.lock);
    route_set_unresolved(route->upstreams.route, upstream, os_mono_ms());
    os_mutex_unlock(&route->upstreams.lock);
    upstreams_stir(route);
}

/* ---- one question ---- */

static void log_failure(const struct relay_route *route, const struct name *name,
                        const char *why)
{
    log_error("route '%s': upstream '%s' can't be resolved: %s; %s", route->conf->name,
              route->conf->upstreams[name->upstream].name, why,
              name->info.resolved_ms != 0 ? "its last addresses stay in use"
                                          : "no session goes there until it can");
}

/* A name without any answer yet is asked for again, whatever the interval. */
static uint64_t next_due(const struct name *name, uint32_t interval_ms, uint64_t now_ms)
{
    if (interval_ms == 0)
        return name->info.resolved_ms != 0 ? UINT64_MAX : now_ms + UNANSWERED_MS;
    return now_ms + interval_ms;
}

static void note(struct resolver *resolver, struct name *name, enum err err, const char *why)
{
    const struct relay_route *route = name->route;
    uint64_t now = os_mono_ms();
    os_mutex_lock(&resolver->lock);
    bool first = name->tried_ms == 0, failed_before = name->failed;
    name->failed = err != ERR_OK;
    name->tried_ms = now;
    if (err == ERR_OK)
        name->info.resolved_ms = now;
    else
        name->info.failures_total++;
    str_format(name->info.why, sizeof name->info.why, "%s", err == ERR_OK ? "" : why);
    name->due_ms = next_due(name, route->conf->resolve_interval_ms, now);
    resolver->answered += first;
    os_cond_wake_all(&resolver->changed);
    os_mutex_unlock(&resolver->lock);

    if (err != ERR_OK && !failed_before)
        log_failure(route, name, why);
    else if (err == ERR_OK && failed_before)
        log_notice("route '%s': upstream '%s' can be resolved again", route->conf->name,
                   route->conf->upstreams[name->upstream].name);
}

/* Asks the system, without the lock, which is held before and after. False: a stop came
 * meanwhile, and nothing of the relay may be left. */
static bool ask(struct resolver *resolver, const struct name *asked,
                struct resolver_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    resolver->asking = true;
    os_mutex_unlock(&resolver->lock);
    answer->err = os_resolve(asked->host, asked->port, answer->addrs, ROUTE_SERVERS_MAX,
                             &answer->count, answer->why, sizeof answer->why);
    os_mutex_lock(&resolver->lock);
    resolver->asking = false;
    return !resolver->stopping;
}

static struct name *find_id(struct resolver *resolver, uint64_t id)
{
    for (size_t i = 0; i < resolver->name_count; i++)
        if (resolver->names[i].id == id)
            return &resolver->names[i];
    return NULL;
}

/* Without the lock, as a visitor: the names and the routes do not change meanwhile. */
static void take_answer(struct resolver *resolver, uint64_t id,
                        const struct resolver_answer *answer)
{
    struct name *name = find_id(resolver, id);
    if (name == NULL)
        return; /* a reload has taken the upstream out since it was asked for */
    struct relay_route *route = name->route;
    enum err err = answer->err;
    if (err == ERR_OK)
        err = set_addrs(route, name->upstream, answer->addrs, answer->count);
    else
        set_unresolved(route, name->upstream);
    note(resolver, name, err, answer->why[0] != '\0' ? answer->why : err_text(err));
}

/* ---- in advance ---- */

/* With the lock, as ask(). */
static bool ask_in_advance(struct resolver *resolver, const struct foreseen_name *name)
{
    size_t index = (size_t)(name - resolver->foreseen.names);
    uint64_t number = resolver->foreseen_number;
    struct name asked = {.port = 0};
    struct resolver_answer answer;
    str_format(asked.host, sizeof asked.host, "%s", name->host);
    if (!ask(resolver, &asked, &answer))
        return false;
    if (number == resolver->foreseen_number) {
        resolver->foreseen.names[index].answer = answer;
        resolver->foreseen.names[index].done = true;
        os_cond_wake_all(&resolver->changed);
    }
    return true;
}

/* ---- the thread ---- */

/* The name that is due first; NULL: there is none. */
static struct name *first_due(const struct resolver *resolver)
{
    struct name *first = NULL;
    for (size_t i = 0; i < resolver->name_count; i++)
        if (first == NULL || resolver->names[i].due_ms < first->due_ms)
            first = &resolver->names[i];
    return first;
}

static void run(void *arg)
{
    struct resolver *resolver = arg;
    os_mutex_lock(&resolver->lock);
    while (!resolver->stopping) {
        const struct foreseen_name *open = foreseen_open_name(&resolver->foreseen);
        if (open != NULL) {
            if (!ask_in_advance(resolver, open))
                break;
            continue;
        }
        const struct name *name = first_due(resolver);
        uint64_t now = os_mono_ms();
        if (name == NULL || name->due_ms > now) {
            uint64_t wait = name == NULL ? UINT32_MAX : name->due_ms - now;
            os_cond_wait(&resolver->changed, &resolver->lock,
                         wait < UINT32_MAX ? (uint32_t)wait : UINT32_MAX);
            continue;
        }
        struct name asked = *name;
        struct resolver_answer answer;
        if (!ask(resolver, &asked, &answer))
            break;
        os_mutex_unlock(&resolver->lock);
        standstill_enter(resolver->relay);
        take_answer(resolver, asked.id, &answer);
        standstill_leave(resolver->relay);
        os_mutex_lock(&resolver->lock);
    }
    resolver->ended = true;
    os_cond_wake_all(&resolver->changed);
    os_mutex_unlock(&resolver->lock);
}

static struct name *find(struct resolver *resolver, const struct relay_route *route,
                         size_t upstream)
{
    for (size_t i = 0; resolver != NULL && i < resolver->name_count; i++)
        if (resolver->names[i].route == route && resolver->names[i].upstream == upstream)
            return &resolver->names[i];
    return NULL;
}

bool resolver_hurry(struct resolver *resolver, const struct relay_route *route, size_t upstream)
{
    struct name *name = find(resolver, route, upstream);
    if (name == NULL)
        return false;
    os_mutex_lock(&resolver->lock);
    uint64_t soon = name->tried_ms + NOT_BEFORE_MS;
    if (soon < name->due_ms) {
        name->due_ms = soon;
        os_cond_wake_all(&resolver->changed);
    }
    os_mutex_unlock(&resolver->lock);
    return true;
}

bool resolver_get_info(struct resolver *resolver, const struct relay_route *route,
                       size_t upstream, struct resolver_info *out)
{
    const struct name *name = find(resolver, route, upstream);
    memset(out, 0, sizeof *out);
    if (name == NULL)
        return false;
    os_mutex_lock(&resolver->lock);
    *out = name->info;
    os_mutex_unlock(&resolver->lock);
    return true;
}

/* ---- start and stop ---- */

/* Where a name stays, so does what is known of it; but it may be due earlier now, or never. */
static struct name keep_name(const struct name *before, const struct conf_route *conf)
{
    struct name name = *before;
    uint64_t next_ms = next_due(&name, conf->resolve_interval_ms, os_mono_ms());
    bool never = conf->resolve_interval_ms == 0 && name.info.resolved_ms != 0;
    if (never || next_ms < name.due_ms)
        name.due_ms = next_ms;
    return name;
}

/* An address at once, a name into the list `names`. For want of memory an address is asked for
 * like a name. */
static enum err take_upstream(struct resolver *resolver, struct relay_route *route,
                              size_t index, struct name *names, size_t *count)
{
    const struct conf_upstream *conf = &route->conf->upstreams[index];
    const struct name *before = find(resolver, route, index);
    enum err err = ERR_OK;
    struct addr addr;
    if (addr_parse_ip(conf->host, &addr) == ERR_OK &&
        (err = set_addrs(route, index, &addr, 1)) == ERR_OK)
        return ERR_OK;
    if (before != NULL && strcmp(before->host, conf->host) == 0) {
        names[(*count)++] = keep_name(before, route->conf);
        return err;
    }
    struct name *name = &names[(*count)++];
    *name = (struct name){
        .id = ++resolver->last_id, .route = route, .upstream = index, .port = conf->port};
    str_format(name->host, sizeof name->host, "%s", conf->host);
    const struct resolver_answer *answer = foreseen_find(&resolver->known, conf->host);
    if (answer != NULL && set_addrs(route, index, answer->addrs, answer->count) == ERR_OK) {
        name->tried_ms = name->info.resolved_ms = os_mono_ms();
        name->due_ms = next_due(name, route->conf->resolve_interval_ms, name->tried_ms);
    }
    return err;
}

static enum err take_upstreams(struct resolver *resolver, struct name *names, size_t *count)
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
        const struct name *name = &resolver->names[i];
        if (strcmp(name->host, host) == 0 && strcmp(name->route->conf->name, route) == 0 &&
            name->info.resolved_ms != 0)
            return true;
    }
    return false;
}

/* Room for all that `conf` has, and in `foreseen` the names that are new. With the lock. */
static enum err list_names(const struct resolver *resolver, const struct conf *conf,
                           struct foreseen *foreseen, struct name **spare)
{
    size_t upstreams = 0;
    struct addr addr;
    for (size_t r = 0; r < conf->route_count; r++)
        upstreams += conf->routes[r].upstream_count;
    if (foreseen_open(foreseen, upstreams) != ERR_OK)
        return ERR_NOMEM;
    *spare = calloc(upstreams + 1, sizeof **spare);
    if (*spare == NULL) {
        foreseen_close(foreseen);
        return ERR_NOMEM;
    }
    for (size_t r = 0; r < conf->route_count; r++) {
        const struct conf_route *route = &conf->routes[r];
        for (size_t i = 0; i < route->upstream_count; i++)
            if (addr_parse_ip(route->upstreams[i].host, &addr) != ERR_OK &&
                !is_known(resolver, route->name, route->upstreams[i].host))
                foreseen_add(foreseen, route->upstreams[i].host);
    }
    return ERR_OK;
}

static void await_foreseen(struct resolver *resolver, uint32_t patience_ms)
{
    uint64_t until = os_mono_ms() + patience_ms, now;
    while (foreseen_open_name(&resolver->foreseen) != NULL && !resolver->stopping &&
           (now = os_mono_ms()) < until)
        os_cond_wait(&resolver->changed, &resolver->lock, (uint32_t)(until - now));
}

enum err resolver_prepare(struct resolver *resolver, const struct conf *conf,
                          uint32_t patience_ms)
{
    struct foreseen foreseen = {.names = NULL};
    struct name *spare;
    os_mutex_lock(&resolver->lock);
    enum err err = list_names(resolver, conf, &foreseen, &spare);
    os_mutex_unlock(&resolver->lock);
    if (err != ERR_OK)
        return err;
    if (resolver->thread == NULL)
        err = os_thread_start(&resolver->thread, "resolver", run, resolver);
    if (err != ERR_OK) {
        free(spare);
        foreseen_close(&foreseen);
        return err;
    }
    free(resolver->spare);
    resolver->spare = spare;
    os_mutex_lock(&resolver->lock);
    foreseen_close(&resolver->foreseen);
    resolver->foreseen = foreseen;
    resolver->foreseen_number++;
    os_cond_wake_all(&resolver->changed);
    await_foreseen(resolver, patience_ms);
    bool missing = foreseen_open_name(&resolver->foreseen) != NULL;
    os_mutex_unlock(&resolver->lock);
    if (missing)
        log_warning("reload: names of new upstreams are still being resolved; no session goes "
                    "there until they are");
    return ERR_OK;
}

void resolver_reload(struct resolver *resolver)
{
    struct name *names = resolver->spare;
    size_t count = 0;
    os_mutex_lock(&resolver->lock); /* from here on the thread has nothing to do with them */
    resolver->known = resolver->foreseen;
    resolver->foreseen = (struct foreseen){.names = NULL};
    resolver->foreseen_number++;
    os_mutex_unlock(&resolver->lock);
    (void)take_upstreams(resolver, names, &count);
    foreseen_close(&resolver->known);
    os_mutex_lock(&resolver->lock);
    free(resolver->names);
    resolver->names = names;
    resolver->name_count = count;
    resolver->spare = NULL;
    os_cond_wake_all(&resolver->changed);
    os_mutex_unlock(&resolver->lock);
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
    resolver->relay = relay;
    resolver->names = calloc(count_upstreams(relay) + 1, sizeof *resolver->names);
    size_t count = 0;
    enum err err = resolver->names == NULL ? ERR_NOMEM : ERR_OK;
    if (err == ERR_OK)
        err = take_upstreams(resolver, resolver->names, &count);
    resolver->name_count = count;
    if (err == ERR_OK && resolver->name_count > 0)
        err = os_thread_start(&resolver->thread, "resolver", run, resolver);
    if (err != ERR_OK) {
        free(resolver->names);
        free(resolver);
        return err;
    }
    await_answers(resolver, patience_ms);
    *out = resolver;
    return ERR_OK;
}

/* True when the thread has ended. A question can't be interrupted; whatever else the thread does
 * is short, and is waited for. With the lock held. */
static bool await_end(struct resolver *resolver)
{
    uint64_t until = os_mono_ms() + STOP_FOR_MS;
    while (!resolver->ended) {
        uint64_t now = os_mono_ms();
        if (resolver->asking && now >= until)
            return false;
        os_cond_wait(&resolver->changed, &resolver->lock,
                     now < until ? (uint32_t)(until - now) : STOP_FOR_MS);
    }
    return true;
}

void resolver_stop(struct resolver *resolver)
{
    if (resolver == NULL)
        return;
    if (resolver->thread != NULL) {
        os_mutex_lock(&resolver->lock);
        resolver->stopping = true;
        os_cond_wake_all(&resolver->changed);
        bool ended = await_end(resolver);
        os_mutex_unlock(&resolver->lock);
        if (!ended)
            return; /* what the thread still holds is left to it: the process is about to end */
        os_thread_join(resolver->thread);
    }
    foreseen_close(&resolver->foreseen);
    free(resolver->spare);
    free(resolver->names);
    free(resolver);
}
