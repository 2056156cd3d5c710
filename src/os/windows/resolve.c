#include "os/resolve.h"

#include <stdlib.h>

#include "base/str.h"
#include "os/bsd.h"
#include "os/windows/error.h"
#include "os/windows/wide.h"
#include "os/windows/windows_api.h"

/* The system's words for the code, without the full stop and line break they end with. */
static void explain(int code, char *why, size_t why_size)
{
    wchar_t text[256];
    DWORD len = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL,
                               (DWORD)code, 0, text, sizeof text / sizeof text[0], NULL);
    while (len > 0 && wcschr(L"\r\n .", text[len - 1]) != NULL)
        text[--len] = L'\0';
    if (len == 0 || wide_to_utf8(text, why, why_size) != ERR_OK)
        str_format(why, why_size, "Windows error %d", code);
}

enum err resolve_name(struct resolve_list *list, const char *host, char *why, size_t why_size)
{
    wchar_t *wide;
    enum err err = wide_from_utf8(host, &wide);
    if (err != ERR_OK) {
        if (why != NULL)
            str_format(why, why_size, "%s", err_text(err));
        return err == ERR_INVALID ? ERR_RESOLVE : err;
    }
    ADDRINFOW hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    ADDRINFOW *found = NULL;
    int code = GetAddrInfoW(wide, NULL, &hints, &found);
    free(wide);
    if (code != 0) {
        if (why != NULL)
            explain(code, why, why_size);
        return error_from_wsa(code) == ERR_NOMEM ? ERR_NOMEM : ERR_RESOLVE;
    }
    for (const ADDRINFOW *info = found; info != NULL; info = info->ai_next)
        resolve_add(list, info->ai_addr, info->ai_addrlen);
    FreeAddrInfoW(found);
    return ERR_OK;
}
