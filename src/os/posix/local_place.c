/* local_place.c - where the sockets of relays are, and whether such a place is safe: whoever can
 * rename files in a directory can put a socket of their own in the place of another. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "os/local.h"
#include "os/os.h"
#include "os/posix/error.h"
#include "os/posix/local_private.h"

#define SUFFIX        ".sock"
#define LOCK_MS       2000 /* how long another relay that starts is waited for */
#define LOCK_AGAIN_MS 10

static bool is_writable_by_others(const struct stat *stat)
{
    return (stat->st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

/* ---- places ---- */

enum place { PLACE_RUNTIME, PLACE_SYSTEM, PLACE_TEMPORARY, PLACE_COUNT };

/* The directory; false: there is no such place. */
static bool get_place(enum place place, char directory[LOCAL_NAME_MAX])
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    size_t len = 0;
    switch (place) {
    case PLACE_RUNTIME:
        if (runtime == NULL || runtime[0] != '/')
            return false;
        len = str_format(directory, LOCAL_NAME_MAX, "%s/pairport", runtime);
        break;
    case PLACE_SYSTEM: len = str_format(directory, LOCAL_NAME_MAX, "/run/pairport"); break;
    case PLACE_TEMPORARY:
        len = str_format(directory, LOCAL_NAME_MAX, "/tmp/pairport-%u", (unsigned)geteuid());
        break;
    case PLACE_COUNT: break;
    }
    return len > 0 && len < LOCAL_NAME_MAX;
}

static bool is_mine(const char *directory)
{
    struct stat stat;
    return lstat(directory, &stat) == 0 && S_ISDIR(stat.st_mode) && stat.st_uid == geteuid();
}

/* True when the caller can have its socket there. */
static bool is_usable(enum place place, const char *directory)
{
    struct stat stat;
    if (place == PLACE_TEMPORARY)
        return true; /* the last one: what is wrong with it is said when it is opened */
    if (lstat(directory, &stat) == 0)
        return is_mine(directory) && !is_writable_by_others(&stat);
    char parent[LOCAL_NAME_MAX];
    size_t len = (size_t)(strrchr(directory, '/') - directory);
    str_format(parent, sizeof parent, "%.*s", (int)len, directory);
    /* Root could, but that of a user is not the place of root's relay. */
    return errno == ENOENT && is_mine(parent) && access(parent, W_OK | X_OK) == 0;
}

static enum err join(const char *directory, const char *name, char path[LOCAL_NAME_MAX])
{
    /* A file name that fits here may still be too long for a socket address. */
    enum { LONGEST = sizeof((struct sockaddr_un *)NULL)->sun_path };
    char text[LOCAL_NAME_MAX];
    _Static_assert(LONGEST < LOCAL_NAME_MAX, "a cut text is seen as too long");
    size_t len = directory == NULL
                     ? str_format(text, sizeof text, "%s", name)
                     : str_format(text, sizeof text, "%s/%s" SUFFIX, directory, name);
    if (len >= LONGEST)
        return ERR_RANGE;
    memcpy(path, text, len + 1);
    return ERR_OK;
}

static bool is_path(const char *name)
{
    return strpbrk(name, "/\\") != NULL;
}

enum err local_path(const char *name, char path[LOCAL_NAME_MAX])
{
    if (name[0] == '\0')
        return ERR_INVALID;
    if (is_path(name))
        return join(NULL, name, path);
    char directory[LOCAL_NAME_MAX];
    for (enum place place = PLACE_RUNTIME; place < PLACE_COUNT; place++)
        if (get_place(place, directory) && is_usable(place, directory))
            return join(directory, name, path);
    return ERR_NOT_FOUND; /* not reached: the last one is always usable */
}

/* ---- who is there ---- */

/* Connects and looks. ERR_AGAIN: somebody is there who has no time. */
static enum err look(const char *path, struct local_peer *peer)
{
    struct local_conn *conn;
    enum err err = local_connect(path, &conn);
    if (err != ERR_OK)
        return err;
    err = local_peer(conn, peer);
    local_conn_close(conn);
    return err;
}

/* The endpoints of this name that exist, in the order of places; returns how many. */
static size_t list_existing(const char *name, char paths[PLACE_COUNT][LOCAL_NAME_MAX])
{
    size_t count = 0;
    for (enum place place = PLACE_RUNTIME; place < PLACE_COUNT; place++) {
        char directory[LOCAL_NAME_MAX];
        struct stat stat;
        if (!get_place(place, directory) || join(directory, name, paths[count]) != ERR_OK)
            continue;
        if (lstat(paths[count], &stat) == 0 || errno == EACCES)
            count++;
    }
    return count;
}

enum err local_find(const char *name, char path[LOCAL_NAME_MAX])
{
    char paths[PLACE_COUNT][LOCAL_NAME_MAX];
    if (name[0] == '\0' || is_path(name))
        return local_path(name, path);
    size_t count = list_existing(name, paths), best = count;
    if (count == 0)
        return local_path(name, path);
    /* A dead relay may have left one. Nobody is disturbed by a look where there is only one. */
    for (size_t i = 0; i < count && count > 1; i++) {
        struct local_peer peer;
        enum err err = look(paths[i], &peer);
        if (err == ERR_OK || err == ERR_AGAIN) {
            best = i;
            break;
        }
        if (err == ERR_ACCESS && best == count)
            best = i; /* one that may not be used says more than one that is missing */
    }
    best = best == count ? 0 : best;
    memcpy(path, paths[best], strlen(paths[best]) + 1);
    return ERR_OK;
}

static bool is_socket_name(const char *name)
{
    size_t len = strlen(name);
    return len > sizeof SUFFIX - 1 && strcmp(name + len - (sizeof SUFFIX - 1), SUFFIX) == 0;
}

void local_each(void (*found)(void *ctx, const char *path, const struct local_peer *peer),
                void *ctx)
{
    char directory[LOCAL_NAME_MAX], before[LOCAL_NAME_MAX] = "";
    for (enum place place = PLACE_RUNTIME; place < PLACE_COUNT; place++) {
        if (!get_place(place, directory) || strcmp(directory, before) == 0)
            continue; /* XDG_RUNTIME_DIR=/run makes two the same */
        memcpy(before, directory, strlen(directory) + 1);
        DIR *open = opendir(directory);
        const struct dirent *entry;
        while (open != NULL && (entry = readdir(open)) != NULL) {
            char path[LOCAL_NAME_MAX];
            struct local_peer peer;
            size_t len = str_format(path, sizeof path, "%s/%s", directory, entry->d_name);
            if (is_socket_name(entry->d_name) && len < sizeof path &&
                look(path, &peer) == ERR_OK)
                found(ctx, path, &peer);
        }
        if (open != NULL)
            closedir(open);
    }
}

/* ---- the directory ---- */

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

/* What is wrong with a directory for a socket of the caller; "" if nothing is. */
static void judge_directory(const char *directory, const struct stat *stat,
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
    else if (is_writable_by_others(stat))
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
        judge_directory(directory, &stat, problem);
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
            (stat.st_uid != 0 && stat.st_uid != user) || is_writable_by_others(&stat))
            return false;
        char *slash = strrchr(whole, '/');
        if (slash == whole && whole[1] == '\0')
            return true;
        slash[slash == whole ? 1 : 0] = '\0'; /* the directory above; "/" last */
    }
}

