#include "config/value/value_list.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "config/value/mistakes.h"
#include "config/value/value_access.h"
#include "config/value/words.h"

/* ---- items ---- */

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

/* ---- source ---- */

static bool read_source(const char *item, void *out, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    struct addr *addr = out;
    if (addr_parse_ip(item, addr) != ERR_OK) {
        explain_item(item, "an IP address", "10.0.0.2, 10.0.0.3", why);
        return false;
    }
    addr_normalise(addr);
    if (!addr_is_any(addr))
        return true;
    str_addf(why,
             "%s is every address; write one of this machine, or nothing to leave it to the "
             "system",
             mistake_quote(item, quote));
    return false;
}

static const char *source_text(const void *addr, char text[ADDR_NET_TEXT_MAX])
{
    return addr_format_ip(addr, text);
}

static bool same_source(const void *a, const void *b)
{
    return addr_equal(a, b);
}

/* ---- networks ---- */

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

static bool read_one_net(const char *item, void *out, struct str *why)
{
    return value_read_net(item, VALUE_NET_EXAMPLES, out, why);
}

static const char *net_text(const void *net, char text[ADDR_NET_TEXT_MAX])
{
    return addr_net_format(net, text);
}

static bool same_net(const void *a, const void *b)
{
    const struct addr_net *left = a;
    const struct addr_net *right = b;
    return left->bits == right->bits && addr_equal(&left->addr, &right->addr);
}

/* ---- a key's list ---- */

/* Where a route has the list, and what its elements are. */
static const struct form {
    size_t list, count; /* offsets */
    size_t size;        /* of an element */
    bool (*read)(const char *item, void *element, struct str *why);
    const char *(*text)(const void *element, char text[ADDR_NET_TEXT_MAX]);
    bool (*same)(const void *a, const void *b);
} forms[] = {
#define LIST(list, count)                                                                      \
    offsetof(struct conf_route, list), offsetof(struct conf_route, count),                     \
        sizeof *((struct conf_route *)0)->list
    [KEY_SOURCE] = {LIST(sources, source_count), read_source, source_text, same_source},
    [KEY_TRUST] = {LIST(trusts, trust_count), read_one_net, net_text, same_net},
    [KEY_EXEMPT] = {LIST(exempts, exempt_count), read_one_net, net_text, same_net},
#undef LIST
};

/* The route's list, in which element i begins at byte i * form->size. */
static char *get_list(const struct form *form, const void *route, size_t *count)
{
    char *list;
    memcpy(&list, (const char *)route + form->list, sizeof list);
    memcpy(count, (const char *)route + form->count, sizeof *count);
    return list;
}

/* Gives the route another list, which it owns from now on. */
static void put_list(const struct form *form, void *route, char *list, size_t count)
{
    size_t old_count;
    free(get_list(form, route, &old_count));
    memcpy((char *)route + form->list, &list, sizeof list);
    memcpy((char *)route + form->count, &count, sizeof count);
}

/* Reads an item into list[i], and looks for it in front of that. */
static bool read_item(const struct form *form, const char *item, char *list, size_t i,
                      struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    if (!form->read(item, list + i * form->size, why))
        return false;
    for (size_t j = 0; j < i; ++j) {
        if (form->same(list + j * form->size, list + i * form->size)) {
            str_addf(why, "%s is there twice; remove one of them", mistake_quote(item, quote));
            return false;
        }
    }
    return true;
}

bool value_read_list(const struct key *key, const char *text, void *route, struct str *why)
{
    const struct form *form = &forms[key->type];
    size_t count = value_count_items(text);
    char *list = count > 0 ? calloc(count, form->size) : NULL;
    if (count > 0 && list == NULL) {
        why->failed = true;
        return false;
    }
    for (size_t i = 0; i < count; ++i) {
        char item[CONF_LINE_MAX + 1];
        value_cut_item(&text, item);
        if (!read_item(form, item, list, i, why)) {
            free(list);
            return false;
        }
    }
    put_list(form, route, list, count);
    return true;
}

void value_write_list(const struct key *key, const void *route, struct str *out)
{
    const struct form *form = &forms[key->type];
    char text[ADDR_NET_TEXT_MAX];
    size_t count;
    const char *list = get_list(form, route, &count);
    for (size_t i = 0; i < count; ++i)
        str_addf(out, "%s%s", i == 0 ? "" : ", ", form->text(list + i * form->size, text));
}

bool value_equal_list(const struct key *key, const void *a, const void *b)
{
    const struct form *form = &forms[key->type];
    size_t count, other_count;
    const char *list = get_list(form, a, &count);
    const char *other = get_list(form, b, &other_count);
    bool same = count == other_count;
    for (size_t i = 0; same && i < count; ++i)
        same = form->same(list + i * form->size, other + i * form->size);
    return same;
}

bool value_copy_list(const struct key *key, const void *from, void *to)
{
    const struct form *form = &forms[key->type];
    size_t count;
    const char *list = get_list(form, from, &count);
    char *copy = count > 0 ? malloc(count * form->size) : NULL;
    if (count > 0 && copy == NULL)
        return false;
    if (count > 0)
        memcpy(copy, list, count * form->size);
    put_list(form, to, copy, count);
    return true;
}

void value_free_list(enum key_type type, struct conf_route *route)
{
    put_list(&forms[type], route, NULL, 0);
}

void value_free_lists(struct conf_route *route)
{
    value_free_list(KEY_SOURCE, route);
    value_free_list(KEY_TRUST, route);
    value_free_list(KEY_EXEMPT, route);
    value_free_access(route);
}
