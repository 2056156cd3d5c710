#include "base/reason.h"

#include <assert.h>
#include <stddef.h>

static const struct {
    const char *word;
    const char *sentence;
} reasons[] = {
#define X(name, word, sentence) [name] = {word, sentence},
    REASON_TABLE(X)
#undef X
};

static const char *const phases[] = {
    [PHASE_ACCEPT] = "accept",           [PHASE_HELD] = "held",
    [PHASE_CONNECT] = "connect",         [PHASE_DATA] = "data",
    [PHASE_HALF_CLOSED] = "half_closed",
};

static size_t index_of(enum reason reason)
{
    size_t index = (size_t)reason;
    assert(index < REASON_COUNT);
    return index;
}

const char *reason_word(enum reason reason)
{
    return reasons[index_of(reason)].word;
}

const char *reason_sentence(enum reason reason)
{
    return reasons[index_of(reason)].sentence;
}

const char *phase_word(enum phase phase)
{
    size_t index = (size_t)phase;
    assert(index < sizeof phases / sizeof phases[0]);
    return phases[index];
}

bool reason_is_refusal(enum reason reason)
{
    switch (reason) {
    case REASON_LIMIT_SESSIONS:
    case REASON_LIMIT_ROUTE:
    case REASON_NO_DESCRIPTORS:
    case REASON_NO_MEMORY:
    case REASON_NO_UPSTREAM:
    case REASON_UPSTREAMS_FULL:
    case REASON_QUEUE_FULL:
    case REASON_QUEUE_FULL_CLIENT:
    case REASON_LIMIT_HEADERS:
    case REASON_PROXY_UNTRUSTED:
    case REASON_PROXY_INVALID:
    case REASON_PROXY_TIMEOUT:
    case REASON_DENIED:
    case REASON_BANNED:
    case REASON_LIMIT_CLIENT:
    case REASON_RATE_CLIENT:
    case REASON_RATE_ROUTE:
    case REASON_RATE_RELAY:
    case REASON_DRAINING: return true;

    case REASON_NONE:
    case REASON_CLIENT_FIN:
    case REASON_UPSTREAM_FIN:
    case REASON_CLIENT_RESET:
    case REASON_UPSTREAM_RESET:
    case REASON_CLIENT_LOST:
    case REASON_UPSTREAM_LOST:
    case REASON_CLIENT_ERROR:
    case REASON_UPSTREAM_ERROR:
    case REASON_CONNECT_REFUSED:
    case REASON_CONNECT_TIMEOUT:
    case REASON_CONNECT_UNREACHABLE:
    case REASON_CONNECT_ERROR:
    case REASON_QUEUE_DISPLACED:
    case REASON_HOLD_TIMEOUT:
    case REASON_UPSTREAM_DOWN:
    case REASON_LOOP:
    case REASON_SESSION_NO_MEMORY:
    case REASON_NO_PORTS: /* the client was held through all the tries */
    case REASON_IDLE_TIMEOUT:
    case REASON_HALF_CLOSE_TIMEOUT:
    case REASON_STOPPED:
    case REASON_KILLED:
    case REASON_PAUSE_TIMEOUT:
    case REASON_FIRST_BYTE_TIMEOUT:
    case REASON_MIN_RATE:
    case REASON_BACKLOG_AGE:
    case REASON_SESSION_TIME:
    case REASON_DRAINED:
    case REASON_BAN:
    case REASON_ROUTE_REMOVED:
    case REASON_COUNT: return false;
    }
    return false;
}

bool reason_is_of_guard(enum reason reason)
{
    return reason == REASON_DENIED || reason == REASON_BANNED ||
           reason == REASON_LIMIT_CLIENT || reason == REASON_RATE_CLIENT ||
           reason == REASON_RATE_ROUTE || reason == REASON_RATE_RELAY;
}
