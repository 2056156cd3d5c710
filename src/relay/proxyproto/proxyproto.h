/* proxyproto.h - PROXY protocol headers, version 1 and 2: who the client really is.
 *
 * Source: "The PROXY protocol, Versions 1 & 2" of HAProxy Technologies, doc/proxy-protocol.txt.
 * Pure: bytes in, result out. The parser takes what has come so far, however little; how a
 * stream is cut into calls makes no difference to the result.
 *
 * Limits of the specification: version 1 has at most 107 bytes with its CR LF; version 2 has 16
 * bytes, then at most 65,535. A CRC32c TLV is checked, all other TLVs are passed over.
 *
 * Where the specification leaves a choice:
 * - What begins with the whole signature of a version ("PROXY", or the 12 bytes) is a header of
 *   that version or BAD; what leaves both signatures earlier is NONE.
 * - UNKNOWN is followed by a space or a CR; then anything goes until CR LF.
 * - LOCAL, and PROXY with family or transport UNSPEC: the announced bytes are passed over as
 *   they are. Nobody can tell where TLVs begin there, so no checksum is looked for.
 * - AF_UNIX: its 216 bytes must be there, and its TLVs are checked; then it is local.
 * - STREAM and DGRAM mean the same: the addresses of the original connection count.
 * - Two CRC32c TLVs are BAD, since neither says which bytes of the other it was made from.
 *
 * Threads: any; a parser belongs to its owner.
 */
#ifndef PAIRPORT_RELAY_PROXYPROTO_PROXYPROTO_H
#define PAIRPORT_RELAY_PROXYPROTO_PROXYPROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/* ---- in ---- */

enum proxyproto_state {
    PROXYPROTO_MORE = 0, /* so far it may be a header; more bytes are needed */
    PROXYPROTO_HEADER,   /* a whole header */
    PROXYPROTO_NONE,     /* the stream does not begin with one: all of it is payload */
    PROXYPROTO_BAD       /* it begins like a header and breaks the rules: `why` says how */
};

#define PROXYPROTO_TEXT_MAX 46 /* the longest address of version 1, its zero byte included */

/* All zero is ready. 88 bytes at most; memory does not grow with the header. */
struct proxyproto_parser {
    /* of the implementation */
    uint8_t state; /* enum proxyproto_state */
    uint8_t step;  /* what the next byte belongs to */
    uint8_t count; /* bytes taken in this step */

    /* Of a HEADER: the connection's own addresses count (LOCAL, UNKNOWN, UNSPEC, AF_UNIX). */
    bool local;
    /* Bytes of the stream that belong to the header so far; 0 with NONE. With BAD the last of
     * them is the first that breaks the rules. */
    uint32_t consumed;
    const char *why; /* of BAD: a constant sentence without a dot, "the checksum is wrong" */

    /* Of a HEADER: where the client comes from and where it went to, normalised; ADDR_NONE if
     * local. */
    struct addr source;
    union {
        struct {
            struct addr destination;

            /* of the implementation, version 2 */
            uint32_t crc;      /* of the header so far, with a CRC32c TLV's value as zeros */
            uint32_t sent_crc; /* what that value was */
            uint16_t left;     /* bytes of the header behind this one */
            uint16_t tlv_left; /* bytes of the TLV's value behind this one */
            uint8_t tlv_type;
            bool has_crc;
        };
        /* of the implementation, version 1: an address before it is read */
        char text[PROXYPROTO_TEXT_MAX];
    };
};

/* Takes the next bytes of the stream. *used is how many of them belong to the header: all while
 * MORE, 0 with NONE, up to the first wrong one with BAD. Once the state is not MORE it stays, and
 * later calls use nothing. */
enum proxyproto_state proxyproto_take(struct proxyproto_parser *parser, const uint8_t *bytes,
                                      size_t len, size_t *used);

/* No more bytes come, or not in time. MORE becomes NONE if not even a signature is whole, and BAD
 * otherwise; any other state stays. */
enum proxyproto_state proxyproto_end(struct proxyproto_parser *parser);

/* After NONE: the bytes that calls before the one that said so had taken, 11 at most. They are
 * the beginning of a signature, so neither the parser nor its owner need keep them: the payload
 * is these constant bytes, then all those of that call. */
#define PROXYPROTO_TAKEN_MAX 11
const uint8_t *proxyproto_taken(const struct proxyproto_parser *parser, size_t *len);

/* ---- out ---- */

#define PROXYPROTO_OUT_MAX 128

/* Write a header to `out`; return its length. Addresses are normalised and lose their scope; an
 * IPv4 and an IPv6 one are both written as IPv6 (::ffff:a.b.c.d), which a receiver can turn back.
 * If one is ADDR_NONE, v1 is "PROXY UNKNOWN\r\n" and v2 is LOCAL.
 * v2 has a TLV PP2_TYPE_UNIQUE_ID (0x05) with the session's id as decimal digits when `id` is
 * not 0, and one PP2_TYPE_CRC32C (0x03). */
size_t proxyproto_write_v1(const struct addr *source, const struct addr *destination,
                           uint8_t out[PROXYPROTO_OUT_MAX]);
size_t proxyproto_write_v2(const struct addr *source, const struct addr *destination,
                           uint64_t id, uint8_t out[PROXYPROTO_OUT_MAX]);

/* LOCAL, for the relay's own health checks; v1 has "PROXY UNKNOWN\r\n" for that. Some receivers
 * refuse UNKNOWN: the specification would rather have a check of version 1 say the addresses of
 * its own connection, with proxyproto_write_v1(). */
size_t proxyproto_write_local(bool v2, uint8_t out[PROXYPROTO_OUT_MAX]);

#endif
