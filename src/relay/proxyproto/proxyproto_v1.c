#include <assert.h>
#include <string.h>

#include "relay/proxyproto/proxyproto_private.h"

/* ---- the protocol ---- */

struct protocol {
    const char *text;
    uint8_t family; /* enum addr_family, of both addresses */
    uint8_t next;   /* enum proxyproto_step */
};

static const struct protocol protocols[] = {
    {" TCP4 ", ADDR_IPV4, STEP_V1_SOURCE},
    {" TCP6 ", ADDR_IPV6, STEP_V1_SOURCE},
    {" UNKNOWN ", ADDR_NONE, STEP_V1_REST},
    {" UNKNOWN\r", ADDR_NONE, STEP_V1_REST_CR},
};

static void take_protocol(struct proxyproto_parser *parser, uint8_t byte)
{
    parser->text[parser->count++] = (char)byte;
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++) {
        const struct protocol *protocol = &protocols[i];
        if (strncmp(protocol->text, parser->text, parser->count) != 0)
            continue;
        if (protocol->text[parser->count] == '\0') {
            parser->source.family = protocol->family;
            parser->step = protocol->next;
            parser->count = 0;
        }
        return;
    }
    proxyproto_bad(parser, "PROXY is not followed by TCP4, TCP6 or UNKNOWN and one space each");
}

/* ---- the addresses ---- */

static bool may_stand_in(uint8_t byte, uint8_t family)
{
    static const char ipv4[] = "0123456789.";
    static const char ipv6[] = "0123456789abcdefABCDEF:.";
    if (family == ADDR_IPV4)
        return memchr(ipv4, byte, sizeof ipv4 - 1) != NULL;
    return memchr(ipv6, byte, sizeof ipv6 - 1) != NULL;
}

static const char *address_wanted(uint8_t family)
{
    return family == ADDR_IPV4 ? "behind TCP4 stand two IPv4 addresses, one space before each"
                               : "behind TCP6 stand two IPv6 addresses, one space before each";
}

static void take_address(struct proxyproto_parser *parser, uint8_t byte)
{
    uint8_t family = parser->source.family;
    if (byte != ' ') {
        if (may_stand_in(byte, family) && parser->count < PROXYPROTO_TEXT_MAX - 1)
            parser->text[parser->count++] = (char)byte;
        else
            proxyproto_bad(parser, address_wanted(family));
        return;
    }

    struct addr addr;
    parser->text[parser->count] = '\0';
    parser->count = 0;
    if (addr_parse_ip(parser->text, &addr) != ERR_OK || addr.family != family) {
        proxyproto_bad(parser, address_wanted(family));
    } else if (parser->step == STEP_V1_SOURCE) {
        parser->source = addr;
        parser->step = STEP_V1_DESTINATION;
    } else {
        parser->destination = addr;
        parser->step = STEP_V1_SOURCE_PORT;
    }
}

/* ---- the ports ---- */

/* Reads the next digit of a number without leading zeros. */
static bool take_digit(uint16_t *port, uint8_t *count, uint8_t byte)
{
    if (byte < '0' || byte > '9' || (*count > 0 && *port == 0))
        return false;
    uint32_t number = *port * 10u + (uint32_t)(byte - '0');
    if (number > UINT16_MAX)
        return false;
    *port = (uint16_t)number;
    ++*count;
    return true;
}

static void take_port(struct proxyproto_parser *parser, uint8_t byte)
{
    bool last = parser->step == STEP_V1_DESTINATION_PORT;
    if (byte == (last ? '\r' : ' ') && parser->count > 0) {
        parser->count = 0;
        parser->step = last ? STEP_V1_LF : STEP_V1_DESTINATION_PORT;
        return;
    }
    uint16_t *port = last ? &parser->destination.port : &parser->source.port;
    if (!take_digit(port, &parser->count, byte))
        proxyproto_bad(parser, "the addresses are followed by two ports of 0 to 65535 without "
                               "leading zeros, one space before each, and CR LF");
}

/* ---- the end ---- */

/* Whatever stands here is ignored, a CR or a LF alone too. */
static void take_rest(struct proxyproto_parser *parser, uint8_t byte)
{
    if (byte == '\n' && parser->step == STEP_V1_REST_CR) {
        parser->local = true;
        proxyproto_whole(parser);
        return;
    }
    parser->step = byte == '\r' ? STEP_V1_REST_CR : STEP_V1_REST;
}

static void take_lf(struct proxyproto_parser *parser, uint8_t byte)
{
    if (byte == '\n')
        proxyproto_whole(parser);
    else
        proxyproto_bad(parser, "the line ends with CR, it must end with CR LF");
}

static void take_byte(struct proxyproto_parser *parser, uint8_t byte)
{
    switch (parser->step) {
    case STEP_V1_PROTOCOL: take_protocol(parser, byte); return;
    case STEP_V1_SOURCE:
    case STEP_V1_DESTINATION: take_address(parser, byte); return;
    case STEP_V1_SOURCE_PORT:
    case STEP_V1_DESTINATION_PORT: take_port(parser, byte); return;
    case STEP_V1_LF: take_lf(parser, byte); return;
    case STEP_V1_REST:
    case STEP_V1_REST_CR: take_rest(parser, byte); return;
    }
    assert(false && "not a step of version 1");
}

void proxyproto_v1_take(struct proxyproto_parser *parser, uint8_t byte)
{
    take_byte(parser, byte);
    if (parser->state == PROXYPROTO_MORE && parser->consumed == PROXYPROTO_V1_MAX)
        proxyproto_bad(parser, "the line has no CR LF within 107 bytes");
}
