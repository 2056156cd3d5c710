/* game_server.h - a small game server inside the test, that can die and come back.
 *
 * Whoever connects may ask: four bytes with a number, which come back behind the server's
 * letter, as often as he likes. The server keeps a session until its client finishes or resets.
 * Connections that never ask, such as health checks, are not counted.
 *
 * Threads: each server has its own; game_ask() any, everything else the main thread, and what is
 * counted can be read from any.
 */
#ifndef PAIRPORT_TESTS_GAME_SERVER_H
#define PAIRPORT_TESTS_GAME_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "os/os.h"
#include "os/sock.h"

#define GAME_SESSIONS_MAX 1024
#define GAME_ASKED_MAX    1024

struct game_session {
    sock_t sock;
    unsigned char question[4];
    uint32_t len; /* bytes of it */
    bool asked;   /* counts as a client */
};

struct game_server {
    struct addr addr; /* stays the same over restarts */
    char letter;
    bool resets;                    /* every connection at once; before a start */
    bool chokes;                    /* resets whoever says something; before a start */
    struct os_thread *thread;       /* NULL: is dead */
    sock_t listener;                /* the thread's, while there is one */
    _Atomic bool stop;              /* the thread ends */
    _Atomic bool door_closed;       /* the listener is closed, the sessions go on */
    _Atomic uint32_t accepted;      /* connections ever, health checks included */
    _Atomic uint32_t clients;       /* that ever asked */
    _Atomic uint32_t open;          /* of them, now */
    _Atomic uint32_t peak;          /* of those that stayed for a moment */
    uint32_t asked[GAME_ASKED_MAX]; /* the clients' first numbers in order; read when dead */
    struct game_session sessions[GAME_SESSIONS_MAX]; /* private to the thread */
    size_t session_count;
};

/* A server on 127.0.0.1, dead as yet, on a port of its own. */
void game_init(struct game_server *server, char letter);
/* It lives; asserts that it could. */
void game_start(struct game_server *server);
/* It dies: its listener closes, its connections are reset. Dead already is fine. */
void game_kill(struct game_server *server);
/* Takes no more connections; those it has go on. */
void game_close_door(struct game_server *server);

/* Asks over a connection: gives the letter of the server that answered. ERR_IO: the answer is
 * wrong. */
enum err game_ask(sock_t sock, uint32_t number, uint32_t timeout_ms, char *letter);
/* The two halves of it. */
enum err game_send_number(sock_t sock, uint32_t number, uint32_t timeout_ms);
enum err game_receive_answer(sock_t sock, uint32_t number, uint32_t timeout_ms, char *letter);

/* Connects, asserts that a server answers, and gives its letter. */
char game_join(const struct addr *relay, uint32_t number, sock_t *out);

#endif
