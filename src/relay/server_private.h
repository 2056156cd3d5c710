/* server_private.h - the server, for the files that make it up. */
#ifndef PAIRPORT_RELAY_SERVER_PRIVATE_H
#define PAIRPORT_RELAY_SERVER_PRIVATE_H

#include "relay/relay.h"

struct server {
    struct conf *conf; /* owned */
    struct relay relay;
};

#endif
