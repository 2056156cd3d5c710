/* A new relay takes the door over from the one that runs: nobody who connects meanwhile notices,
 * and when it goes wrong the old one goes on. */
#include <inttypes.h>
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
#include "load_run.h"
#include "os/local.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

#define TAKEOVERS 20
#define VISITORS  8 /* threads, each with one session at a time */
#define STAY_MS   150

#define READY "reaches this relay at"

/* ---- takeovers ---- */

static struct process *start_successor(struct relay_run *relay, const char *config)
{
    static unsigned number;
    char name[32];
    str_format(name, sizeof name, "relay-%u", ++number);
    const char *args[] = {"run", "-c", config, "--takeover", NULL};
    return start_pairport(relay->dir, name, args, false);
}

static void expect_exit_of(struct process *process, int want)
{
    int code = -1;
    assert_true(process_wait(process, NET_PATIENCE_MS, &code));
    assert_int_equal(code, want);
}

/* The successor is the relay now. Gives the old process, which goes on to its end. */
static struct process *await_takeover(struct relay_run *relay, struct process *successor)
{
    char text[64];
    struct process *old = relay->process;
    if (!process_wait_errors(successor, READY, NET_PATIENCE_MS)) {
        char *log = process_errors(successor);
        print_message("the successor's log:\n%s\n", log);
        free(log);
        process_free(successor);
        fail_msg("%s", "the successor did not start");
    }
    relay->process = successor;
    str_format(text, sizeof text, "taken over by pid %" PRIu64, process_id(successor));
    assert_true(process_wait_errors(old, text, NET_PATIENCE_MS));
    assert_int_equal(relay_info(relay, "pid"), process_id(successor));
    return old;
}

static void take_over(struct relay_run *relay)
{
    struct process *old = await_takeover(relay, start_successor(relay, relay->config));
    expect_exit_of(old, 0);
    process_free(old);
}

/* ---- the load ---- */

static struct load {
    struct addr relay;
    _Atomic uint32_t begun;
    _Atomic uint64_t served;
    _Atomic uint64_t shut_out; /* refused, or turned away before the first answer */
    _Atomic uint64_t cut_off;  /* later */
    _Atomic bool over;
} load;

static struct game_server game;

static void visit(uint32_t number, bool stays)
{
    sock_t sock;
    char letter;
    if (net_connect(&load.relay, NET_PATIENCE_MS, &sock) != ERR_OK) {
        atomic_fetch_add(&load.shut_out, 1);
        return;
    }
    enum err err = game_ask(sock, number, NET_PATIENCE_MS, &letter);
    if (err != ERR_OK)
        atomic_fetch_add(&load.shut_out, 1);
    for (uint32_t i = 1; stays && err == ERR_OK && i <= 10; i++) {
        os_sleep_ms(STAY_MS / 10);
        err = game_ask(sock, number + i, NET_PATIENCE_MS, &letter);
        if (err != ERR_OK)
            atomic_fetch_add(&load.cut_off, 1);
    }
    if (err == ERR_OK)
        atomic_fetch_add(&load.served, 1);
    net_close(sock);
}

static void be_visitors(void *arg)
{
    bool stays = arg != NULL;
    uint32_t pause_ms = test_on_windows() ? 25 : 2; /* under Wine local ports are few */
    while (!atomic_load(&load.over)) {
        visit(atomic_fetch_add(&load.begun, 1), stays);
        os_sleep_ms(pause_ms);
    }
}

/* Messages on connections that are opened anew every second, of which no byte may be wrong. */
static struct process *start_messages(struct relay_run *relay)
{
    char words[128], text[ADDR_TEXT_MAX];
    struct addr other = net_loopback(ADDR_IPV4, relay->port2);
    str_format(words, sizeof words,
               "paced %s --connections 20 --rate 2000 --duration 1s --timeout 300",
               addr_format(&other, text));
    return start_pairload(relay->dir, "messages", words);
}

