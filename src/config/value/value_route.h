/* value_route.h - values of a route that are more than a word or a number: when_down, health,
 * refuse.
 *
 * Reading: on false the result is untouched and `why` has got "what is wrong; what would be
 * right". What is written is read back the same.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_VALUE_VALUE_ROUTE_H
#define PAIRPORT_CONFIG_VALUE_VALUE_ROUTE_H

#include <stdbool.h>

#include "base/str.h"
#include "config/conf.h"

/* "refuse" or "hold 30s", into when_down and hold_ms. */
bool value_read_when_down(const char *text, struct conf_route *route, struct str *why);
void value_write_when_down(const struct conf_route *route, struct str *out);

/* "off" or "tcp interval=2s ..." */
bool value_read_health(const char *text, struct conf_health *out, struct str *why);
void value_write_health(const struct conf_health *health, struct str *out);

/* "reset", "close" or "tarpit 10s", into refuse and tarpit_ms. */
bool value_read_refuse(const char *text, struct conf_route *route, struct str *why);
void value_write_refuse(const struct conf_route *route, struct str *out);

#endif
