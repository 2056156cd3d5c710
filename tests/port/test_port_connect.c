/* CONNECT, as port.h promises it. */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

static void connect_to_family(struct rig *rig, enum addr_family family)
{
    struct addr addr, local, peer_addr, name;
    sock_t listener = rig_net_listen(family, &addr), peer;
    sock_t sock = rig_open(rig->port, family);
    struct op connect = rig_connect_op(sock, &addr);
    assert_ok(rig_do(rig, &connect));
    assert_int_equal(connect.bytes, 0);
    assert_int_equal(connect.raw, 0);
    assert_ok(net_accept(listener, NET_PATIENCE_MS, &peer));

    /* What does not work before the connection stands. */
    assert_ok(sock_peer_addr(sock, &peer_addr));
    assert_true(addr_equal(&peer_addr, &addr));
    assert_ok(sock_local_addr(sock, &local));
    assert_ok(net_local_addr(peer, &name));
    assert_true(addr_equal(&name, &addr));
    assert_int_not_equal(local.port, 0);

    unsigned char text[] = "to you", buf[16];
    struct op write = rig_op(OP_WRITE, sock, text, sizeof text);
    struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
    rig_submit(rig, &read);
    assert_ok(rig_do(rig, &write));
    assert_ok(net_receive_all(peer, buf, sizeof text, NET_PATIENCE_MS));
    assert_ok(net_send(peer, "back", 4, NET_PATIENCE_MS, NULL));
    assert_ok(rig_wait(rig, &read));
    assert_int_equal(read.bytes, 4);
    assert_ok(sock_shutdown_send(sock));
    assert_int_equal(net_receive_end(peer, NET_PATIENCE_MS, NULL, NULL), NET_END_FIN);
    rig_close(rig->port, sock);
    net_close(peer);
    net_close(listener);
}

static void a_connection_stands_when_connect_is_out(void **state)
{
    connect_to_family(*state, ADDR_IPV4);
}

static void a_connection_over_ipv6_stands_too(void **state)
{
    if (!net_has_ipv6()) {
        print_message("skipped: this machine has no IPv6 loopback\n");
        skip();
    }
    connect_to_family(*state, ADDR_IPV6);
}

static void bytes_sent_at_once_by_the_other_end_are_there(void **state)
{
    struct rig *rig = *state;
    struct addr addr;
    sock_t listener = rig_net_listen(ADDR_IPV4, &addr), peer;
    sock_t sock = rig_open(rig->port, ADDR_IPV4);
    struct op connect = rig_connect_op(sock, &addr);
    rig_submit(rig, &connect);
    assert_ok(net_accept(listener, NET_PATIENCE_MS, &peer));
    assert_ok(net_send(peer, "banner", 6, NET_PATIENCE_MS, NULL));
    net_finish(peer);
    assert_ok(rig_wait(rig, &connect));
    unsigned char buf[16];
    struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
    assert_ok(rig_do(rig, &read));
    assert_int_equal(read.bytes, 6);
    assert_ok(rig_do(rig, &read));
    assert_int_equal(read.bytes, 0);
    rig_close(rig->port, sock);
    net_close(peer);
    net_close(listener);
}

static void a_port_without_listener_refuses(void **state)
{
    struct rig *rig = *state;
    struct addr nobody = net_loopback(ADDR_IPV4, net_free_port());
    assert_int_not_equal(nobody.port, 0);
    for (int i = 0; i < 5; i++) {
        sock_t sock = rig_open(rig->port, ADDR_IPV4);
        struct op connect = rig_connect_op(sock, &nobody);
        assert_err(rig_do(rig, &connect), ERR_REFUSED);
        assert_int_not_equal(connect.raw, 0);
        rig_close(rig->port, sock);
    }
}

