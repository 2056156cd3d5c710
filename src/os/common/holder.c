/* holder.c - which addresses are in each other's way, for both systems; see holder.h. */
#include "os/holder.h"

bool holder_overlaps(const struct addr *addr, bool dual_stack, const struct addr *other)
{
    if (addr->port != other->port)
        return false;
    bool any = addr_is_any(addr), other_any = addr_is_any(other);
    /* An IPv6 wildcard may take IPv4, too: the table does not say. */
    if (addr->family != other->family)
        return (dual_stack && any) || (other->family == ADDR_IPV6 && other_any);
    struct addr same = *other;
    same.scope = addr->scope;
    return any || other_any || addr_equal(addr, &same);
}
