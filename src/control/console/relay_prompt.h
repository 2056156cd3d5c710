/* relay_prompt.h - the prompt of the running relay itself, in a thread of its own.
 *
 * Threads: relay_prompt_start() and _stop() by one owner; relay_prompt_log() from any thread
 * between the two.
 */
#ifndef PAIRPORT_CONTROL_CONSOLE_RELAY_PROMPT_H
#define PAIRPORT_CONTROL_CONSOLE_RELAY_PROMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "control/command/command.h"

struct relay_prompt; /* opaque */

/* `console` outlives the prompt. `on_gone(ctx)` is called from the prompt's thread when the
 * terminal is closed (not for relay_prompt_stop()). */
enum err relay_prompt_start(struct relay_prompt **out, const struct console *console,
                            void (*on_gone)(void *ctx), void *ctx);

/* Writes a log line above the row being typed. */
void relay_prompt_log(struct relay_prompt *prompt, const char *line, size_t len);

/* Ends the thread and gives the terminal back. False when the thread did not end within
 * timeout_ms (the terminal stands still): nothing was freed then, and the terminal is in its
 * old mode; the process can only exit. */
bool relay_prompt_stop(struct relay_prompt *prompt, uint32_t timeout_ms);

#endif