/* The local port is chosen by the system as a rule; here it is bound to the destination's. */
static void connect_to_itself(struct rig *rig, enum addr_family family, const char *source)
{
    struct addr addr = net_loopback(family, net_free_port());
    assert_int_not_equal(addr.port, 0);
    if (source != NULL) {
        uint16_t port = addr.port;
        assert_ok(addr_parse_ip(source, &addr));
        addr.port = port;
    }
    for (int i = 0; i < 3; i++) {
        sock_t sock = rig_open(rig->port, family), server;
        assert_ok(sock_bind(sock, &addr));
        struct op connect = rig_connect_op(sock, &addr);
        assert_err(rig_do(rig, &connect), ERR_REFUSED);
        assert_int_not_equal(connect.raw, 0);
        port_close_socket(rig->port, sock, i % 2 ? SOCK_CLOSE_ABORT : SOCK_CLOSE_NORMAL);
        assert_ok(net_listen(&addr, 1, &server, NULL)); /* nothing of it keeps a server away */
        net_close(server);
    }
}

static void a_connection_to_itself_is_refused_and_leaves_the_port_free(void **state)
{
    connect_to_itself(*state, ADDR_IPV4, NULL);
    connect_to_itself(*state, ADDR_IPV4, "127.0.0.9");
    if (net_has_ipv6())
        connect_to_itself(*state, ADDR_IPV6, NULL);
}

/* The limited broadcast address has no route for TCP on any system, so nothing leaves the
 * machine. */
static void an_address_without_route_fails(void **state)
{
    struct rig *rig = *state;
    struct addr nowhere = {.family = ADDR_IPV4, .port = 9, .ip = {255, 255, 255, 255}};
    sock_t sock = rig_open(rig->port, ADDR_IPV4);
    struct op connect = rig_connect_op(sock, &nowhere);
    enum err err = rig_do(rig, &connect);
    if (test_on_windows())
        assert_true(err == ERR_UNREACHABLE || err == ERR_NO_ADDRESS || err == ERR_ACCESS);
    else
        assert_err(err, ERR_UNREACHABLE);
    assert_int_not_equal(connect.raw, 0);
    rig_close(rig->port, sock);
}

static void an_address_of_the_wrong_family_fails(void **state)
{
    struct rig *rig = *state;
    struct addr addr = net_loopback(ADDR_IPV6, 9);
    sock_t sock = rig_open(rig->port, ADDR_IPV4);
    struct op connect = rig_connect_op(sock, &addr);
    enum err err = rig_do(rig, &connect);
    assert_int_not_equal(err, ERR_OK);
    assert_int_not_equal(err, ERR_AGAIN);
    assert_int_not_equal(err, ERR_CANCELLED);
    rig_close(rig->port, sock);
}

static void a_connect_that_nobody_answers_waits_until_it_is_cancelled(void **state)
{
    struct rig *rig = *state;
    struct net_deaf deaf;
    assert_ok(net_deaf_open(ADDR_IPV4, &deaf));
    for (int i = 0; i < 5; i++) {
        sock_t sock = rig_open(rig->port, ADDR_IPV4);
        struct op connect = rig_connect_op(sock, &deaf.addr);
        rig_submit(rig, &connect);
        assert_false(rig_is_out(rig, &connect, 20));
        port_cancel(rig->port, sock);
        assert_err(rig_wait(rig, &connect), ERR_CANCELLED);
        port_close_socket(rig->port, sock, i % 2 ? SOCK_CLOSE_ABORT : SOCK_CLOSE_NORMAL);
    }
    net_deaf_close(&deaf);
}

static void a_connect_that_is_answered_late_stands(void **state)
{
    struct rig *rig = *state;
    struct net_deaf deaf;
    assert_ok(net_deaf_open(ADDR_IPV4, &deaf));
    sock_t sock = rig_open(rig->port, ADDR_IPV4), peer;
    struct op connect = rig_connect_op(sock, &deaf.addr);
    rig_submit(rig, &connect);
    assert_false(rig_is_out(rig, &connect, 20));
    assert_ok(net_deaf_accept(&deaf, NET_PATIENCE_MS, &peer));
    assert_ok(rig_wait(rig, &connect));
    assert_ok(net_send(peer, "x", 1, NET_PATIENCE_MS, NULL));
    unsigned char byte;
    struct op read = rig_op(OP_READ, sock, &byte, 1);
    assert_ok(rig_do(rig, &read));
    rig_close(rig->port, sock);
    net_close(peer);
    net_deaf_close(&deaf);
}

