/* tty_read.c - input of the prompt: keys of a console, or bytes of a pipe or file.
 *
 * A console handle can be waited for together with another event. A pipe cannot: there a thread
 * reads, which nothing but the end of the process wakes.
 */
#include <stdint.h>
#include <string.h>

#include "os/os.h"
#include "os/tty.h"
#include "os/windows/error.h"
#include "os/windows/windows_api.h"

static HANDLE wake; /* auto reset: the running or next tty_read() takes it */

static BOOL CALLBACK open_wake(PINIT_ONCE init, PVOID parameter, PVOID *context)
{
    (void)init;
    (void)parameter;
    (void)context;
    wake = CreateEventW(NULL, FALSE, FALSE, NULL);
    return wake != NULL;
}

static bool have_wake(void)
{
    static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
    return InitOnceExecuteOnce(&once, open_wake, NULL, NULL) != 0;
}

void tty_wake(void)
{
    if (have_wake())
        SetEvent(wake);
}

/* ---- console ---- */

/* Bytes of keys that were read from the console but not yet handed out. */
static struct {
    char bytes[256];
    size_t begin;
    size_t end;
    wchar_t high; /* the first half of a pair of surrogates, 0 if none */
} keys;

enum { LONGEST_KEY = 8 };

/* Key sequences for a console that does not make them itself (before Windows 10 1607; Wine). */
static const char *key_sequence(WORD key)
{
    switch (key) {
    case VK_UP: return "\x1b[A";
    case VK_DOWN: return "\x1b[B";
    case VK_RIGHT: return "\x1b[C";
    case VK_LEFT: return "\x1b[D";
    case VK_HOME: return "\x1b[H";
    case VK_END: return "\x1b[F";
    case VK_INSERT: return "\x1b[2~";
    case VK_DELETE: return "\x1b[3~";
    case VK_PRIOR: return "\x1b[5~";
    case VK_NEXT: return "\x1b[6~";
    }
    return "";
}

static void add_bytes(const char *bytes, size_t len)
{
    memcpy(keys.bytes + keys.end, bytes, len);
    keys.end += len;
}

static void add_unit(wchar_t unit)
{
    wchar_t units[2];
    int count = 0;
    if (IS_HIGH_SURROGATE(unit)) {
        keys.high = unit;
        return;
    }
    if (IS_LOW_SURROGATE(unit) && keys.high != 0)
        units[count++] = keys.high;
    keys.high = 0;
    units[count++] = unit;
    char utf8[LONGEST_KEY];
    int len = WideCharToMultiByte(CP_UTF8, 0, units, count, utf8, sizeof utf8, NULL, NULL);
    if (len > 0)
        add_bytes(utf8, (size_t)len);
}

static void add_key(const KEY_EVENT_RECORD *key)
{
    /* A character typed as Alt and digits arrives when Alt is released. */
    bool typed =
        key->bKeyDown || (key->wVirtualKeyCode == VK_MENU && key->uChar.UnicodeChar != 0);
    if (!typed)
        return;
    for (WORD i = 0; i < key->wRepeatCount || i == 0; i++) {
        if (keys.end + LONGEST_KEY > sizeof keys.bytes)
            return; /* a key held down for very long */
        if (key->uChar.UnicodeChar != 0) {
            add_unit(key->uChar.UnicodeChar);
        } else {
            const char *sequence = key_sequence(key->wVirtualKeyCode);
            add_bytes(sequence, strlen(sequence));
        }
    }
}

