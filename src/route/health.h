/* health.h - does a server live? The state behind active checks, as HAProxy keeps it.
 *
 * `fall` checks in a row that fail take it down, `rise` that pass bring it back; in between it
 * is on its way ("UP 2/3", "DOWN 1/2") and is checked at the fast interval. It starts as up, and
 * the very first check decides alone if it fails. The first one is due at once; from then on a
 * server has a random place of its own in the interval, so that the checks of many never fall
 * together for long.
 *
 * Threads: those of its owner, who locks it.
 */
#ifndef PAIRPORT_ROUTE_HEALTH_H
#define PAIRPORT_ROUTE_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "config/conf.h"

/* name, code, text; the codes are HAProxy's (management guide, `show stat`, check_status) */
#define HEALTH_TABLE(X)                                                                        \
    X(HEALTH_UNKNOWN, "UNK", "not checked yet")                                                \
    X(HEALTH_SOCKERR, "SOCKERR", "the relay has no descriptor, port or memory for the check")  \
    X(HEALTH_L4OK, "L4OK", "connected")                                                        \
    X(HEALTH_L4TOUT, "L4TOUT", "no connection within the time")                                \
    X(HEALTH_L4CON, "L4CON", "the connection was refused or is impossible")                    \
    X(HEALTH_L7OK, "L7OK", "the answer was the expected one")                                  \
    X(HEALTH_L7TOUT, "L7TOUT", "no whole answer within the time")                              \
    X(HEALTH_L7RSP, "L7RSP", "the answer was another one, or the connection ended before it")

enum health_code {
#define X(name, code, text) name,
    HEALTH_TABLE(X)
#undef X
};
const char *health_code_word(enum health_code code);
const char *health_code_text(enum health_code code);

/* True for L4OK and L7OK. SOCKERR is neither: it says nothing of the server and changes nothing. */
bool health_code_passes(enum health_code code);

struct health_result {
    enum health_code code;
    enum err err; /* behind L4CON and L7RSP; ERR_OK: none */
    uint32_t duration_us;
};

struct health {
    const struct conf_health *conf; /* not owned */
    uint32_t jitter_ms;             /* random, fixed: this server's place in the interval */
    bool up;
    bool decided;    /* a check has passed or failed */
    bool running;    /* a check was taken and its result has not come */
    uint32_t count;  /* checks in a row that spoke against `up` */
    uint64_t due_ms; /* UINT64_MAX: never */
    struct health_result last;
    uint64_t last_ms; /* when it came */
    uint64_t checks_total, failures_total, downs_total;
};

struct health_info {
    bool checked;
    bool running;
    enum health_code code;
    enum err err;
    uint32_t duration_us;
    uint64_t last_ms;
    uint64_t checks_total, failures_total, downs_total;
};

/* As new: up, nothing known. With `conf->on` a check is due, else none ever is. */
void health_init(struct health *health, const struct conf_health *conf, uint64_t random,
                 uint64_t now_ms);

/* Goes on with another configuration; no check runs. What is known of the server stays, and a
 * check is due; with checks that are off it counts as up. */
void health_change(struct health *health, const struct conf_health *conf, uint64_t random,
                   uint64_t now_ms);

/* True when a check is due, which then runs. */
bool health_take(struct health *health, uint64_t now_ms);

/* The result of the check that runs; HEALTH_UNKNOWN: it has none, and is due again at once. True:
 * `up` changed. */
bool health_done(struct health *health, const struct health_result *result, uint64_t now_ms);

/* "UP", "UP 2/3" (2 more failures of 3 would take it down), "DOWN", "DOWN 1/2" (1 of 2 passed). */
const char *health_word(const struct health *health, char *word, size_t size);

void health_get_info(const struct health *health, struct health_info *out);

#endif
