/* conn.h - one connection of the load generator: sends its pattern, checks what comes back.
 *
 * It sends while `submitted` is below `allowed`, in pieces of the buffer's size, and always
 * receives. Once it is to finish and everything has come back it sends FIN, and is closed when
 * the FIN of the other side comes. Any failure is counted once and ends it.
 *
 * Threads: its driver's.
 */
#ifndef PAIRPORT_TOOLS_CONN_H
#define PAIRPORT_TOOLS_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "os/sock.h"
#include "port/op.h"
#include "result.h"

struct driver;

#define CONN_BUFFER_MAX (64 * 1024)

enum conn_state {
    CONN_CLOSED = 0, /* no socket */
    CONN_CONNECTING,
    CONN_OPEN,
    CONN_FINISHED, /* FIN was sent, the other side's is awaited */
    CONN_FAILED    /* waits for its operations to come out */
};

struct conn {
    struct driver *driver; /* not owned */
    enum conn_state state;
    bool finish;      /* no more bytes will be allowed */
    bool turned_away; /* MODE_FLOOD: the other side ended it before the echo */
    bool retry;       /* closed, and to be begun again at retry_us */
    sock_t sock;
    struct op read;
    struct op write; /* also CONNECT */
    /* Submitted and not yet seen by conn_on_done(); both may come out of one port_wait(), so
     * op.in_flight tells less. */
    bool reading;
    bool writing;
    unsigned char *in; /* owned, buffer_bytes each */
    unsigned char *out;
    uint32_t buffer_bytes;

    uint64_t key;       /* of the pattern */
    uint64_t allowed;   /* bytes that may be sent */
    uint64_t submitted; /* bytes handed to the port */
    uint64_t received;  /* bytes that came back right */
    uint64_t messages;  /* of this connection that came back whole */

    uint64_t begun_us;    /* when connecting began */
    uint64_t message_us;  /* when the message under way was sent */
    uint64_t progress_us; /* when something was last sent, received or established */
    uint64_t retry_us;
};

/* Zeroed memory becomes a closed connection. ERR_NOMEM leaves nothing. */
enum err conn_init(struct conn *conn, struct driver *driver, uint32_t message_bytes);
void conn_free(struct conn *conn); /* closed */

/* Connects a closed connection; `number` makes its pattern. */
void conn_begin(struct conn *conn, uint64_t number);

void conn_allow(struct conn *conn, uint64_t bytes); /* and sends them */
void conn_finish(struct conn *conn);                /* nothing more will be allowed */
void conn_fail(struct conn *conn, enum fault fault, enum err err);

/* True while something must come: the connection, an echo, a FIN. */
bool conn_is_waiting(const struct conn *conn);

void conn_on_done(struct conn *conn, const struct op *op);

#endif
