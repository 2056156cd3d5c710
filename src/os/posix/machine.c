#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "os/crash_private.h"
#include "os/os.h"

void os_init(void)
{
    crash_start();

    /* A program started with its standard streams closed would get sockets in their place,
     * and write its log to a player. */
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
        if (fd < 0) {
            perror("cannot open /dev/null");
            exit(1);
        }
    } while (fd <= STDERR_FILENO);
    close(fd);

    /* A write to a closed connection or pipe is an error of that write, nothing more. */
    struct sigaction ignore;
    memset(&ignore, 0, sizeof ignore);
    ignore.sa_handler = SIG_IGN;
    if (sigaction(SIGPIPE, &ignore, NULL) != 0) {
        perror("cannot ignore SIGPIPE");
        exit(1);
    }
    /* A file at its limit (ulimit -f, LimitFSIZE) is as good as a full disk: EFBIG. */
    if (sigaction(SIGXFSZ, &ignore, NULL) != 0) {
        perror("cannot ignore SIGXFSZ");
        exit(1);
    }
}

/* ---- memory ---- */

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t whole_pages(size_t size)
{
    size_t page = page_size();
    return (size + page - 1) / page * page;
}

void *os_pages_alloc(size_t size)
{
    if (size == 0 || size > SIZE_MAX / 4)
        return NULL;
    size_t length = whole_pages(size);
    bool power_of_two = (size & (size - 1)) == 0;
    size_t align = power_of_two && size > page_size() ? size : page_size();

    /* Twice as much holds an aligned piece for sure; what lies around it goes back. */
    size_t reserved = length + align - page_size();
    unsigned char *start =
        mmap(NULL, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    size_t before = (align - (uintptr_t)start % align) % align;
    size_t after = reserved - before - length;
    if (before != 0)
        munmap(start, before);
    if (after != 0)
        munmap(start + before + length, after);
    return start + before;
}

void os_pages_free(void *memory, size_t size)
{
    if (memory != NULL)
        munmap(memory, whole_pages(size));
}

struct slab_pages os_slab_pages(void)
{
    return (struct slab_pages){.alloc = os_pages_alloc, .free = os_pages_free};
}

/* ---- machine ---- */

unsigned os_cpu_count(void)
{
    /* The kernel refuses a set that is too small for its processors. */
    for (int bits = 1024; bits <= 1024 * 1024; bits *= 4) {
        cpu_set_t *set = CPU_ALLOC(bits);
        if (set == NULL)
            break;
        int failed = sched_getaffinity(0, CPU_ALLOC_SIZE(bits), set);
        int count = failed ? 0 : CPU_COUNT_S(CPU_ALLOC_SIZE(bits), set);
        bool too_small = failed && errno == EINVAL;
        CPU_FREE(set);
        if (count > 0)
            return (unsigned)count;
        if (!too_small)
            break;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

uint64_t os_process_id(void)
{
    return (uint64_t)getpid();
}

uint64_t os_resident_bytes(void)
{
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    char text[128];
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0)
        return 0;
    text[len] = '\0';
    const char *resident = strchr(text, ' '); /* the second number, in pages */
    return resident == NULL ? 0 : strtoull(resident, NULL, 10) * page_size();
}

uint64_t os_cpu_us(void)
{
    struct timespec used;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0)
        return 0;
    return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

static char system_name[128];

static void find_system_name(void)
{
    struct utsname name;
    if (uname(&name) == 0)
        str_format(system_name, sizeof system_name, "%s %s", name.sysname, name.release);
    else
        str_format(system_name, sizeof system_name, "Linux");
}

const char *os_name(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_system_name);
    return system_name;
}

/* ---- descriptors ---- */

uint64_t os_raise_descriptor_limit(const char **limit_name)
{
    *limit_name = "open files (ulimit -n, LimitNOFILE)";
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* if not, the soft limit stands */
    }
    return os_descriptor_limit();
}

uint64_t os_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    return limit.rlim_cur;
}

uint64_t os_descriptor_count(void)
{
    struct stat stat_fd;
    if (stat("/proc/self/fd", &stat_fd) == 0 && stat_fd.st_size > 0)
        return (uint64_t)stat_fd.st_size; /* Linux 6.2 and later count them there */
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return 0;
    uint64_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count - 1; /* the directory itself was open */
}

uint64_t os_random(void)
{
    uint64_t value = 0;
    ssize_t got;
    do
        got = getrandom(&value, sizeof value, 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof value) {
        /* Only a sandbox that forbids the call gets here. Ids and seeds must differ from run
         * to run; they need not be secret. */
        value = os_wall_us() * 0x9E3779B97F4A7C15U ^ os_mono_us() ^ os_process_id() << 40;
    }
    return value;
}