static void end_messages(struct process *messages)
{
    int code = -1;
    assert_true(process_wait(messages, NET_PATIENCE_MS, &code));
    if (code != 0) {
        char *output = process_output(messages), *errors = process_errors(messages);
        print_message("pairload: %s%s\n", output, errors);
        free(output);
        free(errors);
    }
    assert_int_equal(code, 0);
    process_free(messages);
}

/* ---- the tests ---- */

static struct relay_run *start_with_two_routes(void **state, const struct echo_run *echo)
{
    char more[160], text[ADDR_TEXT_MAX];
    game_init(&game, 'g');
    game_start(&game);
    str_format(more, sizeof more, "[route echo]\nlisten = *:%%PORT2%%\nupstream = %s\n",
               addr_format(&echo->addr, text));
    const struct relay_setup setup = {.upstreams = &game.addr,
                                      .upstream_count = 1,
                                      .relay_keys = "log_level = notice\nstop_timeout = 5m\n",
                                      .more = more};
    return relay_start(state, &setup);
}

static void nobody_is_refused_or_cut_off_by_twenty_takeovers(void **state)
{
    struct echo_run echo;
    struct os_thread *visitors[VISITORS];
    uint64_t runs = 0;
    test_wait_for_ports(20000);
    echo_run_start(&echo);
    struct relay_run *relay = start_with_two_routes(state, &echo);
    memset(&load, 0, sizeof load);
    load.relay = relay->addr;
    for (size_t i = 0; i < VISITORS; i++)
        assert_int_equal(
            os_thread_start(&visitors[i], "visitor", be_visitors, i % 2 == 0 ? &load : NULL),
            ERR_OK);
    struct process *messages = start_messages(relay);
    for (unsigned i = 0; i < TAKEOVERS; i++) {
        uint64_t served = atomic_load(&load.served);
        take_over(relay);
        while (atomic_load(&load.served) == served) /* the new one serves */
            os_sleep_ms(1);
        if (process_wait(messages, 0, NULL)) {
            end_messages(messages);
            messages = start_messages(relay);
            runs++;
        }
    }
    atomic_store(&load.over, true);
    for (size_t i = 0; i < VISITORS; i++)
        os_thread_join(visitors[i]);
    end_messages(messages);
    print_message("%" PRIu64 " visitors served, %" PRIu64 " shut out, %" PRIu64
                  " cut off; %" PRIu64 " runs of messages\n",
                  atomic_load(&load.served), atomic_load(&load.shut_out),
                  atomic_load(&load.cut_off), runs + 1);
    assert_int_equal(atomic_load(&load.cut_off), 0);
    assert_int_equal(atomic_load(&load.shut_out), 0);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    game_kill(&game);
    echo_run_stop(&echo);
}

static void sessions_of_the_old_relay_go_on_until_they_end(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {
        .upstreams = &upstream, .upstream_count = 1, .relay_keys = "stop_timeout = 1h\n"};
    struct relay_run *relay = relay_start(state, &setup);
    struct session before = session_open(&relay->addr, listener);
    struct process *old = await_takeover(relay, start_successor(relay, relay->config));
    assert_int_equal(relay_count_log(relay, "took 1 of 1 listening sockets over"), 1);
    struct session after = session_open(&relay->addr, listener);
    session_check(&before);
    session_check(&after);
    json_t *sessions = relay_json(relay, "show sessions");
    assert_true(json_number_at(find_session(sessions, after.client), "id", 0) >
                1); /* it goes on */
    json_decref(sessions);
    assert_int_equal(relay_info(relay, "sessions_open"), 1);
    assert_false(process_wait(old, 0, NULL));
    session_end(&before);
    expect_exit_of(old, 0);
    process_free(old);
    session_check(&after);
    session_end(&after);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    net_close(listener);
}

