#include "service/start_log.h"

#include <inttypes.h>

#include "base/log.h"
#include "base/str.h"
#include "config/value/listen.h"
#include "os/os.h"
#include "os/sock.h"
#include "port/port.h"
#include "relay/server.h"
#include "relay/server_info.h"
#include "service/listen_ports.h"

/* Descriptors that are neither a listener, one end of a session nor a client in the tarpit. Own are
 * those that are always open: standard streams, log, port, signals, the console's endpoint. In
 * reserve are those that are opened when they are needed: consoles (two each), log and state
 * file, a configuration, what libraries open for a moment, and for a takeover a copy of each
 * listener. */
#define OWN         16
#define RESERVE_MIN 12
#define RESERVE_MAX 48
#define PER_SESSION 2
#define PER_WORKER  2 /* a pipe */

static uint64_t count_listeners(const struct conf *conf)
{
    uint64_t count = 0;
    for (size_t i = 0; i < conf->route_count; i++)
        for (size_t k = 0; k < conf->routes[i].listen_count; k++)
            count += conf->routes[i].listens[k].port_count;
    return count;
}

static uint64_t count_fixed(const struct conf *conf)
{
    bool tarpit = false;
    for (size_t i = 0; i < conf->route_count; i++)
        tarpit = tarpit || conf->routes[i].refuse == CONF_REFUSE_TARPIT;
    return OWN + PER_WORKER * (uint64_t)(conf->workers > 0 ? conf->workers : os_cpu_count()) +
           count_listeners(conf) + (tarpit ? conf->tarpit_max : 0);
}

/* Where little is allowed, clients get most of it all the same. */
static uint64_t choose_reserve(const struct conf *conf, uint64_t limit)
{
    uint64_t part = limit / 8, copies = count_listeners(conf);
    uint64_t reserve = part < RESERVE_MIN   ? RESERVE_MIN
                       : part > RESERVE_MAX ? RESERVE_MAX
                                            : part;
    reserve += copies < limit / 8 ? copies : limit / 8;
    return reserve < limit ? reserve : 0;
}

static void check_descriptors(const struct conf *conf)
{
    uint64_t before = os_descriptor_limit();
    const char *name = "";
    uint64_t limit = os_raise_descriptor_limit(&name);
    if (limit != before)
        log_notice("limit of %s raised from %" PRIu64 " to %" PRIu64, name, before, limit);
    if (limit == UINT64_MAX)
        return;
    uint64_t reserve = choose_reserve(conf, limit);
    sock_set_ceiling(limit - reserve);
    uint64_t fixed = count_fixed(conf) + reserve;
    uint64_t need = fixed + PER_SESSION * (uint64_t)conf->max_sessions;
    if (need <= limit)
        return;
    uint64_t fit = limit > fixed ? (limit - fixed) / PER_SESSION : 0;
    char advice[80] = ", too few for even one session: raise that limit";
    if (fit > 0)
        str_format(advice, sizeof advice, ": raise that limit, or set max_sessions = %" PRIu64,
                   fit);
    log_warning("max_sessions = %" PRIu32 " needs %" PRIu64
                " descriptors, but %s allows %" PRIu64 ", of which %" PRIu64
                " are kept for console, takeover and files%s",
                conf->max_sessions, need, name, limit, reserve, advice);
}

static void warn(const char *where, const char *text)
{
    log_warning("%s: %s", where, text);
}

void start_log_program(const struct conf *conf)
{
    char path[CONF_PATH_MAX];
    log_notice("pairport " PAIRPORT_VERSION " (%s) on %s, pid %" PRIu64, port_backend_name(),
               os_name(), os_process_id());
    if (conf->path[0] != '\0') {
        os_full_path(conf->path, path, sizeof path);
        log_notice("configuration %s", path);
    }
    listen_ports_warn(conf, warn);
    check_descriptors(conf);
}

static void add_listeners(const struct server_route_info *route, struct str *out)
{
    char text[LISTEN_TEXT_MAX];
    for (size_t i = 0; i < route->conf->listen_count; i++)
        str_addf(out, "%s%s", i == 0 ? "" : ", ", listen_text(&route->conf->listens[i], text));
}

static void add_upstreams(const struct server_route_info *route, struct str *out)
{
    for (size_t i = 0; i < route->upstream_count; i++)
        str_addf(out, "%s%s", i == 0 ? "" : ", ", route->upstreams[i].conf->name);
}

void start_log_routes(struct server *server)
{
    struct server_info info;
    server_get_info(server, &info);
    log_notice("%u worker%s, at most %" PRIu32 " sessions", info.workers,
               info.workers == 1 ? "" : "s", info.sessions_max);
    struct server_route_info *routes = NULL;
    size_t count;
    server_hold(server);
    if (server_get_routes(server, &routes, &count) != ERR_OK)
        count = 0; /* they run all the same */
    for (size_t i = 0; i < count; i++) {
        struct str listens, upstreams;
        str_init(&listens);
        str_init(&upstreams);
        add_listeners(&routes[i], &listens);
        add_upstreams(&routes[i], &upstreams);
        log_notice("route '%s': listens on %s, upstream %s", routes[i].conf->name, listens.data,
                   upstreams.data);
        str_free(&listens);
        str_free(&upstreams);
    }
    server_free_routes(routes, count);
    server_release(server);
}
