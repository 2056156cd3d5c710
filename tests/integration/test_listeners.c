/* Listeners: IPv4, IPv6 and both, several of them, clients that vanish before they are taken,
 * and addresses that cannot be had. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"
#include "os/limits.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

#define TEXT_MAX 512

/* ---- addresses ---- */

/* A session through `to`; the console and the log must call its ends as the test does. */
static void check_session(struct relay_run *relay, const struct addr *to, sock_t upstream)
{
    struct session session = session_open(to, upstream);
    session_check(&session);
    struct addr client = local_addr(session.client), server = local_addr(session.upstream);
    json_t *root = relay_json(relay, "show sessions");
    const json_t *shown = find_session(root, session.client);
    expect_addr(shown, "client_local_addr", to);
    expect_addr(shown, "upstream_addr", &server);
    json_decref(root);
    session_end(&session);

    char from[ADDR_TEXT_MAX], target[ADDR_TEXT_MAX];
    expect_log(relay, " client=%s upstream=%s reason=client_fin ", addr_format(&client, from),
               addr_format(&server, target));
}

/* What `show routes json` says of a listener of the first route. */
static void expect_listener(struct relay_run *relay, size_t index, const char *addr,
                            bool dual_stack)
{
    json_t *root = relay_json(relay, "show routes");
    const json_t *route = json_array_get(json_object_get(root, "routes"), 0);
    const json_t *listener = json_array_get(json_object_get(route, "listeners"), index);
    assert_string_equal(json_text(listener, "addr"), addr);
    assert_true(json_is_boolean(json_object_get(listener, "dual_stack")));
    assert_int_equal(json_is_true(json_object_get(listener, "dual_stack")), dual_stack);
    assert_true(json_is_false(json_object_get(listener, "starved")));
    json_decref(root);
}

static void need_ipv6(void)
{
    if (net_has_ipv6())
        return;
    print_message("not shown: this machine has no IPv6\n");
    skip();
}

static void one_listener_takes_clients_of_both_families(void **state)
{
    need_ipv6();
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {
        .upstreams = &upstream, .upstream_count = 1, .listen = "*"};
    struct relay_run *relay = relay_start(state, &setup);
    struct addr over_ipv4 = net_loopback(ADDR_IPV4, relay->addr.port);
    struct addr over_ipv6 = net_loopback(ADDR_IPV6, relay->addr.port);
    check_session(relay, &over_ipv4, listener); /* and is not called ::ffff:127.0.0.1 */
    check_session(relay, &over_ipv6, listener);

    char text[TEXT_MAX];
    str_format(text, sizeof text, "[::]:%u", (unsigned)relay->addr.port);
    expect_listener(relay, 0, text, true);
    expect_log(relay, "route 'test': listens on *:%u, upstream ", (unsigned)relay->addr.port);
    net_close(listener);
    relay_end(relay);
}

static void an_address_of_one_family_takes_only_its_clients(void **state)
{
    need_ipv6();
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV6, &upstream), refused;
    const struct relay_setup setup = {.upstreams = &upstream,
                                      .upstream_count = 1,
                                      .listen = "[::1]",
                                      .more = "listen = 0.0.0.0:%PORT2%\n"};
    struct relay_run *relay = relay_start(state, &setup);
    struct addr over_ipv4 = net_loopback(ADDR_IPV4, relay->port2);
    check_session(relay, &relay->addr, listener);
    check_session(relay, &over_ipv4, listener);

    struct addr not_there = net_loopback(ADDR_IPV4, relay->addr.port);
    assert_int_equal(net_connect(&not_there, NET_PATIENCE_MS, &refused), ERR_REFUSED);
    not_there = net_loopback(ADDR_IPV6, relay->port2);
    assert_int_equal(net_connect(&not_there, NET_PATIENCE_MS, &refused), ERR_REFUSED);

    char text[TEXT_MAX];
    str_format(text, sizeof text, "[::1]:%u", (unsigned)relay->addr.port);
    expect_listener(relay, 0, text, false);
    str_format(text, sizeof text, "0.0.0.0:%u", (unsigned)relay->port2);
    expect_listener(relay, 1, text, false);
    net_close(listener);
    relay_end(relay);
}

