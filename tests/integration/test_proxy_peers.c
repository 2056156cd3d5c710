/* PROXY headers between the relay and others that speak them: HAProxy, nginx, another relay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"
#include "os/os.h"
#include "peer.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

/* What the running test started beside its relay, for its teardown. */
static struct peer peer;
static void *second_relay;

static int teardown(void **state)
{
    int failed = relay_teardown(state);
    failed += relay_teardown(&second_relay);
    if (peer.dir[0] != '\0')
        peer_end(&peer);
    peer.dir[0] = '\0';
    return failed;
}

static void need_ipv6(void)
{
    if (net_has_ipv6())
        return;
    print_message("not shown: this machine has no IPv6\n");
    skip();
}

/* ---- to a peer ---- */

/* Sessions through a relay to a peer, which has to log who their clients are. */
static void check_out(void **state, enum peer_kind kind, const char *version,
                      enum addr_family family)
{
    char keys[64], ip[ADDR_TEXT_MAX];
    peer_need(kind);
    if (family == ADDR_IPV6)
        need_ipv6();
    struct addr server;
    sock_t listener = upstream_listen(ADDR_IPV4, &server);
    peer_start_behind(&peer, kind, &server);

    str_format(keys, sizeof keys, "proxy_protocol_out = %s\n", version);
    const struct relay_setup setup = {.upstreams = &peer.addr,
                                      .upstream_count = 1,
                                      .listen = family == ADDR_IPV6 ? "[::1]" : NULL,
                                      .route_keys = keys};
    struct relay_run *relay = relay_start(state, &setup);
    bool has_id = kind == PEER_HAPROXY && strcmp(version, "v2") == 0;
    for (unsigned id = 1; id <= 3; id++) {
        struct session session = session_open(&relay->addr, listener);
        struct addr client = local_addr(session.client);
        session_check(&session);
        session_end(&session);
        char shown[24] = "-";
        if (has_id)
            str_format(shown, sizeof shown, "%u", id);
        addr_format_ip(&client, ip);
        peer_expect_log(&peer, "%s %u to %s %u id %s\n", ip, (unsigned)client.port, ip,
                        (unsigned)relay->addr.port, shown);
    }
    relay_wait_nothing_left(relay);
    /* Without the header. */
    assert_int_equal(relay_stat(relay, "bytes_up_total"), 3 * SESSION_CHECK_BYTES);
    relay_end(relay);
    net_close(listener);
}

static void haproxy_learns_the_client_by_version_1(void **state)
{
    check_out(state, PEER_HAPROXY, "v1", ADDR_IPV4);
}

static void haproxy_learns_the_client_by_version_1_of_ipv6(void **state)
{
    check_out(state, PEER_HAPROXY, "v1", ADDR_IPV6);
}

static void haproxy_learns_the_client_and_the_sessions_id_by_version_2(void **state)
{
    check_out(state, PEER_HAPROXY, "v2", ADDR_IPV4);
}

static void haproxy_learns_the_client_and_the_sessions_id_by_version_2_of_ipv6(void **state)
{
    check_out(state, PEER_HAPROXY, "v2", ADDR_IPV6);
}

static void nginx_learns_the_client_by_version_1(void **state)
{
    check_out(state, PEER_NGINX, "v1", ADDR_IPV4);
}

static void nginx_learns_the_client_by_version_1_of_ipv6(void **state)
{
    check_out(state, PEER_NGINX, "v1", ADDR_IPV6);
}

static void nginx_learns_the_client_by_version_2(void **state)
{
    check_out(state, PEER_NGINX, "v2", ADDR_IPV4);
}

static void nginx_learns_the_client_by_version_2_of_ipv6(void **state)
{
    check_out(state, PEER_NGINX, "v2", ADDR_IPV6);
}

/* ---- from a peer ---- */

/* The client as the relay shows and logs it. */
static void check_client(struct relay_run *relay, const struct addr *through, sock_t listener)
{
    struct session session = session_open(through, listener);
    session_check(&session);
    json_t *root = relay_json(relay, "show sessions");
    (void)find_session(root, session.client); /* fails the test if it shows another client */
    json_decref(root);
    struct addr client = local_addr(session.client);
    session_end(&session);
    char text[ADDR_TEXT_MAX];
    expect_log(relay, " client=%s via=127.0.0.1:", addr_format(&client, text));
}

