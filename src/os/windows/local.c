#include "os/local.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "os/os.h"
#include "os/windows/error.h"
#include "os/windows/local_private.h"
#include "os/windows/wide.h"
#include "os/windows/windows_api.h"

enum {
    PIPE_BUFFER = 65536,
    WRITE_PIECE = 4096, /* what the reader must take within the time below */
    WRITE_PATIENCE_MS = 10000,
    BUSY_PATIENCE_MS = 2000 /* for the server to offer its next instance */
};

struct local_listener {
    wchar_t *path;
    PSECURITY_DESCRIPTOR descriptor;
    HANDLE stop;      /* manual reset; stays set */
    HANDLE connected; /* manual reset, of the overlapped connect */
    HANDLE next;      /* the instance that waits for a client, INVALID_HANDLE_VALUE if none */
};

/* ---- listen ---- */

static enum err open_event(HANDLE *out)
{
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (event == NULL)
        return error_last();
    *out = event;
    return ERR_OK;
}

static enum err open_instance(struct local_listener *listener, bool first)
{
    SECURITY_ATTRIBUTES attributes = {.nLength = sizeof attributes,
                                      .lpSecurityDescriptor = listener->descriptor};
    DWORD mode = PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED;
    HANDLE pipe = CreateNamedPipeW(
        listener->path, first ? mode | FILE_FLAG_FIRST_PIPE_INSTANCE : mode,
        PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS,
        PIPE_UNLIMITED_INSTANCES, PIPE_BUFFER, PIPE_BUFFER, 0, &attributes);
    if (pipe == INVALID_HANDLE_VALUE)
        return error_last();
    listener->next = pipe;
    return ERR_OK;
}

/* True when a server offers the pipe, of this program or another. FILE_FLAG_FIRST_PIPE_INSTANCE
 * says the same, as ERROR_ACCESS_DENIED; Wine does not look at that flag. */
static bool is_served(const wchar_t *path)
{
    return WaitNamedPipeW(path, 1) || GetLastError() == ERROR_SEM_TIMEOUT;
}

enum err local_listen(const char *path, struct local_listener **out)
{
    struct local_listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL)
        return ERR_NOMEM;
    listener->next = INVALID_HANDLE_VALUE;
    enum err err = wide_from_utf8(path, &listener->path);
    if (err != ERR_OK)
        goto free_listener;

    wchar_t rights[LOCAL_RIGHTS_MAX];
    err = local_rights(rights);
    if (err != ERR_OK)
        goto free_path;
    if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(rights, SDDL_REVISION_1,
                                                              &listener->descriptor, NULL)) {
        err = error_last();
        goto free_path;
    }
    err = open_event(&listener->stop);
    if (err != ERR_OK)
        goto free_descriptor;
    err = open_event(&listener->connected);
    if (err != ERR_OK)
        goto close_stop;
    bool served = is_served(listener->path);
    err = served ? ERR_IN_USE : open_instance(listener, true);
    if (err == ERR_ACCESS && is_served(listener->path))
        err = ERR_IN_USE; /* another was faster */
    if (err != ERR_OK)
        goto close_connected;
    *out = listener;
    return ERR_OK;

close_connected:
    CloseHandle(listener->connected);
close_stop:
    CloseHandle(listener->stop);
free_descriptor:
    LocalFree(listener->descriptor);
free_path:
    free(listener->path);
free_listener:
    free(listener);
    return err;
}

void local_listener_stop(struct local_listener *listener)
{
    SetEvent(listener->stop);
}

void local_listener_close(struct local_listener *listener)
{
    if (listener->next != INVALID_HANDLE_VALUE)
        CloseHandle(listener->next);
    CloseHandle(listener->connected);
    CloseHandle(listener->stop);
    LocalFree(listener->descriptor);
    free(listener->path);
    free(listener);
}

/* Waits for a started operation, whose event is in `overlapped`, up to timeout_ms or until
 * `stop` is set; then takes it back. However it ends, the system is done with `overlapped` and
 * the buffer. An operation that was faster than its cancellation has its real result. */
static enum err finish(HANDLE pipe, OVERLAPPED *overlapped, HANDLE stop, uint32_t timeout_ms,
                       DWORD *bytes)
{
    HANDLE handles[2] = {overlapped->hEvent, stop};
    enum err given_up = ERR_OK;
    switch (WaitForMultipleObjects(2, handles, FALSE, timeout_ms)) {
    case WAIT_OBJECT_0: break;
    case WAIT_TIMEOUT: given_up = ERR_TIMEDOUT; break;
    default: given_up = ERR_CANCELLED; break;
    }
    if (given_up != ERR_OK)
        CancelIoEx(pipe, overlapped);
    if (GetOverlappedResult(pipe, overlapped, bytes, TRUE))
        return ERR_OK;
    enum err err = error_last();
    return err == ERR_CANCELLED && given_up != ERR_OK ? given_up : err;
}

/* ---- connections ---- */

