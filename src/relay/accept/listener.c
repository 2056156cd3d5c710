#include "relay/accept/listener.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "config/value/listen.h"
#include "os/beside.h"
#include "os/holder.h"
#include "relay/accept/listener_socket.h"
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/relay.h"

#define BACK_OFF_FIRST_MS 50
#define BACK_OFF_MAX_MS   1000

#define LINGER_MS 250 /* for those who have begun to connect: a round trip */

#define MANY_ACCEPTS                                                                           \
    64 /* posted by the listeners of one line together, if more than one each */

static struct accept_slot *slot_of(struct op *op)
{
    return (struct accept_slot *)((char *)op - offsetof(struct accept_slot, op));
}

static void submit(struct listener *listener, struct accept_slot *slot)
{
    slot->resting = false;
    slot->op.kind = OP_ACCEPT;
    slot->op.role = OP_ROLE_LISTENER;
    slot->op.sock = listener->sock;
    slot->op.buf = slot->scratch;
    slot->op.len = sizeof slot->scratch;
    listener->in_flight++;
    port_submit(listener->relay->port, &slot->op);
}

static void submit_resting(struct listener *listener, unsigned most)
{
    for (size_t i = 0; i < listener->slot_count && most > 0; i++) {
        if (!listener->slots[i].resting)
            continue;
        submit(listener, &listener->slots[i]);
        most--;
    }
}

static void log_starved(struct listener *listener, enum err err)
{
    char addr[ADDR_TEXT_MAX];
    log_limited(
        &listener->relay->descriptor_log, LOG_ERROR,
        "route '%s': listener %s can't take clients: %s; they wait in the backlog until "
        "it can",
        listener->route->conf->name, addr_format(&listener->addr, addr), err_text(err));
}

/* While it is starved, a listener tries again after a while, less and less often. */
static void arm_retry(struct listener *listener, struct worker *worker)
{
    uint32_t wait = listener->back_off_ms;
    listener->back_off_ms = wait * 2 < BACK_OFF_MAX_MS ? wait * 2 : BACK_OFF_MAX_MS;
    timers_arm(&worker->relay->timers, &listener->retry, worker->now_ms + wait);
}

/* The machine is exhausted: all ACCEPTs come to rest, so that none takes a client that can't
 * be served. */
static void starve(struct listener *listener, struct worker *worker)
{
    if (atomic_exchange(&listener->starved, true))
        return; /* the timer is armed */
    arm_retry(listener, worker);
    if (listener->in_flight > 0)
        port_cancel(listener->relay->port, listener->sock);
}

/* How many clients the machine has descriptors for, up to one for each ACCEPT. A client takes
 * two of them: its own and its upstream's. */
static unsigned clients_that_fit(const struct listener *listener)
{
    sock_t socks[2 * LISTENER_ACCEPTS];
    unsigned count = 0;
    while (count < 2 * LISTENER_ACCEPTS &&
           sock_open((enum addr_family)listener->bound.family, &socks[count]) == ERR_OK)
        count++;
    for (unsigned i = 0; i < count; i++)
        sock_close(socks[i], SOCK_CLOSE_NORMAL);
    return count / 2;
}

/* A starved listener takes what can be served: one client after the other while there is
 * little, as before when there is enough. */
static void recover(struct listener *listener)
{
    unsigned fit = clients_that_fit(listener);
    if (fit >= listener->slot_count) {
        atomic_store(&listener->starved, false);
        submit_resting(listener, LISTENER_ACCEPTS);
    } else if (fit > 0 && listener->in_flight == 0) {
        submit_resting(listener, 1);
    }
}

static void on_retry(struct timer *timer, struct worker *worker)
{
    struct listener *listener =
        (struct listener *)((char *)timer - offsetof(struct listener, retry));
    if (listener->lingers) { /* never changes once it is set */
        listener_stop(listener, worker);
        return;
    }
    os_mutex_lock(&listener->lock);
    if (!listener->stopping && atomic_load(&listener->starved)) {
        recover(listener);
        if (atomic_load(&listener->starved))
            arm_retry(listener, worker);
    }
    os_mutex_unlock(&listener->lock);
}

static const struct timer_kind retry_timer = {.ref = NULL, .fire = on_retry};

/* Closes the socket once no ACCEPT is left. True when this call did it. */
static bool close_if_over(struct listener *listener)
{
    if (!listener->stopping || listener->in_flight > 0 || listener->sock == SOCK_NONE)
        return false;
    listener_socket_close(listener);
    return true;
}

