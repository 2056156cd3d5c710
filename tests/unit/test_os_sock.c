/* test_os_sock.c - sockets, against peers that do not use os/. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "os/bsd.h"
#include "os/os.h"
#include "os/sock.h"
#include "support/net.h"
#include "support/platform.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct addr any(enum addr_family family)
{
    struct addr addr;
    memset(&addr, 0, sizeof addr);
    addr.family = (uint8_t)family;
    return addr;
}

static struct addr local_addr(sock_t sock)
{
    struct addr addr;
    assert_int_equal(sock_local_addr(sock, &addr), ERR_OK);
    return addr;
}

static sock_t listen_on(struct addr addr, bool dual_stack)
{
    sock_t listener;
    assert_int_equal(sock_listen(&addr, dual_stack, 16, &listener), ERR_OK);
    return listener;
}

static sock_t accept_from(sock_t listener)
{
    sock_t sock;
    assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &sock), ERR_OK);
    return sock;
}

static sock_t connect_to(struct addr addr)
{
    sock_t sock;
    assert_int_equal(net_connect(&addr, NET_PATIENCE_MS, &sock), ERR_OK);
    return sock;
}

static enum err connect_err(struct addr addr)
{
    sock_t sock = SOCK_NONE;
    enum err err = net_connect(&addr, NET_PATIENCE_MS, &sock);
    net_close(sock);
    return err;
}

/* A connection: `ours` is looked at through os/, `peer` plays the other end. */
struct link {
    sock_t ours;
    sock_t peer;
};

static struct link open_link(void)
{
    sock_t listener = listen_on(net_loopback(ADDR_IPV4, 0), false);
    struct link link;
    link.peer = connect_to(local_addr(listener));
    link.ours = accept_from(listener);
    sock_close(listener, SOCK_CLOSE_NORMAL);
    return link;
}

static void close_link(struct link *link)
{
    if (link->ours != SOCK_NONE)
        sock_close(link->ours, SOCK_CLOSE_ABORT);
    net_close(link->peer);
}

/* Waits until what the peer did has arrived: `what` becomes true. */
static bool comes_true(bool (*what)(sock_t sock), sock_t sock)
{
    uint64_t give_up = os_mono_ms() + NET_PATIENCE_MS;
    while (!what(sock)) {
        if (os_mono_ms() > give_up)
            return false;
        os_sleep_ms(1);
    }
    return true;
}

/* ---- addresses ---- */

static void an_address_survives_the_systems_form(void **state)
{
    (void)state;
    static const char *const texts[] = {"10.1.2.3", "0.0.0.0", "::1", "2001:db8::5",
                                        "fe80::1%7"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct addr addr;
        struct addr back;
        struct sockaddr_storage storage;
        assert_int_equal(addr_parse_ip(texts[i], &addr), ERR_OK);
        addr.port = 7777;
        socklen_t len = bsd_from_addr(&addr, &storage);
        assert_int_equal(bsd_to_addr(&storage, (size_t)len, &back), ERR_OK);
        assert_memory_equal(&addr, &back, sizeof addr);
        assert_int_equal(bsd_to_addr(&storage, (size_t)len - 1, &back), ERR_UNSUPPORTED);
        assert_int_equal(bsd_to_addr(&storage, 0, &back), ERR_UNSUPPORTED);
    }
}

static void an_ipv4_address_mapped_into_ipv6_is_normalised(void **state)
{
    (void)state;
    struct addr mapped = any(ADDR_IPV6);
    struct addr back;
    struct sockaddr_storage storage;
    memcpy(mapped.ip, "\0\0\0\0\0\0\0\0\0\0\xFF\xFF\x0A\x01\x02\x03", 16);
    socklen_t len = bsd_from_addr(&mapped, &storage);
    assert_int_equal(bsd_to_addr(&storage, (size_t)len, &back), ERR_OK);
    assert_int_equal(back.family, ADDR_IPV4);
    assert_memory_equal(back.ip, "\x0A\x01\x02\x03", 4);
}

