#include "fake_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/commands.h"
#include "os/listening.h"
#include "os/os.h"

static const char config[] = "[relay]\n"
                             "workers = 2\n"
                             "max_sessions = 5000\n"
                             "[console]\n"
                             "name = fake\n"
                             "[route lobby]\n"
                             "listen = *:7777\n"
                             "upstream = 10.0.0.5:7000\n"
                             "upstream = game.example:7000\n"
                             "[route world]\n"
                             "listen = 10.0.0.1:7778\n"
                             "listen = [fd00::1]:7778\n"
                             "upstream = [fd00::2]:7100\n"
                             "max_sessions = 100\n"
                             "idle_timeout = off\n";

static struct addr make_addr(const char *ip, uint16_t port)
{
    struct addr addr;
    assert_int_equal(addr_parse_ip(ip, &addr), ERR_OK);
    addr.port = port;
    return addr;
}

static void fill_totals(struct server_totals *totals, uint64_t scale)
{
    totals->sessions_open = (uint32_t)scale;
    totals->sessions_peak = (uint32_t)(4 * scale);
    uint64_t *counters = totals->sums.counters;
    counters[STAT_SESSIONS] = 100 * scale;
    counters[STAT_CONNECTS] = 110 * scale;
    counters[STAT_CONNECT_FAILURES] = 10 * scale;
    counters[STAT_RETRIES] = 7 * scale;
    counters[STAT_BYTES_UP] = 123456 * scale;
    counters[STAT_BYTES_DOWN] = 98765432 * scale;
    counters[STAT_WRITES_UP] = 1000 * scale;
    counters[STAT_WRITES_DOWN] = 20000 * scale;
    counters[STAT_ACCEPT_FAILURES] = scale;
    uint64_t *reasons = totals->sums.reasons;
    reasons[REASON_CLIENT_FIN] = 80 * scale;
    reasons[REASON_UPSTREAM_RESET] = 10 * scale;
    reasons[REASON_CONNECT_REFUSED] = 2 * scale;
    reasons[REASON_IDLE_TIMEOUT] = 7 * scale;
    reasons[REASON_LIMIT_ROUTE] = 5 * scale;
    reasons[REASON_NO_UPSTREAM] = scale;
    totals->rate_1s = (struct stat_rates){scale, 100 * scale, 2048 * scale, 3 * scale, 4};
    totals->rate_10s = (struct stat_rates){2 * scale, 200, 4096 * scale, 5, 6 * scale};
    totals->rate_60s = (struct stat_rates){3 * scale, 300, 8192 * scale, 7, 8 * scale};
    totals->connect_us =
        (struct histogram_summary){100 * scale, 850, 800, 1200, 9900, 45000, 51234};
    totals->length_ms =
        (struct histogram_summary){99 * scale, 61000, 30000, 180000, 3600000, 0, 100000000};
}

struct route_server_info *fake_server_add_addr(struct server *server, size_t route,
                                               size_t upstream, const char *ip)
{
    struct server_upstream_info *info = &server->upstreams[route][upstream];
    struct route_upstream_info *state = &info->state;
    assert_true(state->server_count < FAKE_SERVERS_MAX);
    struct route_server_info *added = &state->servers[state->server_count];
    *added = (struct route_server_info){
        .addr = make_addr(ip, info->conf->port),
        .server = state->server_count++,
        .usable = true,
        .state = ROUTE_UP,
        .word = "UP",
        .sessions = 1,
        .since_ms = FAKE_NOW_MS - 192000,
        .health = {.checked = true,
                   .code = HEALTH_L4OK,
                   .duration_us = 850,
                   .last_ms = FAKE_NOW_MS - 500,
                   .checks_total = 120,
                   .failures_total = 3,
                   .downs_total = 1},
    };
    state->state = ROUTE_UP;
    state->usable = true;
    str_format(state->word, sizeof state->word, "UP");
    info->resolve_why[0] = '\0';
    info->resolve_failures_total = 0;
    info->resolved_ms = info->is_name ? FAKE_NOW_MS - 5000 : 0;
    return added;
}

