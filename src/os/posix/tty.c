#include "os/tty.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "os/crash.h"
#include "os/os.h"
#include "os/posix/error.h"

/* ---- raw mode ---- */

static struct termios old_mode; /* valid while is_raw */
static atomic_bool is_raw;

static bool is_foreground(void)
{
    return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

bool tty_is_terminal_in(void)
{
    /* The system would stop a background job that reads the terminal or changes its mode. */
    return isatty(STDIN_FILENO) && is_foreground();
}

bool tty_is_terminal_out(void)
{
    return isatty(STDOUT_FILENO);
}

/* Uses only what a signal handler may call. */
void tty_leave_raw(void)
{
    if (!atomic_exchange(&is_raw, false))
        return;
    int code = errno;
    if (is_foreground())
        tcsetattr(STDIN_FILENO, TCSANOW, &old_mode);
    errno = code;
}

/* Neither an end nor a crash may leave the shell without echo. */
static void install_restore(void)
{
    atexit(tty_leave_raw);
    crash_undo(tty_leave_raw);
}

enum err tty_enter_raw(void)
{
    if (atomic_load(&is_raw))
        return ERR_OK;
    if (!tty_is_terminal_in())
        return ERR_UNSUPPORTED;
    if (tcgetattr(STDIN_FILENO, &old_mode) != 0)
        return error_last();

    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install_restore);

    struct termios raw = old_mode;
    raw.c_iflag &=
        ~(tcflag_t)(BRKINT | ICRNL | IGNBRK | IGNCR | INLCR | INPCK | ISTRIP | IXON | PARMRK);
    raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
    raw.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
    raw.c_cflag |= CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    /* c_oflag stays: a line feed of a log line still goes to the first column, as it does on a
     * Windows console. */
    atomic_store(&is_raw, true); /* before the change, so that a crash in between is undone */
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0) {
        enum err err = error_last();
        atomic_store(&is_raw, false);
        return err;
    }
    return ERR_OK;
}

/* ---- input ---- */

static int wake_fd = -1; /* eventfd, for as long as the process lives */

static void open_wake(void)
{
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static int get_wake(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_wake);
    return wake_fd;
}

void tty_wake(void)
{
    uint64_t one = 1;
    (void)!write(get_wake(), &one, sizeof one); /* fails only when it was woken 2^64 times */
}

enum err tty_read(char *buf, size_t size, size_t *got)
{
    int wake = get_wake();
    if (wake < 0)
        return ERR_NO_DESCRIPTORS;
    for (;;) {
        struct pollfd fds[2] = {{.fd = wake, .events = POLLIN},
                                {.fd = STDIN_FILENO, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return error_last();
        }
        uint64_t wakes;
        if (fds[0].revents != 0 && read(wake, &wakes, sizeof wakes) > 0)
            return ERR_CANCELLED;
        if (fds[1].revents == 0)
            continue;
        ssize_t len = read(STDIN_FILENO, buf, size);
        if (len > 0) {
            *got = (size_t)len;
            return ERR_OK;
        }
        /* EIO: the terminal has hung up, or a background job may not read it. */
        if (len == 0 || errno == EIO || errno == EBADF)
            return ERR_CLOSED;
        if (errno != EAGAIN && errno != EINTR)
            return error_last();
    }
}

/* ---- output ---- */

void tty_write(const char *bytes, size_t len)
{
    static struct os_mutex mutex; /* a text that goes out in pieces stays in one piece */
    os_mutex_lock(&mutex);
    size_t done = 0;
    while (done < len) {
        ssize_t wrote = write(STDOUT_FILENO, bytes + done, len - done);
        if (wrote >= 0) {
            done += (size_t)wrote;
        } else if (errno == EAGAIN) { /* someone else made it non-blocking */
            struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT};
            (void)poll(&fd, 1, -1);
        } else if (errno != EINTR) {
            break; /* nobody is there to read, or to be told */
        }
    }
    os_mutex_unlock(&mutex);
}

unsigned tty_columns(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0)
        return size.ws_col;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0)
        return size.ws_col;
    return 80;
}
