/* Health checks that say something and look at the answer: what the relay makes of every kind of
 * server, and that a check leaves nothing behind. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "footprint.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"
#include "support/platform.h"

/* ---- a server that answers as it is told ---- */

enum manner {
    ANSWERS_RIGHT,
    ANSWERS_IN_PIECES,
    ANSWERS_MORE, /* than is expected */
    ANSWERS_WRONG,
    SAYS_HALF, /* and finishes */
    IS_SILENT,
    FINISHES,
    RESETS,
    REFUSES /* its listener is closed */
};

static struct checked {
    struct addr addr;
    struct os_thread *thread;
    sock_t listener;
    _Atomic int manner;
    _Atomic bool stop;
    _Atomic uint32_t asked;   /* checks that said what they should */
    _Atomic uint32_t unasked; /* and that did not */
} checked;

#define QUESTION "PING\r\n"
#define ANSWER   "PONG\r\n"

static void say(sock_t sock, const char *text)
{
    (void)net_send(sock, text, strlen(text), NET_PATIENCE_MS, NULL);
}

static void answer(sock_t sock, enum manner manner)
{
    switch (manner) {
    case ANSWERS_RIGHT: say(sock, ANSWER); break;
    case ANSWERS_IN_PIECES:
        for (const char *at = ANSWER; *at != '\0'; at++) {
            (void)net_send(sock, at, 1, NET_PATIENCE_MS, NULL);
            os_sleep_ms(10);
        }
        break;
    case ANSWERS_MORE: say(sock, ANSWER "and more than that"); break;
    case ANSWERS_WRONG: say(sock, "POSH\r\n"); break;
    case SAYS_HALF: say(sock, "PON"); break;
    case IS_SILENT:
    case FINISHES:
    case RESETS:
    case REFUSES: break;
    }
}

static void end(sock_t sock, enum manner manner)
{
    char byte;
    size_t got;
    if (manner == RESETS) {
        net_reset(sock);
        return;
    }
    if (manner == FINISHES || manner == SAYS_HALF)
        net_finish(sock);
    (void)net_receive(sock, &byte, 1, NET_PATIENCE_MS, &got); /* until the check ends it */
    net_close(sock);
}

static void serve(sock_t sock)
{
    char question[sizeof QUESTION - 1];
    enum manner manner = (enum manner)atomic_load(&checked.manner);
    if (net_receive_all(sock, question, sizeof question, NET_PATIENCE_MS) == ERR_OK &&
        memcmp(question, QUESTION, sizeof question) == 0)
        atomic_fetch_add(&checked.asked, 1);
    else
        atomic_fetch_add(&checked.unasked, 1);
    answer(sock, manner);
    end(sock, manner);
}

static void open_or_close(void)
{
    bool refuses = atomic_load(&checked.manner) == REFUSES;
    if (refuses && checked.listener != SOCK_NONE) {
        net_close(checked.listener);
        checked.listener = SOCK_NONE;
    } else if (!refuses && checked.listener == SOCK_NONE) {
        if (net_listen(&checked.addr, 64, &checked.listener, NULL) != ERR_OK)
            checked.listener = SOCK_NONE; /* tries again */
    }
}

static void be_checked(void *arg)
{
    (void)arg;
    while (!atomic_load(&checked.stop)) {
        sock_t sock;
        open_or_close();
        if (checked.listener == SOCK_NONE)
            os_sleep_ms(5);
        else if (net_accept(checked.listener, 5, &sock) == ERR_OK)
            serve(sock);
    }
    net_close(checked.listener);
}

static void start_server(enum manner manner)
{
    memset(&checked, 0, sizeof checked);
    checked.listener = SOCK_NONE;
    checked.addr = net_loopback(ADDR_IPV4, net_free_port());
    atomic_store(&checked.manner, manner);
    open_or_close();
    assert_int_equal(os_thread_start(&checked.thread, "checked", be_checked, NULL), ERR_OK);
}

static void end_server(void)
{
    atomic_store(&checked.stop, true);
    os_thread_join(checked.thread);
}

/* ---- what the relay says of it ---- */

static struct relay_run *start_relay(void **state, const struct addr *upstream,
                                     const char *health)
{
    char keys[256];
    str_format(keys, sizeof keys, "health = tcp %s\n", health);
    const struct relay_setup setup = {
        .upstreams = upstream, .upstream_count = 1, .route_keys = keys};
    return relay_start(state, &setup);
}

/* Waits for one more line like this. */
static void expect_verdict(struct relay_run *relay, const char *state, const char *code,
                           unsigned before)
{
    char text[64];
    str_format(text, sizeof text, ": %s ", code);
    uint64_t start = os_mono_ms();
    while (relay_count_log(relay, text) == before) {
        if (os_mono_ms() - start > NET_PATIENCE_MS)
            fail_msg("the log does not say that the server is %s by %s", state, code);
        os_sleep_ms(10);
    }
    char *log = relay_log(relay);
    const char *line = log;
    for (const char *at = log; (at = strstr(at, text)) != NULL; at++)
        line = at;
    while (line > log && line[-1] != '\n')
        line--;
    char wanted[64];
    str_format(wanted, sizeof wanted, "' is %s, was ", state);
    if (strstr(line, wanted) == NULL)
        fail_msg("the log does not say '%s', but: %s", wanted, line);
    free(log);
}

static unsigned count_verdicts(struct relay_run *relay, const char *code)
{
    char text[64];
    str_format(text, sizeof text, ": %s ", code);
    return relay_count_log(relay, text);
}

static void change_manner(struct relay_run *relay, enum manner manner, const char *state,
                          const char *code)
{
    unsigned before = count_verdicts(relay, code);
    atomic_store(&checked.manner, manner);
    expect_verdict(relay, state, code, before);
}