static void no_address_has_no_form(void **state)
{
    (void)state;
    struct addr none = any(ADDR_NONE);
    struct sockaddr_storage storage;
    sock_t sock;
    assert_int_equal(bsd_from_addr(&none, &storage), 0);
    assert_int_equal(sock_listen(&none, false, 1, &sock), ERR_INVALID);
}

/* ---- listeners ---- */

static void a_client_of_a_listener_sees_the_address_it_asked_for(void **state)
{
    (void)state;
    sock_t listener = listen_on(net_loopback(ADDR_IPV4, 0), false);
    struct addr bound = local_addr(listener);
    assert_int_equal(bound.family, ADDR_IPV4);
    assert_int_not_equal(bound.port, 0);

    sock_t peer = connect_to(bound);
    sock_t ours = accept_from(listener);
    struct addr there;
    assert_int_equal(sock_peer_addr(ours, &there), ERR_OK);
    struct addr here = local_addr(peer);
    assert_true(addr_equal(&there, &here));
    here = local_addr(ours);
    assert_true(addr_equal(&here, &bound));

    assert_int_not_equal(sock_peer_addr(listener, &there), ERR_OK);
    net_close(peer);
    sock_close(ours, SOCK_CLOSE_NORMAL);
    sock_close(listener, SOCK_CLOSE_NORMAL);
}

static void a_port_that_is_listened_on_is_in_use(void **state)
{
    (void)state;
    sock_t listener = listen_on(net_loopback(ADDR_IPV4, 0), false);
    struct addr bound = local_addr(listener);
    sock_t second = SOCK_NONE;
    assert_int_equal(sock_listen(&bound, false, 16, &second), ERR_IN_USE);
    assert_int_equal(second, SOCK_NONE);
    sock_close(listener, SOCK_CLOSE_NORMAL);
}

static void a_port_can_be_listened_on_again_right_after_its_connections_ended(void **state)
{
    (void)state;
    sock_t listener = listen_on(net_loopback(ADDR_IPV4, 0), false);
    struct addr bound = local_addr(listener);
    sock_t peer = connect_to(bound);
    sock_t ours = accept_from(listener);
    sock_close(ours, SOCK_CLOSE_NORMAL); /* it ends first, so TIME_WAIT is at the port */
    assert_int_equal(net_receive_end(peer, NET_PATIENCE_MS, NULL, NULL), NET_END_FIN);
    net_close(peer);
    sock_close(listener, SOCK_CLOSE_NORMAL);
    sock_close(listen_on(bound, false), SOCK_CLOSE_NORMAL);
}

static void an_address_of_another_machine_cannot_be_listened_on(void **state)
{
    (void)state;
    struct addr addr;
    sock_t sock;
    assert_int_equal(addr_parse_ip("192.0.2.1", &addr), ERR_OK); /* documentation, RFC 5737 */
    assert_int_equal(sock_listen(&addr, false, 1, &sock), ERR_NO_ADDRESS);
    assert_int_equal(sock_open(ADDR_IPV4, &sock), ERR_OK);
    assert_int_equal(sock_bind(sock, &addr), ERR_NO_ADDRESS);
    sock_close(sock, SOCK_CLOSE_NORMAL);
}

static void a_dual_stack_listener_takes_ipv4_clients_and_knows_them_as_such(void **state)
{
    (void)state;
    if (!net_has_ipv6())
        skip();
    sock_t listener = listen_on(any(ADDR_IPV6), true);
    uint16_t port = local_addr(listener).port;
    sock_t peer = connect_to(net_loopback(ADDR_IPV4, port));
    sock_t ours = accept_from(listener);
    struct addr there;
    assert_int_equal(sock_peer_addr(ours, &there), ERR_OK);
    assert_int_equal(there.family, ADDR_IPV4);
    assert_true(addr_is_loopback(&there));
    net_close(peer);
    sock_close(ours, SOCK_CLOSE_NORMAL);

    peer = connect_to(net_loopback(ADDR_IPV6, port));
    ours = accept_from(listener);
    assert_int_equal(sock_peer_addr(ours, &there), ERR_OK);
    assert_int_equal(there.family, ADDR_IPV6);
    net_close(peer);
    sock_close(ours, SOCK_CLOSE_NORMAL);
    sock_close(listener, SOCK_CLOSE_NORMAL);
}

