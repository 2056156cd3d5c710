#include "support/page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

static void read_file(const char *path, struct str *out)
{
    FILE *file = fopen(path, "rb");
    int c;
    if (file == NULL)
        fail_msg("%s can't be opened", path);
    while ((c = getc(file)) != EOF)
        if (c != '\r') /* git may have put it there on Windows */
            str_add_char(out, (char)c);
    fclose(file);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        fail_msg("%s can't be written", path);
}

/* The number of the first line in which the two differ, from 1. */
static unsigned differing_line(const char *a, const char *b)
{
    unsigned line = 1;
    for (; *a == *b && *a != '\0'; ++a, ++b)
        line += *a == '\n';
    return line;
}

void page_check(const char *path, const char *name, const char *text)
{
    struct str is;
    struct str wanted;
    char begin[64];
    char end[64];

    str_init(&is);
    str_init(&wanted);
    read_file(path, &is);
    str_format(begin, sizeof begin, "<!-- begin %s -->\n", name);
    str_format(end, sizeof end, "<!-- end %s -->\n", name);
    const char *from = strstr(is.data, begin);
    const char *to = from == NULL ? NULL : strstr(from, end);
    if (to == NULL)
        fail_msg("%s has no part '%s'", path, name);
    str_add_bytes(&wanted, is.data, (size_t)(from - is.data) + strlen(begin));
    str_add(&wanted, text);
    str_add(&wanted, to);
    const char *write = getenv("PAIRPORT_WRITE_PAGES");
    if (write != NULL && strcmp(write, "1") == 0)
        write_file(path, wanted.data);
    else if (strcmp(is.data, wanted.data) != 0)
        fail_msg("%s:%u is not current; run this test with PAIRPORT_WRITE_PAGES=1", path,
                 differing_line(is.data, wanted.data));
    str_free(&is);
    str_free(&wanted);
}
