/* own_names.h - what names stand for, for a test program and the programs it starts alone.
 *
 * The test program gets a mount namespace of its own, in which /etc/hosts, /etc/resolv.conf and
 * /etc/nsswitch.conf are files of the test: names are looked for in the hosts file, then asked
 * of a name server of the test (name_server.h). Nothing is changed for anybody else, and nothing
 * is left when the program ends. That takes the rights of root.
 *
 * Threads: the main thread.
 */
#ifndef PAIRPORT_TESTS_OWN_NAMES_H
#define PAIRPORT_TESTS_OWN_NAMES_H

#include <stdbool.h>

#include "base/addr.h"

/* Before any thread is started. False: `why`, a constant, says what it takes. */
bool own_names_begin(const char **why);
void own_names_end(void); /* removes the files */

/* Each replaces what was there; read by every question that is asked from then on. */
void own_names_set_hosts(const char *lines);
void own_names_set_server(const struct addr *server); /* of its port 53 */

#endif
