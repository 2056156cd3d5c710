/* test_control_endpoint.c - commands over the local endpoint, and the protocol on both sides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/console/endpoint.h"
#include "control/console/wire.h"
#include "fake_server.h"
#include "os/local.h"
#include "os/os.h"
#include "support/platform.h"

enum { PATIENCE_MS = 60000 };

static char dir[TEST_PATH_MAX];
static char path[LOCAL_NAME_MAX];
static struct server *server;
static struct console console;
static struct endpoint *endpoint;

struct caller {
    struct local_conn *conn;
    struct wire_input input;
    enum wire_status status;
    struct str body;
};

static void call(struct caller *caller)
{
    *caller = (struct caller){.input.len = 0};
    str_init(&caller->body);
    assert_int_equal(wire_connect(path, &caller->conn), ERR_OK);
}

static void hang_up(struct caller *caller)
{
    local_conn_close(caller->conn);
    str_free(&caller->body);
}

static enum err receive(struct caller *caller)
{
    return wire_read_answer(caller->conn, &caller->input, &caller->status, &caller->body);
}

static void send_bytes(struct caller *caller, const char *bytes, size_t len)
{
    assert_int_equal(local_write(caller->conn, bytes, len), ERR_OK);
}

static void assert_asks(struct caller *caller, const char *line, enum wire_status status,
                        const char *answer)
{
    assert_int_equal(wire_send_line(caller->conn, line, strlen(line)), ERR_OK);
    assert_int_equal(receive(caller), ERR_OK);
    assert_string_equal(caller->body.data, answer);
    assert_int_equal(caller->status, status);
}

static void assert_closed(struct caller *caller)
{
    char byte;
    size_t got;
    enum err err = local_read(caller->conn, &byte, 1, PATIENCE_MS, &got);
    assert_true(err == ERR_CLOSED || err == ERR_RESET);
}

static int set_up(void **state)
{
    static unsigned number;
    char name[64];
    (void)state;
    server = fake_server_open();
    console = fake_server_console(server);
    fake_server_add(server, 7, 0);
    str_format(name, sizeof name, "control-%llu-%u", (unsigned long long)os_process_id(),
               number++);
    if (local_path(name, path) != ERR_OK)
        return -1;
    return endpoint_start(&endpoint, path, &console) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    if (endpoint != NULL)
        endpoint_stop(endpoint);
    endpoint = NULL;
    fake_server_close(server);
    return 0;
}

/* ---- the relay's side ---- */

static void a_command_is_answered_with_its_status_and_text(void **state)
{
    (void)state;
    struct caller caller;
    call(&caller);
    assert_asks(&caller, "kill 7", WIRE_OK, "session 7 is ended\n");
    assert_int_equal(server->killed, 7);
    assert_asks(&caller, "kill 8", WIRE_ERROR,
                "session 8 is not open; `show sessions` lists the open ones\n");
    assert_asks(&caller, "", WIRE_OK, "");
    assert_asks(&caller, "# nothing", WIRE_OK, "");
    hang_up(&caller);
}

static void requests_sent_together_are_answered_in_order(void **state)
{
    (void)state;
    struct caller caller;
    call(&caller);
    static const char requests[] = "kill 7\r\nfoo\nreopen\nki";
    send_bytes(&caller, requests, sizeof requests - 1);
    assert_int_equal(receive(&caller), ERR_OK);
    assert_string_equal(caller.body.data, "session 7 is ended\n");
    assert_int_equal(receive(&caller), ERR_OK);
    assert_int_equal(caller.status, WIRE_ERROR);
    assert_int_equal(receive(&caller), ERR_OK);
    assert_int_equal(caller.status, WIRE_OK);
    assert_asks(&caller, "ll 7", WIRE_OK, "session 7 is ended\n"); /* the rest of the line */
    hang_up(&caller);
}

static void quit_closes_the_connection(void **state)
{
    (void)state;
    struct caller caller;
    call(&caller);
    assert_asks(&caller, "quit", WIRE_BYE, "");
    assert_closed(&caller);
    hang_up(&caller);
}

static void bytes_that_are_no_text_are_refused_and_the_connection_goes_on(void **state)
{
    (void)state;
    struct caller caller;
    call(&caller);
    send_bytes(&caller, "a\0b\n", 4);
    assert_int_equal(receive(&caller), ERR_OK);
    assert_int_equal(caller.status, WIRE_ERROR);
    assert_string_equal(caller.body.data, "byte 2 of the line is a NUL\n");
    assert_asks(&caller, "kill 7", WIRE_OK, "session 7 is ended\n");
    hang_up(&caller);
}

