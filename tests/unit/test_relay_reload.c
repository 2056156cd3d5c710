/* A relay that goes on with another configuration: what stays where it is, what comes, what goes,
 * and that a reload that can't be carried out leaves no trace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/accept/listener.h"
#include "relay/queue/pace.h"
#include "relay/reload/reload.h"
#include "relay/reload/reload_listeners.h"
#include "relay_fixture.h"
#include "support/random.h"
#include "support/wrapped_memory.h"

/* ---- memory that runs out on request ---- */

static int memory_left = -1; /* so many more calls succeed before one fails; negative: all do */

static unsigned allocations; /* so far */

bool memory_fails(void)
{
    allocations++;
    return memory_left >= 0 && memory_left-- == 0;
}

/* ---- configurations ---- */

#define FIVE     "upstream = 10.0.0.5:9000\n"
#define SIX      "upstream = 10.0.0.6:9000\n"
#define SEVEN    "upstream = 10.0.0.7:9000\n"
#define GAME     "[route game]\nlisten = 127.0.0.1:7000\n"
#define THE_SAME GAME FIVE SIX
#define MORE     "[route more]\nlisten = 127.0.0.1:7001\n" SEVEN

#define CONFS_MAX 3000
static struct conf *confs[CONFS_MAX]; /* of this test */
static size_t conf_count;

static struct conf *load(const char *text)
{
    struct str messages;
    struct conf *conf = NULL;
    str_init(&messages);
    if (conf_load_text("t.ini", text, strlen(text), &conf, &messages) != ERR_OK)
        fail_msg("%s", messages.data);
    str_free(&messages);
    return conf;
}

static int teardown(void **state)
{
    int result = fixture_teardown(state);
    while (conf_count > 0)
        conf_free(confs[--conf_count]);
    return result;
}

/* New upstreams have the address that is their name. */
static void know_addresses(struct fixture *fix)
{
    for (size_t r = 0; r < fix->relay.route_count; r++) {
        struct relay_route *route = fix->relay.routes[r];
        for (size_t i = 0; i < route->conf->upstream_count; i++) {
            struct addr addr;
            assert_int_equal(addr_parse_ip(route->conf->upstreams[i].host, &addr), ERR_OK);
            assert_int_equal(
                route_set_addrs(route->upstreams.route, i, &addr, 1, fix->worker->now_ms, NULL),
                ERR_OK);
        }
    }
}

/* The workers stand still during the second step, so nothing is allocated there. */
static enum err carry_out(struct reload *reload, struct str *why)
{
    enum err err = reload_complete(reload, why);
    if (err != ERR_OK) {
        reload_abandon(reload);
        return err;
    }
    unsigned before = allocations;
    reload_apply(reload);
    assert_int_equal(allocations, before);
    return ERR_OK;
}

/* Takes over `conf`, whatever comes of it. */
static enum err try_reload(struct fixture *fix, struct conf *conf)
{
    struct reload *reload;
    struct str why;
    str_init(&why);
    assert_true(conf_count < CONFS_MAX);
    confs[conf_count++] = conf;
    enum err err = reload_prepare(&reload, &fix->relay, conf, &why);
    err = err == ERR_OK ? carry_out(reload, &why) : err;
    assert_true(err == ERR_OK || why.len > 0);
    str_free(&why);
    if (err != ERR_OK)
        return err;
    know_addresses(fix);
    port_post(fix->relay.port, &fix->relay.reloaded.message);
    fixture_pump(fix);
    fixture_cancelled(fix);
    return ERR_OK;
}

static void reload(struct fixture *fix, const char *text)
{
    assert_int_equal(try_reload(fix, load(text)), ERR_OK);
}

/* The route of the fixture, whose sums the teardown looks at, has counted nothing: the first
 * reload takes it out, the second forgets it. */
static void begin_anew(struct fixture *fix)
{
    reload(fix, MORE);
    reload(fix, MORE);
    assert_int_equal(fix->relay.removed_count, 0);
    reload(fix, THE_SAME);
}

static struct relay_route *game(struct fixture *fix)
{
    return fix->relay.routes[0];
}

