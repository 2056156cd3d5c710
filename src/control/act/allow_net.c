/* What asks back before a network is hit that was hardly meant. */
#include "base/addr_net.h"
#include "control/act/act.h"

/* Most of a continent, or a slip of the finger. */
#define WIDE_IPV4 8
#define WIDE_IPV6 16

bool command_allows_net(struct command_session *session, const char *words,
                        const struct command_args *args, struct command_result *result)
{
    unsigned least = args->net.addr.family == ADDR_IPV4 ? WIDE_IPV4 : WIDE_IPV6;
    char net[ADDR_NET_TEXT_MAX], own[ADDR_TEXT_MAX], why[ADDR_TEXT_MAX + 64];
    if (args->force)
        return true;
    if (args->net.bits < least)
        str_format(why, sizeof why, "is wider than /%u and holds very many clients", least);
    else if (session->caller.family != ADDR_NONE && addr_net_has(&args->net, &session->caller))
        str_format(why, sizeof why, "includes you: you are connected by SSH from %s",
                   addr_format_ip(&session->caller, own));
    else
        return true;
    addr_net_format_short(&args->net, net);
    command_fail(result, "%s %s; if that is meant, add `force`, as in `%s %s force`", net, why,
                 words, net);
    session->ran = NULL; /* so that no predecessor does it, either */
    return false;
}