static void the_longest_line_is_taken_and_a_longer_one_ends_the_connection(void **state)
{
    (void)state;
    struct caller caller;
    char line[WIRE_LINE_MAX + 8];
    memset(line, ' ', sizeof line);
    memcpy(line, "kill 7", 6);
    call(&caller);
    line[WIRE_LINE_MAX] = '\r';
    line[WIRE_LINE_MAX + 1] = '\n';
    send_bytes(&caller, line, WIRE_LINE_MAX + 2);
    assert_int_equal(receive(&caller), ERR_OK);
    assert_string_equal(caller.body.data, "session 7 is ended\n");
    line[WIRE_LINE_MAX] = ' ';
    line[WIRE_LINE_MAX + 1] = ' ';
    send_bytes(&caller, line, WIRE_LINE_MAX + 2);
    assert_int_equal(receive(&caller), ERR_OK);
    assert_int_equal(caller.status, WIRE_ERROR);
    assert_string_equal(caller.body.data, "the line is too long; the connection is closed\n");
    assert_closed(&caller);
    hang_up(&caller);
}

static void the_width_of_tables_is_one_of_the_connection(void **state)
{
    (void)state;
    struct caller narrow, wide;
    call(&narrow);
    call(&wide);
    assert_asks(&narrow, "set columns 40", WIRE_OK,
                "tables keep to 40 columns where they can\n");
    assert_int_equal(wire_send_line(narrow.conn, "show sessions", 13), ERR_OK);
    assert_int_equal(receive(&narrow), ERR_OK);
    assert_non_null(strstr(narrow.body.data, "left out at 40 columns"));
    assert_int_equal(wire_send_line(wide.conn, "show sessions", 13), ERR_OK);
    assert_int_equal(receive(&wide), ERR_OK);
    assert_null(strstr(wide.body.data, "left out"));
    hang_up(&narrow);
    hang_up(&wide);
}

static void a_long_answer_arrives_whole(void **state)
{
    (void)state;
    for (uint64_t id = 100; id < 1100; id++)
        fake_server_add(server, id, 0);
    struct caller caller;
    call(&caller);
    static const char line[] = "show sessions limit 5000 json";
    assert_int_equal(wire_send_line(caller.conn, line, sizeof line - 1), ERR_OK);
    assert_int_equal(receive(&caller), ERR_OK);
    assert_true(caller.body.len > 600000);
    static const char end[] = "\"sessions_shown\": 1001,\n  \"sessions_open\": 1001\n}\n";
    assert_string_equal(caller.body.data + caller.body.len - (sizeof end - 1), end);
    hang_up(&caller);
}

static void the_client_that_was_idle_for_longest_makes_room_for_the_next(void **state)
{
    (void)state;
    struct caller callers[ENDPOINT_CLIENTS_MAX], late[2];
    for (size_t i = 0; i < ENDPOINT_CLIENTS_MAX; i++) {
        call(&callers[i]);
        assert_asks(&callers[i], "kill 7", WIRE_OK, "session 7 is ended\n");
        uint64_t then = os_mono_ms();
        while (os_mono_ms() == then) /* the clock has to tell them apart */
            os_sleep_ms(1);
    }
    assert_asks(&callers[0], "kill 7", WIRE_OK, "session 7 is ended\n");
    for (size_t i = 0; i < 2; i++) {
        call(&late[i]);
        assert_asks(&late[i], "kill 7", WIRE_OK, "session 7 is ended\n");
    }
    assert_closed(&callers[1]);
    assert_closed(&callers[2]);
    assert_asks(&callers[0], "kill 7", WIRE_OK, "session 7 is ended\n");
    for (size_t i = 3; i < ENDPOINT_CLIENTS_MAX; i++)
        assert_asks(&callers[i], "kill 7", WIRE_OK, "session 7 is ended\n");
    for (size_t i = 0; i < ENDPOINT_CLIENTS_MAX; i++)
        hang_up(&callers[i]);
    for (size_t i = 0; i < 2; i++)
        hang_up(&late[i]);
}

