#include "config/endpoint.h"

#include <stddef.h>
#include <string.h>

#include "base/err.h"
#include "config/mistakes.h"

#define HOST_LONGEST 253 /* RFC 1035 section 2.3.4, as text */

/* What belongs where an address is expected. */
struct wanted {
    const char *form;    /* "ADDRESS:PORT" */
    const char *example; /* "10.0.0.5:7000" */
};

static const struct wanted listen_form = {"ADDRESS:PORT", "0.0.0.0:7777 or *:7777"};
static const struct wanted upstream_form = {"HOST:PORT", "10.0.0.5:7000"};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t count_char(const char *text, char c)
{
    size_t count = 0;
    for (; *text != '\0'; ++text)
        count += *text == c;
    return count;
}

/* Only the address itself may stand there: no options, no list. */
static bool check_single(const char *text, const struct wanted *wanted, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    if (*text == '\0') {
        str_addf(why, "there is no value; write %s, such as %s", wanted->form, wanted->example);
        return false;
    }
    if (strchr(text, ',') != NULL) {
        str_addf(why, "%s looks like a list; write a line of its own for each %s",
                 mistake_quote(text, quote), wanted->form);
        return false;
    }
    size_t word = strcspn(text, " \t");
    if (text[word] != '\0') {
        const char *more = text + word + strspn(text + word, " \t");
        str_addf(why, "%s behind the address is not known; only %s is allowed",
                 mistake_quote(more, quote), wanted->form);
        return false;
    }
    if (strstr(text, "://") != NULL) {
        str_addf(why, "%s is a URL; write %s, such as %s", mistake_quote(text, quote),
                 wanted->form, wanted->example);
        return false;
    }
    return true;
}

/* Splits `text` into host and port. Says what is missing where that is clear. */
static bool split(const char *text, const struct wanted *wanted, char host[CONF_HOST_MAX],
                  uint16_t *port, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    mistake_quote(text, quote);

    switch (addr_split(text, false, host, CONF_HOST_MAX, port)) {
    case ERR_OK: return true;
    case ERR_RANGE:
        str_addf(why, "the port of %s is no number from 1 to 65535; write %s, such as %s",
                 quote, wanted->form, wanted->example);
        return false;
    default: break; /* the form is wrong, of which addr_split() does not tell more */
    }

    const char *bracket = strchr(text, ']');
    if (strlen(text) > HOST_LONGEST + sizeof ":65535" - 1)
        str_addf(why, "%s is too long; a host name has at most %d characters", quote,
                 HOST_LONGEST);
    else if (strpbrk(text, "[]") == NULL && count_char(text, ':') > 1)
        str_addf(why,
                 "%s is an IPv6 address without brackets; write [ADDRESS]:PORT, such as "
                 "[::1]:7777",
                 quote);
    else if (text[0] == '[' && bracket == NULL)
        str_addf(why, "%s has no closing bracket; write [ADDRESS]:PORT, such as [::1]:7777",
                 quote);
    else if (strspn(text, "0123456789") == strlen(text))
        str_addf(why, "%s has no address; write %s, such as %s", quote, wanted->form,
                 wanted->example);
    else if (bracket != NULL && bracket[1] == '\0')
        str_addf(why, "%s has no port; write [ADDRESS]:PORT, such as [::1]:7777", quote);
    else if (strchr(text, ':') == NULL)
        str_addf(why, "%s has no port; write %s, such as %s", quote, wanted->form,
                 wanted->example);
    else if (text[0] == '[')
        str_addf(why,
                 "in the brackets of %s stands no IPv6 address; write such as "
                 "[2001:db8::5]:7777 (a zone is a number: [fe80::1%%2]:7777)",
                 quote);
    else
        str_addf(why, "%s is not %s; write it such as %s", quote, wanted->form,
                 wanted->example);
    return false;
}

/* ---- listen ---- */

bool endpoint_read_listen(const char *text, struct conf_listen *out, struct str *why)
{
    char host[CONF_HOST_MAX];
    char quote[MISTAKE_QUOTE_MAX];
    uint16_t port;
    struct addr addr;

    if (!check_single(text, &listen_form, why) || !split(text, &listen_form, host, &port, why))
        return false;

    if (addr_parse_ip(host[0] == '\0' ? "::" : host, &addr) != ERR_OK) {
        str_addf(why,
                 "%s is not an IP address; write one of this machine with its port, such as "
                 "%s",
                 mistake_quote(host, quote), listen_form.example);
        return false;
    }
    addr_normalise(&addr);
    addr.port = port;
    out->addr = addr;
    out->dual_stack = addr.family == ADDR_IPV6 && addr_is_any(&addr);
    out->line = 0;
    return true;
}

