/* lock_rank.h - the order of all locks.
 *
 * A thread takes a lock only while each lock that it holds comes earlier in this list. So no two
 * threads can wait for each other, and nobody takes two locks of the same rank. src/README.md says
 * what each of them guards. os_mutex_init() gives a mutex its rank; builds with sanitizers abort
 * at a lock that is taken against the order.
 */
#ifndef PAIRPORT_BASE_LOCK_RANK_H
#define PAIRPORT_BASE_LOCK_RANK_H

enum lock_rank {
    LOCK_UNRANKED = 0, /* zero-initialised: not checked */

    /* service/ and control/ */
    LOCK_FOREGROUND,
    LOCK_RELOAD, /* of the consoles */
    LOCK_ENDPOINT,
    LOCK_PROMPT,
    LOCK_PREDECESSORS,

    /* relay/ */
    LOCK_SERVER_RELOAD,
    LOCK_QUIESCE,
    LOCK_RELOADED,
    LOCK_LIFECYCLE,
    LOCK_LISTENER,
    LOCK_LISTENING,
    LOCK_PAIR,
    LOCK_UPSTREAMS,
    LOCK_QUEUE,
    LOCK_THROTTLE,
    LOCK_AWAITING,
    LOCK_SHARD,
    LOCK_BUFFER_CLASS,
    LOCK_LOOPS,
    LOCK_PAIRS, /* their memory */
    LOCK_DRAIN,
    LOCK_TARPIT,
    LOCK_BAN_KEEPER,
    LOCK_BAN_STORE,
    LOCK_RESOLVER,
    LOCK_PROBE,
    LOCK_PROBES,
    LOCK_STANDSTILL,
    LOCK_TIMERS,

    /* port/ */
    LOCK_RESERVE,
    LOCK_PORT,

    LOCK_LOG_OUTPUT
};

#endif
