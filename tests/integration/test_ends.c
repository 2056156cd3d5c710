/* How a session ends: a table of who ends it, how, and in which phase. The other side must see
 * the same kind of end, after exactly the bytes that were sent before it; a reset may take
 * bytes with it that nobody had read yet, but nothing wrong may come and no FIN. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/os.h"
#include "pattern.h"
#include "relay_run.h"
#include "support/net.h"

enum who { CLIENT, UPSTREAM };
enum how { FIN, RESET };

enum when {
    CONNECTING,     /* before the upstream has answered */
    DATA,           /* both directions are open, nothing waits */
    AFTER_OTHER,    /* half-closed: the other side has finished before */
    AFTER_SELF,     /* half-closed: this side has finished before */
    BYTES_WAITING,  /* its own bytes wait in the relay, because the other side does not read */
    STALLED_READER, /* the other side's bytes wait, because this side does not read */
};

/* No row differs under Wine, though Wine does: it reports a reset that came while no receive
 * waited as an end of stream, ends a send that waits when a FIN comes, and turns a close under
 * a pending operation into a FIN. The relay and its port know all three. */
static const struct row {
    const char *name;
    enum who who;
    enum how how;
    enum when when;
    const char *logged; /* in the session's line of the log */
} rows[] = {
    {"client FIN, connecting", CLIENT, FIN, CONNECTING, "reason=client_fin phase=data"},
    {"client FIN, data", CLIENT, FIN, DATA, "reason=client_fin phase=data"},
    {"client FIN, after the upstream's", CLIENT, FIN, AFTER_OTHER,
     "reason=upstream_fin phase=data"},
    {"client FIN, bytes waiting", CLIENT, FIN, BYTES_WAITING, "reason=client_fin phase=data"},
    {"client FIN, it does not read", CLIENT, FIN, STALLED_READER,
     "reason=client_fin phase=data"},

    {"upstream FIN, as it is connected", UPSTREAM, FIN, CONNECTING,
     "reason=upstream_fin phase=data"},
    {"upstream FIN, data", UPSTREAM, FIN, DATA, "reason=upstream_fin phase=data"},
    {"upstream FIN, after the client's", UPSTREAM, FIN, AFTER_OTHER,
     "reason=client_fin phase=data"},
    {"upstream FIN, bytes waiting", UPSTREAM, FIN, BYTES_WAITING,
     "reason=upstream_fin phase=data"},
    {"upstream FIN, it does not read", UPSTREAM, FIN, STALLED_READER,
     "reason=upstream_fin phase=data"},

    {"client reset, connecting", CLIENT, RESET, CONNECTING,
     "reason=client_reset phase=connect"},
    {"client reset, data", CLIENT, RESET, DATA, "reason=client_reset phase=data"},
    {"client reset, after the upstream's FIN", CLIENT, RESET, AFTER_OTHER,
     "reason=client_reset phase=half_closed"},
    {"client reset, after its own FIN", CLIENT, RESET, AFTER_SELF,
     "reason=client_reset phase=half_closed"},
    {"client reset, bytes waiting", CLIENT, RESET, BYTES_WAITING,
     "reason=client_reset phase=data"},
    {"client reset, it does not read", CLIENT, RESET, STALLED_READER,
     "reason=client_reset phase=data"},

    {"upstream reset, connecting", UPSTREAM, RESET, CONNECTING,
     "reason=connect_refused phase=connect"},
    {"upstream reset, data", UPSTREAM, RESET, DATA, "reason=upstream_reset phase=data"},
    {"upstream reset, after the client's FIN", UPSTREAM, RESET, AFTER_OTHER,
     "reason=upstream_reset phase=half_closed"},
    {"upstream reset, after its own FIN", UPSTREAM, RESET, AFTER_SELF,
     "reason=upstream_reset phase=half_closed"},
    {"upstream reset, bytes waiting", UPSTREAM, RESET, BYTES_WAITING,
     "reason=upstream_reset phase=data"},
    {"upstream reset, it does not read", UPSTREAM, RESET, STALLED_READER,
     "reason=upstream_reset phase=data"},
};

