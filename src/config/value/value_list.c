#include "config/value/value_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/addr_net.h"
#include "config/value/mistakes.h"
#include "config/value/value_access.h"
#include "config/value/words.h"

/* ---- any list ---- */

size_t value_count_items(const char *text)
{
    size_t count = *text != '\0';
    for (; *text != '\0'; ++text)
        count += *text == ',';
    return count;
}

void value_cut_item(const char **text, char item[CONF_LINE_MAX + 1])
{
    const char *start = *text + strspn(*text, WORDS_BLANKS);
    size_t len = strcspn(start, ",");
    *text = start + len + (start[len] == ',' ? 1 : 0);
    while (len > 0 && strchr(WORDS_BLANKS, start[len - 1]) != NULL)
        --len;
    str_format(item, CONF_LINE_MAX + 1, "%.*s", (int)len, start);
}

/* Says why `item` is no address: what `wanted` names, such as `example`. */
static void explain_item(const char *item, const char *wanted, const char *example,
                         struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    mistake_quote(item, quote);
    if (item[0] == '\0')
        str_addf(why, "the list has a comma too many; write %s, such as %s", wanted, example);
    else if (item[0] == '[')
        str_addf(why, "%s has brackets or a port; write the address alone, such as %s", quote,
                 example);
    else if (strpbrk(item, WORDS_BLANKS) != NULL)
        str_addf(why, "%s has a blank in it; part addresses by commas, such as %s", quote,
                 example);
    else
        str_addf(why, "%s is not %s; write such as %s", quote, wanted, example);
}

/* Room for `count` elements, NULL for none of them. */
static void *new_list(size_t count, size_t size, struct str *why)
{
    void *list = count > 0 ? calloc(count, size) : NULL;
    if (count > 0 && list == NULL)
        why->failed = true;
    return list;
}

static bool copy_list(const void *list, size_t count, size_t size, void **out)
{
    void *copy = count > 0 ? malloc(count * size) : NULL;
    if (count > 0 && copy == NULL)
        return false;
    if (count > 0)
        memcpy(copy, list, count * size);
    *out = copy;
    return true;
}

/* ---- source ---- */

static bool read_source(const char *item, struct addr *addrs, size_t count, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    struct addr addr;
    if (addr_parse_ip(item, &addr) != ERR_OK) {
        explain_item(item, "an IP address", "10.0.0.2, 10.0.0.3", why);
        return false;
    }
    addr_normalise(&addr);
    if (addr_is_any(&addr)) {
        str_addf(
            why,
            "%s is every address; write one of this machine, or nothing to leave it to the "
            "system",
            mistake_quote(item, quote));
        return false;
    }
    for (size_t i = 0; i < count; ++i) {
        if (addr_equal(&addrs[i], &addr)) {
            str_addf(why, "%s is there twice; remove one of them", mistake_quote(item, quote));
            return false;
        }
    }
    addrs[count] = addr;
    return true;
}

bool value_read_sources(const char *text, struct conf_route *route, struct str *why)
{
    size_t count = value_count_items(text);
    struct addr *addrs = new_list(count, sizeof *addrs, why);
    if (count > 0 && addrs == NULL)
        return false;
    for (size_t i = 0; i < count; ++i) {
        char item[CONF_LINE_MAX + 1];
        value_cut_item(&text, item);
        if (!read_source(item, addrs, i, why)) {
            free(addrs);
            return false;
        }
    }
    value_free_sources(route);
    route->sources = addrs;
    route->source_count = count;
    return true;
}

void value_write_sources(const struct conf_route *route, struct str *out)
{
    char text[ADDR_TEXT_MAX];
    for (size_t i = 0; i < route->source_count; ++i)
        str_addf(out, "%s%s", i == 0 ? "" : ", ", addr_format_ip(&route->sources[i], text));
}

bool value_copy_sources(const struct conf_route *from, struct conf_route *to)
{
    void *copy;
    if (!copy_list(from->sources, from->source_count, sizeof *from->sources, &copy))
        return false;
    value_free_sources(to);
    to->sources = copy;
    to->source_count = from->source_count;
    return true;
}

void value_free_sources(struct conf_route *route)
{
    free(route->sources);
    route->sources = NULL;
    route->source_count = 0;
}

/* ---- proxy_trust, guard_exempt ---- */

