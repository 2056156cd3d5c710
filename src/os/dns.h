/* dns.h - asks for the addresses of many names at a time, in the hosts file and from name servers.
 *
 * Built on c-ares. A name is looked for in the system's hosts file first; one that is not there
 * is asked of the system's name servers, as A and as AAAA at the same time, with the search list
 * and `ndots` of the system. A family's failure takes nothing from the other: an answer says of
 * each whether it was found, whether there is certainly none, or whether nobody knows. When one
 * family is there and the other is late, there is an answer for the first before the last one.
 * What the system says of its name servers is read again when it has changed, and after failures.
 *
 * Nothing here blocks but dns_wait(), and that only as long as it is told; each question ends by
 * itself, within half a minute when no name server answers.
 *
 * Threads: dns_wake() from any; everything else from one thread at a time.
 */
#ifndef PAIRPORT_OS_DNS_H
#define PAIRPORT_OS_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"

#define DNS_ADDRS_MAX 256 /* of one name, both families together */
#define DNS_WHY_MAX   96
#define DNS_NO_TTL    UINT32_MAX /* milliseconds; the hosts file has none */

enum dns_result {
    DNS_FAILED, /* nobody knows: no answer, or an error of the name server */
    DNS_NONE,   /* certainly no address of this family */
    DNS_FOUND
};

struct dns_answer {
    uint64_t id; /* of the question */
    bool more;   /* one family is late and counts as DNS_FAILED: another answer will follow */
    enum dns_result ipv4, ipv6;
    struct addr addrs[DNS_ADDRS_MAX]; /* distinct, port 0; IPv6 first if there is a route to it,
                                         else IPv4; within a family as they were told */
    size_t count;
    uint32_t ttl_ms;       /* the shortest of all records; DNS_NO_TTL */
    char why[DNS_WHY_MAX]; /* what failed, or that there is no address; "": all is well */
};

struct dns; /* opaque */

/* ERR_NOMEM, ERR_NO_DESCRIPTORS: nothing is left. */
enum err dns_open(struct dns **out);
void dns_close(struct dns *dns); /* questions without an answer get none; NULL is fine */

/* Begins to look for a name, which is no address. Each question gets an answer from dns_wait().
 * ERR_NOMEM: this one gets none. */
enum err dns_ask(struct dns *dns, const char *host, uint64_t id);

/* Waits for an answer. False: the time is over, or dns_wake() was called since the last time. */
bool dns_wait(struct dns *dns, uint32_t timeout_ms, struct dns_answer *out);
void dns_wake(struct dns *dns);

#endif