#define ROWS (sizeof rows / sizeof rows[0])

/* ---- bytes that know their place ---- */

#define SOME_BYTES   5000  /* fit every buffer on the way */
#define SMALL_BUFFER 16384 /* of the sockets of both sides, so that they fill up soon */
#define QUIET_MS     300   /* a sender that gets nothing away for so long has filled them */

/* One side of the session and its two streams, as far as they were sent and received. */
struct end {
    sock_t sock;
    uint64_t key; /* of what it sends */
    uint64_t sent;
};

static void send_some(struct end *from, uint64_t bytes)
{
    unsigned char buf[SOME_BYTES];
    while (bytes > 0) {
        size_t len = bytes < sizeof buf ? (size_t)bytes : sizeof buf;
        pattern_fill(from->key, from->sent, buf, len);
        assert_int_equal(net_send(from->sock, buf, len, NET_PATIENCE_MS, NULL), ERR_OK);
        from->sent += len;
        bytes -= len;
    }
}

/* Sends until nothing moves any more. */
static void fill_the_way(struct end *from)
{
    unsigned char buf[65536];
    for (;;) {
        size_t took;
        pattern_fill(from->key, from->sent, buf, sizeof buf);
        enum err err = net_send(from->sock, buf, sizeof buf, QUIET_MS, &took);
        from->sent += took;
        if (err == ERR_TIMEDOUT)
            break;
        assert_int_equal(err, ERR_OK);
    }
    assert_true(from->sent > SMALL_BUFFER);
}

/* Receives up to `bytes` of what `from` sends, from `position` on, and checks them. Stops at the
 * end of the stream and tells which it was; NET_END_NONE: all bytes came. */
static enum net_end receive_some(const struct end *to, const struct end *from,
                                 uint64_t *position, uint64_t bytes)
{
    static unsigned char buf[65536];
    while (bytes > 0) {
        size_t got = 0;
        size_t size = bytes < sizeof buf ? (size_t)bytes : sizeof buf;
        enum err err = net_receive(to->sock, buf, size, NET_PATIENCE_MS, &got);
        if (err == ERR_RESET || err == ERR_CLOSED)
            return NET_END_RESET;
        assert_int_equal(err, ERR_OK);
        if (got == 0)
            return NET_END_FIN;
        assert_int_equal(pattern_check(from->key, *position, buf, got), got);
        *position += got;
        bytes -= got;
    }
    return NET_END_NONE;
}

static void expect_bytes(const struct end *to, const struct end *from, uint64_t *position)
{
    assert_int_equal(receive_some(to, from, position, from->sent - *position), NET_END_NONE);
}

/* What is still due, then FIN. */
static void expect_fin(const struct end *to, const struct end *from, uint64_t *position)
{
    assert_int_equal(receive_some(to, from, position, UINT64_MAX), NET_END_FIN);
    assert_true(*position == from->sent);
}

/* ---- a row ---- */

struct session {
    struct relay_run *relay;
    const struct row *row;
    struct net_deaf deaf;
    sock_t listener;
    struct end client;
    struct end upstream;
    struct end *self;  /* who ends it */
    struct end *other; /* who sees the end */
    uint64_t self_received;
    uint64_t other_received;
};

static void start_relay(void **state, struct session *session, const struct addr *upstream)
{
    /* Wine does not tell when all is delivered, and a reset waits for the deadline. */
    const struct relay_setup setup = {.upstreams = upstream,
                                      .upstream_count = 1,
                                      .route_keys = test_on_wine() ? "connect_retries = 0\n"
                                                                     "connect_timeout = 60s\n"
                                                                     "half_close_timeout = 5s\n"
                                                                   : "connect_retries = 0\n"
                                                                     "connect_timeout = 60s\n"};
    session->relay = relay_start(state, &setup);
}

