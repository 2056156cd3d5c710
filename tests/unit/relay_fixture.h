/* relay_fixture.h - a relay on the fake port, with a clock that only the test moves.
 *
 * One route "game" with two upstreams, one worker, one listener. The worker never runs; the
 * fixture takes what the fake port hands out and dispatches it.
 */
#ifndef PAIRPORT_TESTS_RELAY_FIXTURE_H
#define PAIRPORT_TESTS_RELAY_FIXTURE_H

#include "config/conf.h"
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/relay.h"
#include "support/fake_port.h"

struct fixture {
    struct conf conf;
    struct conf_route route_conf;
    struct conf_listen listen_conf;
    struct conf_upstream upstream_confs[2];
    struct relay relay;
    struct worker *worker;
    sock_t listener; /* its socket */
};

/* cmocka setup and teardown; the teardown stops the relay and fails the test when a session, an
 * operation, a buffer, a socket or a pair's memory is left. */
int fixture_setup(void **state);
int fixture_setup_reading_into_buffers(void **state); /* as the port of Windows does */
int fixture_teardown(void **state);

/* The setup in two steps, for tests that change the configuration of the upstreams between. */
int fixture_setup_unresolved(void **state);
void fixture_know_addresses(struct fixture *fix);

/* Dispatches everything that is finished, and what follows from it. */
void fixture_pump(struct fixture *fix);

/* Moves the clock in steps of a timer slot, fires what is due, and pumps. */
void fixture_pass(struct fixture *fix, uint64_t ms);

/* A client is accepted; its socket. The CONNECT waits. */
sock_t fixture_accept(struct fixture *fix);
sock_t fixture_accept_from(struct fixture *fix, const struct addr *addr);

/* The socket whose CONNECT waits. */
sock_t fixture_connecting(void);

/* The waiting CONNECT succeeds; the upstream's socket. */
sock_t fixture_connect(struct fixture *fix);

struct session {
    sock_t client;
    sock_t upstream;
};
struct session fixture_session(struct fixture *fix); /* accepted and connected */

/* The session that began last, with a hold; NULL: it is over. */
struct pair *fixture_latest(struct fixture *fix);

/* An operator kills the session that began last, and it is gone. */
void fixture_kill_latest(struct fixture *fix);

/* The READ or WRITE that waits on the socket; fails the test when there is none. */
struct op *fixture_op(sock_t sock, enum op_kind kind);

/* Bytes, FIN or an error arrive at a socket whose flow waits: its READ gets them, or learns of
 * them and they are received. */
void fixture_arrive(struct fixture *fix, sock_t sock, const char *bytes);
void fixture_arrive_bytes(struct fixture *fix, sock_t sock, const void *bytes, size_t len);
void fixture_arrive_fin(struct fixture *fix, sock_t sock);
void fixture_arrive_error(struct fixture *fix, sock_t sock, enum err err);

/* The WRITE that waits on the socket takes everything. */
void fixture_taken(struct fixture *fix, sock_t sock);

/* What was asked to be cancelled comes out as cancelled. */
void fixture_cancelled(struct fixture *fix);

/* How the program closed the socket; fails the test while it is open. */
enum fake_sock_state fixture_closed(sock_t sock);

/* Asserts that the program sent exactly these bytes on the socket. */
void fixture_expect_sent(sock_t sock, const void *bytes, size_t len);

/* From here on log lines are gathered; asserts that one of them, or none, holds the text.
 * Until the next fixture_setup(). */
void fixture_gather_log(void);
void fixture_expect_log(const char *text);
void fixture_expect_no_log(const char *text);

/* Ended sessions of the route with this reason. */
uint64_t fixture_reasons(struct fixture *fix, enum reason reason);
uint64_t fixture_counter(struct fixture *fix, enum stat_counter counter);

#endif