/* ---- listeners ---- */

static void a_listener_that_stays_is_not_touched(void **state)
{
    struct fixture *fix = *state;
    struct listener *listener = game(fix)->listeners[0];
    unsigned accepts = fake_port_waiting(fix->listener, OP_ACCEPT);
    reload(fix, GAME FIVE SIX "idle_timeout = 3m\n" MORE);
    reload(fix, THE_SAME);
    assert_ptr_equal(game(fix)->listeners[0], listener);
    assert_int_equal(listener->sock, fix->listener);
    assert_int_equal(fake_port_waiting(fix->listener, OP_ACCEPT), accepts);
    assert_false(fake_port_cancel_asked(fixture_op(fix->listener, OP_ACCEPT)));
}

static void a_new_port_takes_clients_and_a_removed_one_closes(void **state)
{
    struct fixture *fix = *state;
    reload(fix, "[route game]\nlisten = 127.0.0.1:7000-7002\n" FIVE SIX);
    assert_int_equal(game(fix)->listener_count, 3);
    sock_t second = game(fix)->listeners[1]->sock, third = game(fix)->listeners[2]->sock;
    assert_int_equal(game(fix)->listeners[2]->port_offset, 2);
    assert_true(fake_port_waiting(second, OP_ACCEPT) > 0);
    reload(fix, "[route game]\nlisten = 127.0.0.1:7000\nlisten = 127.0.0.1:7002\n" FIVE SIX);
    assert_int_equal(fixture_closed(second), FAKE_SOCK_ENDED);
    assert_int_equal(game(fix)->listeners[1]->sock, third);
    assert_int_equal(game(fix)->listeners[1]->port_offset, 0);
}

static void a_port_goes_to_another_route_with_its_listener(void **state)
{
    struct fixture *fix = *state;
    reload(fix, THE_SAME MORE);
    struct listener *listener = fix->relay.routes[1]->listeners[0];
    reload(fix, THE_SAME "[route other]\nlisten = 127.0.0.1:7001\nnodelay = no\n" SEVEN);
    assert_ptr_equal(fix->relay.routes[1]->listeners[0], listener);
    assert_string_equal(listener->route->conf->name, "other");
    assert_false(fake_sock(listener->sock)->nodelay);
}

static void a_client_that_was_accepted_for_a_removed_route_is_reset(void **state)
{
    struct fixture *fix = *state;
    static const struct addr from = {.family = ADDR_IPV4, .port = 1, .ip = {1, 1, 1, 1}};
    reload(fix, THE_SAME MORE);
    struct op *accept = fixture_op(fix->relay.routes[1]->listeners[0]->sock, OP_ACCEPT);
    sock_t client = fake_port_finish_accept(accept, &from); /* comes out after the reload */
    reload(fix, THE_SAME);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
}

/* ---- an address in the place of one that overlaps with it ---- */

#define EVERYWHERE "[route wide]\nlisten = 0.0.0.0:7000\n" SEVEN

static void an_overlapping_address_takes_over_without_a_gap(void **state)
{
    struct fixture *fix = *state;
    static const struct addr from = {.family = ADDR_IPV4, .port = 1, .ip = {1, 1, 1, 1}};
    sock_t old = fix->listener;
    reload(fix, EVERYWHERE);
    struct relay_route *all = fix->relay.routes[0];
    sock_t new = all->listeners[0]->sock;
    assert_true(new != old);
    assert_true(fake_sock(new)->listener);
    assert_false(fake_sock(new)->shares);
    assert_true(fake_port_waiting(new, OP_ACCEPT) > 0);

    /* Who has begun to connect is served, by the route that has the port now. */
    assert_int_equal(fake_sock(old)->state, FAKE_SOCK_IS_OPEN);
    assert_true(fake_sock(old)->refuses_new);
    assert_false(fake_sock(old)->shares);
    assert_false(fake_port_cancel_asked(fixture_op(old, OP_ACCEPT)));
    fake_port_finish_accept(fixture_op(old, OP_ACCEPT), &from);
    fixture_pump(fix);
    assert_int_equal(atomic_load(&all->quota.used), 1);
    fixture_connect(fix);
    fixture_kill_latest(fix);
    fixture_pass(fix, 1000);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(old), FAKE_SOCK_ENDED);
    begin_anew(fix);
}

