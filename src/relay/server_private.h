/* server_private.h - the server, for the files that make it up. */
#ifndef PAIRPORT_RELAY_SERVER_PRIVATE_H
#define PAIRPORT_RELAY_SERVER_PRIVATE_H

#include "relay/relay.h"

struct server {
    struct os_mutex reload_lock; /* one reload at a time; guards `confs` */
    struct conf **confs;         /* owned, as what is in it; the last one is in effect, others
                                    have routes that were removed and still have sessions */
    size_t conf_count;
    struct relay relay;
};

#endif
