#include "relay_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/accept/listener.h"
#include "relay/reload/reload.h"
#include "relay/run.h"

static const struct addr client_addr = {.family = ADDR_IPV4, .port = 40000, .ip = {1, 2, 3, 4}};

static void fill_upstream(struct conf_upstream *upstream, const char *host, uint16_t port)
{
    str_format(upstream->host, sizeof upstream->host, "%s", host);
    upstream->port = port;
    upstream->port_count = 1;
    upstream->weight = 1;
    str_format(upstream->name, sizeof upstream->name, "%s:%u", host, port);
}

static void fill_conf(struct fixture *fix)
{
    fix->listen_conf.addr =
        (struct addr){.family = ADDR_IPV4, .port = 7000, .ip = {127, 0, 0, 1}};
    fix->listen_conf.port_count = 1;
    fill_upstream(&fix->upstream_confs[0], "10.0.0.5", 9000);
    fill_upstream(&fix->upstream_confs[1], "10.0.0.6", 9000);
    fix->route_conf = (struct conf_route){
        .name = "game",
        .listens = &fix->listen_conf,
        .listen_count = 1,
        .upstreams = fix->upstream_confs,
        .upstream_count = 2,
        .connect_timeout_ms = 5000,
        .idle_timeout_ms = 600000,
        .half_close_timeout_ms = 30000,
        .connect_retries = 3,
        .max_sessions = 100,
        .nodelay = true,
        .buffer_bytes = 4096,
        .backlog = 16,
        .queue_max = 50,
        .pause_timeout_ms = 300000,
    };
    fix->conf = (struct conf){
        .workers = 1,
        .max_sessions = 100,
        .stop_timeout_ms = 30000,
        .client_table = 1000,
        .client_bits_ipv4 = 32,
        .client_bits_ipv6 = 64,
        .tarpit_max = 4,
        .routes = &fix->route_conf,
        .route_count = 1,
    };
}

static uint64_t no_time(void)
{
    return 0;
}

static void swallow(void *ctx, enum log_level level, const char *line, size_t len)
{
    (void)ctx, (void)level, (void)line, (void)len;
}

/* Where lines go while a test gathers them; other threads of the relay write some, too. */
static char gathered[64 * 1024];
static size_t gathered_len;
static struct os_mutex gathered_lock;

static void gather(void *ctx, enum log_level level, const char *line, size_t len)
{
    (void)ctx, (void)level;
    os_mutex_lock(&gathered_lock);
    if (gathered_len + len < sizeof gathered) {
        memcpy(gathered + gathered_len, line, len);
        gathered_len += len;
        gathered[gathered_len] = '\0';
    }
    os_mutex_unlock(&gathered_lock);
}

void fixture_gather_log(void)
{
    os_mutex_lock(&gathered_lock);
    gathered_len = 0;
    gathered[0] = '\0';
    os_mutex_unlock(&gathered_lock);
    log_set_output(&(struct log_output){no_time, no_time, gather, NULL});
}

static void expect_gathered(const char *text, bool wanted)
{
    os_mutex_lock(&gathered_lock);
    bool found = strstr(gathered, text) != NULL;
    if (found != wanted)
        print_message("%s\n", gathered);
    os_mutex_unlock(&gathered_lock);
    if (found != wanted)
        fail_msg("the log %s '%s'", wanted ? "does not say" : "says", text);
}

void fixture_expect_log(const char *text)
{
    expect_gathered(text, true);
}

void fixture_expect_no_log(const char *text)
{
    expect_gathered(text, false);
}

void fixture_expect_sent(sock_t sock, const void *bytes, size_t len)
{
    const struct fake_sock *used = fake_sock(sock);
    assert_int_equal(used->sent_len, len);
    if (len > 0)
        assert_memory_equal(used->sent, bytes, len);
}

void fixture_know_addresses(struct fixture *fix)
{
    struct relay_route *route = fix->relay.routes[0];
    for (size_t i = 0; i < 2; i++) {
        struct addr addr = {.family = ADDR_IPV4, .port = 9000};
        assert_int_equal(addr_parse_ip(fix->upstream_confs[i].host, &addr), ERR_OK);
        addr.port = 9000;
        assert_int_equal(
            route_set_addrs(route->upstreams.route, i, &addr, 1, fix->relay.started_ms, NULL),
            ERR_OK);
    }
}

static void start_routes(struct fixture *fix)
{
    struct str why;
    str_init(&why);
    assert_int_equal(reload_start(&fix->relay, &fix->conf, &why), ERR_OK);
    assert_int_equal(why.len, 0);
    str_free(&why);
}

