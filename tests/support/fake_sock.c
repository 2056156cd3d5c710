#include "support/fake.h"

#include <stdlib.h>
#include <string.h>

#include "os/beside.h"

/* Far from what the system hands out, so that a fake number in a real call fails. */
#define FIRST_NUMBER 100001

static struct fake_sock **socks;
static size_t sock_count;

static struct fake_sock *make_sock(void)
{
    struct fake_sock **grown = realloc(socks, (sock_count + 1) * sizeof *socks);
    fake_require(grown != NULL, "the fake has memory");
    socks = grown;
    struct fake_sock *made = calloc(1, sizeof *made);
    fake_require(made != NULL, "the fake has memory");
    made->number = FIRST_NUMBER + (sock_t)sock_count;
    made->tells = SOCK_TELLS_UNACKED;
    made->shutdown_result = ERR_OK;
    made->coming_end = ERR_AGAIN;
    made->send_result = ERR_OK;
    socks[sock_count++] = made;
    return made;
}

struct fake_sock *fake_sock(sock_t sock)
{
    bool known = sock >= FIRST_NUMBER && sock < FIRST_NUMBER + (sock_t)sock_count;
    fake_require(known, "the socket was made by sock_open(), sock_listen() or an ACCEPT");
    return socks[sock - FIRST_NUMBER];
}

struct fake_sock *fake_sock_use(sock_t sock)
{
    struct fake_sock *used = fake_sock(sock);
    fake_require(used->state == FAKE_SOCK_IS_OPEN, "a socket is not used after its end");
    return used;
}

sock_t fake_sock_latest(void)
{
    return sock_count == 0 ? SOCK_NONE : socks[sock_count - 1]->number;
}

unsigned fake_sock_open_count(void)
{
    unsigned open = 0;
    for (size_t i = 0; i < sock_count; i++)
        open += socks[i]->state == FAKE_SOCK_IS_OPEN;
    return open;
}

sock_t fake_sock_make(const struct addr *local, const struct addr *peer)
{
    struct fake_sock *made = make_sock();
    made->connected = true;
    made->local = *local;
    made->peer = *peer;
    return made->number;
}

static void append(unsigned char **bytes, size_t *len, const void *data, size_t size)
{
    if (size == 0)
        return;
    unsigned char *grown = realloc(*bytes, *len + size);
    fake_require(grown != NULL, "the fake has memory");
    memcpy(grown + *len, data, size);
    *bytes = grown;
    *len += size;
}

void fake_sock_take(struct fake_sock *sock, const void *data, size_t size)
{
    append(&sock->sent, &sock->sent_len, data, size);
}

void fake_sock_arrive(sock_t sock, const void *data, size_t size)
{
    struct fake_sock *used = fake_sock_use(sock);
    append(&used->coming, &used->coming_len, data, size);
}

void fake_sock_forget_all(void)
{
    for (size_t i = 0; i < sock_count; i++) {
        free(socks[i]->sent);
        free(socks[i]->coming);
        free(socks[i]);
    }
    free(socks);
    socks = NULL;
    sock_count = 0;
}

/* ---- os/sock.h, all of it: a symbol left out would pull in the real ones as well ---- */

void sock_set_ceiling(uint64_t count)
{
    (void)count; /* descriptors run out by fake_fail() */
}

bool sock_is_above_ceiling(sock_t sock)
{
    (void)sock;
    return false;
}

enum err sock_open(enum addr_family family, sock_t *out)
{
    enum err err;
    if (fake_fails(FAKE_SOCK_OPEN, &err))
        return err;
    struct fake_sock *made = make_sock();
    made->local.family = (uint8_t)family;
    *out = made->number;
    return ERR_OK;
}

enum err sock_listen(const struct addr *addr, bool dual_stack, int backlog, sock_t *out)
{
    enum err err;
    if (fake_fails(FAKE_SOCK_LISTEN, &err))
        return err;
    struct fake_sock *made = make_sock();
    made->listener = true;
    made->dual_stack = dual_stack;
    made->backlog = backlog;
    made->local = *addr;
    if (made->local.port == 0)
        made->local.port = (uint16_t)(40000 + made->number % 20000);
    *out = made->number;
    return ERR_OK;
}

enum err sock_bind(sock_t sock, const struct addr *source)
{
    struct fake_sock *used = fake_sock_use(sock);
    enum err err;
    if (fake_fails(FAKE_SOCK_BIND, &err))
        return err;
    fake_require(!used->connected && !used->listener, "only a fresh socket is bound");
    used->source = *source;
    used->local = *source;
    return ERR_OK;
}

