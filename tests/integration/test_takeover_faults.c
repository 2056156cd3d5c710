/* A new relay and an old one that dies, hangs or talks nonsense at some step of the takeover: the
 * test plays the old one, whose sockets it really has. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/local.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

/* The old relay. */
static struct old {
    struct addr at; /* where it listens */
    sock_t listener;
    struct local_listener *endpoint;
    struct local_conn *conn; /* of the new one */
    uint64_t new_pid;
    uint64_t pid; /* ours, as the system tells it: what is said is not asked for */
    sock_t upstream;
} old;

static struct relay_run *start(void **state)
{
    struct relay_run *relay = calloc(1, sizeof *relay);
    char text[512], name[40], path[LOCAL_NAME_MAX], listen[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];
    struct addr upstream;
    assert_non_null(relay);
    *state = relay;
    assert_int_equal(test_make_dir(relay->dir), ERR_OK);
    relay_path(relay, "relay.ini", relay->config);
    memset(&old, 0, sizeof old);
    old.pid = os_process_id();
    old.upstream = upstream_listen(ADDR_IPV4, &upstream);
    old.at = net_loopback(ADDR_IPV4, net_free_port());
    assert_int_equal(sock_listen(&old.at, false, 16, &old.listener), ERR_OK);
    str_format(name, sizeof name, "test-%016" PRIx64, os_random());
    assert_int_equal(local_path(name, path), ERR_OK);
    assert_int_equal(local_listen(path, &old.endpoint), ERR_OK);
    str_format(text, sizeof text,
               "[console]\nname = %s\n[route test]\nlisten = %s\nupstream = %s\n", name,
               addr_format(&old.at, listen), addr_format(&upstream, to));
    assert_int_equal(test_write_file(relay->config, text), ERR_OK);

    const char *args[] = {"run", "-c", relay->config, "--takeover", NULL};
    relay->process = start_pairport(relay->dir, "relay", args, false);
    relay->addr = old.at;
    assert_int_equal(local_accept(old.endpoint, &old.conn), ERR_OK);
    return relay;
}

static void finish(void)
{
    net_close(old.upstream);
    if (old.listener != SOCK_NONE)
        sock_close(old.listener, SOCK_CLOSE_NORMAL);
    if (old.conn != NULL)
        local_conn_close(old.conn);
    if (old.endpoint != NULL)
        local_listener_close(old.endpoint);
}

/* ---- what the old one does ---- */

/* False: the other end has gone without a word. */
static bool read_line(char line[256])
{
    size_t len = 0;
    while (len == 0 || line[len - 1] != '\n') {
        size_t got;
        assert_in_range(len, 0, 254);
        enum err err = local_read(old.conn, line + len, 1, NET_PATIENCE_MS, &got);
        if (err == ERR_CLOSED && len == 0)
            return false;
        assert_int_equal(err, ERR_OK);
        len += got;
    }
    line[len] = '\0';
    return true;
}

/* Takes a line that begins like this. */
static void hear(const char *want, char line[256])
{
    assert_true(read_line(line));
    assert_int_equal(strncmp(line, want, strlen(want)), 0);
}

/* Other programs of this user may look who is there. */
static void hear_request(void)
{
    static const char request[] = "takeover 2 ";
    char line[256];
    while (!read_line(line)) {
        local_conn_close(old.conn);
        assert_int_equal(local_accept(old.endpoint, &old.conn), ERR_OK);
    }
    assert_int_equal(strncmp(line, request, strlen(request)), 0);
    old.new_pid = strtoull(line + strlen(request), NULL, 10);
}

static void say(const char *status, const char *body)
{
    char text[512];
    size_t len = str_format(text, sizeof text, "%s %zu\n%s", status, strlen(body), body);
    assert_int_equal(local_write(old.conn, text, len), ERR_OK);
}

static void offer(unsigned count)
{
    char body[256], text[ADDR_TEXT_MAX];
    size_t len =
        str_format(body, sizeof body,
                   "pairport 9.9 pid 1 next 501 sockets %u\nconfig /etc/old.ini\n", count);
    for (unsigned i = 0; i < count; i++)
        len += str_format(body + len, sizeof body - len, "%s single\n",
                          addr_format(&old.at, text));
    say("ok", body);
}

static void give(void)
{
    char line[256];
    hear_request();
    offer(1);
    hear("sockets 0 1\n", line);
    assert_int_equal(local_send_sockets(old.conn, &old.listener, 1, old.new_pid), ERR_OK);
    hear("go\n", line);
}

static void let_go(void)
{
    char line[256];
    give();
    say("ok", "next 601\n");
    hear("serving\n", line);
}

static void die(void)
{
    local_conn_close(old.conn);
    old.conn = NULL;
    local_listener_close(old.endpoint);
    old.endpoint = NULL;
    sock_close(old.listener, SOCK_CLOSE_NORMAL);
    old.listener = SOCK_NONE;
}

