/* guard_fixture.h - clients of chosen addresses for a relay on the fake port, and what the guard
 * makes of them (relay_fixture.h).
 *
 * Threads: one.
 */
#ifndef PAIRPORT_TESTS_GUARD_FIXTURE_H
#define PAIRPORT_TESTS_GUARD_FIXTURE_H

#include "relay_fixture.h"

/* A client comes from this address; its socket. */
sock_t come_from(struct fixture *fix, const char *ip);

/* It comes, and is let in or reset; the reason is counted. A client let in has its connect under
 * way, see let_go(). */
sock_t expect_let_in(struct fixture *fix, const char *ip);
void expect_reset(struct fixture *fix, const char *ip, enum reason reason);

/* The session that began last is ended. */
void let_go(struct fixture *fix);
void let_go_of(struct fixture *fix, uint64_t id); /* the one with this number */

/* The next access rule of the route; it holds from use_rules() on. */
void add_rule(struct fixture *fix, const char *net, bool allow);
void use_rules(struct fixture *fix);

/* guard_exempt of the route is this network, or empty with NULL. */
void exempt(struct fixture *fix, const char *net);

/* Bans a network for `for_ms`. */
void ban(struct fixture *fix, const char *net, uint64_t for_ms);

struct addr_net net_of(const char *text);

uint64_t would_refuse(struct fixture *fix, enum reason reason);

/* Clients that are remembered, and the sessions of one; 0 where it is not. */
size_t remembered(struct fixture *fix);
uint32_t sessions_of(struct fixture *fix, const char *ip);

#endif
