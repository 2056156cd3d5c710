/* Connecting to upstreams: in turn, in time, again after a failure; what a client says
 * meanwhile is not lost, and a client for whom there is none is reset. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

/* What `show upstreams json` says of the route's upstream with this index. */
static void expect_upstream(struct relay_run *relay, size_t index, const struct addr *addr,
                            uint64_t connects, uint64_t failures, uint64_t open)
{
    json_t *root = relay_json(relay, "show upstreams");
    const json_t *upstream = json_array_get(json_object_get(root, "upstreams"), index);
    expect_addr(upstream, "upstream", addr);
    assert_int_equal(json_number_at(upstream, "connects_total", UINT64_MAX), connects);
    assert_int_equal(json_number_at(upstream, "connect_failures_total", UINT64_MAX), failures);
    assert_int_equal(json_number_at(upstream, "sessions_total", UINT64_MAX),
                     connects - failures);
    assert_int_equal(json_number_at(upstream, "sessions_open", UINT64_MAX), open);
    json_decref(root);
}

static struct addr free_addr(void)
{
    struct addr addr = net_loopback(ADDR_IPV4, net_free_port());
    assert_int_not_equal(addr.port, 0);
    return addr;
}

/* ---- which one ---- */

static void sessions_go_to_the_upstreams_in_turn(void **state)
{
    enum { UPSTREAMS = 3, ROUNDS = 4 };
    struct addr upstreams[UPSTREAMS];
    sock_t listeners[UPSTREAMS];
    for (size_t i = 0; i < UPSTREAMS; i++)
        listeners[i] = upstream_listen(ADDR_IPV4, &upstreams[i]);
    const struct relay_setup setup = {.upstreams = upstreams, .upstream_count = UPSTREAMS};
    struct relay_run *relay = relay_start(state, &setup);

    struct session sessions[UPSTREAMS * ROUNDS];
    for (size_t i = 0; i < UPSTREAMS * ROUNDS; i++) {
        sessions[i] = session_open(&relay->addr, listeners[i % UPSTREAMS]);
        session_check(&sessions[i]);
    }
    for (size_t i = 0; i < UPSTREAMS; i++)
        expect_upstream(relay, i, &upstreams[i], ROUNDS, 0, ROUNDS);

    for (size_t i = 0; i < UPSTREAMS * ROUNDS; i++)
        session_end(&sessions[i]);
    relay_wait_nothing_left(relay);
    for (size_t i = 0; i < UPSTREAMS; i++) {
        expect_upstream(relay, i, &upstreams[i], ROUNDS, 0, 0);
        net_close(listeners[i]);
    }
    relay_end(relay);
}

static void an_upstream_may_be_a_name(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    char keys[128];
    /* The name may stand for an IPv6 address as well, where nobody listens. */
    str_format(keys, sizeof keys, "upstream = localhost:%u\nconnect_retries = 3\n",
               (unsigned)upstream.port);
    const struct relay_setup setup = {.route_keys = keys};
    struct relay_run *relay = relay_start(state, &setup);
    for (unsigned i = 0; i < 2; i++) {
        struct session session = session_open(&relay->addr, listener);
        session_check(&session);
        session_end(&session);
    }
    net_close(listener);
    relay_wait_nothing_left(relay);
    relay_end(relay);
}

/* ---- failures ---- */

static void an_upstream_that_does_not_answer_is_given_up_after_connect_timeout(void **state)
{
    struct net_deaf deaf;
    upstream_deaf(&deaf);
    const struct relay_setup setup = {.upstreams = &deaf.addr,
                                      .upstream_count = 1,
                                      .route_keys =
                                          "connect_timeout = 700ms\nconnect_retries = 0\n"};
    struct relay_run *relay = relay_start(state, &setup);

    uint64_t start = os_mono_ms();
    sock_t client = connect_client(&relay->addr);
    send_bytes(client, 100);
    expect_end(client, NET_END_RESET, 0);
    expect_passed(start, 700);
    net_close(client);

    expect_log(relay, "reason=connect_timeout phase=connect bytes_up=0 bytes_down=0");
    expect_log(relay, "failed: %s (try 1, giving up)\n", err_text(ERR_TIMEDOUT));
    relay_wait_nothing_left(relay);
    expect_upstream(relay, 0, &deaf.addr, 1, 1, 0);
    assert_int_equal(relay_stat(relay, "connects_total"), 1);
    assert_int_equal(relay_stat(relay, "connect_failures_total"), 1);
    assert_int_equal(relay_stat(relay, "connect_retries_total"), 0);
    assert_int_equal(relay_stat(relay, "connect_time_count"), 0);
    assert_int_equal(relay_stat(relay, "sessions_ended_by_reason_total.connect_timeout"), 1);
    assert_int_equal(relay_stat(relay, "sessions_ended_total"), 1);
    net_deaf_close(&deaf);
    relay_end(relay);
}

