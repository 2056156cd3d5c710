/* The configuration is read again while sessions are open: what stays, what changes, what ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "game_server.h"
#include "os/os.h"
#include "reload_run.h"

/* Route 'test' leads to the first of two upstreams, and is all there is. */
static struct reloaded_relay {
    struct relay_run *relay;
    struct addr upstreams[2];
    sock_t listeners[2]; /* of the upstreams */
    struct addr second;  /* an address for a second listener */
} rig;

#define ONE_ROUTE "[route test]\nlisten = %A\nupstream = %0\n"

static void start(void **state)
{
    for (size_t i = 0; i < 2; i++)
        rig.listeners[i] = upstream_listen(ADDR_IPV4, &rig.upstreams[i]);
    rig.relay = relay_start_to(state, &rig.upstreams[0]);
    rig.second = net_loopback(ADDR_IPV4, rig.relay->port2);
}

static void end(void)
{
    relay_wait_nothing_left(rig.relay);
    relay_end(rig.relay);
    for (size_t i = 0; i < 2; i++)
        net_close(rig.listeners[i]);
}

static void reload(const char *routes, int code, const char *text)
{
    reload_expect(rig.relay, rig.upstreams, routes, code, text);
}

/* ---- what goes on ---- */

static void a_file_that_says_the_same_changes_nothing(void **state)
{
    start(state);
    struct session session = session_open(&rig.relay->addr, rig.listeners[0]);
    reload(ONE_ROUTE, 0, "no change: ");
    session_check(&session);
    session_end(&session);
    end();
}

static void sessions_and_counters_of_a_route_that_changes_go_on(void **state)
{
    start(state);
    struct session session = session_open(&rig.relay->addr, rig.listeners[0]);
    session_check(&session);
    uint64_t bytes = relay_stat(rig.relay, "bytes_up_total");
    assert_true(bytes >= SESSION_CHECK_BYTES);
    reload("[route test]\nlisten = %A\nupstream = %0 weight=5\nidle_timeout = 7m\n", 0,
           "idle_timeout = 7m, was 10m (1 session)\n");
    assert_int_equal(relay_stat(rig.relay, "bytes_up_total"), bytes);
    session_check(&session);
    assert_int_equal(relay_stat(rig.relay, "bytes_up_total"), bytes + SESSION_CHECK_BYTES);
    session_end(&session);
    end();
}

static void a_limit_holds_from_then_on(void **state)
{
    start(state);
    struct session first = session_open(&rig.relay->addr, rig.listeners[0]);
    reload(ONE_ROUTE "max_sessions = 1\n", 0, "max_sessions = 1, was 10000");
    expect_refused_client(&rig.relay->addr, NULL);
    reload(ONE_ROUTE "max_sessions = 2\n", 0, "max_sessions = 2, was 1");
    struct session second = session_open(&rig.relay->addr, rig.listeners[0]);
    session_check(&second);
    session_end(&first);
    session_end(&second);
    end();
}

static void an_access_list_holds_from_then_on_for_new_clients(void **state)
{
    start(state);
    struct session session = session_open(&rig.relay->addr, rig.listeners[0]);
    reload(ONE_ROUTE "deny = 127.0.0.0/8\n", 0, ": deny = 127.0.0.0/8, was (empty)");
    expect_refused_client(&rig.relay->addr, NULL);
    session_check(&session);
    reload(ONE_ROUTE, 0, ": deny = (empty), was 127.0.0.0/8");
    struct session another = session_open(&rig.relay->addr, rig.listeners[0]);
    session_check(&another);
    session_end(&another);
    session_end(&session);
    end();
}

/* ---- routes and ports ---- */

static void a_new_route_listens_and_relays(void **state)
{
    start(state);
    expect_no_listener(&rig.second);
    reload(ONE_ROUTE "[route more]\nlisten = %B\nupstream = %1\n", 0, "route 'more' added: ");
    struct session session = session_open(&rig.second, rig.listeners[1]);
    session_check(&session);
    session_end(&session);
    end();
}

