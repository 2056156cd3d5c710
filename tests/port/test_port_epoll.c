/* What only the epoll backend can get wrong: edges and cancellations in the narrow moments
 * between a system call and its record, events of sockets that are gone, registrations that
 * fail, and how many system calls a message costs. The system's calls are wrapped by the
 * linker (see CMakeLists.txt), so that a test can act in such a moment. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

/* ---- the wrapped calls ---- */

ssize_t __real_recv(int fd, void *buf, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags);
ssize_t __real_send(int fd, const void *buf, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags);
int __real_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __real_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __real_epoll_ctl(int epoll_fd, int how, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int how, int fd, struct epoll_event *event);

/* What happens after a call of the port on `fd` has come up empty, once. */
static struct {
    void (*act)(void);
    int fd;
} moment;
static atomic_uint accept_calls;
static int accept_fails_with; /* errno of the next accept4(), once; 0: none */
static int watch_fails_with;  /* the same for epoll_ctl() */

static void after(int fd, bool empty)
{
    int saved = errno;
    if (empty && moment.act != NULL && moment.fd == fd) {
        void (*act)(void) = moment.act;
        moment.act = NULL;
        act();
    }
    errno = saved;
}

ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags)
{
    ssize_t got = __real_recv(fd, buf, len, flags);
    after(fd, got < 0 && errno == EAGAIN);
    return got;
}

ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags)
{
    ssize_t sent = __real_send(fd, buf, len, flags);
    after(fd, sent < 0 ? errno == EAGAIN : (size_t)sent < len);
    return sent;
}

static int take_failure(int *planned)
{
    int code = *planned;
    *planned = 0;
    return code;
}

int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    atomic_fetch_add(&accept_calls, 1);
    if (accept_fails_with != 0) {
        errno = take_failure(&accept_fails_with);
        return -1;
    }
    int client = __real_accept4(fd, addr, len, flags);
    after(fd, client < 0 && errno == EAGAIN);
    return client;
}

int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    int rc = __real_connect(fd, addr, len);
    after(fd, rc < 0 && errno == EINPROGRESS);
    return rc;
}

int __wrap_epoll_ctl(int epoll_fd, int how, int fd, struct epoll_event *event)
{
    if (watch_fails_with != 0) {
        errno = take_failure(&watch_fails_with);
        return -1;
    }
    return __real_epoll_ctl(epoll_fd, how, fd, event);
}

/* ---- moments ---- */

static struct {
    struct rig *rig;
    sock_t sock, peer;
    struct addr addr;
    int others; /* results that the other worker got */
} now;

static void take_turn(void *arg)
{
    struct op *ops[PORT_BATCH];
    (void)arg;
    if (port_enter(now.rig->port) != ERR_OK)
        return;
    now.others += port_wait(now.rig->port, ops, PORT_BATCH, 0);
    port_leave(now.rig->port);
}

/* Another worker takes what epoll has to say. */
static void let_another_worker_turn(void)
{
    os_thread_join(rig_thread(take_turn, NULL));
}

static void at_that_moment(void (*act)(void), struct rig *rig, sock_t sock, sock_t peer)
{
    now.rig = rig;
    now.sock = sock;
    now.peer = peer;
    now.others = 0;
    moment.fd = (int)sock;
    moment.act = act;
}

static void bytes_come(void)
{
    assert_ok(net_send(now.peer, "late", 4, NET_PATIENCE_MS, NULL));
    let_another_worker_turn();
}

static void it_is_cancelled(void)
{
    port_cancel(now.rig->port, now.sock);
}

/* A pair whose socket is registered and believed to be readable, though it is not. */
static void make_doubtful_pair(struct rig *rig, sock_t *sock, sock_t *peer)
{
    rig_pair(rig, sock, peer);
    unsigned char buf[4];
    struct op read = rig_op(OP_READ, *sock, buf, sizeof buf);
    rig_submit(rig, &read);
    assert_false(rig_is_out(rig, &read, 0));
    assert_ok(net_send(*peer, "full", 4, NET_PATIENCE_MS, NULL));
    assert_ok(rig_wait(rig, &read));
    assert_int_equal(read.bytes, 4);
}

static void bytes_that_come_before_a_read_is_parked_are_seen(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    make_doubtful_pair(rig, &sock, &peer);
    unsigned char buf[8];
    struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
    at_that_moment(bytes_come, rig, sock, peer);
    rig_submit(rig, &read);
    assert_null(moment.act);
    assert_int_equal(now.others, 0);
    assert_ok(rig_wait(rig, &read));
    assert_int_equal(read.bytes, 4);
    rig_close(rig->port, sock);
    net_close(peer);
}

