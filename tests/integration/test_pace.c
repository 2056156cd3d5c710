/* How fast sessions of the real program may move bytes: never faster than a rate says, for one
 * session, one client and one route, and every byte arrives. That it is not much slower either is
 * for the unit tests, whose clock does not depend on the machine. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"
#include "support/random.h"

#define PIECE 16384

/* A message that came into a buffer of its own is not held up, see flow.h. */
#define SLACK 8192

/* ---- streams through sessions ---- */

struct stream {
    sock_t from, to;
    uint64_t bytes;
    uint64_t seed;
    unsigned number; /* of its random bytes */
    struct os_thread *sender, *receiver;
    uint64_t came; /* right ones */
    enum err send_err, receive_err;
};

static void send_stream(void *arg)
{
    struct stream *stream = arg;
    unsigned char piece[PIECE];
    struct random random;
    random_init(&random, stream->seed, stream->number);
    for (uint64_t sent = 0; sent < stream->bytes && stream->send_err == ERR_OK; sent += PIECE) {
        random_fill(&random, piece, sizeof piece);
        uint64_t left = stream->bytes - sent;
        stream->send_err = net_send(stream->from, piece, left < PIECE ? (size_t)left : PIECE,
                                    NET_PATIENCE_MS, NULL);
    }
}

static void receive_stream(void *arg)
{
    struct stream *stream = arg;
    unsigned char expected[PIECE], piece[PIECE];
    struct random random;
    random_init(&random, stream->seed, stream->number);
    while (stream->came < stream->bytes) {
        uint64_t left = stream->bytes - stream->came;
        size_t len = left < PIECE ? (size_t)left : PIECE;
        random_fill(&random, expected, sizeof expected);
        stream->receive_err = net_receive_all(stream->to, piece, len, NET_PATIENCE_MS);
        if (stream->receive_err != ERR_OK || memcmp(piece, expected, len) != 0)
            return;
        stream->came += len;
    }
}

/* Runs all streams at once; the milliseconds until the last byte of the last one was there. */
static uint64_t run_streams(struct stream *streams, size_t count)
{
    uint64_t seed = random_test_seed();
    uint64_t began_ms = os_mono_ms();
    for (size_t i = 0; i < count; i++) {
        streams[i].seed = seed;
        streams[i].number = (unsigned)i;
        assert_int_equal(
            os_thread_start(&streams[i].receiver, "receiver", receive_stream, &streams[i]),
            ERR_OK);
        assert_int_equal(
            os_thread_start(&streams[i].sender, "sender", send_stream, &streams[i]), ERR_OK);
    }
    for (size_t i = 0; i < count; i++) {
        os_thread_join(streams[i].sender);
        os_thread_join(streams[i].receiver);
    }
    uint64_t took_ms = os_mono_ms() - began_ms;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(streams[i].send_err, ERR_OK);
        assert_int_equal(streams[i].receive_err, ERR_OK);
        assert_true(streams[i].came == streams[i].bytes);
    }
    return took_ms;
}

/* No more than a burst and what the rate gives in that time. */
static void expect_rate(uint64_t bytes, uint64_t took_ms, uint64_t rate, uint64_t burst)
{
    uint64_t allowed = burst + SLACK + rate * (took_ms + TICK_MS) / 1000;
    if (bytes > allowed)
        fail_msg("%" PRIu64 " bytes in %" PRIu64 " ms, where %" PRIu64 " may pass", bytes,
                 took_ms, allowed);
    print_message("%" PRIu64 " bytes in %" PRIu64 " ms: %" PRIu64 "%% of what may pass\n",
                  bytes, took_ms, bytes * 100 / allowed);
}

#define RATE  (400u * 1024)
#define BURST (64u * 1024)

struct paced {
    struct relay_run *relay;
    sock_t listener;
    struct session sessions[3];
};

static struct paced start_paced(void **state, const char *keys, size_t sessions)
{
    struct paced paced;
    struct addr upstream;
    paced.listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {.upstreams = &upstream,
                                      .upstream_count = 1,
                                      .relay_keys = "workers = 2\n",
                                      .route_keys = keys};
    paced.relay = relay_start(state, &setup);
    for (size_t i = 0; i < sessions; i++)
        paced.sessions[i] = session_open(&paced.relay->addr, paced.listener);
    return paced;
}

/* Both directions still end in order. */
static void end_paced(struct paced *paced, size_t sessions)
{
    for (size_t i = 0; i < sessions; i++)
        session_end(&paced->sessions[i]);
    net_close(paced->listener);
    relay_wait_nothing_left(paced->relay);
    assert_true(relay_stat(paced->relay, "paced_total") > 0);
    assert_int_equal(relay_stat(paced->relay, "sessions_ended_by_reason_total.client_fin"),
                     sessions);
    relay_end(paced->relay);
}

/* ---- the rates ---- */