static enum err read_console(HANDLE in, char *buf, size_t size, size_t *got)
{
    while (keys.begin == keys.end) {
        HANDLE handles[2] = {wake, in};
        switch (WaitForMultipleObjects(2, handles, FALSE, INFINITE)) {
        case WAIT_OBJECT_0: return ERR_CANCELLED;
        case WAIT_OBJECT_0 + 1: break;
        default: return error_last();
        }
        INPUT_RECORD records[16]; /* also focus, mouse and key-up: no bytes in them */
        DWORD count;
        if (!ReadConsoleInputW(in, records, sizeof records / sizeof records[0], &count))
            return error_last();
        keys.begin = keys.end = 0;
        for (DWORD i = 0; i < count; i++) {
            if (records[i].EventType == KEY_EVENT)
                add_key(&records[i].Event.KeyEvent);
        }
    }
    size_t len = keys.end - keys.begin;
    if (len > size)
        len = size;
    memcpy(buf, keys.bytes + keys.begin, len);
    keys.begin += len;
    *got = len;
    return ERR_OK;
}

/* ---- pipe or file ---- */

static struct {
    struct os_thread *thread; /* NULL until the first read */
    HANDLE in;
    HANDLE full;  /* auto reset: bytes or the end are there */
    HANDLE empty; /* auto reset: the bytes were taken */
    bool is_ours; /* touched by tty_read() alone: `full` came, `empty` was not yet set */
    /* The reader's until it sets `full`, tty_read()'s until it sets `empty`. */
    char bytes[4096];
    size_t begin;
    size_t end;
    bool closed; /* for good; the reader has ended */
} piped;

/* The end of a pipe is an error ("ReadFile function"); but Wine reads 0 bytes from the end of
 * one that a program of the host wrote to, again and again. Both fail here then. */
static bool pipe_is_open(HANDLE in)
{
    return GetFileType(in) == FILE_TYPE_PIPE && PeekNamedPipe(in, NULL, 0, NULL, NULL, NULL);
}

static void read_pipe(void *arg)
{
    (void)arg;
    for (;;) {
        DWORD got = 0;
        bool ok = ReadFile(piped.in, piped.bytes, sizeof piped.bytes, &got, NULL) != 0;
        if (ok && got == 0 && pipe_is_open(piped.in))
            continue; /* someone wrote nothing */
        piped.begin = 0;
        piped.end = got;
        piped.closed = !ok || got == 0;
        SetEvent(piped.full);
        if (piped.closed)
            return;
        WaitForSingleObject(piped.empty, INFINITE);
    }
}

static enum err start_reader(HANDLE in)
{
    piped.in = in;
    if (piped.full == NULL)
        piped.full = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (piped.empty == NULL)
        piped.empty = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (piped.full == NULL || piped.empty == NULL)
        return error_last();
    return os_thread_start(&piped.thread, "stdin", read_pipe, NULL);
}

static enum err read_piped(HANDLE in, char *buf, size_t size, size_t *got)
{
    if (piped.thread == NULL) {
        enum err err = start_reader(in);
        if (err != ERR_OK)
            return err;
    }
    if (!piped.is_ours) {
        HANDLE handles[2] = {wake, piped.full};
        switch (WaitForMultipleObjects(2, handles, FALSE, INFINITE)) {
        case WAIT_OBJECT_0: return ERR_CANCELLED;
        case WAIT_OBJECT_0 + 1: break;
        default: return error_last();
        }
        piped.is_ours = true;
    }
    if (piped.closed)
        return ERR_CLOSED;
    size_t len = piped.end - piped.begin;
    if (len > size)
        len = size;
    memcpy(buf, piped.bytes + piped.begin, len);
    piped.begin += len;
    *got = len;
    if (piped.begin == piped.end) {
        piped.is_ours = false;
        SetEvent(piped.empty);
    }
    return ERR_OK;
}

enum err tty_read(char *buf, size_t size, size_t *got)
{
    HANDLE in = GetStdHandle(STD_INPUT_HANDLE);
    if (in == NULL || in == INVALID_HANDLE_VALUE)
        return ERR_CLOSED;
    if (!have_wake())
        return ERR_NOMEM;
    if (WaitForSingleObject(wake, 0) == WAIT_OBJECT_0)
        return ERR_CANCELLED;
    return tty_is_terminal_in() ? read_console(in, buf, size, got)
                                : read_piped(in, buf, size, got);
}
