#include "session.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "os/os.h"

sock_t upstream_listen(enum addr_family family, struct addr *addr)
{
    sock_t listener;
    *addr = net_loopback(family, 0);
    assert_int_equal(net_listen(addr, 64, &listener, addr), ERR_OK);
    return listener;
}

void upstream_deaf(struct net_deaf *deaf)
{
    if (test_on_windows() && !test_on_wine()) {
        print_message("not shown: Windows refuses what does not fit a backlog, so no listener "
                      "leaves a connect without an answer\n");
        skip();
    }
    assert_int_equal(net_deaf_open(ADDR_IPV4, deaf), ERR_OK);
}

struct addr local_addr(sock_t sock)
{
    struct addr addr;
    assert_int_equal(net_local_addr(sock, &addr), ERR_OK);
    return addr;
}

sock_t connect_client(const struct addr *relay)
{
    sock_t sock;
    assert_int_equal(net_connect(relay, NET_PATIENCE_MS, &sock), ERR_OK);
    return sock;
}

void expect_refused_client(const struct addr *relay, struct addr *addr)
{
    sock_t sock;
    assert_int_equal(net_connect_begin(relay, &sock), ERR_OK);
    if (addr != NULL)
        *addr = local_addr(sock);
    enum err err = net_connect_finish(sock, NET_PATIENCE_MS);
    if (err == ERR_OK)
        expect_end(sock, NET_END_RESET, 0);
    else
        assert_int_equal(err, ERR_RESET); /* it was that fast */
    net_close(sock);
}

struct session session_open(const struct addr *relay, sock_t upstream)
{
    struct session session = {.client = connect_client(relay)};
    assert_int_equal(net_accept(upstream, NET_PATIENCE_MS, &session.upstream), ERR_OK);
    return session;
}

static unsigned char pattern_at(size_t position)
{
    return (unsigned char)(position * 31 + position / 251);
}

void send_bytes(sock_t sock, size_t len)
{
    unsigned char *bytes = malloc(len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = pattern_at(i);
    assert_int_equal(net_send(sock, bytes, len, NET_PATIENCE_MS, NULL), ERR_OK);
    free(bytes);
}

void expect_bytes(sock_t sock, size_t len)
{
    unsigned char *bytes = malloc(len);
    assert_non_null(bytes);
    assert_int_equal(net_receive_all(sock, bytes, len, NET_PATIENCE_MS), ERR_OK);
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != pattern_at(i))
            fail_msg("byte %u of %u is wrong", (unsigned)i, (unsigned)len);
    free(bytes);
}

void session_check(const struct session *session)
{
    send_bytes(session->client, SESSION_CHECK_BYTES);
    send_bytes(session->upstream, SESSION_CHECK_BYTES);
    expect_bytes(session->upstream, SESSION_CHECK_BYTES);
    expect_bytes(session->client, SESSION_CHECK_BYTES);
}

void expect_end(sock_t sock, enum net_end end, uint64_t bytes)
{
    uint64_t came = UINT64_MAX;
    assert_string_equal(net_end_word(net_receive_end(sock, NET_PATIENCE_MS, &came, NULL)),
                        net_end_word(end));
    assert_int_equal(came, bytes);
}

void session_drop(struct session *session)
{
    net_close(session->client);
    net_close(session->upstream);
    session->client = SOCK_NONE;
    session->upstream = SOCK_NONE;
}

void session_end(struct session *session)
{
    net_finish(session->client);
    expect_end(session->upstream, NET_END_FIN, 0);
    net_finish(session->upstream);
    expect_end(session->client, NET_END_FIN, 0);
    session_drop(session);
}

void session_expect_reset(struct session *session)
{
    expect_end(session->client, NET_END_RESET, 0);
    expect_end(session->upstream, NET_END_RESET, 0);
    session_drop(session);
}

void expect_passed(uint64_t since_ms, uint64_t at_least_ms)
{
    uint64_t passed = os_mono_ms() - since_ms;
    if (passed + TICK_MS < at_least_ms)
        fail_msg("only %" PRIu64 " ms have passed, not %" PRIu64, passed, at_least_ms);
}

void expect_exit(struct relay_run *relay)
{
    int code = -1;
    assert_true(process_wait(relay->process, NET_PATIENCE_MS, &code));
    assert_int_equal(code, 0);
    relay->ended = true;
}

/* ---- relays ---- */

struct two_routes start_two_routes(void **state)
{
    struct two_routes two;
    char text[ADDR_TEXT_MAX], more[256];
    for (unsigned i = 0; i < 2; i++)
        two.listeners[i] = upstream_listen(ADDR_IPV4, &two.upstreams[i]);
    str_format(more, sizeof more,
               "[route other]\nlisten = 127.0.0.1:%%PORT2%%\nupstream = %s\n",
               addr_format(&two.upstreams[1], text));
    const struct relay_setup setup = {
        .upstreams = &two.upstreams[0], .upstream_count = 1, .more = more};
    two.relay = relay_start(state, &setup);
    two.other = net_loopback(ADDR_IPV4, two.relay->port2);
    return two;
}

void end_two_routes(struct two_routes *two)
{
    relay_wait_nothing_left(two->relay);
    relay_end(two->relay);
    net_close(two->listeners[0]);
    net_close(two->listeners[1]);
}

/* ---- what the relay says ---- */

void tell(struct relay_run *relay, const char *command, int code, const char *answer)
{
    char *output, *errors;
    int ended = relay_console(relay, command, &output, &errors);
    if (ended != code || strcmp(code == 0 ? output : errors, answer) != 0 ||
        *(code == 0 ? errors : output) != '\0')
        fail_msg("'%s' ended with %d, output '%s', errors '%s'", command, ended, output,
                 errors);
    free(output);
    free(errors);
}

void expect_log(struct relay_run *relay, const char *format, ...)
{
    struct str text;
    str_init(&text);
    va_list args;
    va_start(args, format);
    str_vaddf(&text, format, args);
    va_end(args);
    if (!relay_wait_log(relay, text.data))
        fail_msg("the log does not say '%s'", text.data);
    str_free(&text);
}

uint64_t count_told(const struct relay_run *relay, const char *line, const char *more)
{
    char summary[256];
    str_format(summary, sizeof summary, " %s: ", more);
    char *log = relay_log(relay);
    uint64_t told = 0;
    for (char *at = strtok(log, "\n"); at != NULL; at = strtok(NULL, "\n")) {
        const char *number = strstr(at, summary);
        if (number != NULL) {
            told += strtoull(number + strlen(summary), NULL, 10);
        } else if (strstr(at, line) != NULL) {
            const char *others = strstr(at, " more since the last such line)");
            told++;
            if (others != NULL) {
                while (others > at && others[-1] != '(')
                    others--;
                told += strtoull(others, NULL, 10);
            }
        }
    }
    free(log);
    return told;
}

const char *json_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}

void expect_addr(const json_t *object, const char *name, const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];
    assert_string_equal(json_text(object, name), addr_format(addr, text));
}

const json_t *find_session(const json_t *sessions, sock_t client)
{
    char text[ADDR_TEXT_MAX];
    struct addr addr = local_addr(client);
    addr_format(&addr, text);
    const json_t *array = json_object_get(sessions, "sessions");
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *session = json_array_get(array, i);
        if (strcmp(json_text(session, "client_addr"), text) == 0)
            return session;
    }
    fail_msg("no session of client %s", text);
    return NULL;
}
