/* Several workers, many connections that come and go: an echo server as the relay would be
 * one, and clients that check every byte and end in every way there is. */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

enum { WORKERS = 4, CLIENT_THREADS = 4, POSTED = 16, BUFFER = 2048 };

/* One connection of the server. As a pair it dies in one place: when it is closing and nothing
 * is in flight. */
struct link {
    struct os_mutex lock;
    struct server *server;
    sock_t sock;
    struct op read, write;
    unsigned in_flight;
    bool closing;
    bool aborted;
    bool waits;    /* uses READs without length, as an idle flow does */
    bool finished; /* FIN came and was passed back */
    unsigned char buf[BUFFER];
};

struct server {
    struct port *port;
    sock_t listener;
    struct addr addr;
    struct op accepts[POSTED];
    unsigned char scratch[POSTED][OP_ACCEPT_SCRATCH];
    atomic_bool stopping;
    atomic_uint accepts_out; /* for good, since the server stops */
    atomic_uint opened, ended;
    atomic_uint aborted_accepts;
    atomic_uint wrong;
};

static void complain(struct server *server, const char *what, enum err err)
{
    if (atomic_fetch_add(&server->wrong, 1) < 5)
        print_error("%s (%s)\n", what, err_word(err));
}

static void submit(struct link *link, struct op *op, enum op_kind kind, size_t len)
{
    *op = rig_op(kind, link->sock, len == 0 ? NULL : link->buf, len);
    op->owner = link;
    link->in_flight++;
    port_submit(link->server->port, op);
}

static void read_more(struct link *link)
{
    submit(link, &link->read, OP_READ, link->waits ? 0 : BUFFER);
}

static void end_link(struct link *link, bool abort)
{
    if (link->closing)
        return;
    link->closing = true;
    link->aborted = abort;
    if (link->in_flight > 0)
        port_cancel(link->server->port, link->sock);
}

/* There is something: takes it without an operation. */
static void take_now(struct link *link)
{
    uint32_t got = 0;
    enum err err = port_receive_now(link->server->port, link->sock, link->buf, BUFFER, &got);
    if (err == ERR_AGAIN) {
        read_more(link);
    } else if (err != ERR_OK) {
        if (err != ERR_RESET)
            complain(link->server, "a receive failed", err);
        end_link(link, true);
    } else if (got == 0) {
        (void)sock_shutdown_send(link->sock); /* a reset may have come by now */
        end_link(link, false);
    } else {
        submit(link, &link->write, OP_WRITE, got);
    }
}

static void on_link(struct link *link, struct op *op)
{
    struct server *server = link->server;
    os_mutex_lock(&link->lock);
    link->in_flight--;
    if (link->closing) {
        /* whatever the result is */
    } else if (op->err != ERR_OK) {
        if (op->err != ERR_RESET)
            complain(server, "a connection failed", op->err);
        end_link(link, true);
    } else if (op->kind == OP_WRITE) {
        read_more(link);
    } else if (op->len == 0) {
        take_now(link);
    } else if (op->bytes == 0) {
        (void)sock_shutdown_send(link->sock); /* a reset may have come by now */
        end_link(link, false);
    } else {
        submit(link, &link->write, OP_WRITE, op->bytes);
    }
    bool over = link->closing && link->in_flight == 0;
    os_mutex_unlock(&link->lock);
    if (!over)
        return;
    port_close_socket(server->port, link->sock,
                      link->aborted ? SOCK_CLOSE_ABORT : SOCK_CLOSE_NORMAL);
    free(link);
    atomic_fetch_add(&server->ended, 1);
}

static void on_accept(struct server *server, struct op *op)
{
    if (op->err == ERR_OK) {
        struct link *link = calloc(1, sizeof *link);
        if (link == NULL || port_attach(server->port, op->accepted) != ERR_OK)
            abort();
        sock_set_nodelay(op->accepted, true);
        link->server = server;
        link->sock = op->accepted;
        link->waits = atomic_fetch_add(&server->opened, 1) % 2 == 0;
        os_mutex_lock(&link->lock);
        read_more(link);
        os_mutex_unlock(&link->lock);
    } else if (op->err == ERR_ABORTED) {
        atomic_fetch_add(&server->aborted_accepts, 1);
    } else if (op->err != ERR_CANCELLED) {
        complain(server, "an ACCEPT failed", op->err);
    }
    if (atomic_load(&server->stopping))
        atomic_fetch_add(&server->accepts_out, 1);
    else
        port_submit(server->port, op);
}

