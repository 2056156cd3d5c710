#include "relay/upstream/probe.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "relay/core/schedule.h"
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/proxyproto/proxyproto.h"
#include "relay/relay.h"

#define SAID_MAX (PROXYPROTO_OUT_MAX + CONF_BYTES_MAX)

struct probe {
    struct op op; /* the step that runs; its owner is the probe */
    struct os_mutex lock;
    struct relay_route *route; /* not owned */
    struct route_check check;
    sock_t sock;
    struct timer deadline;
    _Atomic unsigned refs; /* one for the check, one for a timer that fires */
    uint64_t began_us;
    bool asks;            /* it says or expects something; else it only connects, see probe.h */
    uint64_t standstills; /* of the relay, before it began */
    bool expired;         /* the time is over, or the relay stops: what runs was cancelled */
    bool over;            /* the socket is closed */
    uint32_t heard;       /* bytes of the answer so far */
    unsigned char bytes[SAID_MAX]; /* what is said, then what is heard */
    struct list in_running;
};

static const struct conf_health *health_of(const struct probe *probe)
{
    return &probe->route->conf->health;
}

static struct probe *probe_of(struct timer *timer)
{
    return (struct probe *)((char *)timer - offsetof(struct probe, deadline));
}

void probes_init(struct probes *probes)
{
    os_mutex_init(&probes->lock, LOCK_PROBES);
    list_init(&probes->running);
}

bool probes_have_room(const struct probes *probes)
{
    return atomic_load_explicit(&probes->count, memory_order_relaxed) < PROBES_MAX;
}

bool probes_use(struct probes *probes, const struct relay_route *route)
{
    bool found = false;
    os_mutex_lock(&probes->lock);
    for (struct list *at = probes->running.next; at != &probes->running; at = at->next)
        found = found || list_owner(at, struct probe, in_running)->route == route;
    os_mutex_unlock(&probes->lock);
    return found;
}

/* ---- memory ---- */

/* Needs no lock: timers call it with theirs, which others take with the probe's held. */
static void ref(struct probe *probe)
{
    atomic_fetch_add_explicit(&probe->refs, 1, memory_order_relaxed);
}

static void unref(struct probe *probe) /* without the lock */
{
    if (atomic_fetch_sub_explicit(&probe->refs, 1, memory_order_acq_rel) == 1)
        free(probe);
}

/* ---- the result ---- */

static void report(struct worker *worker, struct relay_route *route,
                   const struct route_check *check, struct health_result result)
{
    os_mutex_lock(&route->upstreams.lock);
    route_check_done(route->upstreams.route, check, &result, worker->now_ms);
    os_mutex_unlock(&route->upstreams.lock);
    schedule_route(route);
}

/* A server may see in its log how it ends. One that only connects must not be acknowledged. */
static enum sock_close_how how_to_close(const struct probe *probe)
{
    bool resets = !probe->asks || health_of(probe)->end == CONF_CHECK_RESET;
    return resets ? SOCK_CLOSE_ABORT : SOCK_CLOSE_NORMAL;
}

/* Closes the socket; nothing is in flight. With the lock held, which is released. */
static void finish(struct probe *probe, struct worker *worker, enum health_code code,
                   enum err err)
{
    struct relay_route *route = probe->route;
    struct relay *relay = route->relay;
    struct route_check check = probe->check;
    struct health_result result = {
        .code = code,
        .err = err,
        .duration_us = (uint32_t)(os_mono_us() - probe->began_us),
    };
    /* What it says may be of the relay's own standstill. */
    if (probe->standstills != atomic_load(&relay->standstill.total))
        result = (struct health_result){.code = HEALTH_UNKNOWN};
    bool cut_short = probe->expired && atomic_load(&relay->lifecycle.stopping);
    port_close_socket(relay->port, probe->sock, how_to_close(probe));
    probe->sock = SOCK_NONE;
    probe->over = true;
    os_mutex_unlock(&probe->lock);

    /* First out of the list: what is there may be armed by a stop. */
    os_mutex_lock(&relay->probes.lock);
    list_remove(&probe->in_running);
    os_mutex_unlock(&relay->probes.lock);
    atomic_fetch_sub_explicit(&relay->probes.count, 1, memory_order_relaxed);
    timers_disarm(&relay->timers, &probe->deadline);
    if (!cut_short)
        report(worker, route, &check, result);
    unref(probe);
    lifecycle_unref(relay);
}

/* ---- the steps; each with the lock held ---- */

static void submit(struct probe *probe, enum op_kind kind, size_t at, size_t len)
{
    probe->op.kind = kind;
    probe->op.buf = probe->bytes + at;
    probe->op.len = (uint32_t)len;
    port_submit(probe->route->relay->port, &probe->op);
}

