/* test_os_sock_end.c - how connections end, at this end and at the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/addr.h"
#include "os/bsd.h"
#include "os/os.h"
#include "os/sock.h"
#include "support/net.h"
#include "support/platform.h"

/* A connection: `ours` is looked at through os/, `peer` plays the other end. */
struct link {
    sock_t ours;
    sock_t peer;
};

static struct link open_link(void)
{
    sock_t listener;
    struct link link;
    struct addr addr = net_loopback(ADDR_IPV4, 0);
    assert_int_equal(net_listen(&addr, 1, &listener, &addr), ERR_OK);
    assert_int_equal(net_connect(&addr, NET_PATIENCE_MS, &link.peer), ERR_OK);
    assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &link.ours), ERR_OK);
    net_close(listener);
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

static bool has_bytes(sock_t sock)
{
    char byte;
    return recv(sock, &byte, 1, MSG_PEEK) == 1;
}

static void shutting_down_sends_fin_after_the_data_and_leaves_the_other_way_open(void **state)
{
    (void)state;
    struct link link = open_link();
    char text[6] = "";
    uint64_t bytes = 0;
    assert_int_equal(net_send(link.ours, "hello", 5, NET_PATIENCE_MS, NULL), ERR_OK);
    assert_int_equal(sock_shutdown_send(link.ours), ERR_OK);
    assert_int_equal(net_receive_end(link.peer, NET_PATIENCE_MS, &bytes, NULL), NET_END_FIN);
    assert_int_equal(bytes, 5);
    assert_int_equal(net_send(link.peer, "reply", 5, NET_PATIENCE_MS, NULL), ERR_OK);
    assert_int_equal(net_receive_all(link.ours, text, 5, NET_PATIENCE_MS), ERR_OK);
    assert_string_equal(text, "reply");
    close_link(&link);
}

static void shutting_down_a_dead_connection_says_closed(void **state)
{
    (void)state;
    struct link link = open_link();
    net_reset(link.peer);
    link.peer = SOCK_NONE;
    assert_true(comes_true(sock_peer_reset, link.ours));
    enum err err = sock_shutdown_send(link.ours);
    /* Wine only notices when the connection is used. */
    if (!test_on_wine() || err != ERR_OK)
        assert_int_equal(err, ERR_CLOSED);
    close_link(&link);
}

static void a_normal_close_is_a_fin_and_delivers_what_was_sent(void **state)
{
    (void)state;
    struct link link = open_link();
    uint64_t bytes = 0;
    assert_int_equal(net_send(link.ours, "last words", 10, NET_PATIENCE_MS, NULL), ERR_OK);
    sock_close(link.ours, SOCK_CLOSE_NORMAL);
    link.ours = SOCK_NONE;
    assert_int_equal(net_receive_end(link.peer, NET_PATIENCE_MS, &bytes, NULL), NET_END_FIN);
    assert_int_equal(bytes, 10);
    close_link(&link);
}

/* The systems send a reset when a socket with unread bytes is closed, and drop what is unsent. */
static void
a_close_that_discards_is_a_fin_and_delivers_although_bytes_were_not_read(void **state)
{
    (void)state;
    struct link link = open_link();
    uint64_t sent = 0, bytes = 0;
    assert_int_equal(net_send(link.peer, "not read", 8, NET_PATIENCE_MS, NULL), ERR_OK);
    assert_true(comes_true(has_bytes, link.ours));
    assert_int_equal(net_send_until_full(link.ours, 100, &sent), ERR_OK);
    sock_close(link.ours, SOCK_CLOSE_DISCARD);
    link.ours = SOCK_NONE;
    assert_int_equal(net_receive_end(link.peer, NET_PATIENCE_MS, &bytes, NULL), NET_END_FIN);
    assert_int_equal(bytes, sent);
    close_link(&link);
}

