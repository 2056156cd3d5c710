/* fuzz_takeover.c - what a relay offers for a takeover is read as it would be written. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "control/takeover/takeover.h"
#include "fuzz.h"

static void check_written(const struct takeover_offer *offer)
{
    struct str text;
    str_init(&text);
    takeover_write_offer(offer, &text);
    assert(!text.failed);
    struct takeover_offer again;
    enum err err = takeover_read_offer(text.data, text.len, &again);
    assert(err == ERR_OK);
    (void)err;
    assert(again.pid == offer->pid && again.count == offer->count);
    for (size_t i = 0; i < offer->count; i++) {
        assert(addr_equal(&again.sockets[i].addr, &offer->sockets[i].addr));
        assert(again.sockets[i].dual_stack == offer->sockets[i].dual_stack);
    }
    free(again.sockets);
    str_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct takeover_offer offer;
    if (takeover_read_offer((const char *)data, size, &offer) != ERR_OK)
        return 0;
    check_written(&offer);
    free(offer.sockets);
    return 0;
}
