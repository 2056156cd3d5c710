#include "os/tty.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/str.h"
#include "os/crash.h"
#include "os/os.h"
#include "os/windows/error.h"
#include "os/windows/windows_api.h"

static bool in_is_console;
static bool out_is_console;

static BOOL CALLBACK look_at_streams(PINIT_ONCE init, PVOID parameter, PVOID *context)
{
    DWORD mode;
    (void)init;
    (void)parameter;
    (void)context;
    in_is_console = GetConsoleMode(GetStdHandle(STD_INPUT_HANDLE), &mode) != 0;
    out_is_console = GetConsoleMode(GetStdHandle(STD_OUTPUT_HANDLE), &mode) != 0;
    return TRUE;
}

/* Asked once: while a thread reads a pipe, the system lets everyone wait who asks what kind of
 * handle that is. */
static void know_streams(void)
{
    static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
    InitOnceExecuteOnce(&once, look_at_streams, NULL, NULL);
}

bool tty_is_terminal_in(void)
{
    know_streams();
    return in_is_console;
}

bool tty_is_terminal_out(void)
{
    know_streams();
    return out_is_console;
}

/* ---- raw mode ---- */

static DWORD old_in_mode;  /* valid while is_raw */
static DWORD old_out_mode; /* the same, if stdout is a console */
static atomic_bool is_raw;

void tty_leave_raw(void)
{
    if (!atomic_exchange(&is_raw, false))
        return;
    SetConsoleMode(GetStdHandle(STD_INPUT_HANDLE), old_in_mode);
    if (out_is_console)
        SetConsoleMode(GetStdHandle(STD_OUTPUT_HANDLE), old_out_mode);
}

/* Neither an end nor a crash may leave the shell without echo. */
static BOOL CALLBACK install_restore(PINIT_ONCE init, PVOID parameter, PVOID *context)
{
    (void)init;
    (void)parameter;
    (void)context;
    atexit(tty_leave_raw);
    crash_undo(tty_leave_raw);
    return TRUE;
}

enum err tty_enter_raw(void)
{
    if (atomic_load(&is_raw))
        return ERR_OK;
    HANDLE in = GetStdHandle(STD_INPUT_HANDLE);
    HANDLE out = GetStdHandle(STD_OUTPUT_HANDLE);
    if (!tty_is_terminal_in())
        return ERR_UNSUPPORTED;
    if (!GetConsoleMode(in, &old_in_mode) ||
        (out_is_console && !GetConsoleMode(out, &old_out_mode)))
        return error_last();

    static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
    InitOnceExecuteOnce(&once, install_restore, NULL, NULL);

    /* Without ENABLE_PROCESSED_INPUT Ctrl-C is a byte, as a program with a line editor wants
     * it; Ctrl-Break still stops. */
    DWORD raw =
        old_in_mode & ~(DWORD)(ENABLE_PROCESSED_INPUT | ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT |
                               ENABLE_MOUSE_INPUT | ENABLE_WINDOW_INPUT);
    atomic_store(&is_raw, true); /* before the change, so that a crash in between is undone */
    if (!SetConsoleMode(in, raw | ENABLE_VIRTUAL_TERMINAL_INPUT) && !SetConsoleMode(in, raw)) {
        enum err err = error_last();
        atomic_store(&is_raw, false);
        return err;
    }
    if (out_is_console)
        SetConsoleMode(out, old_out_mode | ENABLE_PROCESSED_OUTPUT |
                                ENABLE_VIRTUAL_TERMINAL_PROCESSING);
    return ERR_OK;
}

/* ---- output ---- */

/* Old consoles take a limited amount at once, and a cut must not go through a character. */
enum { PIECE = 8192 };

static void write_console(HANDLE out, const char *bytes, size_t len)
{
    wchar_t wide[PIECE]; /* UTF-16 never has more units than UTF-8 has bytes */
    while (len > 0) {
        size_t piece = len < PIECE ? len : PIECE;
        if (piece < len) {
            size_t whole = piece;
            while (whole > piece - 4 && ((unsigned char)bytes[whole] & 0xC0) == 0x80)
                whole--;
            piece = whole;
        }
        int units = MultiByteToWideChar(CP_UTF8, 0, bytes, (int)piece, wide, PIECE);
        DWORD wrote;
        if (units <= 0 || !WriteConsoleW(out, wide, (DWORD)units, &wrote, NULL))
            return; /* the console is gone: nobody is there to be told */
        bytes += piece;
        len -= piece;
    }
}

void tty_write(const char *bytes, size_t len)
{
    static struct os_mutex mutex; /* a text that goes out in pieces stays in one piece */
    HANDLE out = GetStdHandle(STD_OUTPUT_HANDLE);
    os_mutex_lock(&mutex);
    if (tty_is_terminal_out()) {
        write_console(out, bytes, len);
    } else {
        while (len > 0) {
            DWORD wrote;
            DWORD piece = len > INT32_MAX ? INT32_MAX : (DWORD)len;
            if (!WriteFile(out, bytes, piece, &wrote, NULL))
                break; /* nobody is there to read, or to be told */
            bytes += wrote;
            len -= wrote;
        }
    }
    os_mutex_unlock(&mutex);
}

unsigned tty_columns(void)
{
    CONSOLE_SCREEN_BUFFER_INFO info;
    if (!GetConsoleScreenBufferInfo(GetStdHandle(STD_OUTPUT_HANDLE), &info) ||
        info.srWindow.Right < info.srWindow.Left)
        return 80;
    return (unsigned)(info.srWindow.Right - info.srWindow.Left) + 1;
}
