/* addr.h - an IP address with a port, without the system's socket headers.
 *
 * 24 bytes, compared and hashed as plain bytes: every unused byte is zero. An IPv4-mapped
 * IPv6 address (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2) is turned into IPv4 by
 * addr_normalise(), so that one player has one address everywhere.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_BASE_ADDR_H
#define PAIRPORT_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum addr_family { ADDR_NONE = 0, ADDR_IPV4 = 4, ADDR_IPV6 = 6 };

struct addr {
    uint8_t family; /* enum addr_family */
    uint8_t zero;   /* always 0 */
    uint16_t port;  /* host byte order */
    uint32_t scope; /* IPv6 zone index, 0 if none */
    uint8_t ip[16]; /* network byte order; IPv4 uses the first 4 */
};

/* Room for the longest text of addr_format(), its zero byte included:
 * "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%4294967295]:65535". */
#define ADDR_TEXT_MAX 72

/* "10.0.0.5:7000", "[::1]:7000" (RFC 5952 form); "-" for ADDR_NONE. Returns `text`. */
const char *addr_format(const struct addr *addr, char text[ADDR_TEXT_MAX]);

/* The same without port and brackets. Returns `text`. */
const char *addr_format_ip(const struct addr *addr, char text[ADDR_TEXT_MAX]);

/* Reads an IPv4 or IPv6 address without port ("10.0.0.5", "::1", "fe80::1%2"); no names, no
 * shortened IPv4 forms such as "10.1" or "0x7f.1". On success *addr has port 0.
 * ERR_INVALID leaves *addr alone. */
enum err addr_parse_ip(const char *text, struct addr *addr);

/* Splits "HOST:PORT", "[IPV6]:PORT" or ":PORT"/"*:PORT" (host becomes "") into host and port.
 * `host` receives at most `size` bytes with its zero byte. A port is 1..65535, or 0 when
 * `zero_ok`. ERR_INVALID: no colon, an unbracketed IPv6 address, an empty or overlong host
 * part; ERR_RANGE: the port is no number or out of range. */
enum err addr_split(const char *text, bool zero_ok, char *host, size_t size, uint16_t *port);

/* ::ffff:a.b.c.d becomes a.b.c.d; anything else stays as it is. */
void addr_normalise(struct addr *addr);

bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_is_any(const struct addr *addr);      /* 0.0.0.0 or :: */
bool addr_is_loopback(const struct addr *addr); /* 127.0.0.0/8 or ::1 */

#endif