static void on_server(void *arg, struct op *op)
{
    if (op->kind == OP_ACCEPT)
        on_accept(arg, op);
    else
        on_link(op->owner, op);
}

static void start_server(struct server *server, struct rig *rig)
{
    server->port = rig->port;
    server->listener = rig_listen(rig->port, ADDR_IPV4, &server->addr);
    for (int i = 0; i < POSTED; i++) {
        server->accepts[i] = rig_accept_op(server->listener, server->scratch[i]);
        port_submit(rig->port, &server->accepts[i]);
    }
}

static void stop_server(struct server *server, struct rig *rig, struct crew *crew)
{
    /* Every connection the clients made has ended, accepted ones and those still to be. */
    uint64_t end = os_mono_ms() + NET_PATIENCE_MS;
    while (atomic_load(&server->opened) != atomic_load(&server->ended)) {
        assert_true(os_mono_ms() < end);
        os_sleep_ms(1);
    }
    /* An ACCEPT that is just being submitted again may miss the first cancellation. */
    atomic_store(&server->stopping, true);
    while (atomic_load(&server->accepts_out) < POSTED) {
        assert_true(os_mono_ms() < end);
        port_cancel(rig->port, server->listener);
        os_sleep_ms(1);
    }
    while (atomic_load(&server->opened) != atomic_load(&server->ended)) {
        assert_true(os_mono_ms() < end);
        os_sleep_ms(1);
    }
    rig_take_back(rig, crew);
    rig_close(rig->port, server->listener);
}

struct client {
    struct server *server;
    struct random random;
    unsigned connections;
    bool only_polite; /* ends with FIN only */
};

/* Sends random pieces and wants exactly them back. */
static bool talk(struct client *client, sock_t sock)
{
    unsigned char data[3 * BUFFER], back[sizeof data];
    unsigned messages = (unsigned)random_below(&client->random, 6);
    for (unsigned i = 0; i < messages; i++) {
        size_t len = random_between(&client->random, 1, sizeof data);
        random_fill(&client->random, data, len);
        if (net_send(sock, data, len, NET_PATIENCE_MS, NULL) != ERR_OK ||
            net_receive_all(sock, back, len, NET_PATIENCE_MS) != ERR_OK)
            return false;
        if (memcmp(data, back, len) != 0) {
            complain(client->server, "an echo belongs to somebody else", ERR_OK);
            return false;
        }
    }
    return true;
}

static void be_client(void *arg)
{
    struct client *client = arg;
    for (unsigned i = 0; i < client->connections; i++) {
        sock_t sock;
        enum err err = net_connect(&client->server->addr, NET_PATIENCE_MS, &sock);
        if (err != ERR_OK) {
            complain(client->server, "no connection", err);
            return;
        }
        net_set_nodelay(sock);
        if (!client->only_polite && random_chance(&client->random, 10)) {
            net_reset(sock); /* perhaps before it is accepted */
            continue;
        }
        if (!talk(client, sock)) {
            complain(client->server, "a connection ended before its time", ERR_OK);
            net_close(sock);
            return;
        }
        uint64_t how = client->only_polite ? 0 : random_below(&client->random, 4);
        if (how == 0) { /* FIN, and the server's */
            net_finish(sock);
            if (net_receive_end(sock, NET_PATIENCE_MS, NULL, NULL) != NET_END_FIN)
                complain(client->server, "no FIN came back", ERR_OK);
        } else if (how == 1) { /* leaves bytes under way */
            (void)net_send(sock, "these nobody will read", 22, NET_PATIENCE_MS, NULL);
        } else if (how == 2) {
            net_reset(sock);
            continue;
        }
        net_close(sock);
    }
}