static void check_in(void **state, enum peer_kind kind, bool v2, enum addr_family family)
{
    peer_need(kind);
    if (family == ADDR_IPV6)
        need_ipv6();
    struct addr server;
    sock_t listener = upstream_listen(ADDR_IPV4, &server);
    const struct relay_setup setup = {.upstreams = &server,
                                      .upstream_count = 1,
                                      .route_keys = "proxy_protocol_in = required\n"
                                                    "proxy_trust = 127.0.0.1\n"};
    struct relay_run *relay = relay_start(state, &setup);
    peer_start_before(&peer, kind, v2, family, &relay->addr);
    for (unsigned i = 0; i < 3; i++)
        check_client(relay, &peer.addr, listener);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    net_close(listener);
}

static void haproxy_tells_the_client_by_version_1(void **state)
{
    check_in(state, PEER_HAPROXY, false, ADDR_IPV4);
}

static void haproxy_tells_the_client_by_version_1_of_ipv6(void **state)
{
    check_in(state, PEER_HAPROXY, false, ADDR_IPV6);
}

static void haproxy_tells_the_client_by_version_2(void **state)
{
    check_in(state, PEER_HAPROXY, true, ADDR_IPV4);
}

static void haproxy_tells_the_client_by_version_2_of_ipv6(void **state)
{
    check_in(state, PEER_HAPROXY, true, ADDR_IPV6);
}

static void nginx_tells_the_client_by_version_1(void **state)
{
    check_in(state, PEER_NGINX, false, ADDR_IPV4);
}

static void nginx_tells_the_client_by_version_1_of_ipv6(void **state)
{
    check_in(state, PEER_NGINX, false, ADDR_IPV6);
}

/* ---- by hand ---- */

static void a_relay_tells_another_who_the_client_is(void **state)
{
    struct addr server;
    sock_t listener = upstream_listen(ADDR_IPV4, &server);
    const struct relay_setup behind = {.upstreams = &server,
                                       .upstream_count = 1,
                                       .route_keys = "proxy_protocol_in = required\n"
                                                     "proxy_trust = 127.0.0.0/8\n"};
    struct relay_run *second = relay_start(&second_relay, &behind);
    const struct relay_setup before = {.upstreams = &second->addr,
                                       .upstream_count = 1,
                                       .route_keys = "proxy_protocol_out = v2\n"};
    struct relay_run *first = relay_start(state, &before);
    for (unsigned i = 0; i < 5; i++)
        check_client(second, &first->addr, listener);

    relay_wait_nothing_left(first);
    relay_wait_nothing_left(second);
    assert_int_equal(relay_stat(second, "bytes_up_total"), relay_stat(first, "bytes_up_total"));
    assert_int_equal(relay_stat(second, "bytes_up_total"), 5 * SESSION_CHECK_BYTES);
    relay_end(first);
    relay_end(second);
    net_close(listener);
}

/* Bytes behind a header that comes bit by bit, and the FIN behind them. */
static void what_follows_a_slow_header_reaches_the_upstream(void **state)
{
    static const char header[] = "PROXY TCP4 192.0.2.7 203.0.113.1 5555 7777\r\n";
    struct addr server;
    sock_t listener = upstream_listen(ADDR_IPV4, &server), upstream;
    const struct relay_setup setup = {.upstreams = &server,
                                      .upstream_count = 1,
                                      .route_keys = "proxy_protocol_in = required\n"
                                                    "proxy_trust = 127.0.0.1\n"};
    struct relay_run *relay = relay_start(state, &setup);
    sock_t client = connect_client(&relay->addr);
    net_set_nodelay(client);
    for (size_t i = 0; i < sizeof header - 1; i++) {
        assert_int_equal(net_send(client, header + i, 1, NET_PATIENCE_MS, NULL), ERR_OK);
        os_sleep_ms(1); /* most likely each is received by itself */
    }
    send_bytes(client, 20000);
    net_finish(client);
    assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &upstream), ERR_OK);
    expect_bytes(upstream, 20000);
    expect_end(upstream, NET_END_FIN, 0);
    net_close(upstream);
    net_close(client);
    expect_log(relay, " client=192.0.2.7:5555 via=127.0.0.1:");
    relay_wait_nothing_left(relay);
    relay_end(relay);
    net_close(listener);
}

