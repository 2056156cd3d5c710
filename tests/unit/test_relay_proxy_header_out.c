/* The PROXY header that tells an upstream who comes: first of all, whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy_header_fixture.h"
#include "proxyproto_fixture.h"

static struct fixture *telling(void **state, enum conf_proxy_out out)
{
    struct fixture *fix = *state;
    fix->route_conf.proxy_out = out;
    return fix;
}

/* The waiting CONNECT succeeds, and the upstream's system has room for so many bytes. */
static sock_t connect_with_room(struct fixture *fix, size_t room)
{
    fake_sock(fixture_connecting())->room = room;
    return fixture_connect(fix);
}

/* What the upstream was told, and asserts that `rest` follows. */
static struct outcome told(sock_t upstream, const char *rest)
{
    const struct fake_sock *sock = fake_sock(upstream);
    struct outcome outcome = parse_twice(sock->sent, sock->sent_len);
    assert_int_equal(outcome.state, PROXYPROTO_HEADER);
    assert_int_equal(sock->sent_len - outcome.consumed, strlen(rest));
    assert_memory_equal(sock->sent + outcome.consumed, rest, strlen(rest));
    return outcome;
}

static void expect_told(sock_t upstream, const struct addr *source,
                        const struct addr *destination)
{
    struct outcome outcome = told(upstream, "");
    assert_false(outcome.local);
    assert_true(addr_equal(&outcome.source, source));
    assert_true(addr_equal(&outcome.destination, destination));
}

static void each_version_tells_the_client_and_where_it_went(void **state)
{
    static const enum conf_proxy_out versions[] = {CONF_PROXY_OUT_V1, CONF_PROXY_OUT_V2};
    for (size_t i = 0; i < 2; i++) {
        struct fixture *fix = telling(state, versions[i]);
        fixture_accept(fix);
        sock_t upstream = connect_with_room(fix, 1000);
        const struct addr client = own_address(), here = address("127.0.0.1", 7000);
        expect_told(upstream, &client, &here);
        assert_int_equal(fake_sock(upstream)->sent[0], i == 0 ? 'P' : '\r');
    }
}

static void the_header_goes_before_the_clients_bytes_and_is_none_of_them(void **state)
{
    static const enum conf_proxy_out versions[] = {CONF_PROXY_OUT_V1, CONF_PROXY_OUT_V2};
    for (size_t i = 0; i < 2; i++) {
        struct fixture *fix = telling(state, versions[i]);
        sock_t client = fixture_accept(fix);
        fake_sock_arrive(client, "hello", 5);
        sock_t upstream = connect_with_room(fix, 1000);
        settle(fix, client, upstream);
        told(upstream, "hello");
        assert_int_equal(latest_info(fix).up.bytes, 5);
        assert_int_equal(latest_info(fix).up.writes, 1);
        assert_int_equal(fixture_counter(fix, STAT_BYTES_UP), 5 * (i + 1));
        assert_int_equal(fixture_counter(fix, STAT_WRITES_UP), i + 1);
    }
}

static void version_2_tells_the_id_of_the_session(void **state)
{
    struct fixture *fix = telling(state, CONF_PROXY_OUT_V2);
    atomic_store(&fix->relay.next_id, 4710);
    fixture_accept(fix);
    const struct fake_sock *upstream = fake_sock(connect_with_room(fix, 1000));
    /* 16 bytes, the addresses of IPv4, then the first TLV. */
    assert_memory_equal(upstream->sent + 28,
                        "\x05\0\x04"
                        "4711",
                        7);
}

static void who_came_by_a_header_is_told_with_where_it_went_first(void **state)
{
    struct fixture *fix = telling(state, CONF_PROXY_OUT_V2);
    expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
    for (size_t i = 0; i < HEADERS; i++) {
        sock_t client = fixture_accept(fix);
        fixture_arrive_bytes(fix, client, headers[i].bytes, headers[i].len);
        expect_told(connect_with_room(fix, 1000), &headers[i].source, &headers[i].destination);
    }
}

static void what_came_early_follows_the_header(void **state)
{
    struct fixture *fix = telling(state, CONF_PROXY_OUT_V1);
    expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
    sock_t client = fixture_accept(fix);
    fake_sock_arrive(client, headers[3].bytes, headers[3].len);
    fixture_arrive(fix, client, "early");
    sock_t upstream = connect_with_room(fix, 1000);
    settle(fix, client, upstream);
    told(upstream, "early");
    assert_int_equal(latest_info(fix).up.bytes, 5);
}

