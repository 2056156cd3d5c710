/* Upstreams by name: addresses that come, change and stay away, and a name server that does not
 * answer. In a namespace where the test decides what names stand for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"
#include "name_server.h"
#include "os/os.h"
#include "own_names.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

/* A start waits 3 s for names, and a stop for nothing. The limit of a test is generous; a question
 * that nobody answers takes 14 s. */
#define SOON_MS 12000

static struct addr server_addr;
static const char *cannot; /* why nothing can be shown here; NULL: it can */

static void need_own_names(void)
{
    if (cannot == NULL)
        return;
    print_message("not shown: %s\n", cannot);
    skip();
}

static int teardown(void **state)
{
    if (cannot != NULL)
        return 0;
    own_names_set_hosts("127.0.0.1 localhost\n");
    name_server_know_nothing();
    name_server_ignore(NULL);
    name_server_fail_ipv6(false);
    name_server_set_ttl(86400);
    return relay_teardown(state);
}

/* ---- servers ---- */

/* Two servers on one port: 127.0.0.2 and 127.0.0.3. */
struct servers {
    uint16_t port;
    sock_t listeners[2];
};

static sock_t listen_on(const char *ip, uint16_t port)
{
    struct addr addr;
    sock_t sock;
    assert_int_equal(addr_parse_ip(ip, &addr), ERR_OK);
    addr.port = port;
    assert_int_equal(net_listen(&addr, 16, &sock, NULL), ERR_OK);
    return sock;
}

static struct servers open_servers(void)
{
    struct servers servers = {.port = net_free_port()};
    servers.listeners[0] = listen_on("127.0.0.2", servers.port);
    servers.listeners[1] = listen_on("127.0.0.3", servers.port);
    return servers;
}

static void close_servers(struct servers *servers)
{
    net_close(servers->listeners[0]);
    net_close(servers->listeners[1]);
}

/* A relay whose route 'test' has the upstream game.test:PORT. */
static struct relay_run *start(void **state, uint16_t port, const char *more_keys,
                               const char *more)
{
    char keys[256];
    str_format(keys, sizeof keys, "upstream = game.test:%u\n%s", (unsigned)port, more_keys);
    const struct relay_setup setup = {.route_keys = keys, .more = more};
    return relay_start(state, &setup);
}

/* A session goes to this server, and from end to end. */
static void check_session(struct relay_run *relay, sock_t listener)
{
    struct session session = session_open(&relay->addr, listener);
    session_check(&session);
    session_end(&session);
}

/* ---- a name server that answers ---- */

static void sessions_follow_a_name_to_its_new_address_and_old_ones_go_on(void **state)
{
    need_own_names();
    struct servers servers = open_servers();
    name_server_tell("127.0.0.2");
    struct relay_run *relay = start(state, servers.port, "resolve_interval = 1s\n", NULL);
    struct session old = session_open(&relay->addr, servers.listeners[0]);
    session_check(&old);

    name_server_tell("127.0.0.3");
    name_server_wait_asked(1); /* that is one interval at most */
    expect_log(relay, "server 127.0.0.3:%u is UP, was NEW", (unsigned)servers.port);
    expect_log(relay, "server 127.0.0.2:%u is GONE, was UP", (unsigned)servers.port);
    for (unsigned i = 0; i < 3; i++)
        check_session(relay, servers.listeners[1]);
    name_server_tell("127.0.0.2 127.0.0.3");
    expect_log(relay, "server 127.0.0.2:%u is UP, was GONE", (unsigned)servers.port);
    session_check(&old);
    session_end(&old);
    relay_wait_nothing_left(relay);
    assert_int_equal(relay_stat(relay, "sessions_ended_by_reason_total.client_fin"), 4);
    relay_end(relay);
    close_servers(&servers);
}

static void a_name_that_is_known_no_more_keeps_its_addresses_and_is_logged_once(void **state)
{
    need_own_names();
    struct servers servers = open_servers();
    name_server_tell("127.0.0.2");
    struct relay_run *relay = start(state, servers.port, "resolve_interval = 1s\n", NULL);
    check_session(relay, servers.listeners[0]);

    name_server_know_nothing();
    expect_log(relay, "route 'test': upstream 'game.test:%u' can't be resolved: ",
               (unsigned)servers.port);
    expect_log(relay, "; its last addresses stay in use\n");
    name_server_wait_asked(3);
    check_session(relay, servers.listeners[0]);
    assert_int_equal(relay_count_log(relay, "can't be resolved"), 1);

    name_server_tell("127.0.0.2");
    expect_log(relay, "upstream 'game.test:%u' can be resolved again\n",
               (unsigned)servers.port);
    check_session(relay, servers.listeners[0]);
    assert_int_equal(relay_count_log(relay, " is GONE"), 0);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    assert_int_equal(relay_count_log(relay, "can't be resolved"), 1);
    close_servers(&servers);
}

