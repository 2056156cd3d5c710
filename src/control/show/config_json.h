/* config_json.h - a configuration as JSON, made from the table of keys.
 *
 * Names are those of the file with the unit behind them: idle_timeout_ms, buffer_size_bytes.
 * Values of several parts are objects, lists are arrays, and what is off as a whole is null.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_SHOW_CONFIG_JSON_H
#define PAIRPORT_CONTROL_SHOW_CONFIG_JSON_H

#include "base/str.h"
#include "config/conf.h"

void config_json_write(const struct conf *conf, struct str *out);

#endif
