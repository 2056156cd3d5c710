/* An operator who pauses, drains, resumes, kills and reconfigures at random, while clients come and
 * go and upstreams fail: nothing is left, every session ends for one reason, and nobody is let on
 * to a paused route. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/core/schedule.h"
#include "relay/core/sessions.h"
#include "relay/server_info.h"
#include "relay/server_operate.h"
#include "relay_fixture.h"
#include "support/random.h"

#define ROUNDS  200
#define ACTIONS 1500

static struct random dice;

static struct relay_route *route_of(struct fixture *fix)
{
    return fix->relay.routes[0];
}

static void configure(struct fixture *fix)
{
    struct conf_route *conf = &fix->route_conf;
    conf->when_down = random_chance(&dice, 50) ? CONF_HOLD : CONF_REFUSE;
    conf->hold_ms = (uint32_t)random_between(&dice, 500, 20000);
    conf->queue_max = (uint32_t)random_between(&dice, 1, 40);
    conf->queue_max_per_client = (uint32_t)random_below(&dice, 20);
    conf->pause_timeout_ms = (uint32_t)random_between(&dice, 1000, 20000);
    conf->connect_retries = (uint32_t)random_below(&dice, 3);
    conf->admission_ramp = (struct conf_rate){.count = 0};
    if (random_chance(&dice, 50))
        conf->admission_ramp =
            (struct conf_rate){.count = (uint32_t)random_between(&dice, 1, 50),
                               .per_ms = 1000,
                               .burst = (uint32_t)random_between(&dice, 1, 5)};
}

static void begin_drain(struct fixture *fix)
{
    struct server_drain_plan plan = {.kill = random_chance(&dice, 30)};
    struct server_drain_info info;
    if (random_chance(&dice, 70))
        plan.over_ms = random_between(&dice, 100, 20000);
    uint64_t now_ms = fix->worker->now_ms;
    enum err err =
        random_chance(&dice, 50)
            ? drain_begin_route(route_of(fix), &plan, now_ms, &info)
            : drain_begin_upstream(route_of(fix), random_below(&dice, 2), &plan, now_ms, &info);
    assert_int_equal(err, ERR_OK);
}

static void end_drains(struct fixture *fix)
{
    struct relay_route *route = route_of(fix);
    drain_end(&route->drain);
    for (size_t i = 0; i < 2; i++)
        drain_end(&route->upstreams.each[i]->drain);
}

static void set_upstream(struct fixture *fix, size_t upstream, enum route_admin admin)
{
    route_set_admin(route_of(fix)->upstreams.route, upstream, admin, fix->worker->now_ms);
}

static void finish_connect(struct fixture *fix)
{
    struct op *op = fake_port_op(SOCK_NONE, OP_CONNECT);
    if (op == NULL)
        return;
    bool stands = random_chance(&dice, 60);
    enum err err = fake_port_cancel_asked(op) ? ERR_CANCELLED : stands ? ERR_OK : ERR_REFUSED;
    fake_port_finish(op, err, 0);
    fixture_pump(fix);
}

static void resume_it(struct fixture *fix)
{
    uint64_t lasted_ms;
    throttle_resume(route_of(fix), fix->worker->now_ms, &lasted_ms);
}

/* The client or the upstream that has waited for longest says something, or finishes. */
static void let_one_speak(struct fixture *fix)
{
    struct op *op = fake_port_op(SOCK_NONE, OP_READ);
    if (op == NULL || fake_port_cancel_asked(op))
        return;
    if (random_chance(&dice, 60))
        fake_sock_arrive(op->sock, "hello", 5);
    else
        fake_sock(op->sock)->coming_end = random_chance(&dice, 80) ? ERR_OK : ERR_RESET;
    (void)fake_port_finish_arrived(op);
    fixture_pump(fix);
}

static void act(struct fixture *fix)
{
    struct relay_route *route = route_of(fix);
    size_t ended, left;
    switch (random_below(&dice, 18)) {
    case 0: throttle_pause(route, "test", fix->worker->now_ms); break;
    case 1: resume_it(fix); break;
    case 2: begin_drain(fix); break;
    case 3: end_drains(fix); break;
    case 4: configure(fix); break;
    case 5:
        set_upstream(fix, random_below(&dice, 2), (enum route_admin)random_below(&dice, 3));
        break;
    case 6:
        assert_int_equal(
            sessions_end_oldest(&fix->relay, &(struct session_filter){.route = route},
                                random_below(&dice, 3), REASON_KILLED, &ended, &left),
            ERR_OK);
        break;
    case 7:
    case 8: finish_connect(fix); break;
    case 9: fixture_pass(fix, random_below(&dice, 3000)); break;
    case 10:
    case 11:
    case 12: let_one_speak(fix); break;
    default:
        if (atomic_load(&route->quota.used) < fix->route_conf.max_sessions)
            fixture_accept(fix);
        break;
    }
    schedule_route(route);
    fixture_pass(fix, random_below(&dice, 40));
    fixture_cancelled(fix);
}

/* Nobody is let on while the route is paused before the action and after it. */
static void act_and_look(struct fixture *fix)
{
    const struct throttle *throttle = &route_of(fix)->throttle;
    bool paused = throttle_is_paused(throttle);
    uint64_t connects = fixture_counter(fix, STAT_CONNECTS);
    act(fix);
    if (paused && throttle_is_paused(throttle))
        assert_int_equal(fixture_counter(fix, STAT_CONNECTS), connects);
}

/* All goes well again: whoever waits is served, and nobody waits any more. */
static void let_all_in(struct fixture *fix)
{
    struct relay_route *route = route_of(fix);
    end_drains(fix);
    resume_it(fix);
    for (size_t i = 0; i < 2; i++)
        set_upstream(fix, i, ROUTE_READY);
    fix->route_conf.admission_ramp = (struct conf_rate){.count = 0};
    for (unsigned i = 0; i < 200 && queue_count(&route->queue) > 0; i++) {
        schedule_route(route);
        fixture_pass(fix, 100);
        struct op *op;
        while ((op = fake_port_op(SOCK_NONE, OP_CONNECT)) != NULL) {
            fake_port_finish(op, fake_port_cancel_asked(op) ? ERR_CANCELLED : ERR_OK, 0);
            fixture_pump(fix);
        }
    }
    assert_int_equal(queue_count(&route->queue), 0);
    assert_true(list_empty(&route->queue.pairs));
}

static void an_operator_at_random_leaves_nothing_and_loses_no_count(void **state)
{
    (void)state;
    uint64_t seed = random_test_seed();
    for (unsigned round = 0; round < ROUNDS; round++) {
        void *fixture;
        random_init(&dice, seed, round);
        assert_int_equal(fixture_setup(&fixture), 0);
        struct fixture *fix = fixture;
        configure(fix);
        for (unsigned i = 0; i < ACTIONS; i++)
            act_and_look(fix);
        let_all_in(fix);
        assert_int_equal(fixture_teardown(&fixture), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operator_at_random_leaves_nothing_and_loses_no_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
