/* ban_file.h - bans as a file, so that they outlive the program.
 *
 * JSON of one version:
 *   {"format": "pairport state", "version": 1, "bans": [{"network": "192.0.2.7/32",
 *    "set_ms": N, "until_ms": N or null, "hits": N, "by": "console", "reason": "floods"}]}
 * Times are milliseconds since 1970, of the wall clock. A file is written beside the old one and
 * takes its place in one step, so whoever reads gets the old one or the new one, whole.
 *
 * Threads: any; they block on the disk, so no worker.
 */
#ifndef PAIRPORT_RELAY_GUARD_BAN_FILE_H
#define PAIRPORT_RELAY_GUARD_BAN_FILE_H

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "policy/bans.h"

#define BAN_FILE_VERSION 1

/* Reads all bans, those that are over included; *out is the caller's to free(). ERR_NOT_FOUND:
 * there is no file. A file with nothing in it has no bans. ERR_INVALID: it is damaged,
 * ERR_UNSUPPORTED: it is a pipe, a device or a directory, others: it can't be read now; `why`
 * gets the words. */
enum err ban_file_read(const char *path, struct ban **out, size_t *count, struct str *why);

/* Writes a ban a line; see os_file_write_whole(). On an error the old file stays as it is.
 * *bytes (may be NULL) is the size of the file, also of one that could not be written. */
enum err ban_file_write(const char *path, const struct ban *bans, size_t count,
                        uint64_t *bytes);

#endif
