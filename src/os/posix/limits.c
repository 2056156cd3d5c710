#include "os/limits.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "os/posix/limits_text.h"

#define GROUP_MAX 512

/* Reads a small file of the kernel as zero-terminated text, as much as fits. */
static bool read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t len = 0;
    ssize_t got;
    while (len < size - 1 && (got = read(fd, text + len, size - 1 - len)) > 0)
        len += (size_t)got;
    close(fd);
    text[len] = '\0';
    return len > 0;
}

/* ---- memory ---- */

static void take_smaller(uint64_t *limit, uint64_t value)
{
    if (value > 0 && value < *limit)
        *limit = value;
}

/* The smallest limit of a group and those above it: each holds for all below. */
static void look_at_groups(const char *mount, char path[GROUP_MAX], const char *file,
                           uint64_t *limit)
{
    for (;;) {
        char name[2 * GROUP_MAX], text[64];
        uint64_t value;
        str_format(name, sizeof name, "%s%s/%s", mount, strcmp(path, "/") == 0 ? "" : path,
                   file);
        if (read_text(name, text, sizeof text)) {
            text[strcspn(text, "\n")] = '\0'; /* "max": none */
            if (str_parse_u64(text, &value) == ERR_OK)
                take_smaller(limit, value);
        }
        char *slash = strrchr(path, '/');
        if (slash == NULL || strcmp(path, "/") == 0)
            return;
        slash[slash == path ? 1 : 0] = '\0';
    }
}

uint64_t os_memory_limit(void)
{
    uint64_t limit = UINT64_MAX;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page > 0)
        limit = (uint64_t)pages * (uint64_t)page;
    char groups[4096], path[GROUP_MAX];
    if (read_text("/proc/self/cgroup", groups, sizeof groups)) {
        if (limits_find_group(groups, "", path, sizeof path))
            look_at_groups("/sys/fs/cgroup", path, "memory.max", &limit);
        if (limits_find_group(groups, "memory", path, sizeof path)) /* version 1 */
            look_at_groups("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes", &limit);
    }
    return limit == UINT64_MAX ? 0 : limit;
}

/* ---- backlogs ---- */

bool os_backlog_drops(uint64_t *drops, uint64_t *overflows)
{
    char text[16384]; /* some 5 KB by now */
    uint64_t all, full;
    if (!read_text("/proc/self/net/netstat", text, sizeof text) ||
        !limits_find_count(text, "TcpExt:", "ListenDrops", &all) ||
        !limits_find_count(text, "TcpExt:", "ListenOverflows", &full))
        return false;
    *drops = all;
    *overflows = full;
    return true;
}

uint32_t os_backlog_limit(void)
{
    char text[32];
    uint64_t value;
    if (!read_text("/proc/sys/net/core/somaxconn", text, sizeof text))
        return 0;
    text[strcspn(text, "\n")] = '\0';
    return str_parse_u64(text, &value) == ERR_OK && value <= UINT32_MAX ? (uint32_t)value : 0;
}
