#include "os/resolve.h"

#include <netdb.h>

#include "base/str.h"
#include "os/bsd.h"

enum err resolve_name(struct resolve_list *list, const char *host, char *why, size_t why_size)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(host, NULL, &hints, &found);
    if (code != 0) {
        if (why != NULL)
            str_format(why, why_size, "%s",
                       code == EAI_SYSTEM ? err_text(bsd_error()) : gai_strerror(code));
        return code == EAI_MEMORY ? ERR_NOMEM : ERR_RESOLVE;
    }
    for (const struct addrinfo *info = found; info != NULL; info = info->ai_next)
        resolve_add(list, info->ai_addr, info->ai_addrlen);
    freeaddrinfo(found);
    return ERR_OK;
}
