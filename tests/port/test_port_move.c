/* port_move_now(), as port.h promises it: in one piece from one socket to the other. */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

enum { ROOM = 256 * 1024 };

/* A way through the port: what `in` sends comes to `from`, and what is moved to `to` comes out
 * at `out`. */
struct way {
    struct rig *rig;
    sock_t in, from, to, out;
    unsigned char *buf;
};

static void open_way(struct rig *rig, struct way *way)
{
    way->rig = rig;
    rig_pair(rig, &way->from, &way->in);
    rig_pair(rig, &way->to, &way->out);
    way->buf = malloc(ROOM);
    assert_non_null(way->buf);
}

static void close_way(struct way *way)
{
    rig_close(way->rig->port, way->from);
    rig_close(way->rig->port, way->to);
    net_close(way->in);
    net_close(way->out);
    free(way->buf);
}

/* What was sent may still be on its way. */
static enum err move_soon(struct way *way, uint32_t len, struct port_move *move)
{
    enum err err;
    while ((err = port_move_now(way->rig->port, way->from, way->to, way->buf, len, move)) ==
           ERR_AGAIN) {
        struct op wait = rig_op(OP_READ, way->from, NULL, 0);
        assert_ok(rig_do(way->rig, &wait));
    }
    return err;
}

static void nothing_there_is_moved_later(void **state)
{
    struct way way;
    struct port_move move;
    open_way(*state, &way);
    for (uint32_t len = 1; len <= ROOM; len *= 4)
        assert_err(port_move_now(way.rig->port, way.from, way.to, way.buf, len, &move),
                   ERR_AGAIN);
    close_way(&way);
}

static void pieces_of_every_size_come_out_as_they_went_in(void **state)
{
    struct way way;
    open_way(*state, &way);
    struct random random;
    random_init(&random, random_test_seed(), 11);
    static unsigned char data[64 * 1024], got[sizeof data];
    for (int i = 0; i < 200; i++) {
        size_t size =
            random_between(&random, 1, random_chance(&random, 50) ? 300 : sizeof data);
        uint32_t room = (uint32_t)random_between(&random, 1, ROOM);
        random_fill(&random, data, size);
        assert_ok(net_send(way.in, data, size, NET_PATIENCE_MS, NULL));
        for (size_t moved = 0; moved < size;) {
            struct port_move move;
            assert_ok(move_soon(&way, room, &move));
            assert_ok(move.send_err);
            assert_in_range(move.got, 1, room);
            assert_int_equal(move.sent, move.got);
            moved += move.got;
        }
        assert_ok(net_receive_all(way.out, got, size, NET_PATIENCE_MS));
        assert_memory_equal(got, data, size);
    }
    close_way(&way);
}

struct stream {
    sock_t sock;
    uint64_t len, bytes;
    struct sha256 hash;
    enum net_end end;
};

static void send_stream(void *arg)
{
    struct stream *stream = arg;
    struct random random;
    static unsigned char data[300 * 1000];
    random_init(&random, random_test_seed(), 12);
    while (stream->bytes < stream->len) {
        size_t size = random_between(&random, 1, sizeof data);
        random_fill(&random, data, size);
        if (net_send(stream->sock, data, size, NET_PATIENCE_MS, NULL) != ERR_OK)
            return;
        sha256_add(&stream->hash, data, size);
        stream->bytes += size;
    }
    net_finish(stream->sock);
}

/* What is between the sink and its reader is full, or all of it is there: the reader begins. */
static atomic_uint full;

static void receive_stream(void *arg)
{
    struct stream *stream = arg;
    rig_reaches(&full, 1);
    stream->end = net_receive_end(stream->sock, NET_PATIENCE_MS, &stream->bytes, &stream->hash);
}

/* As a flow does it: what the sink does not take waits in a WRITE. Gives how often. */
static unsigned relay_to_end(struct way *way)
{
    unsigned waits = 0;
    for (;;) {
        struct port_move move;
        assert_ok(move_soon(way, ROOM, &move));
        if (move.got == 0)
            break;
        assert_ok(move.send_err);
        if (move.sent == move.got)
            continue;
        unsigned char *rest = malloc(move.got - move.sent);
        assert_non_null(rest);
        memcpy(rest, move.rest, move.got - move.sent);
        struct op write = rig_op(OP_WRITE, way->to, rest, move.got - move.sent);
        atomic_store(&full, 1);
        assert_ok(rig_do(way->rig, &write));
        free(rest);
        waits++;
    }
    assert_ok(sock_shutdown_send(way->to));
    atomic_store(&full, 1);
    return waits;
}

