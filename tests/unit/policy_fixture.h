/* policy_fixture.h - addresses and networks for the tests of policy/.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_TESTS_POLICY_FIXTURE_H
#define PAIRPORT_TESTS_POLICY_FIXTURE_H

#include "base/addr.h"
#include "base/addr_net.h"
#include "support/random.h"

/* Both fail the test when the text is none. */
struct addr policy_addr(const char *text);
struct addr_net policy_net(const char *text);

/* An address of either family, most of them close to each other, some mapped. */
struct addr policy_random_addr(struct random *dice);

/* A network of such an address, of any length. */
struct addr_net policy_random_net(struct random *dice);

#endif
