/* test_relay_adopt.c - a server with listening sockets that were there before it, and one that
 * hands its own over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "os/listening.h"
#include "os/os.h"
#include "relay/accept/adopt.h"
#include "relay/server.h"
#include "support/net.h"
#include "support/platform.h"
#include "support/random.h"

static struct conf *make_conf(const char *listen, const struct addr *upstream)
{
    struct str text, messages;
    char to[ADDR_TEXT_MAX];
    str_init(&text);
    str_init(&messages);
    str_addf(&text, "[relay]\nworkers = 2\n[route r]\nlisten = %s\nupstream = %s\n", listen,
             addr_format(upstream, to));
    struct conf *conf;
    assert_int_equal(conf_load_text("test", text.data, text.len, &conf, &messages), ERR_OK);
    str_free(&text);
    str_free(&messages);
    return conf;
}

static struct server_socket make_socket(const struct addr *addr, bool dual_stack)
{
    struct server_socket made = {.addr = *addr, .dual_stack = dual_stack, .sock = SOCK_NONE};
    assert_int_equal(sock_listen(addr, dual_stack, 16, &made.sock), ERR_OK);
    return made;
}

static void stop(struct server *server)
{
    server_stop(server, true);
    assert_true(server_wait_stopped(server, NET_PATIENCE_MS));
    server_free(server);
}

static void check_served(const struct addr *at, sock_t upstream)
{
    sock_t client, accepted;
    char bytes[4];
    assert_int_equal(net_connect(at, NET_PATIENCE_MS, &client), ERR_OK);
    assert_int_equal(net_accept(upstream, NET_PATIENCE_MS, &accepted), ERR_OK);
    assert_int_equal(net_send(client, "ping", 4, NET_PATIENCE_MS, NULL), ERR_OK);
    assert_int_equal(net_receive_all(accepted, bytes, 4, NET_PATIENCE_MS), ERR_OK);
    net_close(accepted);
    net_close(client);
}

/* ---- finding ---- */

/* Against looking at each. */
static void the_socket_with_the_same_address_is_found_once(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    struct random random;
    random_init(&random, random_test_seed(), 1);
    for (int round = 0; round < 300; round++) {
        struct server_socket sockets[COUNT], model[COUNT];
        for (int i = 0; i < COUNT; i++) {
            bool six = random_chance(&random, 50);
            sockets[i] =
                (struct server_socket){.addr = {.family = six ? ADDR_IPV6 : ADDR_IPV4,
                                                .port = (uint16_t)(100 + i)}, /* no two alike */
                                       .dual_stack = six && random_chance(&random, 50),
                                       .sock = 1000 + i};
            sockets[i].addr.ip[3] = !sockets[i].dual_stack && random_chance(&random, 50);
        }
        memcpy(model, sockets, sizeof model);
        struct server_inherit inherit = {.sockets = sockets, .count = COUNT};
        adopt_prepare(&inherit);
        size_t adopted = 0;
        for (int i = 0; i < 3 * COUNT; i++) {
            struct server_socket want = model[random_below(&random, COUNT)];
            if (random_chance(&random, 30))
                want.addr.port = (uint16_t)(90 + random_below(&random, 80));
            if (random_chance(&random, 20))
                want.dual_stack = !want.dual_stack;
            sock_t expected = SOCK_NONE;
            for (int k = 0; k < COUNT; k++) {
                bool wildcard =
                    model[k].addr.family == ADDR_IPV6 && addr_is_any(&model[k].addr);
                if (!addr_equal(&model[k].addr, &want.addr) ||
                    (wildcard && model[k].dual_stack != want.dual_stack))
                    continue;
                expected = model[k].sock;
                model[k].sock = SOCK_NONE;
            }
            assert_int_equal(adopt_find(&inherit, &want.addr, want.dual_stack), expected);
            adopted += expected != SOCK_NONE;
            assert_int_equal(inherit.adopted, adopted);
        }
    }
}

