/* dns_channel.h - c-ares as it is set up for dns.c; private to os/.
 *
 * A channel holds the system's name servers as they were when it was opened. When they change, a
 * new channel is opened for the questions that come; the old one lives on until its last question
 * is over. Also here: what the two systems do differently.
 *
 * Threads: one at a time, but dns_wake_send() any.
 */
#ifndef PAIRPORT_OS_DNS_CHANNEL_H
#define PAIRPORT_OS_DNS_CHANNEL_H

#include "os/bsd.h" /* first: ares.h needs the system's types */

#include <ares.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DNS_NAME_MAX 256 /* a name with its zero byte (RFC 1035 section 2.3.4) */

struct dns_channel {
    ares_channel servers; /* owned: asks name servers */
    ares_channel files;   /* owned: reads the hosts file, within the call */
    char **domains;       /* owned by `options` */
    size_t domain_count;
    unsigned ndots; /* a name with so many dots is tried as it is first */
    struct ares_options options;
    uint64_t opened_ms;
    uint64_t stamp;  /* dns_system_stamp() then */
    size_t users;    /* questions that are asked here */
    bool has_failed; /* one of them failed */
    struct dns_channel *next;
};

/* ERR_NOMEM, ERR_NO_DESCRIPTORS. */
enum err dns_channel_open(struct dns_channel **out);
/* Ends its queries, whose callbacks get ARES_ECANCELLED. */
void dns_channel_abort(struct dns_channel *channel);
void dns_channel_close(struct dns_channel *channel); /* needs: no query */

/* The system's configuration is another one, or may be. */
bool dns_channel_is_stale(const struct dns_channel *channel);

/* Writes the form in which a name is to be tried as number `index`: with a domain of the search
 * list, or as it is. False: there are no more. */
bool dns_channel_form(const struct dns_channel *channel, const char *host, size_t index,
                      char out[DNS_NAME_MAX]);

/* Room for the sockets of a channel in poll(). */
#define DNS_SOCKETS_MAX ARES_GETSOCK_MAXNUM
size_t dns_channel_sockets(const struct dns_channel *channel,
                           struct pollfd out[DNS_SOCKETS_MAX]);
/* Takes what poll() said of these sockets, and what time has brought. */
void dns_channel_process(struct dns_channel *channel, const struct pollfd *sockets,
                         size_t count);

/* ---- one implementation a system ---- */

enum err dns_system_begin(void); /* before anything of c-ares */
void dns_system_end(void);

/* Changes when the system's name servers may have changed. */
uint64_t dns_system_stamp(void);

/* There is a way to this address: looks, and sends nothing. */
bool dns_system_has_route(const struct sockaddr *to, socklen_t len);

int dns_system_poll(struct pollfd sockets[], size_t count, int timeout_ms);

/* A socket that becomes readable when it is sent to. */
struct dns_wake {
    ares_socket_t sock;
};
enum err dns_wake_open(struct dns_wake *wake);
void dns_wake_close(struct dns_wake *wake);
void dns_wake_send(struct dns_wake *wake);
void dns_wake_drain(struct dns_wake *wake);

#endif