static void who_sends_no_header_in_time_is_refused_or_is_the_client(void **state)
{
    struct addr server;
    sock_t listener = upstream_listen(ADDR_IPV4, &server);
    char text[ADDR_TEXT_MAX], more[256];
    str_format(more, sizeof more,
               "[route optional]\nlisten = 127.0.0.1:%%PORT2%%\nupstream = %s\n"
               "proxy_protocol_in = optional\nproxy_trust = 127.0.0.1\nproxy_timeout = 300ms\n",
               addr_format(&server, text));
    const struct relay_setup setup = {.upstreams = &server,
                                      .upstream_count = 1,
                                      .more = more,
                                      .route_keys = "proxy_protocol_in = required\n"
                                                    "proxy_trust = 127.0.0.1\n"
                                                    "proxy_timeout = 300ms\n"};
    struct relay_run *relay = relay_start(state, &setup);
    uint64_t start = os_mono_ms();
    sock_t client = connect_client(&relay->addr);
    expect_end(client, NET_END_RESET, 0);
    expect_passed(start, 300);
    net_close(client);
    expect_log(relay, "reason=proxy_timeout phase=accept");

    const struct addr optional = net_loopback(ADDR_IPV4, relay->port2);
    start = os_mono_ms();
    struct session session = session_open(&optional, listener);
    expect_passed(start, 300);
    session_check(&session);
    session_end(&session);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    net_close(listener);
}

/* The FIN stands for itself, and after it the server still has its say. */
static void who_sends_nothing_but_a_fin_is_a_client_where_a_header_is_optional(void **state)
{
    struct addr server;
    sock_t listener = upstream_listen(ADDR_IPV4, &server), upstream;
    const struct relay_setup setup = {.upstreams = &server,
                                      .upstream_count = 1,
                                      .route_keys = "proxy_protocol_in = optional\n"
                                                    "proxy_trust = 127.0.0.1\n"
                                                    "proxy_timeout = 1m\n"};
    struct relay_run *relay = relay_start(state, &setup);
    sock_t client = connect_client(&relay->addr);
    net_finish(client);
    assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &upstream), ERR_OK);
    expect_end(upstream, NET_END_FIN, 0);
    send_bytes(upstream, 5000);
    net_finish(upstream);
    expect_bytes(client, 5000);
    expect_end(client, NET_END_FIN, 0);
    net_close(upstream);
    net_close(client);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    net_close(listener);
}

/* ---- health checks ---- */

/* The next check that comes through to the server says "ping" and gets this answer. */
static void answer_check(sock_t listener, const char *answer)
{
    sock_t sock;
    char said[4];
    assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &sock), ERR_OK);
    assert_int_equal(net_receive_all(sock, said, sizeof said, NET_PATIENCE_MS), ERR_OK);
    assert_memory_equal(said, "ping", 4);
    assert_int_equal(net_send(sock, answer, strlen(answer), NET_PATIENCE_MS, NULL), ERR_OK);
    net_receive_end(sock, NET_PATIENCE_MS, NULL, NULL);
    net_close(sock);
}

/* The peer hands to the server what comes behind a header that it accepts, and nothing else. */
static void check_health(void **state, enum peer_kind kind, const char *version)
{
    char keys[256];
    peer_need(kind);
    struct addr server;
    sock_t listener = upstream_listen(ADDR_IPV4, &server);
    peer_start_behind(&peer, kind, &server);
    str_format(keys, sizeof keys,
               "proxy_protocol_out = %s\n"
               "health = tcp interval=2s timeout=2s fast=200ms rise=1 fall=1 send=\"ping\" "
               "expect=\"pong\"\n",
               version);
    const struct relay_setup setup = {
        .upstreams = &peer.addr, .upstream_count = 1, .route_keys = keys};
    struct relay_run *relay = relay_start(state, &setup);
    answer_check(listener, "nope");
    expect_log(relay, " is DOWN, was UP for ");
    /* On a busy machine the answer may come too late for the check that asked. */
    while (!process_wait_errors(relay->process, " is UP, was DOWN for ", 500))
        answer_check(listener, "pong");
    relay_end(relay);
    net_close(listener);
}

static void haproxy_takes_a_health_check_by_version_1(void **state)
{
    check_health(state, PEER_HAPROXY, "v1");
}

static void haproxy_takes_a_health_check_by_version_2(void **state)
{
    check_health(state, PEER_HAPROXY, "v2");
}

static void nginx_takes_a_health_check_by_version_1(void **state)
{
    check_health(state, PEER_NGINX, "v1");
}

static void nginx_takes_a_health_check_by_version_2(void **state)
{
    check_health(state, PEER_NGINX, "v2");
}

#define test(name) cmocka_unit_test_teardown(name, teardown)

