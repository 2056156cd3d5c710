/* value_list.h - lists of a route in one line, parted by commas: KEY_SOURCE (local IP addresses),
 * KEY_TRUST and KEY_EXEMPT (networks and single addresses), nothing twice.
 *
 * A route owns its lists; one without elements has no memory. Reading and copying free what the
 * route had. Functions for the table of types, see value.c.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_VALUE_VALUE_LIST_H
#define PAIRPORT_CONFIG_VALUE_VALUE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr_net.h"
#include "base/str.h"
#include "config/conf.h"
#include "config/value/keys.h"

bool value_read_list(const struct key *key, const char *text, void *route, struct str *why);
void value_write_list(const struct key *key, const void *route, struct str *out);
bool value_equal_list(const struct key *key, const void *a, const void *b);
bool value_copy_list(const struct key *key, const void *from, void *to);

void value_free_list(enum key_type type, struct conf_route *route);
void value_free_lists(struct conf_route *route); /* all three, and those of value_access.h */

/* ---- for lists that are kept elsewhere ---- */

size_t value_count_items(const char *text); /* items between commas; 0 of an empty text */

/* Copies the first item of *text, without the blanks around it, and moves behind its comma. */
void value_cut_item(const char **text, char item[CONF_LINE_MAX + 1]);

/* One network or address, of which `examples` shows some. */
#define VALUE_NET_EXAMPLES "10.0.0.0/8, 2001:db8::5"
bool value_read_net(const char *item, const char *examples, struct addr_net *net,
                    struct str *why);

#endif
