/* proxyproto_fixture.h - makes PROXY headers, feeds them in pieces, and knows what they mean.
 *
 * Nothing here uses what it tests: the checksum is computed bit by bit, and headers are read a
 * second time from the whole of their bytes. Needs no cmocka, since a fuzz target has none: what
 * must hold of every stream is asserted.
 */
#ifndef TESTS_UNIT_PROXYPROTO_FIXTURE_H
#define TESTS_UNIT_PROXYPROTO_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/proxyproto/proxyproto.h"
#include "support/random.h"

/* ---- feeding ---- */

/* What a parser says of a stream, however it is cut. */
struct outcome {
    enum proxyproto_state state;
    size_t consumed;
    bool local;
    const char *why;
    struct addr source, destination; /* zero unless HEADER */
};

/* A stream that a parser has taken up to `fed`. */
struct feed {
    struct proxyproto_parser parser;
    const uint8_t *bytes;
    size_t fed;
};

/* Gives the parser the bytes up to `end` in one call, asserts what is promised about *used and
 * the bytes before NONE, and returns the outcome so far. */
struct outcome feed_up_to(struct feed *feed, size_t end);

/* All of a stream: in one call; the first `first` bytes, then pieces of `piece`; in pieces of
 * random length. */
struct outcome parse(const uint8_t *bytes, size_t len);
struct outcome parse_in_pieces(const uint8_t *bytes, size_t len, size_t first, size_t piece);
struct outcome parse_at_random(const uint8_t *bytes, size_t len, struct random *random);

bool outcome_equal(const struct outcome *a, const struct outcome *b);

/* Reads a stream another way, with all of it at hand. MORE: no header is whole; a parser may
 * know already that it will be BAD. `why` is NULL, and `consumed` is that of a HEADER only. */
struct outcome read_as_a_whole(const uint8_t *bytes, size_t len);

/* Asserts that parse() and read_as_a_whole() agree, and returns what they say. */
struct outcome parse_twice(const uint8_t *bytes, size_t len);

/* ---- making ---- */

#define V2_HEAD   16
#define V2_MAX    (V2_HEAD + 65535)
#define V2_LOCAL  0x20
#define V2_PROXY  0x21
#define V2_TCP4   0x11
#define V2_TCP6   0x21
#define V2_UNIX   0x31
#define V2_CRC    0x03 /* types of TLVs */
#define V2_NOOP   0x04
#define V2_ID     0x05
#define V2_CUSTOM 0xE0

struct v2 {
    size_t len;
    uint8_t bytes[V2_MAX];
};

/* Begins a header, adds to its body, keeps its length field right. */
void v2_begin(struct v2 *v2, uint8_t version_and_command, uint8_t family_and_transport);
void v2_add(struct v2 *v2, const void *bytes, size_t len);
void v2_add_zeros(struct v2 *v2, size_t len);
void v2_add_addresses(struct v2 *v2, const struct addr *source, const struct addr *destination);
void v2_add_tlv(struct v2 *v2, uint8_t type, const void *value, size_t len);
/* Adds a CRC32c TLV and returns where its value stands, for v2_seal() to fill in at the end. */
size_t v2_add_crc(struct v2 *v2);
void v2_seal(struct v2 *v2, size_t at);

uint32_t crc32c_by_bits(const uint8_t *bytes, size_t len);

/* "10.0.0.5" or "2001:db8::1" with a port. */
struct addr address(const char *ip, uint16_t port);

/* Both of one family; the seldom values 0, 65535, ::ffff:a.b.c.d come up too. */
void random_addresses(struct random *random, bool ipv6, struct addr *source,
                      struct addr *destination);
/* A whole header that follows the rules, with as many bytes as `room` allows. */
void random_v2(struct v2 *v2, struct random *random, size_t room);
/* The same of version 1; returns its length. */
size_t random_v1(char line[128], struct random *random);

#endif
