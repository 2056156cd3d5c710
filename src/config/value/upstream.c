#include "config/value/upstream.h"

#include <stddef.h>
#include <string.h>

#include "base/addr.h"
#include "base/err.h"
#include "config/value/host_port.h"
#include "config/value/mistakes.h"
#include "config/value/option.h"
#include "config/value/words.h"

#define HOUR UINT64_C(3600000)

#define OF(field)                                                                              \
    .offset = offsetof(struct conf_upstream, field),                                           \
    .size = sizeof(((struct conf_upstream *)0)->field)

static const struct host_port_form upstream_form = {"HOST:PORT", "10.0.0.5:7000"};

static const struct key upstream_keys[] = {
    {.name = "weight",
     .type = KEY_COUNT,
     .preset = "1",
     .max = 256,
     OF(weight),
     .help = "weight=2"},
    {.name = "max_sessions",
     .type = KEY_COUNT,
     .max = 1000000,
     OF(max_sessions),
     .help = "max_sessions=500"},
    {.name = "slow_start",
     .type = KEY_DURATION,
     .max = 1 * HOUR,
     OF(slow_start_ms),
     .help = "slow_start=30s"},
    {.name = "backup", .type = KEY_BOOL, OF(backup), .help = "backup"},
    {.name = "disabled", .type = KEY_BOOL, OF(disabled), .help = "disabled"},
};

static const struct options upstream_options = {upstream_keys,
                                                sizeof upstream_keys / sizeof upstream_keys[0]};

/* ---- host names ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* True for the last part of a name that resolvers take for a number: "256", "0x7f". A name with
 * such an end is a mistyped address, which some systems would read as another one. */
static bool is_numeric_label(const char *label, size_t len)
{
    bool hex = len >= 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X');
    for (size_t i = hex ? 2 : 0; i < len; ++i) {
        char lower = (char)(label[i] | 0x20);
        if (!is_digit(label[i]) && !(hex && lower >= 'a' && lower <= 'f'))
            return false;
    }
    return true;
}

/* Only characters that host names have; '_' is taken too, since container and Windows names
 * have it. */
static bool check_characters(const char *host, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    for (const char *c = host; *c != '\0'; ++c) {
        if ((unsigned char)*c >= 0x80) {
            str_addf(why,
                     "the host name %s holds a letter that is not ASCII; write it in its "
                     "xn-- form",
                     mistake_quote(host, quote));
            return false;
        }
        if (!is_digit(*c) && !is_letter(*c) && strchr("-._", *c) == NULL) {
            str_addf(why,
                     "the host name %s holds '%c'; it may have letters, digits, '-', '_' "
                     "and '.'",
                     mistake_quote(host, quote), *c);
            return false;
        }
    }
    return true;
}

/* A host name after RFC 1123. */
static bool check_name(const char *host, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    mistake_quote(host, quote);

    if (strlen(host) > HOST_LONGEST) {
        str_addf(why, "%s is too long; a host name has at most %d characters", quote,
                 HOST_LONGEST);
        return false;
    }
    if (!check_characters(host, why))
        return false;

    const char *last = host;
    size_t last_len = 0;
    for (const char *label = host; *label != '\0';) {
        size_t len = strcspn(label, ".");
        if (len == 0 || len > 63 || label[0] == '-' || label[len - 1] == '-') {
            str_addf(why,
                     "%s is not a host name; each part between dots has 1 to 63 characters "
                     "and no '-' at its ends",
                     quote);
            return false;
        }
        last = label;
        last_len = len;
        label += len;
        label += *label == '.';
    }
    if (is_numeric_label(last, last_len)) {
        str_addf(why,
                 "%s is neither an IP address nor a host name; an IPv4 address has four "
                 "numbers from 0 to 255, such as 10.0.0.5",
                 quote);
        return false;
    }
    return true;
}

/* ---- reading and writing ---- */

