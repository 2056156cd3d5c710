/* fault_run.h - positions at which a call of the relay fails, and what the relay says of it.
 *
 * A walk goes through the positions of one kind of call. With PAIRPORT_FAULTS in the environment
 * it takes every position up to that number; otherwise the first ones and then some at random
 * distances, from the seed that is printed. It ends when the relay makes no more such calls.
 *
 * Threads: the main thread.
 */
#ifndef PAIRPORT_TESTS_FAULT_RUN_H
#define PAIRPORT_TESTS_FAULT_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "fault.h"
#include "load_run.h"
#include "relay_run.h"
#include "support/random.h"

struct fault_walk {
    enum fault_kind kind;
    uint32_t position; /* from 1 on */
    uint32_t every;    /* positions tried one by one */
    uint32_t stride;   /* the longest step after them */
    uint32_t tried;
    uint32_t complaints;
    bool lasts; /* all calls from the position on fail, until fault_disarm() */
    struct random random;
};

/* One test of a program: the walk over all calls of one kind. */
#define FAULT_WALK(title, fault, test, teardown)                                               \
    {                                                                                          \
        .name = (title), .test_func = (test), .teardown_func = (teardown),                     \
        .initial_state = &(enum fault_kind)                                                    \
        {                                                                                      \
            fault                                                                              \
        }                                                                                      \
    }

/* The upstream of all relays, while the tests run. */
extern struct echo_run fault_echo;

/* For cmocka: makes what the tests of a program share, and removes it. */
int fault_set_up(void **state);
int fault_tear_down(void **state);

/* "open", for messages. */
const char *fault_name(enum fault_kind kind);

/* `every` and `stride` hold unless the environment says otherwise. */
void fault_walk_begin(struct fault_walk *walk, enum fault_kind kind, uint32_t every,
                      uint32_t stride);
/* PAIRPORT_FAULTS is set. */
bool fault_walks_all(void);
/* Goes on to the next position. False: that is more than wanted, or there are complaints enough. */
bool fault_walk_next(struct fault_walk *walk);
/* Fails the test if there was a complaint, or the walk tried fewer than `least` positions. */
void fault_walk_end(struct fault_walk *walk, uint32_t least);

/* From now on calls are counted, and that of the walk's position fails. */
void fault_arm(const struct fault_walk *walk);
/* No call fails any more. True: one did. */
bool fault_disarm(void);
/* One has failed. */
bool fault_happened(void);

/* Something is wrong at the walk's position: prints that, where in the program the call was made,
 * and what the relay logged. */
void fault_complain(struct fault_walk *walk, const struct relay_run *relay, const char *format,
                    ...) STR_PRINTF(3, 4);

/* The text names the cause: what the system's code of the walk's position means. */
bool fault_is_named(const struct fault_walk *walk, const char *text);

/* It has come to the end of its start: the last line of that is about the console. */
bool fault_has_started(const struct process *process);

/* A connection to it is answered with what it says. */
bool fault_echoes(const struct addr *to);

/* All that the relay has said, on stderr and in relay.log, for free(). */
char *fault_read_log(const struct relay_run *relay);

/* relay_teardown(), and the sockets of a relay that had to be killed. */
int fault_relay_teardown(void **state);

/* Starts the program with the library before it. Its console's sockets are in a directory of
 * their own. */
void fault_launch(struct relay_run *relay, const struct relay_setup *setup);
/* Starts another one, with its configuration, that takes over from it; with the library or
 * without. */
struct process *fault_start_successor(const struct relay_run *relay, bool faulty);
/* The same for relay_start(). */
struct relay_run *fault_start(void **state, const struct relay_setup *setup);

/* What is in that directory, for free(); "": nothing. */
char *fault_sockets_left(void);

/* What is in the relay's directory besides the files that it may have. */
char *fault_files_left(const struct relay_run *relay, const char *const *expected);

#endif
