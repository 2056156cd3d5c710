/* What has become of bytes that were handed to a connection; the same on every system. */
#include "os/sock.h"

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

bool sock_unacked(sock_t sock, uint64_t handed, uint64_t *bytes)
{
    struct sock_sent sent;
    sock_query_sent(sock, &sent);
    switch (sent.tells) {
    case SOCK_TELLS_NOTHING: return false;
    case SOCK_TELLS_UNACKED: *bytes = sent.unacked; return true;
    case SOCK_TELLS_COUNTS: break;
    }
    /* Not what is in flight: behind a closed window that is nothing, and the most waits. */
    *bytes = less(handed, less(less(sent.out, sent.again), sent.in_flight));
    return true;
}