/* ---- what becomes of the new one ---- */

static void expect_gives_up(struct relay_run *relay, const char *why)
{
    int code = -1;
    expect_log(relay, "%s", why);
    assert_true(process_wait(relay->process, NET_PATIENCE_MS, &code));
    assert_int_equal(code, 1);
    relay->ended = true;
}

static void expect_serves(struct relay_run *relay)
{
    expect_log(relay, "reaches this relay at");
    expect_log(relay, "took 1 of 1 listening sockets over from pairport 9.9, pid %" PRIu64,
               old.pid);
    struct session session = session_open(&relay->addr, old.upstream);
    session_check(&session);
    session_end(&session);
    relay_end(relay);
}

static void expect_starts_by_itself(struct relay_run *relay)
{
    expect_log(relay, "; it has ended, and this one starts as usual");
    expect_log(relay, "reaches this relay at");
    struct session session = session_open(&relay->addr, old.upstream);
    session_check(&session);
    session_end(&session);
    relay_end(relay);
}

/* The number that the session has which begins now. */
static uint64_t next_number(struct relay_run *relay)
{
    struct session session = session_open(&relay->addr, old.upstream);
    json_t *sessions = relay_json(relay, "show sessions");
    uint64_t id = json_number_at(find_session(sessions, session.client), "id", 0);
    json_decref(sessions);
    session_end(&session);
    return id;
}

/* ---- without the old one the new one starts by itself ---- */

static void an_old_relay_that_dies_before_it_answers_is_done_without(void **state)
{
    struct relay_run *relay = start(state);
    hear_request();
    die();
    expect_starts_by_itself(relay);
    finish();
}

static void an_old_relay_that_dies_with_its_sockets_is_done_without(void **state)
{
    char line[256];
    struct relay_run *relay = start(state);
    hear_request();
    offer(1);
    hear("sockets 0 1\n", line);
    die();
    expect_starts_by_itself(relay);
    finish();
}

/* ---- before go the new one gives up ---- */

static void an_old_relay_that_hangs_is_an_error_in_the_end(void **state)
{
    struct relay_run *relay = start(state);
    hear_request(); /* and no more */
    expect_gives_up(relay, "takeover: the relay that runs cannot be asked: ");
    finish();
}

/* It lives, but does not want to talk. */
static void an_old_relay_that_hangs_up_is_an_error(void **state)
{
    struct relay_run *relay = start(state);
    hear_request();
    local_conn_close(old.conn);
    old.conn = NULL;
    expect_gives_up(relay, "takeover: the relay that runs cannot be asked: ");
    finish();
}

static void bytes_in_the_place_of_sockets_are_an_error(void **state)
{
    char line[256], bytes[2000];
    struct relay_run *relay = start(state);
    hear_request();
    offer(1);
    hear("sockets 0 1\n", line);
    memset(bytes, 's', sizeof bytes);
    assert_int_equal(local_write(old.conn, bytes, sizeof bytes), ERR_OK);
    expect_gives_up(relay, "did not come: ");
    finish();
}

/* A socket under the right name that is not the right one. */
static void expect_wrong_socket_is_refused(void **state, sock_t sock)
{
    char line[256], text[ADDR_TEXT_MAX], why[128];
    struct relay_run *relay = start(state);
    hear_request();
    offer(1);
    hear("sockets 0 1\n", line);
    assert_int_equal(local_send_sockets(old.conn, &sock, 1, old.new_pid), ERR_OK);
    str_format(why, sizeof why, "passed a socket that does not listen on %s, as it had said",
               addr_format(&old.at, text));
    expect_gives_up(relay, why);
    sock_close(sock, SOCK_CLOSE_NORMAL);
    finish();
}

static void a_socket_that_listens_elsewhere_is_refused(void **state)
{
    struct addr other = net_loopback(ADDR_IPV4, net_free_port());
    sock_t sock;
    assert_int_equal(sock_listen(&other, false, 16, &sock), ERR_OK);
    expect_wrong_socket_is_refused(state, sock);
}

static void a_socket_that_does_not_listen_is_refused(void **state)
{
    struct addr any = net_loopback(ADDR_IPV4, 0);
    sock_t sock;
    assert_int_equal(sock_open(ADDR_IPV4, &sock), ERR_OK);
    assert_int_equal(sock_bind(sock, &any), ERR_OK);
    expect_wrong_socket_is_refused(state, sock);
}

static void an_answer_that_is_none_is_an_error(void **state)
{
    struct relay_run *relay = start(state);
    hear_request();
    say("ok", "pairport 9.9 pid 1 next 1 sockets 2\nconfig \n127.0.0.1:1 single\n");
    expect_gives_up(relay, "takeover: the relay that runs cannot be asked: ");
    finish();
}