static void an_overlapping_address_that_cannot_be_had_changes_nothing(void **state)
{
    struct fixture *fix = *state;
    reload(fix, THE_SAME MORE);
    unsigned open = fake_sock_open_count();
    for (unsigned skip = 0; skip < 2; skip++) { /* when it is bound; when it listens */
        fake_port_fail(FAKE_SOCK_LISTEN, skip, 1, ERR_IN_USE);
        assert_int_equal(try_reload(fix, load(EVERYWHERE)), ERR_IN_USE);
        assert_int_equal(fake_sock_open_count(), open);
        assert_false(fake_sock(fix->listener)->shares);
        assert_false(fake_sock(fix->listener)->refuses_new);
        assert_string_equal(game(fix)->conf->name, "game");
    }
    fixture_session(fix);
    fixture_kill_latest(fix);
}

static void a_plan_tries_ports_and_leaves_nothing(void **state)
{
    struct fixture *fix = *state;
    static const char text[] = THE_SAME "[route more]\nlisten = 10.0.0.1:7001-7003\n" SEVEN;
    struct conf *conf = load(text), *other = load(EVERYWHERE);
    unsigned open = fake_sock_open_count();
    struct str why;
    str_init(&why);
    confs[conf_count++] = conf;
    confs[conf_count++] = other;
    assert_int_equal(port_choices_try(&fix->relay, conf, &why), ERR_OK);
    assert_int_equal(port_choices_try(&fix->relay, other, &why), ERR_OK);
    assert_int_equal(why.len, 0);
    fake_port_fail(FAKE_SOCK_LISTEN, 1, 2, ERR_IN_USE);
    assert_int_equal(port_choices_try(&fix->relay, conf, &why), ERR_IN_USE);
    assert_string_equal(why.data, "route 'more': listen 10.0.0.1:7001-7003: port 7002: the "
                                  "address or name is already in use\n");
    assert_int_equal(fake_sock_open_count(), open);
    assert_false(fake_sock(fix->listener)->shares);
    str_free(&why);
}

/* ---- routes ---- */

static void sessions_of_a_removed_route_go_on_until_it_is_forgotten(void **state)
{
    struct fixture *fix = *state;
    static const struct addr from = {.family = ADDR_IPV4, .port = 1, .ip = {1, 1, 1, 1}};
    reload(fix, THE_SAME MORE);
    struct relay_route *more = fix->relay.routes[1];
    sock_t client =
        fake_port_finish_accept(fixture_op(more->listeners[0]->sock, OP_ACCEPT), &from);
    fixture_pump(fix);
    sock_t upstream = fixture_connect(fix);
    reload(fix, THE_SAME);
    assert_int_equal(fix->relay.removed_count, 1);
    assert_ptr_equal(fix->relay.routes[1], more);
    fixture_arrive(fix, client, "hello");
    fixture_taken(fix, upstream);
    fixture_expect_sent(upstream, "hello", 5);

    reload(fix, THE_SAME); /* it is still needed */
    assert_int_equal(fix->relay.removed_count, 1);
    fixture_kill_latest(fix);
    reload(fix, THE_SAME);
    assert_int_equal(fix->relay.removed_count, 0);
    struct stat_sums sums;
    stat_read_total(fix->relay.stat, &sums);
    assert_int_equal(sums.counters[STAT_BYTES_UP], 5);
    assert_int_equal(sums.reasons[REASON_KILLED], 1);
}