static void silent_clients_lock_nobody_out(void **state)
{
    (void)state;
    enum { SILENT = 3 * ENDPOINT_CLIENTS_MAX };
    struct caller silent[SILENT], late;
    for (size_t i = 0; i < SILENT; i++)
        call(&silent[i]);
    call(&late);
    assert_asks(&late, "kill 7", WIRE_OK, "session 7 is ended\n");
    hang_up(&late);
    for (size_t i = 0; i < SILENT; i++)
        hang_up(&silent[i]);
}

/* Commands that run until the test lets them go on. */
static struct {
    struct os_mutex lock;
    struct os_cond changed;
    unsigned running;
    bool open;
} gate;

static void wait_at_gate(void *ctx, bool now, uint64_t over_ms)
{
    (void)ctx;
    (void)now;
    (void)over_ms;
    os_mutex_lock(&gate.lock);
    gate.running++;
    os_cond_wake_all(&gate.changed);
    while (!gate.open)
        os_cond_wait(&gate.changed, &gate.lock, UINT32_MAX);
    os_mutex_unlock(&gate.lock);
}

static void wait_until_running(unsigned count)
{
    os_mutex_lock(&gate.lock);
    while (gate.running < count)
        os_cond_wait(&gate.changed, &gate.lock, UINT32_MAX);
    os_mutex_unlock(&gate.lock);
}

static void from_where_the_operator_comes_holds_for_the_connection(void **state)
{
    (void)state;
    struct caller caller, other;
    call(&caller);
    call(&other);
    assert_asks(&caller, "caller 192.0.2.7", WIRE_OK, "");
    assert_asks(
        &caller, "kill client 192.0.2.0/24", WIRE_ERROR,
        "192.0.2.0/24 includes you: you are connected by SSH from 192.0.2.7; if that is "
        "meant, add `force`, as in `kill client 192.0.2.0/24 force`\n");
    assert_asks(&other, "kill client 192.0.2.0/24", WIRE_OK,
                "1 session of client 192.0.2.0/24 ended\n");
    assert_asks(&other, "caller nobody", WIRE_ERROR,
                "unknown command 'caller'; `help` lists the commands\n");
    hang_up(&caller);
    hang_up(&other);
}

/* As a console at a terminal does it. */
static void shut_down(struct caller *caller)
{
    call(caller);
    assert_asks(caller, "set columns 80", WIRE_OK,
                "tables keep to 80 columns where they can\n");
    assert_int_equal(wire_send_line(caller->conn, "shutdown", 8), ERR_OK);
}

static void a_takeover_and_a_shutdown_are_served_when_all_are_busy(void **state)
{
    (void)state;
    struct caller callers[ENDPOINT_CLIENTS_MAX], late;
    console.shutdown = wait_at_gate;
    gate.running = 0;
    gate.open = false;
    for (size_t i = 0; i < ENDPOINT_CLIENTS_MAX; i++)
        shut_down(&callers[i]);
    wait_until_running(ENDPOINT_CLIENTS_MAX);

    /* Another command is refused, while nothing is given up for it. */
    call(&late);
    assert_int_equal(wire_send_line(late.conn, "kill 7", 6), ERR_OK);
    assert_int_equal(receive(&late), ERR_OK);
    assert_int_equal(late.status, WIRE_ERROR);
    assert_non_null(strstr(late.body.data, "all consoles of this relay are in use"));
    hang_up(&late);

    call(&late);
    assert_int_equal(wire_send_line(late.conn, "takeover 99 1", 13), ERR_OK);
    assert_int_equal(receive(&late), ERR_OK);
    assert_non_null(strstr(late.body.data, "version 99")); /* it was heard */
    hang_up(&late);

    struct caller stop;
    shut_down(&stop);
    wait_until_running(ENDPOINT_CLIENTS_MAX + 1);
    os_mutex_lock(&gate.lock);
    gate.open = true;
    os_cond_wake_all(&gate.changed);
    os_mutex_unlock(&gate.lock);
    assert_int_equal(receive(&stop), ERR_OK);
    assert_int_equal(stop.status, WIRE_OK);
    hang_up(&stop);
    for (size_t i = 0; i < ENDPOINT_CLIENTS_MAX; i++) {
        assert_int_equal(receive(&callers[i]), ERR_OK);
        assert_int_equal(callers[i].status, WIRE_OK);
        hang_up(&callers[i]);
    }
}