static void without_a_door_nothing_is_found(void **state)
{
    (void)state;
    struct addr addr = net_loopback(ADDR_IPV4, 7);
    struct server_inherit empty = {.count = 0};
    adopt_prepare(&empty);
    assert_int_equal(adopt_find(NULL, &addr, false), SOCK_NONE);
    assert_int_equal(adopt_find(&empty, &addr, false), SOCK_NONE);
}

/* How one tells a predecessor from another relay. */
static void the_sockets_that_a_configuration_wants_are_counted(void **state)
{
    (void)state;
    struct addr upstream = net_loopback(ADDR_IPV4, 9);
    struct addr one = net_loopback(ADDR_IPV4, 7001), all = {.family = ADDR_IPV4, .port = 7003};
    struct addr every = {.family = ADDR_IPV6, .port = 7003};
    struct server_socket sockets[] = {{.addr = one, .sock = SOCK_NONE},
                                      {.addr = every, .dual_stack = true, .sock = SOCK_NONE}};
    struct server_socket ipv4 = {.addr = all, .sock = SOCK_NONE};
    struct conf *range = make_conf("127.0.0.1:7000-7009", &upstream);
    struct conf *both = make_conf("*:7003", &upstream);
    struct conf *other = make_conf("127.0.0.2:7001", &upstream);
    assert_int_equal(server_count_wanted(range, sockets, 2), 1);
    assert_int_equal(server_count_wanted(both, sockets, 2), 1);
    assert_int_equal(server_count_wanted(both, &ipv4, 1), 1); /* what it is without IPv6 */
    assert_int_equal(server_count_wanted(other, sockets, 2), 0);
    assert_int_equal(server_count_wanted(other, NULL, 0), 0);
    conf_free(range);
    conf_free(both);
    conf_free(other);
}

/* ---- a start ---- */

struct watch {
    unsigned calls;
    enum err answer;
    const struct addr *listens; /* a client waits in its backlog meanwhile */
    sock_t upstream, client;
};

static enum err on_ready(void *ctx, struct str *why)
{
    struct watch *watch = ctx;
    sock_t accepted;
    watch->calls++;
    if (net_connect(watch->listens, NET_PATIENCE_MS, &watch->client) != ERR_OK ||
        net_accept(watch->upstream, 50, &accepted) == ERR_OK)
        watch->answer = ERR_IO; /* it was let in too early */
    if (watch->answer != ERR_OK)
        str_add(why, "not yours\n");
    return watch->answer;
}

static void a_given_socket_is_used_and_nobody_is_let_in_before_its_time(void **state)
{
    (void)state;
    struct addr at = net_loopback(ADDR_IPV4, net_free_port());
    struct addr other = net_loopback(ADDR_IPV4, net_free_port());
    struct addr upstream_addr = net_loopback(ADDR_IPV4, 0);
    struct watch watch = {.listens = &at, .client = SOCK_NONE};
    char listen[ADDR_TEXT_MAX];
    assert_int_equal(net_listen(&upstream_addr, 16, &watch.upstream, &upstream_addr), ERR_OK);
    struct server_socket sockets[2] = {make_socket(&other, false), make_socket(&at, false)};
    struct server_inherit inherit = {
        .sockets = sockets, .count = 2, .ready = on_ready, .ctx = &watch};
    struct server *server;
    struct str why;
    str_init(&why);
    assert_int_equal(server_start(&server, make_conf(addr_format(&at, listen), &upstream_addr),
                                  &inherit, &why),
                     ERR_OK);
    assert_int_equal(watch.calls, 1);
    assert_int_equal(inherit.adopted, 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sockets[i].sock == SOCK_NONE, addr_equal(&sockets[i].addr, &at));
    sock_t accepted; /* who waited is served now */
    assert_int_equal(net_accept(watch.upstream, NET_PATIENCE_MS, &accepted), ERR_OK);
    net_close(accepted);
    net_close(watch.client);
    check_served(&at, watch.upstream);
    stop(server);
    for (int i = 0; i < 2; i++)
        if (sockets[i].sock != SOCK_NONE)
            sock_close(sockets[i].sock, SOCK_CLOSE_NORMAL);
    net_close(watch.upstream);
    str_free(&why);
}

