#include "iocp_rig.h"

#include <stdlib.h>
#include <string.h>

#define SPOILT 0xAA

static void forget_faults(void)
{
    iocp_faults.send_at_most = 0;
    iocp_faults.after_start = NULL;
    iocp_faults.posts_to_fail = 0;
    iocp_faults.accepts_to_fail = 0;
}

int iocp_setup(void **state)
{
    forget_faults();
    return rig_setup(state);
}

int iocp_teardown(void **state)
{
    forget_faults();
    return rig_teardown(state);
}

struct iocp_counts iocp_rig_counts(struct rig *rig)
{
    struct iocp_counts counts;
    iocp_get_counts(rig->port, &counts);
    return counts;
}

static void take(void *arg)
{
    struct taker *taker = arg;
    if (port_enter(taker->port) != ERR_OK)
        abort();
    while (!taker->stop && (taker->enough == 0 || taker->taken < taker->enough)) {
        struct op *ops[PORT_BATCH];
        int count = port_wait(taker->port, ops, PORT_BATCH, taker->enough > 0 ? -1 : 20);
        for (int i = 0; i < count; i++) {
            taker->last = *ops[i];
            memset(ops[i], SPOILT, sizeof *ops[i]);
            atomic_fetch_add(&taker->taken, 1);
        }
    }
    port_leave(taker->port);
}

void taker_start(struct taker *taker, struct port *port, unsigned enough)
{
    memset(taker, 0, sizeof *taker);
    taker->port = port;
    taker->enough = enough;
    taker->thread = rig_thread(take, taker);
}

void taker_stop(struct taker *taker)
{
    taker->stop = true;
    os_thread_join(taker->thread);
}

bool taker_spoilt(const struct op *op)
{
    const unsigned char *bytes = (const unsigned char *)op;
    for (size_t i = 0; i < sizeof *op; i++)
        if (bytes[i] != SPOILT)
            return false;
    return true;
}
