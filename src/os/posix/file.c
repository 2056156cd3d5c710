#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "os/file.h"
#include "os/os.h"
#include "os/posix/error.h"

enum err os_file_open(FILE **out, const char *path, const char *mode)
{
    char close_on_exec[8];
    if (str_format(close_on_exec, sizeof close_on_exec, "%se", mode) != strlen(mode) + 1)
        return ERR_INVALID;

    FILE *file = fopen(path, close_on_exec);
    if (file == NULL)
        return error_last();
    /* fopen() opens a directory for reading, and only the reads would fail. */
    struct stat stat;
    if (fstat(fileno(file), &stat) == 0 && S_ISDIR(stat.st_mode)) {
        fclose(file);
        return ERR_INVALID;
    }
    *out = file;
    return ERR_OK;
}

/* ---- files that others might meddle with ---- */

static bool is_trusted(uid_t owner)
{
    return owner == 0 || owner == geteuid();
}

/* True when the folder is of somebody trusted, and nobody else can change what is in it. */
static bool is_private_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct str folder;
    struct stat stat_of;
    str_init(&folder);
    if (slash == NULL)
        str_add(&folder, ".");
    else
        str_add_bytes(&folder, path, slash == path ? 1 : (size_t)(slash - path));
    bool is_private = !folder.failed && stat(folder.data, &stat_of) == 0 &&
                      is_trusted(stat_of.st_uid) &&
                      (stat_of.st_mode & (S_IWGRP | S_IWOTH)) == 0;
    str_free(&folder);
    return is_private;
}

/* What to add to the flags of open(): links are followed only where nobody else can make one. */
static enum err look_at_link(const char *path, int *nofollow)
{
    struct stat link;
    *nofollow = O_NOFOLLOW;
    if (lstat(path, &link) != 0 || !S_ISLNK(link.st_mode))
        return ERR_OK; /* nothing is there, or open() says what is wrong */
    if (!is_trusted(link.st_uid) || !is_private_folder_of(path))
        return ERR_UNSAFE;
    *nofollow = 0;
    return ERR_OK;
}

/* Opened for reading, too, a pipe needs no other reader to be there, and keeps what was written
 * to it. See fifo(7); POSIX leaves it open. *fd is replaced if that can be. */
static void open_pipe_both_ways(const char *path, int flags, int *fd)
{
    int both = open(path, O_RDWR | (flags & ~(O_WRONLY | O_CREAT)));
    if (both < 0)
        return;
    if (*fd >= 0)
        close(*fd);
    *fd = both;
}

enum err os_log_open(FILE **out, const char *path)
{
    struct stat stat;
    int nofollow;
    enum err err = look_at_link(path, &nofollow);
    if (err != ERR_OK)
        return err;
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | nofollow;
    int fd = open(path, flags, 0640);
    if ((fd >= 0 && fstat(fd, &stat) == 0 && S_ISFIFO(stat.st_mode)) ||
        (fd < 0 && errno == ENXIO))
        open_pipe_both_ways(path, flags, &fd);
    if (fd < 0)
        return error_last();
    FILE *file = fdopen(fd, "ab");
    if (file == NULL) {
        err = error_last();
        close(fd);
        return err;
    }
    setvbuf(file, NULL, _IONBF, 0); /* what was written is in the file */
    *out = file;
    return ERR_OK;
}

enum err os_plain_open(FILE **out, const char *path)
{
    struct stat stat;
    int nofollow;
    enum err err = look_at_link(path, &nofollow);
    if (err != ERR_OK)
        return err;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | nofollow);
    if (fd < 0)
        return error_last();
    FILE *file = NULL;
    if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode))
        err = ERR_INVALID;
    else if ((file = fdopen(fd, "rb")) == NULL)
        err = error_last();
    if (err != ERR_OK)
        close(fd);
    else
        *out = file;
    return err;
}

enum err os_file_settle(const char *path, char *out, size_t size)
{
    int nofollow;
    enum err err = look_at_link(path, &nofollow);
    if (err == ERR_OK)
        os_full_path(path, out, size);
    return err;
}

/* ---- the rest ---- */

enum err os_file_remove(const char *path)
{
    return unlink(path) == 0 ? ERR_OK : error_last();
}

enum err os_file_replace(const char *from, const char *to)
{
    return rename(from, to) == 0 ? ERR_OK : error_last();
}

void os_full_path(const char *path, char *out, size_t size)
{
    char *full = realpath(path, NULL);
    if (full != NULL) {
        str_format(out, size, "%s", full);
        free(full);
        return;
    }
    /* It does not exist yet. */
    char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
    if (here != NULL)
        str_format(out, size, "%s/%s", strcmp(here, "/") == 0 ? "" : here, path);
    else
        str_format(out, size, "%s", path);
    free(here);
}

enum err os_program_path(char *out, size_t size)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path);
    if (len < 0)
        return error_last();
    if ((size_t)len >= sizeof path || (size_t)len >= size)
        return ERR_RANGE;
    memcpy(out, path, (size_t)len);
    out[len] = '\0';
    return ERR_OK;
}

const char os_slashes[] = "/";

FILE *os_fopen(const char *path, const char *mode)
{
    return fopen(path, mode);
}

int os_file_mode(const char *path, unsigned *mode)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return errno;
    *mode = info.st_mode;
    return 0;
}

char **os_arguments(int *argc, char **argv)
{
    (void)argc;
    return argv;
}
