/* How clients are turned away: reset, closed or kept in the tarpit; and those that proxies speak
 * for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guard_fixture.h"
#include "proxy_header_fixture.h"
#include "relay/run.h"

#define TARPIT_MS 10000

static void refuse_by(struct fixture *fix, enum conf_refuse how)
{
    fix->route_conf.refuse = how;
    fix->route_conf.tarpit_ms = how == CONF_REFUSE_TARPIT ? TARPIT_MS : 0;
    ban(fix, "10.0.0.0/8", UINT32_MAX);
}

static void refused_clients_are_reset_unless_told_otherwise(void **state)
{
    struct fixture *fix = *state;
    refuse_by(fix, CONF_REFUSE_RESET);
    assert_int_equal(fixture_closed(come_from(fix, "10.0.0.1")), FAKE_SOCK_ABORTED);
}

static void with_close_they_get_a_fin(void **state)
{
    struct fixture *fix = *state;
    refuse_by(fix, CONF_REFUSE_CLOSE);
    assert_int_equal(fixture_closed(come_from(fix, "10.0.0.1")), FAKE_SOCK_ENDED);
    assert_int_equal(fixture_reasons(fix, REASON_BANNED), 1);
}

static void a_limit_of_sessions_resets_whatever_refuse_says(void **state)
{
    struct fixture *fix = *state;
    refuse_by(fix, CONF_REFUSE_TARPIT);
    fix->relay.routes[0]->quota.limit = 0;
    expect_reset(fix, "192.0.2.1", REASON_LIMIT_ROUTE);
    fix->route_conf.refuse = CONF_REFUSE_CLOSE;
    expect_reset(fix, "192.0.2.1", REASON_LIMIT_ROUTE);
}

static void in_the_tarpit_a_client_is_left_alone_then_reset(void **state)
{
    struct fixture *fix = *state;
    refuse_by(fix, CONF_REFUSE_TARPIT);
    unsigned in_flight = fake_port_in_flight();
    sock_t client = come_from(fix, "10.0.0.1");
    assert_int_equal(fake_sock(client)->state, FAKE_SOCK_IS_OPEN);
    assert_false(fake_sock(client)->attached);
    assert_int_equal(fake_port_in_flight(), in_flight);
    assert_int_equal(fixture_reasons(fix, REASON_BANNED), 1);
    assert_int_equal(fix->relay.pairs.used, 0);
    assert_int_equal(atomic_load(&fix->relay.guard.tarpit.held), 1);

    fixture_pass(fix, TARPIT_MS - WHEEL_SLOT_MS);
    assert_int_equal(fake_sock(client)->state, FAKE_SOCK_IS_OPEN);
    fixture_pass(fix, 2 * WHEEL_SLOT_MS);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(atomic_load(&fix->relay.guard.tarpit.held), 0);
    assert_int_equal(atomic_load(&fix->relay.guard.tarpit.total), 1);
}

static void when_the_tarpit_is_full_clients_are_reset_at_once(void **state)
{
    struct fixture *fix = *state;
    sock_t kept[4]; /* tarpit_max of the fixture */
    refuse_by(fix, CONF_REFUSE_TARPIT);
    for (int i = 0; i < 4; i++)
        kept[i] = come_from(fix, "10.0.0.1");
    for (int i = 0; i < 3; i++)
        expect_reset(fix, "10.0.0.1", REASON_BANNED);
    assert_int_equal(atomic_load(&fix->relay.guard.tarpit.full_total), 3);
    for (int i = 0; i < 4; i++)
        assert_int_equal(fake_sock(kept[i])->state, FAKE_SOCK_IS_OPEN);
    fixture_pass(fix, TARPIT_MS + 2 * WHEEL_SLOT_MS);
    for (int i = 0; i < 4; i++)
        assert_int_equal(fixture_closed(kept[i]), FAKE_SOCK_ABORTED);
    sock_t next = come_from(fix, "10.0.0.1");
    assert_int_equal(fake_sock(next)->state, FAKE_SOCK_IS_OPEN);
}

static void a_shorter_time_ends_first_though_it_began_later(void **state)
{
    struct fixture *fix = *state;
    refuse_by(fix, CONF_REFUSE_TARPIT);
    sock_t longer = come_from(fix, "10.0.0.1");
    fix->route_conf.tarpit_ms = 1000;
    sock_t shorter = come_from(fix, "10.0.0.1");
    fixture_pass(fix, 1000 + 2 * WHEEL_SLOT_MS);
    assert_int_equal(fixture_closed(shorter), FAKE_SOCK_ABORTED);
    assert_int_equal(fake_sock(longer)->state, FAKE_SOCK_IS_OPEN);
    fixture_pass(fix, TARPIT_MS);
    assert_int_equal(fixture_closed(longer), FAKE_SOCK_ABORTED);
}

static void a_stop_resets_who_is_in_the_tarpit_at_once(void **state)
{
    struct fixture *fix = *state;
    refuse_by(fix, CONF_REFUSE_TARPIT);
    sock_t client = come_from(fix, "10.0.0.1");
    run_stop(&fix->relay, false);
    fixture_pump(fix);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_false(
        tarpit_take(&fix->relay.guard.tarpit, client, fix->worker->now_ms + TARPIT_MS));
}

/* ---- behind proxies ---- */

static sock_t come_by_proxy(struct fixture *fix, const void *bytes, size_t len)
{
    sock_t client = come_from(fix, "1.2.3.4");
    assert_int_equal(fake_sock(client)->state, FAKE_SOCK_IS_OPEN);
    fixture_arrive_bytes(fix, client, bytes, len);
    return client;
}

static sock_t come_with_header(struct fixture *fix)
{
    return come_by_proxy(fix, headers[0].bytes, headers[0].len);
}