static uint64_t predecessors_shown(struct relay_run *relay)
{
    json_t *info = relay_json(relay, "show info");
    uint64_t count = json_array_size(json_object_get(info, "predecessors"));
    json_decref(info);
    return count;
}

/* After two takeovers; the sessions are of three processes. */
static void sessions_of_old_relays_are_shown_and_ended_by_the_new_one(void **state)
{
    struct addr upstream;
    struct process *olds[2];
    struct session sessions[3];
    uint64_t ids[3], pids[3];
    char line[64], text[96];
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {.upstreams = &upstream,
                                      .upstream_count = 1,
                                      .relay_keys = "stop_timeout = 1h\n",
                                      .route_keys = "guard_exempt =\n"};
    struct relay_run *relay = relay_start(state, &setup);
    for (size_t i = 0; i < 3; i++) {
        if (i > 0)
            olds[i - 1] = await_takeover(relay, start_successor(relay, relay->config));
        sessions[i] = session_open(&relay->addr, listener);
        pids[i] = process_id(relay->process);
    }
    assert_int_equal(predecessors_shown(relay), 2);
    json_t *shown = relay_json(relay, "show sessions");
    assert_int_equal(json_number_at(shown, "sessions_open", 0), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *one = find_session(shown, sessions[i].client);
        ids[i] = json_number_at(one, "id", 0);
        assert_int_equal(json_number_at(one, "pid", 0), pids[i]);
        assert_true(i == 0 || ids[i] > ids[i - 1]);
    }
    json_decref(shown);

    str_format(line, sizeof line, "kill %" PRIu64, ids[0]);
    assert_int_equal(relay_console(relay, line, NULL, NULL), 0);
    session_expect_reset(&sessions[0]);
    str_format(text, sizeof text,
               " info [pid %" PRIu64 "] session %" PRIu64 " ended: ", pids[0], ids[0]);
    assert_true(process_wait_errors(olds[0], text, NET_PATIENCE_MS));
    expect_exit_of(olds[0], 0);
    process_free(olds[0]);
    assert_int_equal(predecessors_shown(relay), 1);
    assert_int_equal(relay_console(relay, "ban 127.0.0.1", NULL, NULL), 0);
    session_expect_reset(&sessions[1]);
    session_expect_reset(&sessions[2]);
    expect_exit_of(olds[1], 0);
    process_free(olds[1]);
    assert_int_equal(predecessors_shown(relay), 0);
    relay_end(relay);
    net_close(listener);
}

static void sessions_left_after_stop_timeout_are_ended_by_the_old_relay(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {
        .upstreams = &upstream, .upstream_count = 1, .relay_keys = "stop_timeout = 500ms\n"};
    struct relay_run *relay = relay_start(state, &setup);
    struct session before = session_open(&relay->addr, listener);
    struct process *old = await_takeover(relay, start_successor(relay, relay->config));
    session_expect_reset(&before);
    expect_exit_of(old, 0);
    process_free(old);
    relay_end(relay);
    net_close(listener);
}

static void without_a_relay_to_take_over_it_starts_as_usual(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    process_kill(relay->process); /* leaves its socket file behind */
    process_wait(relay->process, NET_PATIENCE_MS, NULL);
    process_free(relay->process);
    relay->process = start_successor(relay, relay->config);
    assert_true(relay_wait_log(relay, READY));
    assert_int_equal(relay_count_log(relay, "takeover: no relay runs at "), 1);
    struct session session = session_open(&relay->addr, listener);
    session_check(&session);
    session_end(&session);
    relay_end(relay);
    net_close(listener);
}

/* ---- what goes wrong ---- */

static void write_changed_config(struct relay_run *relay, const char *add, char *path)
{
    struct str text;
    char *config = test_read_file(relay->config);
    assert_non_null(config);
    str_init(&text);
    str_add(&text, config);
    str_add(&text, add);
    relay_path(relay, "changed.ini", path);
    assert_int_equal(test_write_file(path, text.data), ERR_OK);
    str_free(&text);
    free(config);
}

