#include "relay/queue/gauges.h"

#include <inttypes.h>

#include "base/log.h"
#include "os/limits.h"
#include "os/os.h"
#include "relay/relay.h"

/* Counting thousands of descriptors is not free everywhere, and limits hardly change. */
#define FEW_DESCRIPTORS     2000
#define MANY_DESCRIPTORS_MS 10000
#define LIMITS_MS           60000

/* ---- one gauge ---- */

static bool is_at_least(uint64_t used, uint64_t limit, unsigned percent)
{
    if (used >= limit)
        return true;
    if (limit > UINT64_MAX / 100) /* a hundredth is exact enough */
        return used / 100 >= limit / 100 / 100 * percent;
    return used * 100 >= limit * percent;
}

enum gauge_news gauge_update(struct gauge *gauge, uint64_t used, uint64_t limit,
                             uint64_t now_ms)
{
    bool limited = limit != 0 && limit != UINT64_MAX;
    if (limited && is_at_least(used, limit, GAUGE_HIGH_PERCENT)) {
        if (now_ms < gauge->next_ms)
            return GAUGE_NO_NEWS;
        gauge->warned = true;
        gauge->next_ms = now_ms + GAUGE_QUIET_MS;
        return GAUGE_HIGH;
    }
    if (!gauge->warned || (limited && is_at_least(used, limit, GAUGE_LOW_PERCENT)))
        return GAUGE_NO_NEWS;
    gauge->warned = false;
    return GAUGE_BACK;
}

/* ---- what is said ---- */

static const struct {
    const char *name;
    bool bytes;
    const char *then; /* what comes of it, and what helps */
} words[GAUGE_KINDS] = {
    [GAUGE_DESCRIPTORS] = {"descriptors", false,
                           "without any no client can be taken; raise the limit of open files "
                           "(ulimit -n, LimitNOFILE) or lower max_sessions"},
    [GAUGE_SESSIONS] = {"sessions", false,
                        "further clients will be refused; max_sessions is the limit"},
    [GAUGE_MEMORY] = {"memory", true,
                      "the system may end this process; give it more, or lower max_sessions or "
                      "buffer_size"},
};

static const char *amount(uint64_t value, bool bytes, char text[STR_HUMAN_MAX])
{
    if (bytes)
        return str_human_size(value, text);
    str_format(text, STR_HUMAN_MAX, "%" PRIu64, value);
    return text;
}

static unsigned percent_of(uint64_t used, uint64_t limit)
{
    return limit == 0 ? 0 : (unsigned)((double)used * 100 / (double)limit);
}

static void say(struct gauge *gauge, enum gauge_kind kind, const struct gauge_use *use,
                const char *where, uint64_t now_ms)
{
    char used[STR_HUMAN_MAX], limit[STR_HUMAN_MAX];
    enum gauge_news news = gauge_update(gauge, use->used, use->limit, now_ms);
    if (news == GAUGE_NO_NEWS)
        return;
    amount(use->used, words[kind].bytes, used);
    amount(use->limit, words[kind].bytes, limit);
    if (news == GAUGE_BACK)
        log_notice("%s%s: back to %s of %s (%u %%)", where, words[kind].name, used, limit,
                   percent_of(use->used, use->limit));
    else
        log_warning("%s%s: %s of %s in use (%u %%); %s", where, words[kind].name, used, limit,
                    percent_of(use->used, use->limit), words[kind].then);
}

static void note_backlog(struct gauges *gauges, const struct gauge_readings *readings,
                         uint64_t now_ms)
{
    if (!gauges->begun || readings->backlog_drops < gauges->base_drops ||
        readings->backlog_overflows < gauges->base_overflows) {
        gauges->base_drops = readings->backlog_drops;
        gauges->base_overflows = readings->backlog_overflows;
        gauges->told_overflows = 0;
    }
    uint64_t drops = readings->backlog_drops - gauges->base_drops;
    uint64_t overflows = readings->backlog_overflows - gauges->base_overflows;
    uint64_t before = atomic_load(&gauges->drops);
    atomic_store(&gauges->drops_per_s, drops > before ? drops - before : 0);
    atomic_store(&gauges->drops, drops);
    atomic_store(&gauges->overflows, overflows);
    atomic_store(&gauges->backlog_known, true);
    if (overflows <= gauges->told_overflows || now_ms < gauges->backlog_next_ms)
        return;
    log_warning(
        "backlog: %" PRIu64 " connects to this machine were dropped because a backlog was "
        "full; if its clients are this relay's, raise net.core.somaxconn, which is %" PRIu32
        ", and 'backlog' if it is set, or give it more processors",
        overflows - gauges->told_overflows, readings->backlog_limit);
    gauges->told_overflows = overflows;
    gauges->backlog_next_ms = now_ms + GAUGE_QUIET_MS;
}

