/* test_route_random.c - thousands of random operations on a route, against a model that is slow
 * and obvious: it keeps every server in a table and looks at all of it each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "route_fixture.h"
#include "route_model.h"
#include "support/random.h"

#define UPSTREAMS   MODEL_UPSTREAMS
#define ADDRESSES   MODEL_ADDRESSES
#define HELD_MAX    400
#define PENDING_MAX 500

static struct random dice;

struct held {
    struct route_target target;
    size_t k;
};
static struct held held[HELD_MAX];
static size_t held_count;

struct pending {
    struct route_check check;
    size_t k;
    uint32_t life;
};
static struct pending pending[PENDING_MAX];
static size_t pending_count;

/* ---- operations ---- */

static void do_answer(void)
{
    size_t u = random_below(&dice, UPSTREAMS);
    size_t count = random_between(&dice, 1, 20);
    size_t from = random_below(&dice, ADDRESSES);
    size_t numbers[20];
    for (size_t i = 0; i < count; i++)
        numbers[i] =
            random_chance(&dice, 80) ? (from + i) % ADDRESSES : random_below(&dice, ADDRESSES);
    model_answer(u, numbers, count);
    rig_set_addrs(u, count, numbers);
}

/* A session tries a few servers; one place is kept, the others are given back. */
static void do_session(void)
{
    bool tried[UPSTREAMS][ADDRESSES] = {{false}};
    struct route_cursor cursor = {0};
    struct addr client = rig_client((uint32_t)random_below(&dice, 5000));
    size_t tries = random_chance(&dice, 80) ? 1 : random_between(&dice, 2, 100);
    for (size_t i = 0; i < tries && held_count < HELD_MAX; i++) {
        size_t untried = 0;
        for (size_t u = 0; u < UPSTREAMS; u++)
            for (size_t k = 0; k < ADDRESSES; k++)
                untried += model_is_usable(u, k) && !tried[u][k];
        struct route_target target;
        enum route_outcome outcome =
            route_pick(rig.route, &cursor, &client, rig.now_ms, &target);
        if (model_usable_count() == 0) {
            assert_int_equal(outcome, model_up_count() == 0 ? ROUTE_ALL_DOWN : ROUTE_ALL_FULL);
            return;
        }
        assert_int_equal(outcome, ROUTE_PICKED);
        size_t k = target.addr.ip[3];
        assert_true(model_is_usable(target.upstream, k));
        assert_int_equal(target.came_round, tried[target.upstream][k]);
        assert_true(!target.came_round || untried == 0);
        tried[target.upstream][k] = true;
        if (i + 1 < tries) {
            rig_give(&target);
            continue;
        }
        model[target.upstream].servers[k].sessions++;
        held[held_count++] = (struct held){target, k};
    }
}

static void do_give(void)
{
    if (held_count == 0)
        return;
    size_t index = random_below(&dice, held_count);
    struct held *left = &held[index];
    struct model_server *server = &model[left->target.upstream].servers[left->k];
    rig_give(&left->target);
    server->sessions--;
    if (!server->in_use && server->sessions == 0)
        server->told = NULL;
    held[index] = held[--held_count];
}

static void do_fail(void)
{
    if (held_count == 0)
        return;
    const struct held *failed = &held[random_below(&dice, held_count)];
    size_t u = failed->target.upstream;
    uint32_t number = (uint32_t)random_below(&dice, 12);
    struct addr client = rig_client(number);
    rig.now_ms++; /* no two ejections end at the same time */
    route_note_failure(rig.route, u, failed->target.server, &client, rig.now_ms);
    model_failure(u, failed->k, number, &rig.conf, rig.now_ms);
}

static void do_take_checks(void)
{
    uint64_t next_ms = 0;
    struct route_check check;
    while (pending_count < PENDING_MAX &&
           route_take_check(rig.route, rig.now_ms, &check, &next_ms)) {
        size_t k = check.addr.ip[3];
        struct model_server *server = &model[check.upstream].servers[k];
        assert_true(server->in_use && model[check.upstream].admin != ROUTE_DISABLED &&
                    !model[check.upstream].removed);
        for (size_t i = 0; i < pending_count; i++)
            assert_false(pending[i].check.upstream == check.upstream && pending[i].k == k &&
                         pending[i].life == server->life);
        pending[pending_count++] = (struct pending){check, k, server->life};
        if (random_chance(&dice, 20))
            return;
    }
    assert_true(pending_count == PENDING_MAX || next_ms > rig.now_ms);
}