static void a_successor_that_cannot_start_leaves_the_old_relay_as_it_was(void **state)
{
    struct addr upstream, taken = net_loopback(ADDR_IPV4, net_free_port());
    char path[TEST_PATH_MAX], add[160];
    sock_t holder;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    assert_int_equal(net_listen(&taken, 1, &holder, NULL), ERR_OK);
    str_format(add, sizeof add, "[route more]\nlisten = 127.0.0.1:%u\nupstream = 127.0.0.1:9\n",
               (unsigned)taken.port);
    write_changed_config(relay, add, path);

    struct session session = session_open(&relay->addr, listener);
    struct process *successor = start_successor(relay, path);
    expect_exit_of(successor, 1);
    char *log = process_errors(successor);
    char goes_on[64];
    str_format(goes_on, sizeof goes_on, "takeover: pid %" PRIu64 " goes on as before",
               process_id(relay->process));
    if (strstr(log, err_text(ERR_IN_USE)) == NULL)
        print_message("the successor's log:\n%s\n", log);
    assert_non_null(strstr(log, err_text(ERR_IN_USE)));
    assert_non_null(strstr(log, goes_on));
    free(log);
    process_free(successor);

    expect_log(relay, "has given up; this relay goes on");
    session_check(&session);
    session_end(&session);
    struct session next = session_open(&relay->addr, listener);
    session_check(&next);
    session_end(&next);
    take_over(relay); /* the next one may */
    relay_end(relay);
    net_close(holder);
    net_close(listener);
}

/* Where the relay's endpoint is: its log says so. */
static void find_endpoint(const struct relay_run *relay, char path[LOCAL_NAME_MAX])
{
    char *log = relay_log(relay);
    const char *at = strstr(log, READY " ");
    assert_non_null(at);
    at += sizeof READY;
    str_format(path, LOCAL_NAME_MAX, "%.*s", (int)strcspn(at, "\r\n"), at);
    free(log);
}

/* A successor that dies at some step, as the relay sees it: its connection ends. */
static void die_after(const struct relay_run *relay, const char *lines)
{
    char path[LOCAL_NAME_MAX], answer[512];
    struct local_conn *conn;
    size_t got;
    find_endpoint(relay, path);
    assert_int_equal(local_connect(path, &conn), ERR_OK);
    assert_int_equal(local_write(conn, lines, strlen(lines)), ERR_OK);
    if (strchr(lines, '\n') != NULL)
        assert_int_equal(local_read(conn, answer, sizeof answer, NET_PATIENCE_MS, &got),
                         ERR_OK);
    local_conn_close(conn);
}

static void a_successor_that_dies_before_it_serves_changes_nothing(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    static const char *const until[] = {"",
                                        "takeover 2 ",
                                        "takeover 2 7\n",
                                        "takeover 2 7\ngo\n",
                                        "takeover 2 7\ngo\nserving\n",
                                        "takeover 1 7\ngo\n",
                                        "takeover 2 7\nsockets 0 1\n",
                                        "takeover 2 7\nsockets 0 1\ng",
                                        "takeover 2 7\nsockets 0 1\ngo\n",
                                        "takeover 2 7\nsockets 0 1\ngo\nservin"};
    for (size_t i = 0; i < sizeof until / sizeof until[0]; i++) {
        die_after(relay, until[i]);
        struct session session = session_open(&relay->addr, listener);
        session_check(&session);
        session_end(&session);
    }
    take_over(relay);
    relay_end(relay);
    net_close(listener);
}

