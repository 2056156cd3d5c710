/* proxyproto_private.h - what the two versions of a PROXY header share.
 *
 * proxyproto.c tells the versions apart; each has a file that takes the bytes behind the
 * signature one at a time, and one file writes both.
 */
#ifndef PAIRPORT_RELAY_PROXYPROTO_PROXYPROTO_PRIVATE_H
#define PAIRPORT_RELAY_PROXYPROTO_PROXYPROTO_PRIVATE_H

#include "relay/proxyproto/proxyproto.h"

/* What the next byte belongs to. */
enum proxyproto_step {
    STEP_BEGIN = 0,
    STEP_V1_SIGNATURE,
    STEP_V1_PROTOCOL, /* with the spaces around it */
    STEP_V1_SOURCE,
    STEP_V1_DESTINATION,
    STEP_V1_SOURCE_PORT,
    STEP_V1_DESTINATION_PORT,
    STEP_V1_LF,
    STEP_V1_REST,    /* behind UNKNOWN */
    STEP_V1_REST_CR, /* the same, and the last byte was a CR */
    STEP_V2_SIGNATURE,
    STEP_V2_COMMAND,
    STEP_V2_FAMILY,
    STEP_V2_LENGTH_HIGH,
    STEP_V2_LENGTH_LOW,
    STEP_V2_SKIPPED, /* bytes without a meaning */
    STEP_V2_ADDRESSES,
    STEP_V2_TLV_TYPE,
    STEP_V2_TLV_LENGTH_HIGH,
    STEP_V2_TLV_LENGTH_LOW,
    STEP_V2_TLV_VALUE
};

#define PROXYPROTO_V1_MAX 107 /* bytes with CR LF */

#define PROXYPROTO_V2_SIGNATURE_LEN 12
extern const uint8_t proxyproto_v2_signature[PROXYPROTO_V2_SIGNATURE_LEN];

enum {
    PP2_VERSION = 0x20, /* the high half of the byte behind the signature */
    PP2_LOCAL = 0x0,    /* its low half */
    PP2_PROXY = 0x1,

    PP2_UNSPEC = 0x0, /* the high half of the next byte */
    PP2_INET = 0x1,
    PP2_INET6 = 0x2,
    PP2_UNIX = 0x3,

    PP2_STREAM = 0x1, /* its low half, where 0 is UNSPEC too */
    PP2_DGRAM = 0x2,

    PP2_TYPE_CRC32C = 0x03,
    PP2_TYPE_UNIQUE_ID = 0x05
};

/* Take the next byte behind a signature; parser->consumed counts it already. */
void proxyproto_v1_take(struct proxyproto_parser *parser, uint8_t byte);
void proxyproto_v2_take(struct proxyproto_parser *parser, uint8_t byte);

/* The header ends with this byte: it is whole, or it breaks the rules. */
void proxyproto_whole(struct proxyproto_parser *parser);
void proxyproto_bad(struct proxyproto_parser *parser, const char *why);

#endif
