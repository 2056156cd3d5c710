/* peer.h - HAProxy or nginx as the neighbour of a relay: before it or behind it.
 *
 * A peer is the distribution's program with a configuration of the test, in one process; its log
 * is what it writes to stdout. Everything asserts. Where the program is not installed, or this is
 * Windows, the test is skipped and says so.
 *
 * Threads: the main thread.
 */
#ifndef PAIRPORT_TESTS_PEER_H
#define PAIRPORT_TESTS_PEER_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/str.h"
#include "support/platform.h"
#include "support/process.h"

enum peer_kind { PEER_HAPROXY, PEER_NGINX };

struct peer {
    enum peer_kind kind;
    char dir[TEST_PATH_MAX];
    struct process *process;
    struct addr addr; /* where it listens: loopback and a free port */
};

/* Skips the test unless the program is there. First of all, since a skipped test goes no
 * further. */
void peer_need(enum peer_kind kind);

/* Starts it behind a relay: it expects PROXY headers of either version, goes on to `server`, and
 * logs each session, when it is over, as "SOURCE PORT to DESTINATION PORT id ID"; the id is "-"
 * where there is none, and always with nginx. */
void peer_start_behind(struct peer *peer, enum peer_kind kind, const struct addr *server);

/* Starts it before a relay, to which it speaks PROXY headers of version 1 or, HAProxy only, 2.
 * It listens on the loopback address of `family`. */
void peer_start_before(struct peer *peer, enum peer_kind kind, bool v2, enum addr_family family,
                       const struct addr *relay);

/* Waits until the log holds the formatted text. */
void peer_expect_log(struct peer *peer, const char *format, ...) STR_PRINTF(2, 3);

/* Asserts that it does not hold the text now. */
void peer_expect_no_log(struct peer *peer, const char *text);

/* Ends it; any number of times. */
void peer_end(struct peer *peer);

#endif
