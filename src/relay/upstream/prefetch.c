#include "relay/upstream/prefetch.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "os/dns.h"

enum err prefetch_open(struct prefetch *prefetch, size_t most)
{
    prefetch->names = calloc(most + 1, sizeof *prefetch->names);
    return prefetch->names == NULL ? ERR_NOMEM : ERR_OK;
}

void prefetch_close(struct prefetch *prefetch)
{
    for (size_t i = 0; i < prefetch->count; i++)
        free(prefetch->names[i].addrs);
    free(prefetch->names);
    *prefetch = (struct prefetch){.names = NULL};
}

static struct prefetch_name *find(const struct prefetch *prefetch, const char *host)
{
    for (size_t i = 0; i < prefetch->count; i++)
        if (strcmp(prefetch->names[i].host, host) == 0)
            return &prefetch->names[i];
    return NULL;
}

void prefetch_add(struct prefetch *prefetch, const char *host)
{
    if (find(prefetch, host) == NULL)
        str_format(prefetch->names[prefetch->count++].host, CONF_HOST_MAX, "%s", host);
}

struct prefetch_name *prefetch_next(const struct prefetch *prefetch)
{
    for (size_t i = 0; i < prefetch->count; i++)
        if (!prefetch->names[i].asked)
            return &prefetch->names[i];
    return NULL;
}

void prefetch_answer(struct prefetch_name *name, const struct dns_answer *answer)
{
    free(name->addrs); /* of a first answer, for one family */
    name->addrs = answer->count == 0 ? NULL : malloc(answer->count * sizeof *name->addrs);
    name->count = name->addrs == NULL ? 0 : answer->count;
    if (name->addrs != NULL)
        memcpy(name->addrs, answer->addrs, answer->count * sizeof *name->addrs);
    name->ttl_ms = answer->ttl_ms;
    name->done = true;
}

bool prefetch_is_done(const struct prefetch *prefetch)
{
    for (size_t i = 0; i < prefetch->count; i++)
        if (!prefetch->names[i].done)
            return false;
    return true;
}

const struct prefetch_name *prefetch_find(const struct prefetch *prefetch, const char *host)
{
    const struct prefetch_name *name = find(prefetch, host);
    return name != NULL && name->addrs != NULL ? name : NULL;
}
