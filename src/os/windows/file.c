#include <fcntl.h>
#include <io.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "os/file.h"
#include "os/os.h"
#include "os/windows/error.h"
#include "os/windows/wide.h"
#include "os/windows/windows_api.h"

/* What the letters of fopen() mean to CreateFileW() and to the C library. */
struct file_mode {
    DWORD access;
    DWORD disposition;
    int flags; /* of _open_osfhandle() */
};

static bool read_mode(const char *mode, struct file_mode *out)
{
    bool update = strchr(mode, '+') != NULL;
    switch (mode[0]) {
    case 'r':
        out->access = GENERIC_READ | (update ? GENERIC_WRITE : 0);
        out->disposition = OPEN_EXISTING;
        out->flags = update ? _O_RDWR : _O_RDONLY;
        break;
    case 'w':
        out->access = GENERIC_WRITE | (update ? GENERIC_READ : 0);
        out->disposition = CREATE_ALWAYS;
        out->flags = update ? _O_RDWR : _O_WRONLY;
        break;
    case 'a':
        /* The right to append alone makes the system put every write at the end, also when
         * others write to the file. */
        out->access =
            FILE_APPEND_DATA | SYNCHRONIZE | FILE_READ_ATTRIBUTES | (update ? GENERIC_READ : 0);
        out->disposition = OPEN_ALWAYS;
        out->flags = _O_APPEND | (update ? _O_RDWR : _O_WRONLY);
        break;
    default: return false;
    }
    out->flags |= strchr(mode, 'b') != NULL ? _O_BINARY : _O_TEXT;
    return true;
}

static bool is_directory(const wchar_t *path)
{
    DWORD attributes = GetFileAttributesW(path);
    return attributes != INVALID_FILE_ATTRIBUTES &&
           (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

/* True for a symbolic link or a mount point; other reparse points (a file kept in the cloud) are
 * files. */
static bool is_link(const wchar_t *path)
{
    WIN32_FIND_DATAW found;
    HANDLE search = FindFirstFileW(path, &found);
    if (search == INVALID_HANDLE_VALUE)
        return false;
    FindClose(search);
    return (found.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0 &&
           IsReparseTagNameSurrogate(found.dwReserved0);
}

static enum err open_wide(FILE **out, const wchar_t *path, const struct file_mode *how,
                          const char *mode)
{
    /* As on other systems an open file can be renamed or removed: so a log can be rotated. */
    HANDLE handle =
        CreateFileW(path, how->access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                    NULL, how->disposition, FILE_ATTRIBUTE_NORMAL, NULL);
    if (handle == INVALID_HANDLE_VALUE) {
        enum err err = error_last();
        return err == ERR_ACCESS && is_directory(path) ? ERR_INVALID : err;
    }
    int fd = _open_osfhandle((intptr_t)handle, how->flags | _O_NOINHERIT);
    if (fd < 0) {
        enum err err = os_last_error();
        CloseHandle(handle);
        return err;
    }
    FILE *file = _fdopen(fd, mode);
    if (file == NULL) {
        enum err err = os_last_error();
        _close(fd); /* and the handle */
        return err;
    }
    *out = file;
    return ERR_OK;
}

static enum err open_file(FILE **out, const char *path, const char *mode, bool links)
{
    struct file_mode how;
    if (!read_mode(mode, &how))
        return ERR_INVALID;
    wchar_t *wide;
    enum err err = wide_path(path, &wide);
    if (err != ERR_OK)
        return err;
    err = !links && is_link(wide) ? ERR_UNSAFE : open_wide(out, wide, &how, mode);
    free(wide);
    return err;
}

enum err os_file_open(FILE **out, const char *path, const char *mode)
{
    return open_file(out, path, mode, true);
}

enum err os_log_open(FILE **out, const char *path)
{
    enum err err = open_file(out, path, "ab", false);
    if (err == ERR_OK)
        setvbuf(*out, NULL, _IONBF, 0); /* what was written is in the file */
    return err;
}

enum err os_plain_open(FILE **out, const char *path)
{
    FILE *file;
    enum err err = open_file(&file, path, "rb", false);
    if (err != ERR_OK)
        return err;
    if (GetFileType((HANDLE)_get_osfhandle(_fileno(file))) != FILE_TYPE_DISK) {
        fclose(file);
        return ERR_INVALID;
    }
    *out = file;
    return ERR_OK;
}

enum err os_file_settle(const char *path, char *out, size_t size)
{
    wchar_t *wide;
    enum err err = wide_path(path, &wide);
    if (err != ERR_OK)
        return err;
    if (is_link(wide))
        err = ERR_UNSAFE;
    else
        os_full_path(path, out, size);
    free(wide);
    return err;
}

enum err os_file_remove(const char *path)
{
    wchar_t *wide;
    enum err err = wide_path(path, &wide);
    if (err != ERR_OK)
        return err;
    if (!DeleteFileW(wide))
        err = error_last();
    free(wide);
    return err;
}

enum err os_file_replace(const char *from, const char *to)
{
    wchar_t *wide_from;
    enum err err = wide_path(from, &wide_from);
    if (err != ERR_OK)
        return err;
    wchar_t *wide_to;
    err = wide_path(to, &wide_to);
    if (err != ERR_OK)
        goto free_from;
    if (!MoveFileExW(wide_from, wide_to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
        err = error_last();
    free(wide_to);

free_from:
    free(wide_from);
    return err;
}

void os_full_path(const char *path, char *out, size_t size)
{
    str_format(out, size, "%s", path);
    wchar_t *wide;
    if (wide_from_utf8(path, &wide) != ERR_OK)
        return;
    DWORD room = GetFullPathNameW(wide, 0, NULL, NULL);
    wchar_t *full = room == 0 ? NULL : calloc(room, sizeof *full);
    if (full != NULL) {
        DWORD len = GetFullPathNameW(wide, room, full, NULL);
        if (len == 0 || len >= room || wide_to_utf8(full, out, size) != ERR_OK)
            str_format(out, size, "%s", path);
        free(full);
    }
    free(wide);
}

enum err os_program_path(char *out, size_t size)
{
    enum { LONGEST = 32768 }; /* of any path */
    wchar_t *wide = calloc(LONGEST, sizeof *wide);
    if (wide == NULL)
        return ERR_NOMEM;
    DWORD len = GetModuleFileNameW(NULL, wide, LONGEST);
    enum err err = ERR_RANGE;
    if (len == 0)
        err = error_last();
    else if (len < LONGEST)
        err = wide_to_utf8(wide, out, size);
    free(wide);
    return err;
}