/* Writes the host in its one spelling to `out`, and with its ports as the name. */
static bool set_host(const struct host_port *host_port, struct conf_upstream *out,
                     struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    struct addr addr;

    if (addr_parse_ip(host_port->host, &addr) == ERR_OK) {
        char ip[ADDR_TEXT_MAX];
        addr_normalise(&addr);
        if (addr_is_any(&addr)) {
            str_addf(why,
                     "%s is no address to connect to; this machine's own is 127.0.0.1 or [::1]",
                     mistake_quote(host_port->host, quote));
            return false;
        }
        addr_format_ip(&addr, ip);
        str_format(out->host, sizeof out->host, "%s", ip);
        str_format(out->name, sizeof out->name, addr.family == ADDR_IPV6 ? "[%s]" : "%s", ip);
    } else {
        if (!check_name(host_port->host, why))
            return false;
        str_format(out->host, sizeof out->host, "%s", host_port->host);
        for (char *c = out->host; *c != '\0'; ++c) /* names have no case (RFC 4343) */
            if (*c >= 'A' && *c <= 'Z')
                *c = (char)(*c - 'A' + 'a');
        str_format(out->name, sizeof out->name, "%s", out->host);
    }
    host_port_add_ports(out->name, sizeof out->name, host_port->port, host_port->port_count);
    return true;
}

static bool read_address(const char *address, struct conf_upstream *upstream, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    struct host_port host_port;
    if (!host_port_read(address, &upstream_form, &host_port, why))
        return false;
    if (host_port.host[0] == '\0') {
        str_addf(why, "%s has no host; write %s, such as %s", mistake_quote(address, quote),
                 upstream_form.form, upstream_form.example);
        return false;
    }
    upstream->port = host_port.port;
    upstream->port_count = host_port.port_count;
    return set_host(&host_port, upstream, why);
}

bool upstream_read(const char *text, struct conf_upstream *out, struct str *why)
{
    char address[CONF_LINE_MAX + 1];
    const char *rest;
    bool given[OPTIONS_MAX];
    struct conf_upstream upstream = {0};

    size_t len = words_first(text, &rest);
    /* "a:1, b:1" is a list, of which the whole is shown. */
    bool is_list = memchr(text, ',', len) != NULL;
    str_format(address, sizeof address, "%.*s", (int)(is_list ? strlen(text) : len), text);
    bool ok = read_address(address, &upstream, why);
    if (!is_list)
        ok &= option_read(&upstream_options, rest, &upstream, given, why);
    if (ok)
        *out = upstream;
    return ok;
}

void upstream_write(const struct conf_upstream *upstream, struct str *out)
{
    str_add(out, upstream->name);
    option_write(&upstream_options, upstream, false, out);
}

static bool is_taken(struct addr addr, const struct conf_listen *listen,
                     conf_is_own_addr *is_own)
{
    addr.port = listen->addr.port;
    if (addr_equal(&addr, &listen->addr))
        return true;
    if (!addr_is_any(&listen->addr) ||
        (!listen->dual_stack && listen->addr.family != addr.family))
        return false;
    /* The system takes the unspecified address for this machine. */
    return addr_is_loopback(&addr) || addr_is_any(&addr) || (is_own != NULL && is_own(&addr));
}

bool upstream_is_listener(const struct conf_upstream *upstream,
                          const struct conf_listen *listen, conf_is_own_addr *is_own)
{
    struct addr addr, other;
    if (upstream->port >= listen->addr.port + listen->port_count ||
        listen->addr.port >= upstream->port + upstream->port_count)
        return false;
    if (strcmp(upstream->host, "localhost") == 0)
        return addr_parse_ip("127.0.0.1", &addr) == ERR_OK &&
               addr_parse_ip("::1", &other) == ERR_OK &&
               (is_taken(addr, listen, is_own) || is_taken(other, listen, is_own));
    return addr_parse_ip(upstream->host, &addr) == ERR_OK && is_taken(addr, listen, is_own);
}