/* It may serve already, which nobody knows but itself; so the old one did not stop to. */
static void a_successor_that_does_not_say_that_it_serves_is_not_waited_for(void **state)
{
    static const char lines[] = "takeover 2 7\nsockets 0 1\ngo\n";
    struct addr upstream;
    char path[LOCAL_NAME_MAX];
    struct local_conn *conn;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    find_endpoint(relay, path);
    assert_int_equal(local_connect(path, &conn), ERR_OK);
    assert_int_equal(local_write(conn, lines, sizeof lines - 1), ERR_OK);
    struct session during = session_open(&relay->addr, listener);
    session_check(&during);
    expect_log(relay, " does not serve; this relay goes on");
    session_check(&during);
    session_end(&during);
    local_conn_close(conn);
    take_over(relay);
    relay_end(relay);
    net_close(listener);
}

/* Two relays of one machine that both have the default name. */
static void a_relay_of_the_same_name_is_not_taken_over(void **state)
{
    struct addr upstream;
    char path[TEST_PATH_MAX], old_listen[32], new_listen[32], why[TEST_PATH_MAX + 64];
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    write_changed_config(relay, "", path);
    char *config = test_read_file(path);
    str_format(old_listen, sizeof old_listen, ":%u\n", (unsigned)relay->addr.port);
    str_format(new_listen, sizeof new_listen, ":%u\n", (unsigned)net_free_port());
    char *at = strstr(config, old_listen);
    assert_non_null(at);
    struct str text;
    str_init(&text);
    str_add_bytes(&text, config, (size_t)(at - config));
    str_addf(&text, "%s%s", new_listen, at + strlen(old_listen));
    assert_int_equal(test_write_file(path, text.data), ERR_OK);
    str_free(&text);
    free(config);

    struct process *successor = start_successor(relay, path);
    expect_exit_of(successor, 1);
    char *log = process_errors(successor);
    str_format(why, sizeof why, "(pid %" PRIu64 ", configuration %s) listens on no address",
               process_id(relay->process), relay->config);
    if (strstr(log, why) == NULL)
        fail_msg("'%s' is not in\n%s", why, log);
    free(log);
    process_free(successor);
    struct session session = session_open(&relay->addr, listener);
    session_check(&session);
    session_end(&session);
    relay_end(relay);
    net_close(listener);
}

static void another_version_of_the_takeover_is_refused(void **state)
{
    struct addr upstream;
    char *errors;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    assert_int_equal(relay_console(relay, "takeover 1 77", NULL, &errors), 1);
    assert_non_null(strstr(errors,
                           "can be taken over by version 2 of the takeover protocol, not "
                           "by version 1"));
    free(errors);
    struct session session = session_open(&relay->addr, listener);
    session_check(&session);
    session_end(&session);
    relay_end(relay);
    net_close(listener);
}

/* ---- another configuration ---- */

static void sockets_that_are_not_wanted_close_and_new_ones_open(void **state)
{
    struct addr upstream;
    char path[TEST_PATH_MAX], text[640], where[ADDR_TEXT_MAX], unwanted[96];
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream), client;
    const struct relay_setup setup = {
        .upstreams = &upstream,
        .upstream_count = 1,
        .more = "[route gone]\nlisten = 127.0.0.1:%PORT2%\nupstream = 127.0.0.1:9\n"};
    struct relay_run *relay = relay_start(state, &setup);
    struct addr gone = net_loopback(ADDR_IPV4, relay->port2);
    struct addr added = net_loopback(ADDR_IPV4, net_free_port());

    char *config = test_read_file(relay->config);
    char *section = strstr(config, "[route gone]");
    assert_non_null(section);
    str_format(text, sizeof text, "[route added]\nlisten = 127.0.0.1:%u\nupstream = %s\n",
               (unsigned)added.port, addr_format(&upstream, where));
    *section = '\0';
    struct str all;
    str_init(&all);
    str_add(&all, config);
    str_add(&all, text);
    free(config);
    relay_path(relay, "changed.ini", path);
    assert_int_equal(test_write_file(path, all.data), ERR_OK);
    str_free(&all);

    struct process *old = await_takeover(relay, start_successor(relay, path));
    expect_exit_of(old, 0);
    process_free(old);
    str_format(unwanted, sizeof unwanted, "takeover: no 'listen' line wants %s: it is closed",
               addr_format(&gone, where));
    assert_int_equal(relay_count_log(relay, unwanted), 1);
    assert_int_equal(net_connect(&gone, NET_PATIENCE_MS, &client), ERR_REFUSED);
    const struct addr open[] = {relay->addr, added};
    for (size_t i = 0; i < 2; i++) {
        struct session session = session_open(&open[i], listener);
        session_check(&session);
        session_end(&session);
    }
    relay_end(relay);
    net_close(listener);
}