static enum err make_conn(HANDLE pipe, bool accepted, struct local_conn **out)
{
    struct local_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return ERR_NOMEM;
    conn->pipe = pipe;
    conn->accepted = accepted;
    enum err err = open_event(&conn->stop);
    if (err != ERR_OK)
        goto free_conn;
    err = open_event(&conn->read);
    if (err != ERR_OK)
        goto close_stop;
    err = open_event(&conn->written);
    if (err != ERR_OK)
        goto close_read;
    *out = conn;
    return ERR_OK;

close_read:
    CloseHandle(conn->read);
close_stop:
    CloseHandle(conn->stop);
free_conn:
    free(conn);
    return err;
}

/* Waits until the instance has a client. */
static enum err wait_for_client(struct local_listener *listener)
{
    if (WaitForSingleObject(listener->stop, 0) == WAIT_OBJECT_0)
        return ERR_CANCELLED;
    OVERLAPPED overlapped = {.hEvent = listener->connected};
    if (ConnectNamedPipe(listener->next, &overlapped))
        return ERR_OK;
    DWORD code = GetLastError();
    /* It came before this call, or came and went: what it wrote can still be read. */
    if (code == ERROR_PIPE_CONNECTED || code == ERROR_NO_DATA)
        return ERR_OK;
    if (code != ERROR_IO_PENDING)
        return error_from_wsa((int)code);
    DWORD bytes;
    return finish(listener->next, &overlapped, listener->stop, INFINITE, &bytes);
}

enum err local_accept(struct local_listener *listener, struct local_conn **out)
{
    enum err err = ERR_OK;
    if (listener->next == INVALID_HANDLE_VALUE)
        err = open_instance(listener, false);
    if (err == ERR_OK)
        err = wait_for_client(listener);
    if (err != ERR_OK)
        return err;

    err = make_conn(listener->next, true, out);
    if (err != ERR_OK)
        return err; /* the client stays, and the next call finds it connected */
    listener->next = INVALID_HANDLE_VALUE;
    /* At once, so that the next client finds the name; if not, the next call tries. */
    (void)open_instance(listener, false);
    return ERR_OK;
}

enum err local_connect(const char *path, struct local_conn **out)
{
    wchar_t *wide;
    enum err err = wide_from_utf8(path, &wide);
    if (err != ERR_OK)
        return err;

    HANDLE pipe;
    uint64_t end = os_mono_ms() + BUSY_PATIENCE_MS;
    for (;;) {
        /* The server may learn who we are, but not act in our name. */
        pipe = CreateFileW(
            wide, LOCAL_CLIENT_RIGHTS, 0, NULL, OPEN_EXISTING,
            FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, NULL);
        if (pipe != INVALID_HANDLE_VALUE)
            break;
        err = error_last();
        uint64_t now = os_mono_ms();
        if (err != ERR_IN_USE || now >= end)
            break;
        (void)WaitNamedPipeW(wide, (DWORD)(end - now)); /* whatever it says, try again */
    }
    free(wide);
    if (pipe == INVALID_HANDLE_VALUE)
        return err;
    err = local_is_trusted(pipe) ? make_conn(pipe, false, out) : ERR_ACCESS;
    if (err != ERR_OK)
        CloseHandle(pipe);
    return err;
}

enum err local_read(struct local_conn *conn, void *buf, size_t size, uint32_t timeout_ms,
                    size_t *got)
{
    if (WaitForSingleObject(conn->stop, 0) == WAIT_OBJECT_0)
        return ERR_CANCELLED;
    OVERLAPPED overlapped = {.hEvent = conn->read};
    DWORD room = size > PIPE_BUFFER ? PIPE_BUFFER : (DWORD)size;
    DWORD bytes = 0;
    enum err err = ERR_OK;
    if (ReadFile(conn->pipe, buf, room, NULL, &overlapped) ||
        GetLastError() == ERROR_IO_PENDING)
        err = finish(conn->pipe, &overlapped, conn->stop, timeout_ms, &bytes);
    else
        err = error_last();
    if (err != ERR_OK)
        return err;
    if (bytes == 0)
        return ERR_CLOSED;
    *got = bytes;
    return ERR_OK;
}

enum err local_write(struct local_conn *conn, const void *buf, size_t len)
{
    const char *bytes = buf;
    size_t done = 0;
    while (done < len) {
        if (WaitForSingleObject(conn->stop, 0) == WAIT_OBJECT_0)
            return ERR_CANCELLED;
        OVERLAPPED overlapped = {.hEvent = conn->written};
        DWORD piece = len - done > WRITE_PIECE ? WRITE_PIECE : (DWORD)(len - done);
        DWORD wrote = 0;
        enum err err;
        if (WriteFile(conn->pipe, bytes + done, piece, NULL, &overlapped) ||
            GetLastError() == ERROR_IO_PENDING)
            err = finish(conn->pipe, &overlapped, conn->stop, WRITE_PATIENCE_MS, &wrote);
        else
            err = error_last();
        if (err != ERR_OK)
            return err;
        done += wrote;
    }
    return ERR_OK;
}

void local_conn_stop(struct local_conn *conn)
{
    SetEvent(conn->stop);
}

void local_conn_close(struct local_conn *conn)
{
    CloseHandle(conn->pipe); /* what was written can still be read */
    CloseHandle(conn->stop);
    CloseHandle(conn->read);
    CloseHandle(conn->written);
    free(conn);
}
