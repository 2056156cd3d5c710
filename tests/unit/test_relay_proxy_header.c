/* The beginning of a session behind other proxies: whose PROXY header counts, and what becomes
 * of a client with a good one, a bad one or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy_header_fixture.h"
#include "relay/server_info.h"

/* ---- what a client may do ---- */

enum comes {
    HEADER,
    HEADER_IN_PIECES,
    HEADER_AND_PAYLOAD,
    PAYLOAD,
    NOTHING,          /* until proxy_timeout, and a little longer */
    SIGNATURE_BEGINS, /* then nothing */
    HEADER_BEGINS,    /* then nothing */
    FIN,
    HEADER_BEGINS_FIN,
    RESET,
    WRONG_HEADER
};

struct row {
    enum comes comes;
    enum reason refused; /* NONE: a session begins */
    bool by_header;      /* and its client is who the header says */
};

/* All that has come from the client in this row. */
static unsigned char came[1024];
static size_t came_len;

static void come_bytes(struct fixture *fix, sock_t client, const void *bytes, size_t len)
{
    memcpy(came + came_len, bytes, len);
    came_len += len;
    if (fake_port_waiting(client, OP_READ) > 0)
        fixture_arrive_bytes(fix, client, bytes, len);
    else
        fake_sock_arrive(client, bytes, len); /* the relay does not look at it yet */
}

static void come_end(struct fixture *fix, sock_t client, enum err err)
{
    if (fake_port_waiting(client, OP_READ) > 0)
        fixture_arrive_error(fix, client, err);
    else
        fake_sock(client)->coming_end = err;
}

static void come_late(struct fixture *fix, sock_t client)
{
    if (fake_port_waiting(client, OP_READ) == 0)
        return; /* nobody waits for it */
    fixture_pass(fix, PROXY_TIMEOUT_MS - WHEEL_SLOT_MS);
    assert_int_equal(fake_sock(client)->state, FAKE_SOCK_IS_OPEN);
    assert_int_equal(fake_port_waiting(SOCK_NONE, OP_CONNECT), 0);
    fixture_pass(fix, 4 * WHEEL_SLOT_MS);
    fixture_cancelled(fix);
}

static void come(struct fixture *fix, sock_t client, enum comes comes,
                 const struct header *header)
{
    unsigned char changed[HEADER_MAX + 5];
    memcpy(changed, header->bytes, header->len);
    switch (comes) {
    case HEADER: come_bytes(fix, client, header->bytes, header->len); break;
    case HEADER_IN_PIECES:
        for (size_t i = 0; i < header->len; i++)
            come_bytes(fix, client, header->bytes + i, 1);
        break;
    case HEADER_AND_PAYLOAD:
        memcpy(changed + header->len, "hello", 5);
        come_bytes(fix, client, changed, header->len + 5);
        break;
    case PAYLOAD: come_bytes(fix, client, "hello", 5); break;
    case NOTHING: come_late(fix, client); break;
    case SIGNATURE_BEGINS:
        come_bytes(fix, client, header->bytes, 4);
        come_late(fix, client);
        break;
    case HEADER_BEGINS:
        come_bytes(fix, client, header->bytes, header->len - 1);
        come_late(fix, client);
        break;
    case FIN: come_end(fix, client, ERR_OK); break;
    case HEADER_BEGINS_FIN:
        come_bytes(fix, client, header->bytes, header->len - 1);
        come_end(fix, client, ERR_OK);
        break;
    case RESET: come_end(fix, client, ERR_RESET); break;
    case WRONG_HEADER:
        changed[12] = 'x'; /* version 7; no digit */
        come_bytes(fix, client, changed, header->len);
        break;
    }
}

/* ---- what becomes of it ---- */

static void expect_refused(struct fixture *fix, sock_t client, enum reason reason,
                           uint64_t before)
{
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, reason), before + 1);
    assert_int_equal(fake_port_waiting(SOCK_NONE, OP_CONNECT), 0);
}

