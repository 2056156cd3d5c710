/* port_cancel(), before, during and after the end of operations, alone and racing. */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

static void a_cancel_with_nothing_in_flight_touches_nothing(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    for (int i = 0; i < 10; i++) {
        port_cancel(rig->port, sock);
        unsigned char buf[8];
        struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
        rig_submit(rig, &read);
        assert_false(rig_is_out(rig, &read, 1));
        assert_ok(net_send(peer, "x", 1, NET_PATIENCE_MS, NULL));
        assert_ok(rig_wait(rig, &read));
        struct op write = rig_op(OP_WRITE, sock, buf, 1);
        port_cancel(rig->port, sock);
        assert_ok(rig_do(rig, &write));
    }
    rig_close(rig->port, sock);
    net_close(peer);
}

static void a_read_that_waits_is_cancelled_and_the_socket_works_on(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    unsigned char buf[8];
    for (int i = 0; i < 20; i++) {
        struct op read = rig_op(OP_READ, sock, i % 2 ? buf : NULL, i % 2 ? sizeof buf : 0);
        rig_submit(rig, &read);
        if (i % 4 < 2)
            rig_turn(rig, PORT_BATCH, 0);
        port_cancel(rig->port, sock);
        if (i % 3 == 0)
            port_cancel(rig->port, sock);
        enum err err = rig_wait(rig, &read);
        if (read.len > 0 || err != ERR_OK) /* without a length it may end without cause */
            assert_err(err, ERR_CANCELLED);
        assert_int_equal(read.bytes, 0);

        assert_ok(net_send(peer, "next", 4, NET_PATIENCE_MS, NULL));
        read = rig_op(OP_READ, sock, buf, sizeof buf);
        assert_ok(rig_do(rig, &read));
        assert_int_equal(read.bytes, 4);
    }
    rig_close(rig->port, sock);
    net_close(peer);
}

static void a_read_and_a_write_are_cancelled_together(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    size_t len = 32 << 20;
    unsigned char *data = calloc(1, len);
    assert_non_null(data);
    struct op write = rig_op(OP_WRITE, sock, data, len);
    struct op read = rig_op(OP_READ, sock, data, 1);
    rig_submit(rig, &write);
    rig_submit(rig, &read);
    assert_false(rig_is_out(rig, &write, 20));
    port_cancel(rig->port, sock);
    assert_err(rig_wait(rig, &write), ERR_CANCELLED);
    assert_err(rig_wait(rig, &read), ERR_CANCELLED);
    free(data);
    port_close_socket(rig->port, sock, SOCK_CLOSE_ABORT);
    net_close(peer);
}

/* The result is known, only port_wait() has not handed it out yet. */
static void a_cancel_after_the_end_leaves_the_result_alone(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    unsigned char buf[8], byte = 'w';
    for (int i = 0; i < 10; i++) {
        struct op first = rig_op(OP_READ, sock, buf, 1);
        assert_ok(net_send(peer, "done", 4, NET_PATIENCE_MS, NULL));
        assert_ok(rig_do(rig, &first)); /* the other bytes came with it */
        struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
        struct op write = rig_op(OP_WRITE, sock, &byte, 1);
        rig_submit(rig, &read);
        rig_submit(rig, &write);
        port_cancel(rig->port, sock);
        assert_ok(rig_wait(rig, &read));
        assert_int_equal(read.bytes, 3);
        assert_memory_equal(buf, "one", 3);
        assert_ok(rig_wait(rig, &write));
        assert_int_equal(write.bytes, 1);
        assert_ok(net_receive_all(peer, buf, 1, NET_PATIENCE_MS));
    }
    rig_close(rig->port, sock);
    net_close(peer);
}

static void a_cancel_of_one_socket_leaves_the_others_alone(void **state)
{
    struct rig *rig = *state;
    enum { MANY = 20 };
    sock_t socks[MANY], peers[MANY];
    struct op reads[MANY];
    unsigned char bufs[MANY];
    for (int i = 0; i < MANY; i++) {
        rig_pair(rig, &socks[i], &peers[i]);
        reads[i] = rig_op(OP_READ, socks[i], &bufs[i], 1);
        rig_submit(rig, &reads[i]);
    }
    for (int i = 0; i < MANY; i += 2)
        port_cancel(rig->port, socks[i]);
    for (int i = 0; i < MANY; i += 2)
        assert_err(rig_wait(rig, &reads[i]), ERR_CANCELLED);
    for (int i = 1; i < MANY; i += 2) {
        assert_true(reads[i].in_flight);
        assert_ok(net_send(peers[i], "x", 1, NET_PATIENCE_MS, NULL));
        assert_ok(rig_wait(rig, &reads[i]));
    }
    for (int i = 0; i < MANY; i++) {
        rig_close(rig->port, socks[i]);
        net_close(peers[i]);
    }
}

struct canceller {
    struct port *port;
    sock_t sock;
};

static void cancel_once(void *arg)
{
    struct canceller *canceller = arg;
    port_cancel(canceller->port, canceller->sock);
}

