/* service_manager.h - the service manager that has started the program, if one did: systemd.
 *
 * Sockets that it has opened are taken as sd_listen_fds(3) describes, and it is told of the
 * program's state as sd_notify(3) describes, without its library. On Windows there is none.
 *
 * Threads: service_manager_take_sockets() while no other thread looks at the environment, which it
 * changes; service_manager_notify() from any thread.
 */
#ifndef PAIRPORT_OS_SERVICE_MANAGER_H
#define PAIRPORT_OS_SERVICE_MANAGER_H

#include "os/sock.h"

/* The sockets *first, *first + 1, ... that were passed to this process; returns how many, 0 when
 * there are none. They are the caller's to close. Only the first call finds them: the variables
 * are taken out of the environment, so that no child process believes they are its own. */
unsigned service_manager_take_sockets(sock_t *first);

/* Tells "READY=1", "STOPPING=1" or "MAINPID=NUMBER"; several lines at once if need be. Nothing is
 * done when nobody asked for it, nor when it cannot be told. Does not wait. */
void service_manager_notify(const char *state);

#endif