static void an_ipv6_listener_refuses_ipv4_clients_unless_told(void **state)
{
    (void)state;
    if (!net_has_ipv6())
        skip();
    sock_t listener = listen_on(any(ADDR_IPV6), false);
    uint16_t port = local_addr(listener).port;
    assert_int_equal(connect_err(net_loopback(ADDR_IPV4, port)), ERR_REFUSED);
    net_close(connect_to(net_loopback(ADDR_IPV6, port)));
    sock_close(listener, SOCK_CLOSE_NORMAL);
}

/* ---- connecting ---- */

static void a_socket_connects_from_the_address_it_was_bound_to(void **state)
{
    (void)state;
    sock_t listener = listen_on(net_loopback(ADDR_IPV4, 0), false);
    struct addr bound = local_addr(listener);
    struct addr source;
    assert_int_equal(addr_parse_ip("127.0.0.7", &source), ERR_OK);
    sock_t sock;
    assert_int_equal(sock_open(ADDR_IPV4, &sock), ERR_OK);
    assert_int_equal(sock_bind(sock, &source), ERR_OK);

    struct sockaddr_storage storage;
    socklen_t len = bsd_from_addr(&bound, &storage);
    int failed = connect(sock, (struct sockaddr *)&storage, len);
    assert_true(failed == 0 || bsd_error() == ERR_AGAIN); /* it does not block */
    sock_t ours = accept_from(listener);
    struct addr there;
    assert_int_equal(sock_peer_addr(ours, &there), ERR_OK);
    assert_memory_equal(there.ip, source.ip, sizeof there.ip);
    assert_int_not_equal(there.port, 0);
    sock_close(sock, SOCK_CLOSE_NORMAL);
    sock_close(ours, SOCK_CLOSE_NORMAL);
    sock_close(listener, SOCK_CLOSE_NORMAL);
}

/* Connects, and resets the connection at once. False: this thread stood still between the two, so
 * that the system may have had enough of waiting. */
static bool knock(const struct addr *to)
{
    struct sockaddr_storage storage;
    socklen_t len = bsd_from_addr(to, &storage);
    sock_t sock;
    assert_int_equal(sock_open(ADDR_IPV4, &sock), ERR_OK);
    sock_delay_ack(sock);
    uint64_t start = os_mono_ms();
    (void)connect(sock, (struct sockaddr *)&storage, len);
    assert_int_equal(net_connect_finish(sock, NET_PATIENCE_MS), ERR_OK);
    sock_close(sock, SOCK_CLOSE_ABORT);
    return os_mono_ms() - start < 20;
}

static void a_connection_with_a_delayed_ack_that_is_reset_is_never_accepted(void **state)
{
    (void)state;
    if (test_on_windows())
        skip(); /* there it is accepted */
    sock_t listener = listen_on(net_loopback(ADDR_IPV4, 0), false);
    struct addr bound = local_addr(listener);
    unsigned late = 0;
    for (unsigned i = 0; i < 300; i++)
        late += !knock(&bound);
    sock_t plain = connect_to(bound); /* what came before it has been seen to by then */
    unsigned accepted = 0;
    struct addr first;
    struct addr plain_addr = local_addr(plain);
    for (;;) {
        sock_t sock = accept_from(listener);
        bool is_plain =
            sock_peer_addr(sock, &first) == ERR_OK && addr_equal(&first, &plain_addr);
        sock_close(sock, SOCK_CLOSE_NORMAL);
        if (is_plain)
            break;
        accepted++;
    }
    assert_in_range(accepted, 0, late);
    sock_close(plain, SOCK_CLOSE_NORMAL);
    sock_close(listener, SOCK_CLOSE_NORMAL);
}

