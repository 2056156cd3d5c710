/* test_control_takeover.c - listening sockets go from one relay to another: what is said, and
 * what of it is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "control/console/endpoint.h"
#include "control/takeover/takeover.h"
#include "fake_server.h"
#include "os/listening.h"
#include "os/os.h"
#include "support/net.h"
#include "support/platform.h"
#include "support/random.h"

enum { SOCKETS = 2 * LOCAL_SOCKETS_MAX + 7, PATIENCE_MS = 60000 };

static struct server *server;
static struct console console;
static struct endpoint *endpoint;
static char path[LOCAL_NAME_MAX];
static struct server_socket sockets[SOCKETS];

static _Atomic uint64_t heir, taken_by; /* 0: nobody */
static _Atomic unsigned taken_back;
static enum err done_answer;

/* As the relay does it; see service/foreground.c. */
static enum err note_hand_over(void *ctx, enum hand_over step, uint64_t pid, struct str *list)
{
    (void)ctx;
    uint64_t nobody = 0;
    switch (step) {
    case HAND_OVER_BEGIN:
        return atomic_compare_exchange_strong(&heir, &nobody, pid) ? ERR_OK : ERR_IN_USE;
    case HAND_OVER_BACK:
        atomic_fetch_add(&taken_back, 1);
        atomic_store(&heir, 0);
        return ERR_OK;
    case HAND_OVER_DONE:
        if (done_answer == ERR_OK) {
            str_add(list, "7 /somewhere\n");
            atomic_store(&taken_by, pid);
        }
        return done_answer;
    }
    return ERR_INVALID;
}

static void listen_with(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct addr any = net_loopback(ADDR_IPV4, 0);
        sockets[i] = (struct server_socket){.sock = SOCK_NONE};
        assert_int_equal(sock_listen(&any, false, 4, &sockets[i].sock), ERR_OK);
        assert_int_equal(sock_local_addr(sockets[i].sock, &sockets[i].addr), ERR_OK);
    }
    server->sockets = sockets;
    server->socket_count = count;
}

