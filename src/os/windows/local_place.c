/* local_place.c - where the pipes of relays are, and who is there. */
#include <string.h>

#include "base/str.h"
#include "os/local.h"
#include "os/windows/wide.h"
#include "os/windows/windows_api.h"

enum err local_path(const char *name, char path[LOCAL_NAME_MAX])
{
    char text[LOCAL_NAME_MAX];
    size_t len;
    if (name[0] == '\0')
        return ERR_INVALID;
    if (strpbrk(name, "/\\") != NULL)
        len = str_format(text, sizeof text, "%s", name);
    else
        len = str_format(text, sizeof text, "\\\\.\\pipe\\pairport-%s", name);
    if (len >= LOCAL_NAME_MAX - 1) /* the system's limit of a pipe name is 256, too */
        return ERR_RANGE;
    memcpy(path, text, len + 1);
    return ERR_OK;
}

enum err local_find(const char *name, char path[LOCAL_NAME_MAX])
{
    return local_path(name, path); /* names are the same for all */
}

static void look(const char *path,
                 void (*found)(void *ctx, const char *path, const struct local_peer *peer),
                 void *ctx)
{
    struct local_conn *conn;
    struct local_peer peer;
    if (local_connect(path, &conn) != ERR_OK)
        return;
    if (local_peer(conn, &peer) == ERR_OK)
        found(ctx, path, &peer);
    local_conn_close(conn);
}

void local_each(void (*found)(void *ctx, const char *path, const struct local_peer *peer),
                void *ctx)
{
    static const char beginning[] = "pairport-";
    WIN32_FIND_DATAW data;
    /* Listed like the files of a directory; Wine has no such list. */
    HANDLE list = FindFirstFileW(L"\\\\.\\pipe\\*", &data);
    if (list == INVALID_HANDLE_VALUE)
        return;
    do {
        char name[LOCAL_NAME_MAX], path[LOCAL_NAME_MAX];
        if (wide_to_utf8(data.cFileName, name, sizeof name) == ERR_OK &&
            strncmp(name, beginning, sizeof beginning - 1) == 0 &&
            local_path(name + sizeof beginning - 1, path) == ERR_OK)
            look(path, found, ctx);
    } while (FindNextFileW(list, &data));
    FindClose(list);
}
