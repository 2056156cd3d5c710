/* limits.h - how near the machine is to what this process cannot have.
 *
 * Threads: any. For a look a second: each function reads a few small files of the system.
 */
#ifndef PAIRPORT_OS_LIMITS_H
#define PAIRPORT_OS_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

/* The memory that this process may have: the smallest limit of its control groups, or what the
 * machine has; 0: unknown. */
uint64_t os_memory_limit(void);

/* Connects to any listening socket of this machine (of its network namespace) that the system has
 * dropped since it was started: in all, and of these because a backlog was full. False: this
 * system does not tell (Linux: ListenDrops and ListenOverflows of /proc/net/netstat). */
bool os_backlog_drops(uint64_t *drops, uint64_t *overflows);

/* The largest backlog that the system gives a listening socket, whatever listen(2) asks for; 0:
 * unknown (Linux: net.core.somaxconn; Windows has no such number). */
uint32_t os_backlog_limit(void);

#endif
