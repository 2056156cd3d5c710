/* no_skip.c - linked to a test of the port, it lets the test run without skip-on-success, as on
 * a machine with a Winsock provider whose handles are not the system's own. */
#include "port/iocp/faults.h"

__attribute__((constructor)) static void forbid(void)
{
    iocp_faults.no_skip = true;
}
