/* READ, with and without a length, as port.h promises it. */
#include <string.h>

#include "rig.h"

static void a_read_gets_bytes_that_are_there_already(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    assert_ok(net_send(peer, "hello", 5, NET_PATIENCE_MS, NULL));
    unsigned char buf[64];
    struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
    assert_ok(rig_do(rig, &read));
    assert_int_equal(read.bytes, 5);
    assert_memory_equal(buf, "hello", 5);
    assert_int_equal(read.raw, 0);
    rig_close(rig->port, sock);
    net_close(peer);
}

static void a_read_waits_for_bytes(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    unsigned char buf[64];
    struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
    rig_submit(rig, &read);
    for (int i = 0; i < 20; i++) {
        assert_false(rig_is_out(rig, &read, 1));
        char text[8] = {(char)('a' + i), 'x'};
        assert_ok(net_send(peer, text, 2, NET_PATIENCE_MS, NULL));
        assert_ok(rig_wait(rig, &read));
        assert_int_equal(read.bytes, 2);
        assert_memory_equal(buf, text, 2);
        rig_submit(rig, &read);
    }
    net_close(peer);
    assert_ok(rig_wait(rig, &read));
    assert_int_equal(read.bytes, 0);
    rig_close(rig->port, sock);
}

static void a_read_never_gets_more_than_its_length(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    assert_ok(net_send(peer, "abcdefghi", 9, NET_PATIENCE_MS, NULL));
    unsigned char buf[5] = {0};
    char got[16] = {0};
    size_t total = 0;
    struct op read = rig_op(OP_READ, sock, buf, 4);
    while (total < 9) {
        assert_ok(rig_do(rig, &read));
        assert_in_range(read.bytes, 1, 4);
        memcpy(got + total, buf, read.bytes);
        total += read.bytes;
    }
    assert_string_equal(got, "abcdefghi");
    assert_int_equal(buf[4], 0);
    rig_close(rig->port, sock);
    net_close(peer);
}

/* A receive that fills its buffer does not say whether more is there; if not, the next READ
 * has to wait as any other. */
static void a_read_after_a_full_one_waits_for_the_next_bytes(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    unsigned char buf[8];
    struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
    for (int i = 0; i < 10; i++) {
        assert_ok(net_send(peer, "12345678", 8, NET_PATIENCE_MS, NULL));
        for (size_t got = 0; got < 8; got += read.bytes) {
            assert_ok(rig_do(rig, &read));
            assert_int_not_equal(read.bytes, 0);
        }
        rig_submit(rig, &read);
        assert_false(rig_is_out(rig, &read, 2));
        assert_ok(net_send(peer, "x", 1, NET_PATIENCE_MS, NULL));
        assert_ok(rig_wait(rig, &read));
        assert_int_equal(read.bytes, 1);
    }
    rig_close(rig->port, sock);
    net_close(peer);
}

static void fin_stays(struct rig *rig, bool waited)
{
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    unsigned char buf[64];
    struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
    rig_submit(rig, &read);
    if (waited)
        assert_false(rig_is_out(rig, &read, 1));
    assert_ok(net_send(peer, "last", 4, NET_PATIENCE_MS, NULL));
    if (waited)
        assert_ok(rig_wait(rig, &read));
    net_finish(peer);
    assert_ok(rig_wait(rig, &read));
    assert_int_equal(read.bytes, 4);
    for (int i = 0; i < 3; i++) {
        assert_ok(rig_do(rig, &read));
        assert_int_equal(read.bytes, 0);
    }
    uint32_t got = 1;
    assert_ok(port_receive_now(rig->port, sock, buf, sizeof buf, &got));
    assert_int_equal(got, 0);
    struct op wait = rig_op(OP_READ, sock, NULL, 0);
    assert_ok(rig_do(rig, &wait));
    rig_close(rig->port, sock);
    net_close(peer);
}

static void fin_is_a_read_of_no_bytes_and_stays_so(void **state)
{
    fin_stays(*state, false);
    fin_stays(*state, true);
}

