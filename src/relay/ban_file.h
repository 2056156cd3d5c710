/* ban_file.h - bans as a file, so that they outlive the program.
 *
 * JSON of one version:
 *   {"format": "pairport state", "version": 1, "bans": [{"network": "192.0.2.7/32",
 *    "set_ms": N, "until_ms": N or null, "hits": N, "by": "console", "reason": "floods"}]}
 * Times are milliseconds since 1970. A file is written beside the old one and takes its place in
 * one step, so whoever reads gets the old one or the new one, whole.
 *
 * Threads: any; they block on the disk, so no worker.
 */
#ifndef PAIRPORT_RELAY_BAN_FILE_H
#define PAIRPORT_RELAY_BAN_FILE_H

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "policy/bans.h"

#define BAN_FILE_VERSION 1

/* Reads all bans, those that are over included; *out is the caller's to free(). ERR_NOT_FOUND:
 * there is no file. ERR_INVALID: it is damaged, others: it can't be read; `why` gets the words. */
enum err ban_file_read(const char *path, struct ban **out, size_t *count, struct str *why);

/* On an error the old file stays as it is. */
enum err ban_file_write(const char *path, const struct ban *bans, size_t count);

#endif
