/* names.h - what an operator's words may name: the routes and upstreams of a relay.
 *
 * Completion offers them. An upstream's name is "ROUTE/NAME", with its name as `show upstreams`
 * has it.
 *
 * Threads: those of its owner; read-only once it is filled.
 */
#ifndef PAIRPORT_CONTROL_NAMES_H
#define PAIRPORT_CONTROL_NAMES_H

#include <stddef.h>

#include "base/err.h"
#include "config/conf.h"

struct name_list {
    char **all; /* owned, as are the names */
    size_t count;
};

struct names { /* all zero: empty */
    struct name_list routes;
    struct name_list upstreams;
};

/* ERR_NOMEM leaves what was there. */
enum err names_add_route(struct names *names, const char *route);
enum err names_add_upstream(struct names *names, const char *route, const char *upstream);

/* Adds all of a configuration. ERR_NOMEM leaves some of them. */
enum err names_add_conf(struct names *names, const struct conf *conf);

void names_free(struct names *names); /* and makes it empty again */

#endif
