/* holder_text.c - what error messages say of a holder; see holder.h. */
#include <inttypes.h>

#include "base/str.h"
#include "os/holder.h"

const char *holder_text(const struct addr *addr, bool dual_stack, char text[HOLDER_TEXT_MAX])
{
    struct holder holder;
    text[0] = '\0';
    if (!holder_find(addr, dual_stack, &holder))
        return text;
    if (holder.pid != 0 && holder.name[0] != '\0')
        str_format(text, HOLDER_TEXT_MAX, " by '%s' (pid %" PRIu64 ")", holder.name,
                   holder.pid);
    else if (holder.pid != 0)
        str_format(text, HOLDER_TEXT_MAX, " by pid %" PRIu64, holder.pid);
    else if (holder.uid != UINT32_MAX)
        str_format(text, HOLDER_TEXT_MAX, " by a process of user id %" PRIu32, holder.uid);
    return text;
}

const char *holder_privilege(uint16_t port, char text[HOLDER_PRIVILEGE_MAX])
{
    unsigned first = holder_first_free_port();
    text[0] = '\0';
    if (port < first)
        str_format(text, HOLDER_PRIVILEGE_MAX,
                   "; a port below %u needs CAP_NET_BIND_SERVICE: run pairport as its systemd "
                   "service or as root, or take another port",
                   first);
    return text;
}
