#include "os/resolve.h"

#include <string.h>

#include "base/str.h"
#include "os/bsd.h"
#include "os/os.h"

static void add(struct resolve_list *list, struct addr addr)
{
    addr.port = list->port;
    for (size_t i = 0; i < list->count; i++) {
        if (addr_equal(&list->out[i], &addr))
            return;
    }
    if (list->count < list->max)
        list->out[list->count++] = addr;
}

void resolve_add(struct resolve_list *list, const void *sockaddr, size_t len)
{
    struct addr addr;
    if (bsd_to_addr(sockaddr, len, &addr) == ERR_OK)
        add(list, addr);
}

/* "" and numeric addresses, which need no resolver. */
static void add_literal(struct resolve_list *list, const char *host)
{
    struct addr addr;
    memset(&addr, 0, sizeof addr);
    if (host[0] == '\0') {
        addr.family = ADDR_IPV6;
        add(list, addr);
        addr.family = ADDR_IPV4;
        add(list, addr);
    } else if (addr_parse_ip(host, &addr) == ERR_OK) {
        addr_normalise(&addr);
        add(list, addr);
    }
}

enum err os_resolve(const char *host, uint16_t port, struct addr *out, size_t max,
                    size_t *count, char *why, size_t why_size)
{
    if (max == 0)
        return ERR_INVALID;
    struct resolve_list list = {.out = out, .max = max, .port = port};
    add_literal(&list, host);
    if (list.count == 0) {
        enum err err = resolve_name(&list, host, why, why_size);
        if (err != ERR_OK)
            return err;
    }
    if (list.count == 0) {
        if (why != NULL)
            str_format(why, why_size, "the name has neither an IPv4 nor an IPv6 address");
        return ERR_RESOLVE;
    }
    *count = list.count;
    return ERR_OK;
}
