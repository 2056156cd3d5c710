#include "os/windows/wide.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "os/windows/error.h"

enum err wide_from_utf8(const char *text, wchar_t **out)
{
    int count = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    if (count <= 0)
        return ERR_INVALID;
    wchar_t *wide = calloc((size_t)count, sizeof *wide);
    if (wide == NULL)
        return ERR_NOMEM;
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, count) != count) {
        free(wide);
        return ERR_INVALID;
    }
    *out = wide;
    return ERR_OK;
}

/* The absolute form with "\\?\" before it ("\\?\UNC\" in place of "\\"), or NULL. */
static wchar_t *lift_limit(const wchar_t *path)
{
    static const wchar_t local[] = L"\\\\?\\";
    static const wchar_t remote[] = L"\\\\?\\UNC";
    enum { ROOM = 8 };

    DWORD size = GetFullPathNameW(path, 0, NULL, NULL);
    if (size == 0)
        return NULL;
    wchar_t *buffer = calloc((size_t)size + ROOM, sizeof *buffer);
    if (buffer == NULL)
        return NULL;
    wchar_t *full = buffer + ROOM;
    DWORD len = GetFullPathNameW(path, size, full, NULL);
    if (len == 0 || len >= size) {
        free(buffer);
        return NULL;
    }
    bool is_remote = full[0] == L'\\' && full[1] == L'\\';
    const wchar_t *prefix = is_remote ? remote : local;
    const wchar_t *rest = is_remote ? full + 1 : full;
    memmove(buffer + wcslen(prefix), rest, (wcslen(rest) + 1) * sizeof *rest);
    memcpy(buffer, prefix, wcslen(prefix) * sizeof *prefix);
    return buffer;
}

enum err wide_path(const char *path, wchar_t **out)
{
    wchar_t *wide;
    enum err err = wide_from_utf8(path, &wide);
    if (err != ERR_OK)
        return err;
    /* A relative path counts with its directory; a path with a prefix knows what it does. */
    enum { CLASSIC = 248 };
    bool has_prefix = wcsncmp(wide, L"\\\\?\\", 4) == 0 || wcsncmp(wide, L"\\\\.\\", 4) == 0;
    if (!has_prefix && GetFullPathNameW(wide, 0, NULL, NULL) > CLASSIC) {
        wchar_t *lifted = lift_limit(wide);
        free(wide);
        if (lifted == NULL)
            return ERR_NOMEM;
        wide = lifted;
    }
    *out = wide;
    return ERR_OK;
}

enum err wide_to_utf8(const wchar_t *text, char *out, size_t size)
{
    int room = size > INT_MAX ? INT_MAX : (int)size;
    if (room > 0 && WideCharToMultiByte(CP_UTF8, 0, text, -1, out, room, NULL, NULL) > 0)
        return ERR_OK;
    return ERR_RANGE;
}
