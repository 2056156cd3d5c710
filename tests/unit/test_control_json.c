/* test_control_json.c - every `show` as JSON: valid, with exact numbers, or a clean failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "control/command/command.h"
#include "fake_clock.h"
#include "fake_server.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct server *server;
static struct console console;
static struct command_session session;
static struct command_result result;

static int set_up(void **state)
{
    (void)state;
    server = fake_server_open();
    struct server_session_info *info = fake_server_add(server, UINT64_C(9007199254740993), 1);
    info->has_client_tcp = true;
    info->client_tcp =
        (struct sock_tcp_info){.rtt_us = 45000, .rtt_var_us = 3000, .retransmits_total = 12};
    fake_server_add(server, 2, 0)->upstream_local = (struct addr){.family = ADDR_NONE};
    console = fake_server_console(server);
    session = (struct command_session){.console = &console, .columns = 80};
    command_result_init(&result);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    command_result_free(&result);
    fake_server_close(server);
    return 0;
}

static json_t *run(const char *line)
{
    command_run(&session, line, strlen(line), &result);
    assert_false(result.failed);
    json_error_t error;
    json_t *root =
        json_loadb(result.text.data, result.text.len, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        fail_msg("%s: %s\n%s", line, error.text, result.text.data);
    assert_int_equal(result.text.data[result.text.len - 1], '\n');
    return root;
}

/* The value at "a.b.0.c". */
static json_t *at(json_t *root, const char *path)
{
    char part[64];
    while (*path != '\0') {
        size_t len = strcspn(path, ".");
        str_format(part, sizeof part, "%.*s", (int)len, path);
        path += len + (path[len] == '.');
        root = json_is_array(root) ? json_array_get(root, (size_t)atoi(part))
                                   : json_object_get(root, part);
        if (root == NULL)
            fail_msg("no '%s'", part);
    }
    return root;
}

static void assert_number(json_t *root, const char *path, uint64_t value)
{
    assert_true(json_is_integer(at(root, path)));
    assert_true((uint64_t)json_integer_value(at(root, path)) == value);
}

static void assert_text(json_t *root, const char *path, const char *value)
{
    assert_string_equal(json_string_value(at(root, path)), value);
}

static const char *const shows[] = {
    "show info json",
    "show routes json",
    "show upstreams json",
    "show upstreams route world json",
    "show sessions json",
    "show sessions route lobby sort age limit 1 json",
    "show session 2 json",
    "show stats json",
    "show stats json route lobby",
    "show config json",
};

static void check_names(json_t *value)
{
    const char *name;
    json_t *member;
    size_t index;
    json_object_foreach(value, name, member)
    {
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(name));
        check_names(member);
    }
    json_array_foreach(value, index, member) check_names(member);
}

static void every_show_is_valid_json_with_names_in_snake_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(shows); i++) {
        json_t *root = run(shows[i]);
        check_names(root);
        json_decref(root);
    }
}

static void numbers_over_2_to_the_53_are_exact(void **state)
{
    (void)state;
    server->sessions[0].up.bytes = UINT64_C(9007199254740995);
    server->sessions[0].down.bytes = INT64_MAX;
    json_t *root = run("show session 9007199254740993 json");
    assert_number(root, "id", UINT64_C(9007199254740993));
    assert_number(root, "bytes_up_total", UINT64_C(9007199254740995));
    assert_number(root, "bytes_down_total", INT64_MAX);
    json_decref(root);
}

static void what_has_no_limit_is_null(void **state)
{
    (void)state;
    server->info.descriptors_limit = UINT64_MAX;
    json_t *root = run("show info json");
    assert_true(json_is_null(at(root, "descriptors_max")));
    assert_true(json_is_null(at(root, "memory_max_bytes")));
    assert_true(json_is_null(at(root, "backlog_drops_total")));
    json_decref(root);
}

static void info_has_its_numbers(void **state)
{
    (void)state;
    json_t *root = run("show info json");
    assert_text(root, "version", "9.9.9");
    assert_text(root, "state", "running");
    assert_number(root, "uptime_ms", 11520000);
    assert_number(root, "cpu_us_total", 1234567);
    assert_number(root, "standstills_total", 0);
    assert_true(json_is_null(at(root, "standstill_last_ms")));
    assert_number(root, "port.accept_submits_total", 108);
    assert_number(root, "port.read_calls_total", 6000);
    json_decref(root);
}

