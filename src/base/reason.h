/* reason.h - why a session was refused or ended.
 *
 * Every session has one reason, taken at the first event that decided its end; what happens
 * afterwards does not change it. The phase in which it happened is kept beside it. The log
 * writes both as words (`reason=client_reset phase=data`), the console adds the sentence.
 *
 * Threads: any. The texts are constants.
 */
#ifndef PAIRPORT_BASE_REASON_H
#define PAIRPORT_BASE_REASON_H

#include <stdbool.h>

/* name, word, sentence */
#define REASON_TABLE(X)                                                                        \
    X(REASON_NONE, "none", "the session is open")                                              \
    X(REASON_CLIENT_FIN, "client_fin", "the client finished first")                            \
    X(REASON_UPSTREAM_FIN, "upstream_fin", "the upstream finished first")                      \
    X(REASON_CLIENT_RESET, "client_reset", "the client reset its connection")                  \
    X(REASON_UPSTREAM_RESET, "upstream_reset", "the upstream reset its connection")            \
    X(REASON_CLIENT_LOST, "client_lost",                                                       \
      "the client's host no longer answers (keepalive or retransmission timeout)")             \
    X(REASON_UPSTREAM_LOST, "upstream_lost",                                                   \
      "the upstream's host no longer answers (keepalive or retransmission timeout)")           \
    X(REASON_CLIENT_ERROR, "client_error",                                                     \
      "the system reported an error on the client's connection")                               \
    X(REASON_UPSTREAM_ERROR, "upstream_error",                                                 \
      "the system reported an error on the upstream's connection")                             \
    X(REASON_CONNECT_REFUSED, "connect_refused", "the upstream refused the connection")        \
    X(REASON_CONNECT_TIMEOUT, "connect_timeout",                                               \
      "the upstream did not answer within connect_timeout")                                    \
    X(REASON_CONNECT_UNREACHABLE, "connect_unreachable",                                       \
      "the upstream's host or network is unreachable")                                         \
    X(REASON_CONNECT_ERROR, "connect_error", "connecting to the upstream failed")              \
    X(REASON_NO_UPSTREAM, "no_upstream", "no upstream of the route is up")                     \
    X(REASON_UPSTREAMS_FULL, "upstreams_full",                                                 \
      "every upstream of the route was at its max_sessions")                                   \
    X(REASON_QUEUE_FULL, "queue_full",                                                         \
      "queue_max clients of the route waited for an upstream already")                         \
    X(REASON_QUEUE_FULL_CLIENT, "queue_full_client",                                           \
      "queue_max_per_client clients of this address waited for an upstream already")           \
    X(REASON_QUEUE_DISPLACED, "queue_displaced",                                               \
      "the client had left while it waited, and another one got its place in the queue")       \
    X(REASON_HOLD_TIMEOUT, "hold_timeout",                                                     \
      "no upstream could take the client while it was held")                                   \
    X(REASON_UPSTREAM_DOWN, "upstream_down",                                                   \
      "the upstream's server went down, and on_down says kill")                                \
    X(REASON_LIMIT_HEADERS, "limit_headers",                                                   \
      "a quarter of the route's max_sessions waited for their PROXY header, and this one for " \
      "longest")                                                                               \
    X(REASON_PROXY_UNTRUSTED, "proxy_untrusted",                                               \
      "a PROXY header is required, and the peer is not on proxy_trust")                        \
    X(REASON_PROXY_INVALID, "proxy_invalid", "the PROXY header was missing or wrong")          \
    X(REASON_PROXY_TIMEOUT, "proxy_timeout",                                                   \
      "the PROXY header was not whole within proxy_timeout")                                   \
    X(REASON_IDLE_TIMEOUT, "idle_timeout", "no byte moved for idle_timeout")                   \
    X(REASON_HALF_CLOSE_TIMEOUT, "half_close_timeout",                                         \
      "one side had finished and the other did not follow within half_close_timeout")          \
    X(REASON_LIMIT_SESSIONS, "limit_sessions", "max_sessions of the relay was reached")        \
    X(REASON_LIMIT_ROUTE, "limit_route", "max_sessions of the route was reached")              \
    X(REASON_DENIED, "denied", "the route's access list denies the client")                    \
    X(REASON_BANNED, "banned", "the client is banned")                                         \
    X(REASON_LIMIT_CLIENT, "limit_client", "max_sessions_per_client was reached")              \
    X(REASON_RATE_CLIENT, "rate_client",                                                       \
      "the client connected more often than connect_rate_per_client allows")                   \
    X(REASON_RATE_ROUTE, "rate_route",                                                         \
      "the route got more connections than its connect_rate allows")                           \
    X(REASON_RATE_RELAY, "rate_relay",                                                         \
      "the relay got more connections than its connect_rate allows")                           \
    X(REASON_DRAINING, "draining", "the route takes no new sessions: an operator drains it")   \
    X(REASON_PAUSE_TIMEOUT, "pause_timeout",                                                   \
      "the client waited for pause_timeout, for the end of a pause or its turn at the ramp")   \
    X(REASON_FIRST_BYTE_TIMEOUT, "first_byte_timeout",                                         \
      "the client sent nothing within first_byte_timeout")                                     \
    X(REASON_MIN_RATE, "min_rate", "the session moved less than min_rate asks for")            \
    X(REASON_BACKLOG_AGE, "max_backlog_age",                                                   \
      "one side took nothing of what waited for it for max_backlog_age")                       \
    X(REASON_SESSION_TIME, "max_session_time", "the session lasted for max_session_time")      \
    X(REASON_NO_DESCRIPTORS, "no_descriptors", "the process has no descriptors left")          \
    X(REASON_NO_MEMORY, "no_memory", "the system has no memory left")                          \
    X(REASON_SESSION_NO_MEMORY, "no_memory",                                                   \
      "the system had no memory left for the session's connections")                           \
    X(REASON_LOOP, "loop", "the session came through this relay itself more than twice")       \
    X(REASON_NO_PORTS, "no_ports", "no local port is left for a connection to the upstream")   \
    X(REASON_STOPPED, "stopped", "the relay stopped before the session ended")                 \
    X(REASON_KILLED, "killed", "an operator ended the session")                                \
    X(REASON_DRAINED, "drained", "an operator drained the session's route or upstream")        \
    X(REASON_BAN, "ban", "the client was banned during the session")                           \
    X(REASON_ROUTE_REMOVED, "route_removed",                                                   \
      "the route was removed from the configuration, and on_remove says kill")

enum reason {
#define X(name, word, sentence) name,
    REASON_TABLE(X)
#undef X
        REASON_COUNT
};

enum phase {
    PHASE_ACCEPT = 0, /* accepted; its PROXY header is being read, if there has to be one */
    PHASE_HELD,       /* waits until an upstream can take it */
    PHASE_CONNECT,    /* the upstream is being connected */
    PHASE_DATA,       /* both directions are open */
    PHASE_HALF_CLOSED /* one side has finished, the other has not */
};

const char *reason_word(enum reason reason);     /* "client_reset" */
const char *reason_sentence(enum reason reason); /* "the client reset its connection" */
const char *phase_word(enum phase phase);        /* "accept", "held", "connect", "data", ... */

/* REASON_NO_MEMORY is a client that was turned away, REASON_SESSION_NO_MEMORY a session that
 * failed; both say `no_memory`, and are counted apart. All other words are unique. */

/* True where the client was turned away before any upstream was tried: it counts as refused,
 * not as a session that failed. */
bool reason_is_refusal(enum reason reason);

/* True for the refusals of the guard: access list, bans, the limits of a client and of connects.
 * `refuse` says how they are done, and `guard = dry_run` only counts them. */
bool reason_is_of_guard(enum reason reason);

#endif