static void receiving_never_blocks(void **state)
{
    (void)state;
    sock_t listener = listen_on(net_loopback(ADDR_IPV4, 0), false);
    char byte;
    sock_t sock;
    assert_int_equal(sock_open(ADDR_IPV4, &sock), ERR_OK);
    struct addr bound = local_addr(listener);
    struct sockaddr_storage storage;
    socklen_t len = bsd_from_addr(&bound, &storage);
    (void)connect(sock, (struct sockaddr *)&storage, len);
    sock_t peer = accept_from(listener);
    assert_int_equal(net_connect_finish(sock, NET_PATIENCE_MS), ERR_OK);
    assert_true(recv(sock, &byte, 1, 0) < 0);
    assert_int_equal(bsd_error(), ERR_AGAIN);
    sock_close(sock, SOCK_CLOSE_NORMAL);
    net_close(peer);
    sock_close(listener, SOCK_CLOSE_NORMAL);
}

static void a_port_in_use_cannot_be_a_source(void **state)
{
    (void)state;
    sock_t listener = listen_on(net_loopback(ADDR_IPV4, 0), false);
    struct addr bound = local_addr(listener);
    sock_t sock;
    assert_int_equal(sock_open(ADDR_IPV4, &sock), ERR_OK);
    assert_int_equal(sock_bind(sock, &bound), ERR_IN_USE);
    sock_close(sock, SOCK_CLOSE_NORMAL);
    sock_close(listener, SOCK_CLOSE_NORMAL);
}

/* ---- options and numbers ---- */

static int option(sock_t sock, int level, int name)
{
    int value = 0;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(sock, level, name, (void *)&value, &len), 0);
    return value;
}

static void nodelay_is_set_and_taken_back(void **state)
{
    (void)state;
    struct link link = open_link();
    sock_set_nodelay(link.ours, true);
    assert_int_not_equal(option(link.ours, IPPROTO_TCP, TCP_NODELAY), 0);
    sock_set_nodelay(link.ours, false);
    assert_int_equal(option(link.ours, IPPROTO_TCP, TCP_NODELAY), 0);
    close_link(&link);
}

static void keepalive_is_set_and_taken_back(void **state)
{
    (void)state;
    struct link link = open_link();
    sock_set_keepalive(link.ours, 30500, 7000);
    assert_int_not_equal(option(link.ours, SOL_SOCKET, SO_KEEPALIVE), 0);
    if (!test_on_windows()) { /* it counts in milliseconds and does not tell them */
        assert_int_equal(option(link.ours, IPPROTO_TCP, TCP_KEEPIDLE), 31);
        assert_int_equal(option(link.ours, IPPROTO_TCP, 5 /* TCP_KEEPINTVL of Linux */), 7);
    }
    sock_set_keepalive(link.ours, 0, 0);
    assert_int_equal(option(link.ours, SOL_SOCKET, SO_KEEPALIVE), 0);
    sock_set_keepalive(link.ours, UINT32_MAX, UINT32_MAX);
    assert_int_not_equal(option(link.ours, SOL_SOCKET, SO_KEEPALIVE), 0);
    close_link(&link);
}

static uint64_t handed; /* to the system, of the test below */

static bool nothing_is_unacknowledged(sock_t sock)
{
    uint64_t unsent;
    return sock_unacked(sock, handed, &unsent) && unsent == 0;
}

static void bytes_are_counted_until_the_peer_has_them(void **state)
{
    (void)state;
    struct link link = open_link();
    uint64_t unacked = 0;
    handed = 0;
    if (!sock_unacked(link.ours, 0, &unacked)) {
        assert_true(test_on_wine()); /* no SIO_TCP_INFO there */
        close_link(&link);
        skip();
    }
    assert_int_equal(unacked, 0);
    /* The window closes, so that most of it waits and nothing is on the way. */
    assert_int_equal(net_send_until_full(link.ours, 100, &handed), ERR_OK);
    assert_true(sock_unacked(link.ours, handed, &unacked));
    assert_in_range(unacked, 1, handed);
    assert_int_equal(sock_shutdown_send(link.ours), ERR_OK);
    assert_true(sock_unacked(link.ours, handed, &unacked));
    assert_true(unacked > 0);
    uint64_t received = 0;
    assert_int_equal(net_receive_end(link.peer, NET_PATIENCE_MS, &received, NULL), NET_END_FIN);
    assert_int_equal(received, handed);
    assert_true(comes_true(nothing_is_unacknowledged, link.ours));
    close_link(&link);
}

