/* splice.c - much that goes from one socket to another, without being copied.
 *
 * splice(2) passes references to the kernel's own pages on: from the socket into a pipe, from
 * the pipe to the other socket. Each worker has one pipe for all its sockets; it is empty again
 * when a call is over, since what the other socket does not take is read out into the caller's
 * buffer. Two calls to the system for a piece, as with a copy. Without a pipe all is copied.
 *
 * It pays only for large pieces, and only a receive tells the end of a stream or copes with urgent
 * data; whatever splice(2) does not like is left to it. Sending into a socket that is
 * closed raises SIGPIPE, for which splice(2) has no flag: os_init() has it ignored.
 */
#include <assert.h>
#include <fcntl.h>
#include <unistd.h>

#include "os/posix/error.h"
#include "port/epoll/epoll.h"
#include "port/move.h"

#define SPLICE_FROM (64 * 1024u)  /* bytes of a piece; measured */
#define PIPE_ROOM   (1024 * 1024) /* what a process may ask for without privileges */

void splice_open(struct worker *worker)
{
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
        return;
    int room = fcntl(ends[1], F_SETPIPE_SZ, PIPE_ROOM);
    if (room < 0)
        room = fcntl(ends[1], F_GETPIPE_SZ); /* others of this user have too many large ones */
    if (room > 0)
        worker->pipe = (struct pipe){.out = ends[0], .in = ends[1], .room = (uint32_t)room};
    else
        assert(false && "fails only for what is no pipe");
}

void splice_close(struct worker *worker)
{
    if (worker->pipe.room == 0)
        return;
    close(worker->pipe.out);
    close(worker->pipe.in);
    worker->pipe = (struct pipe){0};
}

static ssize_t splice_once(int from, int to, size_t len)
{
    for (;;) {
        ssize_t moved = splice(from, NULL, to, NULL, len, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
        if (moved >= 0 || errno != EINTR)
            return moved;
    }
}

/* From the source into the pipe. With *got == 0 a receive has to find out more, if the result is
 * ERR_OK; else the source's error is taken, as the kernel tells it only once. */
static enum err fill(struct port *port, struct worker *worker, sock_t from, uint32_t len,
                     uint32_t *got)
{
    struct record *record = record_of(port, from);
    *got = 0;
    os_mutex_lock(&record->lock);
    assert((record->flags & OPEN) && record->reader == NULL && "no READ is in flight");
    /* Where it stops short need not be the end of what is there: a pipe has a limit of pieces,
     * too. So the bit stays. */
    bool maybe = (record->flags & READABLE) && !(record->flags & URGENT);
    os_mutex_unlock(&record->lock);
    if (!maybe)
        return ERR_OK;
    ssize_t moved = splice_once((int)from, worker->pipe.in, len);
    int code = moved < 0 ? errno : 0;
    count_up(port, worker, reads);
    if (moved > 0)
        *got = (uint32_t)moved;
    if (code == 0 || would_block(code) || code == EINVAL)
        return ERR_OK;
    return error_from_errno(end_of_stream(record, code));
}

/* From the pipe to the sink, as much as it takes. */
static void drain(struct port *port, struct worker *worker, sock_t to, struct port_move *move)
{
    while (move->sent < move->got) {
        ssize_t sent = splice_once(worker->pipe.out, (int)to, move->got - move->sent);
        int code = sent < 0 ? errno : 0;
        count_up(port, worker, writes);
        if (sent > 0) {
            move->sent += (uint32_t)sent;
        } else if (would_block(code)) {
            return;
        } else {
            send_failed(port, to, code);
            move->send_err = code == 0 ? ERR_IO : error_from_errno(code);
            return;
        }
    }
}

/* What the sink did not take goes to the caller, who drops it if the sink failed. */
static void empty(struct worker *worker, unsigned char *buf, struct port_move *move)
{
    size_t left = move->got - move->sent, have = 0;
    while (have < left) {
        ssize_t got = read(worker->pipe.out, buf + have, left - have);
        if (got < 0 && errno == EINTR)
            continue;
        assert(got > 0 && "what went into a pipe comes out of it");
        have += (size_t)got;
    }
}

enum err port_move_now(struct port *port, sock_t from, sock_t to, unsigned char *buf,
                       uint32_t len, struct port_move *move)
{
    if (len < SPLICE_FROM)
        return port_move_by_copy(port, from, to, buf, len, move);
    struct worker *worker = worker_of(port);
    if (worker == NULL || worker->pipe.room == 0)
        return port_move_by_copy(port, from, to, buf, len, move);
    uint32_t got;
    enum err err =
        fill(port, worker, from, len < worker->pipe.room ? len : worker->pipe.room, &got);
    if (err != ERR_OK)
        return err;
    if (got == 0)
        return port_move_by_copy(port, from, to, buf, len, move);

    *move = (struct port_move){.got = got, .rest = buf};
    drain(port, worker, to, move);
    if (move->sent < move->got)
        empty(worker, buf, move);
    return ERR_OK;
}
