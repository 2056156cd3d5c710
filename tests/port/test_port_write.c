/* WRITE and the end of sending, as port.h promises it. */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

static void a_write_sends_all_of_it(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    unsigned char buf[1000], got[1000];
    struct random random;
    random_init(&random, random_test_seed(), 1);
    for (int i = 0; i < 50; i++) {
        size_t len = random_between(&random, 1, sizeof buf);
        random_fill(&random, buf, len);
        struct op write = rig_op(OP_WRITE, sock, buf, len);
        assert_ok(rig_do(rig, &write));
        assert_int_equal(write.bytes, len);
        assert_int_equal(write.raw, 0);
        assert_ok(net_receive_all(peer, got, len, NET_PATIENCE_MS));
        assert_memory_equal(got, buf, len);
    }
    rig_close(rig->port, sock);
    net_close(peer);
}

struct receiver {
    sock_t peer;
    uint64_t bytes;
    struct sha256 hash;
    enum net_end end;
};

static void receive_to_end(void *arg)
{
    struct receiver *receiver = arg;
    receiver->end =
        net_receive_end(receiver->peer, NET_PATIENCE_MS, &receiver->bytes, &receiver->hash);
}

static void assert_same_hash(struct sha256 *a, struct sha256 *b)
{
    char hex_a[SHA256_HEX], hex_b[SHA256_HEX];
    sha256_finish(a, hex_a);
    sha256_finish(b, hex_b);
    assert_string_equal(hex_a, hex_b);
}

/* Allocates random bytes, for free(). */
static unsigned char *random_bytes(size_t len, uint64_t stream)
{
    unsigned char *bytes = malloc(len);
    assert_non_null(bytes);
    struct random random;
    random_init(&random, random_test_seed(), stream);
    random_fill(&random, bytes, len);
    return bytes;
}

/* What a relay does with a slow reader: all that goes at once, then a WRITE for the rest. */
static void what_a_send_without_operation_leaves_a_write_sends(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    uint32_t len = (uint32_t)test_scaled(32 << 20);
    unsigned char *data = random_bytes(len, 3);
    uint32_t done = 0, sent = 0;
    do {
        assert_ok(port_send_now(rig->port, sock, data + done, len - done, &sent));
        done += sent;
    } while (sent > 0 && done < len);
    if (!test_on_windows())
        assert_true(done < len); /* the reader is stalled, and it did not wait for it */

    struct receiver receiver = {.peer = peer};
    sha256_init(&receiver.hash);
    struct os_thread *thread = rig_thread(receive_to_end, &receiver);
    if (done < len) {
        struct op write = rig_op(OP_WRITE, sock, data + done, len - done);
        assert_ok(rig_do(rig, &write));
    }
    assert_ok(sock_shutdown_send(sock));
    os_thread_join(thread);

    assert_int_equal(receiver.bytes, len);
    struct sha256 hash;
    sha256_init(&hash);
    sha256_add(&hash, data, len);
    assert_same_hash(&hash, &receiver.hash);
    free(data);
    rig_close(rig->port, sock);
    net_close(peer);
}

static void a_send_without_operation_to_a_reset_connection_is_a_reset(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    net_reset(peer);
    uint32_t sent = 0;
    enum err err = ERR_OK;
    for (int i = 0; i < 1000 && err == ERR_OK; i++) { /* until the reset has come */
        err = port_send_now(rig->port, sock, "x", 1, &sent);
        os_sleep_ms(err == ERR_OK ? 1 : 0);
    }
    assert_err(err, ERR_RESET);
    assert_int_equal(sent, 0);
    rig_close(rig->port, sock);
}

