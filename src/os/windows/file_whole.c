/* file_whole.c - files that are replaced as a whole, and their locks; see os/file.h. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "os/file.h"
#include "os/os.h"
#include "os/windows/error.h"
#include "os/windows/wide.h"

#define TAIL             L".new"
#define DIGITS           16 /* of the random number before it */
#define REPLACE_TRIES    20
#define REPLACE_AGAIN_MS 50
#define SHARED_WITH_ALL  (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)

/* ---- writing ---- */

static enum err write_all(HANDLE file, const char *bytes, size_t len)
{
    while (len > 0) {
        DWORD done = 0, part = len > (1u << 20) ? 1u << 20 : (DWORD)len;
        if (!WriteFile(file, bytes, part, &done, NULL))
            return error_last();
        bytes += done;
        len -= done;
    }
    return FlushFileBuffers(file) ? ERR_OK : error_last();
}

/* Whoever has the old file open for a moment (a virus scanner, a backup) is waited for. */
static enum err put_in_place(const wchar_t *from, const wchar_t *to)
{
    enum err err = ERR_OK;
    for (int i = 0; i < REPLACE_TRIES; i++) {
        if (MoveFileExW(from, to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
            return ERR_OK;
        DWORD code = GetLastError();
        err = error_last();
        if (code != ERROR_SHARING_VIOLATION && code != ERROR_ACCESS_DENIED)
            break;
        os_sleep_ms(REPLACE_AGAIN_MS);
    }
    return err;
}

static enum err write_beside(const wchar_t *path, const wchar_t *beside, const char *bytes,
                             size_t len)
{
    HANDLE file = CreateFileW(beside, GENERIC_WRITE, 0, NULL, CREATE_NEW,
                              FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return error_last();
    enum err err = write_all(file, bytes, len);
    CloseHandle(file);
    if (err == ERR_OK)
        err = put_in_place(beside, path);
    if (err != ERR_OK)
        DeleteFileW(beside);
    return err;
}

/* "PATH.TEXT" in UTF-16, for free(). */
static enum err path_beside(const char *path, const char *text, wchar_t **out)
{
    struct str beside;
    str_init(&beside);
    str_addf(&beside, "%s.%s", path, text);
    enum err err = beside.failed ? ERR_NOMEM : wide_path(beside.data, out);
    str_free(&beside);
    return err;
}

enum err os_file_write_whole(const char *path, const char *bytes, size_t len)
{
    char text[DIGITS + 8];
    wchar_t *wide, *beside;
    str_format(text, sizeof text, "%016" PRIx64 ".new", os_random());
    enum err err = wide_path(path, &wide);
    if (err != ERR_OK)
        return err;
    err = path_beside(path, text, &beside);
    if (err == ERR_OK) {
        err = write_beside(wide, beside, bytes, len);
        free(beside);
    }
    free(wide);
    return err;
}

/* ---- what is left ---- */

/* True for what ends in ".DIGITS.new". */
static bool is_left_over(const wchar_t *name)
{
    size_t len = wcslen(name), tail = wcslen(TAIL);
    if (len < tail + DIGITS + 1 || wcscmp(name + len - tail, TAIL) != 0)
        return false;
    const wchar_t *digits = name + len - tail - DIGITS;
    return digits[-1] == L'.' && wcsspn(digits, L"0123456789abcdef") == DIGITS;
}

/* `pattern` begins with the folder, `folder` characters long. */
static void remove_left_over(const wchar_t *pattern, size_t folder, const wchar_t *name)
{
    size_t len = wcslen(name);
    wchar_t *full = calloc(folder + len + 1, sizeof *full);
    if (full == NULL)
        return;
    memcpy(full, pattern, folder * sizeof *full);
    memcpy(full + folder, name, len * sizeof *full);
    DeleteFileW(full);
    free(full);
}

void os_file_clean_up(const char *path)
{
    wchar_t *pattern;
    if (path_beside(path, "*.new", &pattern) != ERR_OK)
        return;
    size_t folder = wcslen(pattern);
    while (folder > 0 && pattern[folder - 1] != L'\\' && pattern[folder - 1] != L'/')
        folder--;
    WIN32_FIND_DATAW found;
    HANDLE search = FindFirstFileW(pattern, &found);
    if (search != INVALID_HANDLE_VALUE) {
        do {
            if (is_left_over(found.cFileName))
                remove_left_over(pattern, folder, found.cFileName);
        } while (FindNextFileW(search, &found));
        FindClose(search);
    }
    free(pattern);
}

/* ---- locks ---- */

struct os_file_lock {
    HANDLE file; /* the system removes it when it is closed, also at the end of the process */
};

static uint64_t read_holder(const wchar_t *path)
{
    char text[24];
    DWORD len = 0;
    uint64_t pid = 0;
    HANDLE file =
        CreateFileW(path, GENERIC_READ, SHARED_WITH_ALL, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return 0;
    if (!ReadFile(file, text, sizeof text - 1, &len, NULL))
        len = 0;
    CloseHandle(file);
    text[len] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return str_parse_u64(text, &pid) == ERR_OK ? pid : 0;
}

enum err os_file_lock(struct os_file_lock **out, const char *path, uint64_t *holder)
{
    char text[24];
    DWORD done;
    wchar_t *beside;
    *holder = 0;
    enum err err = path_beside(path, "lock", &beside);
    if (err != ERR_OK)
        return err;
    struct os_file_lock *lock = calloc(1, sizeof *lock);
    if (lock == NULL) {
        free(beside);
        return ERR_NOMEM;
    }
    /* Others may read it, to see who has it, but not open it as this does. */
    lock->file = CreateFileW(beside, GENERIC_WRITE | DELETE, FILE_SHARE_READ, NULL, OPEN_ALWAYS,
                             FILE_FLAG_DELETE_ON_CLOSE | FILE_FLAG_OPEN_REPARSE_POINT, NULL);
    if (lock->file == INVALID_HANDLE_VALUE) {
        err = error_last();
        if (err == ERR_IN_USE)
            *holder = read_holder(beside);
        free(lock);
    } else {
        size_t len = str_format(text, sizeof text, "%" PRIu64 "\n", os_process_id());
        (void)WriteFile(lock->file, text, (DWORD)len, &done, NULL); /* for messages only */
        *out = lock;
    }
    free(beside);
    return err;
}

void os_file_unlock(struct os_file_lock *lock)
{
    if (lock == NULL)
        return;
    CloseHandle(lock->file);
    free(lock);
}
