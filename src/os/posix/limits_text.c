#include "os/posix/limits_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* The line at or behind `at` that begins with `group`; NULL: there is none. */
static const char *find_line(const char *at, const char *group)
{
    size_t len = strlen(group);
    while (at != NULL && *at != '\0') {
        if (strncmp(at, group, len) == 0)
            return at;
        at = strchr(at, '\n');
        if (at != NULL)
            at++;
    }
    return NULL;
}

/* Goes to the next word of the line; false: it has no more. */
static bool next_word(const char **at, size_t *len)
{
    *at += strspn(*at, " ");
    *len = strcspn(*at, " \n");
    return *len > 0;
}

bool limits_find_count(const char *netstat, const char *group, const char *name,
                       uint64_t *value)
{
    const char *names = find_line(netstat, group);
    const char *values = names == NULL ? NULL : strchr(names, '\n');
    values = values == NULL ? NULL : find_line(values + 1, group);
    if (values == NULL)
        return false;
    size_t name_len, value_len;
    while (next_word(&names, &name_len) && next_word(&values, &value_len)) {
        if (name_len == strlen(name) && strncmp(names, name, name_len) == 0) {
            char digits[24];
            if (value_len >= sizeof digits)
                return false;
            memcpy(digits, values, value_len);
            digits[value_len] = '\0';
            return str_parse_u64(digits, value) == ERR_OK;
        }
        names += name_len;
        values += value_len;
    }
    return false;
}

/* True when `controller` is one of "memory,cpu" (up to the colon); an empty list has "". */
static bool has_controller(const char *list, size_t len, const char *controller)
{
    size_t want = strlen(controller);
    for (size_t at = 0; at <= len;) {
        size_t part = 0;
        while (at + part < len && list[at + part] != ',')
            part++;
        if (part == want && strncmp(list + at, controller, want) == 0)
            return true;
        at += part + 1;
    }
    return false;
}

bool limits_find_group(const char *cgroup, const char *controller, char *path, size_t size)
{
    for (const char *line = cgroup; *line != '\0';) {
        size_t line_len = strcspn(line, "\n");
        const char *list = memchr(line, ':', line_len);
        const char *end =
            list == NULL ? NULL : memchr(list + 1, ':', line_len - (size_t)(list + 1 - line));
        if (end != NULL && has_controller(list + 1, (size_t)(end - list - 1), controller)) {
            size_t len = line_len - (size_t)(end + 1 - line);
            if (len == 0 || len >= size || end[1] != '/')
                return false;
            memcpy(path, end + 1, len);
            path[len] = '\0';
            return true;
        }
        line += line_len + (line[line_len] == '\n');
    }
    return false;
}
