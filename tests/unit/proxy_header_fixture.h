/* proxy_header_fixture.h - PROXY headers for a relay on the fake port (relay_fixture.h).
 *
 * Threads: one.
 */
#ifndef PAIRPORT_TESTS_PROXY_HEADER_FIXTURE_H
#define PAIRPORT_TESTS_PROXY_HEADER_FIXTURE_H

#include "relay/server_info.h"
#include "relay_fixture.h"

#define PROXY_TIMEOUT_MS 5000u

#define HEADER_MAX 128
struct header {
    struct addr source, destination;
    unsigned char bytes[HEADER_MAX];
    size_t len;
};

/* Of version 1 and 2, IPv4 and IPv6; the first is from 192.0.2.7:5555. */
#define HEADERS 4
extern struct header headers[HEADERS];
void make_headers(void); /* before all tests */

/* From where the fixture's clients come. */
struct addr own_address(void);

/* How the route takes headers, and whether it trusts the fixture's clients. */
void expect_headers(struct fixture *fix, enum conf_proxy_in in, bool trusted);

/* Of the session that began last. */
struct server_session_info latest_info(struct fixture *fix);

/* The connected session moves what the client has sent to the upstream, which takes all. */
void settle(struct fixture *fix, sock_t client, sock_t upstream);

#endif