static void sessions_have_both_directions_and_no_tcp_where_it_was_not_asked(void **state)
{
    (void)state;
    json_t *root = run("show sessions sort id json");
    assert_number(root, "sessions_open", 2);
    assert_number(root, "sessions_shown", 2);
    assert_text(root, "sessions.0.route", "lobby");
    assert_text(root, "sessions.0.upstream", "10.0.0.5:7000");
    assert_true(json_is_null(at(root, "sessions.0.upstream_local_addr")));
    assert_text(root, "sessions.1.client_addr", "192.168.1.20:50993");
    assert_number(root, "sessions.1.bytes_down_per_second", 4000);
    assert_null(json_object_get(at(root, "sessions.1"), "client_tcp"));
    json_decref(root);
}

static void a_session_has_what_tcp_knows_or_null(void **state)
{
    (void)state;
    json_t *root = run("show session 9007199254740993 json");
    assert_number(root, "client_tcp.rtt_us", 45000);
    assert_number(root, "client_tcp.retransmits_total", 12);
    assert_true(json_is_null(at(root, "upstream_tcp")));
    json_decref(root);
}

static void statistics_are_complete(void **state)
{
    (void)state;
    json_t *root = run("show stats json");
    assert_number(root, "all.sessions_total", 300);
    assert_number(root, "all.sessions_refused_total", 18);
    assert_number(root, "all.sessions_refused_by_reason_total.limit_route", 15);
    assert_number(root, "all.sessions_ended_by_reason_total.client_fin", 240);
    assert_number(root, "routes.0.rates_10s.bytes_down_per_second", 4096);
    assert_number(root, "routes.1.connect_time_p99_us", 9900);
    assert_number(root, "routes.1.session_length_max_ms", 100000000);
    assert_text(root, "routes.1.route", "world");
    json_decref(root);
    root = run("show stats route world json");
    assert_null(json_object_get(root, "all"));
    assert_int_equal(json_array_size(at(root, "routes")), 1);
    json_decref(root);
}

static void every_reason_stands_once_as_refused_or_ended(void **state)
{
    (void)state;
    json_t *root = run("show stats json");
    size_t refused = json_object_size(at(root, "all.sessions_refused_by_reason_total"));
    size_t ended = json_object_size(at(root, "all.sessions_ended_by_reason_total"));
    assert_int_equal(refused + ended, REASON_COUNT - 1); /* all but "none" */
    json_decref(root);
}

static void routes_have_their_listeners_and_who_is_held(void **state)
{
    (void)state;
    server->starved[1] = true;
    server->held[0] = 3;
    server->conf->routes[0].listens[0].port_count = 16;
    json_t *root = run("show routes json");
    assert_text(root, "routes.0.listeners.0.addr", "[::]:7777");
    assert_true(json_is_true(at(root, "routes.0.listeners.0.dual_stack")));
    assert_true(json_is_true(at(root, "routes.1.listeners.1.starved")));
    assert_number(root, "routes.1.sessions_max", 100);
    assert_number(root, "routes.0.listeners.0.port_count", 16);
    assert_number(root, "routes.0.held", 3);
    assert_number(root, "routes.0.held_left", 1);
    assert_number(root, "routes.0.held_peak", 6);
    assert_number(root, "routes.0.held_total", 30);
    assert_text(root, "routes.0.upstreams.1", "game.example:7000");
    json_decref(root);
}