static void a_removed_route_that_comes_back_is_the_same(void **state)
{
    struct fixture *fix = *state;
    static const struct addr from = {.family = ADDR_IPV4, .port = 1, .ip = {1, 1, 1, 1}};
    reload(fix, THE_SAME MORE);
    struct relay_route *more = fix->relay.routes[1];
    fake_port_finish_accept(fixture_op(more->listeners[0]->sock, OP_ACCEPT), &from);
    fixture_pump(fix);
    fixture_connect(fix);
    reload(fix, THE_SAME);
    reload(fix, MORE THE_SAME);
    assert_ptr_equal(fix->relay.routes[0], more);
    assert_int_equal(fix->relay.removed_count, 0);
    assert_int_equal(atomic_load(&more->quota.used), 1);
    assert_int_equal(more->index, 0);
    reload(fix, THE_SAME MORE);
    fixture_kill_latest(fix);
}

/* Nobody could name it to resume it. */
static void a_removed_route_is_neither_paused_nor_frozen(void **state)
{
    struct fixture *fix = *state;
    static const struct addr from = {.family = ADDR_IPV4, .port = 1, .ip = {1, 1, 1, 1}};
    reload(fix, THE_SAME MORE);
    struct relay_route *more = fix->relay.routes[1];
    fake_port_finish_accept(fixture_op(more->listeners[0]->sock, OP_ACCEPT), &from);
    fixture_pump(fix);
    fixture_connect(fix);
    assert_true(throttle_pause(more, "test", fix->worker->now_ms));
    pace_freeze(more);
    reload(fix, THE_SAME MORE); /* is no reason to resume it */
    assert_true(throttle_is_paused(&more->throttle));
    assert_true(pace_is_frozen(more));
    reload(fix, THE_SAME);
    assert_false(throttle_is_paused(&more->throttle));
    assert_false(pace_is_frozen(more));
    fixture_kill_latest(fix);
}

static void limits_hold_at_once(void **state)
{
    struct fixture *fix = *state;
    reload(fix, "[relay]\nmax_sessions = 7\n" THE_SAME "max_sessions = 3\nqueue_max = 2\n");
    assert_int_equal(fix->relay.quota.limit, 7);
    assert_int_equal(game(fix)->quota.limit, 3);
    assert_int_equal(game(fix)->conf->queue_max, 2);
    assert_ptr_equal(fix->relay.conf, confs[conf_count - 1]);
    assert_ptr_equal(game(fix)->conf, &fix->relay.conf->routes[0]);
}

static void expect_options(sock_t sock, bool nodelay, uint32_t idle_ms, uint32_t interval_ms)
{
    assert_int_equal(fake_sock(sock)->nodelay, nodelay);
    assert_int_equal(fake_sock(sock)->keepalive_idle_ms, idle_ms);
    assert_int_equal(fake_sock(sock)->keepalive_interval_ms, interval_ms);
}

static void options_of_the_sockets_reach_sessions_that_are_open(void **state)
{
    struct fixture *fix = *state;
    reload(fix, THE_SAME "keepalive = 60s\n");
    struct session old = fixture_session(fix);
    fixture_pass(fix, 11000); /* it lasts, so it has keepalive */
    struct session young = fixture_session(fix);
    expect_options(old.client, true, 60000, 10000);
    expect_options(young.upstream, true, 0, 0);

    reload(fix, THE_SAME "keepalive = 20s\nkeepalive_interval = 3s\nnodelay = no\n");
    fixture_pass(fix, 1000);
    expect_options(old.client, false, 20000, 3000);
    expect_options(old.upstream, false, 20000, 3000);
    fixture_pass(fix, 11000);
    expect_options(young.client, false, 20000, 3000);

    reload(fix, THE_SAME "keepalive = off\nnodelay = no\n");
    fixture_pass(fix, 1000);
    expect_options(old.client, false, 0, 10000);
    expect_options(young.upstream, false, 0, 10000);
    fixture_kill_latest(fix);
    fixture_arrive_error(fix, old.client, ERR_RESET);
}

/* Its socket was made with the options of before. */
static void options_reach_a_session_that_is_being_connected(void **state)
{
    struct fixture *fix = *state;
    sock_t client = fixture_accept(fix);
    sock_t upstream = fixture_connecting();
    assert_true(fake_sock(upstream)->nodelay);
    reload(fix, THE_SAME "nodelay = no\n");
    fixture_pass(fix, 1000);
    assert_false(fake_sock(client)->nodelay);
    assert_false(fake_sock(upstream)->nodelay);
    fixture_connect(fix);
    fixture_kill_latest(fix);
}

