/* signals_private.h - what a console control event asks for.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_OS_WINDOWS_SIGNALS_PRIVATE_H
#define PAIRPORT_OS_WINDOWS_SIGNALS_PRIVATE_H

#include "os/windows/windows_api.h"

enum control_does { CONTROL_UNKNOWN, CONTROL_STOPS, CONTROL_STOPS_QUICK, CONTROL_NOTHING };

/* Of a process in this session of Windows; session 0 is that of services. */
enum control_does signals_control(DWORD control, DWORD session);

#endif