static size_t put_header(struct probe *probe)
{
    struct addr ours, theirs;
    switch (probe->route->conf->proxy_out) {
    case CONF_PROXY_OUT_OFF: return 0;
    case CONF_PROXY_OUT_V2: return proxyproto_write_local(true, probe->bytes);
    case CONF_PROXY_OUT_V1: break;
    }
    /* Some receivers refuse UNKNOWN; the specification has a check tell its own connection. */
    if (sock_local_addr(probe->sock, &ours) != ERR_OK ||
        sock_peer_addr(probe->sock, &theirs) != ERR_OK)
        return proxyproto_write_local(false, probe->bytes);
    return proxyproto_write_v1(&ours, &theirs, probe->bytes);
}

/* What there is to say; 0: nothing. */
static size_t compose(struct probe *probe)
{
    const struct conf_bytes *send = &health_of(probe)->send;
    size_t len = put_header(probe);
    memcpy(probe->bytes + len, send->bytes, send->len);
    return len + send->len;
}

/* Hears more, or tells that all was heard. */
static bool listen(struct probe *probe)
{
    size_t wanted = health_of(probe)->expect.len;
    if (probe->heard >= wanted)
        return false;
    submit(probe, OP_READ, probe->heard, wanted - probe->heard);
    return true;
}

static enum health_code passed(const struct probe *probe)
{
    return health_of(probe)->expect.len > 0 ? HEALTH_L7OK : HEALTH_L4OK;
}

static bool answer_fits(const struct probe *probe)
{
    return memcmp(probe->bytes, health_of(probe)->expect.bytes, probe->heard) == 0;
}

/* Why a connect failed; the machine itself may be the cause. */
static enum health_code connect_code(enum err err)
{
    switch (err) {
    case ERR_NO_PORTS:
    case ERR_NO_DESCRIPTORS:
    case ERR_NO_ADDRESS:
    case ERR_NOMEM: return HEALTH_SOCKERR;
    case ERR_TIMEDOUT: return HEALTH_L4TOUT;
    default: return HEALTH_L4CON;
    }
}

static void on_connect(struct probe *probe, struct worker *worker)
{
    enum err err = probe->op.err;
    if (err != ERR_OK) {
        finish(probe, worker, probe->expired ? HEALTH_L4TOUT : connect_code(err),
               probe->expired ? ERR_TIMEDOUT : err);
        return;
    }
    size_t len = probe->asks ? compose(probe) : 0;
    if (len > 0)
        submit(probe, OP_WRITE, 0, len);
    else if (!probe->asks || !listen(probe)) {
        finish(probe, worker, passed(probe), ERR_OK);
        return;
    }
    os_mutex_unlock(&probe->lock);
}

static void on_said(struct probe *probe, struct worker *worker)
{
    if (probe->op.err != ERR_OK) {
        finish(probe, worker, probe->expired ? HEALTH_L7TOUT : HEALTH_L7RSP, probe->op.err);
        return;
    }
    if (!listen(probe)) {
        finish(probe, worker, passed(probe), ERR_OK);
        return;
    }
    os_mutex_unlock(&probe->lock);
}

static void on_heard(struct probe *probe, struct worker *worker)
{
    const struct op *op = &probe->op;
    if (op->err != ERR_OK || op->bytes == 0) {
        enum err err = op->err == ERR_OK ? ERR_CLOSED : op->err;
        finish(probe, worker, probe->expired ? HEALTH_L7TOUT : HEALTH_L7RSP,
               probe->expired ? ERR_TIMEDOUT : err);
        return;
    }
    probe->heard += op->bytes;
    if (!answer_fits(probe))
        finish(probe, worker, HEALTH_L7RSP, ERR_OK);
    else if (!listen(probe))
        finish(probe, worker, HEALTH_L7OK, ERR_OK);
    else
        os_mutex_unlock(&probe->lock);
}

/* The time was over before the next step could begin. */
static bool is_late(struct probe *probe, struct worker *worker)
{
    if (!probe->expired || probe->op.err != ERR_OK)
        return false;
    bool connected = probe->op.kind != OP_CONNECT;
    finish(probe, worker, connected ? HEALTH_L7TOUT : HEALTH_L4TOUT, ERR_TIMEDOUT);
    return true;
}

void probe_on_done(struct worker *worker, struct op *op)
{
    struct probe *probe = op->owner;
    os_mutex_lock(&probe->lock);
    if (is_late(probe, worker))
        return;
    switch (op->kind) {
    case OP_CONNECT: on_connect(probe, worker); return;
    case OP_WRITE: on_said(probe, worker); return;
    case OP_READ: on_heard(probe, worker); return;
    case OP_ACCEPT:
    case OP_WAKE: break;
    }
    assert(false && "no operation of a probe");
}

/* ---- the end of time ---- */

