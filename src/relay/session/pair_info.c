/* What can be seen of a pair; see pair.h. */
#include <string.h>

#include "relay/core/elapsed.h"
#include "relay/pair.h"
#include "relay/queue/pace.h"
#include "relay/relay.h"
#include "relay/server_info.h"
#include "relay/session/proxy_header.h"

static void fill(const struct pair *pair, uint64_t now_ms, struct server_session_info *out)
{
    out->id = pair->id;
    out->route = pair->route->index;
    out->route_name = pair->route->conf->name;
    out->upstream = pair->attempt.upstream_index;
    out->upstream_name = pair->route->conf->upstreams[pair->attempt.upstream_index].name;
    out->phase = pair->phase;
    out->ending = pair->life != PAIR_OPEN || pair->client.reset || pair->upstream.reset;
    out->frozen = pair->phase >= PHASE_DATA && pace_is_frozen(pair->route);
    out->reason = pair->reason;
    out->server = pair->attempt.server_index;
    out->client = pair->client.peer;
    out->via = proxy_header_via(pair);
    if (server_session_has_upstream(out))
        out->upstream_addr = pair->upstream.peer; /* else that of a try that failed */
    out->age_ms = elapsed_ms(now_ms, pair->started_ms);
    out->idle_ms = elapsed_ms(now_ms, pair->deadlines.last_byte_ms);
    out->connect_us = pair->attempt.connect_us;
    out->tries = pair_tries(pair);
    flow_get_info(&pair->up, now_ms, &out->up);
    flow_get_info(&pair->down, now_ms, &out->down);
}

bool pair_get_info(struct pair *pair, bool with_tcp, struct server_session_info *out)
{
    memset(out, 0, sizeof *out);
    os_mutex_lock(&pair->lock);
    bool open = pair->life != PAIR_RELEASED;
    if (open) {
        fill(pair, os_mono_ms(), out);
        /* An address that can't be had stays ADDR_NONE and is shown as "-". */
        (void)sock_local_addr(pair->client.sock, &out->client_local);
        if (pair->phase >= PHASE_DATA)
            (void)sock_local_addr(pair->upstream.sock, &out->upstream_local);
        if (with_tcp) {
            out->has_client_tcp = sock_tcp_info(pair->client.sock, &out->client_tcp);
            out->has_upstream_tcp = pair->phase >= PHASE_DATA &&
                                    sock_tcp_info(pair->upstream.sock, &out->upstream_tcp);
        }
    }
    os_mutex_unlock(&pair->lock);
    return open;
}
