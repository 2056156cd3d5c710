#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/str.h"
#include "os/crash.h"
#include "os/crash_private.h"
#include "os/os.h"

static const struct {
    int number;
    const char *name;
} fatal[] = {
    {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"}, {SIGILL, "SIGILL"},
    {SIGQUIT, "SIGQUIT"}, {SIGSEGV, "SIGSEGV"}, {SIGSYS, "SIGSYS"}, {SIGTRAP, "SIGTRAP"},
};
#define FATAL_COUNT (sizeof fatal / sizeof fatal[0])

/* The system's, or a sanitizer's, which makes a report of its own. */
static struct sigaction old_actions[FATAL_COUNT];

/* ---- output ---- */

void crash_log_to(FILE *file)
{
    crash_log_to_handle(file == NULL ? -1 : fileno(file));
}

/* A pipe that is ready for writing takes at least PIPE_BUF bytes, which a line is shorter than; a
 * file is always ready. */
static void write_all(int fd, const char *bytes, size_t len)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    while (len > 0 && poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT) != 0) {
        ssize_t wrote = write(fd, bytes, len);
        if (wrote <= 0)
            return; /* there is nobody to tell */
        bytes += wrote;
        len -= (size_t)wrote;
    }
}

static void write_log(intptr_t handle, const char *bytes, size_t len)
{
    write_all((int)handle, bytes, len);
}

static void write_to_stderr(const char *bytes, size_t len)
{
    write_all(STDERR_FILENO, bytes, len);
}

static const struct crash_system self = {
    .thread_id = os_thread_id,
    .sleep_ms = os_sleep_ms,
    .wall_us = os_wall_us,
    .write_log = write_log,
    .write_stderr = write_to_stderr,
};

/* ---- where ---- */

/* The first and the last byte of the program in memory, by the linker. */
extern const char __executable_start[];
extern const char _end[];

static uintptr_t instruction_of(const void *context)
{
#if defined(__x86_64__)
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.pc;
#else
    (void)context;
    return 0;
#endif
}

static void describe_place(uintptr_t at, char *text, size_t size)
{
    uintptr_t start = (uintptr_t)__executable_start;
    if (at >= start && at < (uintptr_t)_end)
        str_format(text, size, "%s+0x%llx", program_invocation_short_name,
                   (unsigned long long)(at - start));
    else
        str_format(text, size, "0x%llx, outside the program", (unsigned long long)at);
}

static const char *name_of(int number)
{
    for (size_t i = 0; i < FATAL_COUNT; i++)
        if (fatal[i].number == number)
            return fatal[i].name;
    return "a signal";
}

/* A signal that a process has sent comes with a code that is not positive. */
static bool was_sent(const siginfo_t *info)
{
    return info->si_code <= 0;
}

static void tell_signal(int number, const siginfo_t *info, const void *context)
{
    char place[128], what[CRASH_TEXT_MAX];
    const char *name = name_of(number);
    describe_place(instruction_of(context), place, sizeof place);
    if (!was_sent(info))
        str_format(what, sizeof what, "%s at %s (address 0x%llx)", name, place,
                   (unsigned long long)(uintptr_t)info->si_addr);
    else if (info->si_pid == getpid())
        str_format(what, sizeof what, "%s at %s", name, place);
    else
        str_format(what, sizeof what, "%s, sent by process %ld, at %s", name,
                   (long)info->si_pid, place);
    crash_tell(&self, what);
}

/* ---- the handler ---- */

/* A fault comes again when this returns; other signals have to be sent again. */
static bool comes_again(int number, const siginfo_t *info)
{
    return !was_sent(info) && number != SIGTRAP && number != SIGSYS;
}

/* In the end the system has it, as if nobody had looked. */
static void on_fatal(int number, siginfo_t *info, void *context)
{
    int code = errno;
    if (crash_is_first(&self))
        tell_signal(number, info, context);
    for (size_t i = 0; i < FATAL_COUNT; i++)
        if (fatal[i].number == number)
            sigaction(number, &old_actions[i], NULL);
    if (!comes_again(number, info))
        raise(number); /* it is blocked in here, and comes on return */
    errno = code;
}

void crash_start(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_fatal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (size_t i = 0; i < FATAL_COUNT; i++) {
        struct sigaction before;
        if (sigaction(fatal[i].number, &action, &before) == 0 &&
            before.sa_sigaction != on_fatal) /* it may have begun in the parent */
            old_actions[i] = before;
    }
    crash_thread_begins();
}

/* ---- threads ---- */

static _Thread_local void *own_stack;

void crash_thread_begins(void)
{
    stack_t now;
    if (sigaltstack(NULL, &now) != 0 || (now.ss_flags & SS_DISABLE) == 0)
        return; /* a sanitizer has made one */
    void *memory =
        mmap(NULL, CRASH_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return;
    const stack_t stack = {.ss_sp = memory, .ss_size = CRASH_STACK};
    if (sigaltstack(&stack, NULL) == 0)
        own_stack = memory;
    else
        munmap(memory, CRASH_STACK);
}

void crash_thread_ends(void)
{
    const stack_t none = {.ss_flags = SS_DISABLE};
    if (own_stack == NULL || sigaltstack(&none, NULL) != 0)
        return;
    munmap(own_stack, CRASH_STACK);
    own_stack = NULL;
}

/* ---- assert ---- */

/* The C library's, which writes to stderr alone, is replaced. */
void __assert_fail(const char *expression, const char *file, unsigned line,
                   const char *function) __attribute__((noreturn));

void __assert_fail(const char *expression, const char *file, unsigned line,
                   const char *function)
{
    (void)function;
    if (crash_is_first(&self))
        crash_tell_assert(&self, expression, file, line);
    abort();
}
