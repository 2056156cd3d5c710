/* What the relay takes from the machine: memory behind stalled readers and for idle sessions,
 * wakeups while nothing happens. Runs alone, since it measures. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "load_run.h"
#include "os/os.h"
#include "relay_run.h"
#include "support/net.h"

#define KB 1024u
#define MB (1024u * KB)

#define FEW 50 /* sessions */

struct session {
    sock_t client;
    sock_t upstream;
};

static sock_t listen_upstream(struct addr *addr)
{
    sock_t listener;
    *addr = net_loopback(ADDR_IPV4, 0);
    assert_int_equal(net_listen(addr, 256, &listener, addr), ERR_OK);
    return listener;
}

static void open_sessions(const struct relay_run *relay, sock_t listener,
                          struct session sessions[FEW])
{
    for (unsigned i = 0; i < FEW; i++) {
        assert_int_equal(net_connect(&relay->addr, NET_PATIENCE_MS, &sessions[i].client),
                         ERR_OK);
        assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &sessions[i].upstream), ERR_OK);
    }
}

static void close_sessions(struct session sessions[FEW])
{
    for (unsigned i = 0; i < FEW; i++) {
        net_close(sessions[i].client);
        net_close(sessions[i].upstream);
    }
}

/* ---- a flood ---- */

struct flood {
    struct session *session;
    struct os_thread *thread;
    uint64_t sent;
    enum err err;
};

static void flood_client(void *arg)
{
    struct flood *flood = arg;
    flood->err = net_send_until_full(flood->session->upstream, 1000, &flood->sent);
}

static void stalled_readers_behind_a_flood_hold_bounded_memory(void **state)
{
    struct addr upstream;
    sock_t listener = listen_upstream(&upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    uint64_t before = process_resident_bytes(relay->process);
    struct session sessions[FEW];
    struct flood floods[FEW];
    open_sessions(relay, listener, sessions);
    for (unsigned i = 0; i < FEW; i++) {
        floods[i] = (struct flood){.session = &sessions[i]};
        assert_int_equal(os_thread_start(&floods[i].thread, "flood", flood_client, &floods[i]),
                         ERR_OK);
    }
    uint64_t total = 0;
    for (unsigned i = 0; i < FEW; i++) {
        os_thread_join(floods[i].thread);
        assert_int_equal(floods[i].err, ERR_OK);
        total += floods[i].sent;
    }
    uint64_t resident = process_resident_bytes(relay->process);
    print_message("%" PRIu64 " MB were sent to %u readers that stall; resident: %" PRIu64
                  " KB before, %" PRIu64 " KB now\n",
                  total / MB, FEW, before / KB, resident / KB);
    assert_true(total > FEW * 100 * KB); /* it was a flood, and every reader stalls */
    if (test_on_wine())                  /* which needs tens of megabytes for itself */
        assert_in_range(resident, 0, before + 20 * MB);
    else if (!test_under_sanitizer())
        assert_in_range(resident, 0, 40 * MB);

    /* No byte is lost on those that read after all. */
    for (unsigned i = 0; i < FEW; i += 10) {
        uint64_t got = 0;
        net_finish(sessions[i].upstream);
        assert_int_equal(net_receive_end(sessions[i].client, NET_PATIENCE_MS, &got, NULL),
                         NET_END_FIN);
        assert_true(got == floods[i].sent);
    }
    close_sessions(sessions);
    net_close(listener);
    relay_wait_nothing_left(relay);
    relay_end(relay);
}

/* ---- idle sessions ---- */

#define WATCH_MS 4000
#define WATCHES  5
#define SLEEPS   20.0 /* wakeups a second of a process that sleeps */

/* Wakeups of the whole process in a second, averaged over WATCH_MS. */
static double measure_wakeups(const struct relay_run *relay)
{
    uint64_t before = 0;
    uint64_t after = 0;
    uint64_t start = os_mono_us();
    assert_true(process_sleeps(relay->process, &before));
    os_sleep_ms(WATCH_MS);
    assert_true(process_sleeps(relay->process, &after));
    return ((double)after - (double)before) * 1e6 / (double)(os_mono_us() - start);
}

static void idle_sessions_let_the_processor_sleep(void **state)
{
    if (test_on_windows()) {
        print_message("Windows does not tell how often a process wakes up\n");
        skip();
    }
    struct addr upstream;
    sock_t listener = listen_upstream(&upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    struct session sessions[FEW];
    open_sessions(relay, listener, sessions);
    /* What was before the watch may still end in it: a console's thread, workers that helped. */
    double wakeups = SLEEPS + 1;
    for (unsigned i = 0; i < WATCHES && wakeups > SLEEPS; i++) {
        wakeups = measure_wakeups(relay);
        print_message("%u idle sessions: %.1f wakeups a second\n", FEW, wakeups);
    }
    assert_true(wakeups <= SLEEPS);
    assert_int_equal(relay_info(relay, "sessions_open"), FEW);
    close_sessions(sessions);
    net_close(listener);
    relay_wait_nothing_left(relay);
    relay_end(relay);
}

/* Clients of one process: each has one message echoed, then it is idle. `all` sessions are open
 * then. Returns what the relay holds resident. */
static uint64_t idle_clients(struct relay_run *relay, unsigned count, unsigned all,
                             struct process **clients)
{
    char words[128], target[ADDR_TEXT_MAX];
    str_format(words, sizeof words, "idle %s --connections %u --duration 1h",
               addr_format(&relay->addr, target), count);
    *clients = start_pairload(relay->dir, "clients", words);
    assert_true(relay_wait_info(relay, "sessions_open", all));
    assert_true(relay_wait_info(relay, "buffers_in_use", 0));
    uint64_t start = os_mono_ms();
    while (relay_stat(relay, "bytes_down_total") < (uint64_t)all * 128)
        assert_true(os_mono_ms() - start < NET_PATIENCE_MS);
    return process_resident_bytes(relay->process);
}

static void stop_clients(struct process *clients)
{
    int code = -1;
    assert_int_equal(process_stop(clients), ERR_OK);
    assert_true(process_wait(clients, NET_PATIENCE_MS, &code));
    assert_int_equal(code, 0);
    process_free(clients);
}

/* What sessions need besides their own memory (buffers, stacks that are touched) is there with
 * the first of them; those that follow are measured. */
static void an_idle_session_holds_little_memory(void **state)
{
    enum { FIRST = 500, MORE = 1500 };
    struct echo_run echo;
    echo_run_start(&echo);
    struct relay_run *relay = relay_start_to(state, &echo.addr);
    struct process *first, *more;
    uint64_t before = idle_clients(relay, FIRST, FIRST, &first);
    uint64_t resident = idle_clients(relay, MORE, FIRST + MORE, &more);
    uint64_t each = resident > before ? (resident - before) / MORE : 0;
    print_message("%u idle sessions: %" PRIu64 " bytes resident each (%" PRIu64
                  " KB before, %" PRIu64 " KB now)\n",
                  MORE, each, before / KB, resident / KB);
    if (!test_under_sanitizer())
        assert_in_range(each, 0, 3 * KB);
    stop_clients(more);
    stop_clients(first);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    echo_run_stop(&echo);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(stalled_readers_behind_a_flood_hold_bounded_memory,
                                  relay_teardown),
        cmocka_unit_test_teardown(idle_sessions_let_the_processor_sleep, relay_teardown),
        cmocka_unit_test_teardown(an_idle_session_holds_little_memory, relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
