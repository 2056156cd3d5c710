/* The load generator itself: it finds every kind of fault that it is there to find, and none
 * where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "load_run.h"
#include "os/os.h"
#include "relay_run.h"
#include "support/net.h"
#include "support/random.h"

#define MESSAGE 1000 /* bytes */

/* ---- a server that misbehaves ---- */

enum fault {
    FLIP_A_BIT,     /* in the last byte of the echo */
    SKIP_A_BYTE,    /* the first one */
    DOUBLE_THE_END, /* a byte too much */
    FIN_HALFWAY,
    RESET_HALFWAY,
    ANSWER_NOTHING,
    SWAP_STREAMS, /* two connections get each other's bytes */
    TURN_AWAY,    /* by a reset, by FIN, and so on */
};

struct liar {
    enum fault fault;
    sock_t listener;
    struct addr addr;
    struct os_thread *thread;
    enum err err;       /* why it could not even misbehave */
    unsigned turns;     /* TURN_AWAY: so many connections */
    struct addr client; /* where the last of these came from */
};

static enum err take_message(struct liar *liar, sock_t *sock, unsigned char *message)
{
    enum err err = net_accept(liar->listener, NET_PATIENCE_MS, sock);
    return err == ERR_OK ? net_receive_all(*sock, message, MESSAGE, NET_PATIENCE_MS) : err;
}

/* Until the generator has had enough. */
static void wait_for_end(sock_t sock)
{
    net_receive_end(sock, NET_PATIENCE_MS, NULL, NULL);
    net_close(sock);
}

static void swap_streams(struct liar *liar)
{
    unsigned char messages[2][MESSAGE];
    sock_t socks[2];
    for (unsigned i = 0; i < 2 && liar->err == ERR_OK; i++)
        liar->err = take_message(liar, &socks[i], messages[i]);
    if (liar->err != ERR_OK)
        return;
    for (unsigned i = 0; i < 2; i++)
        net_send(socks[i], messages[1 - i], MESSAGE, NET_PATIENCE_MS, NULL);
    for (unsigned i = 0; i < 2; i++)
        wait_for_end(socks[i]);
}

static void turn_away(struct liar *liar)
{
    sock_t sock;
    for (unsigned i = 0; i < liar->turns && liar->err == ERR_OK; i++) {
        liar->err = net_accept(liar->listener, NET_PATIENCE_MS, &sock);
        if (liar->err != ERR_OK)
            return;
        liar->err = sock_peer_addr(sock, &liar->client);
        if (i % 2 == 0)
            net_reset(sock);
        else
            net_close(sock);
    }
}

static void lie(void *arg)
{
    struct liar *liar = arg;
    unsigned char message[MESSAGE + 1];
    sock_t sock;
    if (liar->fault == SWAP_STREAMS) {
        swap_streams(liar);
        return;
    }
    if (liar->fault == TURN_AWAY) {
        turn_away(liar);
        return;
    }
    liar->err = take_message(liar, &sock, message);
    if (liar->err != ERR_OK)
        return;
    switch (liar->fault) {
    case FLIP_A_BIT:
        message[MESSAGE - 1] ^= 1;
        net_send(sock, message, MESSAGE, NET_PATIENCE_MS, NULL);
        break;
    case SKIP_A_BYTE: net_send(sock, message + 1, MESSAGE - 1, NET_PATIENCE_MS, NULL); break;
    case DOUBLE_THE_END:
        message[MESSAGE] = message[MESSAGE - 1];
        net_send(sock, message, MESSAGE + 1, NET_PATIENCE_MS, NULL);
        break;
    case FIN_HALFWAY:
        net_send(sock, message, MESSAGE / 2, NET_PATIENCE_MS, NULL);
        net_finish(sock);
        break;
    case RESET_HALFWAY:
        net_send(sock, message, MESSAGE / 2, NET_PATIENCE_MS, NULL);
        net_reset(sock);
        return;
    case ANSWER_NOTHING:
    case SWAP_STREAMS:
    case TURN_AWAY: break;
    }
    wait_for_end(sock);
}

static json_t *report_of(const char *words, int *code, char **errors)
{
    char dir[TEST_PATH_MAX];
    char copy[256];
    char *output;
    const char *args[RELAY_WORDS_MAX];
    size_t count = 0;
    str_format(copy, sizeof copy, "%s", words);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        args[count++] = word;
    args[count] = NULL;
    assert_int_equal(test_make_dir(dir), ERR_OK);
    *code = run_pairload(dir, args, &output, errors);
    json_t *report = json_loads(output, 0, NULL);
    free(output);
    test_remove_dir(dir);
    return report;
}