/* FIN arrives together with bytes that take several READs: a short one is not the last. */
static void fin_behind_many_bytes_is_seen_after_all_of_them(void **state)
{
    struct rig *rig = *state;
    unsigned char data[5000], buf[999];
    struct random random;
    random_init(&random, random_test_seed(), 1);
    random_fill(&random, data, sizeof data);
    for (int round = 0; round < 10; round++) {
        sock_t sock, peer;
        rig_pair(rig, &sock, &peer);
        unsigned char first[8];
        struct op read = rig_op(OP_READ, sock, first, sizeof first);
        rig_submit(rig, &read); /* registers the socket before the bytes come */
        assert_false(rig_is_out(rig, &read, 0));
        assert_ok(net_send(peer, data, sizeof data, NET_PATIENCE_MS, NULL));
        net_close(peer);
        assert_ok(rig_wait(rig, &read));
        struct sha256 want, got;
        sha256_init(&want);
        sha256_init(&got);
        sha256_add(&want, data, sizeof data);
        sha256_add(&got, first, read.bytes);
        uint64_t total = read.bytes;
        read = rig_op(OP_READ, sock, buf, sizeof buf);
        total += rig_read_to_end(rig, &read, &got);
        assert_int_equal(total, sizeof data);
        char want_hex[SHA256_HEX], got_hex[SHA256_HEX];
        sha256_finish(&want, want_hex);
        sha256_finish(&got, got_hex);
        assert_string_equal(want_hex, got_hex);
        rig_close(rig->port, sock);
    }
}

static void a_reset_ends_a_read_that_waits(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    unsigned char buf[64];
    struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
    rig_submit(rig, &read);
    net_reset(peer);
    assert_err(rig_wait(rig, &read), ERR_RESET);
    assert_int_equal(read.bytes, 0);
    assert_int_not_equal(read.raw, 0);
    rig_close(rig->port, sock);
}

static void a_reset_before_the_read_is_seen_by_it(void **state)
{
    struct rig *rig = *state;
    if (test_on_wine()) {
        print_message("skipped: Wine reads a reset that came while nothing waited as FIN\n");
        skip();
    }
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    net_reset(peer);
    assert_true(net_wait_reset(sock, NET_PATIENCE_MS));
    unsigned char buf[64];
    struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
    assert_err(rig_do(rig, &read), ERR_RESET);
    rig_close(rig->port, sock);
}

/* The system reports a reset once. When a WRITE got it, a READ must not take it for FIN. */
static void a_reset_that_a_write_has_seen_is_still_a_reset_for_the_read(void **state)
{
    struct rig *rig = *state;
    if (test_on_wine()) {
        print_message("skipped: Wine reads a reset that came while nothing waited as FIN\n");
        skip();
    }
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    net_reset(peer);
    assert_true(net_wait_reset(sock, NET_PATIENCE_MS));
    unsigned char buf[64] = {0};
    struct op write = rig_op(OP_WRITE, sock, buf, sizeof buf);
    assert_err(rig_do(rig, &write), ERR_RESET);
    struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
    assert_err(rig_do(rig, &read), ERR_RESET);
    rig_close(rig->port, sock);
}

static void a_read_without_length_waits_and_takes_nothing(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    struct op wait = rig_op(OP_READ, sock, NULL, 0);
    unsigned char buf[64];
    uint32_t got = 0;
    for (int i = 0; i < 20; i++) {
        /* It may come out without cause, but then nothing is there to be read. */
        rig_submit(rig, &wait);
        while (rig_is_out(rig, &wait, 2)) {
            assert_ok(wait.err);
            assert_err(port_receive_now(rig->port, sock, buf, sizeof buf, &got), ERR_AGAIN);
            rig_submit(rig, &wait);
        }
        assert_ok(net_send(peer, "bytes", 5, NET_PATIENCE_MS, NULL));
        assert_ok(rig_wait(rig, &wait));
        assert_int_equal(wait.bytes, 0);
        assert_ok(port_receive_now(rig->port, sock, buf, sizeof buf, &got));
        assert_int_equal(got, 5);
        assert_memory_equal(buf, "bytes", 5);
    }
    rig_close(rig->port, sock);
    net_close(peer);
}

static void a_read_without_length_comes_out_again_while_bytes_are_left(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    struct op wait = rig_op(OP_READ, sock, NULL, 0);
    assert_ok(net_send(peer, "abc", 3, NET_PATIENCE_MS, NULL));
    for (int i = 0; i < 3; i++) {
        assert_ok(rig_do(rig, &wait));
        assert_ok(rig_do(rig, &wait));
        unsigned char byte;
        struct op read = rig_op(OP_READ, sock, &byte, 1);
        assert_ok(rig_do(rig, &read));
        assert_int_equal(byte, "abc"[i]);
    }
    rig_close(rig->port, sock);
    net_close(peer);
}

static void a_read_without_length_sees_fin(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    struct op wait = rig_op(OP_READ, sock, NULL, 0);
    rig_submit(rig, &wait);
    net_finish(peer);
    assert_ok(rig_wait(rig, &wait));
    unsigned char buf[8];
    struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
    assert_ok(rig_do(rig, &read));
    assert_int_equal(read.bytes, 0);
    rig_close(rig->port, sock);
    net_close(peer);
}

