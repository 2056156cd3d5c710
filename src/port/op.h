/* op.h - a typed operation on the completion port.
 *
 * An operation is a field of its owner. It is filled by the owner, handed to port_submit(),
 * and comes out of port_wait() exactly once, with its result. In between, the backend and the
 * system own it and its buffer: the owner neither changes nor frees them, and reads no field
 * but `kind`, `in_flight` and `owner`.
 *
 * The backend's own record comes first, so that a backend finds the operation from it
 * (OVERLAPPED on Windows, a queue link on Linux).
 */
#ifndef PAIRPORT_PORT_OP_H
#define PAIRPORT_PORT_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "os/sock.h"

enum op_kind {
    OP_ACCEPT,  /* wait for a client on a listener */
    OP_CONNECT, /* connect a fresh socket */
    OP_READ,    /* receive, or wait until there is something to receive */
    OP_WRITE,   /* send all of it */
    OP_WAKE     /* nothing but a message to a worker */
};

#define OP_NATIVE_SIZE 32 /* asserted by each backend to be enough */

/* ACCEPT needs `buf` of at least this many bytes as scratch memory of the backend (AcceptEx
 * wants room for two addresses, each with 16 bytes to spare). */
#define OP_ACCEPT_SCRATCH 288

struct op {
    _Alignas(8) unsigned char native[OP_NATIVE_SIZE]; /* the backend's */

    /* set by the owner before submit */
    enum op_kind kind;
    bool in_flight; /* set by port_submit(), cleared when it comes out of port_wait() */
    uint8_t state;  /* the backend's */
    uint8_t role;   /* not touched by the port: tells owners of different kinds apart */
    bool is_check;  /* CONNECT: a refusal is wanted soon, and a lost attempt does no harm */
    sock_t sock;    /* the socket acted on; the listener for ACCEPT */
    void *owner;    /* not touched by the port */
    unsigned char *buf;
    uint32_t len; /* bytes of buf to send, or room to receive; READ with 0 waits only */

    /* result */
    uint32_t bytes; /* moved, also on an error */
    enum err err;
    int32_t raw;      /* errno, WSA error or NTSTATUS behind `err`, for the log; 0 if none */
    sock_t accepted;  /* ACCEPT: the new socket, owned by the owner now, not attached */
    struct addr addr; /* CONNECT: where to (set by the owner); ACCEPT: who came, normalised */
};

#endif