static void
a_route_whose_name_is_unknown_at_the_start_works_as_soon_as_it_is_known(void **state)
{
    need_own_names();
    struct servers servers = open_servers();
    char more[160];
    str_format(more, sizeof more,
               "[route other]\nlisten = 127.0.0.1:%%PORT2%%\nupstream = 127.0.0.3:%u\n",
               (unsigned)servers.port);
    name_server_know_nothing();
    struct relay_run *relay = start(state, servers.port, "resolve_interval = 1s\n", more);
    expect_log(relay, "upstream 'game.test:%u' can't be resolved: ", (unsigned)servers.port);
    expect_log(relay, "; no session goes there until it can\n");
    expect_log(relay, "upstream 'game.test:%u' is DOWN (resolution), was INIT",
               (unsigned)servers.port);
    expect_refused_client(&relay->addr, NULL);
    expect_log(relay, "reason=no_upstream");

    const struct addr other = net_loopback(ADDR_IPV4, relay->port2);
    struct session session = session_open(&other, servers.listeners[1]);
    session_check(&session);

    name_server_tell("127.0.0.2");
    expect_log(relay, "can be resolved again\n");
    check_session(relay, servers.listeners[0]);
    session_check(&session);
    session_end(&session);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    close_servers(&servers);
}

/* Long before resolve_interval is over: the client of the failed connect finds it. */
static void a_failed_connect_has_the_name_resolved_again(void **state)
{
    need_own_names();
    uint16_t port = net_free_port();
    sock_t listener = listen_on("127.0.0.3", port);
    name_server_tell("127.0.0.2"); /* nobody listens there */
    struct relay_run *relay =
        start(state, port, "resolve_interval = 1d\nconnect_retries = 100\neject = off\n", NULL);
    name_server_tell("127.0.0.3");
    check_session(relay, listener);
    assert_true(relay_stat(relay, "connect_failures_total") >= 1);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    net_close(listener);
}

static void every_address_of_a_name_gets_sessions(void **state)
{
    need_own_names();
    struct servers servers = open_servers();
    name_server_tell("127.0.0.3 127.0.0.2");
    struct relay_run *relay = start(state, servers.port, "", NULL);
    sock_t clients[4];
    for (unsigned i = 0; i < 4; i++)
        clients[i] = connect_client(&relay->addr);
    for (unsigned i = 0; i < 4; i++) {
        sock_t sock; /* in turn, so each server has two */
        assert_int_equal(net_accept(servers.listeners[i % 2], NET_PATIENCE_MS, &sock), ERR_OK);
        net_close(sock);
    }
    for (unsigned i = 0; i < 4; i++)
        net_close(clients[i]);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    close_servers(&servers);
}

static void a_name_may_have_addresses_of_ipv4_and_ipv6(void **state)
{
    need_own_names();
    if (!net_has_ipv6()) {
        print_message("not shown: this machine has no IPv6\n");
        skip();
    }
    uint16_t port = net_free_port();
    sock_t listeners[2] = {listen_on("127.0.0.2", port), listen_on("::1", port)};
    name_server_tell("::1 127.0.0.2");
    struct relay_run *relay = start(state, port, "", NULL);
    struct session sessions[2];
    sessions[0].client = connect_client(&relay->addr);
    sessions[1].client = connect_client(&relay->addr);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(net_accept(listeners[i], NET_PATIENCE_MS, &sessions[i].upstream),
                         ERR_OK);
    for (unsigned i = 0; i < 2; i++) {
        session_drop(&sessions[i]);
        net_close(listeners[i]);
    }
    relay_wait_nothing_left(relay);
    relay_end(relay);
}

static void a_name_of_the_hosts_file_is_followed_as_well(void **state)
{
    need_own_names();
    struct servers servers = open_servers();
    own_names_set_hosts("127.0.0.2 game.test\n");
    struct relay_run *relay = start(state, servers.port, "resolve_interval = 1s\n", NULL);
    check_session(relay, servers.listeners[0]);
    own_names_set_hosts("127.0.0.3 game.test\n");
    expect_log(relay, "server 127.0.0.3:%u is UP, was NEW", (unsigned)servers.port);
    expect_log(relay, "server 127.0.0.2:%u is GONE, was UP", (unsigned)servers.port);
    check_session(relay, servers.listeners[1]);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    close_servers(&servers);
}

/* ---- what an answer may be like ---- */

static void records_are_asked_for_again_when_their_time_to_live_is_over(void **state)
{
    need_own_names();
    struct servers servers = open_servers();
    name_server_set_ttl(2);
    name_server_tell("127.0.0.2");
    struct relay_run *relay = start(state, servers.port, "resolve_interval = 1d\n", NULL);
    name_server_tell("127.0.0.3");
    expect_log(relay, "server 127.0.0.3:%u is UP, was NEW", (unsigned)servers.port);
    check_session(relay, servers.listeners[1]);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    close_servers(&servers);
}

