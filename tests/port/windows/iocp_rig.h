/* iocp_rig.h - what the tests of Windows' completion port have besides the rig: faults that are
 * gone after each test, and a second worker that takes operations away.
 *
 * Threads: as the rig.
 */
#ifndef PAIRPORT_TESTS_IOCP_RIG_H
#define PAIRPORT_TESTS_IOCP_RIG_H

#include "rig.h"

#include "port/iocp/faults.h"
#include "port/iocp/iocp.h"

int iocp_setup(void **state);
int iocp_teardown(void **state);
#define iocp_test(name) cmocka_unit_test_setup_teardown(name, iocp_setup, iocp_teardown)

struct iocp_counts iocp_rig_counts(struct rig *rig);

/* Takes what comes out of the port, keeps a copy and spoils the original. */
struct taker {
    struct port *port;
    struct os_thread *thread;
    atomic_uint taken;
    atomic_bool stop;
    unsigned enough; /* not 0: waits for ever each time, and stops after so many */
    struct op last;
};

void taker_start(struct taker *taker, struct port *port, unsigned enough);
void taker_stop(struct taker *taker); /* it must not be waiting for ever */

/* Whether the operation is as a taker left it. */
bool taker_spoilt(const struct op *op);

#endif