/* Runs one message against the liar; the fault is found as `kind`, once or for each of several
 * connections. */
static void assert_found(enum fault fault, const char *kind, unsigned connections)
{
    struct liar liar = {.fault = fault, .addr = net_loopback(ADDR_IPV4, 0)};
    assert_int_equal(net_listen(&liar.addr, 8, &liar.listener, &liar.addr), ERR_OK);
    assert_int_equal(os_thread_start(&liar.thread, "liar", lie, &liar), ERR_OK);

    char words[256], text[ADDR_TEXT_MAX];
    str_format(words, sizeof words,
               "pingpong %s --connections %u --count %u --size %u --timeout %s --json",
               addr_format(&liar.addr, text), connections, connections, (unsigned)MESSAGE,
               fault == ANSWER_NOTHING ? "300ms" : "60");
    int code;
    char *errors;
    json_t *report = report_of(words, &code, &errors);
    assert_non_null(report);
    assert_int_equal(code, 1);
    assert_int_equal(json_number_at(report, "errors_total", 0), connections);
    char member[64];
    str_format(member, sizeof member, "errors.%s", kind);
    assert_int_equal(json_number_at(report, member, 0), connections);
    json_decref(report);
    free(errors);
    os_thread_join(liar.thread);
    assert_int_equal(liar.err, ERR_OK);
    net_close(liar.listener);
}

static void wrong_bytes_are_found(void **state)
{
    (void)state;
    assert_found(FLIP_A_BIT, "wrong_bytes", 1);
    assert_found(SKIP_A_BYTE, "wrong_bytes", 1);
    assert_found(DOUBLE_THE_END, "wrong_bytes", 1);
}

static void streams_that_were_swapped_are_found(void **state)
{
    (void)state;
    assert_found(SWAP_STREAMS, "wrong_bytes", 2);
}

static void ends_that_come_too_early_are_found(void **state)
{
    (void)state;
    assert_found(FIN_HALFWAY, "early_fin", 1);
    assert_found(RESET_HALFWAY, "receive_reset", 1);
}

static void a_silent_server_is_found(void **state)
{
    (void)state;
    assert_found(ANSWER_NOTHING, "stalled", 1);
}

static void a_refused_connection_is_found(void **state)
{
    (void)state;
    char words[128], text[ADDR_TEXT_MAX];
    struct addr nobody = net_loopback(ADDR_IPV4, net_free_port());
    str_format(words, sizeof words, "connect %s --count 3 --json", addr_format(&nobody, text));
    int code;
    char *errors;
    json_t *report = report_of(words, &code, &errors);
    assert_int_equal(code, 1);
    assert_int_equal(json_number_at(report, "errors.connect_refused", 0), 3);
    json_decref(report);
    free(errors);
}

static void an_honest_server_is_found_right_in_every_mode(void **state)
{
    (void)state;
    struct echo_run echo;
    echo_run_start(&echo);
    json_t *report = load_run(&echo.addr, "pingpong", "--count", 1000, 10);
    assert_int_equal(json_number_at(report, "messages_total", 0), 1000);
    assert_int_equal(json_number_at(report, "connections_ended_in_order_total", 0), 10);
    assert_int_equal(json_number_at(report, "latency_us.count", 0), 1000);
    json_decref(report);
    report = load_run(&echo.addr, "paced", "--count", 500, 10);
    assert_int_equal(json_number_at(report, "messages_total", 0), 500);
    /* A thousand a second: the last one is due after 499 ms, and none is sent before. */
    assert_in_range(json_number_at(report, "elapsed_us", 0), 499000, UINT32_MAX);
    json_decref(report);
    report = load_run(&echo.addr, "connect", "--count", 100, 10);
    assert_int_equal(json_number_at(report, "connections_ended_in_order_total", 0), 100);
    json_decref(report);
    report = load_run(&echo.addr, "idle", "--duration", 1, 20);
    assert_int_equal(json_number_at(report, "messages_total", 0), 40);
    json_decref(report);
    report = load_run(&echo.addr, "bulk", "--count", 64, 2);
    assert_int_equal(json_number_at(report, "received_bytes_total", 0), 64 * 65536);
    json_decref(report);
    echo_run_stop(&echo);
}

