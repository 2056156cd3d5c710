/* ban_keeper.h - a thread for the bans: it removes bans that are over, ends the sessions of
 * clients that ban_after has banned, and keeps [relay] state_file up to date.
 *
 * Only this thread touches the file, so a disk that does not answer blocks nobody else: other
 * threads wait for it for a limited time. The file is read at the start, before the first
 * client comes. A damaged file is renamed to NAME.damaged, and the start goes on without bans.
 * A file that cannot be read, for example for lack of descriptors, is tried again each second.
 * The file is written when bans have changed, and at the end with the hits. The delay between
 * two writes grows with the size of the file and with the duration of the last write, so a
 * flood of bans uses a limited share of the disk; see ban_keeper_pause_ms().
 *
 * One process writes a file: the one that holds its lock (os_file_lock()). Another process
 * reads it at the start, keeps its bans in memory, and becomes the writer when the first
 * process ends.
 *
 * Bans for which the table has no room (BANS_MAX) are kept aside: they stay in the file, have
 * no effect, and enter the table when there is room.
 *
 * Threads: start and stop by the server's owner; ban_keeper_wake() and _hurry() from any,
 * workers too; everything else from any thread but workers.
 */
#ifndef PAIRPORT_RELAY_GUARD_BAN_KEEPER_H
#define PAIRPORT_RELAY_GUARD_BAN_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr_net.h"
#include "base/err.h"
#include "config/conf.h"

struct ban_keeper; /* opaque */
struct relay;

/* Starts the thread and waits, for 5 s at most, until it has read the file. What is wrong with
 * the file is logged and stops nothing. On an error nothing is left. */
enum err ban_keeper_start(struct ban_keeper **out, struct relay *relay);

/* Writes the file a last time and ends the thread, as long as the disk may take. NULL is fine. */
void ban_keeper_stop(struct ban_keeper *keeper);

/* Bans have changed. `sweep`: a client of which sessions may be open was banned. NULL is fine. */
void ban_keeper_wake(struct ban_keeper *keeper, bool sweep);

/* An operator has changed bans: as ban_keeper_wake(), and the file is to have it within 5 s of
 * the last write. NULL is fine. */
void ban_keeper_hurry(struct ban_keeper *keeper);

/* Writes the file a last time and gives its lock away: it belongs to another process from here
 * on. Waits for that, for 2 s at most; a disk that takes longer keeps the lock until it has the
 * file. */
void ban_keeper_hand_over(struct ban_keeper *keeper);

/* The process that had the file has handed it over since the start, or the one that it was handed
 * to has given up: takes the lock and reads the file once more. Bans that came from the file
 * before and are not in it any more are removed. Waits for 2 s at most. */
void ban_keeper_take_over(struct ban_keeper *keeper);

/* Removes a ban that is kept aside. False: there is none of this network. NULL is fine. */
bool ban_keeper_remove_aside(struct ban_keeper *keeper, const struct addr_net *net);

struct ban_keeper_info {
    char path[CONF_PATH_MAX]; /* absolute; "": bans are not kept */
    enum err err;             /* not ERR_OK: the file can't be written */
    enum err read_err;        /* not ERR_OK: it can't be read yet */
    bool handed_over;         /* another process keeps it */
    bool locked_out;          /* likewise, and it was not handed over to that one */
    uint64_t holder;          /* process identifier of who has locked it out; 0: not known */
    size_t aside;             /* bans that had no place in the table */
};
void ban_keeper_get_info(struct ban_keeper *keeper, struct ban_keeper_info *out);

/* How long to wait between a write of `bytes` that took `took_ms` and the next: 1 s for a small
 * file, 256 KB per second for a large one, a twentieth of the time for a slow disk; a minute at
 * most. */
uint64_t ban_keeper_pause_ms(uint64_t bytes, uint64_t took_ms);

#endif