static void a_read_cancelled_before_it_is_parked_comes_out(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    make_doubtful_pair(rig, &sock, &peer);
    unsigned char buf[8];
    struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
    at_that_moment(it_is_cancelled, rig, sock, peer);
    rig_submit(rig, &read);
    assert_null(moment.act);
    assert_true(rig_is_out(rig, &read, 1000));
    assert_err(read.err, ERR_CANCELLED);
    rig_close(rig->port, sock);
    net_close(peer);
}

static void room_comes(void)
{
    static unsigned char rubbish[1 << 16];
    size_t got;
    while (net_receive(now.peer, rubbish, sizeof rubbish, 50, &got) == ERR_OK)
        assert_int_not_equal(got, 0);
    let_another_worker_turn();
}

/* A pair whose socket is registered for room to send, and a WRITE too large for it. */
static unsigned char *make_full_pair(struct rig *rig, sock_t *sock, sock_t *peer, size_t len)
{
    rig_small_pair(rig, sock, peer);
    unsigned char *data = calloc(1, len);
    assert_non_null(data);
    struct op write = rig_op(OP_WRITE, *sock, data, len);
    rig_submit(rig, &write);
    assert_false(rig_is_out(rig, &write, 0));
    port_cancel(rig->port, *sock);
    assert_err(rig_wait(rig, &write), ERR_CANCELLED);
    now.peer = *peer;
    now.rig = rig;
    room_comes();
    return data;
}

static void room_that_comes_before_a_write_is_parked_is_seen(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    size_t len = 4 << 20;
    unsigned char *data = make_full_pair(rig, &sock, &peer, len);
    struct op write = rig_op(OP_WRITE, sock, data, len);
    for (int i = 0; i < 5; i++) { /* the first time the bit may still be set from before */
        at_that_moment(room_comes, rig, sock, peer);
        rig_submit(rig, &write);
        assert_null(moment.act);
        uint32_t taken = write.bytes;
        while (write.in_flight) {
            size_t got;
            unsigned char rubbish[1000];
            enum err err = net_receive(peer, rubbish, sizeof rubbish, 1000, &got);
            if (err != ERR_OK) /* nothing comes: the WRITE sleeps on an edge that is gone */
                assert_err(err, ERR_OK);
            rig_turn(rig, PORT_BATCH, 0);
        }
        assert_ok(write.err);
        assert_in_range(taken, 1, len);
        room_comes();
    }
    free(data);
    rig_close(rig->port, sock);
    net_close(peer);
}

static void a_write_cancelled_before_it_is_parked_comes_out(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    size_t len = 4 << 20;
    unsigned char *data = make_full_pair(rig, &sock, &peer, len);
    struct op write = rig_op(OP_WRITE, sock, data, len);
    at_that_moment(it_is_cancelled, rig, sock, peer);
    rig_submit(rig, &write);
    assert_null(moment.act);
    assert_true(rig_is_out(rig, &write, 1000));
    assert_err(write.err, ERR_CANCELLED);
    assert_in_range(write.bytes, 1, len - 1);
    free(data);
    rig_close(rig->port, sock);
    net_close(peer);
}

static void a_client_comes(void)
{
    assert_ok(net_connect(&now.addr, NET_PATIENCE_MS, &now.peer));
    let_another_worker_turn();
}

/* A listener that is registered and believed to have clients, though it has none. */
static sock_t make_doubtful_listener(struct rig *rig)
{
    unsigned char scratch[OP_ACCEPT_SCRATCH];
    sock_t listener = rig_listen(rig->port, ADDR_IPV4, &now.addr), peer;
    struct op accept = rig_accept_op(listener, scratch);
    rig_submit(rig, &accept);
    assert_false(rig_is_out(rig, &accept, 0));
    assert_ok(net_connect(&now.addr, NET_PATIENCE_MS, &peer));
    assert_ok(rig_wait(rig, &accept));
    sock_close(accept.accepted, SOCK_CLOSE_NORMAL);
    net_close(peer);
    return listener;
}

static void a_client_that_comes_before_an_accept_is_parked_is_seen(void **state)
{
    struct rig *rig = *state;
    unsigned char scratch[OP_ACCEPT_SCRATCH];
    sock_t listener = make_doubtful_listener(rig);
    struct op accept = rig_accept_op(listener, scratch);
    at_that_moment(a_client_comes, rig, listener, SOCK_NONE);
    rig_submit(rig, &accept);
    assert_null(moment.act);
    assert_int_equal(now.others, 0);
    assert_ok(rig_wait(rig, &accept));
    sock_close(accept.accepted, SOCK_CLOSE_NORMAL);
    net_close(now.peer);
    rig_close(rig->port, listener);
}

