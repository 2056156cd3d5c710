/* A call to the system that fails while a relay takes over from another one. Either the new one
 * serves, or it ends with 1 and the cause, and the old one goes on; no session loses anything. */
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

#define EVERY  12 /* positions tried one by one */
#define STRIDE 40

enum side { NEW, OLD }; /* whose calls fail */

struct takeover {
    struct relay_run *relay; /* its process is the old one */
    struct process *successor;
    sock_t session; /* of the old one */
};

static bool say(sock_t sock)
{
    char got[5];
    return net_send(sock, "hello", 5, NET_PATIENCE_MS, NULL) == ERR_OK &&
           net_receive_all(sock, got, 5, NET_PATIENCE_MS) == ERR_OK &&
           memcmp(got, "hello", 5) == 0;
}

/* Until the new one has come to the end of its start, or to its own; false: neither. */
static bool wait_started(struct takeover *takeover, bool *ended)
{
    uint64_t begun = os_mono_ms();
    for (bool started = false; !started; os_sleep_ms(1)) {
        *ended = process_wait(takeover->successor, 0, NULL);
        started = *ended || fault_has_started(takeover->successor);
        if (os_mono_ms() - begun > NET_PATIENCE_MS)
            return false;
    }
    return true;
}

static void check_ended(struct fault_walk *walk, struct takeover *takeover)
{
    int code = -1;
    (void)process_wait(takeover->successor, 0, &code);
    char *log = process_errors(takeover->successor), *old = relay_log(takeover->relay);
    if (code != 1)
        fault_complain(walk, takeover->relay, "the new one ended with %d: %s", code, log);
    else if (!fault_is_named(walk, log) && !fault_is_named(walk, old))
        fault_complain(walk, takeover->relay, "the new one does not name the cause: %s", log);
    if (process_wait(takeover->relay->process, 0, NULL))
        fault_complain(walk, takeover->relay, "the old one has ended, too");
    free(log);
    free(old);
}

static void expect_end(struct fault_walk *walk, struct takeover *takeover,
                       struct process *process, const char *which)
{
    int code = -1;
    if (!process_wait(process, NET_PATIENCE_MS, &code))
        fault_complain(walk, takeover->relay, "the %s one does not end", which);
    else if (code != 0)
        fault_complain(walk, takeover->relay, "the %s one ended with %d", which, code);
}

/* Both end in order, the old one by itself if it was taken over. */
static void end(struct fault_walk *walk, struct takeover *takeover, bool taken)
{
    net_close(takeover->session);
    if (taken) {
        expect_end(walk, takeover, takeover->relay->process, "old");
        (void)process_stop(takeover->successor);
        expect_end(walk, takeover, takeover->successor, "new");
    } else {
        (void)process_stop(takeover->relay->process);
        expect_end(walk, takeover, takeover->relay->process, "old");
    }
    char *sockets = fault_sockets_left();
    if (*sockets != '\0')
        fault_complain(walk, takeover->relay, "sockets are left:%s", sockets);
    free(sockets);
}

/* False: there are fewer such calls. */
static bool try_position(void **state, struct fault_walk *walk, enum side side)
{
    bool ended;
    const struct relay_setup setup = {.upstreams = &fault_echo.addr, .upstream_count = 1};
    struct takeover takeover = {.relay = side == OLD ? fault_start(state, &setup)
                                                     : relay_start(state, &setup)};
    struct relay_run *relay = takeover.relay;
    assert_int_equal(net_connect(&relay->addr, NET_PATIENCE_MS, &takeover.session), ERR_OK);
    assert_true(say(takeover.session));
    fault_arm(walk);
    takeover.successor = fault_start_successor(relay, side == NEW);
    bool started = wait_started(&takeover, &ended);
    bool failed = fault_disarm();
    if (!started)
        fault_complain(walk, relay, "the new one neither starts nor ends");
    else if (ended)
        check_ended(walk, &takeover);
    if (!fault_echoes(&relay->addr))
        fault_complain(walk, relay, "nobody serves");
    if (!say(takeover.session))
        fault_complain(walk, relay, "the session lost something");
    end(walk, &takeover, started && !ended);
    relay->ended = true; /* what it logged is shown already */
    process_free(takeover.successor);
    fault_relay_teardown(state);
    return failed;
}

static void walk_with(void **state, enum fault_kind kind, enum side side, uint32_t least)
{
    struct fault_walk walk;
    fault_walk_begin(&walk, kind, EVERY, STRIDE);
    while (try_position(state, &walk, side) && fault_walk_next(&walk))
        continue;
    fault_walk_end(&walk, least);
}

static void walk_takeover(void **state)
{
    enum fault_kind kind = *(const enum fault_kind *)*state;
    *state = NULL;
    walk_with(state, kind, NEW, 1);
    walk_with(state, kind, OLD, 0);
}

/* ---- main ---- */

#define WALK(name, kind)                                                                       \
    FAULT_WALK("takeover_without_" name, kind, walk_takeover, fault_relay_teardown)

int main(int argc, char *argv[])
{
    os_init();
    if (argc > 1)
        cmocka_set_test_filter(argv[1]); /* "takeover_without_a_*" */
    struct CMUnitTest tests[] = {
        WALK("memory", FAULT_ALLOC),    WALK("a_map", FAULT_MAP),
        WALK("a_thread", FAULT_THREAD), WALK("a_socket", FAULT_SOCKET),
        WALK("epoll", FAULT_EPOLL),     WALK("a_pipe", FAULT_PIPE),
        WALK("a_timer", FAULT_TIMER),   WALK("connect", FAULT_CONNECT),
        WALK("open", FAULT_OPEN),
    };
    return cmocka_run_group_tests_name("faults of a takeover", tests, fault_set_up,
                                       fault_tear_down);
}