/* An older pairport does not know the word. */
static void a_refusal_is_passed_on(void **state)
{
    struct relay_run *relay = start(state);
    hear_request();
    say("error", "unknown command 'takeover'\n");
    expect_gives_up(relay, "takeover: the relay that runs says: unknown command 'takeover'");
    finish();
}

/* The default name is one for all. */
static void a_relay_with_other_addresses_is_another_one(void **state)
{
    char line[256], why[160];
    struct addr at;
    struct relay_run *relay = start(state);
    hear_request();
    sock_close(old.listener, SOCK_CLOSE_NORMAL);
    at = old.at = net_loopback(ADDR_IPV4, net_free_port());
    assert_int_equal(sock_listen(&at, false, 16, &old.listener), ERR_OK);
    offer(1);
    hear("sockets 0 1\n", line);
    assert_int_equal(local_send_sockets(old.conn, &old.listener, 1, old.new_pid), ERR_OK);
    str_format(why, sizeof why,
               "(pid %" PRIu64 ", configuration /etc/old.ini) listens on no address of this "
               "configuration",
               old.pid);
    expect_gives_up(relay, why);
    finish();
}

static void another_who_was_faster_is_an_error(void **state)
{
    struct relay_run *relay = start(state);
    give();
    say("error", "another pairport has taken over already\n");
    expect_gives_up(relay, "says: another pairport has taken over already");
    finish();
}

/* It has accepted by then, but the old one did not wait. */
static void who_serves_too_late_ends(void **state)
{
    struct relay_run *relay = start(state);
    let_go();
    say("error", "it took too long; begin anew\n");
    expect_log(relay, "goes on as before");
    expect_gives_up(relay, "says: it took too long; begin anew");
    finish();
}

/* ---- from go on the door is the new one's ---- */

static void an_old_relay_that_lets_go_is_followed(void **state)
{
    struct relay_run *relay = start(state);
    let_go();
    say("ok", "");
    local_conn_close(old.conn); /* on Windows it has the name, too */
    old.conn = NULL;
    local_listener_close(old.endpoint);
    old.endpoint = NULL;
    expect_log(relay, "reaches this relay at");
    assert_int_equal(next_number(relay), 601);
    expect_serves(relay);
    finish();
}

static void an_old_relay_that_dies_at_go_is_replaced(void **state)
{
    struct relay_run *relay = start(state);
    give();
    die();
    expect_log(relay, " is gone without an answer");
    expect_serves(relay);
    finish();
}

static void an_old_relay_that_dies_at_the_end_is_replaced(void **state)
{
    struct relay_run *relay = start(state);
    let_go();
    die();
    expect_log(relay, " is gone without an answer");
    expect_serves(relay);
    finish();
}

/* One that was stopped finds all there is to know when it goes on. */
static void an_old_relay_that_hangs_at_go_is_replaced(void **state)
{
    char line[256];
    struct relay_run *relay = start(state);
    give();
    expect_log(relay, " does not answer");
    hear("serving\n", line);
    die(); /* at last */
    expect_log(relay, "reaches this relay at");
    assert_int_equal(next_number(relay), 501); /* as was offered */
    expect_serves(relay);
    finish();
}

static void an_old_relay_that_keeps_its_name_is_replaced(void **state)
{
    struct relay_run *relay = start(state);
    let_go();
    say("ok", "");
    expect_log(relay, "took 1 of 1 listening sockets over");
    expect_log(relay, "is in use by another relay"); /* of the console, after some patience */
    struct session session = session_open(&relay->addr, old.upstream);
    session_check(&session);
    session_end(&session);
    relay_end(relay);
    finish();
}

#define TEST(name) cmocka_unit_test_teardown(name, relay_teardown)

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        TEST(an_old_relay_that_dies_before_it_answers_is_done_without),
        TEST(an_old_relay_that_dies_with_its_sockets_is_done_without),
        TEST(an_old_relay_that_hangs_is_an_error_in_the_end),
        TEST(an_old_relay_that_hangs_up_is_an_error),
        TEST(bytes_in_the_place_of_sockets_are_an_error),
        TEST(a_socket_that_listens_elsewhere_is_refused),
        TEST(a_socket_that_does_not_listen_is_refused),
        TEST(an_answer_that_is_none_is_an_error),
        TEST(a_refusal_is_passed_on),
        TEST(a_relay_with_other_addresses_is_another_one),
        TEST(another_who_was_faster_is_an_error),
        TEST(who_serves_too_late_ends),
        TEST(an_old_relay_that_lets_go_is_followed),
        TEST(an_old_relay_that_dies_at_go_is_replaced),
        TEST(an_old_relay_that_dies_at_the_end_is_replaced),
        TEST(an_old_relay_that_hangs_at_go_is_replaced),
        TEST(an_old_relay_that_keeps_its_name_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