static void a_client_that_goes_away_in_the_middle_does_no_harm(void **state)
{
    (void)state;
    for (uint64_t id = 100; id < 600; id++)
        fake_server_add(server, id, 0);
    for (int i = 0; i < 40; i++) {
        struct caller caller;
        call(&caller);
        static const char line[] = "show sessions limit 5000 json\nshow se";
        send_bytes(&caller, line, i % 2 == 0 ? sizeof line - 1 : 10);
        hang_up(&caller);
    }
    uint64_t deadline = os_mono_ms() + PATIENCE_MS;
    bool answered = false;
    while (!answered && os_mono_ms() < deadline) { /* the others' places become free */
        struct caller caller;
        call(&caller);
        wire_send_line(caller.conn, "kill 7", 6);
        answered = receive(&caller) == ERR_OK && caller.status == WIRE_OK;
        hang_up(&caller);
    }
    assert_true(answered);
}

static void stopping_closes_the_clients_and_frees_the_path(void **state)
{
    (void)state;
    struct caller caller;
    call(&caller);
    assert_asks(&caller, "kill 7", WIRE_OK, "session 7 is ended\n");
    endpoint_stop(endpoint);
    endpoint = NULL;
    assert_closed(&caller);
    hang_up(&caller);
    assert_int_equal(endpoint_start(&endpoint, path, &console), ERR_OK);
}

static struct {
    struct os_mutex lock;
    struct os_cond changed;
    bool entered;
} slow;

static void shut_down_slowly(void *ctx, bool now, uint64_t over_ms)
{
    (void)over_ms;
    os_mutex_lock(&slow.lock);
    slow.entered = true;
    os_cond_wake_all(&slow.changed);
    /* Long enough for the endpoint to be stopping before the command is done. */
    os_cond_wait(&slow.changed, &slow.lock, 200);
    os_mutex_unlock(&slow.lock);
    server_stop(ctx, now);
}

static void an_answer_under_way_gets_through_a_stop(void **state)
{
    (void)state;
    console.shutdown = shut_down_slowly;
    slow.entered = false;
    struct caller caller;
    call(&caller);
    assert_int_equal(wire_send_line(caller.conn, "shutdown now", 12), ERR_OK);
    os_mutex_lock(&slow.lock);
    while (!slow.entered)
        os_cond_wait(&slow.changed, &slow.lock, UINT32_MAX);
    os_mutex_unlock(&slow.lock);
    endpoint_stop(endpoint);
    endpoint = NULL;
    assert_int_equal(server->stops, 1);
    assert_int_equal(receive(&caller), ERR_OK);
    assert_string_equal(caller.body.data, "stopping now\n");
    assert_closed(&caller);
    hang_up(&caller);
}

/* On Windows the name stays taken as long as one of its connections. */
static void the_path_is_free_while_a_command_still_runs(void **state)
{
    (void)state;
    struct caller caller;
    struct endpoint *second;
    console.shutdown = wait_at_gate;
    gate.running = 0;
    gate.open = false;
    shut_down(&caller);
    wait_until_running(1);
    endpoint_release(endpoint);
    if (!test_on_windows()) {
        assert_int_equal(endpoint_start(&second, path, &console), ERR_OK);
        endpoint_stop(second);
    }
    os_mutex_lock(&gate.lock);
    gate.open = true;
    os_cond_wake_all(&gate.changed);
    os_mutex_unlock(&gate.lock);
    endpoint_stop(endpoint);
    endpoint = NULL;
    hang_up(&caller);
}

static void a_second_endpoint_of_the_name_is_refused(void **state)
{
    (void)state;
    if (test_on_wine())
        skip(); /* it does not enforce the first instance of a pipe */
    struct endpoint *second;
    assert_int_equal(endpoint_start(&second, path, &console), ERR_IN_USE);
}

/* ---- the client's side, against a relay that is none ---- */

static struct local_listener *listener;
static struct local_conn *relay;
static struct caller caller;

static int start_other(void **state)
{
    static unsigned number;
    char name[64];
    (void)state;
    str_format(name, sizeof name, "other-%llu-%u", (unsigned long long)os_process_id(),
               number++);
    if (local_path(name, path) != ERR_OK || local_listen(path, &listener) != ERR_OK)
        return -1;
    call(&caller);
    return local_accept(listener, &relay) == ERR_OK ? 0 : -1;
}

static int stop_other(void **state)
{
    (void)state;
    hang_up(&caller);
    if (relay != NULL)
        local_conn_close(relay);
    local_listener_close(listener);
    return 0;
}

