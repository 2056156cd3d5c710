/* Ranges of ports: thousands of listeners in one line, each of which leads to a port of its own;
 * and the local addresses that connections to upstreams come from. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

#define PORTS_FIRST 10240
#define PORTS_LAST  31999 /* below those of outgoing connections */
#define TRIES       50

static bool is_free_range(uint16_t first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct addr addr = net_loopback(ADDR_IPV4, (uint16_t)(first + i));
        sock_t sock;
        if (net_listen(&addr, 1, &sock, NULL) != ERR_OK)
            return false;
        net_close(sock);
    }
    return true;
}

/* `count` ports in a row that nobody listens on, and none of them in the other range of as many
 * that begins with `other` (0: there is none). */
static uint16_t free_range(unsigned count, uint16_t other)
{
    for (unsigned i = 0; i < TRIES; i++) {
        unsigned room = PORTS_LAST - PORTS_FIRST + 1 - count;
        unsigned first = PORTS_FIRST + (unsigned)(os_random() % room);
        bool apart = first + count <= other || other + count <= first || other == 0;
        if (apart && is_free_range((uint16_t)first, count))
            return (uint16_t)first;
    }
    fail_msg("no %u free ports in a row were found", count);
    return 0;
}

/* A relay that has a route 'many' beside its usual one, which leads nowhere. */
static struct relay_run *start_with_range(void **state, uint16_t first, unsigned count,
                                          const char *upstream)
{
    const struct addr nowhere = net_loopback(ADDR_IPV4, net_free_port());
    char more[256];
    str_format(more, sizeof more, "[route many]\nlisten = 127.0.0.1:%u-%u\nupstream = %s\n",
               (unsigned)first, first + count - 1, upstream);
    const struct relay_setup setup = {.upstreams = &nowhere,
                                      .upstream_count = 1,
                                      .listen = "127.0.0.2", /* its port may be in the range */
                                      .more = count > 0 ? more : NULL};
    return relay_start(state, &setup);
}

/* What a relay without a range holds. */
static uint64_t resident_without(void **state)
{
    struct relay_run *relay = start_with_range(state, 1, 0, "");
    uint64_t resident = process_resident_bytes(relay->process);
    relay_end(relay);
    relay_teardown(state);
    return resident;
}

static void check_port(uint16_t from, uint16_t to)
{
    struct addr upstream = net_loopback(ADDR_IPV4, to);
    struct addr relay = net_loopback(ADDR_IPV4, from);
    sock_t listener;
    assert_int_equal(net_listen(&upstream, 8, &listener, NULL), ERR_OK);
    struct session session = session_open(&relay, listener);
    session_check(&session);
    session_end(&session);
    net_close(listener);
}

static void each_port_of_a_range_leads_to_its_own(void **state)
{
    unsigned count = test_on_windows() ? 200 : 2000;
    uint64_t before = resident_without(state);
    uint16_t first = free_range(count, 0);
    uint16_t to = free_range(count, first);
    char upstream[64];
    str_format(upstream, sizeof upstream, "127.0.0.1:%u-%u", (unsigned)to, to + count - 1);

    uint64_t start = os_mono_ms();
    struct relay_run *relay = start_with_range(state, first, count, upstream);
    uint64_t took = os_mono_ms() - start;
    uint64_t after = process_resident_bytes(relay->process);
    uint64_t each = after > before ? (after - before) / count : 0;
    print_message("%u ports: started in %" PRIu64 " ms, %" PRIu64 " bytes of memory each\n",
                  count, took, each);
    if (!test_under_sanitizer() && !test_on_windows())
        assert_in_range(each, 0, 8 * 1024);

    const unsigned sample[] = {0, 1, count / 3, count / 2, count - 2, count - 1};
    for (size_t i = 0; i < sizeof sample / sizeof sample[0]; i++)
        check_port((uint16_t)(first + sample[i]), (uint16_t)(to + sample[i]));
    relay_wait_nothing_left(relay);
    relay_end(relay);
}

static void a_port_of_a_range_whose_own_upstream_port_is_closed_refuses(void **state)
{
    uint16_t first = free_range(3, 0);
    uint16_t to = free_range(3, first);
    char upstream[64];
    str_format(upstream, sizeof upstream, "127.0.0.1:%u-%u", (unsigned)to, to + 2u);
    struct relay_run *relay = start_with_range(state, first, 3, upstream);
    struct addr middle = net_loopback(ADDR_IPV4, (uint16_t)(first + 1));
    struct addr beside = net_loopback(ADDR_IPV4, (uint16_t)(to + 2));
    sock_t listener;
    assert_int_equal(net_listen(&beside, 8, &listener, NULL), ERR_OK);
    sock_t client = connect_client(&middle);
    expect_end(client, NET_END_RESET, 0);
    net_close(client);
    expect_log(relay, "upstream=127.0.0.1:%u reason=connect_refused", to + 1u);
    net_close(listener);
    relay_wait_nothing_left(relay);
    relay_end(relay);
}

static void all_ports_of_a_range_may_lead_to_one(void **state)
{
    struct addr upstream;
    char text[ADDR_TEXT_MAX];
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    uint16_t first = free_range(20, 0);
    struct relay_run *relay = start_with_range(state, first, 20, addr_format(&upstream, text));
    for (unsigned i = 0; i < 20; i++) {
        struct addr addr = net_loopback(ADDR_IPV4, (uint16_t)(first + i));
        struct session session = session_open(&addr, listener);
        session_check(&session);
        session_end(&session);
    }
    net_close(listener);
    relay_wait_nothing_left(relay);
    relay_end(relay);
}

static void connections_come_from_the_source_addresses_in_turn(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {.upstreams = &upstream,
                                      .upstream_count = 1,
                                      .route_keys = "source = 127.0.0.2,127.0.0.3\n"};
    struct relay_run *relay = relay_start(state, &setup);
    for (unsigned i = 0; i < 6; i++) {
        struct session session = session_open(&relay->addr, listener);
        struct addr peer;
        char text[ADDR_TEXT_MAX];
        assert_int_equal(net_peer_addr(session.upstream, &peer), ERR_OK);
        assert_string_equal(addr_format_ip(&peer, text),
                            i % 2 == 0 ? "127.0.0.2" : "127.0.0.3");
        session_check(&session);
        session_end(&session);
    }
    net_close(listener);
    relay_wait_nothing_left(relay);
    relay_end(relay);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(each_port_of_a_range_leads_to_its_own, relay_teardown),
        cmocka_unit_test_teardown(a_port_of_a_range_whose_own_upstream_port_is_closed_refuses,
                                  relay_teardown),
        cmocka_unit_test_teardown(all_ports_of_a_range_may_lead_to_one, relay_teardown),
        cmocka_unit_test_teardown(connections_come_from_the_source_addresses_in_turn,
                                  relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
