/* units.h - numbers for people, beyond those of base/str.h.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_COMMAND_UNITS_H
#define PAIRPORT_CONTROL_COMMAND_UNITS_H

#include <stdint.h>

#include "base/str.h"

/* "-" for 0, "85us", "1.2ms", "35ms", then as str_human_duration(). */
const char *units_us(uint64_t us, char buf[STR_HUMAN_MAX]);

/* "12.3 %" of `whole`; "-" when that is 0. */
const char *units_percent(uint64_t part, uint64_t whole, char buf[STR_HUMAN_MAX]);

#endif
