/* A call to the system that fails between SIGTERM and the end: sessions go on until they are over,
 * and the program ends with 0 and leaves nothing behind. */
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

#define EVERY    20 /* positions tried one by one */
#define STRIDE   30
#define SESSIONS 3
#define BULK     (64 * 1024)

static void say(struct fault_walk *walk, struct relay_run *relay, sock_t sock)
{
    static unsigned char bytes[BULK], got[BULK];
    memset(bytes, (int)walk->position, sizeof bytes);
    if (net_send(sock, bytes, sizeof bytes, NET_PATIENCE_MS, NULL) != ERR_OK ||
        net_receive_all(sock, got, sizeof got, NET_PATIENCE_MS) != ERR_OK ||
        memcmp(bytes, got, sizeof got) != 0)
        fault_complain(walk, relay, "a session lost something");
}

static bool has_ban(const struct relay_run *relay)
{
    char path[TEST_PATH_MAX];
    relay_path(relay, "state.json", path);
    char *text = test_read_file(path);
    bool has = text != NULL && strstr(text, "192.0.2.9") != NULL;
    free(text);
    return has;
}

static void check_left(struct fault_walk *walk, struct relay_run *relay)
{
    static const char *const expected[] = {"relay.ini",  "relay.out",   "relay.err",
                                           "relay.log",  "program.out", "program.err",
                                           "state.json", NULL};
    char *sockets = fault_sockets_left(), *files = fault_files_left(relay, expected);
    char *log = fault_read_log(relay);
    if (*sockets != '\0' || *files != '\0')
        fault_complain(walk, relay, "it leaves behind:%s%s", sockets, files);
    if (!has_ban(relay) && !fault_is_named(walk, log))
        fault_complain(walk, relay, "a ban is lost, and nobody says why");
    free(sockets);
    free(files);
    free(log);
}

static void stop(struct fault_walk *walk, struct relay_run *relay, sock_t socks[SESSIONS])
{
    int code = -1;
    assert_int_equal(process_stop(relay->process), ERR_OK);
    if (!process_wait_errors(relay->process, "stop signal received", NET_PATIENCE_MS))
        fault_complain(walk, relay, "it does not see SIGTERM");
    for (size_t i = 0; i < SESSIONS; i++) {
        say(walk, relay, socks[i]);
        net_close(socks[i]);
    }
    if (!process_wait(relay->process, NET_PATIENCE_MS, &code))
        fault_complain(walk, relay, "it does not end at SIGTERM");
    else if (code != 0)
        fault_complain(walk, relay, "it ended with %d", code);
}

/* False: the relay makes fewer such calls. */
static bool try_position(void **state, struct fault_walk *walk, const struct relay_setup *setup)
{
    sock_t socks[SESSIONS];
    struct relay_run *relay = fault_start(state, setup);
    for (size_t i = 0; i < SESSIONS; i++) {
        assert_int_equal(net_connect(&relay->addr, NET_PATIENCE_MS, &socks[i]), ERR_OK);
        say(walk, relay, socks[i]);
    }
    assert_int_equal(relay_console(relay, "ban 192.0.2.9", NULL, NULL), 0);
    fault_arm(walk);
    stop(walk, relay, socks);
    bool failed = fault_disarm();
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
    fault_walk_end(&walk, 0);
}

static void walk_end(void **state)
{
    const struct relay_setup setup = {.upstreams = &fault_echo.addr,
                                      .upstream_count = 1,
                                      .relay_keys = "workers = 2\nstate_file = state.json\n",
                                      .route_keys = "health = tcp\n"};
    enum fault_kind kind = *(const enum fault_kind *)*state;
    *state = NULL;
    walk_with(state, kind, false, &setup);
    if (kind != FAULT_MAP) /* a session may wait for a buffer as long as that lasts */
        walk_with(state, kind, true, &setup);
}

/* ---- main ---- */

#define WALK(name, kind) FAULT_WALK("end_without_" name, kind, walk_end, fault_relay_teardown)

int main(int argc, char *argv[])
{
    os_init();
    if (argc > 1)
        cmocka_set_test_filter(argv[1]); /* "end_without_a_*" */
    struct CMUnitTest tests[] = {
        WALK("memory", FAULT_ALLOC),    WALK("a_map", FAULT_MAP),
        WALK("a_thread", FAULT_THREAD), WALK("a_socket", FAULT_SOCKET),
        WALK("epoll", FAULT_EPOLL),     WALK("a_pipe", FAULT_PIPE),
        WALK("connect", FAULT_CONNECT), WALK("open", FAULT_OPEN),
        WALK("the_disk", FAULT_DISK),
    };
    return cmocka_run_group_tests_name("faults at the end", tests, fault_set_up,
                                       fault_tear_down);
}