static void a_removed_route_stops_to_listen_and_its_sessions_go_on(void **state)
{
    start(state);
    reload(ONE_ROUTE "[route more]\nlisten = %B\nupstream = %1\n", 0, "route 'more' added: ");
    struct session session = session_open(&rig.second, rig.listeners[1]);
    reload(ONE_ROUTE, 0, "; 1 session goes on\n");
    expect_no_listener(&rig.second);
    session_check(&session);
    json_t *sessions = relay_json(rig.relay, "show sessions");
    assert_string_equal(json_text(find_session(sessions, session.client), "route"), "more");
    json_decref(sessions);
    uint64_t bytes = relay_stat(rig.relay, "bytes_up_total");

    /* It comes back while it still has the session. */
    reload(ONE_ROUTE "[route more]\nlisten = %B\nupstream = %1\n", 0, "route 'more' added: ");
    struct session another = session_open(&rig.second, rig.listeners[1]);
    session_check(&another);
    session_check(&session);
    session_end(&another);
    session_end(&session);
    assert_true(relay_wait_info(rig.relay, "sessions_open", 0));
    reload(ONE_ROUTE, 0, "route 'more' removed: ");
    reload(ONE_ROUTE "idle_timeout = 9m\n", 0, "1 change took effect\n");
    assert_int_equal(relay_stat(rig.relay, "bytes_up_total"), bytes + 2 * SESSION_CHECK_BYTES);
    assert_int_equal(relay_stat(rig.relay, "sessions_total"), 2);
    end();
}

static size_t count_removed(void)
{
    json_t *routes = relay_json(rig.relay, "show routes");
    size_t count = json_array_size(json_object_get(routes, "removed_routes"));
    json_decref(routes);
    return count;
}

static void a_removed_route_is_shown_until_its_last_session_is_over(void **state)
{
    char *output;
    start(state);
    reload(ONE_ROUTE "[route more]\nlisten = %B\nupstream = %1\n", 0, "route 'more' added: ");
    struct session first = session_open(&rig.second, rig.listeners[1]);
    struct session last = session_open(&rig.second, rig.listeners[1]);
    assert_int_equal(count_removed(), 0);
    reload(ONE_ROUTE, 0, "; 2 sessions go on\n");
    assert_int_equal(relay_console(rig.relay, "show routes", &output, NULL), 0);
    assert_non_null(strstr(output, "\nmore   -                GONE "));
    assert_non_null(
        strstr(output, "\nmore: removed from the configuration; 2 sessions are open\n"));
    free(output);

    session_end(&first);
    assert_true(relay_wait_info(rig.relay, "sessions_open", 1));
    json_t *routes = relay_json(rig.relay, "show routes");
    const json_t *removed = json_array_get(json_object_get(routes, "removed_routes"), 0);
    assert_string_equal(json_text(removed, "route"), "more");
    assert_int_equal(json_number_at(removed, "sessions_open", 0), 1);
    assert_int_equal(json_array_size(json_object_get(routes, "routes")), 1);
    json_decref(routes);
    session_end(&last);
    assert_true(relay_wait_info(rig.relay, "sessions_open", 0));
    assert_int_equal(count_removed(), 0);
    end();
}

static void a_removed_route_ends_its_sessions_where_it_says_so(void **state)
{
    start(state);
    reload(ONE_ROUTE "[route more]\nlisten = %B\nupstream = %1\non_remove = kill\n", 0,
           "route 'more' added: ");
    struct session ends = session_open(&rig.second, rig.listeners[1]);
    struct session stays = session_open(&rig.relay->addr, rig.listeners[0]);
    reload(ONE_ROUTE, 0, "; 1 session ended\n");
    session_expect_reset(&ends);
    session_check(&stays);
    assert_true(relay_wait_stat(rig.relay, "sessions_ended_by_reason_total.route_removed", 1));
    session_end(&stays);
    end();
}

