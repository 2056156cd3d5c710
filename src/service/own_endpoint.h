/* own_endpoint.h - the console's endpoint of this relay, as its configuration names it.
 *
 * Threads: the main thread.
 */
#ifndef PAIRPORT_SERVICE_OWN_ENDPOINT_H
#define PAIRPORT_SERVICE_OWN_ENDPOINT_H

#include <stdbool.h>

#include "config/conf.h"
#include "control/console/endpoint.h"

/* Starts it and says in the log where it is. NULL: there is to be none, or it cannot be opened,
 * of which the log tells; the relay runs without it. `patient`: the relay before, which was taken
 * over, may have the name for a moment yet. */
struct endpoint *own_endpoint_start(const struct conf *conf, const struct console *console,
                                    bool patient);

#endif
