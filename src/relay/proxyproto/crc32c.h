/* crc32c.h - the checksum CRC-32C (Castagnoli), as RFC 4960 appendix B computes it.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_RELAY_PROXYPROTO_CRC32C_H
#define PAIRPORT_RELAY_PROXYPROTO_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of the bytes behind those that have the checksum `crc`; 0 is that of no bytes.
 * In a message it stands in network byte order when it is seen as the number returned here. */
uint32_t crc32c(uint32_t crc, const uint8_t *bytes, size_t len);

#endif