static void serve_clients(struct rig *rig, unsigned connections, bool only_polite)
{
    struct server *server = calloc(1, sizeof *server);
    assert_non_null(server);
    struct crew *crew = rig_hand_over(rig, WORKERS, on_server, server);
    start_server(server, rig);
    struct client clients[CLIENT_THREADS];
    struct os_thread *threads[CLIENT_THREADS];
    for (unsigned i = 0; i < CLIENT_THREADS; i++) {
        clients[i] = (struct client){.server = server,
                                     .connections = connections / CLIENT_THREADS,
                                     .only_polite = only_polite};
        random_init(&clients[i].random, random_test_seed(), 50 + i);
        threads[i] = rig_thread(be_client, &clients[i]);
    }
    for (unsigned i = 0; i < CLIENT_THREADS; i++)
        os_thread_join(threads[i]);
    stop_server(server, rig, crew);
    assert_int_equal(atomic_load(&server->wrong), 0);
    if (only_polite)
        assert_int_equal(atomic_load(&server->opened), connections);
    struct port_stats stats = rig_stats(rig->port);
    print_message("%u connections, %u aborted before they were accepted, "
                  "%llu stale events\n",
                  (unsigned)atomic_load(&server->opened),
                  (unsigned)atomic_load(&server->aborted_accepts),
                  (unsigned long long)stats.stale_events_total);
    free(server);
}

static void connections_that_come_and_go_get_their_own_bytes(void **state)
{
    serve_clients(*state, (unsigned)test_scaled(3000) / CLIENT_THREADS * CLIENT_THREADS, true);
}

static void resets_and_lost_bytes_leave_nothing_behind(void **state)
{
    serve_clients(*state, (unsigned)test_scaled(6000), false);
}

/* ---- many connections at the same time ---- */

static void a_thousand_connections_are_served_at_once(void **state)
{
    struct rig *rig = *state;
    unsigned many = (unsigned)test_scaled(1000);
    if (os_descriptor_limit() < 2 * many + 100)
        many = (unsigned)(os_descriptor_limit() - 100) / 2;
    struct server *server = calloc(1, sizeof *server);
    sock_t *socks = calloc(many, sizeof *socks);
    assert_non_null(server);
    assert_non_null(socks);
    struct crew *crew = rig_hand_over(rig, WORKERS, on_server, server);
    start_server(server, rig);
    for (unsigned i = 0; i < many; i++)
        assert_ok(net_connect(&server->addr, NET_PATIENCE_MS, &socks[i]));
    assert_true(rig_reaches(&server->opened, many)); /* also those that say nothing */
    for (unsigned round = 0; round < 3; round++) {
        unsigned message[2], back[2];
        for (unsigned i = 0; i < many; i++) {
            message[0] = i;
            message[1] = round;
            assert_ok(net_send(socks[i], message, sizeof message, NET_PATIENCE_MS, NULL));
        }
        for (unsigned i = 0; i < many; i++) {
            assert_ok(net_receive_all(socks[i], back, sizeof back, NET_PATIENCE_MS));
            assert_int_equal(back[0], i);
            assert_int_equal(back[1], round);
        }
    }
    for (unsigned i = 0; i < many; i++)
        net_close(socks[i]);
    stop_server(server, rig, crew);
    assert_int_equal(atomic_load(&server->wrong), 0);
    assert_int_equal(atomic_load(&server->opened), many);
    free(socks);
    free(server);
}

/* ---- workers that are busy ---- */

enum { SOCKS = 40 };

struct office {
    atomic_uint inside;  /* workers in a handler now */
    atomic_uint most;    /* the most there were at once */
    atomic_uint handled; /* operations */
    atomic_uint stuck;   /* 0: not yet, 1: a worker is stuck, 2: it was let go */
    struct op *sticky;   /* whoever gets it is stuck */
    unsigned wanted;     /* workers that wait for each other; 0: nobody waits */
};

