/* echo.h - a small echo server on the completion port, the demo's game server.
 *
 * It has a port and a thread of its own, so it shows an outsider's view of the relay that runs
 * in the same process. Each connection gets back what it sent, in order; its FIN is answered
 * with FIN once everything was sent back, its reset ends it without a word. A connection holds
 * a buffer only while its peer is slow to read, and takes no more from such a peer than that
 * buffer. Running out of descriptors or memory pauses accepting for a moment.
 *
 * Threads: any; echo_stop() once.
 */
#ifndef PAIRPORT_SERVICE_ECHO_H
#define PAIRPORT_SERVICE_ECHO_H

#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"

struct echo; /* opaque */

/* Listens on `listen` (port 0: any free one) and starts the thread. `bound` (may be NULL) gets
 * the real address. On an error nothing is left behind. */
enum err echo_start(struct echo **out, const struct addr *listen, struct addr *bound);

/* The same, but what comes is thrown away and nothing is sent back: a sink. */
enum err echo_start_sink(struct echo **out, const struct addr *listen, struct addr *bound);

/* Closes the listener and all connections, ends the thread and frees everything. */
void echo_stop(struct echo *echo);

struct echo_counts {
    uint64_t connections_open;
    uint64_t connections_total;
    uint64_t received_bytes_total;
    uint64_t sent_bytes_total;
    uint64_t accept_failures_total;
};
void echo_get_counts(const struct echo *echo, struct echo_counts *out);

#endif