static void a_port_moves_from_one_route_to_another(void **state)
{
    start(state);
    reload(ONE_ROUTE "[route more]\nlisten = %B\nupstream = %1\n", 0, "route 'more' added: ");
    struct session before = session_open(&rig.second, rig.listeners[1]);
    reload("[route test]\nlisten = %A\nlisten = %B\nupstream = %0\n", 0,
           "route 'more' removed: ");
    struct session after = session_open(&rig.second, rig.listeners[0]);
    session_check(&before);
    session_check(&after);
    session_end(&before);
    session_end(&after);
    end();
}

/* ---- upstreams ---- */

static void sessions_of_a_removed_upstream_go_on_and_new_ones_go_elsewhere(void **state)
{
    start(state);
    struct session old = session_open(&rig.relay->addr, rig.listeners[0]);
    reload("[route test]\nlisten = %A\nupstream = %1\n", 0, " removed; 1 session goes on\n");
    for (int i = 0; i < 3; i++) {
        struct session new = session_open(&rig.relay->addr, rig.listeners[1]);
        session_check(&new);
        session_end(&new);
    }
    session_check(&old);
    json_t *root = relay_json(rig.relay, "show upstreams");
    const json_t *upstreams = json_object_get(root, "upstreams");
    assert_int_equal(json_array_size(upstreams), 2);
    json_decref(root);
    session_end(&old);
    assert_true(relay_wait_info(rig.relay, "sessions_open", 0));
    root = relay_json(rig.relay, "show upstreams");
    assert_int_equal(json_array_size(json_object_get(root, "upstreams")), 1);
    json_decref(root);

    /* It comes back. */
    reload(ONE_ROUTE, 0, "2 changes took effect\n");
    struct session back = session_open(&rig.relay->addr, rig.listeners[0]);
    session_check(&back);
    session_end(&back);
    end();
}

static void what_the_console_has_set_stays_until_the_file_says_otherwise(void **state)
{
    char addr[ADDR_TEXT_MAX], command[128];
    start(state);
    str_format(command, sizeof command, "set weight test/%s 7",
               addr_format(&rig.upstreams[0], addr));
    assert_int_equal(relay_console(rig.relay, command, NULL, NULL), 0);
    reload(ONE_ROUTE "idle_timeout = 7m\n", 0, "1 change took effect\n");
    json_t *root = relay_json(rig.relay, "show upstreams");
    const json_t *upstream = json_array_get(json_object_get(root, "upstreams"), 0);
    assert_int_equal(json_number_at(upstream, "weight", 0), 7);
    json_decref(root);
    reload("[route test]\nlisten = %A\nupstream = %0 weight=3\n", 0, "2 changes took effect\n");
    root = relay_json(rig.relay, "show upstreams");
    upstream = json_array_get(json_object_get(root, "upstreams"), 0);
    assert_int_equal(json_number_at(upstream, "weight", 0), 3);
    json_decref(root);
    end();
}

/* ---- what changes nothing ---- */

static void a_bad_file_changes_nothing(void **state)
{
    start(state);
    struct session session = session_open(&rig.relay->addr, rig.listeners[0]);
    reload("[route test]\nlisten = %A\nupstream = %0\nidle_timeout = soon\n"
           "[route more]\nlisten = %B\nupstream = %1\n",
           1, "nothing was changed\n");
    expect_log(rig.relay, " error reload: nothing was changed\n");
    expect_no_listener(&rig.second);
    session_check(&session);
    session_end(&session);
    reload("[route test]\nlisten = %A\n", 1, "nothing was changed\n");
    session = session_open(&rig.relay->addr, rig.listeners[0]);
    session_end(&session);
    reload(ONE_ROUTE, 0, "no change: ");
    end();
}