static void an_accept_cancelled_before_it_is_parked_comes_out(void **state)
{
    struct rig *rig = *state;
    unsigned char scratch[OP_ACCEPT_SCRATCH];
    sock_t listener = make_doubtful_listener(rig);
    struct op accept = rig_accept_op(listener, scratch);
    at_that_moment(it_is_cancelled, rig, listener, SOCK_NONE);
    rig_submit(rig, &accept);
    assert_null(moment.act);
    assert_true(rig_is_out(rig, &accept, 1000));
    assert_err(accept.err, ERR_CANCELLED);
    rig_close(rig->port, listener);
}

static void a_connect_cancelled_before_it_is_parked_comes_out(void **state)
{
    struct rig *rig = *state;
    struct net_deaf deaf;
    assert_ok(net_deaf_open(ADDR_IPV4, &deaf));
    sock_t sock = rig_open(rig->port, ADDR_IPV4);
    struct op connect = rig_connect_op(sock, &deaf.addr);
    at_that_moment(it_is_cancelled, rig, sock, SOCK_NONE);
    rig_submit(rig, &connect);
    assert_null(moment.act);
    assert_true(rig_is_out(rig, &connect, 1000));
    assert_err(connect.err, ERR_CANCELLED);
    rig_close(rig->port, sock);
    net_deaf_close(&deaf);
}

/* ---- sockets that are gone ---- */

/* A copy of the descriptor keeps the registration alive after the close, so an event comes
 * for sure, and the number may be another socket's by then. */
static void an_event_of_a_closed_socket_is_dropped(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 2; i++) {
        sock_t sock, peer, other = SOCK_NONE, other_peer = SOCK_NONE;
        rig_pair(rig, &sock, &peer);
        struct op read = rig_op(OP_READ, sock, NULL, 0);
        rig_submit(rig, &read);
        assert_false(rig_is_out(rig, &read, 0));
        port_cancel(rig->port, sock);
        assert_err(rig_wait(rig, &read), ERR_CANCELLED);
        int copy = dup((int)sock);
        assert_int_not_equal(copy, -1);
        rig_close(rig->port, sock);
        if (i == 1) {
            rig_pair(rig, &other, &other_peer);
            int number = dup2((int)other, (int)sock); /* the old number, again */
            assert_int_equal(number, sock);
            assert_ok(port_attach(rig->port, sock));
            rig_submit(rig, &read);
            assert_false(rig_is_out(rig, &read, 0));
        }
        struct port_stats before = rig_stats(rig->port);
        assert_ok(net_send(peer, "whom?", 5, NET_PATIENCE_MS, NULL));
        for (int turn = 0; turn < 3; turn++)
            assert_int_equal(rig_turn(rig, PORT_BATCH, 5), 0);
        struct port_stats later = rig_stats(rig->port);
        assert_int_equal(later.stale_events_total - before.stale_events_total, 1);
        if (i == 1) {
            assert_true(read.in_flight);
            port_cancel(rig->port, sock);
            assert_err(rig_wait(rig, &read), ERR_CANCELLED);
            rig_close(rig->port, sock);
            rig_close(rig->port, other);
            net_close(other_peer);
        }
        close(copy);
        net_close(peer);
    }
}

/* ---- registrations that fail ---- */

static void an_operation_that_cannot_be_registered_fails_and_the_next_one_does_not(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_small_pair(rig, &sock, &peer);
    unsigned char byte;
    struct op read = rig_op(OP_READ, sock, &byte, 1);
    watch_fails_with = ENOSPC;
    assert_err(rig_do(rig, &read), ERR_NOMEM);
    assert_int_equal(read.raw, ENOSPC);
    rig_submit(rig, &read);
    assert_false(rig_is_out(rig, &read, 0));

    size_t len = 4 << 20;
    unsigned char *data = calloc(1, len);
    assert_non_null(data);
    struct op write = rig_op(OP_WRITE, sock, data, len);
    watch_fails_with = ENOMEM;
    assert_err(rig_do(rig, &write), ERR_NOMEM);
    assert_in_range(write.bytes, 1, len - 1);
    rig_submit(rig, &write);
    assert_false(rig_is_out(rig, &write, 0));
    port_cancel(rig->port, sock);
    assert_err(rig_wait(rig, &write), ERR_CANCELLED);
    assert_err(rig_wait(rig, &read), ERR_CANCELLED);
    free(data);
    rig_close(rig->port, sock);
    net_close(peer);
}