static int setup_unresolved(void **state, bool reads_into_buffers)
{
    log_set_output(&(struct log_output){no_time, no_time, swallow, NULL});
    struct fixture *fix = calloc(1, sizeof *fix);
    assert_non_null(fix);
    log_set_level(LOG_INFO); /* all lines are made, none is shown */
    fake_port_begin();
    fake_port_read_into_buffers(reads_into_buffers);
    fill_conf(fix);
    assert_int_equal(relay_open(&fix->relay, &fix->conf), ERR_OK);
    start_routes(fix);
    assert_int_equal(port_enter(fix->relay.port), ERR_OK);
    fix->worker = &fix->relay.workers[0];
    fix->worker->now_ms = fix->relay.started_ms;
    atomic_store(&fix->relay.lifecycle.running, true);

    fix->listener = fake_sock_latest();
    listener_start(fix->relay.routes[0]->listeners[0], fix->worker);
    *state = fix;
    return 0;
}

int fixture_setup_unresolved(void **state)
{
    return setup_unresolved(state, false);
}

static int setup(void **state, bool reads_into_buffers)
{
    setup_unresolved(state, reads_into_buffers);
    fixture_know_addresses(*state);
    return 0;
}

int fixture_setup(void **state)
{
    return setup(state, false);
}

int fixture_setup_reading_into_buffers(void **state)
{
    return setup(state, true);
}

/* Cancels and finishes until only the exit message could be left. */
static void stop_everything(struct fixture *fix)
{
    run_stop(&fix->relay, true);
    for (int i = 0; i < 100 && atomic_load(&fix->relay.lifecycle.refs) > 0; i++) {
        fixture_pump(fix);
        fake_port_finish_cancelled(SOCK_NONE);
        fixture_pass(fix, 1000);
    }
    fixture_pump(fix);
}

/* Each session has ended for one reason, each client that was refused is no session. */
static void check_sums(struct fixture *fix)
{
    const struct relay_route *route = fix->relay.routes[0];
    struct stat_sums sums;
    stat_read(fix->relay.stat, route->scope, &sums);
    uint64_t ended = 0;
    for (int reason = 0; reason < REASON_COUNT; reason++)
        if (!reason_is_refusal((enum reason)reason))
            ended += sums.reasons[reason];
    assert_int_equal(ended, sums.counters[STAT_SESSIONS]);
    struct histogram_summary lengths;
    histogram_summarise(stat_length_ms(fix->relay.stat, route->scope), &lengths);
    assert_int_equal(lengths.count, ended);

    uint64_t connected = 0;
    for (size_t i = 0; i < 2; i++) {
        size_t scope = route->upstreams.each[i]->scope;
        stat_read(fix->relay.stat, scope, &sums);
        ended = 0;
        for (int reason = 0; reason < REASON_COUNT; reason++)
            ended += sums.reasons[reason];
        assert_int_equal(ended, sums.counters[STAT_SESSIONS]);
        histogram_summarise(stat_length_ms(fix->relay.stat, scope), &lengths);
        assert_int_equal(lengths.count, ended);
        histogram_summarise(stat_connect_us(fix->relay.stat, scope), &lengths);
        assert_int_equal(lengths.count, ended);
        connected += ended;
    }
    histogram_summarise(stat_connect_us(fix->relay.stat, route->scope), &lengths);
    assert_int_equal(lengths.count, connected);
}

