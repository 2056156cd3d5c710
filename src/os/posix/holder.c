/* holder.c - from /proc/net/tcp and tcp6, and the descriptors of the processes; see holder.h. */
#include "os/holder.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "os/os.h"

enum { LISTENS = 0x0A }; /* TCP_LISTEN, as the kernel writes the state */

/* An address of the table: words of 32 bits in hexadecimal, each in the byte order of the
 * machine; the port is a plain number. */
static bool read_addr(const char *text, struct addr *out)
{
    const char *colon = strchr(text, ':');
    size_t words = colon == NULL ? 0 : (size_t)(colon - text) / 8;
    if (colon == NULL || (size_t)(colon - text) % 8 != 0 || (words != 1 && words != 4))
        return false;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < words; i++) {
        char digits[9] = {0};
        memcpy(digits, text + i * 8, 8);
        uint32_t word = (uint32_t)strtoul(digits, NULL, 16);
        memcpy(out->ip + i * 4, &word, sizeof word);
    }
    out->family = words == 1 ? ADDR_IPV4 : ADDR_IPV6;
    out->port = (uint16_t)strtoul(colon + 1, NULL, 16);
    addr_normalise(out);
    return true;
}

struct entry {
    uint64_t inode;
    uint32_t uid;
};

/* The sockets of this table that listen where `addr` would; at most `max`. */
static size_t find_entries(const char *table, const struct addr *addr, bool dual_stack,
                           struct entry *out, size_t max)
{
    FILE *file;
    char line[512];
    size_t count = 0;
    if (os_file_open(&file, table, "r") != ERR_OK)
        return 0;
    while (count < max && fgets(line, sizeof line, file) != NULL) {
        char local[64];
        unsigned state;
        struct addr at;
        struct entry entry;
        if (sscanf(line, " %*u: %63s %*s %x %*s %*s %*s %" SCNu32 " %*u %" SCNu64, local,
                   &state, &entry.uid, &entry.inode) != 4 ||
            state != LISTENS || !read_addr(local, &at) ||
            !holder_overlaps(addr, dual_stack, &at))
            continue;
        out[count++] = entry;
    }
    fclose(file);
    return count;
}

/* True when the process has the socket among its descriptors. */
static bool has_socket(const char *pid, uint64_t inode)
{
    char path[64], link[64], wanted[40];
    str_format(wanted, sizeof wanted, "socket:[%" PRIu64 "]", inode);
    str_format(path, sizeof path, "/proc/%s/fd", pid);
    DIR *dir = opendir(path);
    bool found = false;
    if (dir == NULL)
        return false;
    for (struct dirent *entry = readdir(dir); entry != NULL && !found; entry = readdir(dir)) {
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);
        if (len <= 0)
            continue;
        link[len] = '\0';
        found = strcmp(link, wanted) == 0;
    }
    closedir(dir);
    return found;
}

static void read_name(const char *pid, char *name, size_t size)
{
    char path[64];
    FILE *file;
    name[0] = '\0';
    str_format(path, sizeof path, "/proc/%s/comm", pid);
    if (os_file_open(&file, path, "r") != ERR_OK)
        return;
    if (fgets(name, (int)size, file) != NULL)
        name[strcspn(name, "\n")] = '\0';
    fclose(file);
}

/* Of those that hold the socket, one that is not this process. */
static bool find_process(uint64_t inode, struct holder *out)
{
    DIR *dir = opendir("/proc");
    bool found = false;
    if (dir == NULL)
        return false;
    for (struct dirent *entry = readdir(dir); entry != NULL && !found; entry = readdir(dir)) {
        uint64_t pid;
        if (!isdigit((unsigned char)entry->d_name[0]) ||
            str_parse_u64(entry->d_name, &pid) != ERR_OK || pid == os_process_id())
            continue;
        found = has_socket(entry->d_name, inode);
        if (!found)
            continue;
        out->pid = pid;
        read_name(entry->d_name, out->name, sizeof out->name);
    }
    closedir(dir);
    return found;
}

/* ip(7): net.ipv4.ip_unprivileged_port_start, since Linux 4.11; it holds for IPv6, too. */
unsigned holder_first_free_port(void)
{
    unsigned first = 1024;
    FILE *file;
    if (os_file_open(&file, "/proc/sys/net/ipv4/ip_unprivileged_port_start", "r") != ERR_OK)
        return first;
    char line[16] = "";
    uint64_t read;
    if (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (str_parse_u64(line, &read) == ERR_OK && read <= 65536)
            first = (unsigned)read;
    }
    fclose(file);
    return first;
}

bool holder_find(const struct addr *addr, bool dual_stack, struct holder *out)
{
    enum { ENTRIES = 16 };
    struct entry entries[2 * ENTRIES];
    char own[24];
    size_t count = find_entries("/proc/net/tcp", addr, dual_stack, entries, ENTRIES);
    count += find_entries("/proc/net/tcp6", addr, dual_stack, entries + count, ENTRIES);
    str_format(own, sizeof own, "%" PRIu64, os_process_id());
    for (size_t i = 0; i < count; i++) {
        struct holder holder = {.pid = 0, .uid = entries[i].uid};
        if (!find_process(entries[i].inode, &holder) && has_socket(own, entries[i].inode))
            continue; /* it is ours alone */
        *out = holder;
        return true;
    }
    return false;
}
