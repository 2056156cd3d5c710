/* preload.c - loaded before `pairport run`: makes chosen calls of it fail, see fault.h.
 *
 * The C library's own allocations come through here as well, its own other calls do not. In every
 * other program it does nothing. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "fault.h"

static struct fault *fault; /* NULL: nothing is counted */
static uintptr_t base;      /* where the program is loaded */

/* ---- which call fails ---- */

static void note_caller(void)
{
    void *frames[FAULT_FRAMES + 2];
    int count = backtrace(frames, FAULT_FRAMES + 2), kept = 0;
    for (int i = 2; i < count; i++)
        fault->frames[kept++] = (uintptr_t)frames[i] - base;
    if (kept < FAULT_FRAMES)
        fault->frames[kept] = 0;
}

/* True: this call fails, and errno is set. */
static bool fails(enum fault_kind kind)
{
    if (fault == NULL || atomic_load(&fault->kind) != (uint32_t)kind)
        return false;
    uint32_t number = atomic_fetch_add(&fault->calls, 1) + 1;
    if (number < fault->first || number - fault->first >= fault->count)
        return false;
    if (atomic_fetch_add(&fault->failed, 1) == 0)
        note_caller();
    errno = fault->code;
    return true;
}

/* ---- the real ones ---- */

/* glibc has these for allocators of others; dlsym() may need one itself. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);

#define REAL(result, name, ...) static result (*real_##name)(__VA_ARGS__);
REAL(int, pthread_create, pthread_t *, const pthread_attr_t *, void *(*)(void *), void *)
REAL(int, socket, int, int, int)
REAL(int, accept4, int, struct sockaddr *, socklen_t *, int)
REAL(int, epoll_create1, int)
REAL(int, epoll_ctl, int, int, int, struct epoll_event *)
REAL(int, pipe2, int[2], int)
REAL(int, eventfd, unsigned, int)
REAL(int, timerfd_create, int, int)
REAL(int, timerfd_settime, int, int, const struct itimerspec *, struct itimerspec *)
REAL(int, bind, int, const struct sockaddr *, socklen_t)
REAL(int, listen, int, int)
REAL(int, connect, int, const struct sockaddr *, socklen_t)
REAL(int, open, const char *, int, ...)
REAL(int, __open_2, const char *, int)
REAL(FILE *, fopen, const char *, const char *)
REAL(FILE *, fdopen, int, const char *)
REAL(DIR *, opendir, const char *)
REAL(void *, mmap, void *, size_t, int, int, int, off_t)
REAL(int, fsync, int)
REAL(int, rename, const char *, const char *)
REAL(int, ftruncate, int, off_t)
REAL(ssize_t, pwrite, int, const void *, size_t, off_t)
REAL(ssize_t, write, int, const void *, size_t)
REAL(int, mkdir, const char *, mode_t)

/* A cast from a pointer to an object does not make one to a function in C. */
#define FIND(name)                                                                             \
    do {                                                                                       \
        void *found = dlsym(RTLD_NEXT, #name);                                                 \
        memcpy(&real_##name, &found, sizeof found);                                            \
    } while (0)

static void find_all(void)
{
    FIND(pthread_create);
    FIND(socket);
    FIND(accept4);
    FIND(epoll_create1);
    FIND(epoll_ctl);
    FIND(pipe2);
    FIND(eventfd);
    FIND(timerfd_create);
    FIND(timerfd_settime);
    FIND(bind);
    FIND(listen);
    FIND(connect);
    FIND(open);
    FIND(__open_2);
    FIND(fopen);
    FIND(fdopen);
    FIND(opendir);
    FIND(mmap);
    FIND(fsync);
    FIND(rename);
    FIND(ftruncate);
    FIND(pwrite);
    FIND(mkdir);
    FIND(write);
}

static int note_base(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    base = info->dlpi_addr;
    return 1; /* the program is the first one */
}

__attribute__((constructor)) static void begin(int argc, char **argv)
{
    void *frames[2];
    find_all();
    const char *path = getenv("FAULT_FILE");
    if (path == NULL || argc < 2 || strcmp(argv[1], "run") != 0)
        return;
    (void)dl_iterate_phdr(note_base, NULL);
    (void)backtrace(frames, 2); /* loads what it needs */
    int fd = real_open(path, O_RDWR | O_CLOEXEC);
    void *map = real_mmap(NULL, sizeof *fault, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || map == MAP_FAILED)
        abort();
    close(fd);
    fault = map;
}

/* ---- in their place ---- */

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the headers have __names */
int __open_2(const char *path, int flags); /* of a header only with _FORTIFY_SOURCE */

void *malloc(size_t size)
{
    return fails(FAULT_ALLOC) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(FAULT_ALLOC) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails(FAULT_ALLOC) ? NULL : __libc_realloc(old, size);
}

void *memalign(size_t align, size_t size)
{
    return fails(FAULT_ALLOC) ? NULL : __libc_memalign(align, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    return memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    *out = memalign(align, size);
    return *out == NULL ? ENOMEM : 0;
}

void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    if (real_mmap == NULL)
        find_all();
    return fails(FAULT_MAP) ? MAP_FAILED : real_mmap(at, len, protection, flags, fd, offset);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*body)(void *),
                   void *arg)
{
    return fails(FAULT_THREAD) ? errno : real_pthread_create(thread, attr, body, arg);
}

int socket(int family, int type, int protocol)
{
    return fails(FAULT_SOCKET) ? -1 : real_socket(family, type, protocol);
}

int accept4(int fd, struct sockaddr *from, socklen_t *len, int flags)
{
    return fails(FAULT_ACCEPT) ? -1 : real_accept4(fd, from, len, flags);
}

int epoll_create1(int flags)
{
    return fails(FAULT_EPOLL) ? -1 : real_epoll_create1(flags);
}

/* Leaving needs nothing that could be lacking. */
int epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
    bool failing = what != EPOLL_CTL_DEL && fails(FAULT_EPOLL);
    return failing ? -1 : real_epoll_ctl(epoll, what, fd, event);
}

