#include "os/service_manager.h"

/* The service manager of Windows passes no sockets, and a program in the foreground has nothing
 * to tell it. */

unsigned service_manager_take_sockets(sock_t *first)
{
    (void)first;
    return 0;
}

void service_manager_notify(const char *state)
{
    (void)state;
}