static void a_large_write_waits_for_a_stalled_reader_and_loses_nothing(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    size_t len = (size_t)test_scaled(32 << 20);
    unsigned char *data = random_bytes(len, 2);
    struct op write = rig_op(OP_WRITE, sock, data, len);
    rig_submit(rig, &write);
    if (!test_on_windows()) /* Windows may take what it likes into its own memory */
        assert_false(rig_is_out(rig, &write, 100));

    struct receiver receiver = {.peer = peer};
    sha256_init(&receiver.hash);
    struct os_thread *thread = rig_thread(receive_to_end, &receiver);
    assert_ok(rig_wait(rig, &write));
    assert_int_equal(write.bytes, len);
    assert_ok(sock_shutdown_send(sock));
    os_thread_join(thread);
    assert_int_equal(receiver.end, NET_END_FIN);
    assert_int_equal(receiver.bytes, len);
    struct sha256 want;
    sha256_init(&want);
    sha256_add(&want, data, len);
    assert_same_hash(&want, &receiver.hash);
    free(data);
    rig_close(rig->port, sock);
    net_close(peer);
}

/* The buffers on the way fill and empty again and again; each time an edge has to come. */
static void writes_to_a_reader_that_stops_and_goes_lose_nothing(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_small_pair(rig, &sock, &peer);
    struct random random;
    random_init(&random, random_test_seed(), 3);
    size_t len = (size_t)test_scaled(4 << 20);
    unsigned char *data = random_bytes(len, 4);
    unsigned char *got = malloc(len);
    assert_non_null(got);
    size_t sent = 0, received = 0;
    struct op write = {0};
    while (received < len) {
        if (!write.in_flight && sent < len) {
            size_t piece = random_between(&random, 1, 100000);
            write =
                rig_op(OP_WRITE, sock, data + sent, piece < len - sent ? piece : len - sent);
            rig_submit(rig, &write);
            sent += write.len;
        }
        rig_turn(rig, PORT_BATCH, random_chance(&random, 10) ? 1 : 0);
        if (!write.in_flight)
            assert_ok(write.err);
        if (sent == received || (!write.in_flight && sent < len && random_chance(&random, 50)))
            continue;
        size_t room = random_between(&random, 1, 50000), some;
        if (room > len - received)
            room = len - received;
        /* When the rest still has to be written, waiting here would be for ever. */
        enum err err = net_receive(peer, got + received, room, 1, &some);
        if (err == ERR_TIMEDOUT)
            continue;
        assert_ok(err);
        assert_int_not_equal(some, 0);
        received += some;
    }
    assert_ok(rig_wait(rig, &write));
    assert_memory_equal(got, data, len);
    free(got);
    free(data);
    rig_close(rig->port, sock);
    net_close(peer);
}

/* The socket is known to the system already when the WRITE has to wait. */
static void a_write_that_waits_behind_a_waiting_read_goes_on(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 4; i++) {
        sock_t sock, peer;
        rig_small_pair(rig, &sock, &peer);
        unsigned char byte;
        struct op read = rig_op(OP_READ, sock, &byte, 1);
        rig_submit(rig, &read);
        assert_false(rig_is_out(rig, &read, 1));
        size_t len = (size_t)test_scaled(4 << 20);
        unsigned char *data = random_bytes(len, 9);
        struct op write = rig_op(OP_WRITE, sock, data, len);
        rig_submit(rig, &write);
        struct receiver receiver = {.peer = peer};
        sha256_init(&receiver.hash);
        struct os_thread *thread = rig_thread(receive_to_end, &receiver);
        assert_ok(rig_wait(rig, &write));
        assert_ok(sock_shutdown_send(sock));
        os_thread_join(thread);
        assert_int_equal(receiver.bytes, len);
        assert_true(read.in_flight);
        assert_ok(net_send(peer, "x", 1, NET_PATIENCE_MS, NULL));
        assert_ok(rig_wait(rig, &read));
        free(data);
        rig_close(rig->port, sock);
        net_close(peer);
    }
}

static void a_write_to_a_reset_connection_is_a_reset(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    struct op wait = rig_op(OP_READ, sock, NULL, 0);
    rig_submit(rig, &wait);
    net_reset(peer);
    rig_wait(rig, &wait);
    unsigned char byte = 1;
    struct op write = rig_op(OP_WRITE, sock, &byte, 1);
    assert_err(rig_do(rig, &write), ERR_RESET);
    assert_int_equal(write.bytes, 0);
    assert_int_not_equal(write.raw, 0);
    assert_err(rig_do(rig, &write), ERR_RESET);
    rig_close(rig->port, sock);
}

