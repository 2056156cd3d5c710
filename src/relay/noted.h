/* noted.h - what a step of a session found out under its pair's lock, and what is logged once the
 * lock is released. A worker has one of each; whoever takes it empties it.
 */
#ifndef PAIRPORT_RELAY_NOTED_H
#define PAIRPORT_RELAY_NOTED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/reason.h"
#include "relay/guard/guard.h"

struct relay_route;

/* A failed connect, remembered under the pair's lock and logged after it. */
struct connect_failure {
    struct relay_route *route; /* NULL: none */
    size_t upstream;
    struct addr addr;
    enum err err;
    unsigned tries;
    bool last;  /* no further try follows */
    bool loops; /* it would lead back to this relay once more; the rest is without meaning */
};

/* A client that was refused, remembered under the pair's lock and logged after it. */
struct proxy_header_refusal {
    struct relay_route *route; /* NULL: none */
    struct addr client;
    enum reason reason;
    const char *why;           /* a constant, or NULL */
    struct guard_answer guard; /* what the guard said of it; .reason NONE: nothing */
};

#endif