/* With sums; a name has never resolved, an address is up. */
static void fill_upstream(struct server *server, size_t r, size_t u)
{
    struct server_upstream_info *info = &server->upstreams[r][u];
    struct addr addr;
    info->conf = &server->conf->routes[r].upstreams[u];
    info->state.servers = server->servers[r][u];
    info->is_name = addr_parse_ip(info->conf->host, &addr) != ERR_OK;
    info->source_count = 1;
    info->state.weight = info->conf->weight;
    info->state.weight_percent = 100;
    info->state.sessions = (uint32_t)(r + u + 1);
    info->state.sessions_peak = (uint32_t)(4 * (r + u + 1));
    info->state.since_ms = FAKE_NOW_MS - 60000;
    info->state.state = ROUTE_UNRESOLVED;
    str_format(info->state.word, sizeof info->state.word, "DOWN (resolution)");
    str_format(info->resolve_why, sizeof info->resolve_why, "no such host");
    info->resolve_failures_total = 2;
    fill_totals(&info->totals, r + u + 1);
    server->sources[r][u][0] =
        (struct server_source_use){.used = info->state.sessions, .limit = 28232};
    if (!info->is_name)
        fake_server_add_addr(server, r, u, info->conf->host);
}

struct server *fake_server_open_with(const char *text)
{
    struct server *server = calloc(1, sizeof *server);
    assert_non_null(server);
    struct str messages;
    str_init(&messages);
    if (conf_load_text("fake.ini", text, strlen(text), &server->conf, &messages) != ERR_OK)
        fail_msg("%s", messages.data);
    str_free(&messages);
    server->sessions = calloc(FAKE_SESSIONS_MAX, sizeof *server->sessions);
    assert_non_null(server->sessions);
    server->killed_route = SIZE_MAX;

    server->info = (struct server_info){
        .state = SERVER_RUNNING,
        .uptime_ms = 11520000,
        .workers = 2,
        .sessions_open = 3,
        .sessions_peak = 12,
        .sessions_max = 5000,
        .descriptors_used = 41,
        .descriptors_limit = 1048576,
        .resident_bytes = 12900000,
        .cpu_us = 1234567,
        .buffers_used = 2,
        .buffer_bytes = 98304,
        .port = {.submits = {108, 110, 5000, 21000, 3},
                 .completions = {100, 110, 4990, 20999, 3},
                 .waits_total = 9000,
                 .wakeups_total = 7000,
                 .reads_total = 6000,
                 .writes_total = 21001,
                 .stale_events_total = 1},
    };
    fill_totals(&server->totals, 3);
    assert_true(server->conf->route_count <= FAKE_ROUTES_MAX);
    for (size_t r = 0; r < server->conf->route_count; r++) {
        assert_true(server->conf->routes[r].upstream_count <= FAKE_UPSTREAMS_MAX);
        fill_totals(&server->route_totals[r], r + 1);
        for (size_t u = 0; u < server->conf->routes[r].upstream_count; u++)
            fill_upstream(server, r, u);
    }
    return server;
}

struct server *fake_server_open(void)
{
    struct server *server = fake_server_open_with(config);
    server->upstreams[1][0].state.servers[0].health = (struct health_info){false};
    return server;
}

void fake_server_close(struct server *server)
{
    conf_free(server->conf);
    free(server->sessions);
    free(server);
}

struct server_session_info *fake_server_add(struct server *server, uint64_t id, size_t route)
{
    assert_true(server->session_count < FAKE_SESSIONS_MAX);
    struct server_session_info *info = &server->sessions[server->session_count++];
    *info = (struct server_session_info){
        .id = id,
        .route = route,
        .phase = PHASE_DATA,
        .client = make_addr("192.168.1.20", (uint16_t)(50000 + id % 10000)),
        .client_local = make_addr("10.0.0.1", 7777),
        .upstream_local = make_addr("10.0.0.1", 41232),
        .upstream_addr = make_addr("10.0.0.5", 7000),
        .age_ms = 192000,
        .idle_ms = 1200,
        .connect_us = 850,
        .tries = 1,
        .up = {.bytes = 1000, .writes = 10, .bytes_per_s = 50},
        .down = {.bytes = 250000, .writes = 90, .bytes_per_s = 4000},
    };
    return info;
}

/* ---- relay/server.h ---- */