static void a_flood_counts_who_is_turned_away_and_comes_from_where_it_is_told(void **state)
{
    (void)state;
    struct liar liar = {.fault = TURN_AWAY, .turns = 40, .addr = net_loopback(ADDR_IPV4, 0)};
    assert_int_equal(net_listen(&liar.addr, 64, &liar.listener, &liar.addr), ERR_OK);
    assert_int_equal(os_thread_start(&liar.thread, "liar", lie, &liar), ERR_OK);
    char words[256], text[ADDR_TEXT_MAX];
    str_format(words, sizeof words,
               "flood %s --count 40 --connections 5 --source 127.0.0.2 --json",
               addr_format(&liar.addr, text));
    int code;
    char *errors;
    json_t *report = report_of(words, &code, &errors);
    os_thread_join(liar.thread);
    net_close(liar.listener);
    assert_int_equal(liar.err, ERR_OK);
    assert_int_equal(code, 0);
    assert_int_equal(json_number_at(report, "turned_away_total", 0), 40);
    assert_int_equal(json_number_at(report, "errors_total", 0), 0);
    assert_string_equal(addr_format_ip(&liar.client, text), "127.0.0.2");
    json_decref(report);
    free(errors);
}

static void a_sink_takes_everything_and_says_how_much(void **state)
{
    (void)state;
    char dir[TEST_PATH_MAX], words[64], text[ADDR_TEXT_MAX];
    static const unsigned char data[100000];
    struct addr addr = net_loopback(ADDR_IPV4, net_free_port());
    assert_int_equal(test_make_dir(dir), ERR_OK);
    str_format(words, sizeof words, "sink %s", addr_format(&addr, text));
    struct process *sink = start_pairload(dir, "sink", words);
    assert_true(process_wait_output(sink, "listening on", NET_PATIENCE_MS));
    sock_t sock;
    assert_int_equal(net_connect(&addr, NET_PATIENCE_MS, &sock), ERR_OK);
    assert_int_equal(net_send(sock, data, sizeof data, NET_PATIENCE_MS, NULL), ERR_OK);
    net_finish(sock);
    uint64_t came;
    assert_int_equal(net_receive_end(sock, NET_PATIENCE_MS, &came, NULL), NET_END_FIN);
    assert_int_equal(came, 0);
    net_close(sock);
    assert_int_equal(process_stop(sink), ERR_OK);
    int code = -1;
    assert_true(process_wait(sink, NET_PATIENCE_MS, &code));
    assert_int_equal(code, 0);
    char *output = process_output(sink);
    assert_non_null(strstr(output, "1 connections, 97.7 KB received, 0 B sent"));
    free(output);
    process_free(sink);
    test_remove_dir(dir);
}

static void assert_usage(const char *words, const char *said)
{
    int code;
    char *errors;
    json_decref(report_of(words, &code, &errors));
    assert_int_equal(code, 2);
    if (strstr(errors, said) == NULL)
        fail_msg("'%s' is not in: %s", said, errors);
    free(errors);
}

static void mistakes_on_the_command_line_are_told(void **state)
{
    (void)state;
    assert_usage("", "what to do is missing");
    assert_usage("ping 127.0.0.1:1", "unknown command 'ping'");
    assert_usage("pingpong", "'pingpong' wants an address");
    assert_usage("pingpong 127.0.0.1", "'127.0.0.1' is not an address with a port");
    assert_usage("pingpong 127.0.0.1:0", "'127.0.0.1:0' is not an address with a port");
    assert_usage("pingpong 127.0.0.1:1 --speed 3", "unknown option '--speed'");
    assert_usage("pingpong 127.0.0.1:1 --size", "--size wants bytes");
    assert_usage("pingpong 127.0.0.1:1 --size 0", "--size wants bytes");
    assert_usage("pingpong 127.0.0.1:1 --connections 9x", "not '9x'");
    assert_usage("pingpong 127.0.0.1:1 --duration 0", "--duration wants");
    assert_usage("paced 127.0.0.1:1 --rate nan", "not 'nan'");
    assert_usage("idle 127.0.0.1:1 --count 3", "idle takes no --count");
    assert_usage("flood 127.0.0.1:1 --warm-up 1", "not with connect or flood");
    assert_usage("flood 127.0.0.1:1 --source ::1", "are not of one family");
    assert_usage("flood 127.0.0.1:1 --source here", "--source wants an IP address");
    assert_usage("echo 127.0.0.1:0 --json", "'echo' takes no options");
}

int main(void)
{
    os_init();
    random_test_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_bytes_are_found),
        cmocka_unit_test(streams_that_were_swapped_are_found),
        cmocka_unit_test(ends_that_come_too_early_are_found),
        cmocka_unit_test(a_silent_server_is_found),
        cmocka_unit_test(a_refused_connection_is_found),
        cmocka_unit_test(an_honest_server_is_found_right_in_every_mode),
        cmocka_unit_test(a_flood_counts_who_is_turned_away_and_comes_from_where_it_is_told),
        cmocka_unit_test(a_sink_takes_everything_and_says_how_much),
        cmocka_unit_test(mistakes_on_the_command_line_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
