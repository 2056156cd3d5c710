/* ACCEPT, as port.h promises it. */
#include <stdlib.h>
#include <string.h>

#include "descriptors.h"
#include "rig.h"

enum { POSTED = 16 };

/* A listener with several ACCEPTs that are submitted again as they come out. */
struct door {
    struct rig *rig;
    sock_t listener;
    struct addr addr;
    struct op accepts[POSTED];
    unsigned char scratch[POSTED][OP_ACCEPT_SCRATCH];
};

static struct door *open_door(struct rig *rig, enum addr_family family)
{
    struct door *door = calloc(1, sizeof *door);
    assert_non_null(door);
    door->rig = rig;
    door->listener = rig_listen(rig->port, family, &door->addr);
    for (int i = 0; i < POSTED; i++) {
        door->accepts[i] = rig_accept_op(door->listener, door->scratch[i]);
        rig_submit(rig, &door->accepts[i]);
    }
    return door;
}

static void close_door(struct door *door)
{
    port_cancel(door->rig->port, door->listener);
    for (int i = 0; i < POSTED; i++)
        assert_err(rig_wait(door->rig, &door->accepts[i]), ERR_CANCELLED);
    rig_close(door->rig->port, door->listener);
    free(door);
}

/* Waits until some ACCEPT is out, submits it again and gives its result. */
static enum err next_client(struct door *door, sock_t *client, struct addr *from)
{
    uint64_t end = os_mono_ms() + NET_PATIENCE_MS;
    for (;;) {
        for (int i = 0; i < POSTED; i++) {
            struct op *op = &door->accepts[i];
            if (op->in_flight)
                continue;
            enum err err = op->err;
            *client = op->accepted;
            *from = op->addr;
            rig_submit(door->rig, op);
            return err;
        }
        if (os_mono_ms() > end)
            fail_msg("%s", "no ACCEPT came out");
        rig_turn(door->rig, PORT_BATCH, 100);
    }
}

static void assert_works(struct rig *rig, sock_t client, sock_t peer)
{
    assert_ok(port_attach(rig->port, client));
    assert_ok(net_send(peer, "ping", 4, NET_PATIENCE_MS, NULL));
    unsigned char buf[8];
    struct op read = rig_op(OP_READ, client, buf, sizeof buf);
    assert_ok(rig_do(rig, &read));
    assert_int_equal(read.bytes, 4);
    rig_close(rig->port, client);
    net_close(peer);
}

static void accept_one(struct rig *rig, enum addr_family family)
{
    struct addr addr, from, name;
    unsigned char scratch[OP_ACCEPT_SCRATCH];
    sock_t listener = rig_listen(rig->port, family, &addr), peer;
    struct op accept = rig_accept_op(listener, scratch);
    rig_submit(rig, &accept);
    assert_false(rig_is_out(rig, &accept, 2));
    assert_ok(net_connect(&addr, NET_PATIENCE_MS, &peer)); /* and sends nothing */
    assert_ok(rig_wait(rig, &accept));
    assert_ok(net_local_addr(peer, &name));
    assert_true(addr_equal(&accept.addr, &name));
    assert_ok(sock_peer_addr(accept.accepted, &from));
    assert_true(addr_equal(&from, &name));
    assert_ok(sock_local_addr(accept.accepted, &from));
    assert_true(addr_equal(&from, &addr));
    assert_works(rig, accept.accepted, peer);
    rig_close(rig->port, listener);
}

static void a_silent_client_is_accepted_with_its_address(void **state)
{
    accept_one(*state, ADDR_IPV4);
}

static void a_client_over_ipv6_is_accepted_with_its_address(void **state)
{
    if (!net_has_ipv6()) {
        print_message("skipped: this machine has no IPv6 loopback\n");
        skip();
    }
    accept_one(*state, ADDR_IPV6);
}

static void a_dual_stack_listener_shows_ipv4_clients_as_ipv4(void **state)
{
    struct rig *rig = *state;
    if (!net_has_ipv6()) {
        print_message("skipped: this machine has no IPv6 loopback\n");
        skip();
    }
    struct addr any = {.family = ADDR_IPV6}, addr;
    sock_t listener = rig_listen_at(rig->port, &any, &addr), peer;
    for (int i = 0; i < 2; i++) {
        struct addr to = net_loopback(i == 0 ? ADDR_IPV4 : ADDR_IPV6, addr.port);
        assert_ok(net_connect(&to, NET_PATIENCE_MS, &peer));
        unsigned char scratch[OP_ACCEPT_SCRATCH];
        struct op accept = rig_accept_op(listener, scratch);
        assert_ok(rig_do(rig, &accept));
        assert_int_equal(accept.addr.family, to.family);
        assert_true(addr_is_loopback(&accept.addr));
        sock_close(accept.accepted, SOCK_CLOSE_NORMAL);
        net_close(peer);
    }
    rig_close(rig->port, listener);
}

