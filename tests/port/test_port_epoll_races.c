/* The narrow moments of the epoll backend: bytes, edges, cancellations and workers that come
 * between a system call and what is done about its result. */
#include <stdlib.h>
#include <string.h>

#include "rig.h"
#include "wrapped.h"

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
    wrapped_after(sock, act);
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
    assert_true(wrapped_has_acted());
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
    assert_true(wrapped_has_acted());
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
        assert_true(wrapped_has_acted());
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
    assert_true(wrapped_has_acted());
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
    assert_true(wrapped_has_acted());
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
    assert_true(wrapped_has_acted());
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
    assert_true(wrapped_has_acted());
    assert_true(rig_is_out(rig, &connect, 1000));
    assert_err(connect.err, ERR_CANCELLED);
    rig_close(rig->port, sock);
    net_deaf_close(&deaf);
}

/* ---- who waits ---- */

enum { STICKY, LATER, SOCKS };

static struct {
    sock_t socks[SOCKS], peers[SOCKS];
    struct op reads[SOCKS];
    atomic_uint handled, stuck; /* stuck: 1 a worker is, 2 it may go on */
} scene;

static void handle(void *arg, struct op *op)
{
    (void)arg;
    if (op == &scene.reads[STICKY]) {
        atomic_store(&scene.stuck, 1);
        rig_reaches(&scene.stuck, 2);
    }
    atomic_fetch_add(&scene.handled, 1);
}

static void the_leader_gets_stuck(void)
{
    (void)net_send(scene.peers[STICKY], "x", 1, NET_PATIENCE_MS, NULL);
    rig_reaches(&scene.stuck, 1);
}

/* A worker has seen that there is a leader and that there is nothing to do. Before it sleeps, the
 * leader stops, sees nobody in reserve and sets no timer. */
static void a_post_left_while_another_worker_goes_to_sleep_is_taken(void **state)
{
    (void)state;
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    assert_ok(port_open(&rig->port, 2));
    assert_ok(port_enter(rig->port));
    for (int round = 0; round < 10; round++) {
        atomic_store(&scene.handled, 0);
        atomic_store(&scene.stuck, 0);
        for (int i = 0; i < SOCKS; i++) {
            rig_pair(rig, &scene.socks[i], &scene.peers[i]);
            scene.reads[i] = rig_op(OP_READ, scene.socks[i], NULL, 0);
        }
        for (int i = 0; i < SOCKS; i++)
            port_submit(rig->port, &scene.reads[i]);
        wrapped_after_look(the_leader_gets_stuck);
        struct crew *crew = rig_hand_over(rig, 2, handle, NULL);
        assert_true(rig_reaches(&scene.stuck, 1));
        assert_ok(net_send(scene.peers[LATER], "x", 1, NET_PATIENCE_MS, NULL));
        assert_true(rig_reaches(&scene.handled, 1));
        atomic_store(&scene.stuck, 2);
        assert_true(rig_reaches(&scene.handled, SOCKS));
        rig_take_back(rig, crew);
        for (int i = 0; i < SOCKS; i++) {
            rig_close(rig->port, scene.socks[i]);
            net_close(scene.peers[i]);
        }
    }
    port_leave(rig->port);
    port_close(rig->port);
    free(rig);
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
        cmocka_unit_test(a_post_left_while_another_worker_goes_to_sleep_is_taken),
    };
    return cmocka_run_group_tests_name("port: epoll, races", tests, NULL, NULL);
}