enum err server_copy_sockets(struct server *server, struct server_socket **out, size_t *count)
{
    if (server->fail != ERR_OK)
        return server->fail;
    struct server_socket *sockets = calloc(server->socket_count + 1, sizeof *sockets);
    if (sockets == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < server->socket_count; i++) {
        sockets[i] = server->sockets[i];
        sockets[i].sock = SOCK_NONE;
        enum err err = listening_copy(server->sockets[i].sock, &sockets[i].sock);
        if (err != ERR_OK) {
            server_free_sockets(sockets, i);
            return err;
        }
    }
    *out = sockets;
    *count = server->socket_count;
    return ERR_OK;
}

void server_free_sockets(struct server_socket *sockets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (sockets[i].sock != SOCK_NONE)
            sock_close(sockets[i].sock, SOCK_CLOSE_NORMAL);
    free(sockets);
}

void server_stop(struct server *server, bool now)
{
    server->stops++;
    server->stopped_now = now;
}

void server_stop_over(struct server *server, uint64_t over_ms)
{
    server->stops++;
    server->stopped_now = false;
    server->stopped_over_ms = over_ms;
}

bool server_wait_stopped(struct server *server, uint32_t timeout_ms)
{
    (void)timeout_ms;
    return server->stops > 0;
}

void server_free(struct server *server)
{
    (void)server; /* the test closes it */
}

uint64_t server_latest_id(const struct server *server)
{
    return server->latest_id;
}

enum err server_try_listens(struct server *server, const struct conf *conf, struct str *why)
{
    (void)conf;
    if (server->reload_fails != ERR_OK)
        str_addf(why, "route 'lobby': listen *:7777: %s\n", err_text(server->reload_fails));
    return server->reload_fails;
}

enum err server_reload(struct server *server, struct conf *conf, struct str *why)
{
    if (server->reload_fails != ERR_OK) {
        str_addf(why, "route 'lobby': listen *:7777: %s\n", err_text(server->reload_fails));
        return server->reload_fails;
    }
    assert_int_equal(server->holds, 0);
    server->reloads++;
    if (server->reload_says != NULL)
        str_add(why, server->reload_says);
    for (size_t r = 0; r < server->conf->route_count; r++)
        str_format(server->conf->routes[r].name, CONF_NAME_MAX, "gone"); /* for all to see */
    conf_free(server->conf);
    server->conf = conf;
    for (size_t r = 0; r < conf->route_count; r++)
        for (size_t u = 0; u < conf->routes[r].upstream_count; u++)
            server->upstreams[r][u].conf = &conf->routes[r].upstreams[u];
    return ERR_OK;
}

void server_hold(struct server *server)
{
    server->holds++;
}

void server_release(struct server *server)
{
    assert_true(server->holds > 0);
    server->holds--;
}

const struct conf *server_conf(const struct server *server)
{
    return server->conf;
}

void server_get_info(struct server *server, struct server_info *out)
{
    *out = server->info;
}

void server_get_totals(struct server *server, struct server_totals *out)
{
    *out = server->totals;
}

static void fill_route(struct server *server, size_t r, struct server_route_info *out)
{
    const struct conf_route *conf = &server->conf->routes[r];
    *out = (struct server_route_info){.conf = conf,
                                      .totals = server->route_totals[r],
                                      .held = server->held[r],
                                      .held_left = server->held[r] > 0,
                                      .held_max = conf->queue_max,
                                      .paused = server->paused[r],
                                      .frozen = server->frozen[r],
                                      .paused_ms = server->paused[r] ? 130000 : 0,
                                      .ramps = server->ramps[r],
                                      .drain = server->drains[r],
                                      .held_peak = 2 * server->held[r],
                                      .held_total = 10 * server->held[r]};
    str_format(out->paused_by, sizeof out->paused_by, "%s", server->paused_by[r]);
    out->listener_count = conf->listen_count;
    out->listeners = calloc(conf->listen_count, sizeof *out->listeners);
    out->upstream_count = conf->upstream_count;
    out->upstreams = calloc(conf->upstream_count, sizeof *out->upstreams);
    assert_non_null(out->listeners);
    assert_non_null(out->upstreams);
    for (size_t i = 0; i < conf->listen_count; i++) {
        out->listeners[i].addr = conf->listens[i].addr;
        out->listeners[i].port_count = conf->listens[i].port_count;
        out->listeners[i].dual_stack = conf->listens[i].dual_stack;
        out->listeners[i].starved = server->starved[r];
    }
    for (size_t u = 0; u < conf->upstream_count; u++) {
        out->upstreams[u] = server->upstreams[r][u];
        out->upstreams[u].sources = malloc(sizeof server->sources[r][u]);
        assert_non_null(out->upstreams[u].sources);
        memcpy(out->upstreams[u].sources, server->sources[r][u], sizeof server->sources[r][u]);
        out->upstreams[u].state.servers = malloc(sizeof server->servers[r][u]);
        assert_non_null(out->upstreams[u].state.servers);
        memcpy(out->upstreams[u].state.servers, server->servers[r][u],
               sizeof server->servers[r][u]);
    }
}