static void do_result(void)
{
    if (pending_count == 0)
        return;
    size_t index = random_below(&dice, pending_count);
    struct pending done = pending[index];
    pending[index] = pending[--pending_count];
    struct model_server *server = &model[done.check.upstream].servers[done.k];
    static const enum health_code codes[] = {HEALTH_L4OK,  HEALTH_L4OK,   HEALTH_L7OK,
                                             HEALTH_L4CON, HEALTH_L7TOUT, HEALTH_SOCKERR};
    struct health_result result = {.code = codes[random_below(&dice, 6)]};
    route_check_done(rig.route, &done.check, &result, rig.now_ms);
    if (done.life == server->life && server->in_use && result.code != HEALTH_SOCKERR)
        model_result(server, &rig.conf.health, health_code_passes(result.code));
}

static void do_admin(void)
{
    size_t u = random_below(&dice, UPSTREAMS);
    enum route_admin admin = random_chance(&dice, 60)   ? ROUTE_READY
                             : random_chance(&dice, 50) ? ROUTE_DRAIN
                                                        : ROUTE_DISABLED;
    bool changed = model_admin(u, admin);
    assert_int_equal(route_set_admin(rig.route, u, admin, rig.now_ms), changed);
}

static void do_numbers(void)
{
    size_t u = random_below(&dice, UPSTREAMS);
    if (random_chance(&dice, 50)) {
        uint32_t weight = random_chance(&dice, 15) ? 0 : (uint32_t)random_below(&dice, 257);
        assert_int_equal(route_set_weight(rig.route, u, weight), weight != model[u].weight);
        model[u].weight = weight;
    } else {
        uint32_t max = random_chance(&dice, 30) ? 0 : (uint32_t)random_between(&dice, 1, 60);
        assert_int_equal(route_set_max_sessions(rig.route, u, max),
                         max != model[u].max_sessions);
        model[u].max_sessions = max;
    }
}

/* The route has the one, the other is made anew; rig.conf says the same as the former. */
static struct conf_route confs[2];
static struct conf_upstream upstream_confs[2][UPSTREAMS];
static size_t latest_conf;

static void vary_upstream(struct conf_upstream *conf)
{
    if (random_chance(&dice, 20))
        conf->weight = (uint32_t)random_below(&dice, 10);
    if (random_chance(&dice, 20))
        conf->max_sessions = (uint32_t)random_below(&dice, 50);
    if (random_chance(&dice, 10))
        conf->backup = !conf->backup;
    if (random_chance(&dice, 10))
        conf->disabled = !conf->disabled;
    if (random_chance(&dice, 20))
        conf->removed = !conf->removed;
    if (random_chance(&dice, 20))
        conf->slow_start_ms = random_chance(&dice, 50) ? 5000 : 0;
    conf->line = (unsigned)random_below(&dice, 100);
}

/* True: the checks are others. */
static bool vary_route(struct conf_route *conf)
{
    struct conf_health before = conf->health;
    if (random_chance(&dice, 30))
        conf->health.on = !conf->health.on;
    if (random_chance(&dice, 30))
        conf->health.fall = (uint32_t)random_between(&dice, 1, 4);
    if (random_chance(&dice, 30))
        conf->eject.count = (uint32_t)random_below(&dice, 7);
    if (random_chance(&dice, 30))
        conf->eject_max_percent = (uint32_t)random_between(&dice, 1, 100);
    conf->eject.within_ms = 5000;
    conf->eject.for_ms = 10000;
    conf->balance = (enum conf_balance)random_below(&dice, 5);
    return conf->health.on != before.on || conf->health.fall != before.fall;
}

static void do_reconfigure(void)
{
    size_t next = 1 - latest_conf;
    struct conf_route *conf = &confs[next];
    *conf = rig.conf;
    conf->upstreams = upstream_confs[next];
    memcpy(conf->upstreams, rig.upstreams, sizeof upstream_confs[next]);
    for (size_t u = 0; u < UPSTREAMS; u++)
        vary_upstream(&conf->upstreams[u]);
    bool checks_change = vary_route(conf);

    struct route_plan *plan;
    assert_int_equal(route_prepare(&plan, rig.route, conf), ERR_OK);
    if (random_chance(&dice, 10)) {
        route_plan_free(plan); /* nothing comes of it */
        return;
    }
    route_reconfigure(rig.route, plan, rig.now_ms);
    model_reconfigure(&(struct model_change){&rig.conf, conf, checks_change});
    memcpy(rig.upstreams, conf->upstreams, sizeof upstream_confs[next]);
    rig.conf = *conf;
    rig.conf.upstreams = rig.upstreams;
    latest_conf = next;
}

static void do_time(void)
{
    rig.now_ms +=
        random_chance(&dice, 90) ? random_below(&dice, 800) : random_below(&dice, 20000);
    route_tick(rig.route, rig.now_ms);
    model_time(rig.now_ms);
}

/* ---- what must hold ---- */

