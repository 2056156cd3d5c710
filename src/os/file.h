/* file.h - files that outlive the process: the log, the state file and its lock.
 *
 * Nobody else may choose which file that is: a symbolic link is followed only when this user or
 * root owns it and nobody else can write to the folder it is in. Else it is ERR_UNSAFE. On Windows
 * a link is never followed, since making one takes a privilege there.
 *
 * Threads: any, but no worker and no thread that takes signals: each call blocks for as long as
 * the disk, or the network behind it, does.
 */
#ifndef PAIRPORT_OS_FILE_H
#define PAIRPORT_OS_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

/* Opens a log for appending, unbuffered; a new one has mode 0640. A pipe is opened without waiting
 * for its reader, and writing to it never waits: fwrite() takes what fits. Where the system allows
 * it, what is in the pipe stays there while nobody reads. ERR_INVALID: a directory. */
enum err os_log_open(FILE **out, const char *path);

/* Opens a file for reading. ERR_INVALID: a directory, a pipe or a device. */
enum err os_plain_open(FILE **out, const char *path);

/* The file that `path` stands for, absolute and with links followed, into `out`; one that does not
 * exist yet has its absolute path. */
enum err os_file_settle(const char *path, char *out, size_t size);

/* Makes `bytes` the whole content of a file, mode 0600, and waits until the disk has it. They are
 * written to a new file beside it, of an unpredictable name, which then takes the place of the
 * old one in one step: whoever reads gets the old one or the new one. On an error the old one stays
 * as it is. Where that cannot be (a file mounted by itself, a folder that may not be written to) an
 * existing file is written in place, and an error or a crash may leave half of it. `path` is one of
 * os_file_settle(). */
enum err os_file_write_whole(const char *path, const char *bytes, size_t len);

/* Removes what a crash within os_file_write_whole() of that path has left. For the holder of the
 * lock of that file. */
void os_file_clean_up(const char *path);

/* ---- locks ---- */

struct os_file_lock; /* opaque */

/* Takes the lock of a file that other processes may write: an open file `path`.lock, which goes
 * with the process. Does not wait. ERR_IN_USE: another holder has it, *holder is its process
 * identifier, or 0 when that is not known. Other errors: there can be no lock. */
enum err os_file_lock(struct os_file_lock **out, const char *path, uint64_t *holder);
void os_file_unlock(struct os_file_lock *lock); /* NULL is fine */

#endif
