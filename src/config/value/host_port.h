/* host_port.h - HOST:PORT and HOST:FIRST-LAST, as `listen` and `upstream` have them.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_VALUE_HOST_PORT_H
#define PAIRPORT_CONFIG_VALUE_HOST_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "config/conf.h"

#define HOST_LONGEST 253 /* RFC 1035 section 2.3.4, as text */

/* What belongs where an address is expected. */
struct host_port_form {
    const char *form;    /* "ADDRESS:PORT" */
    const char *example; /* "10.0.0.5:7000" */
};

struct host_port {
    char host[CONF_HOST_MAX]; /* without brackets; "" for "*:PORT" and ":PORT" */
    uint16_t port;            /* the first one, 1..65535 */
    uint16_t port_count;      /* 1 or more; none is above 65535 */
};

/* Reads `text`, one word without blanks. On false `out` is without meaning and `why` has got
 * "what is wrong; what would be right". */
bool host_port_read(const char *text, const struct host_port_form *form, struct host_port *out,
                    struct str *why);

/* Adds ":PORT" or ":FIRST-LAST" to an address. */
void host_port_add_ports(char *text, size_t size, unsigned port, unsigned port_count);

#endif