static void a_port_that_is_in_use_changes_nothing(void **state)
{
    start(state);
    sock_t other;
    assert_int_equal(net_listen(&rig.second, 8, &other, NULL), ERR_OK);
    reload("[route more]\nlisten = %B\nupstream = %1\n", 1,
           ": the address or name is already in use");
    struct session session = session_open(&rig.relay->addr, rig.listeners[0]);
    session_check(&session);
    session_end(&session);
    net_close(other);
    reload("[route more]\nlisten = %B\nupstream = %1\n", 0, "2 changes took effect\n");
    expect_no_listener(&rig.relay->addr);
    session = session_open(&rig.second, rig.listeners[1]);
    session_end(&session);
    end();
}

/* Who holds the port is the test itself, whose program the system may not name. */
static void a_plan_foresees_a_port_that_is_in_use(void **state)
{
    start(state);
    sock_t other;
    char *errors, *output;
    assert_int_equal(net_listen(&rig.second, 8, &other, NULL), ERR_OK);
    reload_write(rig.relay, rig.upstreams,
                 ONE_ROUTE "[route more]\nlisten = %B\nupstream = %1\n");
    assert_int_equal(relay_console(rig.relay, "reload plan", NULL, &errors), 1);
    char *at = strstr(errors, "route 'more': listen 127.0.0.1:");
    assert_non_null(at);
    assert_non_null(strstr(at, ": the address or name is already in use"));
    if (!test_on_windows())
        assert_non_null(strstr(at, " by 'test_reload' (pid "));
    free(errors);
    const char *args[] = {"check", "-c", rig.relay->config, NULL};
    assert_int_equal(run_pairport(rig.relay->dir, args, &output, NULL), 0);
    assert_non_null(strstr(output, "at present: route 'more': listen 127.0.0.1:"));
    free(output);
    net_close(other);
    end();
}

/* ---- an address in the place of one that overlaps with it ---- */

#define VISITORS 4

static struct visits {
    struct addr relay;
    _Atomic uint64_t served, shut_out;
    _Atomic uint32_t number;
    _Atomic bool over;
} visits;

static struct game_server game;

static void be_visitors(void *arg)
{
    (void)arg;
    uint32_t pause_ms = test_on_windows() ? 20 : 1; /* under Wine local ports are few */
    while (!atomic_load(&visits.over)) {
        sock_t sock;
        char letter;
        enum err err = net_connect(&visits.relay, NET_PATIENCE_MS, &sock);
        if (err == ERR_OK) {
            err = game_ask(sock, atomic_fetch_add(&visits.number, 1), NET_PATIENCE_MS, &letter);
            net_close(sock);
        }
        atomic_fetch_add(err == ERR_OK ? &visits.served : &visits.shut_out, 1);
        os_sleep_ms(pause_ms);
    }
}

static void await_visits(void)
{
    uint64_t served = atomic_load(&visits.served);
    while (atomic_load(&visits.served) < served + 2 * VISITORS)
        os_sleep_ms(1);
}

/* From one host to all of IPv4, to both families, and back. */
static void swap_addresses(void)
{
    static const char *const hosts[] = {"0.0.0.0", "*",       "127.0.0.1",
                                        "*",       "0.0.0.0", "127.0.0.1"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        char routes[128];
        str_format(routes, sizeof routes, "[route test]\nlisten = %s:%u\nupstream = %%0\n",
                   hosts[i], (unsigned)visits.relay.port);
        await_visits();
        reload(routes, 0, "1 change took effect\n");
        await_visits();
    }
}

