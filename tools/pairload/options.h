/* options.h - what pairload was asked to do.
 *
 * Threads: the main thread.
 */
#ifndef PAIRPORT_TOOLS_OPTIONS_H
#define PAIRPORT_TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

enum mode {
    MODE_ECHO,     /* serve: send everything back */
    MODE_SINK,     /* serve: throw everything away */
    MODE_PINGPONG, /* a message, its echo, the next message */
    MODE_PACED,    /* messages at a fixed rate, whatever the echoes do */
    MODE_CONNECT,  /* connect, one message and its echo, close, again */
    MODE_FLOOD,    /* the same as fast as it can, expecting to be turned away */
    MODE_IDLE,     /* connections that do nothing between their first and last message */
    MODE_BULK      /* as many bytes as go through, both ways */
};

const char *mode_word(enum mode mode);

struct options {
    enum mode mode;
    struct addr addr;   /* to listen on, or the target */
    struct addr source; /* local address of connections; ADDR_NONE: the system chooses */
    bool json;

    uint32_t connections;
    uint32_t message_bytes;
    double rate;          /* of MODE_PACED: messages a second, all connections together */
    uint64_t duration_ms; /* 0: until `count` is reached */
    uint64_t warm_up_ms;  /* not 0: only `duration_ms` from so long after connecting count */
    uint64_t count; /* messages (MODE_CONNECT, MODE_FLOOD: connections) in all; 0: no limit */
    uint64_t seed;  /* below 2^63, so that JSON can hold it */
    uint32_t threads;
    uint64_t stall_ms; /* no byte for so long while one is due is an error */
    bool spin;         /* wait for due times with the processor */
};

/* Reads the command line. False: the program ends with *code; what there was to say (the help,
 * or what is wrong) has been printed. */
bool options_parse(int argc, char **argv, struct options *out, int *code);

#endif
