#include "os/signals.h"

#include "os/os.h"
#include "os/windows/error.h"
#include "os/windows/windows_api.h"

/* The system gives a closing program 5 s before it kills it. */
enum { HOLD_MS = 4000 };

static struct {
    void (*on_signal)(enum signal_kind kind, void *ctx);
    void *ctx;
    HANDLE stopped;        /* manual reset; set by signals_stopped() */
    struct os_mutex mutex; /* one call of on_signal at a time, as on other systems */
} receiver;

static void deliver(enum signal_kind kind)
{
    os_mutex_lock(&receiver.mutex);
    receiver.on_signal(kind, receiver.ctx);
    os_mutex_unlock(&receiver.mutex);
}

/* The system calls it on a thread of its own. */
static BOOL WINAPI on_control(DWORD control)
{
    switch (control) {
    case CTRL_C_EVENT:
    case CTRL_BREAK_EVENT: deliver(SIGNAL_STOP); return TRUE;
    case CTRL_CLOSE_EVENT:
    case CTRL_LOGOFF_EVENT:
    case CTRL_SHUTDOWN_EVENT:
        deliver(SIGNAL_STOP_QUICK);
        /* The process ends as soon as this returns. */
        WaitForSingleObject(receiver.stopped, HOLD_MS);
        return TRUE;
    }
    return FALSE;
}

enum err signals_start(void (*on_signal)(enum signal_kind kind, void *ctx), void *ctx)
{
    receiver.on_signal = on_signal;
    receiver.ctx = ctx;
    receiver.stopped = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (receiver.stopped == NULL)
        return error_last();
    /* A parent may have turned Ctrl-C off for its children ("SetConsoleCtrlHandler"). */
    SetConsoleCtrlHandler(NULL, FALSE);
    if (!SetConsoleCtrlHandler(on_control, TRUE)) {
        enum err err = error_last();
        CloseHandle(receiver.stopped);
        receiver.stopped = NULL;
        return err;
    }
    return ERR_OK;
}

void signals_stopped(void)
{
    if (receiver.stopped != NULL)
        SetEvent(receiver.stopped);
}
