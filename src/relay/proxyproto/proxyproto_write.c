#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "relay/proxyproto/crc32c.h"
#include "relay/proxyproto/proxyproto_private.h"

#define HEAD_LEN     16 /* signature, version and command, family and transport, length */
#define TLV_HEAD_LEN 3

struct ends {
    struct addr source, destination; /* of one family */
};

/* ::ffff:a.b.c.d, RFC 4291 section 2.5.5.2; an IPv6 address stays as it is. */
static void map_to_ipv6(struct addr *addr)
{
    if (addr->family != ADDR_IPV4)
        return;
    struct addr mapped = {.family = ADDR_IPV6, .port = addr->port, .ip = {[10] = 0xFF, 0xFF}};
    memcpy(mapped.ip + 12, addr->ip, 4);
    *addr = mapped;
}

/* A zone index means something on this host only. */
static struct addr for_others(const struct addr *addr)
{
    struct addr result = *addr;
    addr_normalise(&result);
    result.scope = 0;
    return result;
}

/* False if there is nothing to say about an end. */
static bool make_ends(const struct addr *source, const struct addr *destination,
                      struct ends *ends)
{
    if (source->family == ADDR_NONE || destination->family == ADDR_NONE)
        return false;
    ends->source = for_others(source);
    ends->destination = for_others(destination);
    if (ends->source.family != ends->destination.family) {
        map_to_ipv6(&ends->source);
        map_to_ipv6(&ends->destination);
    }
    return true;
}

/* ---- version 1 ---- */

size_t proxyproto_write_v1(const struct addr *source, const struct addr *destination,
                           uint8_t out[PROXYPROTO_OUT_MAX])
{
    struct ends ends;
    char source_text[ADDR_TEXT_MAX];
    char destination_text[ADDR_TEXT_MAX];

    if (!make_ends(source, destination, &ends))
        return proxyproto_write_local(false, out);
    return str_format((char *)out, PROXYPROTO_OUT_MAX, "PROXY TCP%c %s %s %u %u\r\n",
                      ends.source.family == ADDR_IPV4 ? '4' : '6',
                      addr_format_ip(&ends.source, source_text),
                      addr_format_ip(&ends.destination, destination_text), ends.source.port,
                      ends.destination.port);
}

/* ---- version 2 ---- */

static void put_u16(uint8_t *out, size_t value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

/* Returns the length of the header so far: it has no addresses yet. */
static size_t put_head(uint8_t *out, uint8_t command, uint8_t family_and_transport)
{
    memcpy(out, proxyproto_v2_signature, sizeof proxyproto_v2_signature);
    out[12] = PP2_VERSION | command;
    out[13] = family_and_transport;
    put_u16(out + 14, 0);
    return HEAD_LEN;
}

static size_t put_addresses(uint8_t *out, const struct ends *ends)
{
    size_t size = ends->source.family == ADDR_IPV4 ? 4 : 16;
    memcpy(out, ends->source.ip, size);
    memcpy(out + size, ends->destination.ip, size);
    put_u16(out + 2 * size, ends->source.port);
    put_u16(out + 2 * size + 2, ends->destination.port);
    return 2 * size + 4;
}

static size_t put_tlv(uint8_t *out, uint8_t type, const void *value, size_t len)
{
    out[0] = type;
    put_u16(out + 1, len);
    memcpy(out + TLV_HEAD_LEN, value, len);
    return TLV_HEAD_LEN + len;
}

/* The last TLV, and the length of everything, which the checksum covers. */
static size_t put_crc_and_length(uint8_t *out, size_t len)
{
    uint8_t value[4] = {0};
    size_t whole = len + put_tlv(out + len, PP2_TYPE_CRC32C, value, sizeof value);
    put_u16(out + 14, whole - HEAD_LEN);

    uint32_t crc = crc32c(0, out, whole);
    put_u16(value, crc >> 16);
    put_u16(value + 2, crc & 0xFFFF);
    put_tlv(out + len, PP2_TYPE_CRC32C, value, sizeof value);
    return whole;
}

size_t proxyproto_write_v2(const struct addr *source, const struct addr *destination,
                           uint64_t id, uint8_t out[PROXYPROTO_OUT_MAX])
{
    struct ends ends;
    size_t len;

    if (make_ends(source, destination, &ends)) {
        unsigned family = ends.source.family == ADDR_IPV4 ? PP2_INET : PP2_INET6;
        len = put_head(out, PP2_PROXY, (uint8_t)(family << 4 | PP2_STREAM));
        len += put_addresses(out + len, &ends);
    } else {
        /* PROXY with UNSPEC would say it too, but HAProxy 2.6 refuses that. */
        len = put_head(out, PP2_LOCAL, PP2_UNSPEC);
    }
    if (id != 0) {
        char text[24]; /* 20 digits at most */
        size_t digits = str_format(text, sizeof text, "%" PRIu64, id);
        len += put_tlv(out + len, PP2_TYPE_UNIQUE_ID, text, digits);
    }
    return put_crc_and_length(out, len);
}

/* ---- the relay's own connections ---- */

size_t proxyproto_write_local(bool v2, uint8_t out[PROXYPROTO_OUT_MAX])
{
    if (v2)
        return put_head(out, PP2_LOCAL, PP2_UNSPEC);
    return str_format((char *)out, PROXYPROTO_OUT_MAX, "PROXY UNKNOWN\r\n");
}