static void a_reset_ends_a_write_that_waits(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    size_t len = 32 << 20;
    unsigned char *data = random_bytes(len, 5);
    struct op write = rig_op(OP_WRITE, sock, data, len);
    rig_submit(rig, &write);
    assert_false(rig_is_out(rig, &write, 50));
    net_reset(peer);
    assert_err(rig_wait(rig, &write), ERR_RESET);
    assert_in_range(write.bytes, 0, len - 1);
    free(data);
    rig_close(rig->port, sock);
}

static void a_reset_ends_a_read_and_a_write_that_wait(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 20; i++) {
        sock_t sock, peer;
        rig_small_pair(rig, &sock, &peer);
        size_t len = 8 << 20;
        unsigned char *data = random_bytes(len, 6);
        unsigned char buf[16];
        struct op write = rig_op(OP_WRITE, sock, data, len);
        struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
        rig_submit(rig, &write);
        rig_submit(rig, &read);
        assert_false(rig_is_out(rig, &write, 1));
        net_reset(peer);
        assert_err(rig_wait(rig, &read), ERR_RESET);
        assert_err(rig_wait(rig, &write), ERR_RESET);
        free(data);
        rig_close(rig->port, sock);
    }
}

/* How many bytes a WRITE that was cancelled has sent is exactly what the other end gets. */
static void a_cancelled_write_says_how_much_it_sent(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    size_t len = 32 << 20;
    unsigned char *data = random_bytes(len, 7);
    struct op write = rig_op(OP_WRITE, sock, data, len);
    rig_submit(rig, &write);
    unsigned char first[1000];
    assert_ok(net_receive_all(peer, first, sizeof first, NET_PATIENCE_MS));
    rig_turn(rig, PORT_BATCH, 10);
    assert_true(write.in_flight);
    port_cancel(rig->port, sock);
    assert_err(rig_wait(rig, &write), ERR_CANCELLED);
    assert_in_range(write.bytes, sizeof first, len - 1);

    assert_ok(sock_shutdown_send(sock));
    struct receiver receiver = {.peer = peer};
    sha256_init(&receiver.hash);
    sha256_add(&receiver.hash, first, sizeof first);
    receive_to_end(&receiver);
    assert_int_equal(receiver.end, NET_END_FIN);
    assert_int_equal(receiver.bytes + sizeof first, write.bytes);
    struct sha256 want;
    sha256_init(&want);
    sha256_add(&want, data, write.bytes);
    assert_same_hash(&want, &receiver.hash);
    free(data);
    rig_close(rig->port, sock);
    net_close(peer);
}

static void bytes_go_both_ways_at_once(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    size_t len = (size_t)test_scaled(8 << 20);
    unsigned char *data = random_bytes(len, 8);
    unsigned char *got = malloc(len);
    assert_non_null(got);
    struct op write = rig_op(OP_WRITE, sock, data, len);
    struct op read = rig_op(OP_READ, sock, got, len);
    rig_submit(rig, &write);
    size_t back = 0, total = 0;
    rig_submit(rig, &read);
    static unsigned char piece[30000]; /* echoed by the other end */
    while (back < len) {
        size_t some;
        assert_ok(net_receive(peer, piece, sizeof piece, NET_PATIENCE_MS, &some));
        assert_int_not_equal(some, 0);
        assert_ok(net_send(peer, piece, some, NET_PATIENCE_MS, NULL));
        back += some;
        rig_turn(rig, PORT_BATCH, 0);
        if (read.in_flight)
            continue;
        assert_ok(read.err);
        total += read.bytes;
        read = rig_op(OP_READ, sock, got + total, len - total);
        if (total < len)
            rig_submit(rig, &read);
    }
    assert_ok(rig_wait(rig, &write));
    while (total < len) {
        assert_ok(rig_wait(rig, &read));
        assert_int_not_equal(read.bytes, 0);
        total += read.bytes;
        read = rig_op(OP_READ, sock, got + total, len - total);
        if (total < len)
            rig_submit(rig, &read);
    }
    assert_memory_equal(got, data, len);
    free(got);
    free(data);
    rig_close(rig->port, sock);
    net_close(peer);
}

