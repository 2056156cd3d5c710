#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/crash_private.h"
#include "os/os.h"
#include "os/posix/error.h"

/* ---- threads ---- */

struct os_thread {
    pthread_t thread;
    void (*body)(void *arg);
    void *arg;
    char name[16]; /* the kernel's limit */
};

static void *run(void *arg)
{
    struct os_thread *thread = arg;
    pthread_setname_np(pthread_self(), thread->name);
    crash_thread_begins();
    thread->body(thread->arg);
    crash_thread_ends();
    return NULL;
}

enum err os_thread_start(struct os_thread **out, const char *name, void (*body)(void *arg),
                         void *arg)
{
    struct os_thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL)
        return ERR_NOMEM;
    thread->body = body;
    thread->arg = arg;
    memcpy(thread->name, name, strnlen(name, sizeof thread->name - 1));

    int code = pthread_create(&thread->thread, NULL, run, thread);
    if (code != 0) {
        free(thread);
        return code == EAGAIN ? ERR_NOMEM : error_from_errno(code); /* a limit of threads */
    }
    *out = thread;
    return ERR_OK;
}

void os_thread_join(struct os_thread *thread)
{
    pthread_join(thread->thread, NULL);
    free(thread);
}

uint64_t os_thread_id(void)
{
    return (uint64_t)gettid();
}

/* ---- futex ---- */

static bool futex_wait(atomic_uint *word, unsigned expected, const struct timespec *timeout)
{
    return syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout, NULL, 0) == 0 ||
           errno != ETIMEDOUT;
}

static void futex_wake(atomic_uint *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

_Static_assert(sizeof(atomic_uint) == 4, "a futex is 32 bits");

/* ---- mutex ----
 * Ulrich Drepper, "Futexes Are Tricky", describes the three states. Whoever had to wait takes
 * the mutex as CONTENDED, since others may wait too: at worst one wake too many. */

enum { FREE = 0, LOCKED = 1, CONTENDED = 2 };

/* A pair's lock is held for a few hundred instructions, so its holder is likely to be done
 * sooner than a system call would be. */
enum { SPINS = 100 };

static atomic_uint *mutex_word(struct os_mutex *mutex)
{
    return (atomic_uint *)&mutex->state;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool take(atomic_uint *word)
{
    unsigned expected = FREE;
    return atomic_compare_exchange_strong_explicit(word, &expected, LOCKED,
                                                   memory_order_acquire, memory_order_relaxed);
}

static void lock_slowly(atomic_uint *word)
{
    for (int i = 0; i < SPINS; i++) {
        unsigned now = atomic_load_explicit(word, memory_order_relaxed);
        if (now == FREE && take(word))
            return;
        if (now == CONTENDED)
            break; /* others sleep already: no overtaking */
        relax();
    }
    while (atomic_exchange_explicit(word, CONTENDED, memory_order_acquire) != FREE)
        futex_wait(word, CONTENDED, NULL);
}

#ifdef PAIRPORT_CHECK_LOCKS
/* ---- the order of locks ----
 * See base/lock_rank.h. */

enum { HELD_MAX = 16 };

static _Thread_local struct {
    const struct os_mutex *mutexes[HELD_MAX];
    unsigned count;
} held;

/* Not atomic: the futex is the other half, and this one never changes. */
static uint32_t rank_of(const struct os_mutex *mutex)
{
    return ((const uint32_t *)(const void *)mutex)[1];
}

static void check_order(const struct os_mutex *mutex)
{
    uint32_t rank = rank_of(mutex);
    for (unsigned i = 0; i < held.count && rank != LOCK_UNRANKED; i++) {
        uint32_t other = rank_of(held.mutexes[i]);
        if (other < rank)
            continue;
        fprintf(stderr, "a lock of rank %u is taken while one of rank %u is held\n",
                (unsigned)rank, (unsigned)other);
        abort();
    }
}

static void note_locked(const struct os_mutex *mutex)
{
    assert(held.count < HELD_MAX);
    held.mutexes[held.count++] = mutex;
}

static void note_unlocked(const struct os_mutex *mutex)
{
    unsigned at = held.count;
    do
        assert(at > 0);
    while (held.mutexes[--at] != mutex);
    held.mutexes[at] = held.mutexes[--held.count];
}
#else
static void check_order(const struct os_mutex *mutex)
{
    (void)mutex;
}
static void note_locked(const struct os_mutex *mutex)
{
    (void)mutex;
}
static void note_unlocked(const struct os_mutex *mutex)
{
    (void)mutex;
}
#endif

void os_mutex_lock(struct os_mutex *mutex)
{
    atomic_uint *word = mutex_word(mutex);
    check_order(mutex);
    if (!take(word))
        lock_slowly(word);
    note_locked(mutex);
}

bool os_mutex_try(struct os_mutex *mutex)
{
    bool taken = take(mutex_word(mutex));
    if (taken)
        note_locked(mutex);
    return taken;
}

void os_mutex_unlock(struct os_mutex *mutex)
{
    note_unlocked(mutex);
    /* After the exchange the memory may be another's already; waking a stranger there is
     * harmless, since every wait looks again. */
    atomic_uint *word = mutex_word(mutex);
    if (atomic_exchange_explicit(word, FREE, memory_order_release) == CONTENDED)
        futex_wake(word, 1);
}

/* ---- condition ----
 * The word counts wakes. A wake between unlock and sleep changes it, and the sleep does not
 * begin. */

static atomic_uint *cond_word(struct os_cond *cond)
{
    return (atomic_uint *)&cond->state;
}

bool os_cond_wait(struct os_cond *cond, struct os_mutex *mutex, uint32_t timeout_ms)
{
    atomic_uint *word = cond_word(cond);
    struct timespec timeout = {.tv_sec = timeout_ms / 1000,
                               .tv_nsec = (long)(timeout_ms % 1000) * 1000000};

    unsigned wakes = atomic_load_explicit(word, memory_order_relaxed);
    os_mutex_unlock(mutex);
    bool woken = futex_wait(word, wakes, timeout_ms == UINT32_MAX ? NULL : &timeout);
    os_mutex_lock(mutex);
    return woken;
}

void os_cond_wake_all(struct os_cond *cond)
{
    atomic_uint *word = cond_word(cond);
    atomic_fetch_add_explicit(word, 1, memory_order_relaxed);
    futex_wake(word, INT_MAX);
}
