/* proxyproto_feed.c - feeds a parser, and reads the same bytes another way. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxyproto_fixture.h"

#define V1_MAX 107

static const uint8_t v2_signature[] = "\r\n\r\n\0\r\nQUIT\n";

/* ---- feeding ---- */

static struct outcome outcome_of(const struct proxyproto_parser *parser)
{
    struct outcome outcome = {
        .state = (enum proxyproto_state)parser->state,
        .consumed = parser->consumed,
        .why = parser->state == PROXYPROTO_BAD ? parser->why : NULL,
    };
    if (outcome.state == PROXYPROTO_HEADER) {
        outcome.local = parser->local;
        outcome.source = parser->source;
        outcome.destination = parser->destination;
    }
    return outcome;
}

static void check_none(const struct feed *feed, size_t used)
{
    size_t len;
    const uint8_t *taken = proxyproto_taken(&feed->parser, &len);
    assert(used == 0 && feed->parser.consumed == 0);
    assert(len == feed->fed && len <= PROXYPROTO_TAKEN_MAX);
    assert(memcmp(taken, feed->bytes, len) == 0);
}

struct outcome feed_up_to(struct feed *feed, size_t end)
{
    size_t used = SIZE_MAX;
    size_t len = end - feed->fed;
    enum proxyproto_state before = (enum proxyproto_state)feed->parser.state;
    enum proxyproto_state state =
        proxyproto_take(&feed->parser, feed->bytes + feed->fed, len, &used);
    struct outcome outcome = outcome_of(&feed->parser);

    assert(state == outcome.state);
    if (before != PROXYPROTO_MORE) {
        assert(state == before && used == 0);
        return outcome;
    }
    switch (state) {
    case PROXYPROTO_MORE: assert(used == len && outcome.consumed == feed->fed + used); break;
    case PROXYPROTO_NONE: check_none(feed, used); return outcome;
    case PROXYPROTO_HEADER:
    case PROXYPROTO_BAD:
        assert(used > 0 && used <= len && outcome.consumed == feed->fed + used);
        assert((state == PROXYPROTO_BAD) == (outcome.why != NULL));
        break;
    }
    feed->fed += used;
    return outcome;
}

struct outcome parse(const uint8_t *bytes, size_t len)
{
    struct feed feed = {.bytes = bytes};
    return feed_up_to(&feed, len);
}

struct outcome parse_in_pieces(const uint8_t *bytes, size_t len, size_t first, size_t piece)
{
    struct feed feed = {.bytes = bytes};
    size_t end = first < len ? first : len;
    struct outcome outcome = feed_up_to(&feed, end);
    while (outcome.state == PROXYPROTO_MORE && end < len) {
        end = len - end < piece ? len : end + piece;
        outcome = feed_up_to(&feed, end);
    }
    return outcome;
}

struct outcome parse_at_random(const uint8_t *bytes, size_t len, struct random *random)
{
    struct feed feed = {.bytes = bytes};
    struct outcome outcome = feed_up_to(&feed, 0);
    while (outcome.state == PROXYPROTO_MORE && feed.fed < len) {
        size_t most = random_chance(random, 50) ? 3 : len - feed.fed;
        size_t end = feed.fed + random_between(random, 0, most);
        outcome = feed_up_to(&feed, end < len ? end : len);
    }
    return outcome;
}

bool outcome_equal(const struct outcome *a, const struct outcome *b)
{
    return a->state == b->state && a->consumed == b->consumed && a->local == b->local &&
           a->why == b->why && addr_equal(&a->source, &b->source) &&
           addr_equal(&a->destination, &b->destination);
}

/* ---- reading as a whole ---- */

static struct outcome just(enum proxyproto_state state)
{
    return (struct outcome){.state = state};
}

static struct outcome local_header(size_t len)
{
    return (struct outcome){.state = PROXYPROTO_HEADER, .consumed = len, .local = true};
}

static bool read_address(const char *text, uint8_t family, struct addr *addr)
{
    return strchr(text, '%') == NULL && addr_parse_ip(text, addr) == ERR_OK &&
           addr->family == family;
}

static bool read_port(const char *text, uint16_t *port)
{
    char again[16];
    long number = strtol(text, NULL, 10);
    *port = (uint16_t)number;
    snprintf(again, sizeof again, "%u", *port);
    return strcmp(again, text) == 0;
}

/* `line` is without CR LF. */
static struct outcome read_tcp_line(char *line, size_t len)
{
    char *fields[6] = {line};
    for (size_t i = 1; i < 6; i++) {
        fields[i] = strchr(fields[i - 1], ' ');
        if (fields[i] == NULL)
            return just(PROXYPROTO_BAD);
        *fields[i]++ = '\0';
    }
    bool ipv4 = strcmp(fields[1], "TCP4") == 0;
    uint8_t family = ipv4 ? ADDR_IPV4 : ADDR_IPV6;
    struct outcome header = {.state = PROXYPROTO_HEADER, .consumed = len};
    uint16_t source_port, destination_port;
    if (strcmp(fields[0], "PROXY") != 0 || (!ipv4 && strcmp(fields[1], "TCP6") != 0) ||
        !read_address(fields[2], family, &header.source) ||
        !read_address(fields[3], family, &header.destination) ||
        !read_port(fields[4], &source_port) || !read_port(fields[5], &destination_port))
        return just(PROXYPROTO_BAD);
    header.source.port = source_port;
    header.destination.port = destination_port;
    addr_normalise(&header.source);
    addr_normalise(&header.destination);
    return header;
}

