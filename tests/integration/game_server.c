#include "game_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "support/net.h"

#define ANSWER_SIZE 5

/* ---- the server's thread ---- */

static void begin_client(struct game_server *server, struct game_session *session,
                         uint32_t number)
{
    session->asked = true;
    uint32_t before = atomic_fetch_add(&server->clients, 1);
    if (before < GAME_ASKED_MAX)
        server->asked[before] = number;
    atomic_fetch_add(&server->open, 1);
}

static enum err answer(struct game_server *server, struct game_session *session)
{
    unsigned char bytes[ANSWER_SIZE];
    uint32_t number;
    bytes[0] = (unsigned char)server->letter;
    memcpy(bytes + 1, session->question, sizeof session->question);
    memcpy(&number, session->question, sizeof number);
    session->len = 0;
    if (!session->asked)
        begin_client(server, session, number);
    return net_send(session->sock, bytes, sizeof bytes, NET_PATIENCE_MS, NULL);
}

/* Takes what has come. False: the session is over. */
static bool serve_session(struct game_server *server, struct game_session *session)
{
    for (;;) {
        size_t got = 0;
        enum err err = net_receive(session->sock, session->question + session->len,
                                   sizeof session->question - session->len, 0, &got);
        if (err == ERR_TIMEDOUT)
            return true;
        if (err != ERR_OK || got == 0 || server->chokes)
            return false;
        session->len += (uint32_t)got;
        if (session->len == sizeof session->question && answer(server, session) != ERR_OK)
            return false;
    }
}

static void end_session(struct game_server *server, size_t index, void (*close)(sock_t sock))
{
    struct game_session *session = &server->sessions[index];
    close(session->sock);
    if (session->asked)
        atomic_fetch_sub(&server->open, 1);
    *session = server->sessions[--server->session_count];
}

/* The peak is taken when all of them have been looked at: whoever has ended before another one
 * came is known by then. */
static void serve_all(struct game_server *server)
{
    for (size_t i = server->session_count; i-- > 0;)
        if (!serve_session(server, &server->sessions[i]))
            end_session(server, i, server->chokes ? net_reset : net_close);
    uint32_t open = atomic_load(&server->open);
    if (open > atomic_load(&server->peak))
        atomic_store(&server->peak, open);
}

static void take_connections(struct game_server *server, uint32_t timeout_ms)
{
    sock_t sock;
    while (server->session_count < GAME_SESSIONS_MAX &&
           net_accept(server->listener, timeout_ms, &sock) == ERR_OK) {
        timeout_ms = 0;
        atomic_fetch_add(&server->accepted, 1);
        if (server->resets)
            net_reset(sock);
        else
            server->sessions[server->session_count++] = (struct game_session){.sock = sock};
    }
}

static void close_listener(struct game_server *server)
{
    net_close(server->listener);
    server->listener = SOCK_NONE;
}

static void live(void *arg)
{
    struct game_server *server = arg;
    while (!atomic_load(&server->stop)) {
        if (atomic_load(&server->door_closed) && server->listener != SOCK_NONE)
            close_listener(server);
        if (server->listener == SOCK_NONE)
            os_sleep_ms(1);
        else
            take_connections(server, server->session_count > 0 ? 1 : 5);
        serve_all(server);
    }
    close_listener(server);
    while (server->session_count > 0)
        end_session(server, server->session_count - 1, net_reset);
}

/* ---- its life ---- */

void game_init(struct game_server *server, char letter)
{
    memset(server, 0, sizeof *server);
    server->letter = letter;
    server->listener = SOCK_NONE;
    server->addr = net_loopback(ADDR_IPV4, net_free_port());
    assert_int_not_equal(server->addr.port, 0);
}

void game_start(struct game_server *server)
{
    assert_null(server->thread);
    assert_int_equal(net_listen(&server->addr, 1024, &server->listener, NULL), ERR_OK);
    atomic_store(&server->stop, false);
    atomic_store(&server->door_closed, false);
    assert_int_equal(os_thread_start(&server->thread, "game", live, server), ERR_OK);
}

void game_kill(struct game_server *server)
{
    if (server->thread == NULL)
        return;
    atomic_store(&server->stop, true);
    os_thread_join(server->thread);
    server->thread = NULL;
}

void game_close_door(struct game_server *server)
{
    atomic_store(&server->door_closed, true);
}

/* ---- its clients ---- */

enum err game_send_number(sock_t sock, uint32_t number, uint32_t timeout_ms)
{
    return net_send(sock, &number, sizeof number, timeout_ms, NULL);
}

enum err game_receive_answer(sock_t sock, uint32_t number, uint32_t timeout_ms, char *letter)
{
    unsigned char bytes[ANSWER_SIZE];
    enum err err = net_receive_all(sock, bytes, sizeof bytes, timeout_ms);
    if (err != ERR_OK)
        return err;
    if (memcmp(bytes + 1, &number, sizeof number) != 0)
        return ERR_IO;
    *letter = (char)bytes[0];
    return ERR_OK;
}

enum err game_ask(sock_t sock, uint32_t number, uint32_t timeout_ms, char *letter)
{
    enum err err = game_send_number(sock, number, timeout_ms);
    return err == ERR_OK ? game_receive_answer(sock, number, timeout_ms, letter) : err;
}

char game_join(const struct addr *relay, uint32_t number, sock_t *out)
{
    char letter = 0;
    assert_int_equal(net_connect(relay, NET_PATIENCE_MS, out), ERR_OK);
    assert_int_equal(game_ask(*out, number, NET_PATIENCE_MS, &letter), ERR_OK);
    return letter;
}
