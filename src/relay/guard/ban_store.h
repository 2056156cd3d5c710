/* ban_store.h - the state file of one relay: its lock, what is read from it and written to it, and
 * the bans that are kept aside since the table has no room for them.
 *
 * Threads: one, that of the ban keeper, but ban_store_remove_aside() and ban_store_count_aside(),
 * which any thread may call. Reading, writing and locking block on the disk.
 */
#ifndef PAIRPORT_RELAY_GUARD_BAN_STORE_H
#define PAIRPORT_RELAY_GUARD_BAN_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr_net.h"
#include "base/err.h"
#include "policy/bans.h"
#include "relay/guard/ban_clock.h"

struct ban_store; /* opaque */

/* For the file at `path`, of os_file_settle(). `bans` and `clock` outlive the store. ERR_NOMEM. */
enum err ban_store_open(struct ban_store **out, const char *path, struct bans *bans,
                        const struct ban_clock *clock);
void ban_store_close(struct ban_store *store); /* gives the lock away; NULL is fine */

/* Takes the lock, unless it is held already, and removes what a crash has left beside the file.
 * False: another process has it, *holder (0: not known). Where there can be no locks it is true:
 * writing will say what is wrong with the place. */
bool ban_store_lock(struct ban_store *store, uint64_t *holder);
void ban_store_unlock(struct ban_store *store);
bool ban_store_is_locked(const struct ban_store *store);

/* Reads the file and adds its bans to the table, or aside. Those that came from the file the last
 * time and are not there any more are removed. A damaged file is put aside as PATH.damaged if the
 * lock is held. All is logged. */
enum ban_reading {
    BAN_READ,       /* it may be written from now on */
    BAN_READ_LATER, /* what is lacking (descriptors, memory, a right) may come back */
    BAN_READ_NEVER, /* it is no file, or it is damaged and can't be put aside */
};
enum ban_reading ban_store_read(struct ban_store *store, enum err *err);

/* Writes all bans; *bytes is the size of the file. */
enum err ban_store_write(struct ban_store *store, uint64_t *bytes);

/* Moves bans from aside into the table, as far as there is room, and drops those that are over. */
void ban_store_refill(struct ban_store *store);

size_t ban_store_count_aside(struct ban_store *store);
bool ban_store_remove_aside(struct ban_store *store, const struct addr_net *net);

#endif