#define RANGE 600 /* more than two messages can carry */

static uint16_t free_range(void)
{
    for (int tries = 0; tries < 50; tries++) {
        struct addr addr = net_loopback(ADDR_IPV4, (uint16_t)(10240 + os_random() % 20000));
        uint16_t first = addr.port;
        enum err err = ERR_OK;
        for (int i = 0; i < RANGE && err == ERR_OK; i++, addr.port++) {
            sock_t sock;
            err = net_listen(&addr, 1, &sock, NULL);
            if (err == ERR_OK)
                net_close(sock);
        }
        if (err == ERR_OK)
            return first;
    }
    fail_msg("no %d free ports in a row were found", RANGE);
    return 0;
}

static void all_sockets_of_a_range_of_ports_are_taken_over(void **state)
{
    struct addr upstream;
    char more[256], text[ADDR_TEXT_MAX], took[64];
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    uint16_t first = free_range();
    str_format(more, sizeof more, "[route many]\nlisten = 127.0.0.1:%u-%u\nupstream = %s\n",
               (unsigned)first, first + RANGE - 1u, addr_format(&upstream, text));
    const struct relay_setup setup = {.upstreams = &upstream,
                                      .upstream_count = 1,
                                      .listen = "127.0.0.2", /* its port may be in the range */
                                      .more = more};
    struct relay_run *relay = relay_start(state, &setup);
    take_over(relay);
    str_format(took, sizeof took, "took %d of %d listening sockets over", RANGE + 1, RANGE + 1);
    assert_int_equal(relay_count_log(relay, took), 1);
    for (unsigned i = 0; i < RANGE; i += 50) {
        struct addr port = net_loopback(ADDR_IPV4, (uint16_t)(first + i));
        struct session session = session_open(&port, listener);
        session_check(&session);
        session_end(&session);
    }
    relay_end(relay);
    net_close(listener);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nobody_is_refused_or_cut_off_by_twenty_takeovers,
                                  relay_teardown),
        cmocka_unit_test_teardown(sessions_of_the_old_relay_go_on_until_they_end,
                                  relay_teardown),
        cmocka_unit_test_teardown(sessions_of_old_relays_are_shown_and_ended_by_the_new_one,
                                  relay_teardown),
        cmocka_unit_test_teardown(sessions_left_after_stop_timeout_are_ended_by_the_old_relay,
                                  relay_teardown),
        cmocka_unit_test_teardown(without_a_relay_to_take_over_it_starts_as_usual,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_successor_that_cannot_start_leaves_the_old_relay_as_it_was,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_successor_that_dies_before_it_serves_changes_nothing,
                                  relay_teardown),
        cmocka_unit_test_teardown(
            a_successor_that_does_not_say_that_it_serves_is_not_waited_for, relay_teardown),
        cmocka_unit_test_teardown(a_relay_of_the_same_name_is_not_taken_over, relay_teardown),
        cmocka_unit_test_teardown(another_version_of_the_takeover_is_refused, relay_teardown),
        cmocka_unit_test_teardown(sockets_that_are_not_wanted_close_and_new_ones_open,
                                  relay_teardown),
        cmocka_unit_test_teardown(all_sockets_of_a_range_of_ports_are_taken_over,
                                  relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
