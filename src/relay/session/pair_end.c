/* How a pair ends; see pair.h. */
#include <assert.h>

#include "base/log.h"
#include "relay/core/elapsed.h"
#include "relay/core/sessions.h"
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/relay.h"
#include "relay/session/connecting.h"
#include "relay/session/pair_private.h"
#include "relay/session/proxy_header.h"

/* Later a silent client may have run into a time limit of the server. */
#define EARLY_RESET_MS 1000

void pair_begin_closing(struct pair *pair, struct worker *worker)
{
    pair->life = PAIR_CLOSING;
    if (pair->phase == PHASE_HELD)
        queue_remove(&pair->route->queue, pair);
    proxy_header_stop_waiting(pair);
    flow_kill(&pair->up, worker);
    flow_kill(&pair->down, worker);
    if (pair->in_flight > 0) {
        port_cancel(worker->relay->port, pair->client.sock);
        if (pair->upstream.sock != SOCK_NONE)
            port_cancel(worker->relay->port, pair->upstream.sock);
    }
}

void pair_abort(struct pair *pair, struct worker *worker, enum reason reason)
{
    pair_note_reason(pair, reason);
    if (pair->phase == PHASE_HALF_CLOSED)
        pair_update_delivered(pair, worker);
    pair->client.abort |= !pair_ends_in_order(pair, &pair->client, reason);
    pair->upstream.abort |= !pair_ends_in_order(pair, &pair->upstream, reason);
    pair_begin_closing(pair, worker);
}

static enum sock_close_how how_to_close(const struct side *side, const struct flow *from)
{
    if (side->abort)
        return SOCK_CLOSE_ABORT;
    /* After its FIN nothing can be left unread. */
    return from->state == FLOW_SHUT ? SOCK_CLOSE_NORMAL : SOCK_CLOSE_DISCARD;
}

static void close_side(struct relay *relay, struct side *side, const struct flow *from)
{
    if (side->sock == SOCK_NONE)
        return;
    port_close_socket(relay->port, side->sock, how_to_close(side, from));
    side->sock = SOCK_NONE;
}

static void log_end(const struct pair *pair, uint64_t now_ms)
{
    if (!log_on(LOG_INFO))
        return;
    char client[ADDR_TEXT_MAX], upstream[ADDR_TEXT_MAX], via[ADDR_TEXT_MAX];
    struct addr via_addr = proxy_header_via(pair);
    bool proxied = via_addr.family != ADDR_NONE;
    log_info("session %llu ended: route='%s' client=%s%s%s upstream=%s reason=%s phase=%s "
             "bytes_up=%llu bytes_down=%llu duration_ms=%llu connect_us=%llu tries=%u",
             (unsigned long long)pair->id, pair->route->conf->name,
             addr_format(&pair->client.peer, client), proxied ? " via=" : "",
             proxied ? addr_format(&via_addr, via) : "",
             addr_format(&pair->upstream.peer, upstream), reason_word(pair->reason),
             phase_word(pair->reason_phase), (unsigned long long)pair->up.bytes,
             (unsigned long long)pair->down.bytes,
             (unsigned long long)elapsed_ms(now_ms, pair->started_ms),
             (unsigned long long)pair->attempt.connect_us, pair_tries(pair));
}

static void log_no_memory(const struct pair *pair)
{
    log_limited(&pair->relay->memory_log, LOG_ERROR, "route '%s': session %llu ended: %s",
                pair->route->conf->name, (unsigned long long)pair->id,
                reason_sentence(pair->reason));
}

void pair_release(struct pair *pair, struct worker *worker)
{
    assert(pair->life == PAIR_CLOSING && pair->in_flight == 0);
    assert(pair->up.buffer.bytes == NULL && pair->down.buffer.bytes == NULL);
    close_side(worker->relay, &pair->client, &pair->up);
    close_side(worker->relay, &pair->upstream, &pair->down);
    pair->life = PAIR_RELEASED;
}

/* The server reset the session at once, and no client can have brought it about: nothing of the
 * client was passed on before that, neither bytes nor its FIN. */
static bool speaks_against_server(const struct pair *pair, uint64_t now_ms)
{
    const struct flow *up = &pair->up;
    bool passed_on = up->bytes > 0 || up->op.kind == OP_WRITE; /* a WRITE that failed, maybe
                                                                  after a part of it */
    return pair->reason == REASON_UPSTREAM_RESET && pair->reason_phase == PHASE_DATA &&
           !passed_on && elapsed_ms(now_ms, pair->attempt.connected_ms) < EARLY_RESET_MS;
}

void pair_finalize(struct pair *pair, struct worker *worker)
{
    struct relay *relay = worker->relay;
    struct relay_route *route = pair->route;
    uint64_t length_ms = elapsed_ms(worker->now_ms, pair->started_ms);

    table_remove(&relay->table, pair);
    timers_disarm(&relay->timers, &pair->timer);
    log_end(pair, worker->now_ms);
    if (pair->reason == REASON_SESSION_NO_MEMORY)
        log_no_memory(pair);

    stat_add_reason(relay->stat, worker->number, route->scope, pair->reason);
    if (!reason_is_refusal(pair->reason)) {
        /* One that ended before its PROXY header had come was not counted until now. */
        pair_count_session(pair, worker);
        histogram_record(stat_length_ms(relay->stat, route->scope), length_ms);
    }
    if (pair->attempt.counted_upstream) {
        struct relay_upstream *upstream = route->upstreams.each[pair->attempt.upstream_index];
        if (speaks_against_server(pair, worker->now_ms))
            upstreams_failed(pair, ERR_OK, worker->now_ms);
        stat_add_reason(relay->stat, worker->number, upstream->scope, pair->reason);
        histogram_record(stat_length_ms(relay->stat, upstream->scope), length_ms);
        quota_give(&upstream->quota);
    }
    clients_leave(relay->guard.clients, pair->client_entry, worker->now_ms);
    loop_forget(&relay->loops, pair->attempt.loop);
    connecting_end(pair);
    proxy_header_end(pair);
    quota_give(&route->quota);
    quota_give(&relay->quota);
    pair_unref(pair);
    lifecycle_unref(relay);
}
