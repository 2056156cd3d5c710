/* pattern.h - bytes that say whose they are and where they belong.
 *
 * A stream's byte at a position depends on the stream's key and on the position alone, so a
 * receiver checks every byte without keeping what was sent: lost, doubled, reordered and
 * foreign bytes all differ from what is due.
 *
 * Threads: any; no state.
 */
#ifndef PAIRPORT_TOOLS_PATTERN_H
#define PAIRPORT_TOOLS_PATTERN_H

#include <stddef.h>
#include <stdint.h>

/* The key of stream `number` of a run with this seed; different numbers give unrelated keys. */
uint64_t pattern_key(uint64_t seed, uint64_t number);

/* Writes the `len` bytes of the stream that begin at `position`. */
void pattern_fill(uint64_t key, uint64_t position, void *buf, size_t len);

/* How many bytes of `buf` are right; `len` when all are. */
size_t pattern_check(uint64_t key, uint64_t position, const void *buf, size_t len);

#endif
