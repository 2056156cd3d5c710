/* access_settle.c - access lists when all their lines are read: sorted, without repetitions. */
#include <stdlib.h>
#include <string.h>

#include "base/addr_net.h"
#include "config/read/access.h"
#include "config/read/file.h"

/* ---- order ---- */

/* By family, address and bits. */
static int compare_nets(const struct addr_net *a, const struct addr_net *b)
{
    if (a->addr.family != b->addr.family)
        return a->addr.family < b->addr.family ? -1 : 1;
    int order = memcmp(a->addr.ip, b->addr.ip, sizeof a->addr.ip);
    if (order == 0)
        order = (int)a->bits - (int)b->bits;
    return order;
}

/* The same network stands in order of its lines. */
static int compare_entries(const void *left, const void *right)
{
    const struct access_entry *a = left;
    const struct access_entry *b = right;
    int order = compare_nets(&a->net, &b->net);
    if (order == 0)
        order = (a->line > b->line) - (a->line < b->line);
    if (order == 0)
        order = (a->file_line > b->file_line) - (a->file_line < b->file_line);
    return order;
}

/* ---- contradictions ---- */

struct place {
    const char *conf;
    const char *label;
    const struct access_list *list;
};

/* "FILE:LINE" of an entry from a file, into `text`. */
static const char *file_place(const struct place *place, const struct access_entry *entry,
                              char text[CONF_PATH_MAX + 16])
{
    char path[CONF_PATH_MAX];
    const char *name = place->list->files[entry->file - 1].path;
    if (!file_beside(place->conf, name, path, sizeof path))
        str_format(path, sizeof path, "%s", name);
    str_format(text, CONF_PATH_MAX + 16, "%s:%u", path, entry->file_line);
    return text;
}

static void tell_both(const struct place *place, const struct access_entry *first,
                      const struct access_entry *second, struct mistakes *mistakes)
{
    char net[ADDR_NET_TEXT_MAX];
    char here[CONF_PATH_MAX + 16] = "";
    char there[CONF_PATH_MAX + 16];
    if (second->file > 0)
        file_place(place, second, here);
    if (first->file > 0)
        file_place(place, first, there);
    else
        str_format(there, sizeof there, "line %u", first->line);
    mistakes_add(mistakes, second->line, "%s %s: %s%s%s is %s in %s; remove one of them",
                 place->label, second->allow ? "allow" : "deny", here,
                 here[0] != '\0' ? ": " : "", addr_net_format(&second->net, net),
                 first->allow ? "allowed" : "denied", there);
}

/* ---- what a route gets ---- */

/* Keeps each network once, the first mention of it, and puts it into `out`. */
static size_t keep_once(const struct place *place, struct conf_access *out,
                        struct mistakes *mistakes)
{
    const struct access_list *list = place->list;
    const struct access_entry *first = NULL;
    size_t count = 0;
    size_t wrong = 0;
    unsigned last_line = 0;
    for (size_t i = 0; i < list->count; ++i) {
        const struct access_entry *entry = &list->entries[i];
        if (first == NULL || compare_nets(&first->net, &entry->net) != 0) {
            first = entry;
            out[count++] = (struct conf_access){
                .net = entry->net, .allow = entry->allow, .from_file = entry->file > 0};
            continue;
        }
        if (entry->file == 0)
            out[count - 1].from_file = false;
        if (entry->allow == first->allow)
            continue;
        last_line = entry->line;
        if (++wrong <= ACCESS_SHOWN)
            tell_both(place, first, entry, mistakes);
    }
    if (wrong > ACCESS_SHOWN)
        mistakes_add(mistakes, last_line,
                     "%s allow and deny: %zu more networks are both allowed and denied; mend "
                     "these first",
                     place->label, wrong - ACCESS_SHOWN);
    return count;
}

void access_settle(struct access_list *list, const char *conf, const char *label,
                   struct conf_route *route, struct mistakes *mistakes)
{
    struct conf_access *access = NULL;
    if (list->count > 0) {
        access = calloc(list->count, sizeof *access);
        if (access == NULL) {
            mistakes->failed = true;
            return;
        }
        const struct place place = {.conf = conf, .label = label, .list = list};
        qsort(list->entries, list->count, sizeof *list->entries, compare_entries);
        route->access_count = keep_once(&place, access, mistakes);
    }
    route->access = access;
    route->access_files = list->files;
    route->access_file_count = list->file_count;
    list->files = NULL;
    access_free(list);
}

void access_free(struct access_list *list)
{
    free(list->entries);
    free(list->files);
    memset(list, 0, sizeof *list);
}
