/* names.c - UTF-8 for what the C library takes in the code page of the system: paths and the
 * program's arguments. Since Windows 10 1903 that page is UTF-8 by the program's manifest.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "os/os.h"
#include "os/windows/wide.h"

/* Of msvcrt.dll: the arguments as main() would have them, from GetCommandLineW(). */
struct startup {
    int new_mode;
};
int __wgetmainargs(int *argc, wchar_t ***argv, wchar_t ***environment, int expands,
                   struct startup *startup);

static int wide_errno(enum err err)
{
    return err == ERR_NOMEM ? ENOMEM : EINVAL;
}

const char os_slashes[] = "/\\";

FILE *os_fopen(const char *path, const char *mode)
{
    wchar_t *wide, *wide_mode;
    FILE *file = NULL;
    enum err err = wide_path(path, &wide);
    if (err != ERR_OK) {
        errno = wide_errno(err);
        return NULL;
    }
    err = wide_from_utf8(mode, &wide_mode);
    if (err == ERR_OK) {
        file = _wfopen(wide, wide_mode);
        free(wide_mode);
    } else {
        errno = wide_errno(err);
    }
    free(wide);
    return file;
}

int os_file_mode(const char *path, unsigned *mode)
{
    wchar_t *wide;
    struct _stat64 info;
    enum err err = wide_path(path, &wide);
    if (err != ERR_OK)
        return wide_errno(err);
    int code = _wstat64(wide, &info) == 0 ? 0 : errno;
    free(wide);
    if (code == 0)
        *mode = info.st_mode;
    return code;
}

static char *to_utf8(const wchar_t *wide)
{
    size_t size = 3 * wcslen(wide) + 1; /* no unit of UTF-16 takes more */
    char *text = malloc(size);
    if (text != NULL && wide_to_utf8(wide, text, size) == ERR_OK)
        return text;
    fputs("pairport: no memory for the arguments\n", stderr);
    exit(1);
}

char **os_arguments(int *argc, char **argv)
{
    int count = 0;
    wchar_t **wide = NULL, **environment = NULL;
    struct startup startup = {.new_mode = 0};
    if (__wgetmainargs(&count, &wide, &environment, 0, &startup) != 0 || count != *argc)
        return argv;
    char **all = calloc((size_t)count + 1, sizeof *all);
    for (int i = 0; all != NULL && i < count; i++)
        all[i] = to_utf8(wide[i]);
    return all == NULL ? argv : all;
}