static void expect_client(struct fixture *fix, const struct header *header)
{
    struct server_session_info info = latest_info(fix);
    const struct addr peer = own_address();
    assert_true(addr_equal(&info.client, header != NULL ? &header->source : &peer));
    if (header != NULL)
        assert_true(addr_equal(&info.via, &peer));
    else
        assert_int_equal(info.via.family, ADDR_NONE);
}

static void expect_session(struct fixture *fix, sock_t client, const struct row *row,
                           const struct header *header)
{
    expect_client(fix, row->by_header ? header : NULL);
    sock_t upstream = fixture_connect(fix);
    settle(fix, client, upstream);
    size_t used = row->by_header ? header->len : 0;
    fixture_expect_sent(upstream, came + used, came_len - used);
    bool finished = row->comes == FIN || row->comes == HEADER_BEGINS_FIN;
    assert_int_equal(fake_sock(upstream)->shut, finished);
    fixture_kill_latest(fix);
}

static void play(struct fixture *fix, const struct row *row, const struct header *header)
{
    uint64_t before = fixture_reasons(fix, row->refused);
    came_len = 0;
    sock_t client = fixture_accept(fix);
    if (row->refused != REASON_PROXY_UNTRUSTED)
        come(fix, client, row->comes, header);
    if (row->refused != REASON_NONE)
        expect_refused(fix, client, row->refused, before);
    else
        expect_session(fix, client, row, header);
}

static void play_all(struct fixture *fix, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t kind = 0; kind < HEADERS; kind++)
            play(fix, &rows[i], &headers[kind]);
}

static void a_trusted_peer_has_to_send_a_header_where_it_is_required(void **state)
{
    static const struct row rows[] = {
        {HEADER, REASON_NONE, true},
        {HEADER_IN_PIECES, REASON_NONE, true},
        {HEADER_AND_PAYLOAD, REASON_NONE, true},
        {PAYLOAD, REASON_PROXY_INVALID, false},
        {NOTHING, REASON_PROXY_TIMEOUT, false},
        {SIGNATURE_BEGINS, REASON_PROXY_TIMEOUT, false},
        {HEADER_BEGINS, REASON_PROXY_TIMEOUT, false},
        {FIN, REASON_PROXY_INVALID, false},
        {HEADER_BEGINS_FIN, REASON_PROXY_INVALID, false},
        {RESET, REASON_CLIENT_RESET, false},
        {WRONG_HEADER, REASON_PROXY_INVALID, false},
    };
    expect_headers(*state, CONF_PROXY_IN_REQUIRED, true);
    play_all(*state, rows, sizeof rows / sizeof rows[0]);
}

static void a_trusted_peer_may_send_a_header_where_it_is_optional(void **state)
{
    static const struct row rows[] = {
        {HEADER, REASON_NONE, true},
        {HEADER_IN_PIECES, REASON_NONE, true},
        {HEADER_AND_PAYLOAD, REASON_NONE, true},
        {PAYLOAD, REASON_NONE, false},
        {NOTHING, REASON_NONE, false},
        {SIGNATURE_BEGINS, REASON_NONE, false},
        {HEADER_BEGINS, REASON_PROXY_TIMEOUT, false},
        {FIN, REASON_NONE, false},
        {HEADER_BEGINS_FIN, REASON_PROXY_INVALID, false},
        {RESET, REASON_CLIENT_RESET, false},
        {WRONG_HEADER, REASON_PROXY_INVALID, false},
    };
    expect_headers(*state, CONF_PROXY_IN_OPTIONAL, true);
    play_all(*state, rows, sizeof rows / sizeof rows[0]);
}

/* Before a byte is read. */
static void a_peer_that_is_not_trusted_is_refused_where_a_header_is_required(void **state)
{
    static const struct row rows[] = {{HEADER, REASON_PROXY_UNTRUSTED, false}};
    expect_headers(*state, CONF_PROXY_IN_REQUIRED, false);
    fixture_gather_log();
    play_all(*state, rows, 1);
    fixture_expect_log(
        "route 'game': client 1.2.3.4:40000 refused: a PROXY header is required, "
        "and the peer is not on proxy_trust");
}

