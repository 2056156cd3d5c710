#include "os/signals.h"

#include <pthread.h>
#include <signal.h>

#include "os/os.h"
#include "os/posix/error.h"

/* One for the process, since a signal is for the whole of it. */
static struct {
    void (*on_signal)(enum signal_kind kind, void *ctx);
    void *ctx;
    sigset_t signals;
    struct os_thread *thread; /* lives as long as the process: a signal may come at any time */
} receiver;

static void receive(void *arg)
{
    (void)arg;
    for (;;) {
        int number = 0;
        if (sigwait(&receiver.signals, &number) != 0)
            continue; /* interrupted, by a debugger for example */
        switch (number) {
        case SIGTERM:
        case SIGINT: receiver.on_signal(SIGNAL_STOP, receiver.ctx); break;
        case SIGHUP: receiver.on_signal(SIGNAL_REOPEN, receiver.ctx); break;
        }
    }
}

enum err signals_start(void (*on_signal)(enum signal_kind kind, void *ctx), void *ctx)
{
    receiver.on_signal = on_signal;
    receiver.ctx = ctx;
    sigemptyset(&receiver.signals);
    sigaddset(&receiver.signals, SIGTERM);
    sigaddset(&receiver.signals, SIGINT);
    sigaddset(&receiver.signals, SIGHUP);

    /* Linux hands a blocked signal to sigwait() even where the parent left it ignored, as a
     * shell does with SIGINT of a background job and nohup with SIGHUP. */
    sigset_t before;
    int code = pthread_sigmask(SIG_BLOCK, &receiver.signals, &before);
    if (code != 0)
        return error_from_errno(code);
    enum err err = os_thread_start(&receiver.thread, "signals", receive, NULL);
    if (err != ERR_OK)
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

void signals_stopped(void)
{
    /* No handler of the system is held here. */
}
