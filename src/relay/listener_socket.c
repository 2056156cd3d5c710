#include "relay/listener_socket.h"

#include "os/beside.h"
#include "os/listening.h"
#include "relay/adopt.h"
#include "relay/listener.h"
#include "relay/relay.h"

static int backlog_of(const struct listener *listener)
{
    return (int)listener->route->conf->backlog;
}

/* Or closes it. */
static enum err attach(struct listener *listener)
{
    enum err err = port_attach(listener->relay->port, listener->sock);
    if (err != ERR_OK) {
        sock_close(listener->sock, SOCK_CLOSE_NORMAL);
        listener->sock = SOCK_NONE;
    }
    return err;
}

static enum err bind_socket(struct listener *listener)
{
    listener->sock = SOCK_NONE;
    enum err err = listener->again ? beside_listen_again(&listener->addr, listener->dual_stack,
                                                         backlog_of(listener), &listener->sock)
                                   : sock_listen(&listener->addr, listener->dual_stack,
                                                 backlog_of(listener), &listener->sock);
    return err == ERR_OK ? attach(listener) : err;
}

/* A given socket, which other processes may hold and use, too. */
static enum err adopt_socket(struct listener *listener)
{
    enum err err = listening_adopt(listener->sock, backlog_of(listener));
    if (err == ERR_OK)
        err = port_attach(listener->relay->port, listener->sock);
    if (err != ERR_OK) {
        sock_close(listener->sock, SOCK_CLOSE_NORMAL);
        listener->sock = SOCK_NONE;
    }
    return err;
}

static enum err begin(struct listener *listener, enum err err)
{
    if (err != ERR_OK)
        return err;
    listener->nodelay = listener->route->conf->nodelay;
    sock_set_nodelay(listener->sock, listener->nodelay);
    atomic_fetch_add(&listener->relay->listening, 1);
    return ERR_OK;
}

enum err listener_socket_open(struct listener *listener)
{
    listener->sock = adopt_find(listener->relay->door, &listener->addr, listener->dual_stack);
    return begin(listener,
                 listener->sock == SOCK_NONE ? bind_socket(listener) : adopt_socket(listener));
}

enum err listener_socket_bind(struct listener *listener, const sock_t others[],
                              size_t other_count)
{
    listener->sock = SOCK_NONE;
    enum err err = beside_bind(&listener->addr, listener->dual_stack, others, other_count,
                               &listener->sock);
    return begin(listener, err == ERR_OK ? attach(listener) : err);
}

enum err listener_copy(struct listener *listener, sock_t *out)
{
    os_mutex_lock(&listener->lock);
    bool listens = listener->sock != SOCK_NONE && !listener->stopping;
    enum err err = listens ? listening_copy(listener->sock, out) : ERR_CLOSED;
    os_mutex_unlock(&listener->lock);
    return err;
}

void listener_socket_close(struct listener *listener)
{
    port_close_socket(listener->relay->port, listener->sock, SOCK_CLOSE_NORMAL);
    listener->sock = SOCK_NONE;
    atomic_fetch_sub(&listener->relay->listening, 1);
}
