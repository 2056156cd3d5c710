/* proxyproto_make.c - makes PROXY headers by hand and at random. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "proxyproto_fixture.h"

uint32_t crc32c_by_bits(const uint8_t *bytes, size_t len)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < 8 * len; i++) {
        uint32_t bit = (crc ^ (uint32_t)bytes[i / 8] >> i % 8) & 1;
        crc = crc >> 1 ^ (bit ? 0x82F63B78u : 0);
    }
    return ~crc;
}

/* ---- version 2, by hand ---- */

void v2_begin(struct v2 *v2, uint8_t version_and_command, uint8_t family_and_transport)
{
    memcpy(v2->bytes, "\r\n\r\n\0\r\nQUIT\n", 12);
    v2->bytes[12] = version_and_command;
    v2->bytes[13] = family_and_transport;
    v2->len = V2_HEAD;
    v2_add(v2, "", 0);
}

void v2_add(struct v2 *v2, const void *bytes, size_t len)
{
    assert(v2->len + len <= V2_MAX);
    memcpy(v2->bytes + v2->len, bytes, len);
    v2->len += len;
    v2->bytes[14] = (uint8_t)((v2->len - V2_HEAD) >> 8);
    v2->bytes[15] = (uint8_t)(v2->len - V2_HEAD);
}

void v2_add_zeros(struct v2 *v2, size_t len)
{
    for (size_t i = 0; i < len; i++)
        v2_add(v2, "", 1);
}

static void add_port(struct v2 *v2, uint16_t port)
{
    const uint8_t bytes[] = {(uint8_t)(port >> 8), (uint8_t)port};
    v2_add(v2, bytes, sizeof bytes);
}

void v2_add_addresses(struct v2 *v2, const struct addr *source, const struct addr *destination)
{
    size_t size = source->family == ADDR_IPV4 ? 4 : 16;
    v2_add(v2, source->ip, size);
    v2_add(v2, destination->ip, size);
    add_port(v2, source->port);
    add_port(v2, destination->port);
}

void v2_add_tlv(struct v2 *v2, uint8_t type, const void *value, size_t len)
{
    const uint8_t head[] = {type, (uint8_t)(len >> 8), (uint8_t)len};
    v2_add(v2, head, sizeof head);
    v2_add(v2, value, len);
}

size_t v2_add_crc(struct v2 *v2)
{
    v2_add_tlv(v2, V2_CRC, "\0\0\0\0", 4);
    return v2->len - 4;
}

void v2_seal(struct v2 *v2, size_t at)
{
    memset(v2->bytes + at, 0, 4);
    uint32_t crc = crc32c_by_bits(v2->bytes, v2->len);
    for (size_t i = 0; i < 4; i++)
        v2->bytes[at + i] = (uint8_t)(crc >> (24 - 8 * i));
}

struct addr address(const char *ip, uint16_t port)
{
    struct addr addr;
    enum err err = addr_parse_ip(ip, &addr);
    assert(err == ERR_OK);
    addr.port = port;
    return addr;
}

/* ---- at random ---- */

static uint16_t random_port(struct random *random)
{
    static const uint16_t seldom[] = {0, 1, 9, 10, 255, 256, 9999, 10000, 65534, 65535};
    if (random_chance(random, 30))
        return seldom[random_below(random, sizeof seldom / sizeof seldom[0])];
    return (uint16_t)random_next(random);
}

static struct addr random_address(struct random *random, bool ipv6)
{
    struct addr addr = {.family = ipv6 ? ADDR_IPV6 : ADDR_IPV4, .port = random_port(random)};
    random_fill(random, addr.ip, ipv6 ? 16 : 4);
    if (ipv6 && random_chance(random, 20)) {
        memset(addr.ip, 0, 10);
        memset(addr.ip + 10, 0xFF, 2);
    } else if (ipv6 && random_chance(random, 50)) {
        size_t from = random_below(random, 16);
        memset(addr.ip + from, 0, random_between(random, 0, 16 - from));
    }
    return addr;
}

void random_addresses(struct random *random, bool ipv6, struct addr *source,
                      struct addr *destination)
{
    *source = random_address(random, ipv6);
    *destination = random_address(random, ipv6);
}

/* TLVs with a checksum among them, or none. */
static void add_random_tlvs(struct v2 *v2, struct random *random, size_t room)
{
    static const uint8_t types[] = {0x01, 0x02, V2_NOOP, V2_ID, 0x20, 0x30, V2_CUSTOM, 0xFF};
    uint8_t value[300];
    size_t crc_at = 0;
    for (uint64_t n = random_below(random, 6); n > 0 && v2->len + 3 + sizeof value <= room;
         n--) {
        if (crc_at == 0 && random_chance(random, 30)) {
            crc_at = v2_add_crc(v2);
            continue;
        }
        size_t len = random_chance(random, 30) ? 0 : random_below(random, sizeof value);
        random_fill(random, value, len);
        v2_add_tlv(v2, types[random_below(random, sizeof types)], value, len);
    }
    if (crc_at != 0)
        v2_seal(v2, crc_at);
}

void random_v2(struct v2 *v2, struct random *random, size_t room)
{
    static const uint8_t families[] = {0x00, 0x01, 0x10, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32};
    uint8_t family = families[random_below(random, sizeof families)];
    bool local = random_chance(random, 10);
    uint8_t bytes[216];

    v2_begin(v2, local ? V2_LOCAL : V2_PROXY, family);
    random_fill(random, bytes, sizeof bytes);
    if (local || family >> 4 == 0 || (family & 15) == 0) {
        v2_add(v2, bytes, random_below(random, sizeof bytes));
        return;
    }
    if (family >> 4 == 3) {
        v2_add(v2, bytes, sizeof bytes);
    } else {
        struct addr source, destination;
        random_addresses(random, family >> 4 == 2, &source, &destination);
        v2_add_addresses(v2, &source, &destination);
    }
    add_random_tlvs(v2, random, room);
}

size_t random_v1(char line[128], struct random *random)
{
    struct addr source, destination;
    char source_text[ADDR_TEXT_MAX], destination_text[ADDR_TEXT_MAX];
    if (random_chance(random, 10))
        return (size_t)snprintf(line, 128, "PROXY UNKNOWN%s\r\n",
                                random_chance(random, 50) ? " \r1 \n 2" : "");
    bool ipv6 = random_chance(random, 50);
    random_addresses(random, ipv6, &source, &destination);
    return (size_t)snprintf(line, 128, "PROXY TCP%c %s %s %u %u\r\n", ipv6 ? '6' : '4',
                            addr_format_ip(&source, source_text),
                            addr_format_ip(&destination, destination_text), source.port,
                            destination.port);
}
