/* local_directory.c - whether the directory of a socket is safe: whoever can rename files in it can
 * put a socket of their own in the place of another. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "os/local.h"
#include "os/os.h"
#include "os/posix/error.h"
#include "os/posix/local_private.h"

#define LOCK_MS       2000 /* how long another relay that starts is waited for */
#define LOCK_AGAIN_MS 10

bool local_is_writable_by_others(const struct stat *stat)
{
    return (stat->st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

void local_directory(const char *path, char directory[sizeof(struct sockaddr_un)])
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        str_format(directory, sizeof(struct sockaddr_un), ".");
    else if (slash == path)
        str_format(directory, sizeof(struct sockaddr_un), "/");
    else
        str_format(directory, sizeof(struct sockaddr_un), "%.*s", (int)(slash - path), path);
}

void local_judge_directory(const char *directory, const struct stat *stat,
                           char text[LOCAL_PROBLEM_MAX])
{
    text[0] = '\0';
    if (S_ISLNK(stat->st_mode))
        str_format(text, LOCAL_PROBLEM_MAX, "%s is a symbolic link, not a directory",
                   directory);
    else if (!S_ISDIR(stat->st_mode))
        str_format(text, LOCAL_PROBLEM_MAX, "%s is not a directory", directory);
    else if (stat->st_uid != 0 && stat->st_uid != geteuid())
        str_format(text, LOCAL_PROBLEM_MAX,
                   "the directory %s belongs to uid %u, not to this user (uid %u)", directory,
                   (unsigned)stat->st_uid, (unsigned)geteuid());
    else if (local_is_writable_by_others(stat))
        str_format(text, LOCAL_PROBLEM_MAX,
                   "other users can write to the directory %s (mode %04o); it has to be one "
                   "that only its owner can write, as with mode 0700",
                   directory, (unsigned)(stat->st_mode & 07777));
}

/* The process that holds a flock() on this file; 0: it is not known. See proc_locks(5). */
static long find_holder(int fd)
{
    struct stat stat;
    FILE *file = fstat(fd, &stat) == 0 ? fopen("/proc/locks", "re") : NULL;
    if (file == NULL)
        return 0;
    char line[256];
    long found = 0;
    while (found == 0 && fgets(line, sizeof line, file) != NULL) {
        char kind[16];
        long pid;
        unsigned long long inode;
        if (sscanf(line, "%*[^:]: %15s %*s %*s %ld %*x:%*x:%llu", kind, &pid, &inode) == 3 &&
            strcmp(kind, "FLOCK") == 0 && inode == stat.st_ino)
            found = pid;
    }
    fclose(file);
    return found;
}

/* Two starting relays must not both find the same stale socket. Whoever holds the lock for long
 * is not starting, but stopped: then this one goes on without. */
static void lock(int fd, const char *directory)
{
    uint64_t until = os_mono_ms() + LOCK_MS;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EINTR && errno != EWOULDBLOCK)
            return; /* the file system has no locks */
        if (os_mono_ms() >= until) {
            log_warning("the directory %s is locked by pid %ld, which does not let go of it; "
                        "going on without the lock",
                        directory, find_holder(fd));
            return;
        }
        os_sleep_ms(LOCK_AGAIN_MS);
    }
}

enum err local_open_directory(const char *path, int *out)
{
    char directory[sizeof(struct sockaddr_un)], problem[LOCAL_PROBLEM_MAX];
    local_directory(path, directory);
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return error_last();
    /* A symbolic link is not followed, so what is judged is what is opened. */
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ELOOP || errno == ENOTDIR ? ERR_ACCESS : error_last();
    struct stat stat;
    enum err err = fstat(fd, &stat) != 0 ? error_last() : ERR_OK;
    if (err == ERR_OK) {
        local_judge_directory(directory, &stat, problem);
        err = problem[0] == '\0' ? ERR_OK : ERR_ACCESS;
    }
    if (err != ERR_OK) {
        close(fd);
        return err;
    }
    if (stat.st_uid == geteuid())
        lock(fd, directory);
    *out = fd;
    return ERR_OK;
}

bool local_is_path_of(const char *path, uid_t user)
{
    char directory[sizeof(struct sockaddr_un)];
    char whole[PATH_MAX];
    struct stat stat;
    local_directory(path, directory);
    if (realpath(directory, whole) == NULL || lstat(whole, &stat) != 0 || stat.st_uid != user)
        return false;
    for (;;) {
        if (lstat(whole, &stat) != 0 || !S_ISDIR(stat.st_mode) ||
            (stat.st_uid != 0 && stat.st_uid != user) || local_is_writable_by_others(&stat))
            return false;
        char *slash = strrchr(whole, '/');
        if (slash == whole && whole[1] == '\0')
            return true;
        slash[slash == whole ? 1 : 0] = '\0'; /* the directory above; "/" last */
    }
}
