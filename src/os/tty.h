/* tty.h - the terminal of the console prompt: bytes in, bytes out, as VT sequences.
 *
 * On Windows the console is switched to virtual terminal input and output ("Console Virtual
 * Terminal Sequences"), so both systems deliver the same key sequences. Ctrl-C arrives as byte
 * 3, not as a signal, while the terminal is raw.
 *
 * Threads: tty_read() from one thread; tty_wake() and tty_write() from any.
 */
#ifndef PAIRPORT_OS_TTY_H
#define PAIRPORT_OS_TTY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/err.h"

/* stdin is a terminal that can be switched to raw; false for a background job of a shell, which
 * the system would stop for trying. */
bool tty_is_terminal_in(void);
bool tty_is_terminal_out(void); /* stdout is a terminal */

/* Raw mode: no echo, no line discipline, bytes as typed. The old mode comes back with
 * tty_leave_raw(), which a crash handler or atexit may call too; both may be repeated. */
enum err tty_enter_raw(void);
void tty_leave_raw(void);

/* Waits for typed bytes, works on a terminal in raw mode and on any other stdin (pipe, file).
 * ERR_CLOSED: end of input; ERR_CANCELLED after tty_wake(). */
enum err tty_read(char *buf, size_t size, size_t *got);
void tty_wake(void); /* the running or next tty_read() returns ERR_CANCELLED, once */

void tty_write(const char *bytes, size_t len); /* to stdout, all of it, unbuffered */
unsigned tty_columns(void);                    /* width of the screen, 80 when unknown */
/* What tables on stdout should keep to: the width of the screen; where stdout is no terminal that
 * of the environment's COLUMNS, as `watch` sets it; 0: no limit. */
unsigned tty_columns_wanted(void);
/* The address from which this program is used by SSH, as sshd says in the environment. False: it
 * says nothing; sudo leaves that away, too. */
bool tty_remote(struct addr *out);

#endif
