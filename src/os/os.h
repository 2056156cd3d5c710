/* os.h - the operating system behind one small interface: clock, threads, memory, limits.
 *
 * One implementation a system: os/posix and os/windows. Sockets are in os/sock.h, files and
 * the local endpoint in os/local.h, the terminal in os/tty.h, signals in os/signals.h.
 *
 * Threads: any, unless a function says otherwise.
 */
#ifndef PAIRPORT_OS_OS_H
#define PAIRPORT_OS_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/lock_rank.h"
#include "base/slab.h"

/* Once per process before anything else of os/ (WSAStartup, SIGPIPE ignored, UTF-8 console).
 * Never fails in a way the program could survive: it prints why and exits with 1. */
void os_init(void);

/* ---- clock ---- */
uint64_t
os_mono_ms(void); /* monotonic, does not count sleep where the system can leave it out */
/* The same in microseconds, but with all that os_mono_leave_out() was told of: for what takes
 * little time. Not to be compared with the other one. */
uint64_t os_mono_us(void);
/* Leaves out time during which this process did not run: os_mono_ms() goes back by it. Needs: no
 * more than has passed since the latest time that a thread has read and still compares. Any
 * thread. */
void os_mono_leave_out(uint64_t ms);
uint64_t os_wall_us(void); /* since 1970-01-01 UTC */
void os_sleep_ms(uint32_t ms);

/* ---- threads ---- */
struct os_thread; /* opaque */

/* Starts a thread that runs body(arg). `name` (15 bytes at most are shown) helps in debuggers. */
enum err os_thread_start(struct os_thread **out, const char *name, void (*body)(void *arg),
                         void *arg);
void os_thread_join(struct os_thread *thread); /* waits for its end and frees it */
uint64_t os_thread_id(void);                   /* the caller's, as the system's tools show it */

/* A mutex of at most 8 bytes, fast when nobody waits; not recursive. Zero-initialised memory is
 * an unlocked mutex on both systems and needs no destruction, so a mutex may lie in a slab. */
struct os_mutex {
    uint64_t state; /* private to os/ */
};
/* An unlocked mutex of this rank, for a variable; the function, for memory. Builds with
 * PAIRPORT_CHECK_LOCKS (those with sanitizers) abort when a thread locks it while it holds one of the
 * same or a later rank. */
#ifdef PAIRPORT_CHECK_LOCKS
#define OS_MUTEX_INIT(rank)                                                                    \
    {                                                                                          \
        (uint64_t)(rank) << 32                                                                 \
    }
#else
#define OS_MUTEX_INIT(rank)                                                                    \
    {                                                                                          \
        0                                                                                      \
    }
#endif
static inline void os_mutex_init(struct os_mutex *mutex, enum lock_rank rank)
{
    (void)rank;
    *mutex = (struct os_mutex)OS_MUTEX_INIT(rank);
}
void os_mutex_lock(struct os_mutex *mutex);
bool os_mutex_try(struct os_mutex *mutex);
void os_mutex_unlock(struct os_mutex *mutex);

/* A condition variable for slow paths (console, start, stop). */
struct os_cond {
    uint64_t state; /* private to os/; zero-initialised is ready */
};
/* Waits with the mutex held; false when `timeout_ms` passed (UINT32_MAX: for ever). May wake
 * without a signal. */
bool os_cond_wait(struct os_cond *cond, struct os_mutex *mutex, uint32_t timeout_ms);
void os_cond_wake_all(struct os_cond *cond);

/* ---- memory and machine ---- */
void *os_pages_alloc(size_t size); /* zeroed, aligned to `size` when that is a power of two */
void os_pages_free(void *memory, size_t size);
struct slab_pages os_slab_pages(void); /* the two above, for slabs */
unsigned os_cpu_count(void);           /* processors this process may use, at least 1 */
/* Local ports that the system gives out to connections, for one address here and one address
 * and port there; 0: unknown. */
uint32_t os_ephemeral_ports(void);
/* True when the system may give a port of first..last to an outgoing connection, which would then
 * be in the way of a listener: it lies in the range for them, and the administrator has not
 * reserved it. *range_first and *range_last get that range. Windows tells neither the range,
 * if it is not the default, nor what is reserved. */
bool os_ephemeral_overlap(uint16_t first, uint16_t last, uint16_t *range_first,
                          uint16_t *range_last);
uint64_t os_process_id(void);
uint64_t os_resident_bytes(void); /* resident memory of this process, 0 if unknown */
uint64_t os_cpu_us(void);         /* user + system time of this process, microseconds */
const char *os_name(void); /* "Linux 6.1.0", "Windows 10.0.19045", "Windows ... (Wine 8.0)" */

/* Raises the soft limit of descriptors to the hard one, as far as allowed, and tells what is
 * allowed now. Windows has no such limit: UINT64_MAX. `limit_name` says which limit it is
 * ("open files (ulimit -n, LimitNOFILE)"). */
uint64_t os_raise_descriptor_limit(const char **limit_name);
uint64_t os_descriptor_limit(void);
uint64_t os_descriptor_count(void); /* open descriptors or handles, 0 if unknown */

/* Random bytes from the system, for seeds and ids. */
uint64_t os_random(void);

/* ---- files ---- */
/* fopen() for a UTF-8 path; the file is not inherited by children and can be renamed, replaced
 * and removed while it is open. ERR_INVALID: not a mode, or a directory. */
enum err os_file_open(FILE **out, const char *path, const char *mode);
/* fopen() and, of stat(), the mode, with errno, for what lies below os/; the path is UTF-8. */
FILE *os_fopen(const char *path, const char *mode);
int os_file_mode(const char *path, unsigned *mode);
extern const char os_slashes[]; /* each of them ends the name of a folder: "/", or "/\\" */
enum err os_file_remove(const char *path);
/* Moves the file `from` over `to` in one step. */
enum err os_file_replace(const char *from, const char *to);
/* The absolute form of a path, for messages and `show info`; `path` itself if it has none. */
void os_full_path(const char *path, char *out, size_t size);

/* The arguments of the program in UTF-8, as main() got them or as Windows has them: main() gets
 * them in the code page of the system there. They stay. */
char **os_arguments(int *argc, char **argv);

/* The calling program's own file, absolute UTF-8 path. */
enum err os_program_path(char *out, size_t size);

/* The error of the last failed C library call (errno / GetLastError), for callers of stdio. */
enum err os_last_error(void);

#endif
