/* reload_run.h - a relay whose configuration file a test writes again and again.
 *
 * Threads: the main thread.
 */
#ifndef PAIRPORT_TESTS_RELOAD_RUN_H
#define PAIRPORT_TESTS_RELOAD_RUN_H

#include "relay_run.h"
#include "session.h"

/* Everything of its file before the first route stays as it was; `routes` follow, in which "%A"
 * and "%B" stand for the relay's two addresses and "%0", "%1" for the upstreams. */
void reload_write(struct relay_run *relay, const struct addr upstreams[2], const char *routes);

/* Runs `reload`, which must come out with this code, and gives what it said, for free(). */
char *reload_run(struct relay_run *relay, int code);

/* Both; what it says holds `text`. */
void reload_expect(struct relay_run *relay, const struct addr upstreams[2], const char *routes,
                   int code, const char *text);

/* Nobody listens there any more; asks once. */
void expect_no_listener(const struct addr *addr);

#endif
