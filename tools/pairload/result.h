/* result.h - what a run of the load generator has found.
 *
 * Threads: the drivers add to it, the main thread reads it when they have ended.
 */
#ifndef PAIRPORT_TOOLS_RESULT_H
#define PAIRPORT_TOOLS_RESULT_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"
#include "stat/histogram.h"

/* What can go wrong on a connection. Where the system has an error, its kind is kept too. */
enum fault {
    FAULT_CONNECT,     /* it was never established */
    FAULT_SEND,        /* sending failed */
    FAULT_RECEIVE,     /* receiving failed */
    FAULT_WRONG_BYTES, /* something came that was not due */
    FAULT_EARLY_FIN,   /* the other side finished though bytes were due or FIN was not sent */
    FAULT_STALLED,     /* what was due did not come in time */
    FAULT_COUNT
};

#define X(name, word, text) +1
enum { RESULT_ERRS = 0 ERR_TABLE(X) };
#undef X

/* Connections and faults are those of the whole run; the rest is what came after the warm-up. */
struct result {
    _Atomic uint64_t connections; /* established */
    _Atomic uint64_t closed;   /* of these, ended by FIN on both sides with nothing missing */
    _Atomic uint64_t messages; /* that came back whole */
    _Atomic uint64_t turned_away; /* MODE_FLOOD: ended by the other side before the echo */
    _Atomic uint64_t sent_bytes;
    _Atomic uint64_t received_bytes;
    _Atomic uint64_t faults[FAULT_COUNT][RESULT_ERRS];

    struct histogram latency_us;
    struct histogram
        lateness_us;     /* MODE_PACED: how late after its due time a message was sent */
    uint64_t elapsed_us; /* set by the main thread: from the first connect to the end, or of
                            what comes after the warm-up */
};

const char *fault_word(enum fault fault);

/* Any thread. `err` is ERR_OK where no error of the system stands behind it. */
void result_add_fault(struct result *result, enum fault fault, enum err err);

uint64_t result_fault_total(const struct result *result);

#endif