static struct outcome read_v1(const uint8_t *bytes, size_t len)
{
    static const char unknown[] = "PROXY UNKNOWN";
    size_t most = len < V1_MAX ? len : V1_MAX;
    size_t lf = 1;
    while (lf < most && (bytes[lf] != '\n' || bytes[lf - 1] != '\r'))
        lf++;
    if (lf == most)
        return just(len < V1_MAX ? PROXYPROTO_MORE : PROXYPROTO_BAD);

    char line[V1_MAX];
    memcpy(line, bytes, lf);
    line[lf - 1] = '\0';
    if (memcmp(line, unknown, strlen(unknown)) == 0) {
        uint8_t next = bytes[strlen(unknown)];
        return next == ' ' || next == '\r' ? local_header(lf + 1) : just(PROXYPROTO_BAD);
    }
    if (strlen(line) != lf - 1)
        return just(PROXYPROTO_BAD); /* a zero byte */
    return read_tcp_line(line, lf + 1);
}

static size_t u16_at(const uint8_t *bytes)
{
    return (size_t)bytes[0] << 8 | bytes[1];
}

/* The TLVs from `at` on fill the rest of the header, and its checksum is right if it has one. */
static bool tlvs_are_good(const uint8_t *bytes, size_t len, size_t at)
{
    size_t crc_at = 0;
    while (at < len) {
        if (len - at < 3 || len - at - 3 < u16_at(bytes + at + 1))
            return false;
        if (bytes[at] == V2_CRC) {
            if (u16_at(bytes + at + 1) != 4 || crc_at != 0)
                return false;
            crc_at = at + 3;
        }
        at += 3 + u16_at(bytes + at + 1);
    }
    if (crc_at == 0)
        return true;

    uint8_t *zeroed = malloc(len);
    assert(zeroed != NULL);
    memcpy(zeroed, bytes, len);
    memset(zeroed + crc_at, 0, 4);
    uint32_t crc = crc32c_by_bits(zeroed, len);
    free(zeroed);
    return crc == ((uint32_t)u16_at(bytes + crc_at) << 16 | u16_at(bytes + crc_at + 2));
}

static struct addr ip_at(const uint8_t *bytes, size_t size, size_t port)
{
    struct addr addr = {.family = size == 4 ? ADDR_IPV4 : ADDR_IPV6, .port = (uint16_t)port};
    memcpy(addr.ip, bytes, size);
    addr_normalise(&addr);
    return addr;
}

static struct outcome read_v2(const uint8_t *bytes, size_t len)
{
    static const size_t sizes[] = {0, 4, 16, 108};
    if (len < V2_HEAD || len < V2_HEAD + u16_at(bytes + 14))
        return just(PROXYPROTO_MORE);
    len = V2_HEAD + u16_at(bytes + 14);
    if (bytes[12] == V2_LOCAL)
        return local_header(len);

    size_t family = bytes[13] >> 4, transport = bytes[13] & 15;
    if (bytes[12] != V2_PROXY || family > 3 || transport > 2)
        return just(PROXYPROTO_BAD);
    if (family == 0 || transport == 0)
        return local_header(len);
    size_t size = sizes[family];
    size_t tlvs = V2_HEAD + 2 * size + (family == 3 ? 0 : 4);
    if (len < tlvs || !tlvs_are_good(bytes, len, tlvs))
        return just(PROXYPROTO_BAD);
    if (family == 3)
        return local_header(len);
    return (struct outcome){
        .state = PROXYPROTO_HEADER,
        .consumed = len,
        .source = ip_at(bytes + V2_HEAD, size, u16_at(bytes + tlvs - 4)),
        .destination = ip_at(bytes + V2_HEAD + size, size, u16_at(bytes + tlvs - 2)),
    };
}

struct outcome read_as_a_whole(const uint8_t *bytes, size_t len)
{
    size_t v1 = 5, v2 = sizeof v2_signature - 1;
    if (memcmp(bytes, "PROXY", len < v1 ? len : v1) == 0)
        return len < v1 ? just(PROXYPROTO_MORE) : read_v1(bytes, len);
    if (memcmp(bytes, v2_signature, len < v2 ? len : v2) == 0)
        return len < v2 ? just(PROXYPROTO_MORE) : read_v2(bytes, len);
    return just(PROXYPROTO_NONE);
}

struct outcome parse_twice(const uint8_t *bytes, size_t len)
{
    struct outcome parsed = parse(bytes, len);
    struct outcome whole = read_as_a_whole(bytes, len);
    if (parsed.state == PROXYPROTO_BAD) {
        assert(whole.state == PROXYPROTO_BAD || whole.state == PROXYPROTO_MORE);
        return parsed;
    }
    if (parsed.state == PROXYPROTO_MORE)
        whole.consumed = len;
    assert(outcome_equal(&parsed, &whole));
    return parsed;
}
