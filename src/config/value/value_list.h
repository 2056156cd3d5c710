/* value_list.h - lists of a route in one line: source, proxy_trust and guard_exempt, parted by
 * commas.
 *
 * A route owns its lists; one without elements has no memory. Reading and copying free what the
 * route had. On false the route is unchanged; `why`, for reading, has got "what is wrong; what
 * would be right", or has failed for want of memory. What is written is read back the same.
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

/* Local IP addresses, each once. */
bool value_read_sources(const char *text, struct conf_route *route, struct str *why);
void value_write_sources(const struct conf_route *route, struct str *out);
bool value_copy_sources(const struct conf_route *from, struct conf_route *to);

/* Networks and single addresses, each once. */
bool value_read_trusts(const char *text, struct conf_route *route, struct str *why);
void value_write_trusts(const struct conf_route *route, struct str *out);
bool value_copy_trusts(const struct conf_route *from, struct conf_route *to);

bool value_read_exempts(const char *text, struct conf_route *route, struct str *why);
void value_write_exempts(const struct conf_route *route, struct str *out);
bool value_copy_exempts(const struct conf_route *from, struct conf_route *to);

void value_free_sources(struct conf_route *route);
void value_free_trusts(struct conf_route *route);
void value_free_exempts(struct conf_route *route);
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