static void after_fin_from_the_other_end_writes_still_arrive(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    net_finish(peer);
    unsigned char buf[8];
    struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
    assert_ok(rig_do(rig, &read));
    assert_int_equal(read.bytes, 0);
    unsigned char text[] = "reply", got[sizeof text];
    for (int i = 0; i < 10; i++) {
        struct op write = rig_op(OP_WRITE, sock, text, sizeof text);
        assert_ok(rig_do(rig, &write));
        assert_ok(net_receive_all(peer, got, sizeof got, NET_PATIENCE_MS));
        assert_memory_equal(got, text, sizeof text);
    }
    rig_close(rig->port, sock);
    assert_int_equal(net_receive_end(peer, NET_PATIENCE_MS, NULL, NULL), NET_END_FIN);
    net_close(peer);
}

static void after_fin_to_the_other_end_reads_still_come(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    unsigned char buf[8];
    struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
    rig_submit(rig, &read);
    assert_ok(sock_shutdown_send(sock));
    assert_int_equal(net_receive_end(peer, NET_PATIENCE_MS, NULL, NULL), NET_END_FIN);
    assert_false(rig_is_out(rig, &read, 2));
    for (int i = 0; i < 10; i++) {
        assert_ok(net_send(peer, "late", 4, NET_PATIENCE_MS, NULL));
        assert_ok(rig_wait(rig, &read));
        assert_int_equal(read.bytes, 4);
        rig_submit(rig, &read);
    }
    net_finish(peer);
    assert_ok(rig_wait(rig, &read));
    assert_int_equal(read.bytes, 0);
    rig_close(rig->port, sock);
    net_close(peer);
}

static void a_normal_close_delivers_what_was_written(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 20; i++) {
        sock_t sock, peer;
        rig_pair(rig, &sock, &peer);
        unsigned char data[5000];
        memset(data, i, sizeof data);
        struct op write = rig_op(OP_WRITE, sock, data, sizeof data);
        assert_ok(rig_do(rig, &write));
        rig_close(rig->port, sock);
        uint64_t bytes = 0;
        struct sha256 hash;
        sha256_init(&hash);
        assert_int_equal(net_receive_end(peer, NET_PATIENCE_MS, &bytes, &hash), NET_END_FIN);
        assert_int_equal(bytes, sizeof data);
        net_close(peer);
    }
}

static void an_abort_is_a_reset_at_the_other_end(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    struct op wait = rig_op(OP_READ, sock, NULL, 0);
    rig_submit(rig, &wait);
    rig_turn(rig, PORT_BATCH, 0);
    if (wait.in_flight)
        port_cancel(rig->port, sock);
    rig_wait(rig, &wait);
    port_close_socket(rig->port, sock, SOCK_CLOSE_ABORT);
    assert_int_equal(net_receive_end(peer, NET_PATIENCE_MS, NULL, NULL), NET_END_RESET);
    net_close(peer);
}

int main(void)
{
    os_init();
    random_test_seed();
    const struct CMUnitTest tests[] = {
        rig_test(a_write_sends_all_of_it),
        rig_test(what_a_send_without_operation_leaves_a_write_sends),
        rig_test(a_send_without_operation_to_a_reset_connection_is_a_reset),
        rig_test(a_large_write_waits_for_a_stalled_reader_and_loses_nothing),
        rig_test(writes_to_a_reader_that_stops_and_goes_lose_nothing),
        rig_test(a_write_that_waits_behind_a_waiting_read_goes_on),
        rig_test(a_write_to_a_reset_connection_is_a_reset),
        rig_test(a_reset_ends_a_write_that_waits),
        rig_test(a_reset_ends_a_read_and_a_write_that_wait),
        rig_test(a_cancelled_write_says_how_much_it_sent),
        rig_test(bytes_go_both_ways_at_once),
        rig_test(after_fin_from_the_other_end_writes_still_arrive),
        rig_test(after_fin_to_the_other_end_reads_still_come),
        rig_test(a_normal_close_delivers_what_was_written),
        rig_test(an_abort_is_a_reset_at_the_other_end),
    };
    return cmocka_run_group_tests_name("port: write", tests, NULL, NULL);
}