enum err server_get_routes(struct server *server, struct server_route_info **out, size_t *count)
{
    if (server->fail != ERR_OK)
        return server->fail;
    *count = server->conf->route_count;
    *out = calloc(*count, sizeof **out);
    assert_non_null(*out);
    for (size_t r = 0; r < *count; r++)
        fill_route(server, r, &(*out)[r]);
    return ERR_OK;
}

void server_free_routes(struct server_route_info *routes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t u = 0; u < routes[i].upstream_count; u++) {
            free(routes[i].upstreams[u].sources);
            free(routes[i].upstreams[u].state.servers);
        }
        free(routes[i].listeners);
        free(routes[i].upstreams);
    }
    free(routes);
}

enum err server_get_removed(struct server *server, struct server_removed_info **out,
                            size_t *count)
{
    *out = malloc(sizeof server->removed);
    assert_non_null(*out);
    memcpy(*out, server->removed, sizeof server->removed);
    *count = server->removed_count;
    return ERR_OK;
}

enum err server_get_sessions(struct server *server, size_t route,
                             struct server_session_info **out, size_t *count)
{
    if (server->fail != ERR_OK)
        return server->fail;
    struct server_session_info *copy = calloc(server->session_count + 1, sizeof *copy);
    assert_non_null(copy);
    size_t copied = 0;
    for (size_t i = 0; i < server->session_count; i++) {
        if (route == SIZE_MAX || server->sessions[i].route == route)
            copy[copied++] = server->sessions[i];
    }
    *out = copy;
    *count = copied;
    return ERR_OK;
}

