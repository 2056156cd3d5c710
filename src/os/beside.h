/* beside.h - a listening socket that takes the place of others of this process whose addresses
 * overlap with its own, such as 0.0.0.0:7777 instead of *:7777.
 *
 * Linux binds it while the others still listen: for that time all of them have SO_REUSEPORT, which
 * also lets other processes of the same user bind there, so it is taken off again. A client is in
 * the queue of one listening socket; when that is closed, the client is reset. So the old one
 * takes no new clients for a while before it is closed (beside_refuse_new()), and those who had
 * begun to connect finish. Windows has no way to bind beside a socket with SO_EXCLUSIVEADDRUSE:
 * there the old one has to be closed first.
 *
 * Threads: any; one socket must not be closed while another thread calls for it.
 */
#ifndef PAIRPORT_OS_BESIDE_H
#define PAIRPORT_OS_BESIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/err.h"
#include "os/sock.h"

/* A socket as sock_listen() makes it, but that does not listen yet: no client sees it. It is
 * bound although `others` listen; with none of them this tells whether the address is free.
 * Whatever comes of it, beside_end() is due for each of `others`. ERR_UNSUPPORTED: `others`
 * have to be closed first (Windows). Else errors of sock_listen(); ERR_IN_USE is also the answer
 * where systemd has made one of `others` and holds it, too. */
enum err beside_bind(const struct addr *addr, bool dual_stack, const sock_t others[],
                     size_t other_count, sock_t *out);

/* It listens. Errors of sock_listen(). */
enum err beside_listen(sock_t sock, int backlog);

/* As sock_listen(), for an address whose last listening socket this process has just closed. On
 * Windows sessions that were accepted there keep others from binding it with SO_EXCLUSIVEADDRUSE
 * as long as they last; then it is bound without. */
enum err beside_listen_again(const struct addr *addr, bool dual_stack, int backlog,
                             sock_t *out);

/* Nobody else may bind beside this socket any more. */
void beside_end(sock_t sock);

/* A listening socket ignores those who begin to connect: they ask again after a second, and find
 * the socket in its place. Those who have begun already finish. Where the system can't, nothing
 * happens. */
void beside_refuse_new(sock_t sock);

/* For a client that came by a socket that refuses new ones: it has inherited what makes it. */
void beside_accepted(sock_t client);

#endif