static void a_cancel_from_another_thread_wakes_the_worker(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    for (int i = 0; i < 50; i++) {
        unsigned char byte;
        struct op read = rig_op(OP_READ, sock, &byte, 1);
        struct canceller canceller = {.port = rig->port, .sock = sock};
        rig_submit(rig, &read);
        struct os_thread *thread = rig_thread(cancel_once, &canceller);
        while (read.in_flight)
            rig_turn(rig, PORT_BATCH, -1);
        assert_err(read.err, ERR_CANCELLED);
        os_thread_join(thread);
    }
    rig_close(rig->port, sock);
    net_close(peer);
}

/* ---- streams both ways under a storm of cancellations, with several workers ---- */

enum { STREAMS = 6, WORKERS = 3, BUFFER = 5000 };

/* Byte `offset` of stream `which`, in both directions. */
static unsigned char pattern(unsigned which, uint64_t offset)
{
    return (unsigned char)((offset * 31 + (offset >> 8)) ^ (which * 77));
}

struct stream {
    struct os_mutex lock; /* as a pair's: held around every submit and every completion */
    struct storm *storm;
    unsigned which;
    sock_t sock, peer;
    struct random random;
    struct op read, write;
    uint64_t received, sent; /* by the port's side */
    uint64_t fed, drained;   /* by the other end */
    unsigned cancelled;
    unsigned char in[BUFFER], out[BUFFER];
};

struct storm {
    struct port *port;
    uint64_t goal; /* bytes of each stream and direction */
    struct stream streams[STREAMS];
    atomic_uint at_rest; /* directions that reached the goal */
    atomic_uint wrong;   /* what should not have happened */
    atomic_bool calm;    /* no more cancellations */
};

static void complain(struct storm *storm, const char *what, enum err err)
{
    if (atomic_fetch_add(&storm->wrong, 1) < 5)
        print_error("%s (%s)\n", what, err_word(err));
}

static void take_bytes(struct stream *stream, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (stream->in[i] != pattern(stream->which, stream->received + i)) {
            complain(stream->storm, "a wrong byte was read", ERR_OK);
            break;
        }
    }
    stream->received += count;
}

/* Now and then what is there is taken without an operation. */
static void take_now(struct stream *stream)
{
    uint32_t got = 0;
    uint64_t left = stream->storm->goal - stream->received;
    enum err err = port_receive_now(stream->storm->port, stream->sock, stream->in,
                                    left < BUFFER ? (uint32_t)left : BUFFER, &got);
    if (err == ERR_OK && got == 0)
        complain(stream->storm, "FIN was received before it came", ERR_OK);
    else if (err == ERR_OK)
        take_bytes(stream, got);
    else if (err != ERR_AGAIN)
        complain(stream->storm, "a receive failed", err);
}

static void read_more(struct stream *stream)
{
    if (stream->received < stream->storm->goal && random_chance(&stream->random, 30))
        take_now(stream);
    if (stream->received == stream->storm->goal) {
        atomic_fetch_add(&stream->storm->at_rest, 1);
        return;
    }
    uint64_t len = random_below(&stream->random, BUFFER + 1);
    if (random_chance(&stream->random, 30))
        len = 0;
    uint64_t left = stream->storm->goal - stream->received;
    stream->read = rig_op(OP_READ, stream->sock, stream->in, len < left ? len : left);
    stream->read.owner = stream;
    port_submit(stream->storm->port, &stream->read);
}

static void write_more(struct stream *stream)
{
    if (stream->sent == stream->storm->goal) {
        atomic_fetch_add(&stream->storm->at_rest, 1);
        return;
    }
    uint64_t len = random_between(&stream->random, 1, BUFFER);
    uint64_t left = stream->storm->goal - stream->sent;
    if (len > left)
        len = left;
    for (uint64_t i = 0; i < len; i++)
        stream->out[i] = pattern(stream->which, stream->sent + i);
    stream->write = rig_op(OP_WRITE, stream->sock, stream->out, len);
    stream->write.owner = stream;
    port_submit(stream->storm->port, &stream->write);
}

static void on_storm(void *arg, struct op *op)
{
    struct storm *storm = arg;
    struct stream *stream = op->owner;
    os_mutex_lock(&stream->lock);
    if (op->err == ERR_CANCELLED)
        stream->cancelled++;
    else if (op->err != ERR_OK)
        complain(storm, "an operation failed", op->err);
    if (op == &stream->read) {
        if (op->err == ERR_OK && op->len > 0 && op->bytes == 0)
            complain(storm, "FIN was read before it came", ERR_OK);
        take_bytes(stream, op->bytes);
        read_more(stream);
    } else {
        if (op->err == ERR_OK && op->bytes != op->len)
            complain(storm, "a WRITE was short", ERR_OK);
        stream->sent += op->bytes; /* what was not sent is tried again */
        write_more(stream);
    }
    os_mutex_unlock(&stream->lock);
}