/* How full the table is says nothing, since what is not needed stays until its place is. */
static void note_clients(struct gauges *gauges, const struct gauge_readings *readings,
                         uint64_t now_ms)
{
    uint64_t lost = readings->clients_lost;
    if (lost <= gauges->told_lost || now_ms < gauges->clients_next_ms)
        return;
    log_warning("client table: %" PRIu64
                " clients were forgotten although limits still counted for them, or not "
                "remembered at all; raise 'client_table' in [relay]",
                lost - gauges->told_lost);
    gauges->told_lost = lost;
    gauges->clients_next_ms = now_ms + GAUGE_QUIET_MS;
}

void gauges_note(struct gauges *gauges, const struct gauge_readings *readings, uint64_t now_ms)
{
    for (int kind = 0; kind < GAUGE_KINDS; kind++)
        say(&gauges->each[kind], (enum gauge_kind)kind, &readings->each[kind], "", now_ms);
    if (readings->backlog_known)
        note_backlog(gauges, readings, now_ms);
    note_clients(gauges, readings, now_ms);
    gauges->begun = true;
}

/* ---- reading ---- */

static void read_system(struct gauges *gauges, struct gauge_readings *out, uint64_t now_ms)
{
    if (now_ms >= gauges->limits_ms) {
        gauges->descriptors.limit = os_descriptor_limit();
        gauges->memory.limit = os_memory_limit();
        gauges->backlog_limit = os_backlog_limit();
        gauges->limits_ms = now_ms + LIMITS_MS;
    }
    if (now_ms >= gauges->descriptors_ms) {
        gauges->descriptors.used = os_descriptor_count();
        if (gauges->descriptors.used > FEW_DESCRIPTORS)
            gauges->descriptors_ms = now_ms + MANY_DESCRIPTORS_MS;
    }
    gauges->memory.used = os_resident_bytes();
    out->each[GAUGE_DESCRIPTORS] = gauges->descriptors;
    out->each[GAUGE_MEMORY] = gauges->memory;
    out->backlog_known = os_backlog_drops(&out->backlog_drops, &out->backlog_overflows);
    out->backlog_limit = gauges->backlog_limit;
}

static struct gauge_use quota_use(const struct quota *quota)
{
    return (struct gauge_use){.used = atomic_load(&quota->used), .limit = quota->limit};
}

void gauges_update(struct relay *relay, uint64_t now_ms)
{
    struct gauge_readings readings = {.each[GAUGE_SESSIONS] = quota_use(&relay->quota)};
    struct clients_info clients;
    read_system(&relay->gauges, &readings, now_ms);
    clients_get_info(relay->guard.clients, &clients);
    readings.clients_lost = clients.evicted_total + clients.unremembered_total;
    gauges_note(&relay->gauges, &readings, now_ms);
    for (size_t i = 0; i < relay->route_count; i++) {
        struct relay_route *route = relay->routes[i];
        char where[CONF_NAME_MAX + 16];
        struct gauge_use use = quota_use(&route->quota);
        str_format(where, sizeof where, "route '%s': ", route->conf->name);
        say(&route->sessions_gauge, GAUGE_SESSIONS, &use, where, now_ms);
    }
}

void gauges_get_backlog(const struct gauges *gauges, struct gauge_backlog *out)
{
    out->known = atomic_load(&gauges->backlog_known);
    out->drops = atomic_load(&gauges->drops);
    out->overflows = atomic_load(&gauges->overflows);
    out->drops_per_s = atomic_load(&gauges->drops_per_s);
}
