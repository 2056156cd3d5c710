/* faults.h - what a test of this backend can let go wrong.
 *
 * All of it happens on a real Windows, but not when a test would like to have it. Nothing but
 * tests writes here; zero-initialised, as in every program, it changes nothing.
 *
 * Threads: set the plain fields while no port is open.
 */
#ifndef PAIRPORT_PORT_IOCP_FAULTS_H
#define PAIRPORT_PORT_IOCP_FAULTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "port/port.h"

struct iocp_faults {
    bool no_skip;              /* no socket gets skip-on-success, as with a non-IFS provider */
    uint32_t send_at_most;     /* a send call is given at most so many bytes; 0: all */
    void (*after_start)(void); /* called between a start call that is pending and the return
                                   of port_submit(), in the submitting thread */
    _Atomic int posts_to_fail; /* so many of the next posted packets find no memory */
    _Atomic int accepts_to_fail; /* so many of the next ACCEPTs get no socket */
};
extern struct iocp_faults iocp_faults;

/* Takes one of a number of faults; false when none is left. */
static inline bool iocp_fault(_Atomic int *left)
{
    if (atomic_load_explicit(left, memory_order_relaxed) <= 0)
        return false;
    if (atomic_fetch_sub(left, 1) > 0)
        return true;
    atomic_fetch_add(left, 1);
    return false;
}

/* What port_get_stats() has no field for. */
struct iocp_counts {
    uint64_t short_writes_total; /* sends that completed with less than was asked for */
    uint64_t inline_total;       /* results that were known at once */
    uint64_t spills_total;       /* of these, sent through the completion port */
    uint64_t overflows_total;    /* of these, kept because posting failed */
};
void iocp_get_counts(struct port *port, struct iocp_counts *out);

#endif