/* The other ends: one thread sends to all, one receives from all. */
static void feed(void *arg)
{
    struct storm *storm = arg;
    struct random random;
    unsigned char data[2 * BUFFER];
    random_init(&random, random_test_seed(), 100);
    for (unsigned fed = 0; fed < STREAMS && atomic_load(&storm->wrong) == 0;) {
        fed = 0;
        for (unsigned i = 0; i < STREAMS; i++) {
            struct stream *stream = &storm->streams[i];
            uint64_t len = random_below(&random, sizeof data + 1);
            if (len > storm->goal - stream->fed)
                len = storm->goal - stream->fed;
            for (uint64_t j = 0; j < len; j++)
                data[j] = pattern(i, stream->fed + j);
            size_t taken = 0;
            enum err err =
                len == 0 ? ERR_OK : net_send(stream->peer, data, len, NET_PATIENCE_MS, &taken);
            if (err != ERR_OK)
                complain(storm, "the other end could not send", err);
            stream->fed += taken;
            fed += stream->fed == storm->goal;
        }
    }
}

static void drain(void *arg)
{
    struct storm *storm = arg;
    unsigned char data[3 * BUFFER];
    for (unsigned drained = 0; drained < STREAMS && atomic_load(&storm->wrong) == 0;) {
        drained = 0;
        for (unsigned i = 0; i < STREAMS; i++) {
            struct stream *stream = &storm->streams[i];
            if (stream->drained == storm->goal) {
                drained++;
                continue;
            }
            size_t got = 0;
            enum err err = net_receive(stream->peer, data, sizeof data, 1, &got);
            if (err == ERR_TIMEDOUT)
                continue;
            if (err != ERR_OK || got == 0)
                complain(storm, "the other end could not receive", err);
            for (size_t j = 0; j < got; j++) {
                if (data[j] != pattern(i, stream->drained + j)) {
                    complain(storm, "a wrong byte was sent", ERR_OK);
                    break;
                }
            }
            stream->drained += got;
        }
    }
}

static void blow(void *arg)
{
    struct storm *storm = arg;
    struct random random;
    random_init(&random, random_test_seed(), 200);
    while (!atomic_load(&storm->calm)) {
        port_cancel(storm->port, storm->streams[random_below(&random, STREAMS)].sock);
        if (random_chance(&random, 5))
            os_sleep_ms(1);
    }
}

static void cancellations_in_a_storm_lose_no_byte_and_no_operation(void **state)
{
    struct rig *rig = *state;
    struct storm *storm = calloc(1, sizeof *storm);
    assert_non_null(storm);
    storm->port = rig->port;
    storm->goal = test_scaled(4 << 20);
    for (unsigned i = 0; i < STREAMS; i++) {
        struct stream *stream = &storm->streams[i];
        stream->storm = storm;
        stream->which = i;
        random_init(&stream->random, random_test_seed(), 10 + i);
        if (i % 2)
            rig_small_pair(rig, &stream->sock, &stream->peer);
        else
            rig_pair(rig, &stream->sock, &stream->peer);
    }
    struct crew *crew = rig_hand_over(rig, WORKERS, on_storm, storm);
    for (unsigned i = 0; i < STREAMS; i++) {
        struct stream *stream = &storm->streams[i];
        os_mutex_lock(&stream->lock);
        read_more(stream);
        write_more(stream);
        os_mutex_unlock(&stream->lock);
    }
    struct os_thread *threads[] = {rig_thread(feed, storm), rig_thread(drain, storm),
                                   rig_thread(blow, storm)};
    bool finished = rig_reaches(&storm->at_rest, 2 * STREAMS);
    assert_int_equal(atomic_load(&storm->wrong), 0);
    assert_true(finished);
    atomic_store(&storm->calm, true);
    for (int i = 0; i < 3; i++)
        os_thread_join(threads[i]);
    rig_take_back(rig, crew);
    unsigned cancelled = 0;
    for (unsigned i = 0; i < STREAMS; i++) {
        struct stream *stream = &storm->streams[i];
        assert_int_equal(stream->drained, storm->goal);
        cancelled += stream->cancelled;
        rig_close(rig->port, stream->sock);
        net_close(stream->peer);
    }
    print_message("%u operations were cancelled\n", cancelled);
    assert_int_not_equal(cancelled, 0);
    free(storm);
}

int main(void)
{
    os_init();
    random_test_seed();
    const struct CMUnitTest tests[] = {
        rig_test(a_cancel_with_nothing_in_flight_touches_nothing),
        rig_test(a_read_that_waits_is_cancelled_and_the_socket_works_on),
        rig_test(a_read_and_a_write_are_cancelled_together),
        rig_test(a_cancel_after_the_end_leaves_the_result_alone),
        rig_test(a_cancel_of_one_socket_leaves_the_others_alone),
        rig_test(a_cancel_from_another_thread_wakes_the_worker),
        rig_test(cancellations_in_a_storm_lose_no_byte_and_no_operation),
    };
    return cmocka_run_group_tests_name("port: cancel", tests, NULL, NULL);
}
