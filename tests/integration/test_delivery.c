/* A player who reads slowly gets everything that the server had sent before its end, whatever that
 * was, and whatever else ends the session meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

#define SMALL_BUFFER                                                                           \
    8192 /* of the player, so that it is the relay's system that has the rest */
#define MANY_BYTES 1000000 /* fits into that */
#define SOME_BYTES 300000
#define ATTEMPTS   5

static struct session open_slow(struct relay_run *relay, sock_t listener)
{
    struct session session;
    assert_int_equal(
        net_connect_small(&relay->addr, 0, SMALL_BUFFER, NET_PATIENCE_MS, &session.client),
        ERR_OK);
    assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &session.upstream), ERR_OK);
    return session;
}

/* The server has sent all, and the relay's system has it. */
static void hand_over(struct relay_run *relay, const struct session *session, size_t bytes,
                      uint64_t total)
{
    send_bytes(session->upstream, bytes);
    assert_true(relay_wait_stat(relay, "bytes_down_total", total));
}

/* Reads on, some every few milliseconds, for `for_ms`; gives the bytes. *longest_ms is the longest
 * time without any. */
static uint64_t read_slowly(sock_t sock, uint64_t for_ms, uint64_t *longest_ms)
{
    static unsigned char piece[10000];
    uint64_t bytes = 0, start_ms = os_mono_ms(), last_ms = start_ms;
    *longest_ms = 0;
    while (last_ms - start_ms < for_ms) {
        size_t got = 0;
        os_sleep_ms(50);
        if (net_receive(sock, piece, sizeof piece, NET_PATIENCE_MS, &got) != ERR_OK || got == 0)
            break;
        uint64_t now_ms = os_mono_ms();
        if (now_ms - last_ms > *longest_ms)
            *longest_ms = now_ms - last_ms;
        last_ms = now_ms;
        bytes += got;
    }
    return bytes;
}

static struct relay_run *start(void **state, sock_t *listener, const char *relay_keys,
                               const char *route_keys)
{
    struct addr upstream;
    *listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {.upstreams = &upstream,
                                      .upstream_count = 1,
                                      .relay_keys = relay_keys,
                                      .route_keys = route_keys};
    return relay_start(state, &setup);
}

/* ---- after the server's FIN ---- */

#define TIMEOUT_MS 1000 /* half_close_timeout */

/* False: this machine was so slow that the player was idle for long. */
static bool read_after_fin(struct relay_run *relay, sock_t listener, unsigned attempt)
{
    struct session session = open_slow(relay, listener);
    hand_over(relay, &session, MANY_BYTES, (uint64_t)attempt * MANY_BYTES);
    net_finish(session.upstream);
    uint64_t longest_ms, more = 0;
    uint64_t bytes = read_slowly(session.client, 3 * TIMEOUT_MS, &longest_ms);
    bool steady = longest_ms < TIMEOUT_MS / 2;
    enum net_end end = net_receive_end(session.client, NET_PATIENCE_MS, &more, NULL);
    if (steady) {
        assert_int_equal(bytes + more, MANY_BYTES);
        assert_string_equal(net_end_word(end), net_end_word(NET_END_FIN));
    }
    session_drop(&session);
    return steady;
}

static void who_reads_slowly_after_the_servers_fin_gets_everything(void **state)
{
    sock_t listener;
    struct relay_run *relay = start(state, &listener, NULL, "half_close_timeout = 1s\n");
    for (unsigned attempt = 1; !read_after_fin(relay, listener, attempt); attempt++)
        assert_true(attempt < ATTEMPTS);
    net_close(listener);
    relay_wait_nothing_left(relay);
    relay_end(relay);
}

static bool becomes_half_closed(struct relay_run *relay, sock_t client)
{
    uint64_t give_up_ms = os_mono_ms() + NET_PATIENCE_MS;
    bool is = false;
    while (!is && os_mono_ms() < give_up_ms) {
        json_t *sessions = relay_json(relay, "show sessions");
        is = strcmp(json_text(find_session(sessions, client), "phase"), "half_closed") == 0;
        json_decref(sessions);
    }
    return is;
}

static void a_relay_that_stops_leaves_it_to_its_system_to_deliver_the_rest(void **state)
{
    sock_t listener;
    struct relay_run *relay = start(state, &listener, "stop_timeout = 0s\n", NULL);
    struct session session = open_slow(relay, listener);
    hand_over(relay, &session, MANY_BYTES, MANY_BYTES);
    net_finish(session.upstream);
    assert_true(becomes_half_closed(relay, session.client));
    assert_int_equal(process_stop(relay->process), ERR_OK);
    expect_exit(relay);
    assert_int_equal(relay_count_log(relay, "reason=stopped phase=half_closed"), 1);
    expect_end(session.client, NET_END_FIN, MANY_BYTES);
    session_drop(&session);
    net_close(listener);
}

/* ---- before the server's reset ---- */

static void who_pauses_gets_everything_that_came_before_a_reset(void **state)
{
    sock_t listener;
    /* An old Windows does not tell when all is delivered: the reset then comes at this time. */
    struct relay_run *relay = start(state, &listener, NULL, "half_close_timeout = 6s\n");
    struct session session = open_slow(relay, listener);
    hand_over(relay, &session, SOME_BYTES, SOME_BYTES);
    net_reset(session.upstream);
    session.upstream = SOCK_NONE;
    os_sleep_ms(1000);
    expect_end(session.client, NET_END_RESET, SOME_BYTES);
    session_drop(&session);
    net_close(listener);
    relay_wait_nothing_left(relay);
    relay_end(relay);
}

/* ---- urgent bytes ---- */

static void an_urgent_byte_of_either_side_keeps_its_place_in_the_stream(void **state)
{
    sock_t listener;
    struct relay_run *relay = start(state, &listener, NULL, NULL);
    struct session session = session_open(&relay->addr, listener);
    sock_t ends[] = {session.client, session.upstream};
    for (size_t i = 0; i < 2; i++) {
        char text[11];
        assert_int_equal(net_send(ends[i], "before", 6, NET_PATIENCE_MS, NULL), ERR_OK);
        assert_int_equal(net_send_urgent(ends[i], '!'), ERR_OK);
        assert_int_equal(net_send(ends[i], "then", 4, NET_PATIENCE_MS, NULL), ERR_OK);
        assert_int_equal(net_receive_all(ends[1 - i], text, sizeof text, NET_PATIENCE_MS),
                         ERR_OK);
        assert_memory_equal(text, "before!then", sizeof text);
    }
    session_end(&session);
    net_close(listener);
    relay_end(relay);
}

#define DELIVERY_TEST(name) cmocka_unit_test_teardown(name, relay_teardown)

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        DELIVERY_TEST(who_reads_slowly_after_the_servers_fin_gets_everything),
        DELIVERY_TEST(a_relay_that_stops_leaves_it_to_its_system_to_deliver_the_rest),
        DELIVERY_TEST(who_pauses_gets_everything_that_came_before_a_reset),
        DELIVERY_TEST(an_urgent_byte_of_either_side_keeps_its_place_in_the_stream),
    };
    return cmocka_run_group_tests_name("delivery", tests, NULL, NULL);
}
