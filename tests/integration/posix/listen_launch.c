/* listen_launch.c - starts a program as systemd does for one with a .socket unit.
 *
 *     listen_launch PID FD[,FD...] PROGRAM [ARGUMENT...]
 *
 * The descriptors, which it has inherited, become 3, 4, ... of the program; LISTEN_FDS says how
 * many there are. LISTEN_PID is the program's process id, or PID when that is not "own".
 *
 * Threads: one.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST = 3, HIGH = 200, MOST = 32 };

int main(int argc, char *argv[])
{
    char text[32];
    int count = 0, moved[MOST];
    if (argc < 4)
        return 2;
    /* First out of the way, since one may have the number that another is to get. */
    for (char *word = strtok(argv[2], ","); word != NULL && count < MOST;
         word = strtok(NULL, ","))
        moved[count++] = fcntl(atoi(word), F_DUPFD_CLOEXEC, HIGH);
    for (int i = 0; i < count; i++)
        if (moved[i] < 0 || dup2(moved[i], FIRST + i) < 0)
            return 2;
    snprintf(text, sizeof text, "%d", count);
    setenv("LISTEN_FDS", text, 1);
    snprintf(text, sizeof text, "%d", (int)getpid());
    setenv("LISTEN_PID", strcmp(argv[1], "own") == 0 ? text : argv[1], 1);
    setenv("LISTEN_FDNAMES", "door:door", 1);
    execv(argv[3], argv + 3);
    return 127;
}