/* What is remembered of clients knows of no session any more. */
static void check_clients(struct fixture *fix)
{
    struct client_info *clients;
    size_t count;
    assert_int_equal(
        clients_list(fix->relay.guard.clients, fix->worker->now_ms, &clients, &count), ERR_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(clients[i].sessions, 0);
    free(clients);
    assert_int_equal(atomic_load(&fix->relay.guard.tarpit.held), 0);
}

int fixture_teardown(void **state)
{
    struct fixture *fix = *state;
    stop_everything(fix);
    check_sums(fix);
    assert_int_equal(atomic_load(&fix->relay.lifecycle.refs), 0);
    assert_int_equal(atomic_load(&fix->relay.quota.used), 0);
    assert_int_equal(atomic_load(&fix->relay.routes[0]->quota.used), 0);
    assert_int_equal(atomic_load(&fix->relay.routes[0]->upstreams.each[0]->quota.used), 0);
    assert_int_equal(atomic_load(&fix->relay.routes[0]->upstreams.each[1]->quota.used), 0);
    assert_int_equal(atomic_load(&fix->worker->cache.used), 0);
    check_clients(fix);
    assert_int_equal(fix->relay.pairs.used, 0);
    buffers_empty_cache(&fix->relay.buffers, &fix->worker->cache);
    port_leave(fix->relay.port);
    relay_close(&fix->relay);
    fake_port_end();
    free(fix);
    return 0;
}

void fixture_pump(struct fixture *fix)
{
    struct op *ops[PORT_BATCH];
    int count;
    while ((count = port_wait(fix->relay.port, ops, PORT_BATCH, 0)) > 0)
        for (int i = 0; i < count; i++)
            if (ops[i] != &fix->relay.lifecycle.exit)
                worker_dispatch(fix->worker, ops[i]);
}

void fixture_pass(struct fixture *fix, uint64_t ms)
{
    uint64_t until = fix->worker->now_ms + ms;
    while (fix->worker->now_ms < until) {
        uint64_t left = until - fix->worker->now_ms;
        fix->worker->now_ms += left < WHEEL_SLOT_MS ? left : WHEEL_SLOT_MS;
        timers_run(&fix->relay.timers, fix->worker, fix->worker->now_ms);
        fixture_pump(fix);
    }
}

sock_t fixture_accept_from(struct fixture *fix, const struct addr *addr)
{
    sock_t client = fake_port_finish_accept(fixture_op(fix->listener, OP_ACCEPT), addr);
    fixture_pump(fix);
    return client;
}

sock_t fixture_accept(struct fixture *fix)
{
    return fixture_accept_from(fix, &client_addr);
}

sock_t fixture_connecting(void)
{
    return fixture_op(SOCK_NONE, OP_CONNECT)->sock;
}

sock_t fixture_connect(struct fixture *fix)
{
    struct op *op = fixture_op(SOCK_NONE, OP_CONNECT);
    sock_t upstream = op->sock;
    fake_port_finish(op, ERR_OK, 0);
    fixture_pump(fix);
    return upstream;
}

struct session fixture_session(struct fixture *fix)
{
    struct session session;
    session.client = fixture_accept(fix);
    session.upstream = fixture_connect(fix);
    return session;
}

struct pair *fixture_latest(struct fixture *fix)
{
    return table_find(&fix->relay.table, atomic_load(&fix->relay.next_id));
}

void fixture_kill_latest(struct fixture *fix)
{
    struct pair *pair = fixture_latest(fix);
    assert_non_null(pair);
    assert_true(pair_end(pair, REASON_KILLED));
    pair_unref(pair);
    fixture_pass(fix, WHEEL_SLOT_MS);
    fixture_cancelled(fix);
    assert_null(fixture_latest(fix));
}

struct op *fixture_op(sock_t sock, enum op_kind kind)
{
    struct op *op = fake_port_op(sock, kind);
    assert_non_null(op);
    return op;
}

/* The READ that waits on the socket gets what has arrived, or learns of it. */
static void become_ready(struct fixture *fix, sock_t sock)
{
    assert_true(fake_port_finish_arrived(fixture_op(sock, OP_READ)));
    fixture_pump(fix);
}

void fixture_arrive_bytes(struct fixture *fix, sock_t sock, const void *bytes, size_t len)
{
    fake_sock_arrive(sock, bytes, len);
    become_ready(fix, sock);
}

void fixture_arrive(struct fixture *fix, sock_t sock, const char *bytes)
{
    fixture_arrive_bytes(fix, sock, bytes, strlen(bytes));
}

void fixture_arrive_fin(struct fixture *fix, sock_t sock)
{
    fixture_arrive_error(fix, sock, ERR_OK);
}

void fixture_arrive_error(struct fixture *fix, sock_t sock, enum err err)
{
    fake_sock(sock)->coming_end = err;
    become_ready(fix, sock);
}

void fixture_taken(struct fixture *fix, sock_t sock)
{
    fake_port_finish_write(fixture_op(sock, OP_WRITE));
    fixture_pump(fix);
}

void fixture_cancelled(struct fixture *fix)
{
    fake_port_finish_cancelled(SOCK_NONE);
    fixture_pump(fix);
}

enum fake_sock_state fixture_closed(sock_t sock)
{
    assert_int_not_equal(fake_sock(sock)->state, FAKE_SOCK_IS_OPEN);
    return fake_sock(sock)->state;
}

uint64_t fixture_reasons(struct fixture *fix, enum reason reason)
{
    struct stat_sums sums;
    stat_read(fix->relay.stat, fix->relay.routes[0]->scope, &sums);
    return sums.reasons[reason];
}

uint64_t fixture_counter(struct fixture *fix, enum stat_counter counter)
{
    struct stat_sums sums;
    stat_read(fix->relay.stat, fix->relay.routes[0]->scope, &sums);
    return sums.counters[counter];
}
