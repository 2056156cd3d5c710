#include "relay/json_read.h"

#include <stdbool.h>
#include <stdlib.h>

static _Thread_local struct {
    bool reading;
    bool lacked; /* memory, since the reading began */
} now;

static void *allocate(size_t size)
{
    void *made = now.reading && now.lacked ? NULL : malloc(size);
    now.lacked = now.lacked || made == NULL;
    return made;
}

void json_read_init(void)
{
    json_set_alloc_funcs(allocate, free);
}

enum err json_read(json_t **out, const char *text, size_t len, size_t flags,
                   json_error_t *error)
{
    now.reading = true;
    now.lacked = false;
    *out = json_loadb(text, len, flags, error);
    now.reading = false;
    if (*out != NULL)
        return ERR_OK;
    return now.lacked ? ERR_NOMEM : ERR_INVALID;
}
