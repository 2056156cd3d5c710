#include "guard_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RULES_MAX 8

static struct conf_access rules[RULES_MAX];
static struct addr_net exempted;

static struct addr address_of(const char *ip)
{
    struct addr addr;
    assert_int_equal(addr_parse_ip(ip, &addr), ERR_OK);
    addr.port = 40000;
    return addr;
}

struct addr_net net_of(const char *text)
{
    struct addr_net net;
    assert_int_equal(addr_net_parse(text, &net), ERR_OK);
    return net;
}

sock_t come_from(struct fixture *fix, const char *ip)
{
    struct addr addr = address_of(ip);
    sock_t sock = fake_port_finish_accept(fixture_op(fix->listener, OP_ACCEPT), &addr);
    fixture_pump(fix);
    return sock;
}

sock_t expect_let_in(struct fixture *fix, const char *ip)
{
    sock_t sock = come_from(fix, ip);
    assert_int_equal(fake_sock(sock)->state, FAKE_SOCK_IS_OPEN);
    assert_true(fake_sock(sock)->attached);
    return sock;
}

void expect_reset(struct fixture *fix, const char *ip, enum reason reason)
{
    uint64_t before = fixture_reasons(fix, reason);
    unsigned connects = fake_port_waiting(SOCK_NONE, OP_CONNECT);
    assert_int_equal(fixture_closed(come_from(fix, ip)), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, reason), before + 1);
    assert_int_equal(fake_port_waiting(SOCK_NONE, OP_CONNECT), connects);
}

void let_go(struct fixture *fix)
{
    fixture_kill_latest(fix);
}

void let_go_of(struct fixture *fix, uint64_t id)
{
    struct pair *pair = table_find(&fix->relay.table, id);
    assert_non_null(pair);
    assert_true(pair_end(pair, REASON_KILLED));
    pair_unref(pair);
    fixture_pass(fix, WHEEL_SLOT_MS);
    fixture_cancelled(fix);
}

void add_rule(struct fixture *fix, const char *net, bool allow)
{
    size_t count = fix->route_conf.access_count;
    assert_true(count < RULES_MAX);
    rules[count] = (struct conf_access){.net = net_of(net), .allow = allow};
    fix->route_conf.access = rules;
    fix->route_conf.access_count = count + 1;
}

void use_rules(struct fixture *fix)
{
    struct guard_rules made;
    assert_int_equal(guard_rules_make(&made, &fix->route_conf), ERR_OK);
    guard_rules_swap(fix->relay.routes[0], &made, &fix->route_conf);
    guard_rules_free(&made);
}

void exempt(struct fixture *fix, const char *net)
{
    fix->route_conf.exempt_count = net != NULL;
    if (net != NULL)
        exempted = net_of(net);
    fix->route_conf.exempts = &exempted;
}

void ban(struct fixture *fix, const char *net, uint64_t for_ms)
{
    uint64_t now = ban_clock_at(&fix->relay.guard.ban_clock, fix->worker->now_ms);
    struct ban made = {.net = net_of(net), .set_ms = now, .until_ms = now + for_ms};
    assert_int_equal(bans_add(fix->relay.guard.bans, &made, now, NULL), ERR_OK);
}

uint64_t would_refuse(struct fixture *fix, enum reason reason)
{
    return atomic_load(&fix->relay.routes[0]->guard.would_refuse[reason]);
}

static size_t list(struct fixture *fix, struct client_info **out)
{
    size_t count;
    assert_int_equal(clients_list(fix->relay.guard.clients, fix->worker->now_ms, out, &count),
                     ERR_OK);
    return count;
}

size_t remembered(struct fixture *fix)
{
    struct client_info *clients;
    size_t count = list(fix, &clients);
    free(clients);
    return count;
}

uint32_t sessions_of(struct fixture *fix, const char *ip)
{
    struct addr addr = address_of(ip);
    struct client_info *clients;
    size_t count = list(fix, &clients);
    uint32_t sessions = 0;
    for (size_t i = 0; i < count; i++) {
        struct addr_net net = {.addr = clients[i].addr, .bits = clients[i].bits};
        if (addr_net_has(&net, &addr))
            sessions += clients[i].sessions;
    }
    free(clients);
    return sessions;
}
