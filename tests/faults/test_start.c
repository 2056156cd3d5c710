/* A call to the system that fails while the program starts. Either it serves all the same, and
 * says what it lacks, or it ends with 1 and the cause; nothing is left behind. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fault_run.h"
#include "load_run.h"
#include "os/os.h"
#include "support/net.h"

#define EVERY  20 /* positions tried one by one */
#define STRIDE 30

#define STATE                                                                                  \
    "{\"format\": \"pairport state\", \"version\": 1, \"bans\": [{\"network\": "               \
    "\"192.0.2.7/32\", \"set_ms\": 1000, \"until_ms\": null, \"hits\": 0, \"by\": \"test\", "  \
    "\"reason\": \"kept\"}]}\n"

/* ---- what the relay does ---- */

/* Until it has come to the end of its start, or to its own; true: that. */
static bool wait_started(struct relay_run *relay, bool *ended)
{
    uint64_t begun = os_mono_ms();
    for (;;) {
        *ended = process_wait(relay->process, 0, NULL);
        if (*ended || fault_has_started(relay->process))
            return true;
        if (os_mono_ms() - begun > NET_PATIENCE_MS)
            return false;
        os_sleep_ms(1);
    }
}

static bool knows_the_ban(struct relay_run *relay)
{
    char *output = NULL;
    int code = relay_console(relay, "show bans", &output, NULL);
    bool knows = code == 0 && strstr(output, "192.0.2.7") != NULL;
    free(output);
    return knows;
}

static bool wait_for_the_ban(struct relay_run *relay)
{
    uint64_t begun = os_mono_ms();
    while (!knows_the_ban(relay)) {
        if (os_mono_ms() - begun > NET_PATIENCE_MS)
            return false;
        os_sleep_ms(20);
    }
    return true;
}

/* What it lacks; NULL: nothing. */
static const char *find_lack(struct relay_run *relay)
{
    struct addr second = net_loopback(ADDR_IPV4, relay->port2);
    if (!fault_echoes(&second))
        return "the second route does not serve";
    return knows_the_ban(relay) ? NULL : "the console does not show the ban";
}

/* ---- one position ---- */

static void check_left(struct fault_walk *walk, struct relay_run *relay)
{
    static const char *const expected[] = {"relay.ini",  "relay.out",   "relay.err",
                                           "relay.log",  "program.out", "program.err",
                                           "state.json", NULL};
    char path[TEST_PATH_MAX];
    char *sockets = fault_sockets_left(), *files = fault_files_left(relay, expected);
    if (*sockets != '\0' || *files != '\0')
        fault_complain(walk, relay, "it leaves behind:%s%s", sockets, files);
    free(sockets);
    free(files);
    relay_path(relay, "state.json", path);
    char *state = test_read_file(path);
    if (state == NULL || strstr(state, "192.0.2.7") == NULL)
        fault_complain(walk, relay, "the state file is now: %s",
                       state == NULL ? "gone" : state);
    free(state);
}

static void check_ended(struct fault_walk *walk, struct relay_run *relay)
{
    int code = -1;
    (void)process_wait(relay->process, 0, &code);
    char *errors = relay_log(relay);
    if (code != 1)
        fault_complain(walk, relay, "it ended with %d", code);
    else if (!fault_is_named(walk, errors))
        fault_complain(walk, relay, "it does not name the cause");
    free(errors);
}

static void check_serves(struct fault_walk *walk, struct relay_run *relay)
{
    const char *lack = find_lack(relay);
    if (!fault_echoes(&relay->addr))
        fault_complain(walk, relay, "it started, but does not serve");
    char *said = fault_read_log(relay);
    if (lack != NULL && !fault_is_named(walk, said))
        fault_complain(walk, relay, "%s, and it does not say so", lack);
    if (lack != NULL && strstr(said, "trying again") != NULL &&
        strstr(said, "'pairport console' reaches") != NULL && !wait_for_the_ban(relay))
        fault_complain(walk, relay, "%s, also later", lack);
    free(said);
    int code = -1;
    if (process_stop(relay->process) != ERR_OK)
        fault_complain(walk, relay, "it ended by itself");
    else if (!process_wait(relay->process, NET_PATIENCE_MS, &code))
        fault_complain(walk, relay, "it does not end at SIGTERM");
    else if (code != 0)
        fault_complain(walk, relay, "it ended with %d", code);
}

/* False: the relay makes fewer such calls. */
static bool try_position(void **state, struct fault_walk *walk, const struct relay_setup *setup)
{
    char path[TEST_PATH_MAX];
    bool ended;
    struct relay_run *relay = relay_prepare(state);
    relay_path(relay, "state.json", path);
    assert_int_equal(test_write_file(path, STATE), ERR_OK);
    fault_arm(walk);
    fault_launch(relay, setup);
    bool started = wait_started(relay, &ended);
    bool failed = fault_disarm();
    if (!started)
        fault_complain(walk, relay, "it neither starts nor ends");
    else if (ended)
        check_ended(walk, relay);
    else
        check_serves(walk, relay);
    check_left(walk, relay);
    relay->ended = true; /* what it logged is shown already */
    process_free(relay->process);
    relay->process = NULL;
    relay_teardown(state);
    return failed;
}

static void walk_with(void **state, enum fault_kind kind, bool lasts,
                      const struct relay_setup *setup)
{
    struct fault_walk walk;
    fault_walk_begin(&walk, kind, EVERY, STRIDE);
    walk.lasts = lasts;
    while (try_position(state, &walk, setup) && fault_walk_next(&walk))
        continue;
    fault_walk_end(&walk, 1);
}

static void walk_start(void **state)
{
    char text[ADDR_TEXT_MAX], more[512];
    str_format(more, sizeof more,
               "[route second]\nlisten = 127.0.0.1:%%PORT2%%\nupstream = localhost:%u\n"
               "upstream = %s\nhealth = tcp\n",
               (unsigned)fault_echo.addr.port, addr_format(&fault_echo.addr, text));
    const struct relay_setup setup = {.upstreams = &fault_echo.addr,
                                      .upstream_count = 1,
                                      .relay_keys = "workers = 2\nstate_file = state.json\n",
                                      .more = more};
    enum fault_kind kind = *(const enum fault_kind *)*state;
    *state = NULL;
    walk_with(state, kind, false, &setup);
    walk_with(state, kind, true, &setup);
}

/* ---- main ---- */

#define WALK(name, kind)                                                                       \
    FAULT_WALK("start_without_" name, kind, walk_start, fault_relay_teardown)

int main(int argc, char *argv[])
{
    os_init();
    if (argc > 1)
        cmocka_set_test_filter(argv[1]); /* "start_without_a_*" */
    struct CMUnitTest tests[] = {
        WALK("memory", FAULT_ALLOC),    WALK("a_map", FAULT_MAP),
        WALK("a_thread", FAULT_THREAD), WALK("a_socket", FAULT_SOCKET),
        WALK("epoll", FAULT_EPOLL),     WALK("a_pipe", FAULT_PIPE),
        WALK("a_timer", FAULT_TIMER),   WALK("bind", FAULT_BIND),
        WALK("listen", FAULT_LISTEN),   WALK("connect", FAULT_CONNECT),
        WALK("open", FAULT_OPEN),       WALK("the_disk", FAULT_DISK),
    };
    return cmocka_run_group_tests_name("faults at the start", tests, fault_set_up,
                                       fault_tear_down);
}