static void ipv4_is_used_where_ipv6_fails(void **state)
{
    need_own_names();
    struct servers servers = open_servers();
    name_server_tell("127.0.0.2");
    name_server_fail_ipv6(true);
    struct relay_run *relay = start(state, servers.port, "", NULL);
    check_session(relay, servers.listeners[0]);
    expect_log(relay,
               "upstream 'game.test:%u' is resolved in part: IPv6: ", (unsigned)servers.port);
    name_server_fail_ipv6(false);
    expect_log(relay, "upstream 'game.test:%u' can be resolved again", (unsigned)servers.port);
    assert_int_equal(relay_count_log(relay, "can't be resolved"), 0);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    close_servers(&servers);
}

static void ipv6_stays_where_it_is_asked_for_in_vain(void **state)
{
    need_own_names();
    struct servers servers = open_servers();
    name_server_tell("::1 127.0.0.2");
    struct relay_run *relay = start(state, servers.port, "resolve_interval = 1s\n", NULL);
    name_server_fail_ipv6(true);
    expect_log(relay, " is resolved in part: IPv6: ");
    name_server_wait_asked(2);
    assert_int_equal(relay_count_log(relay, " is GONE"), 0);
    name_server_fail_ipv6(false);
    name_server_tell("127.0.0.2"); /* certainly no IPv6 address any more */
    expect_log(relay, "server [::1]:%u is GONE, was UP", (unsigned)servers.port);
    relay_end(relay);
    close_servers(&servers);
}

/* More than fit into a message over UDP, in another order each time. */
static void many_addresses_that_rotate_come_and_go_never(void **state)
{
    need_own_names();
    enum { MANY = 40 };
    char addrs[1024];
    size_t len = 0;
    for (int i = 1; i <= MANY; i++)
        len += (size_t)snprintf(addrs + len, sizeof addrs - len, "127.0.1.%d ", i);
    name_server_tell(addrs);
    struct relay_run *relay = start(state, net_free_port(), "resolve_interval = 1s\n", NULL);
    name_server_wait_asked(8); /* by UDP and TCP: four times */
    assert_int_equal(relay_count_log(relay, " is GONE"), 0);
    assert_int_equal(relay_count_log(relay, " was NEW"), 0);
    name_server_tell("127.0.1.1");
    expect_log(relay, "server 127.0.1.%d:", MANY);
    relay_end(relay);
    assert_int_equal(relay_count_log(relay, " is GONE"), MANY - 1);
}

static void a_name_that_nobody_answers_for_holds_up_no_other(void **state)
{
    need_own_names();
    struct servers servers = open_servers();
    char more[256];
    str_format(more, sizeof more,
               "[route other]\nlisten = 127.0.0.1:%%PORT2%%\nupstream = slow.test:%u\n"
               "upstream = slow2.test:%u\n",
               (unsigned)servers.port, (unsigned)servers.port);
    name_server_ignore("slow");
    name_server_tell("127.0.0.2");
    struct relay_run *relay = start(state, servers.port, "resolve_interval = 1s\n", more);
    check_session(relay, servers.listeners[0]);
    uint64_t begun = os_mono_ms();
    name_server_tell("127.0.0.3");
    expect_log(relay, "server 127.0.0.3:%u is UP, was NEW", (unsigned)servers.port);
    assert_true(os_mono_ms() - begun < SOON_MS);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    close_servers(&servers);
}

static void another_name_server_is_used_as_soon_as_the_system_has_it(void **state)
{
    need_own_names();
    struct servers servers = open_servers();
    const struct addr nobody = {.family = ADDR_IPV4, .ip = {127, 0, 0, 99}};
    own_names_set_server(&nobody);
    name_server_tell("127.0.0.2");
    struct relay_run *relay = start(state, servers.port, "", NULL);
    expect_log(relay, "can't be resolved: ");
    own_names_set_server(&server_addr);
    expect_log(relay, "can be resolved again\n");
    check_session(relay, servers.listeners[0]);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    close_servers(&servers);
}

/* ---- one that does not answer ---- */