static void when_the_door_is_not_ours_the_start_fails_and_nothing_runs(void **state)
{
    (void)state;
    struct addr at = net_loopback(ADDR_IPV4, net_free_port());
    struct addr upstream_addr = net_loopback(ADDR_IPV4, 0);
    struct watch watch = {.listens = &at, .answer = ERR_IN_USE, .client = SOCK_NONE};
    char listen[ADDR_TEXT_MAX];
    assert_int_equal(net_listen(&upstream_addr, 16, &watch.upstream, &upstream_addr), ERR_OK);
    struct server_socket before = make_socket(&at, false);
    struct server_socket copy = before;
    assert_int_equal(listening_copy(before.sock, &copy.sock), ERR_OK);
    struct server_inherit inherit = {
        .sockets = &copy, .count = 1, .ready = on_ready, .ctx = &watch};
    struct conf *conf = make_conf(addr_format(&at, listen), &upstream_addr);
    struct server *server = NULL;
    struct str why;
    str_init(&why);
    assert_int_equal(server_start(&server, conf, &inherit, &why), ERR_IN_USE);
    assert_string_equal(why.data, "not yours\n");
    conf_free(conf);
    sock_t accepted; /* the client is the other one's still */
    assert_int_equal(net_accept(before.sock, NET_PATIENCE_MS, &accepted), ERR_OK);
    net_close(accepted);
    net_close(watch.client);
    sock_close(before.sock, SOCK_CLOSE_NORMAL);
    net_close(watch.upstream);
    str_free(&why);
}

/* ---- handing over ---- */

static void a_server_hands_its_sockets_over_and_closes_its_own(void **state)
{
    (void)state;
    struct addr at = net_loopback(ADDR_IPV4, net_free_port());
    struct addr upstream_addr = net_loopback(ADDR_IPV4, 0);
    char listen[ADDR_TEXT_MAX];
    sock_t upstream, accepted, client;
    assert_int_equal(net_listen(&upstream_addr, 16, &upstream, &upstream_addr), ERR_OK);
    struct server *server;
    struct str why;
    str_init(&why);
    assert_int_equal(
        server_start(&server, make_conf(addr_format(&at, listen), &upstream_addr), NULL, &why),
        ERR_OK);
    check_served(&at, upstream);
    struct server_socket *sockets, *none;
    size_t count, none_count;
    assert_int_equal(server_copy_sockets(server, &sockets, &count), ERR_OK);
    assert_int_equal(count, 1);
    assert_true(addr_equal(&sockets[0].addr, &at));
    assert_true(server_hand_over(server, NET_PATIENCE_MS));
    assert_true(server_hand_over(server, NET_PATIENCE_MS)); /* once more is no harm */
    assert_int_equal(server_copy_sockets(server, &none, &none_count), ERR_OK);
    assert_int_equal(none_count, 0);
    server_free_sockets(none, none_count);
    /* Only the copy listens now. */
    assert_int_equal(net_connect(&at, NET_PATIENCE_MS, &client), ERR_OK);
    assert_int_equal(net_accept(sockets[0].sock, NET_PATIENCE_MS, &accepted), ERR_OK);
    net_close(accepted);
    net_close(client);
    server_free_sockets(sockets, count);
    assert_true(server_wait_stopped(server, NET_PATIENCE_MS));
    server_free(server);
    net_close(upstream);
    str_free(&why);
}

int main(void)
{
    os_init();
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_socket_with_the_same_address_is_found_once),
        cmocka_unit_test(without_a_door_nothing_is_found),
        cmocka_unit_test(the_sockets_that_a_configuration_wants_are_counted),
        cmocka_unit_test(a_given_socket_is_used_and_nobody_is_let_in_before_its_time),
        cmocka_unit_test(when_the_door_is_not_ours_the_start_fails_and_nothing_runs),
        cmocka_unit_test(a_server_hands_its_sockets_over_and_closes_its_own),
    };
    return cmocka_run_group_tests_name("relay_adopt", tests, NULL, NULL);
}
