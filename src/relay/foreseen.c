#include "relay/foreseen.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum err foreseen_open(struct foreseen *foreseen, size_t most)
{
    foreseen->names = calloc(most + 1, sizeof *foreseen->names);
    return foreseen->names == NULL ? ERR_NOMEM : ERR_OK;
}

void foreseen_close(struct foreseen *foreseen)
{
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

struct foreseen_name *foreseen_open_name(const struct foreseen *foreseen)
{
    for (size_t i = 0; i < foreseen->count; i++)
        if (!foreseen->names[i].done)
            return &foreseen->names[i];
    return NULL;
}

const struct resolver_answer *foreseen_find(const struct foreseen *foreseen, const char *host)
{
    const struct foreseen_name *name = find(foreseen, host);
    bool known = name != NULL && name->done && name->answer.err == ERR_OK;
    return known ? &name->answer : NULL;
}
