/* Chaos: clients and upstreams that send, stall, finish, reset and vanish at random, an operator
 * who kills sessions, an upstream that refuses, short deadlines; several workers. No wrong byte
 * comes through, and at the end nothing is left of any session. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "footprint.h"
#include "os/os.h"
#include "pattern.h"
#include "relay_run.h"
#include "support/net.h"
#include "support/random.h"

#define CLIENTS   48 /* threads, each with one session at a time */
#define UPSTREAMS 64 /* threads, enough for sessions that clients have left already */
#define STEPS_MAX 12
#define SEND_MAX  30000
#define HEADER    8 /* bytes: the number of the stream that follows */

static struct chaos {
    uint64_t seed;
    struct addr relay;
    sock_t listener;
    _Atomic int64_t sessions_left;
    _Atomic uint64_t next_stream;
    _Atomic uint64_t connected;
    _Atomic uint64_t wrong;    /* streams with a byte that does not belong there */
    _Atomic uint64_t received; /* bytes, all of them right */
    _Atomic uint64_t unserved; /* connects of clients that failed */
    _Atomic bool over;         /* the upstreams may go */
} chaos;

/* ---- streams ---- */

struct sending {
    uint64_t number;
    uint64_t position; /* header included */
};

struct receiving {
    unsigned char header[HEADER];
    uint64_t position; /* header included */
};

static void make_bytes(const struct sending *sending, unsigned char *buf, size_t len)
{
    uint64_t key = pattern_key(chaos.seed, sending->number);
    for (size_t i = 0; i < len; i++) {
        uint64_t at = sending->position + i;
        if (at >= HEADER) {
            pattern_fill(key, at, buf + i, len - i);
            return;
        }
        buf[i] = (unsigned char)(sending->number >> 8 * at);
    }
}

static bool check_bytes(struct receiving *receiving, const unsigned char *buf, size_t len)
{
    while (len > 0 && receiving->position < HEADER) {
        receiving->header[receiving->position++] = *buf++;
        len--;
    }
    if (len == 0)
        return true;
    uint64_t number = 0;
    for (unsigned i = 0; i < HEADER; i++)
        number |= (uint64_t)receiving->header[i] << 8 * i;
    uint64_t key = pattern_key(chaos.seed, number);
    bool right = number < atomic_load(&chaos.next_stream) &&
                 pattern_check(key, receiving->position, buf, len) == len;
    receiving->position += len;
    return right;
}

/* ---- one end of a session ---- */

struct end {
    sock_t sock;
    struct random *random;
    struct sending sending;
    struct receiving receiving;
    bool finished; /* sent FIN */
    bool over;     /* saw the end of the other direction, or an error */
};

static void send_piece(struct end *end)
{
    unsigned char buf[SEND_MAX];
    if (end->finished)
        return;
    size_t sent;
    size_t len = (size_t)random_between(end->random, 1, SEND_MAX);
    make_bytes(&end->sending, buf, len);
    enum err err =
        net_send(end->sock, buf, len, (uint32_t)random_below(end->random, 30), &sent);
    end->sending.position += sent;
    end->over |= err != ERR_OK && err != ERR_TIMEDOUT;
}

static void receive_for(struct end *end, uint32_t ms)
{
    unsigned char buf[SEND_MAX];
    uint64_t start = os_mono_ms();
    do {
        size_t got = 0;
        enum err err = net_receive(end->sock, buf, sizeof buf, ms, &got);
        if (err == ERR_TIMEDOUT)
            return;
        if (err != ERR_OK || got == 0) {
            end->over = true;
            return;
        }
        if (!check_bytes(&end->receiving, buf, got))
            atomic_fetch_add(&chaos.wrong, 1);
        atomic_fetch_add(&chaos.received, got);
    } while (os_mono_ms() - start < ms);
}

/* A random life: steps of sending, receiving and stalling, then one of several ends. */
static void live(sock_t sock, struct random *random)
{
    struct end end = {.sock = sock, .random = random};
    end.sending.number = atomic_fetch_add(&chaos.next_stream, 1);
    uint64_t steps = random_below(random, STEPS_MAX);
    for (uint64_t i = 0; i < steps && !end.over; i++) {
        switch (random_below(random, 8)) {
        case 0:
        case 1:
        case 2: send_piece(&end); break;
        case 3:
        case 4:
        case 5: receive_for(&end, (uint32_t)random_below(random, 10)); break;
        case 6: os_sleep_ms((uint32_t)random_below(random, 20)); break;
        default:
            if (random_chance(random, 40)) {
                net_finish(sock);
                end.finished = true;
            }
            break;
        }
    }
    switch (random_below(random, 10)) {
    case 0:
    case 1:
    case 2: net_reset(sock); return;
    case 3: net_close(sock); return; /* a reset, if bytes have not been read */
    case 4:                          /* silence, until the relay has had enough */
        os_sleep_ms((uint32_t)random_between(random, 50, 400));
        receive_for(&end, 500);
        break;
    default: /* in order, with a limit to the other side's patience */
        net_finish(sock);
        for (unsigned i = 0; i < 20 && !end.over; i++)
            receive_for(&end, 20);
        break;
    }
    net_close(sock);
}

struct thread {
    struct os_thread *thread;
    uint64_t number;
};

