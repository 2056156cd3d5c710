/* session.h - sessions through a relay, as a test holds them: both of their ends.
 *
 * Everything asserts, and waits NET_PATIENCE_MS where it waits.
 *
 * Threads: the main thread.
 */
#ifndef PAIRPORT_TESTS_SESSION_H
#define PAIRPORT_TESTS_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/addr.h"
#include "base/str.h"
#include "os/sock.h"
#include "relay_run.h"
#include "support/net.h"

struct session {
    sock_t client;
    sock_t upstream;
};

/* An upstream on 127.0.0.1, or ::1; `addr` gets its address. */
sock_t upstream_listen(enum addr_family family, struct addr *addr);

/* Connects a client to the relay and takes the connection that comes to the upstream. Needs: no
 * other client is on its way. */
struct session session_open(const struct addr *relay, sock_t upstream);

#define SESSION_CHECK_BYTES 3000
/* Sends so many bytes both ways and checks that they arrive; the session goes on. */
void session_check(const struct session *session);

/* Ends it in order: both sides finish and see the other's FIN. */
void session_end(struct session *session);

/* Both ends were reset, and no byte came before. Closes them. */
void session_expect_reset(struct session *session);

/* Gives both ends up, in whatever state they are. */
void session_drop(struct session *session);

/* A relay with the routes 'test' and 'other', each with an upstream of its own. */
struct two_routes {
    struct relay_run *relay;
    struct addr upstreams[2];
    sock_t listeners[2]; /* of the upstreams */
    struct addr other;   /* where the second route listens */
};
struct two_routes start_two_routes(void **state);
/* Waits until nothing is left of any session, and ends the relay. */
void end_two_routes(struct two_routes *two);

/* An upstream that does not answer. Skips the test where the system cannot have one. */
void upstream_deaf(struct net_deaf *deaf);

sock_t connect_client(const struct addr *relay);

/* A client that the relay resets, before it gets a byte. `addr` (may be NULL) gets its address,
 * as far as it had one before it was over. */
void expect_refused_client(const struct addr *relay, struct addr *addr);

/* The stream ends like this, after exactly so many bytes. */
void expect_end(sock_t sock, enum net_end end, uint64_t bytes);

/* `len` bytes of a fixed pattern: sends them, receives and compares them. */
void send_bytes(sock_t sock, size_t len);
void expect_bytes(sock_t sock, size_t len);

/* Runs a command of the console. `answer` is all that it prints: to stdout when the exit code
 * is 0, else to stderr. */
void tell(struct relay_run *relay, const char *command, int code, const char *answer);

/* The relay ends by itself, in order; relay_end() has nothing to do then. */
void expect_exit(struct relay_run *relay);

/* Waits until the relay's log holds the formatted text. */
void expect_log(struct relay_run *relay, const char *format, ...) STR_PRINTF(2, 3);

/* How many events of a kind the log accounts for, whose lines it limits: lines that hold `line`,
 * and what they and "`more`: N more" say of those without one. */
uint64_t count_told(const struct relay_run *relay, const char *line, const char *more);

/* At least so much time has gone since then. */
#define TICK_MS 20 /* the relay reads its clock once a turn, and it is another process's */
void expect_passed(uint64_t since_ms, uint64_t at_least_ms);

/* The client's session in the answer to `show sessions json`; fails the test if there is none.
 * Borrowed from `sessions`. */
const json_t *find_session(const json_t *sessions, sock_t client);

/* A text inside a JSON object; "" where there is none. */
const char *json_text(const json_t *object, const char *name);

/* Asserts that a JSON object's text is the address. */
void expect_addr(const json_t *object, const char *name, const struct addr *addr);

/* The address of our end. */
struct addr local_addr(sock_t sock);

#endif