static void every_listener_leads_to_the_upstream_of_its_route(void **state)
{
    struct addr upstreams[2];
    sock_t listeners[2] = {upstream_listen(ADDR_IPV4, &upstreams[0]),
                           upstream_listen(ADDR_IPV4, &upstreams[1])};
    char more[TEXT_MAX], text[ADDR_TEXT_MAX];
    str_format(more, sizeof more,
               "listen = 127.0.0.2:%%PORT2%%\n"
               "listen = 127.0.0.3:%%PORT2%%\n"
               "[route other]\nlisten = 127.0.0.1:%%PORT2%%\nupstream = %s\n",
               addr_format(&upstreams[1], text));
    const struct relay_setup setup = {
        .upstreams = &upstreams[0], .upstream_count = 1, .more = more};
    struct relay_run *relay = relay_start(state, &setup);
    struct addr addr = net_loopback(ADDR_IPV4, relay->port2);
    check_session(relay, &relay->addr, listeners[0]);
    check_session(relay, &addr, listeners[1]);
    addr.ip[3] = 2;
    check_session(relay, &addr, listeners[0]);
    addr.ip[3] = 3;
    check_session(relay, &addr, listeners[0]);

    json_t *root = relay_json(relay, "show stats");
    const json_t *routes = json_object_get(root, "routes");
    assert_int_equal(json_number_at(json_array_get(routes, 0), "sessions_total", 0), 3);
    assert_int_equal(json_number_at(json_array_get(routes, 1), "sessions_total", 0), 1);
    json_decref(root);
    net_close(listeners[0]);
    net_close(listeners[1]);
    relay_end(relay);
}

/* ---- clients that are hard to take ---- */

static uint64_t accepts_in_flight(struct relay_run *relay)
{
    json_t *info = relay_json(relay, "show info");
    uint64_t count = json_number_at(info, "port.accept_submits_total", 0) -
                     json_number_at(info, "port.accept_completions_total", 0);
    json_decref(info);
    return count;
}

static void drain(sock_t listener)
{
    sock_t server;
    while (net_accept(listener, 0, &server) == ERR_OK)
        net_close(server);
}

/* Clients that connect and reset. What the relay connected for them comes and goes as well. */
static void reset_clients(const struct relay_run *relay, sock_t listener, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        sock_t client;
        assert_int_equal(net_connect(&relay->addr, NET_PATIENCE_MS, &client), ERR_OK);
        net_reset(client);
        drain(listener);
    }
}

/* All of them are over and accounted for, and the listener has as many ACCEPTs as before. */
static void expect_all_gone(struct relay_run *relay, sock_t listener, uint64_t count,
                            uint64_t accepts)
{
    uint64_t start = os_mono_ms(), taken;
    do {
        drain(listener);
        json_t *root = relay_json(relay, "show stats");
        taken = json_number_at(root, "all.sessions_ended_total", 0) +
                json_number_at(root, "all.sessions_refused_total", 0) +
                json_number_at(root, "all.accept_failures_total", 0);
        json_decref(root);
    } while (taken < count && os_mono_ms() - start < NET_PATIENCE_MS);
    assert_int_equal(taken, count);
    relay_wait_nothing_left(relay);
    drain(listener);
    check_session(relay, &relay->addr, listener);
    assert_int_equal(accepts_in_flight(relay), accepts);
}

static void clients_that_reset_at_once_do_not_keep_others_out(void **state)
{
    uint64_t count = test_scaled(1000);
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    uint64_t accepts = accepts_in_flight(relay);
    assert_true(accepts > 0);
    reset_clients(relay, listener, count);
    expect_all_gone(relay, listener, count, accepts);
    net_close(listener);
    relay_end(relay);
}

/* Stops the process, or lets it go on, as job control does. */
static void send_signal(struct relay_run *relay, const char *name)
{
    char command[64];
    str_format(command, sizeof command, "kill -%s %" PRIu64, name, process_id(relay->process));
    const char *args[] = {"/bin/sh", "-c", command, NULL};
    const struct process_options options = {.args = args, .dir = relay->dir, .name = "kill"};
    assert_int_equal(process_run(&options, NET_PATIENCE_MS, NULL, NULL), 0);
}

static void clients_that_reset_in_the_backlog_do_not_keep_others_out(void **state)
{
    if (test_on_windows()) {
        print_message("not shown: no program of Windows can be stopped for a while from the "
                      "outside; the clients of the test before may have been taken already\n");
        skip();
    }
    uint64_t count = test_scaled(1000);
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    uint64_t accepts = accepts_in_flight(relay);
    send_signal(relay, "STOP");
    reset_clients(relay, listener, count);
    sock_t client = connect_client(&relay->addr), server; /* waits behind them */
    send_bytes(client, 100);
    send_signal(relay, "CONT");

    /* Its bytes and its end come through, whatever came before it. */
    net_finish(client);
    uint64_t start = os_mono_ms(), bytes = 0;
    while (bytes == 0 && os_mono_ms() - start < NET_PATIENCE_MS) {
        assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &server), ERR_OK);
        if (net_receive_end(server, NET_PATIENCE_MS, &bytes, NULL) == NET_END_FIN && bytes > 0)
            net_finish(server);
        net_close(server);
    }
    assert_int_equal(bytes, 100);
    expect_end(client, NET_END_FIN, 0);
    net_close(client);
    expect_all_gone(relay, listener, count + 1, accepts);
    net_close(listener);
    relay_end(relay);
}