static void a_proxy_is_asked_for_nothing_and_its_client_for_all(void **state)
{
    struct fixture *fix = *state;
    expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
    add_rule(fix, "1.2.3.4", false);
    use_rules(fix);
    ban(fix, "1.2.3.4", 60000);
    fix->route_conf.max_sessions_per_client = 1;
    sock_t client = come_with_header(fix);
    assert_int_equal(fake_sock(client)->state, FAKE_SOCK_IS_OPEN);
    assert_int_equal(sessions_of(fix, "192.0.2.7"), 1);
    assert_int_equal(sessions_of(fix, "1.2.3.4"), 0);

    assert_int_equal(fixture_closed(come_with_header(fix)), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_LIMIT_CLIENT), 1);
    ban(fix, "192.0.2.7", 60000);
    assert_int_equal(fixture_closed(come_with_header(fix)), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_BANNED), 1);
    add_rule(fix, "192.0.2.0/24", false);
    use_rules(fix);
    assert_int_equal(fixture_closed(come_with_header(fix)), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_DENIED), 1);
    assert_int_equal(fixture_counter(fix, STAT_SESSIONS), 1);
    assert_int_equal(sessions_of(fix, "192.0.2.7"), 1);
}

static void a_client_refused_behind_a_proxy_is_named_in_the_log(void **state)
{
    struct fixture *fix = *state;
    expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
    ban(fix, "192.0.2.7", 60000);
    fixture_gather_log();
    come_with_header(fix);
    fixture_expect_log("route 'game': client 192.0.2.7:5555 refused: the client is banned");
}

static void behind_a_proxy_close_is_a_fin_and_the_tarpit_a_reset(void **state)
{
    struct fixture *fix = *state;
    expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
    refuse_by(fix, CONF_REFUSE_CLOSE);
    ban(fix, "192.0.2.7", 60000);
    assert_int_equal(fixture_closed(come_with_header(fix)), FAKE_SOCK_ENDED);
    refuse_by(fix, CONF_REFUSE_TARPIT);
    assert_int_equal(fixture_closed(come_with_header(fix)), FAKE_SOCK_ABORTED);
    assert_int_equal(atomic_load(&fix->relay.guard.tarpit.total), 0);
}

static void a_dry_run_lets_clients_of_proxies_in_and_counts_them(void **state)
{
    struct fixture *fix = *state;
    expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
    fix->route_conf.guard = CONF_GUARD_DRY_RUN;
    ban(fix, "192.0.2.7", 60000);
    fixture_gather_log();
    sock_t client = come_with_header(fix);
    assert_int_equal(fake_sock(client)->state, FAKE_SOCK_IS_OPEN);
    assert_int_equal(would_refuse(fix, REASON_BANNED), 1);
    fixture_expect_log("client 192.0.2.7:5555 would be refused: the client is banned");
    fixture_expect_no_log("client 192.0.2.7:5555 refused");
}

static void a_client_behind_a_proxy_is_banned_by_ban_after(void **state)
{
    struct fixture *fix = *state;
    expect_headers(fix, CONF_PROXY_IN_REQUIRED, true);
    fix->route_conf.max_sessions_per_client = 1;
    fix->route_conf.ban_after = (struct conf_eject){1, 10000, 60000};
    come_with_header(fix);
    come_with_header(fix);
    come_with_header(fix);
    assert_int_equal(fixture_reasons(fix, REASON_LIMIT_CLIENT), 1);
    assert_int_equal(fixture_reasons(fix, REASON_BANNED), 1);
}

static void a_trusted_peer_without_a_header_is_asked_for_as_a_client(void **state)
{
    struct fixture *fix = *state;
    expect_headers(fix, CONF_PROXY_IN_OPTIONAL, true);
    ban(fix, "1.2.3.4", 60000);
    assert_int_equal(fixture_closed(come_by_proxy(fix, "hello", 5)), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_BANNED), 1);
    /* The proxy's own, as its health checks. */
    static const unsigned char local[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    sock_t client = come_by_proxy(fix, local, sizeof local - 1);
    assert_int_equal(fake_sock(client)->state, FAKE_SOCK_IS_OPEN);
    assert_int_equal(remembered(fix), 0);
}

static void who_is_no_proxy_is_asked_for_at_once(void **state)
{
    struct fixture *fix = *state;
    expect_headers(fix, CONF_PROXY_IN_OPTIONAL, true);
    ban(fix, "10.0.0.1", 60000);
    expect_reset(fix, "10.0.0.1", REASON_BANNED);
    expect_let_in(fix, "10.0.0.2");
    assert_int_equal(sessions_of(fix, "10.0.0.2"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    make_headers();
    const struct CMUnitTest tests[] = {
        TEST(refused_clients_are_reset_unless_told_otherwise),
        TEST(with_close_they_get_a_fin),
        TEST(a_limit_of_sessions_resets_whatever_refuse_says),
        TEST(in_the_tarpit_a_client_is_left_alone_then_reset),
        TEST(when_the_tarpit_is_full_clients_are_reset_at_once),
        TEST(a_shorter_time_ends_first_though_it_began_later),
        TEST(a_stop_resets_who_is_in_the_tarpit_at_once),
        TEST(a_proxy_is_asked_for_nothing_and_its_client_for_all),
        TEST(a_client_refused_behind_a_proxy_is_named_in_the_log),
        TEST(behind_a_proxy_close_is_a_fin_and_the_tarpit_a_reset),
        TEST(a_dry_run_lets_clients_of_proxies_in_and_counts_them),
        TEST(a_client_behind_a_proxy_is_banned_by_ban_after),
        TEST(a_trusted_peer_without_a_header_is_asked_for_as_a_client),
        TEST(who_is_no_proxy_is_asked_for_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
