/* The configuration changes again and again, while clients come all the time and others stay:
 * nobody notices, and nothing is left of it. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "footprint.h"
#include "game_server.h"
#include "os/os.h"
#include "reload_run.h"

#define RELOADS  1000
#define VISITORS 4 /* threads that come and go, half of them at each of the relay's ports */
#define STAYERS  4 /* threads that keep one session and ask all the time, likewise */
#define PAUSE_MS 1 /* between two visits, or two questions */

static struct game_server servers[2];

/* Each has both ports, on one route or another. */
static const char *const files[] = {
    "[route test]\nlisten = %A\nupstream = %0\n"
    "[route more]\nlisten = %B\nupstream = %1\n",

    "[route test]\nlisten = %A\nupstream = %0\nupstream = %1 weight=3\nidle_timeout = 5m\n"
    "max_sessions = 500\n"
    "[route other]\nlisten = %B\nupstream = %1\nbuffer_size = 16KB\n",

    "[route other]\nlisten = %A\nlisten = %B\nupstream = %1 slow_start=5s\nupstream = %0\n"
    "balance = least_sessions\nsource = 127.0.0.1\n",

    "[route test]\nlisten = %A\nupstream = %1\nconnect_timeout = 9s\n"
    "health = tcp interval=1s\n"
    "[route more]\nlisten = %B\nupstream = %0 max_sessions=400\neject = 3 in 5s for 10s\n"
    "[route idle]\nlisten = 127.0.0.1:%P\nupstream = %0\n",

    "[route more]\nlisten = %A\nupstream = %0\nupstream = %1 backup\nqueue_max = 7\n"
    "when_down = hold 5s\n"
    "[route test]\nlisten = %B\nupstream = localhost:%Q\nnodelay = no\n",
};
#define FILES (sizeof files / sizeof files[0])

/* ---- the load ---- */

static struct load {
    struct addr ports[2];
    _Atomic bool over;
    _Atomic uint64_t visits, questions;
    _Atomic uint64_t lost; /* clients that were not served, or got a wrong answer */
} load;

static void visit(void *arg)
{
    const struct addr *port = arg;
    for (uint32_t number = 1; !atomic_load(&load.over); number++) {
        sock_t sock;
        char letter;
        bool served = net_connect(port, NET_PATIENCE_MS, &sock) == ERR_OK;
        if (served) {
            served = game_ask(sock, number, NET_PATIENCE_MS, &letter) == ERR_OK;
            net_close(sock);
        }
        atomic_fetch_add(served ? &load.visits : &load.lost, 1);
        os_sleep_ms(PAUSE_MS);
    }
}

static void stay(void *arg)
{
    const struct addr *port = arg;
    sock_t sock;
    char letter, first = '\0';
    bool served = net_connect(port, NET_PATIENCE_MS, &sock) == ERR_OK;
    for (uint32_t number = 1; served && !atomic_load(&load.over); number++) {
        served = game_ask(sock, number, NET_PATIENCE_MS, &letter) == ERR_OK &&
                 (first == '\0' || letter == first);
        first = letter;
        atomic_fetch_add(&load.questions, 1);
        os_sleep_ms(PAUSE_MS);
    }
    if (!served)
        atomic_fetch_add(&load.lost, 1);
    net_close(sock);
}

static void start_load(struct os_thread *threads[VISITORS + STAYERS])
{
    for (size_t i = 0; i < VISITORS + STAYERS; i++)
        assert_int_equal(os_thread_start(&threads[i], "client", i < VISITORS ? visit : stay,
                                         &load.ports[i % 2]),
                         ERR_OK);
}

static void end_load(struct os_thread *threads[VISITORS + STAYERS])
{
    atomic_store(&load.over, true);
    for (size_t i = 0; i < VISITORS + STAYERS; i++)
        os_thread_join(threads[i]);
}

/* ---- the reloads ---- */

/* The numbers that a file needs and no other has. */
static char *fill_in(const char *file, uint16_t idle_port)
{
    struct str text;
    str_init(&text);
    for (const char *at = file; *at != '\0'; at++) {
        if (at[0] == '%' && at[1] == 'P')
            str_addf(&text, "%u", idle_port);
        else if (at[0] == '%' && at[1] == 'Q')
            str_addf(&text, "%u", servers[1].addr.port);
        else {
            str_add_char(&text, at[0]);
            continue;
        }
        at++;
    }
    assert_false(text.failed);
    return text.data;
}

static void reload_to(struct relay_run *relay, size_t file, uint16_t idle_port)
{
    const struct addr upstreams[2] = {servers[0].addr, servers[1].addr};
    char *routes = fill_in(files[file], idle_port);
    reload_write(relay, upstreams, routes);
    char *said = reload_run(relay, 0);
    if (atomic_load(&load.lost) > 0)
        fail_msg("a client was lost before or at:\n%s", said);
    free(said);
    free(routes);
}

/* What is counted in all only grows, whatever routes it was counted in. */
static void check_growth(struct relay_run *relay, uint64_t before[2])
{
    uint64_t sessions = relay_stat(relay, "sessions_total");
    uint64_t bytes = relay_stat(relay, "bytes_up_total");
    assert_true(sessions >= before[0] && bytes >= before[1]);
    before[0] = sessions;
    before[1] = bytes;
}

static void a_thousand_reloads_lose_nobody_and_leave_nothing(void **state)
{
    struct os_thread *threads[VISITORS + STAYERS];
    uint64_t counted[2] = {0, 0}, reloads = test_scaled(RELOADS);
    for (size_t i = 0; i < 2; i++) {
        game_init(&servers[i], (char)('a' + i));
        game_start(&servers[i]);
    }
    struct relay_run *relay = relay_start_to(state, &servers[0].addr);
    uint16_t idle_port = net_free_port();
    memset(&load, 0, sizeof load);
    load.ports[0] = relay->addr;
    load.ports[1] = net_loopback(ADDR_IPV4, relay->port2);

    /* Once all files have been in effect, what may stay has come. */
    for (size_t i = 0; i < 4 * FILES; i++)
        reload_to(relay, i % FILES, idle_port);
    reload_to(relay, 0, idle_port);
    struct footprint before = footprint_take(relay);

    start_load(threads);
    for (uint64_t i = 0; i < reloads; i++) {
        reload_to(relay, os_random() % FILES, idle_port);
        if (i % 50 == 0)
            check_growth(relay, counted);
    }
    reload_to(relay, 0, idle_port);
    end_load(threads);
    print_message("%" PRIu64 " reloads, %" PRIu64 " visits, %" PRIu64 " questions\n", reloads,
                  atomic_load(&load.visits), atomic_load(&load.questions));
    assert_int_equal(atomic_load(&load.lost), 0);
    assert_true(atomic_load(&load.visits) > 0 && atomic_load(&load.questions) > 0);

    relay_wait_nothing_left(relay);
    reload_to(relay, 1, idle_port); /* frees what the last sessions have held */
    reload_to(relay, 0, idle_port);
    uint64_t sessions = atomic_load(&load.visits) + STAYERS;
    assert_int_equal(relay_stat(relay, "sessions_total"), sessions);
    assert_int_equal(relay_stat(relay, "sessions_ended_by_reason_total.client_fin"), sessions);
    assert_int_equal(relay_stat(relay, "sessions_refused_total"), 0);
    footprint_assert_same(relay, before);
    relay_end(relay);
    for (size_t i = 0; i < 2; i++)
        game_kill(&servers[i]);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_thousand_reloads_lose_nobody_and_leave_nothing,
                                  relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