static void every_try_has_connect_timeout_for_itself(void **state)
{
    struct net_deaf deaf[2];
    upstream_deaf(&deaf[0]);
    upstream_deaf(&deaf[1]);
    const struct addr upstreams[] = {deaf[0].addr, deaf[1].addr};
    const struct relay_setup setup = {.upstreams = upstreams,
                                      .upstream_count = 2,
                                      .route_keys =
                                          "connect_timeout = 500ms\nconnect_retries = 1\n"};
    struct relay_run *relay = relay_start(state, &setup);
    uint64_t start = os_mono_ms();
    sock_t client = connect_client(&relay->addr);
    expect_end(client, NET_END_RESET, 0);
    expect_passed(start, 1000);
    net_close(client);

    expect_log(relay, "reason=connect_timeout phase=connect");
    relay_wait_nothing_left(relay);
    for (size_t i = 0; i < 2; i++) {
        expect_upstream(relay, i, &upstreams[i], 1, 1, 0);
        net_deaf_close(&deaf[i]);
    }
    assert_int_equal(relay_stat(relay, "connect_retries_total"), 1);
    relay_end(relay);
}

static void a_refused_session_is_tried_as_often_as_configured_and_reset(void **state)
{
    const struct addr nobody = free_addr();
    const struct relay_setup setup = {
        .upstreams = &nobody, .upstream_count = 1, .route_keys = "connect_retries = 2\n"};
    struct relay_run *relay = relay_start(state, &setup);

    uint64_t start = os_mono_ms();
    sock_t client = connect_client(&relay->addr);
    send_bytes(client, 100);
    expect_end(client, NET_END_RESET, 0);
    expect_passed(start, 2000); /* the same address rests for a second before each retry */
    net_close(client);

    expect_log(relay, "reason=connect_refused phase=connect bytes_up=0 bytes_down=0");
    expect_log(relay, "failed: %s (try 1, another try follows)\n", err_text(ERR_REFUSED));
    relay_wait_nothing_left(relay);
    expect_upstream(relay, 0, &nobody, 3, 3, 0);
    assert_int_equal(relay_stat(relay, "connects_total"), 3);
    assert_int_equal(relay_stat(relay, "connect_failures_total"), 3);
    assert_int_equal(relay_stat(relay, "connect_retries_total"), 2);
    assert_int_equal(relay_stat(relay, "sessions_ended_by_reason_total.connect_refused"), 1);
    relay_end(relay);
    char text[ADDR_TEXT_MAX], more[128];
    str_format(more, sizeof more, "route 'test': upstream '%s': failed connects",
               addr_format(&nobody, text));
    assert_int_equal(count_told(relay, ": connecting to ", more), 3);
}

static void a_client_whose_upstream_refuses_is_reset(void **state)
{
    const struct addr nobody = free_addr();
    const struct relay_setup setup = {
        .upstreams = &nobody, .upstream_count = 1, .route_keys = "connect_retries = 0\n"};
    struct relay_run *relay = relay_start(state, &setup);
    expect_refused_client(&relay->addr, NULL);
    expect_log(relay, "reason=connect_refused phase=connect bytes_up=0 bytes_down=0");
    expect_log(relay, "failed: %s (try 1, giving up)\n", err_text(ERR_REFUSED));
    relay_wait_nothing_left(relay);
    /* A session it was all the same: it was tried. */
    assert_int_equal(relay_stat(relay, "sessions_ended_by_reason_total.connect_refused"), 1);
    assert_int_equal(relay_stat(relay, "sessions_refused_total"), 0);
    relay_end(relay);
}

static void a_client_whose_upstream_is_unreachable_is_reset(void **state)
{
    /* No TCP connection leads to a multicast address, and no packet leaves for it. */
    const struct addr upstream = {.family = ADDR_IPV4, .port = 7000, .ip = {224, 0, 0, 1}};
    const struct relay_setup setup = {
        .upstreams = &upstream, .upstream_count = 1, .route_keys = "connect_retries = 0\n"};
    struct relay_run *relay = relay_start(state, &setup);
    expect_refused_client(&relay->addr, NULL);
    expect_log(relay, "reason=connect_unreachable phase=connect");
    relay_wait_nothing_left(relay);
    relay_end(relay);
}