/* The reset may be the result already, or be left to the READ that follows. */
static void a_read_without_length_sees_a_reset(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    struct op wait = rig_op(OP_READ, sock, NULL, 0);
    rig_submit(rig, &wait);
    assert_false(rig_is_out(rig, &wait, 1));
    net_reset(peer);
    enum err err = rig_wait(rig, &wait);
    if (err != ERR_RESET) {
        assert_ok(err);
        unsigned char buf[8];
        struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
        assert_err(rig_do(rig, &read), ERR_RESET);
    }
    rig_close(rig->port, sock);
}

/* Receives without an operation; what was sent may still be on its way. */
static uint32_t receive_soon(struct rig *rig, sock_t sock, void *buf, uint32_t len)
{
    uint32_t got = 0;
    enum err err;
    while ((err = port_receive_now(rig->port, sock, buf, len, &got)) == ERR_AGAIN)
        rig_turn(rig, PORT_BATCH, 1); /* the port has to notice */
    assert_ok(err);
    return got;
}

static void a_receive_without_operation_never_waits(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    unsigned char buf[64];
    uint32_t got = 0;
    for (int i = 0; i < 20; i++) {
        assert_err(port_receive_now(rig->port, sock, buf, sizeof buf, &got), ERR_AGAIN);
        assert_ok(net_send(peer, "now", 3, NET_PATIENCE_MS, NULL));
        if (i % 2) { /* with the socket registered and, the first time, without */
            struct op wait = rig_op(OP_READ, sock, NULL, 0);
            assert_ok(rig_do(rig, &wait));
        }
        assert_int_equal(receive_soon(rig, sock, buf, sizeof buf), 3);
        assert_memory_equal(buf, "now", 3);
    }
    net_finish(peer);
    assert_int_equal(receive_soon(rig, sock, buf, sizeof buf), 0);
    rig_close(rig->port, sock);
    net_close(peer);
}

static void what_was_only_looked_at_is_received_later(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    unsigned char buf[64];
    uint32_t got = 0;
    for (int i = 0; i < 5; i++) {
        assert_err(port_peek_now(rig->port, sock, buf, sizeof buf, &got), ERR_AGAIN);
        assert_ok(net_send(peer, "look at this", 12, NET_PATIENCE_MS, NULL));
        struct op wait = rig_op(OP_READ, sock, NULL, 0);
        assert_ok(rig_do(rig, &wait));
        for (uint32_t room = 4; room <= 64; room *= 4) {
            assert_ok(port_peek_now(rig->port, sock, buf, room, &got));
            assert_int_equal(got, room < 12 ? room : 12);
            assert_memory_equal(buf, "look at this", got);
        }
        assert_ok(rig_do(rig, &wait)); /* it is still there */
        assert_int_equal(receive_soon(rig, sock, buf, 5), 5);
        assert_memory_equal(buf, "look ", 5);
        assert_ok(port_peek_now(rig->port, sock, buf, sizeof buf, &got));
        assert_int_equal(got, 7);
        assert_int_equal(receive_soon(rig, sock, buf, 7), 7);
        assert_memory_equal(buf, "at this", 7);
    }
    net_finish(peer);
    struct op wait = rig_op(OP_READ, sock, NULL, 0);
    assert_ok(rig_do(rig, &wait));
    for (int i = 0; i < 2; i++) {
        assert_ok(port_peek_now(rig->port, sock, buf, sizeof buf, &got));
        assert_int_equal(got, 0);
    }
    rig_close(rig->port, sock);
    net_close(peer);
}