static void who_came_by_a_header_that_tells_nobody_is_the_peer(void **state)
{
    struct fixture *fix = telling(state, CONF_PROXY_OUT_V2);
    expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
    fixture_arrive(fix, fixture_accept(fix), "PROXY UNKNOWN\r\n");
    const struct addr peer = own_address(), here = address("127.0.0.1", 7000);
    expect_told(connect_with_room(fix, 1000), &peer, &here);
}

/* Of IPv4 and IPv6 mixed both are told as IPv6. */
static void a_client_of_another_family_than_its_destination_is_told_all_the_same(void **state)
{
    struct fixture *fix = telling(state, CONF_PROXY_OUT_V1);
    const struct addr player = address("2001:db8::7", 5555), here = address("127.0.0.1", 7000);
    fake_port_finish_accept(fixture_op(fix->listener, OP_ACCEPT), &player);
    fixture_pump(fix);
    expect_told(connect_with_room(fix, 1000), &player, &here);
}

/* ---- no room ---- */

static uint64_t connect_failures(struct fixture *fix)
{
    return fixture_counter(fix, STAT_CONNECT_FAILURES);
}

static void without_room_for_the_whole_header_the_connect_has_failed(void **state)
{
    struct fixture *fix = telling(state, CONF_PROXY_OUT_V2);
    fixture_gather_log();
    sock_t client = fixture_accept(fix);
    sock_t first = connect_with_room(fix, 20);
    assert_int_not_equal(fixture_closed(first), FAKE_SOCK_IS_OPEN);
    assert_int_equal(connect_failures(fix), 1);
    fixture_expect_log("connecting to 10.0.0.");
    fixture_expect_log("(try 1, another try follows)");

    sock_t second = connect_with_room(fix, 1000);
    told(second, "");
    fixture_arrive(fix, client, "hello");
    settle(fix, client, second);
    told(second, "hello");
    assert_int_equal(latest_info(fix).tries, 2);
    assert_int_equal(connect_failures(fix), 1);
}

static void an_upstream_that_resets_before_the_header_has_failed_the_connect(void **state)
{
    struct fixture *fix = telling(state, CONF_PROXY_OUT_V1);
    fix->route_conf.connect_retries = 0;
    sock_t client = fixture_accept(fix);
    fake_sock(fixture_connecting())->send_result = ERR_RESET;
    fixture_closed(fixture_connect(fix));
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(connect_failures(fix), 1);
    assert_int_equal(fixture_reasons(fix, REASON_CONNECT_REFUSED), 1);
}

static int set_up_with_eject(void **state)
{
    fixture_setup_unresolved(state);
    struct fixture *fix = *state;
    fix->route_conf.eject =
        (struct conf_eject){.count = 2, .within_ms = 10000, .for_ms = 30000};
    fix->route_conf.eject_max_percent = 50;
    fixture_know_addresses(fix);
    return 0;
}

static void an_upstream_without_room_counts_for_its_ejection(void **state)
{
    struct fixture *fix = telling(state, CONF_PROXY_OUT_V1);
    fix->route_conf.connect_retries = 0;
    fix->route_conf.balance = CONF_FIRST;
    struct route_upstream_info info;
    for (unsigned i = 0; i < 2; i++) {
        route_get_upstream(fix->relay.routes[0]->upstreams.route, 0, fix->worker->now_ms,
                           &info);
        assert_int_equal(info.state, ROUTE_UP);
        struct addr client = {.family = ADDR_IPV4, .port = 40000, .ip = {1, 2, 3, (uint8_t)i}};
        fixture_accept_from(fix, &client);
        connect_with_room(fix, 0);
    }
    route_get_upstream(fix->relay.routes[0]->upstreams.route, 0, fix->worker->now_ms, &info);
    assert_int_equal(info.state, ROUTE_EJECTED);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    make_headers();
    const struct CMUnitTest tests[] = {
        test(each_version_tells_the_client_and_where_it_went),
        test(the_header_goes_before_the_clients_bytes_and_is_none_of_them),
        test(version_2_tells_the_id_of_the_session),
        test(who_came_by_a_header_is_told_with_where_it_went_first),
        test(what_came_early_follows_the_header),
        test(who_came_by_a_header_that_tells_nobody_is_the_peer),
        test(a_client_of_another_family_than_its_destination_is_told_all_the_same),
        test(without_room_for_the_whole_header_the_connect_has_failed),
        test(an_upstream_that_resets_before_the_header_has_failed_the_connect),
        cmocka_unit_test_setup_teardown(an_upstream_without_room_counts_for_its_ejection,
                                        set_up_with_eject, fixture_teardown),
    };
    return cmocka_run_group_tests_name("relay_proxy_header_out", tests, NULL, NULL);
}