/* All players of a server come back at once, while the relay gets no processor. */
static void a_crowd_finds_room_in_the_backlog(void **state)
{
    enum { CROWD = 2000 };
    static sock_t clients[CROWD];
    uint64_t drops, overflows, overflows_after;
    if (!os_backlog_drops(&drops, &overflows)) {
        print_message("not shown: this system does not count what a backlog has no room for\n");
        skip();
    }
    uint32_t count = os_backlog_limit() < CROWD ? os_backlog_limit() : CROWD;
    struct addr upstream = net_loopback(ADDR_IPV4, 0);
    sock_t listener;
    assert_int_equal(net_listen(&upstream, CROWD, &listener, &upstream), ERR_OK);
    struct relay_run *relay = relay_start_to(state, &upstream);
    assert_true(process_freeze(relay->process));
    assert_true(os_backlog_drops(&drops, &overflows));
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(net_connect_begin(&relay->addr, &clients[i]), ERR_OK);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(net_connect_finish(clients[i], NET_PATIENCE_MS), ERR_OK);
    assert_true(os_backlog_drops(&drops, &overflows_after));
    assert_int_equal(overflows_after, overflows);
    assert_true(process_thaw(relay->process));
    for (uint32_t i = 0; i < count; i++) {
        sock_t server;
        assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &server), ERR_OK);
        net_close(server);
    }
    for (uint32_t i = 0; i < count; i++)
        net_close(clients[i]);
    net_close(listener);
    relay_end(relay);
}

static void clients_that_say_nothing_are_taken_too(void **state)
{
    enum { SILENT = 100 };
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    struct session sessions[SILENT];
    for (unsigned i = 0; i < SILENT; i++)
        sessions[i] = session_open(&relay->addr, listener);
    assert_true(relay_wait_info(relay, "sessions_open", SILENT));
    assert_int_equal(relay_info(relay, "buffers_in_use"), 0);
    session_check(&sessions[SILENT / 2]);
    for (unsigned i = 0; i < SILENT; i++)
        session_drop(&sessions[i]);
    net_close(listener);
    relay_wait_nothing_left(relay);
    relay_end(relay);
}

/* ---- addresses that cannot be had ---- */

struct failed_start {
    char dir[TEST_PATH_MAX];
    int code;
    char *output;
    char *errors;
};

static void start_and_fail(const char *config, struct failed_start *out)
{
    char path[TEST_PATH_MAX];
    path_in(out->dir, "relay.ini", path);
    assert_int_equal(test_write_file(path, config), ERR_OK);
    const char *args[] = {"run", "-c", path, NULL};
    out->code = run_pairport(out->dir, args, &out->output, &out->errors);
    assert_int_equal(out->code, 1);
    assert_string_equal(out->output, "");
}

static void end_failed_start(struct failed_start *start)
{
    free(start->output);
    free(start->errors);
    test_remove_dir(start->dir);
}

/* The text holds this line once; a line of the log has its time before it. */
static void expect_line(const char *text, const char *line)
{
    const char *found = strstr(text, line);
    if (found == NULL || strstr(found + 1, line) != NULL)
        fail_msg("not once in the output: %s", line);
}

/* A relay whose port is `owner`'s, and that has said so. */
struct patient_start {
    char dir[TEST_PATH_MAX];
    struct addr addr;
    sock_t owner;
    struct process *process;
};

static void start_patiently(struct patient_start *start)
{
    char path[TEST_PATH_MAX], config[TEXT_MAX], line[TEXT_MAX], text[ADDR_TEXT_MAX];
    start->owner = upstream_listen(ADDR_IPV4, &start->addr);
    assert_int_equal(test_make_dir(start->dir), ERR_OK);
    path_in(start->dir, "relay.ini", path);
    str_format(config, sizeof config,
               "[console]\nlisten = none\n"
               "[route lobby]\nlisten = %s\nupstream = 127.0.0.1:9\n",
               addr_format(&start->addr, text));
    assert_int_equal(test_write_file(path, config), ERR_OK);
    const char *args[] = {"run", "-c", path, NULL};
    start->process = start_pairport(start->dir, "relay", args, false);
    str_format(line, sizeof line, " warning route 'lobby': listen %s: %s", text,
               err_text(ERR_IN_USE));
    assert_true(process_wait_errors(start->process, line, NET_PATIENCE_MS));
    assert_true(process_wait_errors(start->process, "; trying again for ", NET_PATIENCE_MS));
}

