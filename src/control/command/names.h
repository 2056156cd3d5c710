/* names.h - what an operator's words may name: the routes, upstreams and sessions of a relay.
 *
 * Completion offers them. An upstream's name is "ROUTE/NAME", with its name as `show upstreams`
 * has it. Sessions come and go, so their ids are asked for when one is wanted.
 *
 * Threads: those of its owner; read-only once it is filled.
 */
#ifndef PAIRPORT_CONTROL_COMMAND_NAMES_H
#define PAIRPORT_CONTROL_COMMAND_NAMES_H

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "config/conf.h"

struct name_list {
    char **all; /* owned, as are the names */
    size_t count;
};

struct names { /* all zero: empty */
    struct name_list routes;
    struct name_list upstreams;
    /* Adds the ids that may be offered; NULL: none are. */
    void (*get_ids)(void *ctx, struct name_list *ids);
    void *ctx;
};

/* The command whose answer has the sessions that began last, a number of them that is read at a
 * glance; and the ids in its answer, in that order. Where it is no such answer, none are added. */
#define NAMES_IDS_COMMAND "show sessions sort newest limit 20 json"
void names_add_ids(struct name_list *ids, const struct str *answer);

/* ERR_NOMEM leaves what was there. */
enum err names_add_route(struct names *names, const char *route);
enum err names_add_upstream(struct names *names, const char *route, const char *upstream);

/* Adds all of a configuration. ERR_NOMEM leaves some of them. */
enum err names_add_conf(struct names *names, const struct conf *conf);

void names_free(struct names *names); /* and makes it empty again */
void names_free_list(struct name_list *list);

#endif
