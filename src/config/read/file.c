#include "config/read/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config/conf.h"

static int get_mode(const char *path, unsigned *mode)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return errno;
    *mode = info.st_mode;
    return 0;
}

static struct file_calls system_calls = {.open = fopen, .get_mode = get_mode, .slashes = "/"};

struct file_calls file_use(const struct file_calls *calls)
{
    struct file_calls before = system_calls;
    system_calls = *calls;
    return before;
}

int file_read(const char *path, size_t max, struct str *out)
{
    /* Opening a directory fails in a different way on each system. */
    unsigned mode;
    if (system_calls.get_mode(path, &mode) == 0 && S_ISDIR(mode))
        return EISDIR;

    FILE *file = system_calls.open(path, "rb");
    if (file == NULL)
        return errno;
    char part[16 * 1024];
    size_t len = 0;
    size_t start = out->len;
    errno = 0;
    do {
        len = fread(part, 1, sizeof part, file);
        str_add_bytes(out, part, len);
    } while (len == sizeof part && out->len - start <= max && !out->failed);

    int code = 0;
    if (ferror(file) != 0)
        code = errno != 0 ? errno : EIO;
    else if (out->failed)
        code = ENOMEM;
    fclose(file);
    return code;
}

bool file_is_plain(const char *path)
{
    unsigned mode;
    return system_calls.get_mode(path, &mode) != 0 || S_ISREG(mode) || S_ISDIR(mode);
}

static bool is_slash(char c)
{
    return c == '/' || c == '\\';
}

static bool has_drive(const char *name)
{
    char letter = (char)(name[0] | 0x20);
    return letter >= 'a' && letter <= 'z' && name[1] == ':';
}

/* "C:" begins a path of its own, too: what follows may be relative, but not to our folder. */
static bool is_absolute(const char *name)
{
    return is_slash(name[0]) || has_drive(name);
}

enum file_fault file_find_fault(const char *path, size_t *folder_len)
{
    char folder[CONF_PATH_MAX];
    unsigned mode;
    *folder_len = 0;
    if (has_drive(path) && is_slash(path[2]) && strchr(system_calls.slashes, '\\') == NULL)
        return FILE_OF_WINDOWS;
    if (system_calls.get_mode(path, &mode) == 0)
        return S_ISDIR(mode) ? FILE_IS_FOLDER : FILE_FINE;
    size_t len = strlen(path);
    while (len > 0 && strchr(system_calls.slashes, path[len - 1]) == NULL)
        --len;
    if (len == 0 || len >= sizeof folder)
        return FILE_FINE;
    /* Of "/x" and "C:\x" it is the root, whose slash belongs to it. */
    *folder_len = len == 1 || path[len - 2] == ':' ? len : len - 1;
    str_format(folder, sizeof folder, "%.*s", (int)*folder_len, path);
    int code = system_calls.get_mode(folder, &mode);
    if (code == 0)
        return S_ISDIR(mode) ? FILE_FINE : FILE_FOLDER_IS_FILE;
    return code == ENOENT || code == ENOTDIR ? FILE_FOLDER_MISSING : FILE_FINE;
}

bool file_beside(const char *file, const char *name, char *out, size_t size)
{
    size_t folder = strlen(file);
    while (folder > 0 && !is_slash(file[folder - 1]))
        --folder;
    if (is_absolute(name))
        folder = 0;
    if (folder + strlen(name) >= size)
        return false;
    str_format(out, size, "%.*s%s", (int)folder, file, name);
    return true;
}