static void rate_up_and_rate_down_hold_for_each_session(void **state)
{
    struct paced paced =
        start_paced(state, "rate_up = 400KB/s burst 64KB\nrate_down = 400KB/s burst 64KB\n", 2);
    uint64_t bytes = 3 * RATE;
    struct stream streams[] = {
        {.from = paced.sessions[0].client, .to = paced.sessions[0].upstream, .bytes = bytes},
        {.from = paced.sessions[0].upstream, .to = paced.sessions[0].client, .bytes = bytes},
        {.from = paced.sessions[1].client, .to = paced.sessions[1].upstream, .bytes = bytes},
    };
    /* The shortest of them took no longer, and the longest moved no more. */
    expect_rate(bytes, run_streams(streams, 3), RATE, BURST);
    end_paced(&paced, 2);
}

static void rate_up_per_client_holds_for_the_sum_of_its_sessions(void **state)
{
    struct paced paced =
        start_paced(state, "guard_exempt =\nrate_up_per_client = 400KB/s burst 64KB\n", 3);
    struct stream streams[3];
    for (size_t i = 0; i < 3; i++)
        streams[i] = (struct stream){
            .from = paced.sessions[i].client, .to = paced.sessions[i].upstream, .bytes = RATE};
    expect_rate(3 * RATE, run_streams(streams, 3), RATE, BURST);
    end_paced(&paced, 3);
}

static void rate_down_per_route_holds_for_the_sum_of_its_sessions(void **state)
{
    struct paced paced = start_paced(state, "rate_down_per_route = 400KB/s burst 64KB\n", 3);
    struct stream streams[3];
    for (size_t i = 0; i < 3; i++)
        streams[i] = (struct stream){
            .from = paced.sessions[i].upstream, .to = paced.sessions[i].client, .bytes = RATE};
    expect_rate(3 * RATE, run_streams(streams, 3), RATE, BURST);
    end_paced(&paced, 3);
}

/* Far more than timers could do in pieces of that burst. */
static void a_high_rate_is_no_higher_than_it_says(void **state)
{
    struct paced paced = start_paced(state, "rate_up = 20MB/s burst 256KB\n", 1);
    uint64_t rate = 20u * 1024 * 1024;
    struct stream stream = {
        .from = paced.sessions[0].client, .to = paced.sessions[0].upstream, .bytes = 2 * rate};
    /* A burst is at least 1/20 s of the rate. */
    expect_rate(2 * rate, run_streams(&stream, 1), rate, rate / 20);
    end_paced(&paced, 1);
}

/* ---- while it waits ---- */

static void a_session_that_waits_shows_why_and_can_be_killed(void **state)
{
    struct paced paced = start_paced(state, "rate_up = 1KB/s burst 4KB\n", 1);
    send_bytes(paced.sessions[0].client, 60000);
    bool seen = false;
    for (uint64_t began_ms = os_mono_ms();
         !seen && os_mono_ms() - began_ms < NET_PATIENCE_MS;) {
        json_t *root = relay_json(paced.relay, "show sessions");
        const json_t *session = find_session(root, paced.sessions[0].client);
        if (strcmp(json_text(session, "parked_up"), "rate_up") == 0) {
            assert_true(json_number_at(session, "parked_up_left_ms", 0) <= 1000);
            assert_false(json_is_true(json_object_get(session, "frozen")));
            seen = true;
        }
        json_decref(root);
    }
    assert_true(seen);
    assert_int_equal(relay_console(paced.relay, "kill route test", NULL, NULL), 0);
    assert_true(net_wait_reset(paced.sessions[0].client, NET_PATIENCE_MS));
    assert_true(net_wait_reset(paced.sessions[0].upstream, NET_PATIENCE_MS));
    session_drop(&paced.sessions[0]);
    net_close(paced.listener);
    relay_wait_nothing_left(paced.relay);
    relay_end(paced.relay);
}

static void a_client_that_resets_while_it_waits_is_noticed_and_passed_on(void **state)
{
    struct paced paced =
        start_paced(state, "rate_up = 1KB/s burst 4KB\nhalf_close_timeout = 5s\n", 1);
    send_bytes(paced.sessions[0].client, 8000);
    net_reset(paced.sessions[0].client);
    assert_true(net_wait_reset(paced.sessions[0].upstream, NET_PATIENCE_MS));
    net_close(paced.sessions[0].upstream);
    net_close(paced.listener);
    relay_wait_nothing_left(paced.relay);
    assert_int_equal(relay_stat(paced.relay, "sessions_ended_by_reason_total.client_reset"), 1);
    relay_end(paced.relay);
}

#define PACE_TEST(name) cmocka_unit_test_teardown(name, relay_teardown)

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        PACE_TEST(rate_up_and_rate_down_hold_for_each_session),
        PACE_TEST(rate_up_per_client_holds_for_the_sum_of_its_sessions),
        PACE_TEST(rate_down_per_route_holds_for_the_sum_of_its_sessions),
        PACE_TEST(a_high_rate_is_no_higher_than_it_says),
        PACE_TEST(a_session_that_waits_shows_why_and_can_be_killed),
        PACE_TEST(a_client_that_resets_while_it_waits_is_noticed_and_passed_on),
    };
    return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
