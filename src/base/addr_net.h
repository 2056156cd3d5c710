/* addr_net.h - a network: an address and how many of its leading bits count (CIDR).
 *
 * Threads: any.
 */
#ifndef PAIRPORT_BASE_ADDR_NET_H
#define PAIRPORT_BASE_ADDR_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"

struct addr_net {
    struct addr addr; /* port and scope 0, the bits behind the prefix 0, normalised (addr.h) */
    uint8_t bits;     /* 0..32 or 0..128 */
};

/* "10.0.0.0/8", "2001:db8::/32", "::1/128". Returns `text`. */
#define ADDR_NET_TEXT_MAX (ADDR_TEXT_MAX + 4)
const char *addr_net_format(const struct addr_net *net, char text[ADDR_NET_TEXT_MAX]);

/* The same, but of a single address without its length: "10.0.0.7". Returns `text`. */
const char *addr_net_format_short(const struct addr_net *net, char text[ADDR_NET_TEXT_MAX]);

/* Reads "ADDRESS/BITS", or "ADDRESS" for that one alone; without brackets and zone. An
 * IPv4-mapped network of 96 bits or more becomes IPv4. ERR_INVALID: ADDRESS is none; ERR_RANGE:
 * BITS is no number or too large; ERR_UNSUPPORTED: bits are set behind the prefix, so it is not
 * clear whether the address or the network is meant. *net is untouched then. */
enum err addr_net_parse(const char *text, struct addr_net *net);

/* Sets the bits behind the first `bits` to zero; the others and the port stay. */
void addr_net_mask(struct addr *addr, unsigned bits);

/* True when the network has the address, mapped or not; its port and zone do not count. */
bool addr_net_has(const struct addr_net *net, const struct addr *addr);

#endif
