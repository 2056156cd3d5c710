/* test_os_local.c - the local endpoint: what both systems promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/local.h"
#include "os/os.h"
#include "support/platform.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { PATIENCE_MS = 60000 };

static char dir[TEST_PATH_MAX];         /* of the sockets, where they are files */
static char endpoint[LOCAL_NAME_MAX];   /* of the running test */
static struct local_listener *listener; /* open in every test that uses start_listener() */

static struct local_conn *connect_client(void)
{
    struct local_conn *conn;
    assert_int_equal(local_connect(endpoint, &conn), ERR_OK);
    return conn;
}

static struct local_conn *accept_client(void)
{
    struct local_conn *conn;
    assert_int_equal(local_accept(listener, &conn), ERR_OK);
    return conn;
}

static void send_text(struct local_conn *conn, const char *text)
{
    assert_int_equal(local_write(conn, text, strlen(text)), ERR_OK);
}

static void assert_receives(struct local_conn *conn, const char *expected)
{
    char text[64];
    size_t len = 0;
    while (len < strlen(expected)) {
        size_t got = 0;
        assert_int_equal(local_read(conn, text + len, sizeof text - 1 - len, PATIENCE_MS, &got),
                         ERR_OK);
        assert_true(got > 0);
        len += got;
    }
    text[len] = '\0';
    assert_string_equal(text, expected);
}

static void assert_ended(struct local_conn *conn)
{
    char byte;
    size_t got;
    assert_int_equal(local_read(conn, &byte, 1, PATIENCE_MS, &got), ERR_CLOSED);
}

/* ---- names ---- */

static void a_name_has_a_place_of_its_own_and_a_path_stays_as_it_is(void **state)
{
    (void)state;
    char one[LOCAL_NAME_MAX];
    char two[LOCAL_NAME_MAX];
    assert_int_equal(local_path("lobby", one), ERR_OK);
    assert_int_equal(local_path("world", two), ERR_OK);
    assert_string_not_equal(one, two);
    assert_non_null(strstr(one, "lobby"));
    assert_non_null(strstr(one, "pairport"));
    assert_int_equal(local_path("/some/where", one), ERR_OK);
    assert_string_equal(one, "/some/where");
    assert_int_equal(local_path("\\\\.\\pipe\\mine", one), ERR_OK);
    assert_string_equal(one, "\\\\.\\pipe\\mine");
}

static void a_name_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    char name[2 * LOCAL_NAME_MAX];
    char path[LOCAL_NAME_MAX] = "untouched";
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(local_path(name, path), ERR_RANGE);
    name[0] = '/';
    assert_int_equal(local_path(name, path), ERR_RANGE);
    assert_int_equal(local_path("", path), ERR_INVALID);
    assert_string_equal(path, "untouched");
}

/* ---- listening ---- */

static void nobody_listening_is_not_found(void **state)
{
    (void)state;
    local_listener_close(listener);
    listener = NULL;
    struct local_conn *conn;
    assert_int_equal(local_connect(endpoint, &conn), ERR_NOT_FOUND);
}

static void a_living_owner_keeps_its_endpoint(void **state)
{
    (void)state;
    struct local_listener *second;
    assert_int_equal(local_listen(endpoint, &second), ERR_IN_USE);

    /* It is not disturbed by the attempt. */
    struct local_conn *client = connect_client();
    send_text(client, "still there?");
    for (;;) {
        struct local_conn *server = accept_client();
        char text[32];
        size_t got = 0;
        enum err err = local_read(server, text, sizeof text, PATIENCE_MS, &got);
        local_conn_close(server);
        if (err == ERR_OK) {
            assert_int_equal(got, strlen("still there?"));
            break;
        }
        assert_int_equal(err, ERR_CLOSED); /* the attempt looked whether someone answers */
    }
    local_conn_close(client);
}

static void a_closed_endpoint_can_be_opened_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        local_listener_close(listener);
        listener = NULL;
        assert_int_equal(local_listen(endpoint, &listener), ERR_OK);
        local_conn_close(connect_client());
    }
}

