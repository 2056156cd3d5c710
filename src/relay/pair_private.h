/* pair_private.h - what the files that make up a pair share. */
#ifndef PAIRPORT_RELAY_PAIR_PRIVATE_H
#define PAIRPORT_RELAY_PAIR_PRIVATE_H

#include "base/reason.h"

struct pair;
struct worker;

/* Gives the pair's timer its meaning. Before anybody else knows the pair. */
void pair_init_timer(struct pair *pair);

/* Puts the pair into the table and begins with its PROXY header or its first try, all under its
 * lock: whoever finds the pair may end it, and it must not be gone before it began. The pair may
 * be over and gone when this returns; the reason says why, REASON_NONE when it is not. Without
 * the lock. */
enum reason pair_first_step(struct pair *pair, struct worker *worker);

/* The client is turned away no more: what happens to it now happens to a session. Counts once.
 * With the lock, or when the pair is over. */
void pair_count_session(struct pair *pair, struct worker *worker);

/* ---- the end; with the lock but the last ---- */

/* The first event that decides the end gives the reason. One side's FIN does not decide yet:
 * what goes wrong after it is worth more. */
void pair_note_reason(struct pair *pair, enum reason reason);

/* Nothing is submitted from here on; what is in flight comes out, then the pair is released. */
void pair_begin_closing(struct pair *pair, struct worker *worker);

/* The relay or an operator ends the session: neither side may take its stream for complete. */
void pair_cut(struct pair *pair, struct worker *worker, enum reason reason);

/* The only place where a pair ends: it is closing and nothing is in flight. Before that the
 * system may still write into its memory. */
void pair_release(struct pair *pair, struct worker *worker);

/* After pair_release(), without the lock: out of the table, the timers and the counts. */
void pair_bury(struct pair *pair, struct worker *worker);

#endif
