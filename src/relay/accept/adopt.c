#include "relay/accept/adopt.h"

#include <stdlib.h>
#include <string.h>

#include "relay/accept/listener.h"
#include "relay/accept/listener_socket.h"
#include "relay/relay.h"
#include "relay/server.h"

/* ---- given sockets ---- */

static int compare_keys(const struct addr *a, bool a_dual, const struct addr *b, bool b_dual)
{
    int order = memcmp(a, b, sizeof *a);
    return order != 0 ? order : (int)a_dual - (int)b_dual;
}

static int compare(const void *left, const void *right)
{
    const struct server_socket *a = left, *b = right;
    return compare_keys(&a->addr, a->dual_stack, &b->addr, b->dual_stack);
}

void adopt_prepare(struct server_inherit *inherit)
{
    if (inherit->count > 0)
        qsort(inherit->sockets, inherit->count, sizeof *inherit->sockets, compare);
}

/* The option says nothing of an address that is not a wildcard. */
static bool takes_both(const struct addr *addr, bool dual_stack)
{
    return dual_stack && addr->family == ADDR_IPV6 && addr_is_any(addr);
}

static struct server_socket *find(const struct server_inherit *inherit, const struct addr *addr,
                                  bool dual_stack)
{
    struct server_socket key = {.addr = *addr, .dual_stack = takes_both(addr, dual_stack)};
    if (inherit->count == 0)
        return NULL;
    return bsearch(&key, inherit->sockets, inherit->count, sizeof *inherit->sockets, compare);
}

sock_t adopt_find(struct server_inherit *inherit, const struct addr *addr, bool dual_stack)
{
    struct server_socket *found = inherit == NULL ? NULL : find(inherit, addr, dual_stack);
    if (found == NULL)
        return SOCK_NONE;
    sock_t sock = found->sock;
    found->sock = SOCK_NONE;
    if (sock != SOCK_NONE)
        inherit->adopted++;
    return sock;
}

/* Without IPv6 a listener for all addresses is one for all of IPv4. */
size_t server_count_wanted(const struct conf *conf, struct server_socket *sockets, size_t count)
{
    struct server_inherit inherit = {.sockets = sockets, .count = count};
    size_t wanted = 0;
    adopt_prepare(&inherit);
    for (size_t r = 0; r < conf->route_count; r++) {
        for (size_t k = 0; k < conf->routes[r].listen_count; k++) {
            const struct conf_listen *listen = &conf->routes[r].listens[k];
            for (uint16_t i = 0; i < listen->port_count; i++) {
                struct addr addr = listen->addr;
                addr.port = (uint16_t)(addr.port + i);
                const struct addr all = {.family = ADDR_IPV4, .port = addr.port};
                wanted += find(&inherit, &addr, listen->dual_stack) != NULL ||
                          (listen->dual_stack && find(&inherit, &all, false) != NULL);
            }
        }
    }
    return wanted;
}

/* ---- own sockets ---- */

static size_t count_listeners(const struct relay *relay)
{
    size_t count = 0;
    for (size_t i = 0; i < relay->route_count; i++)
        count += relay->routes[i]->listener_count;
    return count;
}

static enum err copy_all(struct relay *relay, struct server_socket *sockets, size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < relay->route_count; i++) {
        for (size_t k = 0; k < relay->routes[i]->listener_count; k++) {
            struct server_socket *to = &sockets[*count];
            struct listener *listener = relay->routes[i]->listeners[k];
            enum err err = listener_copy(listener, &to->sock);
            if (err == ERR_CLOSED)
                continue;
            if (err != ERR_OK)
                return err;
            to->addr = listener->bound;
            to->dual_stack = takes_both(&listener->bound, listener->dual_stack);
            (*count)++;
        }
    }
    return ERR_OK;
}

enum err adopt_copy(struct relay *relay, struct server_socket **out, size_t *count)
{
    struct server_socket *sockets = calloc(count_listeners(relay) + 1, sizeof *sockets);
    if (sockets == NULL)
        return ERR_NOMEM;
    size_t copied;
    enum err err = copy_all(relay, sockets, &copied);
    if (err != ERR_OK) {
        server_free_sockets(sockets, copied);
        return err;
    }
    *out = sockets;
    *count = copied;
    return ERR_OK;
}

void server_free_sockets(struct server_socket *sockets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (sockets[i].sock != SOCK_NONE)
            sock_close(sockets[i].sock, SOCK_CLOSE_NORMAL);
    free(sockets);
}
