#include <assert.h>

#include "relay/proxyproto/crc32c.h"
#include "relay/proxyproto/proxyproto_private.h"

#define CRC_LEN 4 /* bytes of a CRC32c TLV's value */

/* ---- the first 16 bytes ---- */

static void take_command(struct proxyproto_parser *parser, uint8_t byte)
{
    uint8_t command = byte & 0x0F;
    if ((byte & 0xF0) != PP2_VERSION)
        proxyproto_bad(parser, "the version in the binary header is not 2");
    else if (command != PP2_LOCAL && command != PP2_PROXY)
        proxyproto_bad(parser, "the command is neither LOCAL nor PROXY");
    parser->local = command == PP2_LOCAL;
    parser->step = STEP_V2_FAMILY;
}

/* AF_UNIX has no enum addr_family: ADDR_NONE, but not local until its TLVs have been seen. */
static void take_family(struct proxyproto_parser *parser, uint8_t byte)
{
    static const uint8_t families[] = {
        [PP2_UNSPEC] = ADDR_NONE,
        [PP2_INET] = ADDR_IPV4,
        [PP2_INET6] = ADDR_IPV6,
        [PP2_UNIX] = ADDR_NONE,
    };
    uint8_t family = byte >> 4;
    uint8_t transport = byte & 0x0F;

    parser->step = STEP_V2_LENGTH_HIGH;
    if (parser->local)
        return; /* with LOCAL the byte has no meaning, so none is wrong */
    if (family > PP2_UNIX) {
        proxyproto_bad(parser, "the address family is none of UNSPEC, INET, INET6 and UNIX");
    } else if (transport > PP2_DGRAM) {
        proxyproto_bad(parser, "the transport is none of UNSPEC, STREAM and DGRAM");
    } else {
        parser->local = family == PP2_UNSPEC || transport == 0;
        parser->source.family = families[family];
        parser->destination.family = families[family];
    }
}

/* The bytes of one address without its port. */
static size_t address_size(const struct proxyproto_parser *parser)
{
    switch ((enum addr_family)parser->source.family) {
    case ADDR_NONE: return 108; /* AF_UNIX */
    case ADDR_IPV4: return 4;
    case ADDR_IPV6: return 16;
    }
    assert(false && "not a family");
    return 0;
}

/* Of both addresses, with ports if they have some. */
static size_t addresses_size(const struct proxyproto_parser *parser)
{
    size_t ports = parser->source.family == ADDR_NONE ? 0 : 4;
    return 2 * address_size(parser) + ports;
}

static void begin_body(struct proxyproto_parser *parser)
{
    parser->step = parser->local ? STEP_V2_SKIPPED : STEP_V2_ADDRESSES;
    if (!parser->local && parser->left < addresses_size(parser))
        proxyproto_bad(parser, "the header is too short for the addresses of its family");
}

/* ---- the addresses ---- */

/* Both addresses, then both ports, in network byte order. */
static void take_address(struct proxyproto_parser *parser, uint8_t byte)
{
    size_t size = address_size(parser);
    size_t at = parser->count++;

    if (parser->source.family == ADDR_NONE) {
        /* a path; nothing here wants to know it */
    } else if (at < size) {
        parser->source.ip[at] = byte;
    } else if (at < 2 * size) {
        parser->destination.ip[at - size] = byte;
    } else {
        struct addr *addr = at < 2 * size + 2 ? &parser->source : &parser->destination;
        addr->port = (uint16_t)(addr->port << 8 | byte);
    }
    if (parser->count == addresses_size(parser))
        parser->step = STEP_V2_TLV_TYPE;
}

/* ---- the TLVs ---- */

static void take_tlv_type(struct proxyproto_parser *parser, uint8_t byte)
{
    parser->tlv_type = byte;
    parser->tlv_left = 0;
    parser->step = STEP_V2_TLV_LENGTH_HIGH;
    if (parser->left < 2)
        proxyproto_bad(parser, "the header ends within the type and length of a TLV");
}

static void begin_tlv_value(struct proxyproto_parser *parser)
{
    parser->step = parser->tlv_left > 0 ? STEP_V2_TLV_VALUE : STEP_V2_TLV_TYPE;
    if (parser->tlv_left > parser->left) {
        proxyproto_bad(parser, "a TLV is longer than what is left of the header");
    } else if (parser->tlv_type == PP2_TYPE_CRC32C) {
        if (parser->tlv_left != CRC_LEN)
            proxyproto_bad(parser, "the checksum has not 4 bytes");
        else if (parser->has_crc)
            proxyproto_bad(parser, "the header has two checksums");
        parser->has_crc = true;
    }
}

static void take_tlv_value(struct proxyproto_parser *parser, uint8_t byte)
{
    if (parser->tlv_type == PP2_TYPE_CRC32C)
        parser->sent_crc = parser->sent_crc << 8 | byte;
    if (--parser->tlv_left == 0)
        parser->step = STEP_V2_TLV_TYPE;
}

/* ---- all of it ---- */

/* The sender had zeros where its checksum stands now. */
static void add_to_crc(struct proxyproto_parser *parser, uint8_t byte)
{
    if (parser->step == STEP_V2_COMMAND)
        parser->crc = crc32c(0, proxyproto_v2_signature, sizeof proxyproto_v2_signature);
    if (parser->step == STEP_V2_TLV_VALUE && parser->tlv_type == PP2_TYPE_CRC32C)
        byte = 0;
    parser->crc = crc32c(parser->crc, &byte, 1);
}

static void take_byte(struct proxyproto_parser *parser, uint8_t byte)
{
    switch (parser->step) {
    case STEP_V2_COMMAND: take_command(parser, byte); return;
    case STEP_V2_FAMILY: take_family(parser, byte); return;
    case STEP_V2_LENGTH_HIGH:
        parser->left = (uint16_t)(byte << 8);
        parser->step = STEP_V2_LENGTH_LOW;
        return;
    case STEP_V2_LENGTH_LOW:
        parser->left |= byte;
        begin_body(parser);
        return;
    case STEP_V2_SKIPPED: return;
    case STEP_V2_ADDRESSES: take_address(parser, byte); return;
    case STEP_V2_TLV_TYPE: take_tlv_type(parser, byte); return;
    case STEP_V2_TLV_LENGTH_HIGH:
        parser->tlv_left = (uint16_t)(byte << 8);
        parser->step = STEP_V2_TLV_LENGTH_LOW;
        return;
    case STEP_V2_TLV_LENGTH_LOW:
        parser->tlv_left |= byte;
        begin_tlv_value(parser);
        return;
    case STEP_V2_TLV_VALUE: take_tlv_value(parser, byte); return;
    }
    assert(false && "not a step of version 2");
}

static void finish(struct proxyproto_parser *parser)
{
    if (parser->has_crc && parser->sent_crc != parser->crc) {
        proxyproto_bad(parser, "the checksum is wrong");
        return;
    }
    if (parser->source.family == ADDR_NONE)
        parser->local = true;
    proxyproto_whole(parser);
}

void proxyproto_v2_take(struct proxyproto_parser *parser, uint8_t byte)
{
    add_to_crc(parser, byte);
    if (parser->step >= STEP_V2_SKIPPED)
        parser->left--;
    take_byte(parser, byte);
    if (parser->state == PROXYPROTO_MORE && parser->step >= STEP_V2_SKIPPED &&
        parser->left == 0)
        finish(parser);
}