#define SLOW_MOST 10u /* a quarter of max_sessions */

/* A client that a trusted proxy speaks for. */
static struct session session_through_proxy(const struct addr *relay, sock_t listener,
                                            const char *header)
{
    struct session session = {.client = connect_client(relay)};
    size_t sent;
    assert_int_equal(net_send(session.client, header, strlen(header), NET_PATIENCE_MS, &sent),
                     ERR_OK);
    assert_int_equal(sent, strlen(header));
    assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &session.upstream), ERR_OK);
    return session;
}

static void connections_without_a_header_leave_room_for_clients_with_one(void **state)
{
    static const char header[] = "PROXY TCP4 192.0.2.7 192.0.2.1 4000 7000\r\n";
    struct addr server;
    sock_t listener = upstream_listen(ADDR_IPV4, &server), slow[SLOW_MOST + 5];
    const struct relay_setup setup = {.upstreams = &server,
                                      .upstream_count = 1,
                                      .route_keys = "max_sessions = 40\n"
                                                    "proxy_protocol_in = required\n"
                                                    "proxy_trust = 127.0.0.1\n"
                                                    "proxy_timeout = 1m\n"};
    struct relay_run *relay = relay_start(state, &setup);
    for (unsigned i = 0; i < SLOW_MOST; i++)
        slow[i] = connect_client(&relay->addr);
    assert_true(relay_wait_info(relay, "sessions_open", SLOW_MOST));
    for (unsigned i = SLOW_MOST; i < SLOW_MOST + 5; i++)
        slow[i] = connect_client(&relay->addr);
    assert_true(relay_wait_stat(relay, "sessions_refused_by_reason_total.limit_headers", 5));
    json_t *routes = relay_json(relay, "show routes");
    const json_t *route = json_array_get(json_object_get(routes, "routes"), 0);
    assert_int_equal(json_number_at(route, "headers_awaited", 0), SLOW_MOST);
    assert_int_equal(json_number_at(route, "headers_awaited_max", 0), SLOW_MOST);
    json_decref(routes);
    expect_log(relay, " refused: a quarter of the route's max_sessions waited for their PROXY "
                      "header, and this one for longest\n");

    for (unsigned i = 0; i < 3; i++) {
        struct session session = session_through_proxy(&relay->addr, listener, header);
        session_check(&session);
        json_t *sessions = relay_json(relay, "show sessions sort newest");
        const json_t *newest = json_array_get(json_object_get(sessions, "sessions"), 0);
        assert_string_equal(json_text(newest, "client_addr"), "192.0.2.7:4000");
        json_decref(sessions);
        session_end(&session);
    }
    /* One whose header was not there yet when it was accepted took another's place. */
    uint64_t refused = relay_stat(relay, "sessions_refused_by_reason_total.limit_headers");
    assert_in_range(refused, 5, 5 + 3);
    for (unsigned i = 0; i < SLOW_MOST + 5; i++)
        net_close(slow[i]);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    net_close(listener);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        test(haproxy_learns_the_client_by_version_1),
        test(haproxy_learns_the_client_by_version_1_of_ipv6),
        test(haproxy_learns_the_client_and_the_sessions_id_by_version_2),
        test(haproxy_learns_the_client_and_the_sessions_id_by_version_2_of_ipv6),
        test(nginx_learns_the_client_by_version_1),
        test(nginx_learns_the_client_by_version_1_of_ipv6),
        test(nginx_learns_the_client_by_version_2),
        test(nginx_learns_the_client_by_version_2_of_ipv6),
        test(haproxy_tells_the_client_by_version_1),
        test(haproxy_tells_the_client_by_version_1_of_ipv6),
        test(haproxy_tells_the_client_by_version_2),
        test(haproxy_tells_the_client_by_version_2_of_ipv6),
        test(nginx_tells_the_client_by_version_1),
        test(nginx_tells_the_client_by_version_1_of_ipv6),
        test(a_relay_tells_another_who_the_client_is),
        test(what_follows_a_slow_header_reaches_the_upstream),
        test(who_sends_no_header_in_time_is_refused_or_is_the_client),
        test(who_sends_nothing_but_a_fin_is_a_client_where_a_header_is_optional),
        test(connections_without_a_header_leave_room_for_clients_with_one),
        test(haproxy_takes_a_health_check_by_version_1),
        test(haproxy_takes_a_health_check_by_version_2),
        test(nginx_takes_a_health_check_by_version_1),
        test(nginx_takes_a_health_check_by_version_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