/* ---- upstreams ---- */

static uint64_t scope_sessions(struct fixture *fix, size_t upstream)
{
    struct stat_sums sums;
    stat_read(fix->relay.stat, game(fix)->upstreams.each[upstream]->scope, &sums);
    return sums.counters[STAT_SESSIONS];
}

static void an_upstream_keeps_its_slot_and_what_it_has_counted(void **state)
{
    struct fixture *fix = *state;
    struct relay_upstream *five = game(fix)->upstreams.each[0];
    fixture_session(fix);
    assert_int_equal(scope_sessions(fix, 0), 1);
    reload(fix, GAME SEVEN SIX FIVE);
    assert_ptr_equal(game(fix)->upstreams.each[0], five);
    assert_string_equal(game(fix)->conf->upstreams[0].name, "10.0.0.5:9000");
    assert_string_equal(game(fix)->conf->upstreams[2].name, "10.0.0.7:9000");
    assert_int_equal(scope_sessions(fix, 0), 1);
    assert_int_equal(atomic_load(&five->quota.used), 1);
    reload(fix, THE_SAME);
    assert_true(game(fix)->conf->upstreams[2].removed);
    fixture_kill_latest(fix);
}

static void a_slot_is_given_away_when_its_last_session_is_over(void **state)
{
    struct fixture *fix = *state;
    struct session session = fixture_session(fix);
    reload(fix, GAME SIX SEVEN);
    assert_int_equal(game(fix)->conf->upstream_count, 3);
    fixture_arrive(fix, session.client, "still there");
    fixture_taken(fix, session.upstream);
    fixture_expect_sent(session.upstream, "still there", 11);
    reload(fix, GAME SIX "upstream = 10.0.0.8:9000\n");
    assert_int_equal(game(fix)->conf->upstream_count, 4);

    fixture_kill_latest(fix);
    reload(fix, GAME SIX "upstream = 10.0.0.9:9000\n");
    assert_int_equal(game(fix)->conf->upstream_count, 4);
    assert_string_equal(game(fix)->conf->upstreams[0].name, "10.0.0.9:9000");
    assert_int_equal(scope_sessions(fix, 0), 0);
    begin_anew(fix);
}

static void sessions_are_counted_at_their_local_address_under_its_new_number(void **state)
{
    struct fixture *fix = *state;
    reload(fix, THE_SAME "source = 10.1.1.1, 10.1.1.2\n");
    fixture_session(fix); /* from the first */
    reload(fix, THE_SAME "source = 10.1.1.3, 10.1.1.2, 10.1.1.1\n");
    struct pair *pair = fixture_latest(fix);
    assert_true(pair->attempt.has_source);
    assert_int_equal(pair->attempt.source_index, 2);
    const struct source_use *uses =
        game(fix)->upstreams.each[pair->attempt.upstream_index]->sources;
    assert_int_equal(atomic_load(&uses[2].used), 1);
    assert_int_equal(atomic_load(&uses[0].used), 0);
    reload(fix, THE_SAME "source = 10.1.1.2\n");
    assert_false(pair->attempt.has_source);
    pair_unref(pair);
    fixture_kill_latest(fix);
    uses = game(fix)->upstreams.each[0]->sources;
    assert_int_equal(atomic_load(&uses[0].used), 0);
}

/* ---- failures ---- */

struct trace {
    const struct conf *conf;
    const struct conf_route *route_conf;
    size_t routes, removed, listeners, in_flight;
    unsigned socks;
    uint32_t parts;
};

static struct trace look(struct fixture *fix)
{
    return (struct trace){.conf = fix->relay.conf,
                          .route_conf = game(fix)->conf,
                          .routes = fix->relay.route_count,
                          .removed = fix->relay.removed_count,
                          .listeners = game(fix)->listener_count,
                          .in_flight = fake_port_in_flight(),
                          .socks = fake_sock_open_count(),
                          .parts = atomic_load(&fix->relay.lifecycle.refs)};
}

