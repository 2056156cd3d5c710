/* ban_keeper.h - a thread that looks after the bans: it drops those that are over, ends the
 * sessions of clients that ban_after has banned, and keeps [relay] state_file up to date.
 *
 * The file is read at the start, before the first client comes. One that is damaged is put aside
 * as NAME.damaged, and the start goes on without bans. It is written when bans have changed, at
 * most once a second, and at the end, with the hits.
 *
 * Threads: start and stop by the server's owner; ban_keeper_wake() from any, workers too;
 * everything else from any thread but workers.
 */
#ifndef PAIRPORT_RELAY_BAN_KEEPER_H
#define PAIRPORT_RELAY_BAN_KEEPER_H

#include <stdbool.h>

#include "base/err.h"
#include "config/conf.h"

struct ban_keeper; /* opaque */
struct relay;

/* Reads the file and starts the thread. What is wrong with the file is logged and stops nothing.
 * On an error nothing is left. */
enum err ban_keeper_start(struct ban_keeper **out, struct relay *relay);

/* Writes the file a last time and ends the thread. NULL is fine. */
void ban_keeper_stop(struct ban_keeper *keeper);

/* Bans have changed. `sweep`: a client of which sessions may be open was banned. NULL is fine. */
void ban_keeper_wake(struct ban_keeper *keeper, bool sweep);

/* Writes the file a last time, and never again: it belongs to another process from here on. */
void ban_keeper_hand_over(struct ban_keeper *keeper);

/* Reads the file once more: the process that had it has handed it over since the start. */
void ban_keeper_take_over(struct ban_keeper *keeper);

struct ban_keeper_info {
    char path[CONF_PATH_MAX]; /* absolute; "": bans are not kept */
    enum err err;             /* not ERR_OK: the file can't be written */
    bool handed_over;         /* another process keeps it */
};
void ban_keeper_get_info(struct ban_keeper *keeper, struct ban_keeper_info *out);

#endif
