/* file.h - the files that a configuration is read from.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_READ_FILE_H
#define PAIRPORT_CONFIG_READ_FILE_H

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
    const char
        *slashes; /* what ends the name of a folder: "/", on Windows also the other one */
};
struct file_calls file_use(const struct file_calls *calls); /* the calls before */

/* Adds all of a file to `out`, of a larger one only some more than `max` bytes. Returns 0 or an
 * errno; EISDIR for a folder on every system, ENOMEM when `out` has failed. */
int file_read(const char *path, size_t max, struct str *out);

/* False for what reading might wait on for ever: pipes and devices. True for what is not there. */
bool file_is_plain(const char *path);

/* Why no file can be written at `path`, as far as that can be told without trying; permissions are
 * not looked at. The folder of the file is the first *folder_len bytes of `path`, 0: the current
 * one. */
enum file_fault {
    FILE_FINE,
    FILE_IS_FOLDER,
    FILE_FOLDER_MISSING,
    FILE_FOLDER_IS_FILE,
    FILE_OF_WINDOWS /* "C:\..." on a system without drives, where all of it would be one name */
};
enum file_fault file_find_fault(const char *path, size_t *folder_len);

/* Where the file `name` is if `file` names it: `name` itself if that is absolute, else in the
 * folder that `file` is in. False: that is `size` bytes long or longer. */
bool file_beside(const char *file, const char *name, char *out, size_t size);

#endif
