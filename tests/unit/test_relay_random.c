/* Sessions under random events in random order: whatever happens, each side gets a prefix of
 * what the other sent, all of it before a FIN, and nothing is left at the end (the fixture's
 * teardown looks). The seed is printed; PAIRPORT_SEED repeats a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/accept/listener.h"
#include "relay/queue/pace.h"
#include "relay_fixture.h"
#include "support/random.h"

#define STEPS       20000
#define SOCKETS_MAX 65536

static uint64_t seed;
static sock_t first_sock;           /* the listener: no socket of the test is older */
static uint32_t given[SOCKETS_MAX]; /* bytes that arrived at a socket so far */
static bool fin_given[SOCKETS_MAX];

/* What socket `sock` receives at `offset`: no two sockets see the same stream. */
static unsigned char pattern(sock_t sock, size_t offset)
{
    return (unsigned char)((size_t)sock * 31 + offset * 7 + (offset >> 8));
}

static size_t index_of(sock_t sock)
{
    assert_true(sock >= first_sock && sock < first_sock + SOCKETS_MAX);
    return (size_t)(sock - first_sock);
}

/* The sink has exactly the first bytes of what the source received. */
static void check_stream(sock_t source, sock_t sink)
{
    const struct fake_sock *record = fake_sock(sink);
    assert_true(record->sent_len <= given[index_of(source)]);
    for (size_t i = 0; i < record->sent_len; i++)
        assert_int_equal(record->sent[i], pattern(source, i));
    if (record->shut) {
        assert_true(fin_given[index_of(source)]);
        assert_int_equal(record->sent_len, given[index_of(source)]);
    }
}

/* What the socket has when its READ says that there is something: nothing, bytes, an end. */
static void arrive(struct random *random, sock_t sock)
{
    static unsigned char bytes[65536];
    if (fake_sock(sock)->coming_end != ERR_AGAIN)
        return; /* nothing comes after the end */
    if (random_chance(random, 80)) {
        size_t len = random_between(random, 1, random_chance(random, 20) ? sizeof bytes : 4096);
        for (size_t i = 0; i < len; i++)
            bytes[i] = pattern(sock, given[index_of(sock)] + i);
        given[index_of(sock)] += (uint32_t)len;
        fake_sock_arrive(sock, bytes, len);
    }
    uint64_t dice = random_below(random, 100);
    if (dice < 6)
        fake_sock(sock)->coming_end = ERR_OK;
    else if (dice < 9)
        fake_sock(sock)->coming_end = random_chance(random, 70) ? ERR_RESET : ERR_TIMEDOUT;
    fin_given[index_of(sock)] = fake_sock(sock)->coming_end == ERR_OK;
}

/* How much the other end of a session takes at once from now on. */
static void make_room(struct random *random, const struct op *op)
{
    const struct flow *flow = op->owner;
    if (flow->sink == SOCK_NONE || fake_sock(flow->sink)->state != FAKE_SOCK_IS_OPEN)
        return;
    struct fake_sock *sink = fake_sock(flow->sink);
    sink->room = random_chance(random, 60) ? SIZE_MAX / 2 : random_below(random, 20000);
    if (random_chance(random, 2))
        sink->send_result = ERR_RESET;
}

static void finish_read(struct random *random, struct op *op)
{
    arrive(random, op->sock);
    make_room(random, op);
    if (random_chance(random, 2))
        fake_port_finish(op, ERR_RESET, 0);
    else
        (void)fake_port_finish_arrived(op); /* or it waits on */
}

static void finish_write(struct random *random, struct op *op)
{
    if (random_chance(random, 96))
        fake_port_finish_write(op);
    else
        fake_port_finish(op, ERR_RESET, (uint32_t)random_below(random, op->len));
}

static void finish_connect(struct random *random, struct op *op)
{
    static const enum err failures[] = {ERR_REFUSED, ERR_TIMEDOUT, ERR_UNREACHABLE, ERR_NOMEM};
    if (random_chance(random, 70))
        fake_port_finish(op, ERR_OK, 0);
    else
        fake_port_finish(op, failures[random_below(random, 4)], 0);
}

static void finish_accept(struct random *random, struct op *op)
{
    struct addr from = {.family = ADDR_IPV4, .port = 1000, .ip = {9, 9, 9, 9}};
    uint64_t dice = random_below(random, 100);
    if (dice < 85)
        fake_port_finish_accept(op, &from);
    else
        fake_port_finish(op, dice < 95 ? ERR_ABORTED : ERR_NO_DESCRIPTORS, 0);
}

static void finish_any(struct random *random)
{
    static const enum op_kind kinds[] = {OP_ACCEPT, OP_CONNECT, OP_READ, OP_WRITE};
    enum op_kind kind = kinds[random_below(random, 4)];
    sock_t latest = fake_sock_latest();
    /* Mostly a random socket, so that old sessions move as well as the newest. */
    sock_t sock = SOCK_NONE;
    if (random_chance(random, 90))
        sock = first_sock + (sock_t)random_below(random, (uint64_t)(latest - first_sock) + 1);
    struct op *op = fake_port_op(sock, kind);
    if (op == NULL)
        op = fake_port_op(SOCK_NONE, kind);
    if (op == NULL)
        return;
    if (fake_port_cancel_asked(op) && random_chance(random, 60)) {
        fake_port_finish(op, ERR_CANCELLED, 0);
        return;
    }
    switch (kind) {
    case OP_ACCEPT: finish_accept(random, op); break;
    case OP_CONNECT: finish_connect(random, op); break;
    case OP_READ: finish_read(random, op); break;
    case OP_WRITE: finish_write(random, op); break;
    case OP_WAKE: break;
    }
}

