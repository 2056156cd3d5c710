/* wrapped.h - the system calls of the epoll backend, wrapped by the linker (see CMakeLists.txt),
 * so that a test can act right after a call, make one fail, or count them.
 *
 * Threads: plans are made while no other thread is in a call that they are for.
 */
#ifndef PAIRPORT_TESTS_WRAPPED_H
#define PAIRPORT_TESTS_WRAPPED_H

#include <stdatomic.h>
#include <stdbool.h>

#include "os/sock.h"

/* Acts once, in the calling thread, after a recv, accept4 or connect on `sock` that would have
 * to wait, or a send on it that did not take all. */
void wrapped_after(sock_t sock, void (*act)(void));
bool wrapped_has_acted(void);

/* Acts once, in the calling thread, after an epoll_wait without timeout that found nothing. */
void wrapped_after_look(void (*act)(void));

/* Lets the next call fail with this errno, once. */
void wrapped_fail_accept(int code);
void wrapped_fail_epoll_ctl(int code);
/* The same for so many calls of connect. */
void wrapped_fail_connects(int code, unsigned calls);

extern atomic_uint wrapped_accepts; /* calls of accept4 */

#endif
