#include "relay/accept/listener_socket.h"

#include "base/log.h"
#include "os/beside.h"
#include "os/listening.h"
#include "relay/accept/adopt.h"
#include "relay/accept/listener.h"
#include "relay/relay.h"

#define BACKLOG_MOST 65535 /* the system takes what it allows of it */

int listener_backlog(const struct listener *listener)
{
    uint32_t backlog = listener->route->conf->backlog;
    return backlog == 0 ? BACKLOG_MOST : (int)backlog;
}

/* The sockets that a new one is bound beside. */
struct beside {
    const sock_t *others;
    size_t count;
};

/* An inherited socket, which other processes may hold and use, too; else a new one. */
static enum err get_socket(struct listener *listener, const struct addr *addr, bool dual_stack,
                           const struct beside *beside, sock_t *out)
{
    int backlog = listener_backlog(listener);
    if (beside != NULL)
        return beside_bind(addr, dual_stack, beside->others, beside->count, out);
    *out = adopt_find(listener->relay->inherit, addr, dual_stack);
    if (*out != SOCK_NONE)
        return listening_adopt(*out, backlog);
    return listener->again ? beside_listen_again(addr, dual_stack, backlog, out)
                           : sock_listen(addr, dual_stack, backlog, out);
}

/* Gets one, and attaches it. */
static enum err open_at(struct listener *listener, const struct addr *addr, bool dual_stack,
                        const struct beside *beside)
{
    sock_t sock = SOCK_NONE;
    enum err err = get_socket(listener, addr, dual_stack, beside, &sock);
    if (err == ERR_OK)
        err = port_attach(listener->relay->port, sock);
    if (err != ERR_OK && sock != SOCK_NONE)
        sock_close(sock, SOCK_CLOSE_NORMAL);
    if (err != ERR_OK)
        return err;
    listener->sock = sock;
    listener->bound = *addr;
    return ERR_OK;
}

bool listener_lacks_ipv6(bool dual_stack, enum err err)
{
    return dual_stack && (err == ERR_NO_FAMILY || err == ERR_NO_ADDRESS);
}

static enum err open_without_ipv6(struct listener *listener, const struct beside *beside)
{
    struct addr all = {.family = ADDR_IPV4, .port = listener->addr.port};
    return open_at(listener, &all, false, beside);
}

static void note_open(struct listener *listener, bool open)
{
    struct listening *listening = &listener->relay->listening;
    os_mutex_lock(&listening->lock);
    listener->open = open;
    listening->open += open ? 1 : -1;
    if (!open)
        os_cond_wake_all(&listening->changed);
    os_mutex_unlock(&listening->lock);
}

static enum err open_socket(struct listener *listener, const struct beside *beside)
{
    listener->sock = SOCK_NONE;
    enum err err = open_at(listener, &listener->addr, listener->dual_stack, beside);
    if (listener_lacks_ipv6(listener->dual_stack, err))
        err = open_without_ipv6(listener, beside);
    if (err != ERR_OK)
        return err;
    listener->nodelay = listener->route->conf->nodelay;
    sock_set_nodelay(listener->sock, listener->nodelay);
    loop_listens(&listener->relay->loops, listener->addr.port);
    note_open(listener, true);
    return ERR_OK;
}

enum err listener_socket_open(struct listener *listener)
{
    return open_socket(listener, NULL);
}

enum err listener_socket_bind(struct listener *listener, const sock_t others[],
                              size_t other_count)
{
    return open_socket(listener, &(struct beside){.others = others, .count = other_count});
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
    note_open(listener, false);
}

/* ---- waiting for sockets to close ---- */

/* With the lock held. False: the time is over. */
static bool wait_until(struct listening *listening, uint64_t until_ms)
{
    uint64_t now_ms = os_mono_ms();
    if (now_ms >= until_ms)
        return false;
    os_cond_wait(&listening->changed, &listening->lock, (uint32_t)(until_ms - now_ms));
    return true;
}

bool listener_await_closed(struct listener *listener, uint64_t until_ms)
{
    struct listening *listening = &listener->relay->listening;
    os_mutex_lock(&listening->lock);
    while (listener->open && wait_until(listening, until_ms))
        continue;
    bool closed = !listener->open;
    os_mutex_unlock(&listening->lock);
    return closed;
}

bool listening_await_none(struct relay *relay, uint64_t until_ms)
{
    struct listening *listening = &relay->listening;
    os_mutex_lock(&listening->lock);
    while (listening->open > 0 && wait_until(listening, until_ms))
        continue;
    bool none = listening->open == 0;
    os_mutex_unlock(&listening->lock);
    return none;
}
