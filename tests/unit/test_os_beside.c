/* Listening sockets whose addresses overlap, one in the place of the other; and who listens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "os/beside.h"
#include "os/holder.h"
#include "os/os.h"
#include "support/net.h"
#include "support/platform.h"

#define SOON_MS 300 /* less than TCP waits before it asks again */

static void everywhere(struct addr *addr, uint16_t port)
{
    *addr = (struct addr){.family = ADDR_IPV4, .port = port};
}

/* The old one listens at a loopback address, the new one is bound to all of IPv4. */
static enum err replace(sock_t *old, sock_t *new, struct addr *at)
{
    struct addr all;
    *at = net_loopback(ADDR_IPV4, net_free_port());
    everywhere(&all, at->port);
    assert_int_equal(sock_listen(at, false, 16, old), ERR_OK);
    enum err err = beside_bind(&all, false, old, 1, new);
    assert_int_equal(err, test_on_windows() ? ERR_UNSUPPORTED : ERR_OK);
    return err;
}

static void a_socket_listens_beside_the_one_whose_place_it_takes(void **state)
{
    (void)state;
    sock_t old, new, third, client;
    struct addr at, all;
    if (replace(&old, &new, &at) != ERR_OK) {
        sock_close(old, SOCK_CLOSE_NORMAL);
        return;
    }
    assert_int_equal(beside_listen(new, 16), ERR_OK);
    beside_end(old);
    beside_end(new);
    everywhere(&all, at.port);
    assert_int_equal(beside_bind(&all, false, NULL, 0, &third), ERR_IN_USE);
    sock_close(old, SOCK_CLOSE_NORMAL);
    assert_int_equal(net_connect(&at, NET_PATIENCE_MS, &client), ERR_OK);
    net_close(client);
    sock_close(new, SOCK_CLOSE_NORMAL);
}

/* With as many descriptors in use as clients may have. */
static void a_listener_needs_no_descriptor_of_the_clients(void **state)
{
    (void)state;
    sock_t sock = SOCK_NONE;
    struct addr at = net_loopback(ADDR_IPV4, 0);
    sock_set_ceiling(0);
    enum err client = sock_open(ADDR_IPV4, &sock);
    if (client == ERR_OK)
        sock_close(sock, SOCK_CLOSE_NORMAL);
    enum err err = beside_bind(&at, false, NULL, 0, &sock);
    sock_set_ceiling(UINT64_MAX);
    assert_int_equal(client, test_on_windows() ? ERR_OK : ERR_NO_DESCRIPTORS);
    assert_int_equal(err, ERR_OK);
    sock_close(sock, SOCK_CLOSE_NORMAL);
}

/* It asks again, and then the old one is gone. */
static void who_is_not_heard_by_the_old_socket_comes_to_the_new_one(void **state)
{
    (void)state;
    sock_t old, new, client;
    struct addr at;
    if (replace(&old, &new, &at) != ERR_OK) {
        sock_close(old, SOCK_CLOSE_NORMAL);
        return;
    }
    assert_int_equal(beside_listen(new, 16), ERR_OK);
    beside_refuse_new(old); /* it would get the client: its address fits better */
    assert_int_equal(net_connect(&at, SOON_MS, &client), ERR_TIMEDOUT);
    sock_close(old, SOCK_CLOSE_NORMAL);
    assert_int_equal(net_connect(&at, NET_PATIENCE_MS, &client), ERR_OK);
    net_close(client);
    sock_close(new, SOCK_CLOSE_NORMAL);
}

static void an_address_that_is_free_is_found_to_be_so(void **state)
{
    (void)state;
    struct addr at = net_loopback(ADDR_IPV4, net_free_port());
    sock_t sock, listener;
    assert_int_equal(beside_bind(&at, false, NULL, 0, &sock), ERR_OK);
    sock_close(sock, SOCK_CLOSE_NORMAL);
    assert_int_equal(sock_listen(&at, false, 16, &listener), ERR_OK);
    assert_int_equal(beside_bind(&at, false, NULL, 0, &sock), ERR_IN_USE);
    sock_close(listener, SOCK_CLOSE_NORMAL);
}

static void a_socket_of_this_process_has_no_other_holder(void **state)
{
    (void)state;
    struct addr at = net_loopback(ADDR_IPV4, net_free_port());
    struct holder holder;
    char text[HOLDER_TEXT_MAX];
    sock_t listener;
    assert_int_equal(sock_listen(&at, false, 16, &listener), ERR_OK);
    assert_false(holder_find(&at, false, &holder));
    assert_string_equal(holder_text(&at, false, text), "");
    sock_close(listener, SOCK_CLOSE_NORMAL);
}

static void addresses_overlap_as_the_system_sees_it(void **state)
{
    (void)state;
    struct addr all, one = net_loopback(ADDR_IPV4, 7), other = one, six, one6;
    everywhere(&all, 7);
    six = (struct addr){.family = ADDR_IPV6, .port = 7};
    one6 = net_loopback(ADDR_IPV6, 7);
    other.ip[3] = 9;
    assert_true(holder_overlaps(&one, false, &one));
    assert_false(holder_overlaps(&one, false, &other));
    assert_true(holder_overlaps(&all, false, &one));
    assert_true(holder_overlaps(&one, false, &all));
    assert_true(holder_overlaps(&six, true, &one));
    assert_false(holder_overlaps(&six, false, &one));
    assert_false(holder_overlaps(&one, false, &one6));
    all.port = 8;
    assert_false(holder_overlaps(&one, false, &all));
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_listens_beside_the_one_whose_place_it_takes),
        cmocka_unit_test(a_listener_needs_no_descriptor_of_the_clients),
        cmocka_unit_test(who_is_not_heard_by_the_old_socket_comes_to_the_new_one),
        cmocka_unit_test(an_address_that_is_free_is_found_to_be_so),
        cmocka_unit_test(a_socket_of_this_process_has_no_other_holder),
        cmocka_unit_test(addresses_overlap_as_the_system_sees_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