const char *endpoint_listen_text(const struct conf_listen *listen, char text[ADDR_TEXT_MAX])
{
    if (!listen->dual_stack)
        return addr_format(&listen->addr, text);
    str_format(text, ADDR_TEXT_MAX, "*:%u", (unsigned)listen->addr.port);
    return text;
}

bool endpoint_overlap(const struct conf_listen *a, const struct conf_listen *b)
{
    if (a->addr.port != b->addr.port)
        return false;
    if (a->dual_stack || b->dual_stack)
        return true;
    if (a->addr.family != b->addr.family)
        return false;
    return addr_is_any(&a->addr) || addr_is_any(&b->addr) || addr_equal(&a->addr, &b->addr);
}

/* ---- upstream ---- */

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

/* A host name after RFC 1123; '_' is taken too, since container and Windows names have it. */
static bool check_name(const char *host, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    mistake_quote(host, quote);

    if (strlen(host) > HOST_LONGEST) {
        str_addf(why, "%s is too long; a host name has at most %d characters", quote,
                 HOST_LONGEST);
        return false;
    }
    for (const char *c = host; *c != '\0'; ++c) {
        if ((unsigned char)*c >= 0x80) {
            str_addf(why,
                     "the host name %s holds a letter that is not ASCII; write it in its "
                     "xn-- form",
                     quote);
            return false;
        }
        if (!is_digit(*c) && !is_letter(*c) && strchr("-._", *c) == NULL) {
            str_addf(why,
                     "the host name %s holds '%c'; it may have letters, digits, '-', '_' "
                     "and '.'",
                     quote, *c);
            return false;
        }
    }

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

bool endpoint_read_upstream(const char *text, struct conf_upstream *out, struct str *why)
{
    char host[CONF_HOST_MAX];
    char quote[MISTAKE_QUOTE_MAX];
    uint16_t port;
    struct addr addr;

    if (!check_single(text, &upstream_form, why) ||
        !split(text, &upstream_form, host, &port, why))
        return false;
    if (host[0] == '\0') {
        str_addf(why, "%s has no host; write %s, such as %s", mistake_quote(text, quote),
                 upstream_form.form, upstream_form.example);
        return false;
    }
    bool is_address = addr_parse_ip(host, &addr) == ERR_OK;
    if (!is_address && !check_name(host, why))
        return false;
    if (is_address) {
        addr_normalise(&addr);
        if (addr_is_any(&addr)) {
            str_addf(why,
                     "%s is no address to connect to; this machine's own is 127.0.0.1 or [::1]",
                     mistake_quote(host, quote));
            return false;
        }
    }

    memset(out, 0, sizeof *out);
    out->port = port;
    if (is_address) {
        char shown[ADDR_TEXT_MAX];
        addr.port = port;
        str_format(out->host, sizeof out->host, "%s", addr_format_ip(&addr, shown));
        str_format(out->name, sizeof out->name, "%s", addr_format(&addr, shown));
    } else {
        for (char *c = host; *c != '\0'; ++c) /* names have no case (RFC 4343) */
            if (*c >= 'A' && *c <= 'Z')
                *c = (char)(*c - 'A' + 'a');
        str_format(out->host, sizeof out->host, "%s", host);
        str_format(out->name, sizeof out->name, "%s:%u", host, (unsigned)port);
    }
    return true;
}

bool endpoint_is_listener(const struct conf_upstream *upstream,
                          const struct conf_listen *listen)
{
    struct addr addr;
    if (upstream->port != listen->addr.port)
        return false;
    bool is_localhost = strcmp(upstream->host, "localhost") == 0;
    if (addr_parse_ip(is_localhost ? "127.0.0.1" : upstream->host, &addr) != ERR_OK)
        return false; /* where a name leads is seen at start */
    addr.port = upstream->port;
    return addr_equal(&addr, &listen->addr) ||
           (addr_is_loopback(&addr) && addr_is_any(&listen->addr) &&
            (listen->dual_stack || listen->addr.family == addr.family));
}
