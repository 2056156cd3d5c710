/* fake.h - what fake_port.c and fake_sock.c share. Not for tests.
 *
 * Threads: one.
 */
#ifndef PAIRPORT_TESTS_FAKE_H
#define PAIRPORT_TESTS_FAKE_H

#include "support/fake_port.h"

/* Fails the running test unless the condition holds; a test of the fake itself can expect it
 * with expect_assert_failure(). */
void fake_require(bool holds, const char *rule);

/* True when a failure planned by fake_port_fail() is due; *err is then set. Counts the call. */
bool fake_fails(enum fake_call call, enum err *err);

/* The record of a socket that is open; fails the test otherwise. */
struct fake_sock *fake_sock_use(sock_t sock);

/* Counts the bytes as sent by the socket. */
void fake_sock_take(struct fake_sock *sock, const void *data, size_t size);

void fake_sock_forget_all(void);

#endif