int pipe2(int ends[2], int flags)
{
    return fails(FAULT_PIPE) ? -1 : real_pipe2(ends, flags);
}

int eventfd(unsigned start, int flags)
{
    return fails(FAULT_PIPE) ? -1 : real_eventfd(start, flags);
}

int timerfd_create(int clock, int flags)
{
    return fails(FAULT_TIMER) ? -1 : real_timerfd_create(clock, flags);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *before)
{
    return fails(FAULT_TIMER) ? -1 : real_timerfd_settime(fd, flags, at, before);
}

int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    return fails(FAULT_BIND) ? -1 : real_bind(fd, addr, len);
}

int listen(int fd, int backlog)
{
    return fails(FAULT_LISTEN) ? -1 : real_listen(fd, backlog);
}

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    return fails(FAULT_CONNECT) ? -1 : real_connect(fd, addr, len);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fails(FAULT_OPEN) ? -1 : real_open(path, flags, mode);
}

int __open_2(const char *path, int flags)
{
    return fails(FAULT_OPEN) ? -1 : real___open_2(path, flags);
}

FILE *fopen(const char *path, const char *mode)
{
    return fails(FAULT_OPEN) ? NULL : real_fopen(path, mode);
}

FILE *fdopen(int fd, const char *mode)
{
    return fails(FAULT_OPEN) ? NULL : real_fdopen(fd, mode);
}

DIR *opendir(const char *path)
{
    return fails(FAULT_OPEN) ? NULL : real_opendir(path);
}

int mkdir(const char *path, mode_t mode)
{
    return fails(FAULT_DISK) ? -1 : real_mkdir(path, mode);
}

int fsync(int fd)
{
    return fails(FAULT_DISK) ? -1 : real_fsync(fd);
}

int rename(const char *from, const char *to)
{
    return fails(FAULT_DISK) ? -1 : real_rename(from, to);
}

int ftruncate(int fd, off_t len)
{
    return fails(FAULT_DISK) ? -1 : real_ftruncate(fd, len);
}

/* Pipes, sockets and counters never lack room. */
ssize_t write(int fd, const void *bytes, size_t len)
{
    struct stat stat;
    bool is_file = fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode);
    return is_file && fails(FAULT_DISK) ? -1 : real_write(fd, bytes, len);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    return fails(FAULT_DISK) ? -1 : real_pwrite(fd, bytes, len, offset);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
