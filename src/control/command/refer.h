/* refer.h - how a typed word refers to a route or an upstream of the configuration.
 *
 * A route is its name in full. An upstream is ROUTE/NAME; of NAME, which is the upstream's as
 * `show upstreams` has it, the host alone or an unambiguous beginning is enough. The
 * explanations say why a word refers to nothing, and what there is.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_COMMAND_REFER_H
#define PAIRPORT_CONTROL_COMMAND_REFER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "config/conf.h"

/* False: there is none, or not only one; nothing is written. */
bool refer_route(const struct conf *conf, const char *word, size_t *route);
bool refer_upstream(const struct conf *conf, const char *word, size_t *route, size_t *upstream);

/* For a word that referred to nothing. Without a newline. */
void refer_explain_route(const struct conf *conf, const char *word, struct str *why);
void refer_explain_upstream(const struct conf *conf, const char *word, struct str *why);

/* Adds what is wanted: "the name of a route: lobby, world", of many some. */
void refer_want_route(const struct conf *conf, struct str *out);
void refer_want_upstream(const struct conf *conf, struct str *out);

#endif
