/* value_list.h - lists of a route in one line: source and proxy_trust, parted by commas.
 *
 * A route owns its lists; one without elements has no memory. Reading and copying free what the
 * route had. On false the route is unchanged; `why`, for reading, has got "what is wrong; what
 * would be right", or has failed for want of memory. What is written is read back the same.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_VALUE_LIST_H
#define PAIRPORT_CONFIG_VALUE_LIST_H

#include <stdbool.h>

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

void value_free_sources(struct conf_route *route);
void value_free_trusts(struct conf_route *route);

#endif