static void upstreams_have_their_servers_with_checks(void **state)
{
    (void)state;
    fake_server_add_addr(server, 0, 1, "10.0.0.8");
    struct route_server_info *second = fake_server_add_addr(server, 0, 1, "10.0.0.9");
    second->state = ROUTE_EJECTED;
    str_format(second->word, sizeof second->word, "EJECTED");
    second->usable = false;
    second->ejected_until_ms = FAKE_NOW_MS + 22000;
    second->connect_failures = 12;
    second->connect_err = ERR_REFUSED;
    second->connect_failed_ms = FAKE_NOW_MS - 3000;
    second->tried_ms = FAKE_NOW_MS - 3500;
    second->health.code = HEALTH_L4CON;
    second->health.err = ERR_REFUSED;
    json_t *root = run("show upstreams json");
    assert_text(root, "upstreams.1.upstream", "game.example:7000");
    assert_true(json_is_true(at(root, "upstreams.1.is_name")));
    assert_number(root, "upstreams.1.resolved_age_ms", 5000);
    assert_true(json_is_null(at(root, "upstreams.1.resolve_error")));
    assert_int_equal(json_array_size(at(root, "upstreams.1.servers")), 2);
    assert_text(root, "upstreams.1.servers.0.addr", "10.0.0.8:7000");
    assert_text(root, "upstreams.1.servers.0.check.code", "L4OK");
    assert_text(root, "upstreams.1.servers.0.check.error", "ok");
    assert_number(root, "upstreams.1.servers.0.check.age_ms", 500);
    assert_text(root, "upstreams.1.servers.1.state", "EJECTED");
    assert_number(root, "upstreams.1.servers.1.state_age_ms", 192000);
    assert_number(root, "upstreams.1.servers.1.ejected_left_ms", 22000);
    assert_number(root, "upstreams.1.servers.1.connect_failures_in_row", 12);
    assert_number(root, "upstreams.1.servers.1.last_connect_failure_age_ms", 3000);
    assert_number(root, "upstreams.1.servers.1.last_connect_age_ms", 3500);
    assert_text(root, "upstreams.1.servers.1.last_connect_error", "refused");
    assert_true(json_is_null(at(root, "upstreams.1.servers.0.last_connect_error")));
    assert_true(json_is_null(at(root, "upstreams.1.servers.0.last_connect_age_ms")));
    assert_true(json_is_false(at(root, "upstreams.1.servers.1.usable")));
    assert_text(root, "upstreams.1.servers.1.check.error", "refused");
    assert_number(root, "upstreams.1.servers.1.check.duration_us", 850);
    assert_number(root, "upstreams.1.servers.1.check.checks_total", 120);
    assert_number(root, "upstreams.1.servers.1.check.failures_total", 3);
    assert_true(json_is_null(at(root, "upstreams.2.servers.0.check")));
    json_decref(root);
}

static void upstreams_have_the_operators_state_and_their_ports(void **state)
{
    (void)state;
    struct server_upstream_info *upstream = &server->upstreams[0][0];
    upstream->state.admin = ROUTE_DRAIN;
    upstream->state.state = ROUTE_DRAINING;
    upstream->state.weight = 3;
    upstream->state.weight_percent = 45;
    upstream->state.hidden_count = 2;
    upstream->source_count = 2;
    server->sources[0][0][1] =
        (struct server_source_use){.source = upstream->state.servers[0].addr, .used = 7};
    json_t *root = run("show upstreams json");
    assert_text(root, "upstreams.0.state", "DRAIN");
    assert_text(root, "upstreams.0.admin", "drain");
    assert_number(root, "upstreams.0.state_age_ms", 60000);
    assert_number(root, "upstreams.0.weight", 3);
    assert_number(root, "upstreams.0.weight_percent", 45);
    assert_number(root, "upstreams.0.servers_hidden", 2);
    assert_true(json_is_null(at(root, "upstreams.0.sessions_max")));
    assert_true(json_is_null(at(root, "upstreams.0.sources.0.addr")));
    assert_number(root, "upstreams.0.sources.0.ports_max", 28232);
    assert_text(root, "upstreams.0.sources.1.addr", "10.0.0.5");
    assert_number(root, "upstreams.0.sources.1.ports_used", 7);
    assert_true(json_is_null(at(root, "upstreams.0.sources.1.ports_max")));
    assert_number(root, "upstreams.0.sessions_open", 1);
    assert_number(root, "upstreams.0.connect_time_p99_us", 9900);
    assert_text(root, "upstreams.1.state", "DOWN (resolution)");
    assert_text(root, "upstreams.1.resolve_error", "no such host");
    assert_true(json_is_null(at(root, "upstreams.1.resolved_age_ms")));
    assert_number(root, "upstreams.1.resolve_failures_total", 2);
    assert_int_equal(json_array_size(at(root, "upstreams.1.servers")), 0);
    json_decref(root);
}

static void a_session_has_who_spoke_for_its_client(void **state)
{
    (void)state;
    server->sessions[1].via = server->sessions[1].client_local;
    server->sessions[1].phase = PHASE_HELD;
    json_t *root = run("show session 2 json");
    assert_text(root, "via_addr", "10.0.0.1:7777");
    assert_text(root, "phase", "held");
    json_decref(root);
    root = run("show session 9007199254740993 json");
    assert_true(json_is_null(at(root, "via_addr")));
    json_decref(root);
}