static void an_accept_or_connect_that_cannot_be_registered_fails(void **state)
{
    struct rig *rig = *state;
    struct addr addr;
    unsigned char scratch[OP_ACCEPT_SCRATCH];
    sock_t listener = rig_listen(rig->port, ADDR_IPV4, &addr);
    struct op accept = rig_accept_op(listener, scratch);
    watch_fails_with = ENOSPC;
    assert_err(rig_do(rig, &accept), ERR_NOMEM);
    rig_submit(rig, &accept);
    sock_t sock = rig_open(rig->port, ADDR_IPV4);
    struct op connect = rig_connect_op(sock, &addr);
    watch_fails_with = ENOMEM;
    assert_err(rig_do(rig, &connect), ERR_NOMEM);
    rig_close(rig->port, sock);
    if (rig_is_out(rig, &accept, 100)) { /* the system had connected it already */
        assert_ok(accept.err);
        sock_close(accept.accepted, SOCK_CLOSE_NORMAL);
        rig_submit(rig, &accept);
    }
    port_cancel(rig->port, listener);
    assert_err(rig_wait(rig, &accept), ERR_CANCELLED);
    rig_close(rig->port, listener);
}

static void errors_of_accept_are_the_clients_or_a_lack_and_the_client_is_not_lost(void **state)
{
    struct rig *rig = *state;
    static const struct {
        int code;
        enum err err;
    } cases[] = {
        {ECONNABORTED, ERR_ABORTED},
        {EPROTO, ERR_ABORTED},
        {ENETDOWN, ERR_ABORTED},
        {EPERM, ERR_ABORTED},
        {EHOSTUNREACH, ERR_ABORTED},
        {ENOPROTOOPT, ERR_ABORTED},
        {EMFILE, ERR_NO_DESCRIPTORS},
        {ENFILE, ERR_NO_DESCRIPTORS},
        {ENOBUFS, ERR_NOMEM},
        {ENOMEM, ERR_NOMEM},
        {EINTR, ERR_OK},
    };
    struct addr addr;
    unsigned char scratch[OP_ACCEPT_SCRATCH];
    sock_t listener = rig_listen(rig->port, ADDR_IPV4, &addr), peer;
    struct op accept = rig_accept_op(listener, scratch);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig_submit(rig, &accept);
        assert_false(rig_is_out(rig, &accept, 0));
        accept_fails_with = cases[i].code;
        assert_ok(net_connect(&addr, NET_PATIENCE_MS, &peer));
        assert_err(rig_wait(rig, &accept), cases[i].err);
        if (accept.err != ERR_OK) {
            assert_int_equal(accept.raw, cases[i].code);
            assert_ok(rig_do(rig, &accept)); /* at once: no new edge will come */
        }
        sock_close(accept.accepted, SOCK_CLOSE_NORMAL);
        net_close(peer);
    }
    rig_close(rig->port, listener);
}

/* ---- cost ---- */

/* The loop of a relay: a READ without length, a READ that tries, a WRITE. */
static void a_message_costs_one_receive_one_send_and_one_wait(void **state)
{
    struct rig *rig = *state;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    unsigned char buf[512];
    struct op wait = rig_op(OP_READ, sock, NULL, 0);
    struct op read = rig_op(OP_READ, sock, buf, sizeof buf);
    read.try_only = true;
    rig_submit(rig, &wait);
    assert_false(rig_is_out(rig, &wait, 0));
    enum { MESSAGES = 100 };
    struct port_stats before = rig_stats(rig->port);
    for (int i = 0; i < MESSAGES; i++) {
        assert_ok(net_send(peer, "message", 7, NET_PATIENCE_MS, NULL));
        assert_ok(rig_wait(rig, &wait));
        assert_ok(rig_do(rig, &read));
        assert_int_equal(read.bytes, 7);
        struct op write = rig_op(OP_WRITE, sock, buf, read.bytes);
        assert_ok(rig_do(rig, &write));
        assert_ok(net_receive_all(peer, buf, 7, NET_PATIENCE_MS));
        rig_submit(rig, &wait);
    }
    struct port_stats later = rig_stats(rig->port);
    assert_int_equal(later.reads_total - before.reads_total, MESSAGES);
    assert_int_equal(later.writes_total - before.writes_total, MESSAGES);
    assert_in_range(later.waits_total - before.waits_total, MESSAGES, MESSAGES + MESSAGES / 4);
    port_cancel(rig->port, sock);
    assert_err(rig_wait(rig, &wait), ERR_CANCELLED);
    rig_close(rig->port, sock);
    net_close(peer);
}