static void expect_same(struct fixture *fix, const struct trace *before)
{
    struct trace now = look(fix);
    assert_ptr_equal(now.conf, before->conf);
    assert_ptr_equal(now.route_conf, before->route_conf);
    assert_int_equal(now.routes, before->routes);
    assert_int_equal(now.removed, before->removed);
    assert_int_equal(now.listeners, before->listeners);
    assert_int_equal(now.in_flight, before->in_flight);
    assert_int_equal(now.socks, before->socks);
    assert_int_equal(now.parts, before->parts);
}

static const char anything[] =
    "[route more]\nlisten = 127.0.0.1:7001\nlisten = 127.0.0.1:7005\n" SEVEN FIVE
    "[route game]\nlisten = 127.0.0.1:7002\nlisten = 127.0.0.1:7000\n" SEVEN SIX
    "source = 10.1.1.1\neject = 7 in 10s for 30s\n"
    "[route third]\nlisten = 127.0.0.1:7003\n" FIVE;

static void a_port_that_cannot_be_listened_on_changes_nothing(void **state)
{
    struct fixture *fix = *state;
    reload(fix, THE_SAME MORE);
    fixture_session(fix);
    struct trace before = look(fix);
    for (unsigned skip = 0; skip < 3; skip++) { /* 7005, 7002, 7003 */
        fake_port_fail(FAKE_SOCK_LISTEN, skip, 1, ERR_IN_USE);
        assert_int_equal(try_reload(fix, load(anything)), ERR_IN_USE);
        expect_same(fix, &before);
    }
    reload(fix, THE_SAME MORE);
    fixture_kill_latest(fix);
}

/* Without a new port: the fake that opens it needs memory, too. */
static const char rearranged[] = "[route third]\nlisten = 127.0.0.1:7001\n" SEVEN FIVE
                                 "[route game]\nlisten = 127.0.0.1:7000\n" SEVEN SIX
                                 "source = 10.1.1.1\neject = 7 in 10s for 30s\n";

static void without_memory_nothing_changes(void **state)
{
    struct fixture *fix = *state;
    reload(fix, THE_SAME MORE);
    fixture_session(fix);
    struct trace before = look(fix);
    unsigned failures = 0;
    for (int calls = 0;; calls++, failures++) {
        struct conf *conf = load(rearranged);
        struct reload *reload = NULL;
        struct str why;
        str_init(&why);
        confs[conf_count++] = conf;
        memory_left = calls;
        enum err err = reload_prepare(&reload, &fix->relay, conf, &why);
        err = err == ERR_OK ? carry_out(reload, &why) : err;
        memory_left = -1;
        str_free(&why);
        if (err == ERR_OK)
            break;
        assert_int_equal(err, ERR_NOMEM);
        expect_same(fix, &before);
        fixture_pump(fix);
    }
    assert_true(failures > 20);
    assert_int_equal(fix->relay.route_count, 2);
    reload(fix, THE_SAME MORE);
    fixture_kill_latest(fix);
}

/* ---- whatever happens ---- */

static const char *const texts[] = {
    THE_SAME,
    THE_SAME MORE,
    MORE GAME SIX SEVEN,
    GAME SEVEN FIVE "max_sessions = 50\nsource = 10.1.1.1, 10.1.1.2\n",
    GAME SIX "source = 10.1.1.2\neject = off\nbalance = first\n"
             "[route other]\nlisten = 127.0.0.1:7001-7002\nlisten = 127.0.0.1:7009\n" SIX,
    GAME FIVE SIX SEVEN "balance = least_sessions\n"
                        "[route more]\nlisten = 127.0.0.1:7002\n" FIVE,
};

/* A client comes to one of the listeners there are. */
static void accept_somewhere(struct fixture *fix, struct random *dice)
{
    static const struct addr from = {.family = ADDR_IPV4, .port = 1, .ip = {1, 1, 1, 1}};
    struct relay_route *route = fix->relay.routes[random_below(dice, fix->relay.route_count)];
    struct listener *listener = route->listeners[random_below(dice, route->listener_count)];
    struct op *op = fake_port_op(listener->sock, OP_ACCEPT);
    if (op != NULL)
        fake_port_finish_accept(op, &from);
}

