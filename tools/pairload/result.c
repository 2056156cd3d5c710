#include "result.h"

const char *fault_word(enum fault fault)
{
    switch (fault) {
    case FAULT_CONNECT: return "connect";
    case FAULT_SEND: return "send";
    case FAULT_RECEIVE: return "receive";
    case FAULT_WRONG_BYTES: return "wrong_bytes";
    case FAULT_EARLY_FIN: return "early_fin";
    case FAULT_STALLED: return "stalled";
    case FAULT_COUNT: break;
    }
    return "?";
}

void result_add_fault(struct result *result, enum fault fault, enum err err)
{
    atomic_fetch_add(&result->faults[fault][err], 1);
}

uint64_t result_fault_total(const struct result *result)
{
    uint64_t total = 0;
    for (int fault = 0; fault < FAULT_COUNT; fault++)
        for (int err = 0; err < RESULT_ERRS; err++)
            total += atomic_load(&result->faults[fault][err]);
    return total;
}
