/* draft.h - a configuration in the making.
 *
 * The parser fills a draft with what the file says, each value with the line it stands in; the
 * checks look at it as a whole; what passes is handed out as a struct conf.
 *
 * Threads: those of its owner.
 */
#ifndef PAIRPORT_CONFIG_READ_DRAFT_H
#define PAIRPORT_CONFIG_READ_DRAFT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "config/conf.h"
#include "config/read/access.h"
#include "config/value/keys.h"
#include "config/value/mistakes.h"

/* More than anybody needs, so few that comparing each with each takes no time. */
#define DRAFT_ROUTES_MAX    1024
#define DRAFT_LISTENS_MAX   4096  /* lines, of all routes together */
#define DRAFT_PORTS_MAX     20000 /* of all these lines together; each is a socket */
#define DRAFT_UPSTREAMS_MAX 256   /* of one route */

/* Where a section and its keys stand. */
struct draft_section {
    unsigned line;            /* of the section, 0: not in the file */
    unsigned lines[KEYS_MAX]; /* of the first mention of each of keys[], 0: none */
    bool bad[KEYS_MAX];       /* a value of it was refused: nothing follows from the field */
    struct access_list
        access; /* of a route or [defaults], until draft_apply_defaults(); owned */
};

struct draft {
    const char *name;           /* not owned; the file, as in messages */
    struct conf *conf;          /* owned */
    struct mistakes *mistakes;  /* not owned */
    conf_is_own_addr *is_own;   /* see conf_load(); NULL: only loopback is */
    bool on_disk;               /* it is a file, so the folders it names can be looked at */
    struct conf_route defaults; /* the values of [defaults]; has no addresses; lists owned */
    struct draft_section relay;
    struct draft_section console;
    struct draft_section default_section;
    struct draft_section *route_sections; /* owned, one a route of conf, in the same order */
    size_t room;                          /* allocated elements of both arrays */
    size_t listen_count;                  /* of all routes */
    size_t port_count;                    /* of all these listens */
    bool too_many_routes;                 /* reported */
    bool misnamed_route; /* an unknown section, reported, was perhaps meant to be a route */
};

/* Starts with the defaults of keys.h and no route. ERR_NOMEM leaves nothing to free. */
enum err draft_init(struct draft *draft, const char *name, struct mistakes *mistakes);
void draft_free(struct draft *draft);

/* Adds a route without addresses. False: no memory, or too many routes, which is reported. */
bool draft_add_route(struct draft *draft, const char *name, unsigned line);

/* Add a copy to the last route. False: no memory, or too many, which is reported. */
bool draft_add_listen(struct draft *draft, const struct conf_listen *listen);
bool draft_add_upstream(struct draft *draft, const struct conf_upstream *upstream);

/* Gives every key that a route does not mention the value of [defaults], and every route its access
 * lists: its own if it mentions one of them. Reports what these contradict. */
void draft_apply_defaults(struct draft *draft);

/* Gives every key of a route that is `auto` the number it stands for. After the defaults. */
void draft_fill_auto(struct draft *draft);

/* Takes out what a route has got and has no use for. */
void draft_drop_unused(struct draft *draft);

/* The line of a route's key in `section`, 0 if it is not there. */
unsigned draft_line_of(const struct draft_section *section, const char *name);

/* True when a value of that key there was refused: nothing follows from the field. */
bool draft_is_bad(const struct draft_section *section, const char *name);

/* "[route lobby]". */
#define DRAFT_LABEL_MAX (CONF_NAME_MAX + sizeof "[route ]")
const char *draft_route_label(const struct conf_route *route, char buf[DRAFT_LABEL_MAX]);

#endif