static void visit_office(void *arg, struct op *op)
{
    struct office *office = arg;
    if (op == office->sticky) {
        atomic_store(&office->stuck, 1);
        rig_reaches(&office->stuck, 2);
    }
    unsigned inside = atomic_fetch_add(&office->inside, 1) + 1;
    unsigned most = atomic_load(&office->most);
    while (inside > most && !atomic_compare_exchange_weak(&office->most, &most, inside))
        ;
    if (office->wanted > 0)
        rig_reaches(&office->most, office->wanted);
    atomic_fetch_sub(&office->inside, 1);
    atomic_fetch_add(&office->handled, 1);
}

/* One worker is in a handler that does not end; the others serve the rest, also what comes
 * one by one and long after. */
static void a_worker_that_is_stuck_does_not_hold_up_the_others(void **state)
{
    struct rig *rig = *state;
    sock_t socks[SOCKS], peers[SOCKS];
    struct op reads[SOCKS];
    struct office office = {0};
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < SOCKS; i++) {
            rig_pair(rig, &socks[i], &peers[i]);
            reads[i] = rig_op(OP_READ, socks[i], NULL, 0);
        }
        office = (struct office){.sticky = &reads[0]};
        struct crew *crew = rig_hand_over(rig, 3, visit_office, &office);
        for (int i = 0; i < SOCKS; i++)
            port_submit(rig->port, &reads[i]);
        assert_ok(net_send(peers[0], "x", 1, NET_PATIENCE_MS, NULL));
        assert_true(rig_reaches(&office.stuck, 1));
        for (unsigned i = 1; i < SOCKS; i++) {
            assert_ok(net_send(peers[i], "x", 1, NET_PATIENCE_MS, NULL));
            if (i % 10 == 0)
                assert_true(rig_reaches(&office.handled, i));
        }
        assert_true(rig_reaches(&office.handled, SOCKS - 1));
        atomic_store(&office.stuck, 2);
        assert_true(rig_reaches(&office.handled, SOCKS));
        rig_take_back(rig, crew);
        for (int i = 0; i < SOCKS; i++) {
            rig_close(rig->port, socks[i]);
            net_close(peers[i]);
        }
    }
}

/* Each handler waits until all the workers are in one. */
static void all_workers_come_when_there_is_work_for_all(void **state)
{
    struct rig *rig = *state;
    sock_t socks[SOCKS], peers[SOCKS];
    struct op reads[SOCKS];
    for (int i = 0; i < SOCKS; i++) {
        rig_pair(rig, &socks[i], &peers[i]);
        reads[i] = rig_op(OP_READ, socks[i], NULL, 0);
    }
    struct office office = {.wanted = WORKERS};
    struct crew *crew = rig_hand_over(rig, WORKERS, visit_office, &office);
    for (int i = 0; i < SOCKS; i++)
        port_submit(rig->port, &reads[i]);
    for (unsigned i = 0; i < SOCKS; i++) {
        assert_ok(net_send(peers[i], "x", 1, NET_PATIENCE_MS, NULL));
        if (i < WORKERS) /* one by one: a worker that finds several keeps them */
            assert_true(rig_reaches(&office.most, i + 1));
    }
    assert_true(rig_reaches(&office.handled, SOCKS));
    assert_int_equal(atomic_load(&office.most), WORKERS);
    rig_take_back(rig, crew);
    for (int i = 0; i < SOCKS; i++) {
        rig_close(rig->port, socks[i]);
        net_close(peers[i]);
    }
}

int main(void)
{
    os_init();
    const char *name;
    (void)os_raise_descriptor_limit(&name);
    random_test_seed();
    const struct CMUnitTest tests[] = {
        rig_test(connections_that_come_and_go_get_their_own_bytes),
        rig_test(resets_and_lost_bytes_leave_nothing_behind),
        rig_test(a_thousand_connections_are_served_at_once),
        rig_test(a_worker_that_is_stuck_does_not_hold_up_the_others), /* ports of both kinds */
        rig_test(a_worker_that_is_stuck_does_not_hold_up_the_others),
        rig_test(all_workers_come_when_there_is_work_for_all),
        rig_test(all_workers_come_when_there_is_work_for_all),
    };
    return cmocka_run_group_tests_name("port: workers", tests, NULL, NULL);
}
