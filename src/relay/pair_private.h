/* pair_private.h - what the files that make up a pair share. */
#ifndef PAIRPORT_RELAY_PAIR_PRIVATE_H
#define PAIRPORT_RELAY_PAIR_PRIVATE_H

#include "base/reason.h"

struct pair;
struct worker;

/* Gives the pair's timer its meaning. Before anybody else knows the pair. */
void pair_init_timer(struct pair *pair);

/* Puts the pair into the table and begins the first try, both under its lock: whoever finds the
 * pair may end it, and it must not be gone before it began. The pair may be over and gone when
 * this returns; the reason says why, REASON_NONE when it is not. Without the lock. */
enum reason pair_first_connect(struct pair *pair, struct worker *worker);

#endif