static void act(struct fixture *fix, struct random *dice)
{
    struct op *connect = fake_port_op(SOCK_NONE, OP_CONNECT);
    switch (random_below(dice, 6)) {
    case 0:
    case 1: accept_somewhere(fix, dice); break;
    case 2:
        if (connect != NULL)
            fake_port_finish(connect, random_chance(dice, 80) ? ERR_OK : ERR_REFUSED, 0);
        break;
    case 3: {
        uint64_t latest = atomic_load(&fix->relay.next_id);
        struct pair *pair = table_find(&fix->relay.table, random_below(dice, latest + 1));
        if (pair == NULL)
            break;
        pair_end(pair, REASON_KILLED);
        pair_unref(pair);
        break;
    }
    case 4: fixture_pass(fix, random_below(dice, 1500)); break;
    case 5: fixture_cancelled(fix); break;
    }
    if (random_chance(dice, 70)) /* else something waits while the next thing happens */
        fixture_pump(fix);
}

static void sessions_and_reloads_at_random_leave_nothing(void **state)
{
    struct fixture *fix = *state;
    struct random dice;
    random_init(&dice, random_test_seed(), 0);
    for (int i = 0; i < 20000; i++) {
        if (random_chance(&dice, 5))
            reload(fix, texts[random_below(&dice, sizeof texts / sizeof texts[0])]);
        else
            act(fix, &dice);
    }
    fixture_pump(fix); /* a client that was accepted last has a session, too */
    for (uint64_t id = 1; id <= atomic_load(&fix->relay.next_id); id++) {
        struct pair *pair = table_find(&fix->relay.table, id);
        if (pair == NULL)
            continue;
        pair_end(pair, REASON_KILLED);
        pair_unref(pair);
    }
    for (int i = 0; i < 5; i++) {
        fixture_pass(fix, 1000);
        fixture_cancelled(fix);
    }
    begin_anew(fix);
    assert_int_equal(atomic_load(&fix->relay.quota.used), 0);

    struct stat_sums sums;
    uint64_t ended = 0;
    stat_read_total(fix->relay.stat, &sums);
    for (int reason = 0; reason < REASON_COUNT; reason++)
        if (!reason_is_refusal((enum reason)reason))
            ended += sums.reasons[reason];
    assert_int_equal(ended, sums.counters[STAT_SESSIONS]);
    assert_true(ended > 100);
    struct histogram lengths = {0};
    struct histogram_summary summary;
    stat_add_length_ms(fix->relay.stat, &lengths);
    histogram_summarise(&lengths, &summary);
    assert_int_equal(summary.count, ended);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_listener_that_stays_is_not_touched),
        TEST(a_new_port_takes_clients_and_a_removed_one_closes),
        TEST(a_port_goes_to_another_route_with_its_listener),
        TEST(a_client_that_was_accepted_for_a_removed_route_is_reset),
        TEST(an_overlapping_address_takes_over_without_a_gap),
        TEST(an_overlapping_address_that_cannot_be_had_changes_nothing),
        TEST(a_plan_tries_ports_and_leaves_nothing),
        TEST(sessions_of_a_removed_route_go_on_until_it_is_forgotten),
        TEST(a_removed_route_that_comes_back_is_the_same),
        TEST(a_removed_route_is_neither_paused_nor_frozen),
        TEST(limits_hold_at_once),
        TEST(options_of_the_sockets_reach_sessions_that_are_open),
        TEST(options_reach_a_session_that_is_being_connected),
        TEST(an_upstream_keeps_its_slot_and_what_it_has_counted),
        TEST(a_slot_is_given_away_when_its_last_session_is_over),
        TEST(sessions_are_counted_at_their_local_address_under_its_new_number),
        TEST(a_port_that_cannot_be_listened_on_changes_nothing),
        TEST(without_memory_nothing_changes),
        TEST(sessions_and_reloads_at_random_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