static void every_kind_of_answer_has_its_verdict(void **state)
{
    static const struct {
        enum manner good;
        enum manner bad;
        const char *code;
    } rounds[] = {
        {ANSWERS_IN_PIECES, ANSWERS_WRONG, "L7RSP"},
        {ANSWERS_MORE, SAYS_HALF, "L7RSP"},
        {ANSWERS_RIGHT, IS_SILENT, "L7TOUT"},
        {ANSWERS_RIGHT, FINISHES, "L7RSP"},
        {ANSWERS_RIGHT, RESETS, "L7RSP"},
        {ANSWERS_RIGHT, REFUSES, "L4CON"},
        {ANSWERS_IN_PIECES, IS_SILENT, "L7TOUT"},
    };
    start_server(ANSWERS_WRONG);
    struct relay_run *relay =
        start_relay(state, &checked.addr,
                    "interval=500ms timeout=400ms fast=100ms fall=2 rise=2 "
                    "send=\"PING\\r\\n\" expect=\"PONG\\r\\n\"");
    expect_log(relay, ": L7RSP the answer was another one, or the connection ended before it "
                      "(first check)");
    struct footprint before = footprint_take(relay);
    for (size_t i = 0; i < sizeof rounds / sizeof rounds[0]; i++) {
        change_manner(relay, rounds[i].good, "UP", "L7OK");
        change_manner(relay, rounds[i].bad, "DOWN", rounds[i].code);
    }
    change_manner(relay, ANSWERS_RIGHT, "UP", "L7OK");
    assert_true(atomic_load(&checked.asked) > 20);
    assert_int_equal(atomic_load(&checked.unasked), 0);
    footprint_assert_same(relay, before);
    relay_end(relay);
    end_server();
}

static void a_server_that_does_not_answer_the_connect_is_down(void **state)
{
    struct net_deaf deaf;
    upstream_deaf(&deaf);
    struct relay_run *relay =
        start_relay(state, &deaf.addr, "interval=500ms timeout=300ms fast=100ms");
    expect_log(relay, "is DOWN, was UP for ");
    expect_log(relay, ": L4TOUT ");
    expect_refused_client(&relay->addr, NULL);
    assert_true(relay_wait_stat(relay, "sessions_refused_by_reason_total.no_upstream", 1));
    relay_end(relay);
    net_deaf_close(&deaf);
}

/* ---- checks that only connect ---- */

#define DOORS 10

static uint64_t count_checks(struct relay_run *relay)
{
    json_t *root = relay_json(relay, "show upstreams");
    uint64_t checks = 0;
    for (size_t i = 0; i < DOORS; i++) {
        json_t *upstream = json_array_get(json_object_get(root, "upstreams"), i);
        json_t *server = json_array_get(json_object_get(upstream, "servers"), 0);
        checks += json_number_at(server, "check.checks_total", 0) -
                  json_number_at(server, "check.failures_total", 0);
    }
    json_decref(root);
    return checks;
}

/* Takes all connections that the listener has; they never say anything. */
static uint64_t take_all(sock_t listener)
{
    uint64_t accepted = 0;
    sock_t sock;
    while (net_accept(listener, 0, &sock) == ERR_OK) {
        uint64_t bytes = 0;
        accepted++;
        assert_int_not_equal(net_receive_end(sock, NET_PATIENCE_MS, &bytes, NULL),
                             NET_END_NONE);
        assert_int_equal(bytes, 0);
        net_close(sock);
    }
    return accepted;
}

/* On Windows they are accepted. On Linux one may be where the relay had to wait for a processor. */
static void a_server_never_accepts_a_check_that_says_nothing(void **state)
{
    struct addr all = {.family = ADDR_IPV4, .port = net_free_port()};
    struct addr doors[DOORS];
    sock_t listener;
    assert_int_equal(net_listen(&all, 512, &listener, NULL), ERR_OK);
    for (size_t i = 0; i < DOORS; i++) {
        doors[i] = net_loopback(ADDR_IPV4, all.port);
        doors[i].ip[3] = (uint8_t)(1 + i);
    }
    const struct relay_setup setup = {.upstreams = doors,
                                      .upstream_count = DOORS,
                                      .route_keys = "health = tcp interval=100ms\n"};
    struct relay_run *relay = relay_start(state, &setup);
    uint64_t accepted = 0;
    uint64_t checks = 0;
    uint64_t start = os_mono_ms();
    while ((checks = count_checks(relay)) < test_scaled(300)) {
        accepted += take_all(listener);
        assert_true(os_mono_ms() - start < NET_PATIENCE_MS);
        os_sleep_ms(50);
    }
    relay_end(relay);
    accepted += take_all(listener);
    if (!test_on_windows())
        assert_in_range(accepted, 0, checks / 10);
    net_close(listener);
}

static void a_stop_does_not_wait_for_checks(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay =
        start_relay(state, &upstream, "interval=50s timeout=50s send=\"PING\" expect=\"PONG\"");
    sock_t check;
    assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &check), ERR_OK);
    char question[4];
    assert_int_equal(net_receive_all(check, question, 4, NET_PATIENCE_MS), ERR_OK);
    uint64_t start = os_mono_ms();
    relay_end(relay);
    assert_in_range(os_mono_ms() - start, 0, 20000);
    net_close(check);
    net_close(listener);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_kind_of_answer_has_its_verdict, relay_teardown),
        cmocka_unit_test_teardown(a_server_that_does_not_answer_the_connect_is_down,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_server_never_accepts_a_check_that_says_nothing,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_stop_does_not_wait_for_checks, relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
