/* program.h - the program `pairport`: its arguments and what they start.
 *
 * Threads: the main thread.
 */
#ifndef PAIRPORT_SERVICE_PROGRAM_H
#define PAIRPORT_SERVICE_PROGRAM_H

/* Returns the exit code: 0 fine, 1 configuration or start-up error, 2 usage. */
int program_main(int argc, char *argv[]);

#endif
