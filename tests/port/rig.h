/* rig.h - a port with its surroundings, for the conformance tests of the backends.
 *
 * A rig is a port whose one worker is the test's own thread, so that tests of single operations
 * are sequential: submit, do something from the other end, wait until the operation is out.
 * It notices an operation that comes out without having been submitted, or twice, and at the
 * end that as many came out as went in. A crew is a set of worker threads for tests of
 * several workers. The other ends are plain blocking sockets (support/net.h).
 *
 * Threads: a rig belongs to the test's thread, but for rig->port.
 */
#ifndef PAIRPORT_TESTS_RIG_H
#define PAIRPORT_TESTS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/os.h"
#include "os/sock.h"
#include "port/op.h"
#include "port/port.h"
#include "support/net.h"
#include "support/platform.h"
#include "support/random.h"

#define RIG_OPS     4096 /* operations in flight at once */
#define RIG_WORKERS 5    /* at most, see rig_hand_over() */

struct rig {
    struct port *port;
    struct op *pending[RIG_OPS]; /* submitted, not out yet */
    size_t pending_count;
    uint64_t outs; /* operations that came out */
};

/* Setup and teardown of a test; *state is a struct rig. */
int rig_setup(void **state);
int rig_teardown(void **state);
#define rig_test(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

/* An operation ready to be submitted. */
struct op rig_op(enum op_kind kind, sock_t sock, void *buf, size_t len);
struct op rig_accept_op(sock_t listener, unsigned char scratch[OP_ACCEPT_SCRATCH]);
struct op rig_connect_op(sock_t sock, const struct addr *to);

void rig_submit(struct rig *rig, struct op *op);

/* Waits until this operation is out (others may come out, too); fails the test when that takes
 * NET_PATIENCE_MS. Gives its error. */
enum err rig_wait(struct rig *rig, struct op *op);

/* Submits and waits. */
enum err rig_do(struct rig *rig, struct op *op);

/* True when the operation is out after at most timeout_ms. */
bool rig_is_out(struct rig *rig, struct op *op, uint32_t timeout_ms);

/* One call of port_wait(); gives how many came out. */
int rig_turn(struct rig *rig, int max, int timeout_ms);

/* ---- sockets; all of them fail the test when they cannot ---- */

/* A listener on the loopback, attached. */
sock_t rig_listen(struct port *port, enum addr_family family, struct addr *bound);

/* The same at this address (its port does not matter); dual stack if that is ::. */
sock_t rig_listen_at(struct port *port, const struct addr *addr, struct addr *bound);

/* A plain listener on the loopback, for the other end. */
sock_t rig_net_listen(enum addr_family family, struct addr *bound);

/* A fresh socket, attached. */
sock_t rig_open(struct port *port, enum addr_family family);

/* A connection: an attached socket of the port (accepted), and its other end. */
void rig_pair(struct rig *rig, sock_t *sock, sock_t *peer);

/* The same with small socket buffers at both ends, so that few bytes fill them. */
void rig_small_pair(struct rig *rig, sock_t *sock, sock_t *peer);

void rig_close(struct port *port, sock_t sock); /* normally */

/* Fails the test when `err` is not ERR_OK; says the error's word. */
#define assert_ok(err)            rig_assert_err((err), ERR_OK, __FILE__, __LINE__)
#define assert_err(err, expected) rig_assert_err((err), (expected), __FILE__, __LINE__)
void rig_assert_err(enum err err, enum err expected, const char *file, int line);

struct port_stats rig_stats(struct port *port);

/* Reads until FIN with `op` (a READ with a buffer); adds to *hash. Gives the bytes. */
uint64_t rig_read_to_end(struct rig *rig, struct op *op, struct sha256 *hash);

/* ---- other threads ---- */

/* A thread that runs a function once; join with rig_join(). */
struct os_thread *rig_thread(void (*body)(void *arg), void *arg);

struct crew; /* opaque */

/* Starts up to RIG_WORKERS threads that call `handle` for what comes out of the port; the test's
 * own thread is no worker until rig_take_back(), so what it submits comes out in the crew. */
struct crew *rig_hand_over(struct rig *rig, unsigned workers,
                           void (*handle)(void *arg, struct op *op), void *arg);

/* Ends and joins the crew, by a WAKE that goes from one to the next and is not handed to
 * `handle`. */
void rig_take_back(struct rig *rig, struct crew *crew);

/* Waits until *counter has reached `goal`; false after NET_PATIENCE_MS. */
bool rig_reaches(atomic_uint *counter, unsigned goal);

#endif