/* Bytes that come while no READ waits make no new edge later; they must be remembered. */
static void bytes_that_come_between_reads_are_never_missed(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    struct random random;
    random_init(&random, random_test_seed(), 2);
    unsigned char data[400], buf[300];
    size_t sent = 0, got = 0;
    struct op read = rig_op(OP_READ, sock, buf, 1);
    unsigned rounds = (unsigned)test_scaled(20000);
    for (unsigned i = 0; i < rounds; i++) {
        switch (random_below(&random, 4)) {
        case 0: /* the other end sends something */
            if (sent - got < 100000) {
                size_t len = random_between(&random, 1, sizeof data);
                for (size_t j = 0; j < len; j++)
                    data[j] = (unsigned char)((sent + j) * 7);
                assert_ok(net_send(peer, data, len, NET_PATIENCE_MS, NULL));
                sent += len;
            }
            break;
        case 1: /* a turn without READ: edges come and are remembered */
            if (!read.in_flight)
                rig_turn(rig, PORT_BATCH, 0);
            break;
        default: /* a READ of any kind; with bytes on their way it must come out */
            read.len = (uint32_t)random_below(&random, sizeof buf + 1);
            if (sent == got) {
                uint32_t none;
                assert_err(port_receive_now(rig->port, sock, buf, sizeof buf, &none),
                           ERR_AGAIN);
                break;
            }
            assert_ok(rig_do(rig, &read));
            if (read.len > 0)
                assert_int_not_equal(read.bytes, 0);
            for (size_t j = 0; j < read.bytes; j++)
                assert_int_equal(buf[j], (unsigned char)((got + j) * 7));
            got += read.bytes;
        }
    }
    read.len = sizeof buf;
    while (got < sent) {
        assert_ok(rig_do(rig, &read));
        got += read.bytes;
    }
    rig_close(rig->port, sock);
    net_close(peer);
}

/* A receive stops before an urgent byte, though it is in the stream and more follows. */
static void an_urgent_byte_stays_in_the_stream_and_holds_nothing_back(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    unsigned char buf[64];
    struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
    rig_submit(rig, &read);
    assert_false(rig_is_out(rig, &read, 1));
    assert_ok(net_send(peer, "start", 5, NET_PATIENCE_MS, NULL));
    assert_ok(rig_wait(rig, &read));
    for (int i = 0; i < 50; i++) {
        assert_ok(net_send(peer, "before", 6, NET_PATIENCE_MS, NULL));
        assert_ok(net_send_urgent(peer, '!'));
        assert_ok(net_send(peer, "after", 5, NET_PATIENCE_MS, NULL));
        char text[12];
        for (size_t total = 0; total < 12; total += read.bytes) {
            assert_ok(rig_do(rig, &read));
            assert_in_range(read.bytes, 1, 12 - total);
            memcpy(text + total, buf, read.bytes);
        }
        assert_memory_equal(text, "before!after", 12);
    }
    rig_close(rig->port, sock);
    net_close(peer);
}

static uint64_t receive_calls(struct rig *rig, struct op *read)
{
    uint64_t before = rig_stats(rig->port).reads_total;
    assert_ok(rig_do(rig, read));
    return rig_stats(rig->port).reads_total - before;
}

static void a_read_with_room_saves_a_call_where_the_port_says_so(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    unsigned char buf[64];
    struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
    assert_ok(net_send(peer, "first", 5, NET_PATIENCE_MS, NULL));
    uint64_t with_room = receive_calls(rig, &read);
    assert_int_equal(read.bytes, 5);

    read.len = 0;
    assert_ok(net_send(peer, "second", 6, NET_PATIENCE_MS, NULL));
    uint64_t without = receive_calls(rig, &read) + 1; /* which then has to be made */
    assert_true(with_room > 0);
    assert_int_equal(with_room < without, port_reads_into_buffers());
    rig_close(rig->port, sock);
    net_close(peer);
}

int main(void)
{
    os_init();
    random_test_seed();
    const struct CMUnitTest tests[] = {
        rig_test(a_read_gets_bytes_that_are_there_already),
        rig_test(a_read_waits_for_bytes),
        rig_test(a_read_never_gets_more_than_its_length),
        rig_test(a_read_after_a_full_one_waits_for_the_next_bytes),
        rig_test(fin_is_a_read_of_no_bytes_and_stays_so),
        rig_test(fin_behind_many_bytes_is_seen_after_all_of_them),
        rig_test(a_reset_ends_a_read_that_waits),
        rig_test(a_reset_before_the_read_is_seen_by_it),
        rig_test(a_reset_that_a_write_has_seen_is_still_a_reset_for_the_read),
        rig_test(a_read_without_length_waits_and_takes_nothing),
        rig_test(a_read_without_length_comes_out_again_while_bytes_are_left),
        rig_test(a_read_without_length_sees_fin),
        rig_test(a_read_without_length_sees_a_reset),
        rig_test(a_receive_without_operation_never_waits),
        rig_test(what_was_only_looked_at_is_received_later),
        rig_test(bytes_that_come_between_reads_are_never_missed),
        rig_test(an_urgent_byte_stays_in_the_stream_and_holds_nothing_back),
        rig_test(a_read_with_room_saves_a_call_where_the_port_says_so),
    };
    return cmocka_run_group_tests_name("port: read", tests, NULL, NULL);
}