static void accept_until_stopped(void *arg)
{
    enum err *err = arg;
    struct local_conn *conn;
    *err = local_accept(listener, &conn);
}

static void stopping_wakes_accept_and_every_later_one(void **state)
{
    (void)state;
    enum err err = ERR_OK;
    struct os_thread *thread;
    assert_int_equal(os_thread_start(&thread, "accept", accept_until_stopped, &err), ERR_OK);
    os_sleep_ms(10); /* so that it waits, as a rule; stopping before is right as well */
    local_listener_stop(listener);
    os_thread_join(thread);
    assert_int_equal(err, ERR_CANCELLED);
    struct local_conn *conn;
    assert_int_equal(local_accept(listener, &conn), ERR_CANCELLED);
}

/* ---- connections ---- */

static void bytes_go_both_ways(void **state)
{
    (void)state;
    struct local_conn *client = connect_client();
    struct local_conn *server = accept_client();
    send_text(client, "show info\n");
    assert_receives(server, "show info\n");
    send_text(server, "workers 2\n");
    send_text(server, "sessions 0\n");
    assert_receives(client, "workers 2\nsessions 0\n");
    local_conn_close(client);
    local_conn_close(server);
}

static void a_read_gives_what_is_there(void **state)
{
    (void)state;
    struct local_conn *client = connect_client();
    struct local_conn *server = accept_client();
    char text[8] = "";
    size_t got = 0;
    send_text(client, "abc");
    assert_int_equal(local_read(server, text, 2, PATIENCE_MS, &got), ERR_OK);
    assert_int_equal(got, 2);
    assert_memory_equal(text, "ab", 2);
    assert_int_equal(local_read(server, text, sizeof text, PATIENCE_MS, &got), ERR_OK);
    assert_int_equal(got, 1);
    assert_memory_equal(text, "c", 1);
    local_conn_close(client);
    local_conn_close(server);
}

static void a_read_of_nothing_ends_with_its_time_and_loses_nothing(void **state)
{
    (void)state;
    struct local_conn *client = connect_client();
    struct local_conn *server = accept_client();
    char byte;
    size_t got = 99;
    assert_int_equal(local_read(server, &byte, 1, 5, &got), ERR_TIMEDOUT);
    assert_int_equal(local_read(server, &byte, 1, 0, &got), ERR_TIMEDOUT);
    assert_int_equal(got, 99);
    send_text(client, "late");
    assert_receives(server, "late");
    local_conn_close(client);
    local_conn_close(server);
}

static void what_was_written_before_the_end_is_still_read(void **state)
{
    (void)state;
    struct local_conn *client = connect_client();
    struct local_conn *server = accept_client();
    send_text(server, "bye");
    local_conn_close(server);
    assert_receives(client, "bye");
    assert_ended(client);
    assert_ended(client);
    local_conn_close(client);

    client = connect_client();
    send_text(client, "hello and bye");
    local_conn_close(client);
    server = accept_client();
    assert_receives(server, "hello and bye");
    assert_ended(server);
    local_conn_close(server);
}

static void writing_to_one_who_is_gone_says_closed(void **state)
{
    (void)state;
    struct local_conn *client = connect_client();
    struct local_conn *server = accept_client();
    local_conn_close(server);
    char block[4096];
    memset(block, 'x', sizeof block);
    enum err err = ERR_OK;
    for (int i = 0; i < 1000 && err == ERR_OK; i++)
        err = local_write(client, block, sizeof block);
    assert_int_equal(err, ERR_CLOSED);
    local_conn_close(client);
}

/* Takes `clients` clients one after another and gives each back its first text. */
static void serve_echo(void *arg)
{
    const size_t *clients = arg;
    for (size_t i = 0; i < *clients; i++) {
        struct local_conn *conn;
        if (local_accept(listener, &conn) != ERR_OK)
            return;
        char text[32];
        size_t got = 0;
        if (local_read(conn, text, sizeof text, PATIENCE_MS, &got) == ERR_OK)
            (void)local_write(conn, text, got);
        local_conn_close(conn);
    }
}

