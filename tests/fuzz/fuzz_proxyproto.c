/* fuzz_proxyproto.c - PROXY headers mean the same in any pieces, and are written as read. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "fuzz.h"
#include "proxyproto_fixture.h"

/* Pieces as the bytes themselves say, so that an input that fails always fails the same way. */
static struct outcome parse_cut_by_itself(const uint8_t *bytes, size_t len)
{
    struct feed feed = {.bytes = bytes};
    struct outcome outcome = feed_up_to(&feed, 0);
    while (outcome.state == PROXYPROTO_MORE && feed.fed < len) {
        size_t piece = (size_t)(bytes[feed.fed] ^ bytes[len - 1]) % 9;
        size_t end = feed.fed + 1 + piece;
        outcome = feed_up_to(&feed, end < len ? end : len);
    }
    return outcome;
}

static void check_pieces(const uint8_t *bytes, size_t len, const struct outcome *whole)
{
    const struct outcome others[] = {
        parse_cut_by_itself(bytes, len),
        parse_in_pieces(bytes, len, 1, 1),
        parse_in_pieces(bytes, len, len / 2, len),
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert(outcome_equal(&others[i], whole));
}

static void check_written(const uint8_t *out, size_t len, const struct outcome *read)
{
    assert(len <= PROXYPROTO_OUT_MAX);
    struct outcome again = parse_twice(out, len);
    assert(again.state == PROXYPROTO_HEADER && again.consumed == len);
    assert(again.local == read->local);
    assert(addr_equal(&again.source, &read->source));
    assert(addr_equal(&again.destination, &read->destination));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome outcome = parse_twice(data, size);
    check_pieces(data, size, &outcome);
    if (outcome.state != PROXYPROTO_HEADER)
        return 0;

    uint8_t out[PROXYPROTO_OUT_MAX];
    uint64_t id = data[size - 1];
    check_written(out, proxyproto_write_v1(&outcome.source, &outcome.destination, out),
                  &outcome);
    check_written(out, proxyproto_write_v2(&outcome.source, &outcome.destination, id, out),
                  &outcome);
    return 0;
}