static void the_configuration_has_units_in_its_names(void **state)
{
    (void)state;
    json_t *root = run("show config json");
    assert_number(root, "relay.workers", 2);
    assert_number(root, "relay.stop_timeout_ms", 30000);
    assert_text(root, "relay.log_level", "info");
    assert_text(root, "console.listen", "local");
    assert_number(root, "routes.1.idle_timeout_ms", 0);
    assert_number(root, "routes.0.buffer_size_bytes", 524288);
    assert_true(json_is_true(at(root, "routes.0.nodelay")));
    assert_text(root, "routes.0.upstream.1.name", "game.example:7000");
    assert_number(root, "routes.0.upstream.1.weight", 1);
    assert_number(root, "routes.0.listen.0.port_count", 1);
    assert_text(root, "routes.0.balance", "round_robin");
    assert_text(root, "routes.0.when_down", "refuse");
    assert_number(root, "routes.0.hold_ms", 0);
    assert_true(json_is_null(at(root, "routes.0.health")));
    assert_number(root, "routes.0.eject.failures", 5);
    assert_number(root, "routes.0.eject.within_ms", 10000);
    assert_number(root, "routes.0.eject_max_percent", 50);
    json_decref(root);
    server->conf->workers = 0;
    root = run("show config json");
    assert_text(root, "relay.workers", "auto");
    json_decref(root);
}

static void what_has_several_parts_is_an_object(void **state)
{
    (void)state;
    fake_server_close(server);
    server = fake_server_open_with(
        "[route a]\nlisten = *:1\nupstream = h:7000 weight=2 max_sessions=9 slow_start=30s "
        "backup\n"
        "upstream = g:7000 disabled\n"
        "health = tcp port=7001 send=\"PING\\r\\n\" fall=4\neject = off\n"
        "when_down = hold 30s\nsource = 10.0.0.2, ::1\nbalance = source_hash\n"
        "proxy_protocol_in = optional\nproxy_trust = 10.0.0.0/8\n");
    console = fake_server_console(server);
    json_t *root = run("show config json");
    assert_number(root, "routes.0.upstream.0.weight", 2);
    assert_number(root, "routes.0.upstream.0.max_sessions", 9);
    assert_number(root, "routes.0.upstream.0.slow_start_ms", 30000);
    assert_true(json_is_true(at(root, "routes.0.upstream.0.backup")));
    assert_true(json_is_true(at(root, "routes.0.upstream.1.disabled")));
    assert_number(root, "routes.0.health.port", 7001);
    assert_number(root, "routes.0.health.fall", 4);
    assert_text(root, "routes.0.health.send", "\"PING\\r\\n\"");
    assert_true(json_is_null(at(root, "routes.0.health.expect")));
    assert_text(root, "routes.0.health.end", "fin");
    assert_true(json_is_null(at(root, "routes.0.eject")));
    assert_text(root, "routes.0.when_down", "hold");
    assert_number(root, "routes.0.hold_ms", 30000);
    assert_text(root, "routes.0.source.1", "::1");
    assert_text(root, "routes.0.proxy_trust.0", "10.0.0.0/8");
    assert_text(root, "routes.0.balance", "source_hash");
    json_decref(root);
}

/* ---- no memory ---- */

static unsigned allocations_left;

static void *allocate(size_t size)
{
    return allocations_left == 0 ? NULL : (allocations_left--, malloc(size));
}

static void without_memory_there_is_no_answer_instead_of_half_of_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(shows); i++) {
        unsigned failures = 0;
        json_set_alloc_funcs(allocate, free);
        for (unsigned allowed = 0;; allowed++) {
            allocations_left = allowed;
            command_run(&session, shows[i], strlen(shows[i]), &result);
            if (!result.failed)
                break;
            assert_string_equal(result.text.data, "out of memory\n");
            failures++;
        }
        json_set_alloc_funcs(malloc, free);
        assert_true(failures > 10);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_show_is_valid_json_with_names_in_snake_case),
        TEST(numbers_over_2_to_the_53_are_exact),
        TEST(what_has_no_limit_is_null),
        TEST(info_has_its_numbers),
        TEST(sessions_have_both_directions_and_no_tcp_where_it_was_not_asked),
        TEST(a_session_has_what_tcp_knows_or_null),
        TEST(statistics_are_complete),
        TEST(every_reason_stands_once_as_refused_or_ended),
        TEST(routes_have_their_listeners_and_who_is_held),
        TEST(upstreams_have_their_servers_with_checks),
        TEST(upstreams_have_the_operators_state_and_their_ports),
        TEST(a_session_has_who_spoke_for_its_client),
        TEST(the_configuration_has_units_in_its_names),
        TEST(what_has_several_parts_is_an_object),
        TEST(without_memory_there_is_no_answer_instead_of_half_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