static void connect_client(struct session *session)
{
    assert_int_equal(net_connect_small(&session->relay->addr, SMALL_BUFFER, SMALL_BUFFER,
                                       NET_PATIENCE_MS, &session->client.sock),
                     ERR_OK);
}

/* Connects both sides; a few bytes have gone both ways when `talk` is set. */
static void connect_both(void **state, struct session *session, bool talk)
{
    struct addr addr = net_loopback(ADDR_IPV4, 0);
    assert_int_equal(net_listen(&addr, 8, &session->listener, &addr), ERR_OK);
    net_set_buffers(session->listener, SMALL_BUFFER, SMALL_BUFFER);
    start_relay(state, session, &addr);
    connect_client(session);
    assert_int_equal(net_accept(session->listener, NET_PATIENCE_MS, &session->upstream.sock),
                     ERR_OK);
    if (!talk)
        return;
    send_some(session->self, SOME_BYTES);
    expect_bytes(session->other, session->self, &session->other_received);
    send_some(session->other, SOME_BYTES);
    expect_bytes(session->self, session->other, &session->self_received);
}

/* After the FIN of one side the other direction still works, until its FIN. */
static void other_side_goes_on_and_finishes(struct session *session)
{
    send_some(session->other, SOME_BYTES);
    net_finish(session->other->sock);
    expect_fin(session->self, session->other, &session->self_received);
}

static void end_with_fin(struct session *session)
{
    net_finish(session->self->sock);
    expect_fin(session->other, session->self, &session->other_received);
}

static void end_with_reset(struct session *session)
{
    net_reset(session->self->sock);
    session->self->sock = SOCK_NONE;
}

/* Nothing more comes but the reset. */
static void expect_reset(struct session *session)
{
    uint64_t received = session->other_received;
    assert_int_equal(
        receive_some(session->other, session->self, &session->other_received, UINT64_MAX),
        NET_END_RESET);
    assert_true(session->other_received == received);
}

/* ---- what happens in each phase ---- */

static void client_ends_while_connecting(void **state, struct session *session)
{
    assert_int_equal(net_deaf_open(ADDR_IPV4, &session->deaf), ERR_OK);
    start_relay(state, session, &session->deaf.addr);
    connect_client(session);
    send_some(&session->client, SOME_BYTES);
    if (session->row->how == RESET) {
        assert_true(relay_wait_info(session->relay, "sessions_open", 1));
        end_with_reset(session);
        /* The upstream has not answered, so nobody else sees anything of this session. */
        assert_true(relay_wait_info(session->relay, "sessions_open", 0));
    } else {
        net_finish(session->client.sock);
        assert_int_equal(
            net_deaf_accept(&session->deaf, NET_PATIENCE_MS, &session->upstream.sock), ERR_OK);
        expect_fin(&session->upstream, &session->client, &session->other_received);
        other_side_goes_on_and_finishes(session);
    }
    net_deaf_close(&session->deaf);
}

static void upstream_ends_while_connecting(void **state, struct session *session)
{
    if (session->row->how == RESET) {
        /* The answer to the connect is a reset. */
        struct addr nobody = net_loopback(ADDR_IPV4, net_free_port());
        start_relay(state, session, &nobody);
        enum err err =
            net_connect(&session->relay->addr, NET_PATIENCE_MS, &session->client.sock);
        if (err == ERR_OK)
            expect_reset(session);
        else
            assert_int_equal(err, ERR_RESET); /* it was that fast */
        return;
    }
    connect_both(state, session, false);
    end_with_fin(session);
    other_side_goes_on_and_finishes(session);
}

static void end_in_data(void **state, struct session *session)
{
    connect_both(state, session, true);
    send_some(session->self, SOME_BYTES);
    if (session->row->how == FIN) {
        end_with_fin(session);
        other_side_goes_on_and_finishes(session);
        return;
    }
    expect_bytes(session->other, session->self, &session->other_received);
    end_with_reset(session);
    expect_reset(session);
}