/* An aborted client says nothing of the machine; everything else that is not a success may
 * come again at once, so the listener rests first. */
static bool must_rest(enum err err)
{
    return err != ERR_OK && err != ERR_ABORTED && err != ERR_CANCELLED;
}

/* What the finished ACCEPT tells of the machine; a client that was accepted is served first,
 * because serving it may exhaust the machine, too. */
static enum err take_client(struct listener *listener, struct worker *worker, struct op *op)
{
    if (op->err == ERR_OK && listener->lingers)
        beside_accepted(op->accepted);
    if (op->err == ERR_OK)
        return pair_begin(worker, listener->route, op->accepted, &op->addr,
                          listener->port_offset);
    if (op->err != ERR_CANCELLED)
        stat_add(worker->relay->stat, worker->number, listener->route->scope,
                 STAT_ACCEPT_FAILURES, 1);
    return op->err;
}

void listener_on_done(struct worker *worker, struct op *op)
{
    struct listener *listener = op->owner;
    struct accept_slot *slot = slot_of(op);
    enum err err = take_client(listener, worker, op);
    if (must_rest(err))
        log_starved(listener, err);

    os_mutex_lock(&listener->lock);
    listener->in_flight--;
    if (err == ERR_OK)
        listener->back_off_ms = BACK_OFF_FIRST_MS;
    if (listener->stopping) {
        slot->resting = true;
    } else if (must_rest(err)) {
        slot->resting = true;
        starve(listener, worker);
    } else if (atomic_load_explicit(&listener->starved, memory_order_relaxed)) {
        slot->resting = true;
        if (err != ERR_CANCELLED)
            recover(listener);
    } else {
        submit(listener, slot);
    }
    bool closed = close_if_over(listener);
    os_mutex_unlock(&listener->lock);
    if (closed)
        lifecycle_unref(listener->relay);
}

/* ACCEPTs of each listener of a line with so many ports. */
static unsigned slots_for(unsigned ports)
{
    unsigned slots = LISTENER_ACCEPTS;
    while (slots > 1 && slots * ports > MANY_ACCEPTS)
        slots /= 2;
    return slots;
}

/* Without a socket. NULL: no memory. */
static struct listener *make(struct relay_route *route, const struct conf_listen *conf,
                             uint16_t port_offset)
{
    unsigned slots = slots_for(conf->port_count);
    struct listener *listener = calloc(1, sizeof *listener + slots * sizeof listener->slots[0]);
    if (listener == NULL)
        return NULL;
    os_mutex_init(&listener->lock, LOCK_LISTENER);
    listener->relay = route->relay;
    listener->route = route;
    listener->addr = conf->addr;
    listener->addr.port = (uint16_t)(conf->addr.port + port_offset);
    listener->dual_stack = conf->dual_stack;
    listener->port_offset = port_offset;
    listener->slot_count = slots;
    listener->back_off_ms = BACK_OFF_FIRST_MS;
    timer_init(&listener->retry, &retry_timer);
    for (size_t i = 0; i < slots; i++) {
        listener->slots[i].op.owner = listener;
        listener->slots[i].resting = true;
    }
    return listener;
}

/* Of a range the first port tells. */
static void tell_if_without_ipv6(const struct listener *listener,
                                 const struct conf_listen *conf)
{
    char text[LISTEN_TEXT_MAX];
    if (listener->dual_stack && listener->bound.family == ADDR_IPV4 &&
        listener->port_offset == 0)
        log_notice("route '%s': listen %s: this system has no IPv6, so only IPv4 clients are "
                   "taken (0.0.0.0)",
                   listener->route->conf->name, listen_text(conf, text));
}

static enum err begin(struct listener *listener, const struct conf_listen *conf, enum err err,
                      struct listener **out)
{
    if (err != ERR_OK) {
        free(listener);
        return err;
    }
    tell_if_without_ipv6(listener, conf);
    lifecycle_ref(listener->relay);
    *out = listener;
    return ERR_OK;
}

enum err listener_open(struct listener **out, struct relay_route *route,
                       const struct conf_listen *conf, uint16_t port_offset)
{
    struct listener *listener = make(route, conf, port_offset);
    return listener == NULL ? ERR_NOMEM
                            : begin(listener, conf, listener_socket_open(listener), out);
}