static void be_client(void *arg)
{
    const struct thread *self = arg;
    struct random random;
    random_init(&random, chaos.seed, self->number);
    while (atomic_fetch_sub(&chaos.sessions_left, 1) > 0) {
        sock_t sock;
        enum err err = net_connect(&chaos.relay, NET_PATIENCE_MS, &sock);
        if (err == ERR_OK || err == ERR_RESET) /* connected, and reset before anybody looked */
            atomic_fetch_add(&chaos.connected, 1);
        else
            atomic_fetch_add(&chaos.unserved, 1);
        if (err == ERR_OK)
            live(sock, &random);
    }
}

static void be_upstream(void *arg)
{
    const struct thread *self = arg;
    struct random random;
    random_init(&random, chaos.seed, self->number);
    while (!atomic_load(&chaos.over)) {
        sock_t sock;
        if (net_accept(chaos.listener, 50, &sock) == ERR_OK)
            live(sock, &random);
    }
}

static void start_threads(struct thread *threads, unsigned count, uint64_t first,
                          void (*body)(void *))
{
    for (unsigned i = 0; i < count; i++) {
        threads[i].number = first + i;
        assert_int_equal(os_thread_start(&threads[i].thread, "chaos", body, &threads[i]),
                         ERR_OK);
    }
}

static void join_threads(struct thread *threads, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        os_thread_join(threads[i].thread);
}

/* ---- the operator ---- */

static unsigned kill_all(struct relay_run *relay)
{
    assert_int_equal(relay_console(relay, "kill route test", NULL, NULL), 0);
    return 1;
}

/* Kills a random session, or now and then all of them. */
static unsigned kill_some(struct relay_run *relay, struct random *random)
{
    if (random_chance(random, 25))
        return kill_all(relay);
    json_t *root = relay_json(relay, "show sessions limit 20");
    const json_t *sessions = json_object_get(root, "sessions");
    assert_true(json_is_array(sessions));
    size_t count = json_array_size(sessions);
    unsigned killed = 0;
    if (count > 0) {
        const json_t *session = json_array_get(sessions, (size_t)random_below(random, count));
        char command[64];
        str_format(command, sizeof command, "kill %" PRIu64,
                   json_number_at(session, "id", UINT64_MAX));
        /* It may have ended meanwhile, which the console tells by its exit code. */
        killed = relay_console(relay, command, NULL, NULL) == 0;
    }
    json_decref(root);
    return killed;
}

static void chaos_from_all_ends_leaves_nothing_behind(void **state)
{
    uint64_t sessions = test_scaled(20000);
    chaos.seed = random_test_seed();
    atomic_store(&chaos.sessions_left, (int64_t)sessions);
    test_wait_for_ports((unsigned)(2 * sessions));
    struct addr upstreams[2] = {net_loopback(ADDR_IPV4, 0),
                                net_loopback(ADDR_IPV4, net_free_port())};
    assert_int_equal(net_listen(&upstreams[0], 1024, &chaos.listener, &upstreams[0]), ERR_OK);
    const struct relay_setup setup = {
        .upstreams = upstreams, /* the second one refuses */
        .upstream_count = 2,
        .relay_keys = "log_level = warning\n",
        .route_keys = "connect_retries = 1\n"
                      "connect_timeout = 5s\n"
                      "idle_timeout = 300ms\n"
                      "half_close_timeout = 200ms\n",
    };
    struct relay_run *relay = relay_start(state, &setup);
    chaos.relay = relay->addr;
    uint64_t accepts = relay_info(relay, "port.accept_submits_total") -
                       relay_info(relay, "port.accept_completions_total");

    struct footprint before = footprint_take(relay);

    struct thread clients[CLIENTS], servers[UPSTREAMS];
    start_threads(servers, UPSTREAMS, 1000, be_upstream);
    start_threads(clients, CLIENTS, 0, be_client);
    struct random random;
    random_init(&random, chaos.seed, 5000);
    unsigned killed = kill_all(relay); /* where consoles are slow, perhaps the only one */
    while (atomic_load(&chaos.sessions_left) > 0)
        killed += kill_some(relay, &random);
    join_threads(clients, CLIENTS);
    atomic_store(&chaos.over, true);
    join_threads(servers, UPSTREAMS);
    net_close(chaos.listener);
    print_message("%" PRIu64 " sessions, %" PRIu64 " KB received, %u kills\n",
                  atomic_load(&chaos.connected), atomic_load(&chaos.received) / 1024, killed);

    assert_int_equal(atomic_load(&chaos.wrong), 0);
    assert_int_equal(atomic_load(&chaos.unserved), 0);
    assert_true(killed > 0);
    assert_true(atomic_load(&chaos.received) > sessions);
    if (test_on_wine()) /* which keeps the room for as many handles as there were once */
        relay_wait_nothing_left(relay);
    else
        footprint_assert_same(relay, before);
    assert_int_equal(relay_info(relay, "port.accept_submits_total") -
                         relay_info(relay, "port.accept_completions_total"),
                     accepts);
    assert_int_equal(relay_stat(relay, "sessions_ended_total"),
                     relay_stat(relay, "sessions_total"));
    if (!test_on_windows()) /* where a client that resets in the backlog is never accepted */
        assert_int_equal(relay_stat(relay, "sessions_total"), sessions);
    relay_end(relay);
}

int main(void)
{
    os_init();
    random_test_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(chaos_from_all_ends_leaves_nothing_behind, relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
