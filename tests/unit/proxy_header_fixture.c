#include "proxy_header_fixture.h"
#include "relay/server_info.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr_net.h"
#include "proxyproto_fixture.h"

struct header headers[HEADERS];

static struct addr_net trust;

static void make_v1(struct header *header, const char *family)
{
    char source[ADDR_TEXT_MAX], destination[ADDR_TEXT_MAX];
    header->len = str_format((char *)header->bytes, HEADER_MAX, "PROXY %s %s %s %u %u\r\n",
                             family, addr_format_ip(&header->source, source),
                             addr_format_ip(&header->destination, destination),
                             (unsigned)header->source.port, (unsigned)header->destination.port);
}

static void make_v2(struct header *header, uint8_t family)
{
    static struct v2 v2;
    v2_begin(&v2, V2_PROXY, family);
    v2_add_addresses(&v2, &header->source, &header->destination);
    v2_add_tlv(&v2, V2_CUSTOM, "anything", 8);
    v2_seal(&v2, v2_add_crc(&v2));
    assert_true(v2.len <= HEADER_MAX);
    memcpy(header->bytes, v2.bytes, v2.len);
    header->len = v2.len;
}

void make_headers(void)
{
    for (size_t i = 0; i < HEADERS; i++) {
        bool ipv6 = i % 2 == 1;
        headers[i].source = address(ipv6 ? "2001:db8::7" : "192.0.2.7", 5555);
        headers[i].destination = address(ipv6 ? "2001:db8::1" : "203.0.113.1", 7777);
    }
    make_v1(&headers[0], "TCP4");
    make_v1(&headers[1], "TCP6");
    make_v2(&headers[2], V2_TCP4);
    make_v2(&headers[3], V2_TCP6);
}

struct addr own_address(void)
{
    return address("1.2.3.4", 40000);
}

void expect_headers(struct fixture *fix, enum conf_proxy_in in, bool trusted)
{
    assert_int_equal(addr_net_parse(trusted ? "1.2.0.0/16" : "9.9.9.9", &trust), ERR_OK);
    fix->route_conf.proxy_in = in;
    fix->route_conf.proxy_timeout_ms = PROXY_TIMEOUT_MS;
    fix->route_conf.trusts = &trust;
    fix->route_conf.trust_count = 1;
}

struct server_session_info latest_info(struct fixture *fix)
{
    struct server_session_info info;
    struct pair *pair = fixture_latest(fix);
    assert_non_null(pair);
    assert_true(pair_get_info(pair, false, &info));
    pair_unref(pair);
    return info;
}

/* Something of the client waits to be received. */
static bool has_more(sock_t client)
{
    const struct fake_sock *sock = fake_sock(client);
    return fake_port_waiting(client, OP_READ) > 0 &&
           (sock->coming_len > 0 || sock->coming_end != ERR_AGAIN);
}

void settle(struct fixture *fix, sock_t client, sock_t upstream)
{
    for (;;) {
        if (fake_port_waiting(upstream, OP_WRITE) > 0)
            fixture_taken(fix, upstream);
        else if (has_more(client))
            fixture_arrive_bytes(fix, client, "", 0);
        else
            return;
    }
}
