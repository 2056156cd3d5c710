#include "relay/proxyproto/proxyproto.h"

#include <assert.h>

#include "relay/proxyproto/proxyproto_private.h"

static_assert(sizeof(struct proxyproto_parser) <= 88, "as the header says");

static const uint8_t v1_signature[] = {'P', 'R', 'O', 'X', 'Y'};
const uint8_t proxyproto_v2_signature[] = {'\r', '\n', '\r', '\n', 0,   '\r',
                                           '\n', 'Q',  'U',  'I',  'T', '\n'};

static_assert(PROXYPROTO_TAKEN_MAX == PROXYPROTO_V2_SIGNATURE_LEN - 1,
              "a signature without its last byte may be payload");

void proxyproto_whole(struct proxyproto_parser *parser)
{
    parser->state = PROXYPROTO_HEADER;
    if (parser->local) {
        parser->source = (struct addr){0};
        parser->destination = (struct addr){0};
    }
    addr_normalise(&parser->source);
    addr_normalise(&parser->destination);
}

void proxyproto_bad(struct proxyproto_parser *parser, const char *why)
{
    parser->state = PROXYPROTO_BAD;
    parser->why = why;
}

/* The step stays when a byte does not fit: proxyproto_taken() goes by it. */
static void take_signature(struct proxyproto_parser *parser, uint8_t byte)
{
    bool v1 = parser->step == STEP_V1_SIGNATURE;
    const uint8_t *signature = v1 ? v1_signature : proxyproto_v2_signature;
    size_t len = v1 ? sizeof v1_signature : PROXYPROTO_V2_SIGNATURE_LEN;

    if (byte != signature[parser->count]) {
        parser->state = PROXYPROTO_NONE;
        return;
    }
    if (++parser->count == len) {
        parser->count = 0;
        parser->step = v1 ? STEP_V1_PROTOCOL : STEP_V2_COMMAND;
    }
}

static void take_byte(struct proxyproto_parser *parser, uint8_t byte)
{
    if (parser->step == STEP_BEGIN)
        parser->step = byte == v1_signature[0] ? STEP_V1_SIGNATURE : STEP_V2_SIGNATURE;

    if (parser->step == STEP_V1_SIGNATURE || parser->step == STEP_V2_SIGNATURE)
        take_signature(parser, byte);
    else if (parser->step < STEP_V2_SIGNATURE)
        proxyproto_v1_take(parser, byte);
    else
        proxyproto_v2_take(parser, byte);
}

/* `earlier` are the bytes that calls before this one have taken. */
static void give_back(struct proxyproto_parser *parser, size_t earlier)
{
    parser->count = (uint8_t)earlier;
    parser->consumed = 0;
}

enum proxyproto_state proxyproto_take(struct proxyproto_parser *parser, const uint8_t *bytes,
                                      size_t len, size_t *used)
{
    size_t taken = 0;
    while (taken < len && parser->state == PROXYPROTO_MORE) {
        parser->consumed++;
        take_byte(parser, bytes[taken++]);
    }
    if (parser->state == PROXYPROTO_NONE && taken > 0) {
        give_back(parser, parser->consumed - taken);
        taken = 0;
    }
    *used = taken;
    return (enum proxyproto_state)parser->state;
}

enum proxyproto_state proxyproto_end(struct proxyproto_parser *parser)
{
    if (parser->state != PROXYPROTO_MORE)
        return (enum proxyproto_state)parser->state;

    if (parser->step == STEP_BEGIN || parser->step == STEP_V1_SIGNATURE ||
        parser->step == STEP_V2_SIGNATURE) {
        parser->state = PROXYPROTO_NONE;
        give_back(parser, parser->consumed);
    } else {
        proxyproto_bad(parser, "the header is not complete");
    }
    return (enum proxyproto_state)parser->state;
}

const uint8_t *proxyproto_taken(const struct proxyproto_parser *parser, size_t *len)
{
    assert(parser->state == PROXYPROTO_NONE);
    *len = parser->count;
    return parser->step == STEP_V1_SIGNATURE ? v1_signature : proxyproto_v2_signature;
}
