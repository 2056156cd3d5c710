/* inherit.h - where the listening sockets of a start come from: systemd, the relay that ran before,
 * or nowhere.
 *
 * Sockets that no listen line wants are closed, and named in the log.
 *
 * Threads: the main thread.
 */
#ifndef PAIRPORT_SERVICE_INHERIT_H
#define PAIRPORT_SERVICE_INHERIT_H

#include <stdbool.h>

#include "base/err.h"
#include "config/conf.h"
#include "relay/server.h"

struct takeover;

struct inherit {
    struct server_inherit server; /* for server_start() */
    struct takeover *takeover;    /* owned; NULL: no relay runs, or none is to be asked */
    struct server_socket
        *managed; /* owned: where those of systemd are bound, without sockets */
    size_t managed_count;
    struct str predecessors; /* what the old relay says of them; see predecessors_read() */
    bool gone;               /* the old relay listens no more */
};

/* Takes what systemd has passed and, if `takeover`, the sockets of the relay that runs. It is a
 * wish: no relay there is no error. An error: there is one, but it did not give; `why` has a
 * line, and nothing was taken from it. */
enum err inherit_open(struct inherit *inherit, const struct conf *conf, bool takeover,
                      struct str *why);

/* The server accepts: has the relay before stop to. An error: that one goes on, so this one must
 * not; `why` has a line. */
enum err inherit_serving(struct inherit *inherit, struct str *why);

/* Then: says what has become of the sockets, closes those that are left. True when it
 * has taken over from another relay. */
bool inherit_passed(struct inherit *inherit);

/* The server could not be started: adds a line about the relay that was to be taken over, if
 * that one goes on. */
void inherit_failed(const struct inherit *inherit, struct str *why);

/* Frees everything; after inherit_open() has succeeded. May be called again. */
void inherit_close(struct inherit *inherit);

#endif
