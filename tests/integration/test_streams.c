/* Many bytes, many sessions at once, many sessions one after the other: everything arrives,
 * and nothing of it stays behind. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "footprint.h"
#include "load_run.h"
#include "os/os.h"
#include "relay_run.h"
#include "support/net.h"
#include "support/random.h"

#define MB        (1024u * 1024)
#define PIECE_MAX 65536

/* ---- one long session ---- */

/* One end of a session sends or receives a stream in pieces of random size. */
struct stream {
    sock_t sock;
    uint64_t bytes;
    uint64_t seed;
    uint64_t number; /* of the random numbers */
    struct os_thread *thread;
    char digest[SHA256_HEX];
    uint64_t moved;
    enum err err;
};

static void send_stream(void *arg)
{
    struct stream *stream = arg;
    unsigned char *piece = malloc(PIECE_MAX);
    struct random random;
    struct sha256 sha;
    random_init(&random, stream->seed, stream->number);
    sha256_init(&sha);
    while (stream->moved < stream->bytes && stream->err == ERR_OK) {
        uint64_t left = stream->bytes - stream->moved;
        size_t len = (size_t)random_between(&random, 1, PIECE_MAX);
        if (len > left)
            len = (size_t)left;
        random_fill(&random, piece, len);
        sha256_add(&sha, piece, len);
        stream->err = net_send(stream->sock, piece, len, 10 * NET_PATIENCE_MS, NULL);
        stream->moved += len;
    }
    net_finish(stream->sock);
    sha256_finish(&sha, stream->digest);
    free(piece);
}

static void receive_stream(void *arg)
{
    struct stream *stream = arg;
    unsigned char *piece = malloc(PIECE_MAX);
    struct random random;
    struct sha256 sha;
    random_init(&random, stream->seed, stream->number);
    sha256_init(&sha);
    for (;;) {
        size_t got = 0;
        size_t size = (size_t)random_between(&random, 1, PIECE_MAX);
        stream->err = net_receive(stream->sock, piece, size, 10 * NET_PATIENCE_MS, &got);
        if (stream->err != ERR_OK || got == 0)
            break;
        sha256_add(&sha, piece, got);
        stream->moved += got;
    }
    sha256_finish(&sha, stream->digest);
    free(piece);
}

static void a_long_session_carries_every_byte_both_ways_in_pieces_of_any_size(void **state)
{
    uint64_t bytes = test_scaled(200ull * MB);
    uint64_t seed = random_test_seed();
    struct addr upstream = net_loopback(ADDR_IPV4, 0);
    sock_t listener, client, server;
    assert_int_equal(net_listen(&upstream, 8, &listener, &upstream), ERR_OK);
    struct relay_run *relay = relay_start_to(state, &upstream);
    assert_int_equal(net_connect(&relay->addr, NET_PATIENCE_MS, &client), ERR_OK);
    assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &server), ERR_OK);

    struct stream streams[4] = {
        {.sock = client, .bytes = bytes, .seed = seed, .number = 1},
        {.sock = server, .seed = seed, .number = 2},
        {.sock = server, .bytes = bytes, .seed = seed, .number = 3},
        {.sock = client, .seed = seed, .number = 4},
    };
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(os_thread_start(&streams[i].thread, "stream",
                                         i % 2 == 0 ? send_stream : receive_stream,
                                         &streams[i]),
                         ERR_OK);
    for (unsigned i = 0; i < 4; i++)
        os_thread_join(streams[i].thread);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(streams[i].err, ERR_OK);
        assert_true(streams[i].moved == bytes);
    }
    assert_string_equal(streams[0].digest, streams[1].digest);
    assert_string_equal(streams[2].digest, streams[3].digest);
    assert_string_not_equal(streams[0].digest, streams[2].digest);
    net_close(client);
    net_close(server);
    net_close(listener);

    relay_wait_nothing_left(relay);
    assert_true(relay_stat(relay, "bytes_up_total") == bytes);
    assert_true(relay_stat(relay, "bytes_down_total") == bytes);
    relay_end(relay);
}

/* ---- many sessions ---- */

/* The relay between a load generator and an echo server. */
struct many {
    struct relay_run *relay;
    struct echo_run echo;
};

static struct many start_many(void **state)
{
    struct many many;
    echo_run_start(&many.echo);
    const struct relay_setup setup = {.upstreams = &many.echo.addr,
                                      .upstream_count = 1,
                                      .relay_keys = "log_level = warning\n"};
    many.relay = relay_start(state, &setup);
    return many;
}

static void end_many(struct many *many)
{
    relay_end(many->relay);
    echo_run_stop(&many->echo);
}

static json_t *load(const struct many *many, const char *mode, const char *limit,
                    uint64_t value, uint64_t connections)
{
    return load_run(&many->relay->addr, mode, limit, value, connections);
}

static void thousands_of_sessions_at_once_each_get_their_own_bytes_back(void **state)
{
    uint64_t sessions = test_scaled(4500);
    struct many many = start_many(state);
    json_decref(load(&many, "connect", "--count", test_scaled(500), 16));
    if (test_on_wine()) /* which keeps the room for as many handles as there were once */
        json_decref(load(&many, "idle", "--duration", 1, sessions));
    struct footprint before = footprint_take(many.relay);

    json_t *report = load(&many, "idle", "--duration", 2, sessions);
    assert_true(json_number_at(report, "connections_ended_in_order_total", 0) == sessions);
    assert_true(json_number_at(report, "messages_total", 0) == 2 * sessions);
    json_decref(report);
    assert_true(relay_info(many.relay, "sessions_peak") == sessions);
    report = load(&many, "pingpong", "--count", 10 * sessions, sessions);
    assert_true(json_number_at(report, "messages_total", 0) == 10 * sessions);
    json_decref(report);

    footprint_assert_same(many.relay, before);
    end_many(&many);
}

static void sessions_by_the_ten_thousands_leave_nothing_behind(void **state)
{
    uint64_t sessions = test_scaled(50000);
    struct many many = start_many(state);
    json_decref(load(&many, "connect", "--count", test_scaled(1000), 64));
    struct footprint before = footprint_take(many.relay);
    uint64_t total = relay_stat(many.relay, "sessions_total");

    json_t *report = load(&many, "connect", "--count", sessions, 64);
    assert_true(json_number_at(report, "connections_ended_in_order_total", 0) == sessions);
    json_decref(report);

    footprint_assert_same(many.relay, before);
    assert_true(relay_stat(many.relay, "sessions_total") == total + sessions);
    end_many(&many);
}

int main(void)
{
    os_init();
    random_test_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(
            a_long_session_carries_every_byte_both_ways_in_pieces_of_any_size, relay_teardown),
        cmocka_unit_test_teardown(thousands_of_sessions_at_once_each_get_their_own_bytes_back,
                                  relay_teardown),
        cmocka_unit_test_teardown(sessions_by_the_ten_thousands_leave_nothing_behind,
                                  relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