enum err sock_local_addr(sock_t sock, struct addr *out)
{
    *out = fake_sock_use(sock)->local;
    return ERR_OK;
}

enum err sock_peer_addr(sock_t sock, struct addr *out)
{
    struct fake_sock *used = fake_sock_use(sock);
    if (!used->connected)
        return ERR_CLOSED;
    *out = used->peer;
    return ERR_OK;
}

void sock_set_nodelay(sock_t sock, bool on)
{
    fake_sock_use(sock)->nodelay = on;
}

void sock_set_keepalive(sock_t sock, uint32_t idle_ms, uint32_t interval_ms)
{
    struct fake_sock *used = fake_sock_use(sock);
    used->keepalive_idle_ms = idle_ms;
    used->keepalive_interval_ms = interval_ms;
}

void sock_delay_ack(sock_t sock)
{
    struct fake_sock *used = fake_sock_use(sock);
    fake_require(!used->connected, "it is too late once the connection is established");
    used->delays_ack = true;
}

enum err sock_shutdown_send(sock_t sock)
{
    struct fake_sock *used = fake_sock_use(sock);
    fake_require(used->connected, "FIN is sent on a connection");
    fake_require(fake_port_waiting(sock, OP_WRITE) == 0, "FIN is sent when no WRITE waits");
    used->shut_calls++;
    if (used->shutdown_result == ERR_OK)
        used->shut = true;
    return used->shutdown_result;
}

void sock_close(sock_t sock, enum sock_close_how how)
{
    struct fake_sock *used = fake_sock_use(sock);
    fake_require(!used->attached, "an attached socket is closed by port_close_socket()");
    used->state = how == SOCK_CLOSE_ABORT ? FAKE_SOCK_ABORTED : FAKE_SOCK_ENDED;
    used->discarded = how == SOCK_CLOSE_DISCARD;
}

bool sock_peer_reset(sock_t sock)
{
    return fake_sock_use(sock)->peer_reset;
}

void sock_query_sent(sock_t sock, struct sock_sent *sent)
{
    const struct fake_sock *used = fake_sock_use(sock);
    *sent = (struct sock_sent){.tells = used->tells};
    if (used->tells == SOCK_TELLS_UNACKED)
        sent->unacked = used->unsent_bytes;
    if (used->tells != SOCK_TELLS_COUNTS)
        return;
    fake_require(used->unsent_bytes <= used->sent_len, "only what was sent can be unsent");
    sent->again = used->again_bytes;
    sent->in_flight = used->in_flight_bytes;
    sent->out = used->sent_len - used->unsent_bytes + sent->again + sent->in_flight;
}

bool sock_tcp_info(sock_t sock, struct sock_tcp_info *out)
{
    struct fake_sock *used = fake_sock_use(sock);
    if (!used->tells_tcp_info)
        return false;
    *out = used->tcp_info;
    return true;
}

bool sock_accept_inherits(void)
{
    return false;
}

/* ---- os/beside.h, likewise ---- */

enum err beside_bind(const struct addr *addr, bool dual_stack, const sock_t others[],
                     size_t other_count, sock_t *out)
{
    enum err err;
    for (size_t i = 0; i < other_count; i++)
        fake_sock_use(others[i])->shares = true;
    if (fake_fails(FAKE_SOCK_LISTEN, &err))
        return err;
    struct fake_sock *made = make_sock();
    made->dual_stack = dual_stack;
    made->local = *addr;
    made->shares = other_count > 0;
    *out = made->number;
    return ERR_OK;
}

enum err beside_listen(sock_t sock, int backlog)
{
    struct fake_sock *used = fake_sock_use(sock);
    enum err err;
    if (fake_fails(FAKE_SOCK_LISTEN, &err))
        return err;
    used->listener = true;
    used->backlog = backlog;
    return ERR_OK;
}

enum err beside_listen_again(const struct addr *addr, bool dual_stack, int backlog, sock_t *out)
{
    return sock_listen(addr, dual_stack, backlog, out);
}

void beside_end(sock_t sock)
{
    fake_sock_use(sock)->shares = false;
}

void beside_refuse_new(sock_t sock)
{
    fake_sock_use(sock)->refuses_new = true;
}

void beside_accepted(sock_t client)
{
    fake_require(fake_sock_use(client)->connected, "a client was accepted");
}