static void clients_that_came_before_the_accept_are_all_taken(void **state)
{
    struct rig *rig = *state;
    enum { EARLY = 50 };
    struct addr addr;
    unsigned char scratch[OP_ACCEPT_SCRATCH];
    sock_t listener = rig_listen(rig->port, ADDR_IPV4, &addr), peers[EARLY];
    for (int i = 0; i < EARLY; i++)
        assert_ok(net_connect(&addr, NET_PATIENCE_MS, &peers[i]));
    struct op accept = rig_accept_op(listener, scratch);
    for (int i = 0; i < EARLY; i++) {
        assert_ok(rig_do(rig, &accept));
        assert_works(rig, accept.accepted, peers[i]); /* the backlog is a queue */
    }
    rig_submit(rig, &accept);
    assert_false(rig_is_out(rig, &accept, 2));
    port_cancel(rig->port, listener);
    assert_err(rig_wait(rig, &accept), ERR_CANCELLED);
    rig_close(rig->port, listener);
}

static void each_of_several_accepts_takes_one_client(void **state)
{
    struct rig *rig = *state;
    enum { CLIENTS = 100 };
    struct door *door = open_door(rig, ADDR_IPV4);
    struct addr names[CLIENTS], from;
    sock_t peers[CLIENTS], client;
    for (int i = 0; i < CLIENTS; i++) {
        assert_ok(net_connect(&door->addr, NET_PATIENCE_MS, &peers[i]));
        assert_ok(net_local_addr(peers[i], &names[i]));
    }
    for (int i = 0; i < CLIENTS; i++) {
        assert_ok(next_client(door, &client, &from));
        int which = 0;
        while (which < CLIENTS && !addr_equal(&names[which], &from))
            which++;
        assert_in_range(which, 0, CLIENTS - 1);
        assert_works(rig, client, peers[which]);
        names[which] = (struct addr){0}; /* nobody comes twice */
    }
    close_door(door);
}

static void cancelled_accepts_come_out_and_the_listener_lives_on(void **state)
{
    struct rig *rig = *state;
    struct door *door = open_door(rig, ADDR_IPV4);
    struct addr from;
    sock_t client, peer;
    for (int round = 0; round < 5; round++) {
        port_cancel(rig->port, door->listener);
        for (int i = 0; i < POSTED; i++) {
            assert_err(rig_wait(rig, &door->accepts[i]), ERR_CANCELLED);
            rig_submit(rig, &door->accepts[i]);
        }
        assert_ok(net_connect(&door->addr, NET_PATIENCE_MS, &peer));
        assert_ok(next_client(door, &client, &from));
        assert_works(rig, client, peer);
    }
    close_door(door);
}

/* A client that is gone before it is accepted costs its ACCEPT at most an error; the listener
 * and the other ACCEPTs do not notice. */
static void a_thousand_resets_in_the_backlog_do_not_stop_the_listener(void **state)
{
    struct rig *rig = *state;
    struct door *door = open_door(rig, ADDR_IPV4);
    struct random random;
    random_init(&random, random_test_seed(), 1);
    unsigned resets = (unsigned)test_scaled(1000), seen = 0;
    struct addr name, from;
    sock_t client, peer;
    for (unsigned i = 0; i < resets; i++) {
        assert_ok(net_connect(&door->addr, NET_PATIENCE_MS, &peer));
        net_reset(peer);
        if (random_chance(&random, 20))
            rig_turn(rig, PORT_BATCH, 0);
    }
    assert_ok(net_connect(&door->addr, NET_PATIENCE_MS, &peer));
    assert_ok(net_local_addr(peer, &name));
    for (;;) {
        enum err err = next_client(door, &client, &from);
        if (err == ERR_OK && addr_equal(&from, &name))
            break;
        seen++;
        assert_in_range(seen, 1, resets);
        if (err == ERR_OK)
            sock_close(client, SOCK_CLOSE_ABORT);
        else
            assert_err(err, ERR_ABORTED);
    }
    assert_works(rig, client, peer);
    close_door(door);
}

static void without_descriptors_accept_fails_and_recovers(void **state)
{
    struct rig *rig = *state;
    struct door *door = open_door(rig, ADDR_IPV4);
    enum { CLIENTS = 40 };
    sock_t peers[CLIENTS], client;
    struct addr from;
    for (int round = 0; round < 3; round++) {
        /* Open before: later the clients lack descriptors as well. */
        for (int i = 0; i < CLIENTS; i++)
            assert_ok(net_connect_begin(&door->addr, &peers[i]));
        if (!descriptors_leave(0)) {
            print_message("skipped: this system has no limit of descriptors\n");
            for (int i = 0; i < CLIENTS; i++) {
                assert_ok(next_client(door, &client, &from));
                sock_close(client, SOCK_CLOSE_NORMAL);
                net_close(peers[i]);
            }
            close_door(door);
            skip();
        }

        /* Each try is an error that names the reason, with a result per submit and no more:
         * the ACCEPTs that were not told to try again stay quiet. */
        for (int i = 0; i < 5; i++)
            assert_err(next_client(door, &client, &from), ERR_NO_DESCRIPTORS);
        struct port_stats before = rig_stats(rig->port);
        while (rig_turn(rig, PORT_BATCH, 20) > 0)
            ; /* what the last submit led to */
        struct port_stats after = rig_stats(rig->port);
        assert_in_range(after.completions[OP_ACCEPT] - before.completions[OP_ACCEPT], 0, 1);

        descriptors_allow();
        for (int taken = 0; taken < CLIENTS;) {
            enum err err = next_client(door, &client, &from);
            if (err == ERR_NO_DESCRIPTORS) /* was tried before there were any again */
                continue;
            assert_ok(err);
            sock_close(client, SOCK_CLOSE_NORMAL);
            taken++;
        }
        for (int i = 0; i < CLIENTS; i++)
            net_close(peers[i]);
    }
    close_door(door);
}