static void
a_start_does_not_wait_long_for_a_deaf_name_server_and_neither_does_a_stop(void **state)
{
    need_own_names();
    struct servers servers = open_servers();
    char more[160];
    str_format(more, sizeof more,
               "[route other]\nlisten = 127.0.0.1:%%PORT2%%\nupstream = 127.0.0.3:%u\n",
               (unsigned)servers.port);
    name_server_be_deaf();
    own_names_set_server(&server_addr);
    uint64_t begun = os_mono_ms();
    struct relay_run *relay = start(state, servers.port, "", more);
    assert_true(os_mono_ms() - begun < SOON_MS);
    expect_log(relay, "upstreams whose names are still being resolved: 1;");
    expect_refused_client(&relay->addr, NULL);

    const struct addr other = net_loopback(ADDR_IPV4, relay->port2);
    struct session session = session_open(&other, servers.listeners[1]);
    session_check(&session);
    session_end(&session);
    relay_wait_nothing_left(relay);

    begun = os_mono_ms();
    relay_end(relay);
    assert_true(os_mono_ms() - begun < SOON_MS);
    own_names_set_server(&server_addr);
    close_servers(&servers);
}

static void a_stop_while_the_start_waits_for_a_name_is_prompt(void **state)
{
    need_own_names();
    struct relay_run *relay = calloc(1, sizeof *relay);
    assert_non_null(relay);
    *state = relay;
    assert_int_equal(test_make_dir(relay->dir), ERR_OK);
    relay_path(relay, "relay.ini", relay->config);
    char config[256];
    str_format(config, sizeof config,
               "[console]\nlisten = none\n[route test]\nlisten = 127.0.0.1:%u\n"
               "upstream = game.test:7000\n",
               (unsigned)net_free_port());
    assert_int_equal(test_write_file(relay->config, config), ERR_OK);

    name_server_be_deaf();
    own_names_set_server(&server_addr);
    const char *args[] = {"run", "-c", relay->config, NULL};
    relay->process = start_pairport(relay->dir, "relay", args, false);
    name_server_wait_asked(1);
    uint64_t begun = os_mono_ms();
    assert_int_equal(process_stop(relay->process), ERR_OK);
    expect_exit(relay);
    assert_true(os_mono_ms() - begun < SOON_MS);
    own_names_set_server(&server_addr);
}

/* ---- */

#define test(name) cmocka_unit_test_teardown(name, teardown)

/* The check of the configuration can't know where a name leads. */
static void a_name_that_leads_back_to_the_relay_ends_the_session(void **state)
{
    need_own_names();
    struct servers servers = open_servers();
    name_server_tell("127.0.0.1");
    struct relay_run *relay =
        start(state, servers.port, "when_down = refuse\n",
              "[route ring]\nlisten = 127.0.0.1:%PORT2%\nupstream = game.test:%PORT2%\n");
    struct addr ring = relay->addr;
    ring.port = relay->port2;
    sock_t client;
    uint64_t bytes;
    enum err err = net_connect(&ring, NET_PATIENCE_MS, &client);
    if (err == ERR_OK) {
        assert_int_equal(net_receive_end(client, NET_PATIENCE_MS, &bytes, NULL), NET_END_RESET);
        net_close(client);
    } else {
        assert_int_equal(err, ERR_RESET); /* before the connect was found to be done */
    }
    expect_log(relay,
               "route 'ring': upstream 'game.test:%u': 127.0.0.1:%u leads back to this relay",
               (unsigned)ring.port, (unsigned)ring.port);
    relay_wait_nothing_left(relay);
    assert_true(relay_stat(relay, "sessions_ended_by_reason_total.loop") >= 1);
    assert_true(relay_stat(relay, "sessions_total") < 100);
    relay_end(relay);
    close_servers(&servers);
}

int main(void)
{
    os_init();
    if (own_names_begin(&cannot)) {
        if (name_server_start(&server_addr))
            own_names_set_server(&server_addr);
        else
            cannot = "port 53 of a loopback address can't be had";
    }
    const struct CMUnitTest tests[] = {
        test(sessions_follow_a_name_to_its_new_address_and_old_ones_go_on),
        test(a_name_that_is_known_no_more_keeps_its_addresses_and_is_logged_once),
        test(a_route_whose_name_is_unknown_at_the_start_works_as_soon_as_it_is_known),
        test(a_failed_connect_has_the_name_resolved_again),
        test(every_address_of_a_name_gets_sessions),
        test(a_name_may_have_addresses_of_ipv4_and_ipv6),
        test(a_name_of_the_hosts_file_is_followed_as_well),
        test(a_name_that_leads_back_to_the_relay_ends_the_session),
        test(records_are_asked_for_again_when_their_time_to_live_is_over),
        test(ipv4_is_used_where_ipv6_fails),
        test(ipv6_stays_where_it_is_asked_for_in_vain),
        test(many_addresses_that_rotate_come_and_go_never),
        test(a_name_that_nobody_answers_for_holds_up_no_other),
        test(another_name_server_is_used_as_soon_as_the_system_has_it),
        test(a_start_does_not_wait_long_for_a_deaf_name_server_and_neither_does_a_stop),
        test(a_stop_while_the_start_waits_for_a_name_is_prompt),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    name_server_stop();
    own_names_end();
    return failed;
}
