/* name_server.h - a name server of a test: small, and as good or bad as the test wants.
 *
 * It listens on port 53 of a loopback address of its own, by UDP and TCP, and gives the same
 * answer for every name. Everything asserts.
 *
 * Threads: the main thread; it answers in one of its own.
 */
#ifndef PAIRPORT_TESTS_NAME_SERVER_H
#define PAIRPORT_TESTS_NAME_SERVER_H

#include <stdbool.h>

#include "base/addr.h"

/* Starts it, deaf at first. False: port 53 can't be had, which takes the rights of root. */
bool name_server_start(struct addr *addr);
void name_server_stop(void);

/* From now on every name has these addresses, separated by blanks, of IPv4 and IPv6. */
void name_server_tell(const char *addrs);
void name_server_know_nothing(void); /* there is no such name */
/* The time to live of what it tells; a day at first. */
void name_server_set_ttl(unsigned seconds);
/* Answers questions for IPv6 addresses with a failure (SERVFAIL); false: no more. */
void name_server_fail_ipv6(bool fail);
/* Does not answer for names that begin so; NULL: for all. */
void name_server_ignore(const char *beginning);
void name_server_be_deaf(void); /* no answer at all */

unsigned name_server_asked(void); /* for IPv4 addresses, ever */
/* Waits until it was asked for IPv4 addresses `more` times from now on, heard or not. */
void name_server_wait_asked(unsigned more);

#endif
