/* dns_question.h - a name that is being looked for; private to os/.
 *
 * It is looked for in the hosts file, then in one form after the other (see dns_channel_form()),
 * as A and as AAAA at the same time, until there is an address, or nobody knows, or no form is
 * left.
 *
 * Threads: one at a time.
 */
#ifndef PAIRPORT_OS_DNS_QUESTION_H
#define PAIRPORT_OS_DNS_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "os/dns.h"
#include "os/dns_channel.h"

enum { DNS_IPV4, DNS_IPV6, DNS_FAMILIES };

/* What is known of one family. */
struct dns_family {
    struct dns_question *question;
    bool pending;
    enum dns_result result;
    int status;         /* of c-ares, behind the result */
    struct addr *addrs; /* owned; room for DNS_ADDRS_MAX, or NULL */
    size_t count;
    uint32_t ttl_ms;
};

struct dns_question {
    struct dns_question *next; /* the owner's */
    uint64_t id;
    char host[DNS_NAME_MAX];
    struct dns_channel *channel; /* not owned; counts it as a user */
    size_t form;                 /* number of the form that is tried */
    struct dns_family families[DNS_FAMILIES];
    uint64_t late_ms; /* when what is there is told without the other family; 0: never */
    bool done;        /* both families have their results */
};

/* Begins. ERR_NOMEM: there is no question. */
enum err dns_question_open(struct dns_question **out, struct dns_channel *channel,
                           const char *host, uint64_t id);
/* Needs: done, or its channel was aborted. */
void dns_question_free(struct dns_question *question);

#endif
