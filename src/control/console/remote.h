/* remote.h - `pairport console`: the commands of a relay that runs elsewhere on this machine.
 *
 * Three ways: one command from the command line, an interactive prompt on a terminal, or
 * commands line by line from a pipe. Answers go to stdout, failures to stderr.
 *
 * Threads: the main thread of a process that does nothing else.
 */
#ifndef PAIRPORT_CONTROL_CONSOLE_REMOTE_H
#define PAIRPORT_CONTROL_CONSOLE_REMOTE_H

struct command_table;

/* `commands` are for completion, `path` is the endpoint (local_path()), `name` what the prompt
 * shows. `line` is the command, or NULL for the other two ways. Returns the exit code: 0, or 1
 * when no relay answers (which is explained on stderr) or a command failed. */
int remote_run(const struct command_table *commands, const char *path, const char *name,
               const char *line);

#endif