static void end_patient_start(struct patient_start *start, const char *last_line)
{
    int code = -1;
    assert_int_equal(process_stop(start->process), ERR_OK);
    assert_true(process_wait(start->process, NET_PATIENCE_MS, &code));
    assert_int_equal(code, 0);
    char *errors = process_errors(start->process);
    assert_non_null(strstr(errors, last_line));
    assert_null(strstr(errors, "not started"));
    free(errors);
    process_free(start->process);
    test_remove_dir(start->dir);
}

static void a_port_in_use_is_taken_when_it_becomes_free(void **state)
{
    (void)state;
    struct patient_start start;
    start_patiently(&start);
    net_close(start.owner);
    assert_true(
        process_wait_errors(start.process, "route 'lobby': listens on ", NET_PATIENCE_MS));
    sock_t client;
    assert_int_equal(net_connect(&start.addr, NET_PATIENCE_MS, &client), ERR_OK);
    net_close(client);
    end_patient_start(&start, "stopped after");
}

static void a_stop_ends_the_wait_for_a_port_at_once(void **state)
{
    (void)state;
    struct patient_start start;
    start_patiently(&start);
    end_patient_start(&start, "stopped before it had started");
    net_close(start.owner);
}

static void all_addresses_that_cannot_be_had_are_told_in_one_go(void **state)
{
    (void)state;
    struct addr taken;
    sock_t owner = upstream_listen(ADDR_IPV4, &taken);
    struct addr free_one = net_loopback(ADDR_IPV4, net_free_port());
    struct failed_start start;
    char config[2 * TEST_PATH_MAX], lines[2][TEXT_MAX], line[TEXT_MAX], log[TEST_PATH_MAX];
    char text[ADDR_TEXT_MAX], free_text[ADDR_TEXT_MAX];
    assert_int_equal(test_make_dir(start.dir), ERR_OK);
    path_in(start.dir, "relay.log", log);
    str_format(config, sizeof config,
               "[relay]\nlog_file = %s\n[console]\nlisten = none\n"
               "[route lobby]\nlisten = %s\nlisten = %s\nupstream = 127.0.0.1:9\n"
               "[route world]\nlisten = 192.0.2.1:%u\nupstream = 127.0.0.1:9\n",
               log, addr_format(&free_one, free_text), addr_format(&taken, text),
               (unsigned)free_one.port);
    start_and_fail(config, &start);
    str_format(lines[0], TEXT_MAX, "route 'lobby': listen %s: %s", text, err_text(ERR_IN_USE));
    str_format(lines[1], TEXT_MAX, "route 'world': listen 192.0.2.1:%u: %s\n",
               (unsigned)free_one.port, err_text(ERR_NO_ADDRESS));

    /* To whoever started it, and to the log file. */
    char *logged = test_read_file(log);
    assert_non_null(logged);
    for (unsigned i = 0; i < 2; i++) {
        str_format(line, sizeof line, "pairport: %s", lines[i]);
        expect_line(start.errors, line);
        str_format(line, sizeof line, " error %s", lines[i]);
        expect_line(logged, line);
    }
    expect_line(logged, " error not started\n");
    free(logged);

    /* What could be had was given back. */
    sock_t again;
    assert_int_equal(net_listen(&free_one, 1, &again, NULL), ERR_OK);
    net_close(again);
    end_failed_start(&start);
    net_close(owner);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(one_listener_takes_clients_of_both_families, relay_teardown),
        cmocka_unit_test_teardown(an_address_of_one_family_takes_only_its_clients,
                                  relay_teardown),
        cmocka_unit_test_teardown(every_listener_leads_to_the_upstream_of_its_route,
                                  relay_teardown),
        cmocka_unit_test_teardown(clients_that_reset_at_once_do_not_keep_others_out,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_crowd_finds_room_in_the_backlog, relay_teardown),
        cmocka_unit_test_teardown(clients_that_reset_in_the_backlog_do_not_keep_others_out,
                                  relay_teardown),
        cmocka_unit_test_teardown(clients_that_say_nothing_are_taken_too, relay_teardown),
        cmocka_unit_test(a_port_in_use_is_taken_when_it_becomes_free),
        cmocka_unit_test(a_stop_ends_the_wait_for_a_port_at_once),
        cmocka_unit_test(all_addresses_that_cannot_be_had_are_told_in_one_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
