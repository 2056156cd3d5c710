/* foreground_private.h - what the files of the program in the foreground share.
 *
 * Threads: any, unless said otherwise; each function takes the lock itself.
 */
#ifndef PAIRPORT_SERVICE_FOREGROUND_PRIVATE_H
#define PAIRPORT_SERVICE_FOREGROUND_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "config/conf.h"
#include "control/command/command.h"
#include "os/os.h"

struct endpoint;
struct server;

#define FOREGROUND_STUCK_MS                                                                    \
    2000 /* how long a terminal or disk that stands still may hold the end */

struct foreground {
    struct os_mutex reload_lock; /* of the console; never taken within `lock` */

    struct os_mutex lock; /* guards all below */
    struct os_cond changed;
    struct server *server; /* NULL before it runs and after it has stopped */
    bool starting;         /* there is no server yet; names and disks may take long */
    unsigned stops;        /* how often a stop was asked for */
    bool now;              /* at once */
    bool quick;            /* within QUICK_STOP_MS */
    uint64_t over_ms;      /* sessions are ended evenly over this time; 0: in stop_timeout */
    bool reloading;        /* by a signal; the server stays until it is over */
    unsigned hangups;      /* signals to open the log and reload that are not done yet */
    struct os_thread *hangup_thread; /* does them, or has; NULL: there was none */
    bool hanging_up;                 /* it has not come to its end */
    bool ended;                      /* nothing is left to be waited for */
    const struct console *console;   /* while it runs */
    char console_name[CONF_HOST_MAX];
    struct endpoint *private_endpoint; /* of one that was taken over; NULL: none */
    uint64_t heir;                     /* process that is about to take over; 0: none */
    uint64_t heir_id;                  /* the first number of its sessions, or one below it */
    bool not_taken;                    /* the relay before this one goes on, so this one ends */
    bool handed_over;                  /* another relay goes on with the listening sockets */
};

/* ---- foreground_stop.c ---- */

/* Asks for a stop; a second time ends all sessions at once. `quick`: the console is closing. */
void foreground_stop(struct foreground *fg, bool now, bool quick, uint64_t over_ms);

/* Stops the server as was asked for. With the lock held. */
void foreground_stop_server(struct foreground *fg);

/* Waits until a stop is asked for; until the server has stopped. `endpoint` may be NULL. By the
 * main thread. */
void foreground_wait_for_stop(struct foreground *fg);
void foreground_wait_stopped(struct foreground *fg, struct server *server,
                             struct endpoint *endpoint);

/* Ends the process when what is left to do takes too long, until foreground_guard_over(). NULL:
 * there is no thread for it, and the end waits as long as it must. By the main thread. */
struct os_thread *foreground_guard_end(struct foreground *fg);
void foreground_guard_over(struct foreground *fg, struct os_thread *thread);

/* ---- foreground_hand_over.c ---- */

/* For struct console; ctx is the struct foreground. */
enum err foreground_on_hand_over(void *ctx, enum hand_over step, uint64_t pid,
                                 struct str *list);

bool foreground_is_handed_over(struct foreground *fg);

/* ---- foreground_hangup.c ---- */

/* Opens the log file again and says so. For struct console; ctx is not used. */
enum err foreground_reopen(void *ctx);

/* SIGHUP came. By the thread of signals. */
void foreground_hang_up(struct foreground *fg);

/* When no signal comes any more. A thread that a disk holds is left to the end of the process. */
void foreground_end_hangups(struct foreground *fg);

#endif
