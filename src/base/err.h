/* err.h - the one error type of pairport.
 *
 * A code of the operating system becomes an `enum err` at the call that made it (os/, port/);
 * above those layers only these values exist. ERR_OK is zero. Each error has a word, as it
 * stands in logs and JSON, and a sentence fragment for people.
 *
 * Threads: any. The texts are constants.
 */
#ifndef PAIRPORT_BASE_ERR_H
#define PAIRPORT_BASE_ERR_H

/* name, word, text */
#define ERR_TABLE(X)                                                                           \
    X(ERR_OK, "ok", "no error")                                                                \
    X(ERR_AGAIN, "again", "nothing to do right now")                                           \
    X(ERR_CANCELLED, "cancelled", "the operation was cancelled")                               \
    X(ERR_RESET, "reset", "the connection was reset by the peer")                              \
    X(ERR_ABORTED, "aborted", "the connection was aborted before it was accepted")             \
    X(ERR_REFUSED, "refused", "the connection was refused")                                    \
    X(ERR_TIMEDOUT, "timed_out", "the peer did not answer in time")                            \
    X(ERR_UNREACHABLE, "unreachable", "the host or network is unreachable")                    \
    X(ERR_NO_DESCRIPTORS, "no_descriptors", "no descriptors are left (open file limit)")       \
    X(ERR_NOMEM, "no_memory", "out of memory or of the system's buffers")                      \
    X(ERR_NO_PORTS, "no_ports", "no local port is free")                                       \
    X(ERR_IN_USE, "in_use", "the address or name is already in use")                           \
    X(ERR_NO_ADDRESS, "no_address", "the address does not belong to this machine")             \
    X(ERR_NO_FAMILY, "no_family", "this system has no IPv6, or has it turned off")             \
    X(ERR_RESERVED, "reserved", "the system has reserved the port, or it is held exclusively") \
    X(ERR_ACCESS, "access", "permission denied")                                               \
    X(ERR_UNSAFE, "unsafe", "it is a symbolic link, and others could have put it there")       \
    X(ERR_NOT_FOUND, "not_found", "no such file or name")                                      \
    X(ERR_EXISTS, "exists", "the file or name exists already")                                 \
    X(ERR_NO_SPACE, "no_space", "no space is left on the disk")                                \
    X(ERR_UNSUPPORTED, "unsupported", "this system does not support it")                       \
    X(ERR_INVALID, "invalid", "invalid argument or syntax")                                    \
    X(ERR_RANGE, "range", "the number is out of range")                                        \
    X(ERR_RESOLVE, "resolve", "the name could not be resolved")                                \
    X(ERR_CLOSED, "closed", "the other end is closed")                                         \
    X(ERR_IO, "io", "input/output error")

enum err {
#define X(name, word, text) name,
    ERR_TABLE(X)
#undef X
};

/* One word, lower case with underscores: "refused". Never NULL. */
const char *err_word(enum err err);

/* A fragment that fits after a colon: "the connection was refused". Never NULL. */
const char *err_text(enum err err);

#endif