static void end_after_other(void **state, struct session *session)
{
    connect_both(state, session, true);
    net_finish(session->other->sock);
    expect_fin(session->self, session->other, &session->self_received);
    send_some(session->self, SOME_BYTES);
    if (session->row->how == FIN) {
        end_with_fin(session);
        return;
    }
    expect_bytes(session->other, session->self, &session->other_received);
    end_with_reset(session);
    expect_reset(session);
}

static void reset_after_own_fin(void **state, struct session *session)
{
    connect_both(state, session, true);
    send_some(session->self, SOME_BYTES);
    end_with_fin(session);
    end_with_reset(session);
    assert_true(net_wait_reset(session->other->sock, NET_PATIENCE_MS));
}

static void end_with_bytes_waiting(void **state, struct session *session)
{
    connect_both(state, session, true);
    fill_the_way(session->self);
    if (session->row->how == FIN) {
        end_with_fin(session);
        other_side_goes_on_and_finishes(session);
        return;
    }
    end_with_reset(session);
    assert_int_equal(
        receive_some(session->other, session->self, &session->other_received, UINT64_MAX),
        NET_END_RESET);
    assert_true(session->other_received <= session->self->sent);
}

static void end_while_not_reading(void **state, struct session *session)
{
    connect_both(state, session, true);
    fill_the_way(session->other);
    send_some(session->self, SOME_BYTES);
    expect_bytes(session->other, session->self, &session->other_received);
    if (session->row->how == FIN) {
        /* It comes through although the other direction stands still, which then moves on. The
         * relay looks after a half-closed session a few times a second, which must not hurt. */
        end_with_fin(session);
        os_sleep_ms(800);
        net_finish(session->other->sock);
        expect_fin(session->self, session->other, &session->self_received);
        return;
    }
    end_with_reset(session);
    expect_reset(session);
}

static void an_end_is_passed_on(void **state)
{
    const struct row *row = *state;
    *state = NULL;
    if (row->when == CONNECTING && row->who == CLIENT && test_on_windows() && !test_on_wine())
        skip(); /* Windows refuses what does not fit a backlog: nobody is deaf there */

    struct session session = {.row = row,
                              .listener = SOCK_NONE,
                              .client = {.sock = SOCK_NONE, .key = pattern_key(1, 1)},
                              .upstream = {.sock = SOCK_NONE, .key = pattern_key(1, 2)}};
    session.self = row->who == CLIENT ? &session.client : &session.upstream;
    session.other = row->who == CLIENT ? &session.upstream : &session.client;
    switch (row->when) {
    case CONNECTING:
        if (row->who == CLIENT)
            client_ends_while_connecting(state, &session);
        else
            upstream_ends_while_connecting(state, &session);
        break;
    case DATA: end_in_data(state, &session); break;
    case AFTER_OTHER: end_after_other(state, &session); break;
    case AFTER_SELF: reset_after_own_fin(state, &session); break;
    case BYTES_WAITING: end_with_bytes_waiting(state, &session); break;
    case STALLED_READER: end_while_not_reading(state, &session); break;
    }

    /* The relay has given both sides up by itself, before they are closed here. */
    relay_wait_nothing_left(session.relay);
    assert_true(relay_wait_log(session.relay, row->logged));
    net_close(session.client.sock);
    net_close(session.upstream.sock);
    net_close(session.listener);
    relay_end(session.relay);
}

int main(void)
{
    os_init();
    struct CMUnitTest tests[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        /* cmocka passes the state on as it is and frees nothing. */
        union {
            const struct row *row;
            void *state;
        } pass = {.row = &rows[i]};
        tests[i] = (struct CMUnitTest){.name = rows[i].name,
                                       .test_func = an_end_is_passed_on,
                                       .teardown_func = relay_teardown,
                                       .initial_state = pass.state};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