/* Says what addr_net_parse() did not like. */
static void explain_net(const char *item, enum err err, const char *examples, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    mistake_quote(item, quote);
    if (err == ERR_RANGE)
        str_addf(why,
                 "%s has a wrong number behind its slash; write 0 to 32 there for IPv4 and 0 "
                 "to 128 for IPv6",
                 quote);
    else if (err == ERR_UNSUPPORTED)
        str_addf(why,
                 "%s has bits set behind its prefix; write zeros there for the network, or no "
                 "slash for the address",
                 quote);
    else if (strchr(item, '%') != NULL)
        str_addf(why, "%s has a zone; write it without", quote);
    else
        explain_item(item, "an address or network", examples, why);
}

bool value_read_net(const char *item, const char *examples, struct addr_net *net,
                    struct str *why)
{
    enum err err = addr_net_parse(item, net);
    if (err != ERR_OK)
        explain_net(item, err, examples, why);
    return err == ERR_OK;
}

static bool read_one_net(const char *item, struct addr_net *nets, size_t count, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    struct addr_net net;
    if (!value_read_net(item, VALUE_NET_EXAMPLES, &net, why))
        return false;
    for (size_t i = 0; i < count; ++i) {
        if (nets[i].bits == net.bits && addr_equal(&nets[i].addr, &net.addr)) {
            str_addf(why, "%s is there twice; remove one of them", mistake_quote(item, quote));
            return false;
        }
    }
    nets[count] = net;
    return true;
}

/* On true *out is a list of *count networks, NULL for none, that the caller owns. */
static bool read_nets(const char *text, struct addr_net **out, size_t *count, struct str *why)
{
    size_t wanted = value_count_items(text);
    struct addr_net *nets = new_list(wanted, sizeof *nets, why);
    if (wanted > 0 && nets == NULL)
        return false;
    for (size_t i = 0; i < wanted; ++i) {
        char item[CONF_LINE_MAX + 1];
        value_cut_item(&text, item);
        if (!read_one_net(item, nets, i, why)) {
            free(nets);
            return false;
        }
    }
    *out = nets;
    *count = wanted;
    return true;
}

static void write_nets(const struct addr_net *nets, size_t count, struct str *out)
{
    char text[ADDR_NET_TEXT_MAX];
    for (size_t i = 0; i < count; ++i)
        str_addf(out, "%s%s", i == 0 ? "" : ", ", addr_net_format(&nets[i], text));
}

bool value_read_trusts(const char *text, struct conf_route *route, struct str *why)
{
    struct addr_net *nets;
    size_t count;
    if (!read_nets(text, &nets, &count, why))
        return false;
    value_free_trusts(route);
    route->trusts = nets;
    route->trust_count = count;
    return true;
}

void value_write_trusts(const struct conf_route *route, struct str *out)
{
    write_nets(route->trusts, route->trust_count, out);
}

bool value_copy_trusts(const struct conf_route *from, struct conf_route *to)
{
    void *copy;
    if (!copy_list(from->trusts, from->trust_count, sizeof *from->trusts, &copy))
        return false;
    value_free_trusts(to);
    to->trusts = copy;
    to->trust_count = from->trust_count;
    return true;
}

void value_free_trusts(struct conf_route *route)
{
    free(route->trusts);
    route->trusts = NULL;
    route->trust_count = 0;
}

bool value_read_exempts(const char *text, struct conf_route *route, struct str *why)
{
    struct addr_net *nets;
    size_t count;
    if (!read_nets(text, &nets, &count, why))
        return false;
    value_free_exempts(route);
    route->exempts = nets;
    route->exempt_count = count;
    return true;
}

void value_write_exempts(const struct conf_route *route, struct str *out)
{
    write_nets(route->exempts, route->exempt_count, out);
}

bool value_copy_exempts(const struct conf_route *from, struct conf_route *to)
{
    void *copy;
    if (!copy_list(from->exempts, from->exempt_count, sizeof *from->exempts, &copy))
        return false;
    value_free_exempts(to);
    to->exempts = copy;
    to->exempt_count = from->exempt_count;
    return true;
}

void value_free_exempts(struct conf_route *route)
{
    free(route->exempts);
    route->exempts = NULL;
    route->exempt_count = 0;
}

void value_free_lists(struct conf_route *route)
{
    value_free_sources(route);
    value_free_trusts(route);
    value_free_exempts(route);
    value_free_access(route);
}