static void expire(struct probe *probe, struct worker *worker)
{
    os_mutex_lock(&probe->lock);
    if (!probe->over) {
        probe->expired = true;
        port_cancel(worker->relay->port, probe->sock);
        /* Should the step just have ended and another one begin, it is found the next time. */
        timers_arm(&worker->relay->timers, &probe->deadline, worker->now_ms + 100);
    }
    os_mutex_unlock(&probe->lock);
}

static void on_deadline_ref(struct timer *timer)
{
    ref(probe_of(timer));
}

static void on_deadline(struct timer *timer, struct worker *worker)
{
    struct probe *probe = probe_of(timer);
    expire(probe, worker);
    unref(probe);
}

static const struct timer_kind deadline_timer = {.ref = on_deadline_ref, .fire = on_deadline};

void probes_stop(struct worker *worker)
{
    struct probes *probes = &worker->relay->probes;
    os_mutex_lock(&probes->lock);
    for (struct list *at = probes->running.next; at != &probes->running; at = at->next)
        timers_arm(&worker->relay->timers, &list_owner(at, struct probe, in_running)->deadline,
                   0);
    os_mutex_unlock(&probes->lock);
}

/* ---- the beginning ---- */

static enum err open_socket(struct probe *probe)
{
    struct relay_route *route = probe->route;
    struct addr source;
    unsigned number;
    enum err err = sock_open((enum addr_family)probe->check.addr.family, &probe->sock);
    if (err != ERR_OK)
        return err;
    err = port_attach(route->relay->port, probe->sock);
    if (err != ERR_OK) {
        sock_close(probe->sock, SOCK_CLOSE_NORMAL);
        return err;
    }
    if (!probe->asks)
        sock_delay_ack(probe->sock);
    if (upstreams_next_source(route, &probe->check.addr, &source, &number))
        err = sock_bind(probe->sock, &source);
    if (err != ERR_OK)
        port_close_socket(route->relay->port, probe->sock, SOCK_CLOSE_NORMAL);
    return err;
}

static enum err make(struct relay_route *route, const struct route_check *check,
                     struct probe **out)
{
    struct probe *probe = calloc(1, sizeof *probe);
    if (probe == NULL)
        return ERR_NOMEM;
    os_mutex_init(&probe->lock, LOCK_PROBE);
    probe->route = route;
    probe->check = *check;
    probe->asks = health_of(probe)->send.len > 0 || health_of(probe)->expect.len > 0;
    atomic_init(&probe->refs, 1);
    probe->began_us = os_mono_us();
    probe->standstills = atomic_load(&route->relay->standstill.total);
    probe->op.role = OP_ROLE_PROBE;
    probe->op.owner = probe;
    timer_init(&probe->deadline, &deadline_timer);
    list_init(&probe->in_running);
    enum err err = open_socket(probe);
    if (err == ERR_OK)
        *out = probe;
    else
        free(probe);
    return err;
}

/* An address of IPv6 cannot be reached where there is none: no player gets there. Everything else
 * is want of something, and says nothing of the server. */
static struct health_result not_begun(enum err err)
{
    if (err == ERR_NO_FAMILY)
        return (struct health_result){.code = HEALTH_L4CON, .err = err};
    return (struct health_result){.code = HEALTH_SOCKERR};
}

/* A stop either finds the probe in the list, or has begun before that. */
static void begin_time(struct probe *probe, struct worker *worker)
{
    struct relay *relay = worker->relay;
    atomic_fetch_add_explicit(&relay->probes.count, 1, memory_order_relaxed);
    os_mutex_lock(&relay->probes.lock);
    list_push(&relay->probes.running, &probe->in_running);
    bool stopping = atomic_load(&relay->lifecycle.stopping);
    timers_arm(&relay->timers, &probe->deadline,
               stopping ? 0 : worker->now_ms + health_of(probe)->timeout_ms);
    os_mutex_unlock(&relay->probes.lock);
}

void probe_begin(struct worker *worker, struct relay_route *route,
                 const struct route_check *check)
{
    struct relay *relay = worker->relay;
    struct probe *probe;
    enum err err = make(route, check, &probe);
    if (err != ERR_OK) {
        report(worker, route, check, not_begun(err));
        return;
    }
    /* Whose worker ran this while the last part of the relay ended may not begin another one. */
    if (!lifecycle_try_ref(relay)) {
        port_close_socket(relay->port, probe->sock, SOCK_CLOSE_NORMAL);
        unref(probe);
        return;
    }
    os_mutex_lock(&probe->lock);
    begin_time(probe, worker);
    probe->op.kind = OP_CONNECT;
    probe->op.is_check = true;
    probe->op.sock = probe->sock;
    probe->op.addr = check->addr;
    port_submit(relay->port, &probe->op);
    os_mutex_unlock(&probe->lock);
}