/* More clients than one worker takes in a row, with an ACCEPT for each. */
static void a_crowd_is_taken_while_others_are_served_too(void **state)
{
    struct rig *rig = *state;
    enum { CROWD = 200 };
    struct addr addr;
    sock_t listener = rig_listen(rig->port, ADDR_IPV4, &addr), sock, peer;
    rig_pair(rig, &sock, &peer);
    sock_t *peers = calloc(CROWD, sizeof *peers);
    struct op *accepts = calloc(CROWD, sizeof *accepts);
    unsigned char *scratch = calloc(CROWD, OP_ACCEPT_SCRATCH);
    assert_non_null(peers);
    assert_non_null(accepts);
    assert_non_null(scratch);
    for (int i = 0; i < CROWD; i++)
        assert_ok(net_connect(&addr, NET_PATIENCE_MS, &peers[i]));
    struct op read = rig_op(OP_READ, sock, NULL, 0);
    rig_submit(rig, &read);
    assert_ok(net_send(peer, "x", 1, NET_PATIENCE_MS, NULL));
    for (int i = 0; i < CROWD; i++) {
        accepts[i] = rig_accept_op(listener, scratch + (size_t)i * OP_ACCEPT_SCRATCH);
        rig_submit(rig, &accepts[i]);
    }
    uint64_t before = rig->outs;
    assert_ok(rig_wait(rig, &read));
    assert_in_range(rig->outs - before, 1, CROWD + 1);
    for (int i = 0; i < CROWD; i++) {
        assert_ok(rig_wait(rig, &accepts[i]));
        sock_close(accepts[i].accepted, SOCK_CLOSE_NORMAL);
        net_close(peers[i]);
    }
    free(scratch);
    free(accepts);
    free(peers);
    rig_close(rig->port, listener);
    rig_close(rig->port, sock);
    net_close(peer);
}

/* The listener's bits after a cancellation in the middle of a crowd. */
static void a_crowd_survives_cancellations(void **state)
{
    struct rig *rig = *state;
    struct door *door = open_door(rig, ADDR_IPV4);
    struct random random;
    random_init(&random, random_test_seed(), 2);
    enum { CROWD = 60 };
    for (int round = 0; round < 10; round++) {
        sock_t peers[CROWD];
        unsigned taken = 0;
        for (int i = 0; i < CROWD; i++)
            assert_ok(net_connect(&door->addr, NET_PATIENCE_MS, &peers[i]));
        while (taken < CROWD) {
            if (random_chance(&random, 20))
                port_cancel(rig->port, door->listener);
            rig_turn(rig, (int)random_between(&random, 1, PORT_BATCH), 0);
            for (int i = 0; i < POSTED; i++) {
                struct op *op = &door->accepts[i];
                if (op->in_flight || random_chance(&random, 30))
                    continue;
                if (op->err == ERR_OK) {
                    sock_close(op->accepted, SOCK_CLOSE_NORMAL);
                    taken++;
                } else {
                    assert_err(op->err, ERR_CANCELLED);
                }
                rig_submit(rig, op);
            }
        }
        assert_int_equal(taken, CROWD);
        for (int i = 0; i < CROWD; i++)
            net_close(peers[i]);
    }
    close_door(door);
}

int main(void)
{
    os_init();
    random_test_seed();
    const struct CMUnitTest tests[] = {
        rig_test(a_silent_client_is_accepted_with_its_address),
        rig_test(a_client_over_ipv6_is_accepted_with_its_address),
        rig_test(a_dual_stack_listener_shows_ipv4_clients_as_ipv4),
        rig_test(clients_that_came_before_the_accept_are_all_taken),
        rig_test(each_of_several_accepts_takes_one_client),
        rig_test(cancelled_accepts_come_out_and_the_listener_lives_on),
        rig_test(a_thousand_resets_in_the_backlog_do_not_stop_the_listener),
        rig_test(without_descriptors_accept_fails_and_recovers),
        rig_test(a_crowd_is_taken_while_others_are_served_too),
        rig_test(a_crowd_survives_cancellations),
    };
    return cmocka_run_group_tests_name("port: accept", tests, NULL, NULL);
}
