#include "route_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

struct rig rig;

void rig_begin(enum conf_balance balance, size_t upstream_count)
{
    assert_true(upstream_count <= RIG_UPSTREAMS_MAX);
    assert_null(rig.route);
    memset(&rig, 0, sizeof rig);
    rig.now_ms = RIG_START_MS;
    rig.conf = (struct conf_route){
        .name = "lobby",
        .upstreams = rig.upstreams,
        .upstream_count = upstream_count,
        .balance = balance,
        .eject_max_percent = 50,
    };
    for (size_t i = 0; i < upstream_count; i++) {
        struct conf_upstream *upstream = &rig.upstreams[i];
        *upstream = (struct conf_upstream){.port = 7000, .port_count = 1, .weight = 1};
        str_format(upstream->host, sizeof upstream->host, "game%zu", i);
        str_format(upstream->name, sizeof upstream->name, "game%zu:7000", i);
    }
}

void rig_weights(const uint32_t weights[])
{
    for (size_t i = 0; i < rig.conf.upstream_count; i++)
        rig.upstreams[i].weight = weights[i];
}

void rig_health(uint32_t rise, uint32_t fall)
{
    rig.conf.health = (struct conf_health){
        .on = true,
        .interval_ms = 2000,
        .fast_ms = 500,
        .timeout_ms = 1000,
        .rise = rise,
        .fall = fall,
    };
}

void rig_eject(uint32_t count, uint32_t within_ms, uint32_t for_ms)
{
    rig.conf.eject = (struct conf_eject){count, within_ms, for_ms};
}

void rig_open(size_t addresses)
{
    assert_int_equal(route_open(&rig.route, &rig.conf, 42, rig.now_ms), ERR_OK);
    static const size_t numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (size_t i = 0; addresses != 0 && i < rig.conf.upstream_count; i++)
        assert_true(rig_set_addrs(i, addresses, numbers));
}

int rig_close(void **state)
{
    (void)state;
    for (size_t i = 0; i < rig.conf.upstream_count; i++) {
        struct route_upstream_info info = rig_info(i);
        while (info.sessions != 0) { /* as often as servers are hidden */
            for (size_t k = 0; k < info.server_count; k++)
                for (uint32_t n = 0; n < info.servers[k].sessions; n++)
                    route_give(rig.route, i, info.servers[k].server);
            info = rig_info(i);
        }
    }
    route_close(rig.route);
    rig.route = NULL;
    return 0;
}

struct addr rig_address(size_t upstream, size_t k)
{
    struct addr addr = {.family = ADDR_IPV4, .port = 7000};
    addr.ip[0] = (uint8_t)(10 + k / 256);
    addr.ip[1] = (uint8_t)(upstream / 256);
    addr.ip[2] = (uint8_t)upstream;
    addr.ip[3] = (uint8_t)k;
    return addr;
}

struct addr rig_client(uint32_t number)
{
    struct addr addr = {.family = ADDR_IPV4, .port = (uint16_t)(number * 31)};
    addr.ip[0] = 203;
    addr.ip[1] = (uint8_t)(number >> 16);
    addr.ip[2] = (uint8_t)(number >> 8);
    addr.ip[3] = (uint8_t)number;
    return addr;
}

bool rig_set_addrs(size_t upstream, size_t count, const size_t numbers[])
{
    struct addr addrs[ROUTE_SERVERS_MAX + 8];
    assert_true(count <= sizeof addrs / sizeof addrs[0]);
    for (size_t i = 0; i < count; i++)
        addrs[i] = rig_address(upstream, numbers[i]);
    bool changed;
    assert_int_equal(route_set_addrs(rig.route, upstream, addrs, count, rig.now_ms, &changed),
                     ERR_OK);
    return changed;
}

static struct route_target pick(struct route_cursor *cursor, const struct addr *client)
{
    struct route_target target;
    memset(&target, 0xEE, sizeof target);
    uint32_t tries = cursor->tries;
    assert_int_equal(route_pick(rig.route, cursor, client, rig.now_ms, &target), ROUTE_PICKED);
    assert_int_equal(cursor->tries, tries + 1);
    assert_true(target.upstream < rig.conf.upstream_count);
    assert_int_equal(target.addr.ip[2], target.upstream % 256);
    assert_int_equal(target.addr.port, rig.upstreams[target.upstream].port);
    return target;
}

