#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
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

enum err os_file_sync(FILE *file)
{
    if (fflush(file) != 0)
        return error_last();
    /* What is no file on a disk has nothing to be synced. */
    return fsync(fileno(file)) == 0 || errno == EINVAL ? ERR_OK : error_last();
}

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
