#include "control/command/read_word.h"

#include <string.h>

#include "base/addr_net.h"
#include "policy/bans.h"

#define REASON_BYTES (BAN_REASON_MAX - 1)

bool read_word_duration(const char *text, uint64_t *ms)
{
    uint64_t read;
    if (str_parse_duration(text, &read) != ERR_OK || read == 0 || read > COMMAND_DURATION_MAX)
        return false;
    *ms = read;
    return true;
}

bool read_word_reason(const char *text, const char **out)
{
    if (strlen(text) > REASON_BYTES)
        return false;
    *out = text;
    return true;
}

void read_word_want(enum arg_kind kind, struct str *out)
{
    if (kind == ARG_NET)
        str_add(out, "an IP address or a network, as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32");
    else if (kind == ARG_DURATION)
        str_add(out, "a time with its unit (ms, s, m, h, d), as 30m, 12h or 7d");
    else if (kind == ARG_REASON)
        str_addf(out, "a text of up to %d bytes", REASON_BYTES);
}

/* "10.0.0.5/8" has bits set that its length leaves out: both that it can mean. */
static void explain_host_bits(const char *text, struct str *why)
{
    const char *slash = strchr(text, '/');
    char ip[ADDR_TEXT_MAX], form[ADDR_NET_TEXT_MAX];
    struct addr_net net;
    uint64_t bits;
    str_format(ip, sizeof ip, "%.*s", (int)(slash - text), text);
    if (addr_parse_ip(ip, &net.addr) != ERR_OK || str_parse_u64(slash + 1, &bits) != ERR_OK)
        return;
    net.bits = (uint8_t)bits;
    if (net.addr.family == ADDR_IPV6 && bits >= 96) {
        addr_normalise(&net.addr);
        if (net.addr.family == ADDR_IPV4)
            net.bits = (uint8_t)(bits - 96);
    }
    addr_format_ip(&net.addr, ip);
    addr_net_mask(&net.addr, net.bits);
    str_addf(
        why,
        "bits are set behind the first %u; write %s for the network, or %s for the address",
        (unsigned)bits, addr_net_format(&net, form), ip);
}

static void explain_net(const char *text, struct str *why)
{
    struct addr_net net;
    switch (addr_net_parse(text, &net)) {
    case ERR_UNSUPPORTED: explain_host_bits(text, why); return;
    case ERR_RANGE:
        str_add(why, "behind the / stand 0 to 32 bits for IPv4, 0 to 128 for IPv6");
        return;
    default:
        str_add(why, "it needs ");
        read_word_want(ARG_NET, why);
        return;
    }
}

static void explain_duration(const char *text, struct str *why)
{
    uint64_t number;
    if (str_parse_u64(text, &number) == ERR_OK && number > 0)
        str_add(why, "the unit is missing; ");
    else if (str_parse_duration(text, &number) == ERR_OK)
        str_add(why, number == 0 ? "that is no time at all; " : "that is over 3650d; ");
    str_add(why, "it needs ");
    read_word_want(ARG_DURATION, why);
}

bool read_word_explain(enum arg_kind kind, const char *text, struct str *why)
{
    if (kind == ARG_NET)
        explain_net(text, why);
    else if (kind == ARG_DURATION)
        explain_duration(text, why);
    else if (kind == ARG_REASON)
        str_addf(why, "it has %zu bytes, and at most %d are kept", strlen(text), REASON_BYTES);
    else
        return false;
    return true;
}
