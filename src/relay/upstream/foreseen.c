#include "relay/upstream/foreseen.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "os/dns.h"

enum err foreseen_open(struct foreseen *foreseen, size_t most)
{
    foreseen->names = calloc(most + 1, sizeof *foreseen->names);
    return foreseen->names == NULL ? ERR_NOMEM : ERR_OK;
}

void foreseen_close(struct foreseen *foreseen)
{
    for (size_t i = 0; i < foreseen->count; i++)
        free(foreseen->names[i].addrs);
    free(foreseen->names);
    *foreseen = (struct foreseen){.names = NULL};
}

static struct foreseen_name *find(const struct foreseen *foreseen, const char *host)
{
    for (size_t i = 0; i < foreseen->count; i++)
        if (strcmp(foreseen->names[i].host, host) == 0)
            return &foreseen->names[i];
    return NULL;
}

void foreseen_add(struct foreseen *foreseen, const char *host)
{
    if (find(foreseen, host) == NULL)
        str_format(foreseen->names[foreseen->count++].host, CONF_HOST_MAX, "%s", host);
}

struct foreseen_name *foreseen_next(const struct foreseen *foreseen)
{
    for (size_t i = 0; i < foreseen->count; i++)
        if (!foreseen->names[i].asked)
            return &foreseen->names[i];
    return NULL;
}

void foreseen_answer(struct foreseen_name *name, const struct dns_answer *answer)
{
    free(name->addrs); /* of a first answer, for one family */
    name->addrs = answer->count == 0 ? NULL : malloc(answer->count * sizeof *name->addrs);
    name->count = name->addrs == NULL ? 0 : answer->count;
    if (name->addrs != NULL)
        memcpy(name->addrs, answer->addrs, answer->count * sizeof *name->addrs);
    name->ttl_ms = answer->ttl_ms;
    name->done = true;
}

bool foreseen_is_done(const struct foreseen *foreseen)
{
    for (size_t i = 0; i < foreseen->count; i++)
        if (!foreseen->names[i].done)
            return false;
    return true;
}

const struct foreseen_name *foreseen_find(const struct foreseen *foreseen, const char *host)
{
    const struct foreseen_name *name = find(foreseen, host);
    return name != NULL && name->addrs != NULL ? name : NULL;
}