static void a_long_stream_to_a_slow_reader_loses_nothing(void **state)
{
    struct way way;
    open_way(*state, &way);
    struct stream sent = {.sock = way.in, .len = test_scaled(64 << 20)};
    struct stream received = {.sock = way.out};
    sha256_init(&sent.hash);
    sha256_init(&received.hash);
    struct os_thread *sender = rig_thread(send_stream, &sent);
    struct os_thread *receiver = rig_thread(receive_stream, &received);
    unsigned waits = relay_to_end(&way);
    os_thread_join(sender);
    os_thread_join(receiver);

    assert_int_equal(received.end, NET_END_FIN);
    assert_int_equal(received.bytes, sent.bytes);
    char hex_sent[SHA256_HEX], hex_received[SHA256_HEX];
    sha256_finish(&sent.hash, hex_sent);
    sha256_finish(&received.hash, hex_received);
    assert_string_equal(hex_received, hex_sent);
    if (!test_on_windows())
        assert_true(waits > 0); /* or the test has shown nothing of the rest */
    close_way(&way);
}

/* Bytes are left over where the sink breaks; the next way through the same worker must not
 * get them. */
static void what_a_broken_sink_leaves_goes_nowhere(void **state)
{
    struct way way, other;
    open_way(*state, &way);
    open_way(*state, &other);
    static unsigned char data[ROOM];
    memset(data, 'a', sizeof data);
    net_reset(way.out);
    way.out = SOCK_NONE;
    enum err err = ERR_OK;
    for (int i = 0; i < 1000 && err == ERR_OK; i++) { /* until the reset has come */
        struct port_move move;
        assert_ok(net_send(way.in, data, 1000, NET_PATIENCE_MS, NULL));
        assert_ok(net_send(way.in, data, 99000, NET_PATIENCE_MS, NULL));
        assert_ok(move_soon(&way, ROOM, &move));
        err = move.send_err;
        assert_true(err == ERR_OK || move.sent < move.got);
    }
    assert_err(err, ERR_RESET);

    unsigned char got[5];
    assert_ok(net_send(other.in, "clean", 5, NET_PATIENCE_MS, NULL));
    struct port_move move;
    assert_ok(move_soon(&other, ROOM, &move));
    assert_int_equal(move.sent, 5);
    assert_ok(net_receive_all(other.out, got, 5, NET_PATIENCE_MS));
    assert_memory_equal(got, "clean", 5);
    close_way(&way);
    close_way(&other);
}

static void a_source_that_was_reset_is_an_error_and_no_end(void **state)
{
    struct way way;
    open_way(*state, &way);
    struct op wait = rig_op(OP_READ, way.from, NULL, 0);
    rig_submit(way.rig, &wait);
    net_reset(way.in);
    way.in = SOCK_NONE;
    (void)rig_wait(way.rig, &wait);
    struct port_move move;
    assert_err(move_soon(&way, ROOM, &move), ERR_RESET);
    close_way(&way);
}

/* A receive stops before an urgent byte, and splice(2) does not get past it. */
static void an_urgent_byte_keeps_its_place_in_a_stream(void **state)
{
    struct way way;
    open_way(*state, &way);
    for (int i = 0; i < 20; i++) {
        unsigned char got[9];
        assert_ok(net_send(way.in, "1234", 4, NET_PATIENCE_MS, NULL));
        assert_ok(net_send_urgent(way.in, '!'));
        assert_ok(net_send(way.in, "5678", 4, NET_PATIENCE_MS, NULL));
        for (uint32_t moved = 0; moved < 9;) {
            struct port_move move;
            assert_ok(move_soon(&way, ROOM, &move));
            assert_int_equal(move.sent, move.got);
            moved += move.got;
        }
        assert_ok(net_receive_all(way.out, got, 9, NET_PATIENCE_MS));
        assert_memory_equal(got, "1234!5678", 9);
    }
    close_way(&way);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        rig_test(nothing_there_is_moved_later),
        rig_test(pieces_of_every_size_come_out_as_they_went_in),
        rig_test(a_long_stream_to_a_slow_reader_loses_nothing),
        rig_test(what_a_broken_sink_leaves_goes_nowhere),
        rig_test(a_source_that_was_reset_is_an_error_and_no_end),
        rig_test(an_urgent_byte_keeps_its_place_in_a_stream),
    };
    return cmocka_run_group_tests_name("port: move", tests, NULL, NULL);
}
