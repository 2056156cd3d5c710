/* move.h - port_move_now() by receiving and sending, for backends and the fake.
 *
 * Threads: as port_move_now().
 */
#ifndef PAIRPORT_PORT_MOVE_H
#define PAIRPORT_PORT_MOVE_H

#include "port/port.h"

static inline enum err port_move_by_copy(struct port *port, sock_t from, sock_t to,
                                         unsigned char *buf, uint32_t len,
                                         struct port_move *move)
{
    *move = (struct port_move){.rest = buf};
    enum err err = port_receive_now(port, from, buf, len, &move->got);
    if (err != ERR_OK || move->got == 0)
        return err;
    move->drained = move->got < len;
    move->send_err = port_send_now(port, to, buf, move->got, &move->sent);
    move->rest = buf + move->sent;
    return ERR_OK;
}

#endif