static int set_up(void **state)
{
    static unsigned number;
    char name[64];
    (void)state;
    server = fake_server_open();
    console = fake_server_console(server);
    console.hand_over = note_hand_over;
    atomic_store(&heir, 0);
    atomic_store(&taken_by, 0);
    atomic_store(&taken_back, 0);
    done_answer = ERR_OK;
    server->latest_id = 41;
    str_format(name, sizeof name, "takeover-%llu-%u", (unsigned long long)os_process_id(),
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
    for (size_t i = 0; i < server->socket_count; i++)
        sock_close(sockets[i].sock, SOCK_CLOSE_NORMAL);
    fake_server_close(server);
    return 0;
}

/* ---- both sides ---- */

static struct takeover *take(struct str *why)
{
    struct takeover *takeover;
    assert_int_equal(takeover_ask(&takeover, path, why), ERR_OK);
    assert_int_equal(why->len, 0);
    return takeover;
}

/* To the end. */
static void become_it(struct takeover *takeover, struct str *why)
{
    uint64_t next_id = 0;
    assert_int_equal(takeover_go(takeover, &next_id, why), ERR_OK);
    assert_int_equal(next_id, 41 + TAKEOVER_IDS);
    assert_int_equal(atomic_load(&taken_by), 0); /* the old one accepts, too */
    struct str list;
    str_init(&list);
    assert_int_equal(takeover_serving(takeover, &list, why), ERR_OK);
    assert_int_equal(atomic_load(&taken_by), os_process_id());
    assert_string_equal(list.data, "7 /somewhere\n");
    str_free(&list);
}

static enum err serve(struct takeover *takeover, struct str *why)
{
    struct str list;
    str_init(&list);
    enum err err = takeover_serving(takeover, &list, why);
    str_free(&list);
    return err;
}

static void all_sockets_arrive_with_their_addresses(void **state)
{
    (void)state;
    struct str why;
    str_init(&why);
    listen_with(SOCKETS);
    struct takeover *takeover = take(&why);
    assert_int_equal(takeover_pid(takeover), os_process_id());
    assert_string_equal(takeover_version(takeover), console.version);
    size_t count;
    struct server_socket *taken = takeover_take_sockets(takeover, &count);
    assert_int_equal(count, SOCKETS);
    for (size_t i = 0; i < count; i++) {
        struct addr addr;
        bool dual_stack;
        assert_int_equal(listening_describe(taken[i].sock, &addr, &dual_stack), ERR_OK);
        assert_true(addr_equal(&addr, &sockets[i].addr));
        assert_true(addr_equal(&addr, &taken[i].addr));
        assert_false(dual_stack);
        assert_int_not_equal(taken[i].sock, sockets[i].sock);
    }
    assert_string_equal(takeover_config(takeover), console.config_path);
    become_it(takeover, &why);
    server_free_sockets(taken, count);
    takeover_free(takeover);
    str_free(&why);
}

static void a_client_in_the_backlog_is_the_new_owners(void **state)
{
    (void)state;
    struct str why;
    str_init(&why);
    listen_with(1);
    sock_t client;
    assert_int_equal(net_connect(&sockets[0].addr, PATIENCE_MS, &client), ERR_OK);
    struct takeover *takeover = take(&why);
    sock_close(sockets[0].sock, SOCK_CLOSE_NORMAL);
    server->socket_count = 0;
    size_t count;
    struct server_socket *taken = takeover_take_sockets(takeover, &count);
    become_it(takeover, &why);
    sock_t accepted;
    assert_int_equal(net_accept(taken[0].sock, PATIENCE_MS, &accepted), ERR_OK);
    net_close(accepted);
    net_close(client);
    server_free_sockets(taken, count);
    takeover_free(takeover);
    str_free(&why);
}

static void a_relay_without_listeners_is_taken_over_too(void **state)
{
    (void)state;
    struct str why;
    str_init(&why);
    struct takeover *takeover = take(&why);
    become_it(takeover, &why);
    takeover_free(takeover);
    str_free(&why);
}

static void who_leaves_before_go_has_changed_nothing(void **state)
{
    (void)state;
    struct str why;
    str_init(&why);
    listen_with(3);
    uint64_t before = os_descriptor_count();
    for (int i = 0; i < 20; i++) {
        struct takeover *takeover = take(&why);
        takeover_free(takeover);
    }
    endpoint_stop(endpoint); /* all its clients are gone */
    endpoint = NULL;
    assert_int_equal(atomic_load(&taken_by), 0);
    assert_true(test_on_windows() || os_descriptor_count() < before + 3);
    str_free(&why);
}

static void only_one_can_take_over(void **state)
{
    (void)state;
    struct str why;
    str_init(&why);
    listen_with(2);
    struct takeover *first = take(&why);
    struct takeover *second = take(&why);
    uint64_t next_id;
    assert_int_equal(takeover_go(second, &next_id, &why), ERR_OK);
    assert_int_equal(takeover_go(first, &next_id, &why), ERR_IN_USE); /* not even at a time */
    assert_string_equal(why.data, "takeover: the relay that runs says: another pairport has "
                                  "taken over already\n");
    takeover_free(first);
    assert_int_equal(serve(second, &why), ERR_OK);
    takeover_free(second);
    str_free(&why);
}

/* Between `go` and `serving` nothing has changed for the old one. */
static void who_dies_after_go_has_changed_nothing(void **state)
{
    (void)state;
    struct str why;
    uint64_t next_id;
    str_init(&why);
    listen_with(2);
    for (unsigned i = 1; i <= 3; i++) {
        struct takeover *takeover = take(&why);
        assert_int_equal(takeover_go(takeover, &next_id, &why), ERR_OK);
        takeover_free(takeover);
        while (atomic_load(&taken_back) < i)
            os_sleep_ms(1);
    }
    assert_int_equal(atomic_load(&taken_by), 0);
    struct takeover *last = take(&why);
    become_it(last, &why);
    takeover_free(last);
    str_free(&why);
}

static void who_serves_too_late_is_told_so(void **state)
{
    (void)state;
    struct str why;
    uint64_t next_id;
    str_init(&why);
    listen_with(1);
    struct takeover *takeover = take(&why);
    assert_int_equal(takeover_go(takeover, &next_id, &why), ERR_OK);
    done_answer = ERR_RANGE;
    assert_int_equal(serve(takeover, &why), ERR_TIMEDOUT);
    assert_string_equal(why.data,
                        "takeover: the relay that runs says: it took too long; begin anew\n");
    takeover_free(takeover);
    str_free(&why);
}

static void a_relay_that_dies_before_go_leaves_its_sockets(void **state)
{
    (void)state;
    struct str why;
    str_init(&why);
    listen_with(2);
    struct takeover *takeover = take(&why);
    endpoint_stop(endpoint);
    endpoint = NULL;
    uint64_t next_id = 0;
    assert_int_equal(takeover_go(takeover, &next_id, &why), ERR_OK);
    assert_int_equal(next_id, 41 + TAKEOVER_IDS); /* as it was offered */
    assert_int_equal(serve(takeover, &why), ERR_OK);
    assert_int_equal(atomic_load(&taken_by), 0);
    takeover_free(takeover);
    str_free(&why);
}

static void where_no_relay_runs_there_is_nothing_to_take(void **state)
{
    (void)state;
    struct str why;
    struct takeover *takeover;
    str_init(&why);
    endpoint_stop(endpoint);
    endpoint = NULL;
    assert_int_equal(takeover_ask(&takeover, path, &why), ERR_NOT_FOUND);
    assert_int_equal(why.len, 0);
    str_free(&why);
}

static void a_relay_without_descriptors_says_so(void **state)
{
    (void)state;
    struct str why;
    struct takeover *takeover;
    str_init(&why);
    listen_with(1);
    server->fail = ERR_NO_DESCRIPTORS;
    assert_int_not_equal(takeover_ask(&takeover, path, &why), ERR_OK);
    assert_string_equal(why.data,
                        "takeover: the relay that runs says: the listening sockets cannot be "
                        "copied: no descriptors are left (open file limit)\n");
    server->fail = ERR_OK;
    str_free(&why);
}

/* ---- who does not keep to it ---- */

static void say(const char *const *lines, struct str *answer)
{
    struct local_conn *conn;
    struct wire_input input = {.len = 0};
    enum wire_status status;
    assert_int_equal(wire_connect(path, &conn), ERR_OK);
    for (; *lines != NULL; lines++) {
        assert_int_equal(wire_send_line(conn, *lines, strlen(*lines)), ERR_OK);
        if (lines[1] != NULL)
            assert_int_equal(wire_read_answer(conn, &input, &status, answer), ERR_OK);
    }
    enum err err = wire_read_answer(conn, &input, &status, answer);
    assert_true(err == ERR_OK || err == ERR_CLOSED || err == ERR_RESET);
    if (err == ERR_OK) { /* a refusal, then the end */
        struct str rest;
        str_init(&rest);
        assert_int_equal(status, WIRE_ERROR);
        assert_int_not_equal(wire_read_answer(conn, &input, &status, &rest), ERR_OK);
        str_free(&rest);
    }
    local_conn_close(conn);
}

static void requests_that_make_no_sense_end_the_takeover(void **state)
{
    (void)state;
    static const char *const after[] = {
        "sockets 0 0",
        "sockets 0 4",
        "sockets 3 1",
        "sockets 2 2",
        "sockets 0 -1",
        "sockets 1",
        "sockets",
        "sockets 0 18446744073709551615",
        "sockets 18446744073709551615 1",
        "sockets 0 251",
        "sockets  0 1",
        "gone",
        "",
        "Go",
        "go", /* without the sockets */
        "serving",
        "takeover 2 5",
        "show info",
    };
    listen_with(3);
    struct str answer;
    str_init(&answer);
    for (size_t i = 0; i < sizeof after / sizeof after[0]; i++)
        say((const char *const[]){"takeover 2 77", after[i], NULL}, &answer);
    assert_int_equal(atomic_load(&taken_by), 0);
    struct str why;
    str_init(&why);
    takeover_free(take(&why)); /* it lives on */
    str_free(&why);
    str_free(&answer);
}

static void another_version_of_the_protocol_is_told_what_is_spoken(void **state)
{
    (void)state;
    struct str answer;
    str_init(&answer);
    say((const char *const[]){"takeover 1 77", NULL}, &answer);
    char want[160];
    str_format(want, sizeof want,
               "pairport %s can be taken over by version 2 of the takeover protocol, not by "
               "version 1\n",
               console.version);
    assert_string_equal(answer.data, want);
    static const char *const bad[] = {"takeover 2", "takeover x 77", "takeover 2 77 8",
                                      "takeover  2 77", "takeover -2 77"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        say((const char *const[]){bad[i], NULL}, &answer);
        assert_string_equal(answer.data, "a takeover begins with `takeover VERSION PID`\n");
    }
    assert_int_equal(atomic_load(&taken_by), 0);
    str_free(&answer);
}

/* ---- the offer ---- */

static struct random random_state;

static uint64_t below(uint64_t limit)
{
    return random_below(&random_state, limit);
}

static struct addr random_addr(bool *dual_stack)
{
    struct addr addr = {.family = ADDR_IPV4};
    *dual_stack = false;
    if (below(2) == 0) {
        addr.family = ADDR_IPV6;
        *dual_stack = below(2) == 0;
    }
    if (!*dual_stack && below(4) > 0)
        for (int i = 0; i < (addr.family == ADDR_IPV4 ? 4 : 16); i++)
            addr.ip[i] = (uint8_t)below(256);
    if (addr.family == ADDR_IPV6 && !*dual_stack)
        addr.ip[0] = 0x20; /* no mapped address */
    addr.port = (uint16_t)(1 + below(65535));
    return addr;
}

static void make_offer(struct takeover_offer *offer, struct server_socket *into, size_t count)
{
    *offer = (struct takeover_offer){.version = "1.2.3",
                                     .pid = below(UINT32_MAX),
                                     .next_id = below(UINT64_MAX),
                                     .sockets = into,
                                     .count = count};
    for (uint64_t len = below(40), i = 0; i < len; i++)
        offer->config[i] = (char)(' ' + below(90));
    for (size_t i = 0; i < count; i++) {
        into[i].sock = SOCK_NONE;
        into[i].addr = random_addr(&into[i].dual_stack);
    }
}

static void an_offer_is_read_as_it_was_written(void **state)
{
    (void)state;
    static struct server_socket into[50];
    struct str text;
    str_init(&text);
    for (size_t round = 0; round < 500; round++) {
        struct takeover_offer offer, read;
        make_offer(&offer, into, (size_t)below(50));
        str_clear(&text);
        takeover_write_offer(&offer, &text);
        assert_int_equal(takeover_read_offer(text.data, text.len, &read), ERR_OK);
        assert_string_equal(read.version, offer.version);
        assert_int_equal(read.pid, offer.pid);
        assert_int_equal(read.next_id, offer.next_id);
        assert_string_equal(read.config, offer.config);
        assert_int_equal(read.count, offer.count);
        for (size_t i = 0; i < offer.count; i++) {
            assert_true(addr_equal(&read.sockets[i].addr, &offer.sockets[i].addr));
            assert_int_equal(read.sockets[i].dual_stack, offer.sockets[i].dual_stack);
            assert_int_equal(read.sockets[i].sock, SOCK_NONE);
        }
        free(read.sockets);
    }
    str_free(&text);
}

static void anything_else_is_no_offer(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "\n",
        "pairport",
        "pairport 1 pid 2 next 3 sockets 0",
        "pairport 1 pid 2 next 3 sockets 0\n\nconfig \n",
        "pairport 1 pid 2 next 3 sockets 1\nconfig \n",
        "pairport 1 pid 2 next 3 sockets 0\nconfig /a b\n1.2.3.4:5 single\n",
        "pairport 1 pid 2 next 3 sockets 1\nconfig /a b\n1.2.3.4:5 single",
        "pairport 1 pid 2 next 3 sockets 1\nconfig /a b\n1.2.3.4:0 single\n",
        "pairport 1 pid 2 next 3 sockets 1\nconfig /a b\n1.2.3.4 single\n",
        "pairport 1 pid 2 next 3 sockets 1\nconfig /a b\n1.2.3.4:5 triple\n",
        "pairport 1 pid 2 next 3 sockets 1\nconfig /a b\n1.2.3.4:5\n",
        "pairport 1 pid 2 next 3 sockets 1\nconfig /a b\n1.2.3.4:5 single more\n",
        "pairport 1 pid 2 next 3 sockets 1\nconfig /a b\n0.0.0.0:5 dual\n",
        "pairport 1 pid 2 next 3 sockets 1\nconfig /a b\n[::1]:5 dual\n",
        "pairport 1 pid 2 next 3 sockets 1\nconfig /a b\n:5 single\n",
        "pairport 1 pid 2 next 3 sockets 1\nconfig /a b\nlocalhost:5 single\n",
        "pairport 1 pid 2 next 3 sockets 1\nconfig /a b\n1.2.3.4:65536 single\n",
        "pairport 1 pid -2 next 3 sockets 0\nconfig \n",
        "pairport 1 pid 2 next 3 sockets 18446744073709551615\nconfig \n",
        "pairport 1 pid 2 next 3 sockets 1048577\nconfig \n",
        "pairport 1 pid 2 next 3 sockets 1048576\nconfig \n",
        "pairport  pid 2 next 3 sockets 0\nconfig \n",
        "pairport 12345678901234567890123456789012 pid 2 next 3 sockets 0\nconfig \n",
        "pairport 1 pid 2 next 3 sockets 0 \nconfig \n",
        "pairport 1 pid 2 sockets 0\nconfig \n",
        "pairport 1 pid 2 next 3 sockets 0\n",
        "pairport 1 pid 2 next 3 sockets 0\nconfig\n",
        "pairport 1 pid 2 next x sockets 0\nconfig \n",
        "haproxy 1 pid 2 next 3 sockets 0\nconfig \n",
    };
    struct takeover_offer offer;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (takeover_read_offer(bad[i], strlen(bad[i]), &offer) != ERR_INVALID)
            fail_msg("taken for an offer: %s", bad[i]);
    static const char zero[] = "pairport 1\0 pid 2 next 3 sockets 0\nconfig \n";
    assert_int_equal(takeover_read_offer(zero, sizeof zero - 1, &offer), ERR_INVALID);
}

