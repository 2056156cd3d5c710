#include "os/signals.h"

#include "os/os.h"
#include "os/windows/error.h"
#include "os/windows/signals_private.h"
#include "os/windows/windows_api.h"

/* The system gives a closing program 5 s before it kills it. */
enum { HOLD_MS = 4000 };

/* One for the process, since a signal is for the whole of it. */
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

enum control_does signals_control(DWORD control, DWORD session)
{
    switch (control) {
    case CTRL_C_EVENT:
    case CTRL_BREAK_EVENT: return CONTROL_STOPS;
    case CTRL_CLOSE_EVENT:
    case CTRL_SHUTDOWN_EVENT: return CONTROL_STOPS_QUICK;
    /* It does not say who logs off, and comes to services whoever does ("HandlerRoutine callback
     * function"). In the session of a user it is that user. */
    case CTRL_LOGOFF_EVENT: return session == 0 ? CONTROL_NOTHING : CONTROL_STOPS_QUICK;
    }
    return CONTROL_UNKNOWN;
}

static DWORD own_session(void)
{
    DWORD session = 0;
    return ProcessIdToSessionId(GetCurrentProcessId(), &session) ? session : 0;
}

/* The system calls it on a thread of its own. */
static BOOL WINAPI on_control(DWORD control)
{
    switch (signals_control(control, own_session())) {
    case CONTROL_UNKNOWN: return FALSE;
    case CONTROL_NOTHING: return TRUE;
    case CONTROL_STOPS: deliver(SIGNAL_STOP); return TRUE;
    case CONTROL_STOPS_QUICK:
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