/* Each change of a server begins where the last one ended. */
static void expect_changes(void)
{
    struct route_change change;
    uint64_t dropped;
    while (route_take_change(rig.route, &change, &dropped)) {
        assert_int_equal(dropped, 0);
        assert_int_not_equal(change.from_state, change.to_state);
        assert_true(change.lasted_ms <= rig.now_ms - RIG_START_MS);
        assert_true(change.cause[0] != '\0');
        if (!change.has_server)
            continue;
        struct model_server *server = &model[change.upstream].servers[change.addr.ip[3]];
        assert_non_null(server->told);
        assert_string_equal(change.from, server->told);
        assert_true(change.up ==
                    (model_is_open(change.upstream) && strcmp(change.to, "UP") == 0));
        server->told = change.to;
    }
    for (size_t u = 0; u < UPSTREAMS; u++)
        for (size_t k = 0; k < ADDRESSES; k++) {
            struct model_server *server = &model[u].servers[k];
            if (server->told != NULL)
                assert_string_equal(server->told, model_word(server));
            if (!server->in_use && server->sessions == 0)
                server->told = NULL;
        }
}

static void expect_upstream(size_t u)
{
    struct route_upstream_info info = rig_info(u);
    assert_int_equal(info.sessions, model_sessions(u));
    size_t expected = 0;
    for (size_t k = 0; k < ADDRESSES; k++)
        expected += model[u].servers[k].in_use || model[u].servers[k].sessions != 0;
    assert_int_equal(info.server_count + info.hidden_count, expected);
    bool usable = false;
    for (size_t i = 0; i < info.server_count; i++) {
        const struct route_server_info *server = &info.servers[i];
        size_t k = server->addr.ip[3];
        assert_int_equal(server->gone, !model[u].servers[k].in_use);
        assert_int_equal(server->sessions, model[u].servers[k].sessions);
        assert_int_equal(server->usable, model_is_usable(u, k));
        const char *word = model_word(&model[u].servers[k]);
        assert_memory_equal(server->word, word, strlen(word));
        assert_int_equal(server->ejected_until_ms, model[u].servers[k].ejected_until_ms);
        usable |= server->usable;
    }
    assert_int_equal(info.usable, usable);
}

static void step(void)
{
    static void (*const operations[])(void) = {
        do_session, do_session, do_session, do_session,     do_session, do_give,
        do_give,    do_give,    do_fail,    do_fail,        do_fail,    do_take_checks,
        do_result,  do_result,  do_result,  do_take_checks, do_time,    do_time,
    };
    uint64_t roll = random_below(&dice, 100);
    if (roll < 3)
        do_answer();
    else if (roll < 6)
        do_admin();
    else if (roll < 10)
        do_numbers();
    else if (roll < 12)
        do_reconfigure();
    else
        operations[random_below(&dice, sizeof operations / sizeof operations[0])]();
    model_settle(rig.conf.eject_max_percent);
    expect_changes();
    for (size_t u = 0; u < UPSTREAMS; u++)
        expect_upstream(u);
    assert_int_equal(route_is_up(rig.route, rig.now_ms), model_up_count() != 0);
}

static void begin(enum conf_balance balance)
{
    rig_begin(balance, UPSTREAMS);
    rig_health((uint32_t)random_between(&dice, 1, 4), (uint32_t)random_between(&dice, 1, 4));
    rig.conf.health.on = random_chance(&dice, 80);
    if (random_chance(&dice, 80))
        rig_eject((uint32_t)random_between(&dice, 1, 6), 5000, 10000);
    memset(model, 0, sizeof model);
    held_count = 0;
    pending_count = 0;
    for (size_t u = 0; u < UPSTREAMS; u++) {
        struct conf_upstream *conf = &rig.upstreams[u];
        conf->weight = (uint32_t)random_below(&dice, 10);
        conf->max_sessions = (uint32_t)random_below(&dice, 50);
        conf->backup = random_chance(&dice, 30);
        conf->disabled = random_chance(&dice, 10);
        conf->slow_start_ms = random_chance(&dice, 50) ? 7000 : 0;
        model[u].backup = conf->backup;
        model[u].weight = conf->weight;
        model[u].max_sessions = conf->max_sessions;
        model[u].admin = conf->disabled ? ROUTE_DISABLED : ROUTE_READY;
    }
    rig_open(0);
}

static void a_route_behaves_as_the_model_whatever_happens(void **state)
{
    (void)state;
    random_init(&dice, random_test_seed(), 0);
    for (int round = 0; round < 25; round++) {
        begin((enum conf_balance)(round % 5));
        for (int i = 0; i < 1500; i++)
            step();
        while (held_count > 0)
            do_give();
        for (size_t u = 0; u < UPSTREAMS; u++)
            assert_int_equal(rig_info(u).sessions, 0);
        rig_close(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_behaves_as_the_model_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
