#include "support/platform.h"

#include <stdio.h>
#include <stdlib.h>

#include "os/os.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNDER_SANITIZER true
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDER_SANITIZER true
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER false
#endif

bool test_under_sanitizer(void)
{
    return UNDER_SANITIZER;
}

uint64_t test_scaled(uint64_t full)
{
    uint64_t percent = 100;
    const char *text = getenv("PAIRPORT_SCALE");
    if (text != NULL && *text != '\0') {
        char *end;
        percent = strtoull(text, &end, 10);
        if (*end != '\0' || percent == 0) {
            fprintf(stderr, "PAIRPORT_SCALE='%s' is not a percentage above 0\n", text);
            exit(2);
        }
    }
    uint64_t scaled = full * percent / (test_on_windows() ? 1000 : 100);
    return scaled > 0 ? scaled : 1;
}

enum err test_write_file(const char *path, const char *text)
{
    FILE *file;
    enum err err = os_file_open(&file, path, "wb");
    if (err != ERR_OK)
        return err;
    bool written = fputs(text, file) >= 0;
    return fclose(file) == 0 && written ? ERR_OK : ERR_IO;
}

char *test_read_file(const char *path)
{
    FILE *file;
    if (os_file_open(&file, path, "rb") != ERR_OK)
        return NULL;
    size_t len = 0;
    size_t room = 4096;
    char *text = malloc(room);
    while (text != NULL) {
        len += fread(text + len, 1, room - len - 1, file);
        if (len < room - 1)
            break;
        room *= 2;
        char *more = realloc(text, room);
        if (more == NULL)
            free(text);
        text = more;
    }
    fclose(file);
    if (text != NULL)
        text[len] = '\0';
    return text;
}
