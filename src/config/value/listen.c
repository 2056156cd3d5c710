#include "config/value/listen.h"

#include <string.h>

#include "base/err.h"
#include "config/value/host_port.h"
#include "config/value/mistakes.h"
#include "config/value/words.h"

static const struct host_port_form listen_form = {"ADDRESS:PORT", "0.0.0.0:7777 or *:7777"};

bool listen_read(const char *text, struct conf_listen *out, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    const char *more;
    struct host_port host_port;
    struct addr addr;

    if (text[words_first(text, &more)] != '\0' && strchr(text, ',') == NULL) {
        str_addf(why, "%s behind the address is not known; only %s is allowed",
                 mistake_quote(more, quote), listen_form.form);
        return false;
    }
    if (!host_port_read(text, &listen_form, &host_port, why))
        return false;

    if (addr_parse_ip(host_port.host[0] == '\0' ? "::" : host_port.host, &addr) != ERR_OK) {
        str_addf(why,
                 "%s is not an IP address; write one of this machine with its port, such as "
                 "%s",
                 mistake_quote(host_port.host, quote), listen_form.example);
        return false;
    }
    addr_normalise(&addr);
    addr.port = host_port.port;
    out->addr = addr;
    out->port_count = host_port.port_count;
    out->dual_stack = addr.family == ADDR_IPV6 && addr_is_any(&addr);
    out->line = 0;
    str_format(out->written, sizeof out->written, "%s",
               strlen(text) < sizeof out->written ? text : "");
    return true;
}

const char *listen_text(const struct conf_listen *listen, char text[LISTEN_TEXT_MAX])
{
    if (listen->written[0] == '\0')
        return listen_for_file(listen, text);
    str_format(text, LISTEN_TEXT_MAX, "%s", listen->written);
    return text;
}

const char *listen_for_file(const struct conf_listen *listen, char text[LISTEN_TEXT_MAX])
{
    char ip[ADDR_TEXT_MAX];
    const char *host = listen->dual_stack ? "*" : addr_format_ip(&listen->addr, ip);
    bool needs_brackets = !listen->dual_stack && listen->addr.family == ADDR_IPV6;
    str_format(text, LISTEN_TEXT_MAX, needs_brackets ? "[%s]" : "%s", host);
    host_port_add_ports(text, LISTEN_TEXT_MAX, listen->addr.port, listen->port_count);
    return text;
}

bool listen_same(const struct conf_listen *a, const struct conf_listen *b)
{
    return addr_equal(&a->addr, &b->addr) && a->port_count == b->port_count &&
           a->dual_stack == b->dual_stack;
}

static bool ports_overlap(const struct conf_listen *a, const struct conf_listen *b)
{
    unsigned first_a = a->addr.port;
    unsigned first_b = b->addr.port;
    return first_a < first_b + b->port_count && first_b < first_a + a->port_count;
}

bool listen_overlap(const struct conf_listen *a, const struct conf_listen *b)
{
    if (!ports_overlap(a, b))
        return false;
    if (a->dual_stack || b->dual_stack)
        return true;
    if (a->addr.family != b->addr.family)
        return false;
    if (addr_is_any(&a->addr) || addr_is_any(&b->addr))
        return true;
    struct addr other = b->addr;
    other.port = a->addr.port;
    return addr_equal(&a->addr, &other);
}
