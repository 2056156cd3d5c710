/* sha256.h - SHA-256 (FIPS 180-4) of a stream, for tests that compare what was sent with what
 * arrived. Works the same on every system; not meant for secrets.
 *
 * Threads: one thread a struct.
 */
#ifndef PAIRPORT_TESTS_SHA256_H
#define PAIRPORT_TESTS_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BLOCK 64
#define SHA256_HEX   65 /* digits and the zero byte */

struct sha256 {
    uint32_t state[8];
    uint64_t total;                    /* bytes added so far */
    unsigned char block[SHA256_BLOCK]; /* its first total % 64 bytes wait for the rest */
};

void sha256_init(struct sha256 *sha);
void sha256_add(struct sha256 *sha, const void *data, size_t len);

/* The digest of everything added, in lower-case hexadecimal. Ends the use of *sha. */
void sha256_finish(struct sha256 *sha, char hex[SHA256_HEX]);

#endif