/* What is read of it then is consistent, and nothing behind its end is looked at: the copy is
 * exactly as long, which the sanitizers watch. */
static void a_damaged_offer_does_no_harm(void **state)
{
    (void)state;
    static struct server_socket into[8];
    struct str text;
    str_init(&text);
    for (uint64_t round = test_scaled(20000); round > 0; round--) {
        struct takeover_offer offer, read;
        make_offer(&offer, into, (size_t)below(8));
        str_clear(&text);
        takeover_write_offer(&offer, &text);
        size_t len = (size_t)below(text.len + 1);
        if (below(2) == 0)
            len = text.len;
        char *copy = malloc(len + (len == 0));
        assert_non_null(copy);
        memcpy(copy, text.data, len);
        for (uint64_t i = below(4); i > 0 && len > 0; i--)
            copy[below(len)] = (char)below(256);
        if (takeover_read_offer(copy, len, &read) == ERR_OK) {
            assert_true(read.count <= len);
            for (size_t i = 0; i < read.count; i++)
                assert_int_not_equal(read.sockets[i].addr.port, 0);
            free(read.sockets);
        }
        free(copy);
    }
    str_free(&text);
}

int main(void)
{
    os_init();
    log_set_level(LOG_ERROR);
    random_init(&random_state, random_test_seed(), 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_sockets_arrive_with_their_addresses, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_client_in_the_backlog_is_the_new_owners, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_relay_without_listeners_is_taken_over_too, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_leaves_before_go_has_changed_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_one_can_take_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_dies_after_go_has_changed_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_serves_too_late_is_told_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_relay_that_dies_before_go_leaves_its_sockets, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(where_no_relay_runs_there_is_nothing_to_take, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_relay_without_descriptors_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_that_make_no_sense_end_the_takeover, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_version_of_the_protocol_is_told_what_is_spoken,
                                        set_up, tear_down),
        cmocka_unit_test(an_offer_is_read_as_it_was_written),
        cmocka_unit_test(anything_else_is_no_offer),
        cmocka_unit_test(a_damaged_offer_does_no_harm),
    };
    return cmocka_run_group_tests_name("control_takeover", tests, NULL, NULL);
}
