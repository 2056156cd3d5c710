#include "base/addr_net.h"

#include <assert.h>
#include <string.h>

#include "base/str.h"

#define MAPPED_BITS 96 /* of an IPv6 address that stand before the IPv4 address in it */

static unsigned bits_of(enum addr_family family)
{
    switch (family) {
    case ADDR_NONE: return 0;
    case ADDR_IPV4: return 32;
    case ADDR_IPV6: return 128;
    }
    assert(false && "not a family");
    return 0;
}

const char *addr_net_format(const struct addr_net *net, char text[ADDR_NET_TEXT_MAX])
{
    char ip[ADDR_TEXT_MAX];
    str_format(text, ADDR_NET_TEXT_MAX, "%s/%u", addr_format_ip(&net->addr, ip), net->bits);
    return text;
}

const char *addr_net_format_short(const struct addr_net *net, char text[ADDR_NET_TEXT_MAX])
{
    bool single = net->bits == (net->addr.family == ADDR_IPV4 ? 32 : 128);
    return single ? addr_format_ip(&net->addr, text) : addr_net_format(net, text);
}

void addr_net_mask(struct addr *addr, unsigned bits)
{
    size_t whole = bits / 8;
    if (whole >= sizeof addr->ip)
        return;
    addr->ip[whole] &= (uint8_t)(0xff00u >> bits % 8);
    memset(addr->ip + whole + 1, 0, sizeof addr->ip - whole - 1);
}

/* Reads what stands behind the slash; without a slash all bits count. */
static enum err parse_bits(const char *slash, enum addr_family family, unsigned *bits)
{
    uint64_t number = bits_of(family);
    if (*slash != '\0' && str_parse_u64(slash + 1, &number) != ERR_OK)
        return ERR_RANGE;
    if (number > bits_of(family))
        return ERR_RANGE;
    *bits = (unsigned)number;
    return ERR_OK;
}

enum err addr_net_parse(const char *text, struct addr_net *net)
{
    char ip[ADDR_TEXT_MAX];
    size_t ip_len = strcspn(text, "/");
    if (ip_len >= sizeof ip || memchr(text, '%', ip_len) != NULL)
        return ERR_INVALID;
    memcpy(ip, text, ip_len);
    ip[ip_len] = '\0';

    struct addr addr;
    unsigned bits;
    if (addr_parse_ip(ip, &addr) != ERR_OK)
        return ERR_INVALID;
    enum addr_family family = (enum addr_family)addr.family;
    enum err err = parse_bits(text + ip_len, family, &bits);
    if (err != ERR_OK)
        return err;

    struct addr masked = addr;
    addr_net_mask(&masked, bits);
    if (!addr_equal(&masked, &addr))
        return ERR_UNSUPPORTED;
    /* The last of the bits that make an address a mapped one is set, so all 96 are within. */
    addr_normalise(&addr);
    if (addr.family != family)
        bits -= MAPPED_BITS;
    *net = (struct addr_net){.addr = addr, .bits = (uint8_t)bits};
    return ERR_OK;
}

bool addr_net_has(const struct addr_net *net, const struct addr *addr)
{
    struct addr masked = *addr;
    addr_normalise(&masked);
    masked.port = 0;
    masked.scope = 0;
    addr_net_mask(&masked, net->bits);
    return addr_equal(&masked, &net->addr);
}
