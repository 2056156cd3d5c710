/* config_file.h - which configuration file is meant, and loading it with its messages.
 *
 * Threads: the main thread.
 */
#ifndef PAIRPORT_SERVICE_CONFIG_FILE_H
#define PAIRPORT_SERVICE_CONFIG_FILE_H

#include <stdbool.h>

#include "config/conf.h"

/* The file to use: `given` when that is not NULL, else the first of the usual places that
 * exists. False: there is none, `path` names the places that were tried. */
bool config_file_find(const char *given, char path[CONF_PATH_MAX]);

/* Finds and loads it; every mistake and warning goes to stderr. NULL: there was none, or it has
 * mistakes. */
struct conf *config_file_load(const char *given);

#endif