static void check_all(struct fixture *fix)
{
    struct pair **pairs;
    size_t count;
    assert_int_equal(table_all(&fix->relay.table, &pairs, &count), ERR_OK);
    for (size_t i = 0; i < count; i++) {
        if (pairs[i]->phase == PHASE_DATA || pairs[i]->phase == PHASE_HALF_CLOSED) {
            check_stream(pairs[i]->client.sock, pairs[i]->upstream.sock);
            check_stream(pairs[i]->upstream.sock, pairs[i]->client.sock);
        }
        pair_unref(pairs[i]);
    }
    free(pairs);
}

static void disturb(struct fixture *fix, struct random *random)
{
    struct pair **pairs;
    size_t count;
    assert_int_equal(table_all(&fix->relay.table, &pairs, &count), ERR_OK);
    if (count > 0) {
        struct pair *pair = pairs[random_below(random, count)];
        uint64_t dice = random_below(random, 4);
        if (dice == 0)
            pair_end(pair, REASON_KILLED);
        else if (dice == 1)
            fake_sock(pair->client.sock)->peer_reset = true;
        else if (dice == 2 && pair->upstream.sock != SOCK_NONE)
            fake_sock(pair->upstream.sock)->peer_reset = true;
        else
            fake_sock(pair->client.sock)->unsent_bytes = random_below(random, 2);
    }
    for (size_t i = 0; i < count; i++)
        pair_unref(pairs[i]);
    free(pairs);
}

/* Paces and deadlines come and go, the route freezes and thaws. */
static void hold_back(struct fixture *fix, struct random *random)
{
    struct conf_route *conf = &fix->route_conf;
    struct conf_pace *paces[] = {&conf->rate_up, &conf->rate_down, &conf->rate_up_per_route,
                                 &conf->rate_down_per_route};
    struct conf_pace *pace = paces[random_below(random, 4)];
    *pace = (struct conf_pace){0};
    if (random_chance(random, 60))
        *pace = (struct conf_pace){.bytes_per_s = random_between(random, 1, 200000),
                                   .burst_bytes = (uint32_t)random_between(random, 1, 100000)};
    if (random_chance(random, 20))
        pace_freeze(fix->relay.routes[0]);
    else
        pace_thaw(fix->relay.routes[0]);
    conf->max_session_time_ms = random_chance(random, 10) ? 30000 : 0;
    conf->first_byte_timeout_ms = random_chance(random, 20) ? 2000 : 0;
    conf->max_backlog_age_ms = random_chance(random, 20) ? 3000 : 0;
    conf->min_rate = (struct conf_min_rate){0};
    if (random_chance(random, 20))
        conf->min_rate = (struct conf_min_rate){.bytes_per_s = 500, .over_ms = 3000};
}

static void play(struct fixture *fix, bool holds_back)
{
    struct random random;
    random_init(&random, seed, 0);
    memset(given, 0, sizeof given);
    memset(fin_given, 0, sizeof fin_given);
    first_sock = fix->listener;
    fix->relay.routes[0]->quota.limit = 20;
    fix->relay.quota.limit = 15;
    fix->route_conf.idle_timeout_ms = 20000;
    fix->route_conf.buffer_bytes = 65536;

    for (int i = 0; i < STEPS; i++) {
        uint64_t dice = random_below(&random, 100);
        if (dice < 94)
            finish_any(&random);
        else if (dice < 98)
            fixture_pass(fix, random_between(&random, 1, 2000));
        else if (!holds_back || random_chance(&random, 70))
            disturb(fix, &random);
        else
            hold_back(fix, &random);
        if (random_chance(&random, 70))
            fixture_pump(fix);
        if (i % 50 == 0)
            check_all(fix);
    }
    check_all(fix);
    assert_true(fixture_counter(fix, STAT_SESSIONS) > 100);
    assert_true(fixture_counter(fix, STAT_BYTES_UP) > 0);
    assert_int_equal(fixture_counter(fix, STAT_PACED) > 0, holds_back);
}

static void random_events_lose_nothing_and_leave_nothing(void **state)
{
    play(*state, false);
}

static void random_paces_and_freezes_lose_nothing_and_leave_nothing(void **state)
{
    play(*state, true);
}

static int once(void **state)
{
    (void)state;
    seed = random_test_seed();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_events_lose_nothing_and_leave_nothing,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(random_events_lose_nothing_and_leave_nothing,
                                        fixture_setup_reading_into_buffers, fixture_teardown),
        cmocka_unit_test_setup_teardown(random_paces_and_freezes_lose_nothing_and_leave_nothing,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(random_paces_and_freezes_lose_nothing_and_leave_nothing,
                                        fixture_setup_reading_into_buffers, fixture_teardown),
    };
    return cmocka_run_group_tests_name("relay_random", tests, once, NULL);
}