static void one_who_comes_and_goes_does_not_disturb_the_next(void **state)
{
    (void)state;
    size_t count = 2;
    struct os_thread *thread;
    assert_int_equal(os_thread_start(&thread, "echo", serve_echo, &count), ERR_OK);
    local_conn_close(connect_client());
    struct local_conn *client = connect_client();
    send_text(client, "next");
    assert_receives(client, "next");
    assert_ended(client);
    local_conn_close(client);
    os_thread_join(thread);
}

static void many_clients_are_served_while_others_wait(void **state)
{
    (void)state;
    struct local_conn *clients[6];
    size_t count = COUNT(clients);
    struct os_thread *thread;
    assert_int_equal(os_thread_start(&thread, "echo", serve_echo, &count), ERR_OK);
    for (size_t i = 0; i < COUNT(clients); i++) {
        char text[16];
        clients[i] = connect_client();
        str_format(text, sizeof text, "client %d", (int)i);
        send_text(clients[i], text);
    }
    for (size_t i = COUNT(clients); i-- > 0;) {
        char text[16];
        str_format(text, sizeof text, "client %d", (int)i);
        assert_receives(clients[i], text);
        local_conn_close(clients[i]);
    }
    os_thread_join(thread);
}

static void read_until_stopped(void *arg)
{
    struct local_conn *conn = arg;
    char byte;
    size_t got;
    if (local_read(conn, &byte, 1, UINT32_MAX, &got) != ERR_CANCELLED)
        abort();
}

static void stopping_wakes_a_reader_and_every_later_one(void **state)
{
    (void)state;
    struct local_conn *client = connect_client();
    struct local_conn *server = accept_client();
    struct os_thread *thread;
    assert_int_equal(os_thread_start(&thread, "read", read_until_stopped, server), ERR_OK);
    os_sleep_ms(10); /* so that it waits, as a rule; stopping before is right as well */
    local_conn_stop(server);
    os_thread_join(thread);
    read_until_stopped(server);
    send_text(client, "too late");
    read_until_stopped(server);
    assert_int_equal(local_write(server, "too late", 8), ERR_CANCELLED);
    local_conn_close(client);
    local_conn_close(server);
}

/* ---- much data ---- */

enum { MUCH = 1 << 20 };

static void write_much(void *arg)
{
    struct local_conn *conn = arg;
    unsigned char *bytes = malloc(MUCH);
    if (bytes == NULL)
        abort();
    for (size_t i = 0; i < MUCH; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251);
    if (local_write(conn, bytes, MUCH) != ERR_OK)
        abort();
    free(bytes);
}

static void a_large_answer_arrives_whole(void **state)
{
    (void)state;
    struct local_conn *client = connect_client();
    struct local_conn *server = accept_client();
    struct os_thread *thread;
    assert_int_equal(os_thread_start(&thread, "write", write_much, server), ERR_OK);
    unsigned char buf[10007];
    size_t at = 0;
    while (at < MUCH) {
        size_t got = 0;
        assert_int_equal(local_read(client, buf, sizeof buf, PATIENCE_MS, &got), ERR_OK);
        for (size_t i = 0; i < got; i++, at++) {
            if (buf[i] != (unsigned char)(at * 7 + at / 251))
                fail_msg("byte %d is wrong", (int)at);
        }
    }
    os_thread_join(thread);
    local_conn_close(client);
    local_conn_close(server);
}

struct stalled {
    struct local_conn *conn;
    enum err err;
};

static void write_until_stopped(void *arg)
{
    struct stalled *stalled = arg;
    static const char block[65536];
    while (stalled->err == ERR_OK)
        stalled->err = local_write(stalled->conn, block, sizeof block);
}

