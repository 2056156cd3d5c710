/* relay_run.h - the real program, started by a test with a configuration of its own.
 *
 * A test starts a relay with relay_start(), which fails the test when the relay does not come
 * up, and ends it with relay_end(), which asks it to stop and fails the test unless it exits
 * with 0. Between the two the relay is seen through its console. relay_teardown() cleans up
 * after a test that failed, and shows what the relay had logged.
 *
 * Threads: the main thread, but relay_addr().
 */
#ifndef PAIRPORT_TESTS_RELAY_RUN_H
#define PAIRPORT_TESTS_RELAY_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/addr.h"
#include "support/platform.h"
#include "support/process.h"

#define RELAY_UPSTREAMS_MAX 4
#define RELAY_CONFIG_MAX    8192

struct relay_setup {
    const struct addr *upstreams; /* of route 'test', `upstream_count` of them */
    size_t upstream_count;
    const char *relay_keys;   /* lines of [relay], or NULL */
    const char *route_keys;   /* lines of [route test], or NULL */
    const char *listen;       /* its address, "127.0.0.1" when NULL; "*" for dual stack */
    const char *more;         /* further sections, or NULL; "%PORT2%" stands for a free port */
    bool pipe_stdin;          /* as in struct process_options */
    bool no_streams;          /* likewise */
    unsigned max_descriptors; /* likewise */
};

struct relay_run {
    char dir[TEST_PATH_MAX];
    char config[TEST_PATH_MAX]; /* the configuration file */
    struct process *process;
    struct addr addr; /* where route 'test' listens; loopback when it listens on all */
    uint16_t port2;   /* what "%PORT2%" became */
    unsigned calls;   /* of the console */
    bool ended;       /* by relay_end() */
};

/* Starts the relay and puts it into *state for relay_teardown(). Waits until it serves. */
struct relay_run *relay_start(void **state, const struct relay_setup *setup);

/* The two halves of a start that a test waits for itself: a relay with a directory and nothing
 * in it, for relay_teardown(), and the program with a configuration there, on free ports. */
struct relay_run *relay_prepare(void **state);
void relay_launch(struct relay_run *relay, const struct relay_setup *setup);

/* Starts it with one upstream and nothing else to say. */
struct relay_run *relay_start_to(void **state, const struct addr *upstream);

/* Stops the relay gracefully, ends it, and removes its files. `sessions` may still be open:
 * a second signal ends them. Fails the test unless the exit code is 0. */
void relay_end(struct relay_run *relay);

int relay_teardown(void **state); /* for cmocka_unit_test_teardown() */

/* A file in a directory; in the relay's. */
void path_in(const char *dir, const char *name, char path[TEST_PATH_MAX]);
void relay_path(const struct relay_run *relay, const char *name, char path[TEST_PATH_MAX]);

/* ---- the console ---- */

#define RELAY_WORDS_MAX 16

/* Runs `pairport console WORDS`; `words` is split at blanks. Gives the exit code and, for
 * free(), what it printed (NULL pointers are skipped). */
int relay_console(struct relay_run *relay, const char *words, char **output, char **errors);

/* Runs "WORDS json" and gives the result for json_decref(); fails the test on an error. */
json_t *relay_json(struct relay_run *relay, const char *words);

/* A member of `show info json`; a dot leads into an object: "port.read_submits_total". */
uint64_t relay_info(struct relay_run *relay, const char *member);

/* A member of `show stats json` of all routes. */
uint64_t relay_stat(struct relay_run *relay, const char *member);

/* A number inside a JSON value, as relay_info() names it; `missing` where there is none. */
uint64_t json_number_at(const json_t *root, const char *member, uint64_t missing);

/* Waits until the member of `show info json` has this value; false: not in NET_PATIENCE_MS. */
bool relay_wait_info(struct relay_run *relay, const char *member, uint64_t value);

/* The same for a member of `show stats json` of all routes. */
bool relay_wait_stat(struct relay_run *relay, const char *member, uint64_t value);

/* Waits until no session is open, then asserts that nothing is left of any: no operation in
 * flight but ACCEPTs and no buffer in use. */
void relay_wait_nothing_left(struct relay_run *relay);

/* ---- the log ---- */

/* All of it, with the lines that are on their way; for free(). */
char *relay_log(const struct relay_run *relay);

/* Waits until the log holds the text; false: not in NET_PATIENCE_MS. */
bool relay_wait_log(struct relay_run *relay, const char *text);

/* How often relay_log() holds the text. */
unsigned relay_count_log(const struct relay_run *relay, const char *text);

/* ---- other programs ---- */

void pairport_path(char path[TEST_PATH_MAX]);

/* Runs the built program to its end in `dir`; see process_run(). `args` begin with what comes
 * after the program's path and end with NULL. */
int run_pairport(const char *dir, const char *const *args, char **output, char **errors);
int run_pairload(const char *dir, const char *const *args, char **output, char **errors);

/* Starts the program; `args` as above, the rest as in struct process_options. Fails the test
 * when it does not start. */
struct process *start_pairport(const char *dir, const char *name, const char *const *args,
                               bool pipe_stdin);

/* Starts `pairload WORDS`, split at blanks; fails the test when it does not start. */
struct process *start_pairload(const char *dir, const char *name, const char *words);

#endif