static void an_abort_is_a_reset(void **state)
{
    (void)state;
    for (int half_closed = 0; half_closed < 2; half_closed++) {
        struct link link = open_link();
        if (half_closed)
            assert_int_equal(sock_shutdown_send(link.ours), ERR_OK);
        sock_close(link.ours, SOCK_CLOSE_ABORT);
        link.ours = SOCK_NONE;
        assert_true(net_wait_reset(link.peer, NET_PATIENCE_MS));
        close_link(&link);
    }
}

/* How the peer ends, and whether that is a reset to sock_peer_reset(). Each is tried with and
 * without unread bytes before it, and with and without our own FIN before it. */
enum peer_end { PEER_STAYS, PEER_FIN, PEER_CLOSE, PEER_RESET, PEER_FIN_RESET };

static bool has_fin(sock_t sock)
{
    char byte;
    return recv(sock, &byte, 1, MSG_PEEK) == 0;
}

static void end_peer(struct link *link, enum peer_end end)
{
    switch (end) {
    case PEER_STAYS: return;
    case PEER_FIN: net_finish(link->peer); return;
    case PEER_CLOSE: net_close(link->peer); break;
    case PEER_RESET: net_reset(link->peer); break;
    case PEER_FIN_RESET:
        net_finish(link->peer);
        net_reset(link->peer);
        break;
    }
    link->peer = SOCK_NONE;
}

static void check_reset(enum peer_end end, bool unread, bool our_fin)
{
    bool expected = end == PEER_RESET || end == PEER_FIN_RESET;
    struct link link = open_link();
    char text[5];
    if (unread) {
        assert_int_equal(net_send(link.peer, "bytes", 5, NET_PATIENCE_MS, NULL), ERR_OK);
        assert_true(comes_true(has_bytes, link.ours));
    }
    if (our_fin) {
        assert_int_equal(sock_shutdown_send(link.ours), ERR_OK);
        uint64_t bytes;
        assert_int_equal(net_receive_end(link.peer, NET_PATIENCE_MS, &bytes, NULL),
                         NET_END_FIN);
    }
    assert_false(sock_peer_reset(link.ours));
    end_peer(&link, end);

    /* With both FINs through, the connection is over, and a reset after that is none: it meets
     * no connection any more. */
    if (end == PEER_FIN_RESET && our_fin)
        expected = false;
    if (expected)
        assert_true(comes_true(sock_peer_reset, link.ours));
    if (unread && !(expected && test_on_windows() && !test_on_wine())) /* a reset drops them */
        assert_int_equal(net_receive_all(link.ours, text, 5, NET_PATIENCE_MS), ERR_OK);
    if (end == PEER_FIN || end == PEER_CLOSE)
        assert_true(comes_true(has_fin, link.ours));

    /* Asking twice gives the same answer and takes nothing away from a later receive. */
    assert_int_equal(sock_peer_reset(link.ours), expected);
    assert_int_equal(sock_peer_reset(link.ours), expected);
    if (end == PEER_RESET && !test_on_wine()) { /* Wine reports a late reset as a FIN */
        size_t got;
        assert_int_equal(net_receive(link.ours, text, sizeof text, NET_PATIENCE_MS, &got),
                         ERR_RESET);
    }
    close_link(&link);
}

static void a_reset_by_the_peer_is_told_from_a_fin_in_every_state(void **state)
{
    (void)state;
    for (enum peer_end end = PEER_STAYS; end <= PEER_FIN_RESET; end++) {
        for (int unread = 0; unread < 2; unread++) {
            for (int our_fin = 0; our_fin < 2; our_fin++)
                check_reset(end, unread, our_fin);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shutting_down_sends_fin_after_the_data_and_leaves_the_other_way_open),
        cmocka_unit_test(shutting_down_a_dead_connection_says_closed),
        cmocka_unit_test(a_normal_close_is_a_fin_and_delivers_what_was_sent),
        cmocka_unit_test(
            a_close_that_discards_is_a_fin_and_delivers_although_bytes_were_not_read),
        cmocka_unit_test(an_abort_is_a_reset),
        cmocka_unit_test(a_reset_by_the_peer_is_told_from_a_fin_in_every_state),
    };
    os_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