static void stopping_wakes_a_writer_whose_reader_takes_nothing(void **state)
{
    (void)state;
    struct local_conn *client = connect_client();
    struct stalled stalled = {.conn = accept_client()};
    struct os_thread *thread;
    assert_int_equal(os_thread_start(&thread, "write", write_until_stopped, &stalled), ERR_OK);
    os_sleep_ms(50); /* fills the buffers; stopping before is right as well */
    local_conn_stop(stalled.conn);
    os_thread_join(thread);
    assert_int_equal(stalled.err, ERR_CANCELLED);
    local_conn_close(client);
    local_conn_close(stalled.conn);
}

/* ---- who is there ---- */

static void both_ends_learn_from_the_system_who_the_other_is(void **state)
{
    (void)state;
    struct local_conn *client = connect_client();
    struct local_conn *server = accept_client();
    struct local_peer peer = {.pid = 0};
    send_text(client, "x");
    assert_receives(server, "x");
    assert_int_equal(local_peer(server, &peer), ERR_OK);
    assert_int_equal(peer.pid, os_process_id());
    assert_true(peer.same_user);
    assert_true(peer.user[0] != '\0');
    peer = (struct local_peer){.pid = 0};
    assert_int_equal(local_peer(client, &peer), ERR_OK);
    assert_int_equal(peer.pid, os_process_id());
    assert_true(peer.same_user);
    local_conn_close(client);
    local_conn_close(server);
}

static void look_for_endpoint(void *ctx, const char *path, const struct local_peer *peer)
{
    size_t *found = ctx;
    if (strcmp(path, endpoint) == 0 && peer->pid == os_process_id())
        ++*found;
}

static void all_that_are_served_are_listed_each_once(void **state)
{
    (void)state;
    size_t found = 0;
    if (test_on_wine())
        skip(); /* it has no list of pipes */
    local_each(look_for_endpoint, &found);
    assert_int_equal(found, 1);
}

static void closed_connections_leave_no_descriptor(void **state)
{
    (void)state;
    uint64_t before = os_descriptor_count();
    for (int i = 0; i < 20; i++) {
        struct local_conn *client = connect_client();
        struct local_conn *server = accept_client();
        local_conn_close(client);
        local_conn_close(server);
    }
    assert_int_equal(os_descriptor_count(), before);
}

static int start_listener(void **state)
{
    static unsigned number;
    char name[64];
    (void)state;
    str_format(name, sizeof name, "test-%llu-%u", (unsigned long long)os_process_id(),
               number++);
    return local_path(name, endpoint) == ERR_OK && local_listen(endpoint, &listener) == ERR_OK
               ? 0
               : -1;
}

static int close_listener(void **state)
{
    (void)state;
    if (listener != NULL)
        local_listener_close(listener);
    listener = NULL;
    return 0;
}

static int make_dir(void **state)
{
    static char variable[TEST_PATH_MAX + 32]; /* is part of the environment from here on */
    (void)state;
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

#define with_listener(test)                                                                    \
    cmocka_unit_test_setup_teardown(test, start_listener, close_listener)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_has_a_place_of_its_own_and_a_path_stays_as_it_is),
        cmocka_unit_test(a_name_that_does_not_fit_is_refused),
        with_listener(nobody_listening_is_not_found),
        with_listener(a_living_owner_keeps_its_endpoint),
        with_listener(a_closed_endpoint_can_be_opened_again),
        with_listener(stopping_wakes_accept_and_every_later_one),
        with_listener(bytes_go_both_ways),
        with_listener(a_read_gives_what_is_there),
        with_listener(a_read_of_nothing_ends_with_its_time_and_loses_nothing),
        with_listener(what_was_written_before_the_end_is_still_read),
        with_listener(writing_to_one_who_is_gone_says_closed),
        with_listener(both_ends_learn_from_the_system_who_the_other_is),
        with_listener(all_that_are_served_are_listed_each_once),
        with_listener(one_who_comes_and_goes_does_not_disturb_the_next),
        with_listener(many_clients_are_served_while_others_wait),
        with_listener(stopping_wakes_a_reader_and_every_later_one),
        with_listener(a_large_answer_arrives_whole),
        with_listener(stopping_wakes_a_writer_whose_reader_takes_nothing),
        with_listener(closed_connections_leave_no_descriptor),
    };
    os_init();
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