static void a_used_connection_has_a_round_trip_time_and_a_listener_has_none(void **state)
{
    (void)state;
    sock_t listener = listen_on(net_loopback(ADDR_IPV4, 0), false);
    struct sock_tcp_info info;
    assert_false(sock_tcp_info(listener, &info));
    sock_close(listener, SOCK_CLOSE_NORMAL);

    struct link link = open_link();
    char byte;
    assert_int_equal(net_send(link.ours, "x", 1, NET_PATIENCE_MS, NULL), ERR_OK);
    assert_int_equal(net_receive_all(link.peer, &byte, 1, NET_PATIENCE_MS), ERR_OK);
    memset(&info, 0xEE, sizeof info);
    if (sock_tcp_info(link.ours, &info)) {
        assert_in_range(info.rtt_us, 1, 10 * 1000 * 1000);
        assert_int_equal(info.retransmits_in_bytes, test_on_windows());
        assert_int_equal(info.retransmits_total, 0);
    } else {
        assert_true(test_on_wine());
    }
    close_link(&link);
}

static void closed_sockets_leave_no_descriptor(void **state)
{
    (void)state;
    struct link warm = open_link(); /* whatever the system opens once, is open now */
    close_link(&warm);
    uint64_t before = os_descriptor_count();
    if (before == 0) { /* Wine 8 does not count */
        assert_true(test_on_wine());
        skip();
    }
    for (int i = 0; i < 20; i++) {
        struct link link = open_link();
        close_link(&link);
    }
    assert_int_equal(os_descriptor_count(), before);
}

static void only_addresses_of_this_machine_are_its_own(void **state)
{
    (void)state;
    static const char *const own[] = {"127.0.0.1", "127.9.9.9", "::1"};
    static const char *const others[] = {"192.0.2.1", "2001:db8::1"}; /* RFC 5737, RFC 3849 */
    struct addr addr;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        assert_int_equal(addr_parse_ip(own[i], &addr), ERR_OK);
        addr.port = 7777;
        assert_true(sock_is_own_addr(&addr));
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(addr_parse_ip(others[i], &addr), ERR_OK);
        assert_false(sock_is_own_addr(&addr));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_survives_the_systems_form),
        cmocka_unit_test(only_addresses_of_this_machine_are_its_own),
        cmocka_unit_test(an_ipv4_address_mapped_into_ipv6_is_normalised),
        cmocka_unit_test(no_address_has_no_form),
        cmocka_unit_test(a_client_of_a_listener_sees_the_address_it_asked_for),
        cmocka_unit_test(a_port_that_is_listened_on_is_in_use),
        cmocka_unit_test(a_port_can_be_listened_on_again_right_after_its_connections_ended),
        cmocka_unit_test(an_address_of_another_machine_cannot_be_listened_on),
        cmocka_unit_test(a_dual_stack_listener_takes_ipv4_clients_and_knows_them_as_such),
        cmocka_unit_test(an_ipv6_listener_refuses_ipv4_clients_unless_told),
        cmocka_unit_test(a_socket_connects_from_the_address_it_was_bound_to),
        cmocka_unit_test(a_connection_with_a_delayed_ack_that_is_reset_is_never_accepted),
        cmocka_unit_test(receiving_never_blocks),
        cmocka_unit_test(a_port_in_use_cannot_be_a_source),
        cmocka_unit_test(nodelay_is_set_and_taken_back),
        cmocka_unit_test(keepalive_is_set_and_taken_back),
        cmocka_unit_test(bytes_are_counted_until_the_peer_has_them),
        cmocka_unit_test(a_used_connection_has_a_round_trip_time_and_a_listener_has_none),
        cmocka_unit_test(closed_sockets_leave_no_descriptor),
    };
    os_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
