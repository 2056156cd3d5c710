/* bans.h - which addresses are shut out, by whom, why and until when.
 *
 * A ban is of a network. Of several that have an address the longest one is told. Whether any
 * has it takes a look for each length of prefix among the bans, and nothing at all while there
 * are none.
 *
 * Threads: any, but bans_open() and bans_close(). Times are milliseconds of one clock,
 * the caller's, that only goes forward.
 */
#ifndef PAIRPORT_POLICY_BANS_H
#define PAIRPORT_POLICY_BANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr_net.h"
#include "base/err.h"

#define BANS_MAX       100000
#define BAN_REASON_MAX 201 /* UTF-8, with the zero byte; no control characters */
#define BAN_BY_MAX     56  /* "console", "ban_after of route 'lobby'" */
#define BAN_FOR_EVER   UINT64_MAX

struct bans; /* opaque */

struct ban {
    struct addr_net net;
    uint64_t set_ms;
    uint64_t until_ms; /* BAN_FOR_EVER */
    uint64_t hits;     /* clients turned away by it */
    char by[BAN_BY_MAX];
    char reason[BAN_REASON_MAX]; /* "" : none was given */
};

/* `seed` is a random number, so that nobody can choose addresses that end up in one place.
 * ERR_NOMEM leaves nothing. */
enum err bans_open(struct bans **out, uint64_t seed);
void bans_close(struct bans *bans); /* NULL is fine */

/* Adds a ban, or puts it in the place of that of the same network, whose hits stay. *replaced (may
 * be NULL) tells which; a ban that is over does not count as there. ERR_RANGE: BANS_MAX are there
 * and none of them is over; ERR_NOMEM. Both change nothing. */
enum err bans_add(struct bans *bans, const struct ban *ban, uint64_t now_ms, bool *replaced);

/* Removes the ban of exactly this network, over or not. False: there is none. */
bool bans_remove(struct bans *bans, const struct addr_net *net);

/* True when a ban that is not over has the address; counts a hit of the longest one when `count`
 * says so, and copies it to *out (may be NULL). */
bool bans_has(struct bans *bans, const struct addr *addr, uint64_t now_ms, bool count,
              struct ban *out);

/* Drops those that are over; returns how many. About once a second. */
size_t bans_expire(struct bans *bans, uint64_t now_ms);

/* All bans that are not over, by network; *out is the caller's to free(). ERR_NOMEM leaves
 * nothing. */
enum err bans_list(struct bans *bans, uint64_t now_ms, struct ban **out, size_t *count);

/* Those that are over and not dropped yet count, too. */
size_t bans_count(struct bans *bans);

/* Grows with each change that a state file should hold: a ban came, went or was dropped. Hits are
 * none. */
uint64_t bans_version(struct bans *bans);

#endif