static const struct row just_bytes[] = {
    {HEADER, REASON_NONE, false},
    {HEADER_IN_PIECES, REASON_NONE, false},
    {HEADER_AND_PAYLOAD, REASON_NONE, false},
    {PAYLOAD, REASON_NONE, false},
    {NOTHING, REASON_NONE, false},
    {HEADER_BEGINS, REASON_NONE, false},
    {FIN, REASON_NONE, false},
    {HEADER_BEGINS_FIN, REASON_NONE, false},
    {WRONG_HEADER, REASON_NONE, false},
};

static void what_looks_like_a_header_is_the_upstreams_when_the_peer_is_not_trusted(void **state)
{
    expect_headers(*state, CONF_PROXY_IN_OPTIONAL, false);
    play_all(*state, just_bytes, sizeof just_bytes / sizeof just_bytes[0]);
}

static void what_looks_like_a_header_is_the_upstreams_where_none_is_expected(void **state)
{
    expect_headers(*state, CONF_PROXY_IN_OFF, true);
    play_all(*state, just_bytes, sizeof just_bytes / sizeof just_bytes[0]);
}

static void a_header_of_the_peers_own_leaves_it_the_client(void **state)
{
    static const unsigned char local[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    struct fixture *fix = *state;
    expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
    sock_t client = fixture_accept(fix);
    fixture_arrive_bytes(fix, client, local, sizeof local - 1);
    expect_client(fix, NULL);
    fixture_connect(fix);

    client = fixture_accept(fix);
    fixture_arrive(fix, client, "PROXY UNKNOWN\r\n");
    expect_client(fix, NULL);
    fixture_connect(fix);
}

/* ---- the log ---- */

static void a_session_is_logged_with_its_client_and_who_spoke_for_it(void **state)
{
    struct fixture *fix = *state;
    expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
    fixture_gather_log();
    sock_t client = fixture_accept(fix);
    fixture_arrive_bytes(fix, client, headers[0].bytes, headers[0].len);
    fixture_connect(fix);
    fixture_kill_latest(fix);
    fixture_expect_log("client=192.0.2.7:5555 via=1.2.3.4:40000 upstream=10.0.0.");
    fixture_expect_log("reason=killed phase=data");
}

static void a_wrong_header_is_logged_with_what_is_wrong(void **state)
{
    struct fixture *fix = *state;
    expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
    fixture_gather_log();
    fixture_arrive(fix, fixture_accept(fix), "PROXY SCTP ");
    fixture_expect_log(
        "route 'game': client 1.2.3.4:40000 refused: the PROXY header was missing "
        "or wrong: ");
}

static void a_header_that_ends_too_early_is_logged_as_such(void **state)
{
    struct fixture *fix = *state;
    expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
    fixture_gather_log();
    sock_t client = fixture_accept(fix);
    fixture_arrive(fix, client, "PROXY TCP4 ");
    fixture_arrive_fin(fix, client);
    fixture_expect_log("or wrong: the header is not complete");
}

static void a_client_that_resets_before_its_header_was_not_refused(void **state)
{
    struct fixture *fix = *state;
    expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
    fixture_gather_log();
    fixture_arrive_error(fix, fixture_accept(fix), ERR_RESET);
    fixture_expect_log("reason=client_reset phase=accept");
    fixture_expect_no_log("refused");
}

/* ---- admission ---- */

/* The header came; what was asked meanwhile of everybody else is asked of its client as well. */
static void a_client_that_a_header_tells_is_asked_like_any_other(void **state)
{
    struct fixture *fix = *state;
    struct relay_route *route = fix->relay.routes[0];
    const struct server_drain_plan plan = {.over_ms = 0};
    struct server_drain_info info;
    expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
    fixture_gather_log();
    sock_t clients[3];
    for (size_t i = 0; i < 3; i++)
        clients[i] = fixture_accept(fix);
    struct ban ban = {.until_ms = BAN_FOR_EVER, .net = {.addr = headers[0].source, .bits = 32}};
    ban.net.addr.port = 0;
    assert_int_equal(bans_add(fix->relay.guard.bans, &ban, 0, NULL), ERR_OK);
    assert_int_equal(drain_begin_route(route, &plan, fix->worker->now_ms, &info), ERR_OK);
    throttle_pause(route, "console", fix->worker->now_ms);

    fixture_arrive_bytes(fix, clients[0], headers[0].bytes, headers[0].len);
    expect_refused(fix, clients[0], REASON_DRAINING, 0);
    fixture_expect_log("route 'game': client 192.0.2.7:5555 refused: ");

    drain_end(&route->drain);
    fixture_arrive_bytes(fix, clients[1], headers[0].bytes, headers[0].len);
    expect_refused(fix, clients[1], REASON_BANNED, 0);

    assert_true(bans_remove(fix->relay.guard.bans, &ban.net));
    fixture_arrive_bytes(fix, clients[2], headers[0].bytes, headers[0].len);
    assert_int_equal(latest_info(fix).phase, PHASE_HELD);
    uint64_t lasted_ms;
    throttle_resume(route, fix->worker->now_ms, &lasted_ms);
    fixture_kill_latest(fix);
}

/* ---- who the client is, for the balance ---- */

/* The upstream's number that takes a session which began with this header, or without one. */
static size_t upstream_for(struct fixture *fix, const struct addr *peer, const char *header)
{
    sock_t client = fake_port_finish_accept(fixture_op(fix->listener, OP_ACCEPT), peer);
    fixture_pump(fix);
    if (header != NULL)
        fixture_arrive(fix, client, header);
    size_t upstream = latest_info(fix).upstream;
    fixture_connect(fix);
    fixture_kill_latest(fix);
    return upstream;
}

static void source_hash_takes_the_client_that_the_header_tells(void **state)
{
    struct fixture *fix = *state;
    size_t went_to[2] = {0, 0};
    fix->route_conf.balance = CONF_SOURCE_HASH;
    for (unsigned i = 1; i <= 40; i++) {
        const struct addr player = {
            .family = ADDR_IPV4, .port = 1000, .ip = {192, 0, 2, (uint8_t)i}};
        char header[108];
        str_format(header, sizeof header, "PROXY TCP4 192.0.2.%u 203.0.113.1 2000 7777\r\n", i);
        expect_headers(fix, CONF_PROXY_IN_OFF, true);
        size_t upstream = upstream_for(fix, &player, NULL);
        expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
        const struct addr proxy = own_address();
        assert_int_equal(upstream_for(fix, &proxy, header), upstream);
        went_to[upstream]++;
    }
    assert_true(went_to[0] > 0 && went_to[1] > 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

/* ---- many whose header is slow ---- */

static void connections_without_a_header_take_a_quarter_of_the_routes_places(void **state)
{
    struct fixture *fix = *state;
    expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
    struct relay_route *route = fix->relay.routes[0];
    sock_t slow[25];
    assert_int_equal(route->headers.limit, 25); /* of 100 sessions */
    for (unsigned i = 0; i < 25; i++)
        slow[i] = fixture_accept(fix);
    sock_t late = fixture_accept(fix);
    fixture_pass(fix, WHEEL_SLOT_MS);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(slow[0]),
                     FAKE_SOCK_ABORTED); /* it has waited for longest */
    assert_int_equal(fixture_reasons(fix, REASON_LIMIT_HEADERS), 1);
    assert_int_equal(atomic_load(&route->quota.used), 25);
    assert_int_equal(atomic_load(&route->headers.used), 25);

    /* A header that comes makes room for another one. */
    fixture_arrive_bytes(fix, late, headers[0].bytes, headers[0].len);
    fixture_connect(fix);
    assert_int_equal(atomic_load(&route->headers.used), 24);
    assert_int_equal(fake_sock(fixture_accept(fix))->state, FAKE_SOCK_IS_OPEN);
    assert_int_equal(atomic_load(&route->headers.used), 25);
    fixture_pass(fix, PROXY_TIMEOUT_MS + WHEEL_SLOT_MS);
    fixture_cancelled(fix);
    assert_int_equal(atomic_load(&route->headers.used), 0);
    assert_int_equal(fixture_reasons(fix, REASON_LIMIT_HEADERS), 1);
}

static void a_header_that_comes_just_when_its_place_is_taken_counts(void **state)
{
    struct fixture *fix = *state;
    expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
    struct relay_route *route = fix->relay.routes[0];
    sock_t first = fixture_accept(fix);
    for (unsigned i = 0; i < 25; i++)
        fixture_accept(fix);
    fixture_arrive_bytes(fix, first, headers[0].bytes, headers[0].len);
    fixture_connect(fix);
    fixture_pass(fix, WHEEL_SLOT_MS);
    assert_int_equal(fake_sock(first)->state, FAKE_SOCK_IS_OPEN);
    assert_int_equal(fixture_reasons(fix, REASON_LIMIT_HEADERS), 0);
    assert_int_equal(atomic_load(&route->headers.used), 25);
}

static void who_may_come_without_a_header_loses_the_place_all_the_same(void **state)
{
    struct fixture *fix = *state;
    expect_headers(fix, CONF_PROXY_IN_OPTIONAL, true);
    sock_t first = fixture_accept(fix);
    for (unsigned i = 0; i < 25; i++)
        fixture_accept(fix);
    fixture_pass(fix, WHEEL_SLOT_MS);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(first), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_LIMIT_HEADERS), 1);
}