enum err server_get_session(struct server *server, uint64_t id, struct server_session_info *out)
{
    for (size_t i = 0; i < server->session_count; i++) {
        if (server->sessions[i].id == id) {
            *out = server->sessions[i];
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

enum err server_kill(struct server *server, uint64_t id)
{
    struct server_session_info info;
    enum err err = server_get_session(server, id, &info);
    if (err == ERR_OK)
        server->killed = id;
    return err;
}

enum err server_kill_matching(struct server *server, const struct server_filter *filter,
                              size_t *killed)
{
    if (server->fail != ERR_OK)
        return server->fail;
    server->killed_route = filter->route;
    server->killed_upstream = filter->upstream;
    if (filter->net != NULL)
        server->killed_net = *filter->net;
    server->killed_older_ms = filter->older_ms;
    *killed = 0;
    for (size_t i = 0; i < server->session_count; i++)
        *killed += filter->route == SIZE_MAX || server->sessions[i].route == filter->route;
    return ERR_OK;
}

bool server_pause(struct server *server, size_t route, bool frozen, const char *by)
{
    bool changed = !server->paused[route] || (frozen && !server->frozen[route]);
    if (!server->paused[route])
        str_format(server->paused_by[route], SERVER_BY_MAX, "%s", by);
    server->paused[route] = true;
    server->frozen[route] |= frozen;
    return changed;
}

void server_resume(struct server *server, size_t route, const char *by,
                   struct server_resumed *out)
{
    (void)by;
    *out = (struct server_resumed){.was_paused = server->paused[route],
                                   .was_drained = server->drains[route].on,
                                   .paused_ms = 130000,
                                   .waiting = server->held[route]};
    server->paused[route] = false;
    server->frozen[route] = false;
    server->drains[route].on = false;
}

static enum err begin_drain(struct server *server, struct server_drain_info *drain,
                            uint32_t open, const struct server_drain_plan *plan,
                            struct server_drain_info *out)
{
    bool at_once = plan->kill && plan->over_ms == 0;
    bool again = drain->on;
    *drain = (struct server_drain_info){.on = true,
                                        .over = plan->over_ms > 0 || at_once,
                                        .left = at_once ? 0 : open,
                                        .first_left = open,
                                        .ended_total = at_once ? open : 0,
                                        .left_ms = plan->over_ms};
    server->plan = *plan;
    *out = *drain;
    out->again = again;
    return server->fail;
}

enum err server_drain_route(struct server *server, size_t route,
                            const struct server_drain_plan *plan, const char *by,
                            struct server_drain_info *out)
{
    (void)by;
    return begin_drain(server, &server->drains[route],
                       server->route_totals[route].sessions_open, plan, out);
}

static struct route_upstream_info *change(struct server *server, size_t route, size_t upstream)
{
    assert_true(route < server->conf->route_count);
    assert_true(upstream < server->conf->routes[route].upstream_count);
    server->changes++;
    return &server->upstreams[route][upstream].state;
}

/* The state follows the operator, else what its servers say, as far as a test needs it. */
static void update(struct route_upstream_info *state)
{
    static const char *const words[] = {"UP", "DRAIN", "DISABLED"};
    static const enum route_state states[] = {ROUTE_UP, ROUTE_DRAINING, ROUTE_MAINT};
    size_t index = state->admin == ROUTE_READY && state->weight == 0 ? 1 : (size_t)state->admin;
    state->state = states[index];
    str_format(state->word, sizeof state->word, "%s", words[index]);
}

bool server_set_admin(struct server *server, size_t route, size_t upstream,
                      enum route_admin admin)
{
    struct route_upstream_info *state = change(server, route, upstream);
    bool changed = state->admin != admin;
    if (admin == ROUTE_READY)
        server->upstreams[route][upstream].drain.on = false;
    state->admin = admin;
    update(state);
    return changed;
}

bool server_set_weight(struct server *server, size_t route, size_t upstream, uint32_t weight)
{
    struct route_upstream_info *state = change(server, route, upstream);
    bool changed = state->weight != weight;
    assert_true(weight <= 256);
    state->weight = weight;
    update(state);
    return changed;
}

bool server_set_max_sessions(struct server *server, size_t route, size_t upstream,
                             uint32_t max_sessions)
{
    struct route_upstream_info *state = change(server, route, upstream);
    bool changed = state->sessions_max != max_sessions;
    state->sessions_max = max_sessions;
    return changed;
}

enum err server_drain_upstream(struct server *server, size_t route, size_t upstream,
                               const struct server_drain_plan *plan, const char *by,
                               struct server_drain_info *out)
{
    (void)by;
    struct server_upstream_info *info = &server->upstreams[route][upstream];
    bool changed = server_set_admin(server, route, upstream, ROUTE_DRAIN);
    enum err err = begin_drain(server, &info->drain, info->state.sessions, plan, out);
    out->again = !changed;
    return err;
}

enum err server_resolve(struct server *server, size_t route, size_t upstream)
{
    if (!server->upstreams[route][upstream].is_name)
        return ERR_INVALID;
    server->resolves++;
    return server->fail;
}

/* ---- a console over it ---- */

static void on_shutdown(void *ctx, bool now, uint64_t over_ms)
{
    if (over_ms > 0)
        server_stop_over(ctx, over_ms);
    else
        server_stop(ctx, now);
}

static enum err on_reopen(void *ctx)
{
    struct server *server = ctx;
    return server->fail;
}

struct console fake_server_console(struct server *server)
{
    static struct os_mutex reload_lock;
    return (struct console){
        .commands = &commands,
        .server = server,
        .version = "9.9.9",
        .backend = "fake",
        .config_path = "/etc/pairport/pairport.ini",
        .log_path = "",
        .ctx = server,
        .shutdown = on_shutdown,
        .reopen = on_reopen,
        .reload_lock = &reload_lock,
    };
}