static void other_sends(const char *text)
{
    assert_int_equal(local_write(relay, text, strlen(text)), ERR_OK);
}

static void an_answer_may_come_in_pieces(void **state)
{
    (void)state;
    other_sends("error 1");
    other_sends("0\n01234");
    other_sends("56789ok 0\n");
    assert_int_equal(receive(&caller), ERR_OK);
    assert_int_equal(caller.status, WIRE_ERROR);
    assert_string_equal(caller.body.data, "0123456789");
    assert_int_equal(receive(&caller), ERR_OK);
    assert_int_equal(caller.status, WIRE_OK);
    assert_string_equal(caller.body.data, "");
}

static void what_is_no_answer_is_recognised(void **state)
{
    (void)state;
    static const char *const heads[] = {"\n",
                                        "ok\n",
                                        "ok 12x\n",
                                        "ok -1\n",
                                        "okay 3\n",
                                        "OK 3\n",
                                        " ok 3\n",
                                        "ok 99999999999999999999\n",
                                        "ok 268435457\n",
                                        "HTTP/1.1 400 Bad Request\n"};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        other_sends(heads[i]);
        assert_int_equal(receive(&caller), ERR_INVALID);
    }
    char endless[WIRE_LINE_MAX + 3];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    other_sends(endless);
    assert_int_equal(receive(&caller), ERR_INVALID);
}

static void an_answer_that_is_cut_off_is_an_error(void **state)
{
    (void)state;
    other_sends("ok 10\n01234");
    local_conn_close(relay);
    relay = NULL;
    assert_int_equal(receive(&caller), ERR_CLOSED);
}

static void a_line_that_is_too_long_is_not_sent(void **state)
{
    (void)state;
    char line[WIRE_LINE_MAX + 1];
    memset(line, 'x', sizeof line);
    assert_int_equal(wire_send_line(caller.conn, line, sizeof line), ERR_RANGE);
    assert_int_equal(wire_send_line(caller.conn, "a\nb", 3), ERR_RANGE);
    assert_int_equal(wire_send_line(caller.conn, "last", 4), ERR_OK);
    struct wire_input input = {.len = 0};
    char text[WIRE_LINE_MAX + 1];
    size_t len;
    assert_int_equal(wire_read_line(relay, &input, PATIENCE_MS, text, &len), ERR_OK);
    assert_string_equal(text, "last"); /* nothing of the others came before */
}

static int make_dir(void **state)
{
    static char variable[TEST_PATH_MAX + 32]; /* is part of the environment from here on */
    (void)state;
    os_init();
    if (test_make_dir(dir) != ERR_OK)
        return -1;
    str_format(variable, sizeof variable, "XDG_RUNTIME_DIR=%s", dir);
    return putenv(variable);
}

static int remove_dir(void **state)
{
    char made[TEST_PATH_MAX + 16];
    (void)state;
    str_format(made, sizeof made, "%s/pairport", dir);
    (void)rmdir(made); /* only where endpoints are files */
    test_remove_dir(dir);
    return 0;
}

#define TEST(name)  cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define OTHER(name) cmocka_unit_test_setup_teardown(name, start_other, stop_other)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_command_is_answered_with_its_status_and_text),
        TEST(requests_sent_together_are_answered_in_order),
        TEST(quit_closes_the_connection),
        TEST(bytes_that_are_no_text_are_refused_and_the_connection_goes_on),
        TEST(the_longest_line_is_taken_and_a_longer_one_ends_the_connection),
        TEST(the_width_of_tables_is_one_of_the_connection),
        TEST(from_where_the_operator_comes_holds_for_the_connection),
        TEST(a_long_answer_arrives_whole),
        TEST(the_client_that_was_idle_for_longest_makes_room_for_the_next),
        TEST(silent_clients_lock_nobody_out),
        TEST(a_takeover_and_a_shutdown_are_served_when_all_are_busy),
        TEST(a_client_that_goes_away_in_the_middle_does_no_harm),
        TEST(stopping_closes_the_clients_and_frees_the_path),
        TEST(an_answer_under_way_gets_through_a_stop),
        TEST(the_path_is_free_while_a_command_still_runs),
        TEST(a_second_endpoint_of_the_name_is_refused),
        OTHER(an_answer_may_come_in_pieces),
        OTHER(what_is_no_answer_is_recognised),
        OTHER(an_answer_that_is_cut_off_is_an_error),
        OTHER(a_line_that_is_too_long_is_not_sent),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
