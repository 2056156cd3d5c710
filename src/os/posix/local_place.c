/* local_place.c - where the sockets of relays are, and who is there. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "os/local.h"
#include "os/posix/error.h"
#include "os/posix/local_private.h"

#define SUFFIX ".sock"

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
        return is_mine(directory) && !local_is_writable_by_others(&stat);
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
        local_judge_directory(directory, &stat, text);
    if (text[0] == '\0' && lstat(path, &stat) == 0 && stat.st_uid != geteuid())
        str_format(text, LOCAL_PROBLEM_MAX,
                   "it belongs to uid %u; only that user and root may use it",
                   (unsigned)stat.st_uid);
    if (text[0] == '\0')
        str_format(text, LOCAL_PROBLEM_MAX, "the system does not allow it");
}