/* ---- the next try ---- */

/* A session whose first upstream fails and whose second one answers. */
static void check_second_upstream(void **state, const struct addr *first)
{
    struct addr upstreams[2] = {*first};
    sock_t listener = upstream_listen(ADDR_IPV4, &upstreams[1]);
    const struct relay_setup setup = {.upstreams = upstreams,
                                      .upstream_count = 2,
                                      .route_keys =
                                          "connect_timeout = 700ms\nconnect_retries = 1\n"};
    struct relay_run *relay = relay_start(state, &setup);

    /* All that the client has to say, and its FIN, may be there before anybody listens. */
    sock_t client = connect_client(&relay->addr), server;
    send_bytes(client, 50000);
    net_finish(client);
    assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &server), ERR_OK);
    expect_bytes(server, 50000);
    expect_end(server, NET_END_FIN, 0);
    send_bytes(server, 5000);
    net_finish(server);
    expect_bytes(client, 5000);
    expect_end(client, NET_END_FIN, 0);
    net_close(client);
    net_close(server);
    net_close(listener);

    expect_log(relay, "reason=client_fin phase=data bytes_up=50000 bytes_down=5000");
    relay_wait_nothing_left(relay);
    assert_int_equal(relay_stat(relay, "connects_total"), 2);
    assert_int_equal(relay_stat(relay, "connect_failures_total"), 1);
    assert_int_equal(relay_stat(relay, "connect_retries_total"), 1);
    assert_int_equal(relay_stat(relay, "sessions_total"), 1);
    expect_upstream(relay, 0, &upstreams[0], 1, 1, 0);
    expect_upstream(relay, 1, &upstreams[1], 1, 0, 0);
    relay_end(relay);
}

static void what_a_client_sent_early_reaches_the_next_upstream_after_a_refusal(void **state)
{
    const struct addr nobody = free_addr();
    check_second_upstream(state, &nobody);
}

static void what_a_client_sent_early_reaches_the_next_upstream_after_a_timeout(void **state)
{
    struct net_deaf deaf;
    upstream_deaf(&deaf);
    check_second_upstream(state, &deaf.addr);
    net_deaf_close(&deaf);
}

static void a_client_waits_for_an_upstream_that_starts_later(void **state)
{
    const struct addr later = free_addr();
    const struct relay_setup setup = {
        .upstreams = &later, .upstream_count = 1, .route_keys = "connect_retries = 100\n"};
    struct relay_run *relay = relay_start(state, &setup);
    struct session session = {.client = connect_client(&relay->addr)};
    send_bytes(session.client, 5000);
    expect_log(relay, "another try follows");
    os_sleep_ms(1000); /* the server that starts now takes its time */

    sock_t listener;
    assert_int_equal(net_listen(&later, 8, &listener, NULL), ERR_OK);
    assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &session.upstream), ERR_OK);
    expect_bytes(session.upstream, 5000);
    session_check(&session);
    session_end(&session);
    net_close(listener);

    relay_wait_nothing_left(relay);
    uint64_t failures = relay_stat(relay, "connect_failures_total");
    assert_true(failures >= 1);
    expect_upstream(relay, 0, &later, failures + 1, failures, 0);
    assert_int_equal(relay_stat(relay, "connect_retries_total"), failures);
    assert_int_equal(relay_stat(relay, "sessions_ended_by_reason_total.client_fin"), 1);
    relay_end(relay);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(sessions_go_to_the_upstreams_in_turn, relay_teardown),
        cmocka_unit_test_teardown(an_upstream_may_be_a_name, relay_teardown),
        cmocka_unit_test_teardown(
            an_upstream_that_does_not_answer_is_given_up_after_connect_timeout, relay_teardown),
        cmocka_unit_test_teardown(every_try_has_connect_timeout_for_itself, relay_teardown),
        cmocka_unit_test_teardown(a_refused_session_is_tried_as_often_as_configured_and_reset,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_client_whose_upstream_refuses_is_reset, relay_teardown),
        cmocka_unit_test_teardown(a_client_whose_upstream_is_unreachable_is_reset,
                                  relay_teardown),
        cmocka_unit_test_teardown(
            what_a_client_sent_early_reaches_the_next_upstream_after_a_refusal, relay_teardown),
        cmocka_unit_test_teardown(
            what_a_client_sent_early_reaches_the_next_upstream_after_a_timeout, relay_teardown),
        cmocka_unit_test_teardown(a_client_waits_for_an_upstream_that_starts_later,
                                  relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
