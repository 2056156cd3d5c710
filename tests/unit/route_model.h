/* route_model.h - what a route should do, slowly and obviously: every server that may ever be is
 * in a table, and each question looks at all of it.
 *
 * The functions do what happened to the table; model_settle() follows each of them.
 *
 * Threads: one.
 */
#ifndef PAIRPORT_TESTS_ROUTE_MODEL_H
#define PAIRPORT_TESTS_ROUTE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "route/route.h"

#define MODEL_UPSTREAMS 5
#define MODEL_ADDRESSES 24 /* that a name may resolve to, at different times */
#define MODEL_FAILS_MAX 4096

struct model_server {
    bool in_use; /* is an address now */
    bool up, decided;
    uint32_t against; /* checks in a row that spoke against `up` */
    uint64_t ejected_until_ms;
    uint64_t fails_ms[MODEL_FAILS_MAX];
    uint32_t fails_of[MODEL_FAILS_MAX]; /* the numbers of the clients */
    size_t fail_count;
    uint32_t sessions;
    uint32_t life;    /* grows when what is known of it is forgotten */
    const char *told; /* its state, by the changes; NULL: does not exist */
};

struct model_upstream {
    enum route_admin admin;
    uint32_t weight, max_sessions;
    bool backup;
    bool removed;  /* from the configuration */
    bool answered; /* its name has resolved */
    struct model_server servers[MODEL_ADDRESSES];
};

extern struct model_upstream model[MODEL_UPSTREAMS];

/* ---- what holds ---- */

bool model_is_open(size_t u);
const char *model_word(const struct model_server *server);
bool model_is_up(size_t u, size_t k);     /* and open */
bool model_is_usable(size_t u, size_t k); /* takes a session now */
size_t model_up_count(void);
size_t model_usable_count(void);
uint32_t model_sessions(size_t u);

/* ---- what happens ---- */

void model_answer(size_t u, const size_t numbers[], size_t count);
void model_failure(size_t u, size_t k, uint32_t client, const struct conf_route *conf,
                   uint64_t now_ms);
void model_result(struct model_server *server, const struct conf_health *conf, bool passed);
bool model_admin(size_t u, enum route_admin admin); /* what route_set_admin() should say */
void model_time(uint64_t now_ms);

/* Another configuration for all of them; without what only picks look at. */
struct model_change {
    const struct conf_route *before, *after;
    bool checks_change;
};
void model_reconfigure(const struct model_change *change);
/* Ejections end of which there are too many, and without a server that is up. */
void model_settle(uint32_t eject_max_percent);

#endif