static void a_connect_comes_from_the_source_it_was_bound_to(void **state)
{
    struct rig *rig = *state;
    struct addr addr, local;
    sock_t listener = rig_net_listen(ADDR_IPV4, &addr), peer;
    struct addr source = {.family = ADDR_IPV4, .ip = {127, 0, 0, 5}};
    sock_t sock = rig_open(rig->port, ADDR_IPV4);
    assert_ok(sock_bind(sock, &source));
    struct op connect = rig_connect_op(sock, &addr);
    assert_ok(rig_do(rig, &connect));
    assert_ok(net_accept(listener, NET_PATIENCE_MS, &peer));
    assert_ok(sock_local_addr(sock, &local));
    assert_memory_equal(local.ip, source.ip, 4);
    rig_close(rig->port, sock);
    net_close(peer);
    net_close(listener);
}

/* Whether CONNECT still succeeds is a race; that it ends, and that a success is followed by
 * the reset, is not. */
static void a_connection_that_is_reset_at_once_ends_with_a_reset(void **state)
{
    struct rig *rig = *state;
    struct addr addr;
    sock_t listener = rig_net_listen(ADDR_IPV4, &addr), peer;
    for (int i = 0; i < 50; i++) {
        sock_t sock = rig_open(rig->port, ADDR_IPV4);
        struct op connect = rig_connect_op(sock, &addr);
        rig_submit(rig, &connect);
        if (i % 2)
            rig_turn(rig, PORT_BATCH, 0);
        assert_ok(net_accept(listener, NET_PATIENCE_MS, &peer));
        net_reset(peer);
        enum err err = rig_wait(rig, &connect);
        if (err == ERR_OK) {
            unsigned char buf[8];
            struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
            err = rig_do(rig, &read);
            if (test_on_wine() && err == ERR_OK) /* Wine reads such a reset as FIN */
                err = read.bytes == 0 ? ERR_RESET : ERR_OK;
        }
        assert_err(err, ERR_RESET);
        rig_close(rig->port, sock);
    }
    net_close(listener);
}

static void many_connects_at_once_all_stand(void **state)
{
    struct rig *rig = *state;
    enum { MANY = 200 };
    struct addr addr;
    sock_t listener = rig_net_listen(ADDR_IPV4, &addr);
    struct op *connects = calloc(MANY, sizeof *connects);
    sock_t *peers = calloc(MANY, sizeof *peers);
    assert_non_null(connects);
    assert_non_null(peers);
    for (int i = 0; i < MANY; i++) {
        connects[i] = rig_connect_op(rig_open(rig->port, ADDR_IPV4), &addr);
        rig_submit(rig, &connects[i]);
    }
    for (int i = 0; i < MANY; i++) {
        assert_ok(rig_wait(rig, &connects[i]));
        assert_ok(net_accept(listener, NET_PATIENCE_MS, &peers[i]));
    }
    for (int i = 0; i < MANY; i++) {
        rig_close(rig->port, connects[i].sock);
        net_close(peers[i]);
    }
    free(connects);
    free(peers);
    net_close(listener);
}

int main(void)
{
    os_init();
    random_test_seed();
    const struct CMUnitTest tests[] = {
        rig_test(a_connection_stands_when_connect_is_out),
        rig_test(a_connection_over_ipv6_stands_too),
        rig_test(bytes_sent_at_once_by_the_other_end_are_there),
        rig_test(a_port_without_listener_refuses),
        rig_test(a_connection_to_itself_is_refused_and_leaves_the_port_free),
        rig_test(an_address_without_route_fails),
        rig_test(an_address_of_the_wrong_family_fails),
        rig_test(a_connect_that_nobody_answers_waits_until_it_is_cancelled),
        rig_test(a_connect_that_is_answered_late_stands),
        rig_test(a_connect_comes_from_the_source_it_was_bound_to),
        rig_test(a_connection_that_is_reset_at_once_ends_with_a_reset),
        rig_test(many_connects_at_once_all_stand),
    };
    return cmocka_run_group_tests_name("port: connect", tests, NULL, NULL);
}
