#include "relay/guard/refuse.h"

#include "base/log.h"
#include "relay/core/worker.h"
#include "relay/relay.h"

void refuse_log(struct worker *worker, struct relay_route *route, const struct addr *client,
                enum reason reason, const char *why)
{
    if (log_limit_holds(&route->refuse_log, LOG_WARNING, worker->now_ms))
        return;
    char text[ADDR_TEXT_MAX];
    log_limited(&route->refuse_log, LOG_WARNING, "route '%s': client %s refused: %s%s%s",
                route->conf->name, addr_format(client, text), reason_sentence(reason),
                why != NULL ? ": " : "", why != NULL ? why : "");
}

static void count(struct worker *worker, struct relay_route *route, const struct addr *client,
                  enum reason reason)
{
    stat_add_reason(worker->relay->stat, worker->number, route->scope, reason);
    refuse_log(worker, route, client, reason, NULL);
}

enum err refuse_at_once(struct worker *worker, struct relay_route *route, sock_t sock,
                        const struct addr *client, enum reason reason)
{
    sock_close(sock, SOCK_CLOSE_ABORT);
    count(worker, route, client, reason);
    return reason == REASON_NO_MEMORY ? ERR_NOMEM : ERR_OK;
}

static void end_client(struct worker *worker, const struct conf_route *conf, sock_t sock)
{
    switch (conf->refuse) {
    case CONF_REFUSE_RESET: break;
    case CONF_REFUSE_CLOSE: sock_close(sock, SOCK_CLOSE_DISCARD); return;
    case CONF_REFUSE_TARPIT:
        if (tarpit_take(&worker->relay->guard.tarpit, sock, worker->now_ms + conf->tarpit_ms))
            return;
        break;
    }
    sock_close(sock, SOCK_CLOSE_ABORT);
}

void refuse_by_guard(struct worker *worker, struct relay_route *route, sock_t sock,
                     const struct addr *client, struct guard_answer answer)
{
    end_client(worker, route->conf, sock);
    count(worker, route, client, answer.reason);
    guard_apply(worker, route, client, answer);
}

bool refuse_is_fin(const struct conf_route *conf, enum reason reason)
{
    return conf->refuse == CONF_REFUSE_CLOSE && reason_is_of_guard(reason);
}