/* ---- explanations ---- */

/* Connects without judging. */
static bool ask_listener(const char *path, struct local_peer *out)
{
    struct sockaddr_un addr;
    struct local_conn conn;
    if (local_address(path, &addr) != ERR_OK || local_open_socket(&conn.fd) != ERR_OK)
        return false;
    bool known = connect(conn.fd, (const struct sockaddr *)&addr, sizeof addr) == 0 &&
                 local_peer(&conn, out) == ERR_OK;
    close(conn.fd);
    return known;
}

void local_problem(const char *path, char text[LOCAL_PROBLEM_MAX])
{
    char directory[sizeof(struct sockaddr_un)];
    struct stat stat;
    struct local_peer peer;
    local_directory(path, directory);
    if (ask_listener(path, &peer) && !peer.same_user && !peer.admin) {
        str_format(text, LOCAL_PROBLEM_MAX,
                   "the process that listens there runs as another user (%s, pid %llu)%s",
                   peer.user, (unsigned long long)peer.pid,
                   geteuid() == 0 ? ", and others could have put its socket there" : "");
        return;
    }
    text[0] = '\0';
    if (lstat(directory, &stat) == 0)
        judge_directory(directory, &stat, text);
    if (text[0] == '\0' && lstat(path, &stat) == 0 && stat.st_uid != geteuid())
        str_format(text, LOCAL_PROBLEM_MAX,
                   "it belongs to uid %u; only that user and root may use it",
                   (unsigned)stat.st_uid);
    if (text[0] == '\0')
        str_format(text, LOCAL_PROBLEM_MAX, "the system does not allow it");
}
