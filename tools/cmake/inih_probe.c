/* inih_probe.c - does the system's inih read as pairport needs it?
 *
 * Run when the build is configured. Exits with 0 if a value of 1,100 bytes comes out whole, an
 * indented line is a key of its own, and what follows a line with an error is still read.
 */
#include <ini.h>
#include <stdio.h>
#include <string.h>

enum { VALUE_BYTES = 1100 };

static char text[VALUE_BYTES + 64];
static unsigned long_values;
static unsigned indented_keys;
static unsigned last_keys;

static int take(void *user, const char *section, const char *name, const char *value)
{
    (void)user;
    (void)section;
    if (strcmp(name, "long") == 0 && strlen(value) == VALUE_BYTES)
        ++long_values;
    if (strcmp(name, "indented") == 0 && strcmp(value, "1") == 0)
        ++indented_keys;
    if (strcmp(name, "last") == 0 && strcmp(value, "2") == 0)
        ++last_keys;
    return 1;
}

int main(void)
{
    size_t len = (size_t)snprintf(text, sizeof text, "[s]\nlong=");
    memset(text + len, 'x', VALUE_BYTES);
    len += VALUE_BYTES;
    snprintf(text + len, sizeof text - len, "\n  indented=1\nno key\nlast=2\n");

    /* 4: the line of the first error, in spite of which the fifth was read. */
    int line = ini_parse_string(text, take, NULL);
    return line == 4 && long_values == 1 && indented_keys == 1 && last_keys == 1 ? 0 : 1;
}
