/* policy_fixture.c - addresses and networks for the tests of policy/. */
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct addr policy_addr(const char *text)
{
    struct addr addr;
    assert_int_equal(addr_parse_ip(text, &addr), ERR_OK);
    return addr;
}

struct addr_net policy_net(const char *text)
{
    struct addr_net net;
    assert_int_equal(addr_net_parse(text, &net), ERR_OK);
    return net;
}

struct addr policy_random_addr(struct random *dice)
{
    static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    struct addr addr = {0};
    bool is_ipv4 = random_chance(dice, 50);
    addr.family = is_ipv4 ? ADDR_IPV4 : ADDR_IPV6;
    size_t len = is_ipv4 ? 4 : 16;
    if (random_chance(dice, 10)) {
        random_fill(dice, addr.ip, len);
    } else {
        for (size_t i = 0; i < len; i++)
            addr.ip[i] = random_chance(dice, 80) ? 0 : (uint8_t)(1u << random_below(dice, 8));
    }
    if (is_ipv4 && random_chance(dice, 20)) {
        memcpy(addr.ip + sizeof mapped, addr.ip, 4);
        memcpy(addr.ip, mapped, sizeof mapped);
        addr.family = ADDR_IPV6;
    }
    addr.port = (uint16_t)random_below(dice, 65536);
    return addr;
}

struct addr_net policy_random_net(struct random *dice)
{
    struct addr_net net = {.addr = policy_random_addr(dice)};
    addr_normalise(&net.addr);
    net.addr.port = 0;
    net.bits = (uint8_t)random_between(dice, 0, net.addr.family == ADDR_IPV4 ? 32 : 128);
    addr_net_mask(&net.addr, net.bits);
    return net;
}