static void one_whose_header_came_with_it_passes_however_many_wait(void **state)
{
    struct fixture *fix = *state;
    expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
    for (unsigned i = 0; i < 25; i++)
        fixture_accept(fix);
    struct op *accept = fixture_op(fix->listener, OP_ACCEPT);
    const struct addr peer = own_address();
    sock_t client = fake_port_finish_accept(accept, &peer);
    fake_sock_arrive(client, headers[0].bytes, headers[0].len);
    fixture_pump(fix);
    fixture_connect(fix);
    assert_int_equal(fake_sock(client)->state, FAKE_SOCK_IS_OPEN);
    assert_int_equal(fixture_reasons(fix, REASON_LIMIT_HEADERS), 0);
}

static void a_session_that_is_killed_while_its_header_is_slow_counts_no_more(void **state)
{
    struct fixture *fix = *state;
    expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
    fixture_accept(fix);
    fixture_kill_latest(fix);
    assert_int_equal(atomic_load(&fix->relay.routes[0]->headers.used), 0);
}

int main(void)
{
    make_headers();
    const struct CMUnitTest tests[] = {
        test(a_trusted_peer_has_to_send_a_header_where_it_is_required),
        test(a_trusted_peer_may_send_a_header_where_it_is_optional),
        test(a_peer_that_is_not_trusted_is_refused_where_a_header_is_required),
        test(what_looks_like_a_header_is_the_upstreams_when_the_peer_is_not_trusted),
        test(what_looks_like_a_header_is_the_upstreams_where_none_is_expected),
        test(a_header_of_the_peers_own_leaves_it_the_client),
        test(a_session_is_logged_with_its_client_and_who_spoke_for_it),
        test(a_wrong_header_is_logged_with_what_is_wrong),
        test(a_header_that_ends_too_early_is_logged_as_such),
        test(a_client_that_resets_before_its_header_was_not_refused),
        test(connections_without_a_header_take_a_quarter_of_the_routes_places),
        test(a_header_that_comes_just_when_its_place_is_taken_counts),
        test(who_may_come_without_a_header_loses_the_place_all_the_same),
        test(one_whose_header_came_with_it_passes_however_many_wait),
        test(a_session_that_is_killed_while_its_header_is_slow_counts_no_more),
        test(a_client_that_a_header_tells_is_asked_like_any_other),
        test(source_hash_takes_the_client_that_the_header_tells),
    };
    return cmocka_run_group_tests_name("relay_proxy_header", tests, NULL, NULL);
}