struct route_target rig_pick(void)
{
    struct addr client = rig_client(1);
    return rig_pick_for(&client);
}

struct route_target rig_pick_for(const struct addr *client)
{
    struct route_cursor cursor = {0};
    return pick(&cursor, client);
}

struct route_target rig_pick_next(struct route_cursor *cursor)
{
    struct addr client = rig_client(1);
    return pick(cursor, &client);
}

enum route_outcome rig_outcome(void)
{
    struct route_cursor cursor = {0};
    struct route_target target = {.upstream = 77};
    struct addr client = rig_client(1);
    enum route_outcome outcome = route_pick(rig.route, &cursor, &client, rig.now_ms, &target);
    if (outcome == ROUTE_PICKED) {
        rig_give(&target);
    } else {
        assert_int_equal(cursor.tries, 0);
        assert_int_equal(target.upstream, 77);
    }
    return outcome;
}

void rig_give(const struct route_target *target)
{
    route_give(rig.route, target->upstream, target->server);
}

size_t rig_pass(void)
{
    struct route_target target = rig_pick();
    rig_give(&target);
    return target.upstream;
}

void rig_fail_for(size_t upstream, uint32_t client)
{
    struct route_target target = rig_pick();
    for (int tries = 0; target.upstream != upstream; tries++) {
        assert_true(tries < 1000);
        rig_give(&target);
        target = rig_pick();
    }
    struct addr from = rig_client(client);
    route_note_failure(rig.route, target.upstream, target.server, &from, rig.now_ms);
    rig_give(&target);
}

void rig_fail(size_t upstream)
{
    rig_fail_for(upstream, ++rig.clients);
}

void rig_check(size_t upstream, enum health_code code)
{
    struct route_check check;
    uint64_t next_ms;
    assert_true(route_take_check(rig.route, rig.now_ms, &check, &next_ms));
    assert_int_equal(check.upstream, upstream);
    struct health_result result = {.code = code, .duration_us = 300};
    if (code == HEALTH_L4CON)
        result.err = ERR_REFUSED;
    route_check_done(rig.route, &check, &result, rig.now_ms);
}

void rig_check_later(size_t upstream, enum health_code code)
{
    struct route_check check;
    uint64_t next_ms;
    assert_false(route_take_check(rig.route, rig.now_ms, &check, &next_ms));
    rig.now_ms = next_ms;
    rig_check(upstream, code);
}

void rig_begin_checked(size_t upstream_count)
{
    rig_begin(CONF_ROUND_ROBIN, upstream_count);
    rig_health(2, 3);
    rig_open(1);
    for (size_t u = 0; u < upstream_count; u++)
        rig_check(u, HEALTH_L4OK);
}

struct route_upstream_info rig_info(size_t upstream)
{
    struct route_upstream_info info;
    route_get_upstream(rig.route, upstream, rig.now_ms, &info);
    return info;
}

struct route_change rig_change(size_t upstream, const char *from, const char *to,
                               const char *cause)
{
    struct route_change change;
    assert_true(route_take_change(rig.route, &change, NULL));
    assert_int_equal(change.upstream, upstream);
    assert_string_equal(change.from, from);
    assert_string_equal(change.to, to);
    assert_string_equal(change.cause, cause);
    return change;
}

void rig_no_change(void)
{
    struct route_change change;
    assert_false(route_take_change(rig.route, &change, NULL));
}

void rig_drop_changes(void)
{
    struct route_change change;
    while (route_take_change(rig.route, &change, NULL))
        continue; /* this test is not about them */
}

void rig_expect_shares(const unsigned counts[], const uint32_t weights[], size_t count,
                       unsigned total, unsigned permille)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += weights[i];
    for (size_t i = 0; i < count; i++) {
        double expected = (double)total * weights[i] / (double)sum;
        if (fabs(counts[i] - expected) > total * permille / 1000.0)
            fail_msg("upstream %zu of weight %u got %u of %u, not %.1f", i, weights[i],
                     counts[i], total, expected);
    }
}