static void one_turn_takes_a_limited_number_of_clients(void **state)
{
    struct rig *rig = *state;
    enum { CROWD = 40 };
    struct addr addr;
    unsigned char scratch[CROWD][OP_ACCEPT_SCRATCH];
    sock_t listener = rig_listen(rig->port, ADDR_IPV4, &addr), peers[CROWD];
    struct op accepts[CROWD];
    for (int i = 0; i < CROWD; i++) {
        accepts[i] = rig_accept_op(listener, scratch[i]);
        rig_submit(rig, &accepts[i]);
    }
    rig_turn(rig, PORT_BATCH, 0);
    for (int i = 0; i < CROWD; i++)
        assert_ok(net_connect(&addr, NET_PATIENCE_MS, &peers[i]));
    atomic_store(&accept_calls, 0);
    assert_int_equal(rig_turn(rig, 5, 1000), 5);
    assert_in_range(atomic_load(&accept_calls), 5, 16);
    for (int i = 0; i < CROWD; i++) {
        assert_ok(rig_wait(rig, &accepts[i]));
        sock_close(accepts[i].accepted, SOCK_CLOSE_NORMAL);
        net_close(peers[i]);
    }
    rig_close(rig->port, listener);
}

static atomic_uint got_by_another;

static void take_some(void *arg)
{
    struct op *ops[PORT_BATCH];
    if (port_enter(arg) != ERR_OK)
        return;
    atomic_store(&got_by_another, (unsigned)port_wait(arg, ops, PORT_BATCH, 1000));
    port_leave(arg);
}

/* A worker that has more results than it can hand out soon shares them. */
static void a_long_ready_list_is_shared(void **state)
{
    (void)state;
    enum { MANY = 400 };
    struct port *port;
    assert_ok(port_open(&port, 2));
    assert_ok(port_enter(port));
    struct addr addr;
    sock_t listener = rig_listen(port, ADDR_IPV4, &addr);
    struct op *accepts = calloc(MANY, sizeof *accepts);
    unsigned char *scratch = calloc(MANY, OP_ACCEPT_SCRATCH);
    assert_non_null(accepts);
    assert_non_null(scratch);
    for (int i = 0; i < MANY; i++) {
        accepts[i] = rig_accept_op(listener, scratch + (size_t)i * OP_ACCEPT_SCRATCH);
        port_submit(port, &accepts[i]);
    }
    port_cancel(port, listener);
    struct op *ops[PORT_BATCH];
    unsigned mine = (unsigned)port_wait(port, ops, 1, 0);
    os_thread_join(rig_thread(take_some, port));
    unsigned others = atomic_load(&got_by_another);
    assert_in_range(others, 1, PORT_BATCH);
    for (int turns = 0; mine + others < MANY; turns++) {
        assert_in_range(turns, 0, MANY);
        mine += (unsigned)port_wait(port, ops, PORT_BATCH, 1000);
    }
    rig_close(port, listener);
    port_leave(port);
    port_close(port);
    free(scratch);
    free(accepts);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        rig_test(bytes_that_come_before_a_read_is_parked_are_seen),
        rig_test(a_read_cancelled_before_it_is_parked_comes_out),
        rig_test(room_that_comes_before_a_write_is_parked_is_seen),
        rig_test(a_write_cancelled_before_it_is_parked_comes_out),
        rig_test(a_client_that_comes_before_an_accept_is_parked_is_seen),
        rig_test(an_accept_cancelled_before_it_is_parked_comes_out),
        rig_test(a_connect_cancelled_before_it_is_parked_comes_out),
        rig_test(an_event_of_a_closed_socket_is_dropped),
        rig_test(an_operation_that_cannot_be_registered_fails_and_the_next_one_does_not),
        rig_test(an_accept_or_connect_that_cannot_be_registered_fails),
        rig_test(errors_of_accept_are_the_clients_or_a_lack_and_the_client_is_not_lost),
        rig_test(a_message_costs_one_receive_one_send_and_one_wait),
        rig_test(one_turn_takes_a_limited_number_of_clients),
        cmocka_unit_test(a_long_ready_list_is_shared),
    };
    return cmocka_run_group_tests_name("port: epoll", tests, NULL, NULL);
}
