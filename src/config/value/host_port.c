#include "config/value/host_port.h"

#include <string.h>

#include "base/addr.h"
#include "base/err.h"
#include "config/value/mistakes.h"

static size_t count_char(const char *text, char c)
{
    size_t count = 0;
    for (; *text != '\0'; ++text)
        count += *text == c;
    return count;
}

/* Only one address may stand there: no list, no URL. */
static bool check_single(const char *text, const struct host_port_form *form, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    if (*text == '\0') {
        str_addf(why, "there is no value; write %s, such as %s", form->form, form->example);
        return false;
    }
    if (strchr(text, ',') != NULL) {
        str_addf(why, "%s looks like a list; write a line of its own for each %s",
                 mistake_quote(text, quote), form->form);
        return false;
    }
    if (strstr(text, "://") != NULL) {
        str_addf(why, "%s is a URL; write %s, such as %s", mistake_quote(text, quote),
                 form->form, form->example);
        return false;
    }
    return true;
}

/* Says what is missing where that is clear. */
static void explain(const char *text, const struct host_port_form *form, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    mistake_quote(text, quote);
    const char *bracket = strchr(text, ']');

    if (strcspn(text, ":") > HOST_LONGEST)
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
    else if (strspn(text, "0123456789-") == strlen(text))
        str_addf(why, "%s has no address; write %s, such as %s", quote, form->form,
                 form->example);
    else if (bracket != NULL && bracket[1] == '\0')
        str_addf(why, "%s has no port; write [ADDRESS]:PORT, such as [::1]:7777", quote);
    else if (strchr(text, ':') == NULL)
        str_addf(why, "%s has no port; write %s, such as %s", quote, form->form, form->example);
    else if (text[0] == '[')
        str_addf(why,
                 "in the brackets of %s stands no IPv6 address; write such as "
                 "[2001:db8::5]:7777 (a zone is a number: [fe80::1%%2]:7777)",
                 quote);
    else
        str_addf(why, "%s is not %s; write it such as %s", quote, form->form, form->example);
}

/* Splits off "-LAST". False when it is not there; *last is 0 when it is no number. `head` gets
 * what stands before it. */
static bool split_last(const char *text, char head[CONF_LINE_MAX + 1], uint64_t *last)
{
    const char *colon = strrchr(text, ':');
    const char *dash = colon != NULL ? strchr(colon, '-') : NULL;
    *last = 0;
    if (dash == NULL) {
        str_format(head, CONF_LINE_MAX + 1, "%s", text);
        return false;
    }
    str_format(head, CONF_LINE_MAX + 1, "%.*s", (int)(dash - text), text);
    if (str_parse_u64(dash + 1, last) != ERR_OK)
        *last = 0;
    return true;
}

bool host_port_read(const char *text, const struct host_port_form *form, struct host_port *out,
                    struct str *why)
{
    char head[CONF_LINE_MAX + 1];
    char quote[MISTAKE_QUOTE_MAX];
    uint64_t last;
    if (!check_single(text, form, why))
        return false;

    bool is_range = split_last(text, head, &last);
    enum err err = addr_split(head, false, out->host, sizeof out->host, &out->port);
    if (err != ERR_OK && err != ERR_RANGE) {
        explain(text, form, why); /* addr_split() does not tell more */
        return false;
    }
    if (err == ERR_RANGE || (is_range && (last == 0 || last > UINT16_MAX))) {
        str_addf(why, "the port of %s is no number from 1 to 65535; write %s, such as %s",
                 mistake_quote(text, quote), form->form, form->example);
        return false;
    }
    if (is_range && last < out->port) {
        str_addf(why, "the ports of %s end before they begin; write the lower one first",
                 mistake_quote(text, quote));
        return false;
    }
    out->port_count = is_range ? (uint16_t)(last - out->port + 1) : 1;
    return true;
}

void host_port_add_ports(char *text, size_t size, unsigned port, unsigned port_count)
{
    size_t len = strlen(text);
    if (port_count == 1)
        str_format(text + len, size - len, ":%u", port);
    else
        str_format(text + len, size - len, ":%u-%u", port, port + port_count - 1);
}
