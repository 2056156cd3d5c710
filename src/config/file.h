/* file.h - the files that a configuration is read from.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_FILE_H
#define PAIRPORT_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/str.h"

/* How files are opened: as fopen() and stat() do, unless told otherwise, which the program does
 * before any other thread reads. On Windows those two take a path in the code page of the system
 * and not in UTF-8 (before Windows 10 1903 in any case); see os/os.h. */
struct file_calls {
    FILE *(*open)(const char *path, const char *mode); /* NULL and errno, or a file */
    int (*get_mode)(const char *path, unsigned *mode); /* st_mode; returns 0 or an errno */
};
void file_use(const struct file_calls *calls);

/* Adds all of a file to `out`, of a larger one only some more than `max` bytes. Returns 0 or an
 * errno; EISDIR for a folder on every system, ENOMEM when `out` has failed. */
int file_read(const char *path, size_t max, struct str *out);

/* False for what reading might wait on for ever: pipes and devices. True for what is not there. */
bool file_is_plain(const char *path);

/* Where the file `name` is if `file` names it: `name` itself if that is absolute, else in the
 * folder that `file` is in. False: that is `size` bytes long or longer. */
bool file_beside(const char *file, const char *name, char *out, size_t size);

#endif