static void addresses_that_overlap_are_swapped_while_clients_come(void **state)
{
    struct os_thread *visitors[VISITORS];
    start(state);
    game_init(&game, 'g');
    game_start(&game);
    rig.upstreams[0] = game.addr;
    reload(ONE_ROUTE, 0, "took effect\n");
    memset(&visits, 0, sizeof visits);
    visits.relay = rig.relay->addr;
    for (size_t i = 0; i < VISITORS; i++)
        assert_int_equal(os_thread_start(&visitors[i], "visitor", be_visitors, NULL), ERR_OK);
    swap_addresses();
    atomic_store(&visits.over, true);
    for (size_t i = 0; i < VISITORS; i++)
        os_thread_join(visitors[i]);
    print_message("%llu visitors served, %llu shut out\n",
                  (unsigned long long)atomic_load(&visits.served),
                  (unsigned long long)atomic_load(&visits.shut_out));
    if (test_on_windows()) /* the port is closed for a moment there, which is said */
        assert_true(relay_count_log(rig.relay, "takes the place of an address that") > 0);
    else
        assert_int_equal(atomic_load(&visits.shut_out), 0);
    end();
    game_kill(&game);
}

static void a_plan_tells_and_changes_nothing(void **state)
{
    start(state);
    struct session session = session_open(&rig.relay->addr, rig.listeners[0]);
    reload_write(rig.relay, rig.upstreams, "[route more]\nlisten = %B\nupstream = %1\n");
    char *output;
    assert_int_equal(relay_console(rig.relay, "reload plan", &output, NULL), 0);
    assert_non_null(strstr(output, "route 'more' would be added: "));
    assert_non_null(strstr(output, "route 'test' would be removed: "));
    assert_non_null(strstr(output, "; 1 session would go on\n"));
    assert_non_null(strstr(output, "`reload` makes 2 changes\n"));
    free(output);
    expect_no_listener(&rig.second);
    json_t *plan = relay_json(rig.relay, "reload plan");
    assert_true(json_is_false(json_object_get(plan, "applied")));
    assert_int_equal(json_array_size(json_object_get(plan, "changes")), 2);
    json_decref(plan);
    session_check(&session);
    session_end(&session);
    end();
}

static void a_signal_reloads_where_there_is_one(void **state)
{
    start(state);
    reload_write(rig.relay, rig.upstreams,
                 ONE_ROUTE "max_sessions = 10000\n[route more]\nlisten = %B\nupstream = %1\n");
    if (!process_hang_up(rig.relay->process)) {
        print_message("not shown: this system has no SIGHUP\n");
    } else {
        expect_log(rig.relay, " notice reload: 1 change took effect\n");
        struct session session = session_open(&rig.second, rig.listeners[1]);
        session_check(&session);
        session_end(&session);
    }
    end();
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_file_that_says_the_same_changes_nothing, relay_teardown),
        cmocka_unit_test_teardown(sessions_and_counters_of_a_route_that_changes_go_on,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_limit_holds_from_then_on, relay_teardown),
        cmocka_unit_test_teardown(an_access_list_holds_from_then_on_for_new_clients,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_new_route_listens_and_relays, relay_teardown),
        cmocka_unit_test_teardown(a_removed_route_stops_to_listen_and_its_sessions_go_on,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_removed_route_is_shown_until_its_last_session_is_over,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_removed_route_ends_its_sessions_where_it_says_so,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_port_moves_from_one_route_to_another, relay_teardown),
        cmocka_unit_test_teardown(
            sessions_of_a_removed_upstream_go_on_and_new_ones_go_elsewhere, relay_teardown),
        cmocka_unit_test_teardown(what_the_console_has_set_stays_until_the_file_says_otherwise,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_bad_file_changes_nothing, relay_teardown),
        cmocka_unit_test_teardown(a_port_that_is_in_use_changes_nothing, relay_teardown),
        cmocka_unit_test_teardown(a_plan_foresees_a_port_that_is_in_use, relay_teardown),
        cmocka_unit_test_teardown(addresses_that_overlap_are_swapped_while_clients_come,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_plan_tells_and_changes_nothing, relay_teardown),
        cmocka_unit_test_teardown(a_signal_reloads_where_there_is_one, relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