enum err listener_open_again(struct listener **out, struct relay_route *route,
                             const struct conf_listen *conf, uint16_t port_offset)
{
    struct listener *listener = make(route, conf, port_offset);
    if (listener == NULL)
        return ERR_NOMEM;
    listener->again = true;
    return begin(listener, conf, listener_socket_open(listener), out);
}

enum err listener_open_beside(struct listener **out, struct relay_route *route,
                              const struct conf_listen *conf, uint16_t port_offset,
                              const sock_t others[], size_t other_count)
{
    struct listener *listener = make(route, conf, port_offset);
    if (listener == NULL)
        return ERR_NOMEM;
    return begin(listener, conf, listener_socket_bind(listener, others, other_count), out);
}

enum err listener_listen(struct listener *listener)
{
    return beside_listen(listener->sock, listener_backlog(listener));
}

enum err listener_reopen(struct listener *listener)
{
    os_mutex_lock(&listener->lock);
    listener->again = true;
    enum err err = listener_socket_open(listener);
    if (err == ERR_OK) {
        listener->stopping = false;
        atomic_store(&listener->starved, false);
        lifecycle_ref(listener->relay);
    }
    os_mutex_unlock(&listener->lock);
    return err;
}

bool listener_overlaps(const struct listener *listener, const struct conf_listen *conf,
                       uint16_t port_offset)
{
    const struct conf_listen own = {
        .addr = listener->addr, .port_count = 1, .dual_stack = listener->dual_stack};
    struct conf_listen other = *conf;
    other.addr.port = (uint16_t)(conf->addr.port + port_offset);
    other.port_count = 1;
    return listen_overlap(&own, &other);
}

void listener_tell_failure(struct str *why, const char *route, const struct conf_listen *conf,
                           uint16_t port_offset, enum err err)
{
    char text[LISTEN_TEXT_MAX], holder[HOLDER_TEXT_MAX] = "", wants[HOLDER_PRIVILEGE_MAX] = "",
                                port[16] = "";
    struct conf_listen one = *conf;
    one.addr.port = (uint16_t)(conf->addr.port + port_offset);
    one.port_count = 1;
    if (err == ERR_IN_USE || err == ERR_RESERVED || err == ERR_ACCESS)
        holder_text(&one.addr, one.dual_stack, holder);
    if (err == ERR_ACCESS && holder[0] == '\0')
        holder_privilege(one.addr.port, wants);
    if (conf->port_count > 1)
        str_format(port, sizeof port, "port %u: ", (unsigned)one.addr.port);
    str_addf(why, "route '%s': listen %s: %s%s%s%s\n", route, listen_text(conf, text), port,
             err_text(err), holder, wants);
}

void listener_start(struct listener *listener, struct worker *worker)
{
    (void)worker;
    os_mutex_lock(&listener->lock);
    if (!listener->stopping)
        submit_resting(listener, LISTENER_ACCEPTS);
    os_mutex_unlock(&listener->lock);
}

void listener_stop(struct listener *listener, struct worker *worker)
{
    timers_disarm(&worker->relay->timers, &listener->retry);
    os_mutex_lock(&listener->lock);
    bool first = !listener->stopping;
    listener->stopping = true;
    if (first && listener->in_flight > 0)
        port_cancel(listener->relay->port, listener->sock);
    bool closed = close_if_over(listener);
    os_mutex_unlock(&listener->lock);
    if (closed)
        lifecycle_unref(listener->relay);
}

void listener_retire(struct listener *listener, struct worker *worker)
{
    os_mutex_lock(&listener->lock);
    bool lingers = listener->lingers && !listener->stopping;
    if (lingers)
        timers_arm(&worker->relay->timers, &listener->retry, worker->now_ms + LINGER_MS);
    os_mutex_unlock(&listener->lock);
    if (!lingers)
        listener_stop(listener, worker);
}

bool listener_is_closed(struct listener *listener)
{
    os_mutex_lock(&listener->lock);
    bool closed = listener->sock == SOCK_NONE;
    os_mutex_unlock(&listener->lock);
    return closed;
}

void listener_free(struct listener *listener)
{
    if (listener == NULL)
        return;
    assert(listener->in_flight == 0);
    if (listener->sock != SOCK_NONE) {
        listener_socket_close(listener);
        lifecycle_unref(listener->relay);
    }
    free(listener);
}
