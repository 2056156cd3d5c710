/* route_fixture.h - a route that a test drives, with a clock of its own.
 *
 * rig_begin() sets up a configuration of plain upstreams, which the test changes as it needs;
 * rig_open() makes the route of it. Address number `k` of upstream `u` is 10.u/256.u%256.k.
 *
 * Threads: one.
 */
#ifndef PAIRPORT_TESTS_ROUTE_FIXTURE_H
#define PAIRPORT_TESTS_ROUTE_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "route/route.h"

#define RIG_UPSTREAMS_MAX 256
#define RIG_START_MS      1000000

struct rig {
    struct conf_upstream upstreams[RIG_UPSTREAMS_MAX]; /* weight 1, no limit */
    struct conf_route conf;                            /* no health checks, no ejection */
    struct route *route;
    uint64_t now_ms;
    uint32_t clients; /* that rig_fail() has made up */
};
extern struct rig rig;

/* Ends the route of the last test, if any. */
void rig_begin(enum conf_balance balance, size_t upstream_count);
void rig_weights(const uint32_t weights[]);
void rig_health(uint32_t rise, uint32_t fall); /* every 2 s, fast 500 ms */
void rig_eject(uint32_t count, uint32_t within_ms, uint32_t for_ms);

/* Opens the route; `addresses` of each upstream, 0 of them: none has resolved. */
void rig_open(size_t addresses);
int rig_close(void **state); /* as a teardown: gives all places back and closes */

struct addr rig_address(size_t upstream, size_t k);
struct addr rig_client(uint32_t number); /* with a port of its own, too */

/* Sets these addresses, by their numbers; true when something changed. */
bool rig_set_addrs(size_t upstream, size_t count, const size_t numbers[]);

/* A session's first try, or its next; it must be PICKED and keeps its place. */
struct route_target rig_pick(void);
struct route_target rig_pick_for(const struct addr *client);
struct route_target rig_pick_next(struct route_cursor *cursor);
enum route_outcome rig_outcome(void); /* of a pick that should fail */
void rig_give(const struct route_target *target);

/* The upstream of a session that comes and goes at once. */
size_t rig_pass(void);

/* Asserts that the counts of `total` sessions follow the weights, within `permille` of all. */
void rig_expect_shares(const unsigned counts[], const uint32_t weights[], size_t count,
                       unsigned total, unsigned permille);

/* A failure of a session that comes and goes, of a client of its own or of this one; it must be
 * picked at `upstream`. */
void rig_fail(size_t upstream);
void rig_fail_for(size_t upstream, uint32_t client);

/* Takes the one check that is due and answers it. */
void rig_check(size_t upstream, enum health_code code);
void rig_check_later(size_t upstream, enum health_code code); /* moves the clock to it */

/* Upstreams in turn with one address, up by their first check; rise 2, fall 3. */
void rig_begin_checked(size_t upstream_count);

struct route_upstream_info rig_info(size_t upstream);

/* Takes the next change, which must be this one; `lasted_ms` is looked at by the test. */
struct route_change rig_change(size_t upstream, const char *from, const char *to,
                               const char *cause);
void rig_no_change(void);
void rig_drop_changes(void);

#endif
