/* The thread that asks for the addresses of names: when it does, and what its answers change. It
 * is a real thread under a clock that only the test moves; the names are a fake's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "os/dns.h"
#include "relay/core/quiesce.h"
#include "relay/reload/reload.h"
#include "relay_fixture.h"
#include "support/wrapped_memory.h"

#define INTERVAL_MS 30000
#define PATIENCE_MS 3000

/* ---- the clock ---- */

static _Atomic uint64_t now_ms = 1000000;
static _Atomic unsigned turns; /* how often the resolver's thread began to wait */
static uint64_t test_thread;

uint64_t __wrap_os_mono_ms(void);
bool __real_os_cond_wait(struct os_cond *cond, struct os_mutex *mutex, uint32_t timeout_ms);
bool __wrap_os_cond_wait(struct os_cond *cond, struct os_mutex *mutex, uint32_t timeout_ms);

uint64_t __wrap_os_mono_ms(void)
{
    return atomic_load(&now_ms);
}

/* Wakes early, as any wait may, to look at the clock. */
bool __wrap_os_cond_wait(struct os_cond *cond, struct os_mutex *mutex, uint32_t timeout_ms)
{
    if (os_thread_id() != test_thread)
        atomic_fetch_add(&turns, 1);
    return __real_os_cond_wait(cond, mutex, timeout_ms < 2 ? timeout_ms : 2);
}

/* Lets the resolver's thread do what is due now. */
static void settle(void)
{
    unsigned from = atomic_load(&turns);
    while (atomic_load(&turns) < from + 2)
        os_sleep_ms(1);
}

static void pass(uint64_t ms)
{
    atomic_fetch_add(&now_ms, ms);
    settle();
}

/* ---- memory that the test's thread asks for ---- */

static _Atomic unsigned allocations;

bool memory_fails(void)
{
    if (os_thread_id() == test_thread)
        atomic_fetch_add(&allocations, 1);
    return false;
}

/* ---- the resolver ---- */

static unsigned asked_before;

static unsigned asked(void)
{
    return fake_resolve_asked() - asked_before;
}

static void know(const char *ip)
{
    struct addr addr = {0};
    if (ip != NULL)
        assert_int_equal(addr_parse_ip(ip, &addr), ERR_OK);
    fake_resolve_to(&addr, ip != NULL);
}

/* An answer with these addresses, whose records live so long. */
static struct dns_answer answer_of(const char *ips, uint32_t ttl_ms)
{
    struct dns_answer answer = {.ipv4 = DNS_NONE, .ipv6 = DNS_NONE, .ttl_ms = ttl_ms};
    char text[512];
    str_format(text, sizeof text, "%s", ips);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        struct addr *addr = &answer.addrs[answer.count++];
        assert_int_equal(addr_parse_ip(word, addr), ERR_OK);
        *(addr->family == ADDR_IPV4 ? &answer.ipv4 : &answer.ipv6) = DNS_FOUND;
    }
    return answer;
}

static void tell(struct dns_answer answer)
{
    fake_resolve_answer(&answer);
}

static int set_up(void **state)
{
    test_thread = os_thread_id();
    fixture_setup_unresolved(state);
    struct fixture *fix = *state;
    /* The first upstream is a name, the second an address. */
    str_format(fix->upstream_confs[0].host, sizeof fix->upstream_confs[0].host, "game.test");
    str_format(fix->upstream_confs[0].name, sizeof fix->upstream_confs[0].name,
               "game.test:9000");
    fix->route_conf.resolve_interval_ms = INTERVAL_MS;
    /* So that the thread does not touch the fake port, which is for one thread. */
    atomic_store(&fix->relay.lifecycle.running, false);
    fixture_gather_log();
    asked_before = fake_resolve_asked();
    fake_resolve_hold("");
    know("10.0.0.1");
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fix = *state;
    resolver_stop(fix->relay.resolver);
    fix->relay.resolver = NULL;
    atomic_store(&fix->relay.lifecycle.running, true);
    return fixture_teardown(state);
}

static struct fixture *start(void **state)
{
    struct fixture *fix = *state;
    assert_int_equal(resolver_start(&fix->relay.resolver, &fix->relay, PATIENCE_MS), ERR_OK);
    settle();
    return fix;
}

static struct route_upstream_info upstream(struct fixture *fix, size_t index)
{
    struct route_upstream_info info;
    struct upstreams *upstreams = &fix->relay.routes[0]->upstreams;
    os_mutex_lock(&upstreams->lock);
    route_get_upstream(upstreams->route, index, atomic_load(&now_ms), &info);
    os_mutex_unlock(&upstreams->lock);
    return info;
}

/* The name stands for this address alone. */
static void expect_server(struct fixture *fix, const char *addr)
{
    struct route_upstream_info info = upstream(fix, 0);
    char text[ADDR_TEXT_MAX];
    assert_int_equal(info.state, ROUTE_UP);
    assert_string_equal(addr_format(&info.servers[0].addr, text), addr);
    for (size_t i = 1; i < info.server_count; i++)
        assert_true(info.servers[i].gone);
}

/* The addresses in use, in their order. */
static void expect_addrs(struct fixture *fix, size_t index, const char *ips)
{
    struct route_upstream_info info = upstream(fix, index);
    char text[2048] = "", ip[ADDR_TEXT_MAX];
    size_t len = 0;
    for (size_t i = 0; i < info.server_count; i++)
        if (!info.servers[i].gone)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", len > 0 ? " " : "",
                                    addr_format_ip(&info.servers[i].addr, ip));
    assert_string_equal(text, ips);
}

static struct resolver_info info_of(struct fixture *fix)
{
    struct resolver_info info;
    assert_true(resolver_get_info(fix->relay.resolver, fix->relay.routes[0], 0, &info));
    return info;
}

/* ---- tests ---- */

static void names_and_addresses_are_there_when_it_has_started(void **state)
{
    struct fixture *fix = start(state);
    expect_server(fix, "10.0.0.1:9000");
    assert_int_equal(upstream(fix, 1).state, ROUTE_UP);
    assert_int_equal(asked(), 1);
    struct resolver_info info = info_of(fix);
    assert_int_equal(info.resolved_ms, atomic_load(&now_ms));
    assert_int_equal(info.failures_total, 0);
    assert_string_equal(info.why, "");
    assert_false(resolver_get_info(fix->relay.resolver, fix->relay.routes[0], 1, &info));
}

static void a_name_is_asked_for_again_after_each_interval(void **state)
{
    struct fixture *fix = start(state);
    know("10.0.0.2");
    pass(INTERVAL_MS - 1);
    assert_int_equal(asked(), 1);
    expect_server(fix, "10.0.0.1:9000");
    pass(1);
    assert_int_equal(asked(), 2);
    expect_server(fix, "10.0.0.2:9000");
    pass(INTERVAL_MS);
    assert_int_equal(asked(), 3);
}

static void with_interval_off_a_name_is_asked_for_at_the_start_or_when_hurried(void **state)
{
    ((struct fixture *)*state)->route_conf.resolve_interval_ms = 0;
    struct fixture *fix = start(state);
    know("10.0.0.2");
    pass(UINT64_C(1000) * 86400 * 365);
    assert_int_equal(asked(), 1);
    assert_true(resolver_hurry(fix->relay.resolver, fix->relay.routes[0], 0));
    settle();
    assert_int_equal(asked(), 2);
    expect_server(fix, "10.0.0.2:9000");
    pass(INTERVAL_MS);
    assert_int_equal(asked(), 2);
}

static void who_hurries_has_it_asked_a_second_after_the_last_time(void **state)
{
    struct fixture *fix = start(state);
    for (unsigned i = 0; i < 10; i++)
        assert_true(resolver_hurry(fix->relay.resolver, fix->relay.routes[0], 0));
    pass(999);
    assert_int_equal(asked(), 1);
    pass(1);
    assert_int_equal(asked(), 2); /* once for all ten */
    pass(10000);
    assert_int_equal(asked(), 2);
    assert_true(resolver_hurry(fix->relay.resolver, fix->relay.routes[0], 0));
    settle();
    assert_int_equal(asked(), 3);
    assert_false(resolver_hurry(fix->relay.resolver, fix->relay.routes[0], 1)); /* an address */
    assert_false(resolver_hurry(NULL, fix->relay.routes[0], 0));
}

static void a_failed_connect_hurries(void **state)
{
    struct fixture *fix = start(state);
    fix->route_conf.balance = CONF_FIRST;
    fixture_accept(fix);
    fake_port_finish(fixture_op(SOCK_NONE, OP_CONNECT), ERR_REFUSED, 0);
    fixture_pump(fix);
    pass(1000);
    assert_int_equal(asked(), 2);
}

static void a_failure_leaves_the_last_addresses_and_is_logged_once(void **state)
{
    struct fixture *fix = start(state);
    know(NULL);
    pass(INTERVAL_MS);
    fixture_expect_log(
        "route 'game': upstream 'game.test:9000' can't be resolved: nobody knows "
        "that name; its last addresses stay in use\n");
    fixture_gather_log();
    pass(1000);
    pass(2000);
    fixture_expect_no_log("resolved");
    expect_server(fix, "10.0.0.1:9000");
    struct resolver_info info = info_of(fix);
    assert_int_equal(info.failures_total, 3);
    assert_string_equal(info.why, "nobody knows that name");
    assert_int_equal(info.resolved_ms, atomic_load(&now_ms) - UINT64_C(33000));

    know("10.0.0.1");
    pass(4000);
    fixture_expect_log("route 'game': upstream 'game.test:9000' can be resolved again\n");
    assert_string_equal(info_of(fix).why, "");
}

static void a_name_that_fails_is_asked_for_less_and_less_often(void **state)
{
    know(NULL);
    struct fixture *fix = start(state);
    unsigned before = asked();
    uint64_t delay_ms = 1000;
    for (unsigned tries = 1; tries <= 9; tries++) {
        pass(delay_ms - 1);
        assert_int_equal(asked() - before, tries - 1);
        pass(1);
        assert_int_equal(asked() - before, tries);
        delay_ms = delay_ms * 2 < INTERVAL_MS ? delay_ms * 2 : INTERVAL_MS;
    }
    know("10.0.0.1");
    pass(INTERVAL_MS);
    assert_string_equal(info_of(fix).why, "");
    know(NULL);
    pass(INTERVAL_MS);
    before = asked();
    pass(1000); /* soon again, after the first failure in a row */
    assert_int_equal(asked() - before, 1);
}

static void records_are_asked_for_again_when_their_time_to_live_is_over(void **state)
{
    tell(answer_of("10.0.0.1", 5000));
    struct fixture *fix = start(state);
    tell(answer_of("10.0.0.2", 0));
    pass(4999);
    assert_int_equal(asked(), 1);
    pass(1);
    assert_int_equal(asked(), 2);
    expect_server(fix, "10.0.0.2:9000");
    pass(999); /* not more often than once a second */
    assert_int_equal(asked(), 2);
    tell(answer_of("10.0.0.3", INTERVAL_MS + 1));
    pass(1);
    assert_int_equal(asked(), 3);
    pass(INTERVAL_MS - 1);
    assert_int_equal(asked(), 3);
    pass(1); /* and not later than after resolve_interval */
    assert_int_equal(asked(), 4);
}

static void a_family_that_fails_keeps_its_addresses_and_the_other_is_followed(void **state)
{
    tell(answer_of("fd00::1 fd00::2 10.0.0.1", DNS_NO_TTL));
    struct fixture *fix = start(state);
    expect_addrs(fix, 0, "fd00::1 fd00::2 10.0.0.1");

    struct dns_answer answer = answer_of("10.0.0.2", DNS_NO_TTL);
    answer.ipv6 = DNS_FAILED;
    str_format(answer.why, sizeof answer.why, "IPv6: no name server answers");
    tell(answer);
    pass(INTERVAL_MS);
    expect_addrs(fix, 0, "fd00::1 fd00::2 10.0.0.2");
    fixture_expect_log("upstream 'game.test:9000' is resolved in part: IPv6: no name server "
                       "answers; ");
    assert_string_equal(info_of(fix).why, "IPv6: no name server answers");
    assert_int_equal(info_of(fix).failures_total, 0);
    assert_int_equal(info_of(fix).resolved_ms, atomic_load(&now_ms));

    answer = answer_of("fd00::3", DNS_NO_TTL);
    answer.ipv4 = DNS_FAILED;
    tell(answer);
    pass(1000); /* what failed is tried again soon */
    expect_addrs(fix, 0, "fd00::3 10.0.0.2");
}

static void a_family_that_certainly_has_no_address_goes(void **state)
{
    tell(answer_of("fd00::1 10.0.0.1", DNS_NO_TTL));
    struct fixture *fix = start(state);
    tell(answer_of("10.0.0.1", DNS_NO_TTL));
    pass(INTERVAL_MS);
    expect_addrs(fix, 0, "10.0.0.1");

    tell(answer_of("fd00::1 10.0.0.1", DNS_NO_TTL));
    pass(INTERVAL_MS);
    struct dns_answer answer = {.ipv4 = DNS_NONE, .ipv6 = DNS_FAILED, .ttl_ms = DNS_NO_TTL};
    tell(answer);
    pass(INTERVAL_MS);
    expect_addrs(fix, 0, "fd00::1");
}

static void what_the_first_family_says_is_used_before_the_other_answers(void **state)
{
    fake_resolve_hold("game.test");
    struct dns_answer first = answer_of("10.0.0.1", DNS_NO_TTL);
    first.ipv6 = DNS_FAILED;
    first.more = true;
    fake_resolve_release(&first);
    struct fixture *fix = start(state);
    expect_addrs(fix, 0, "10.0.0.1");
    fixture_expect_no_log("resolved");
    pass(10 * INTERVAL_MS); /* the question is not over */
    assert_int_equal(asked(), 1);
    struct dns_answer both = answer_of("fd00::1 10.0.0.1", DNS_NO_TTL);
    fake_resolve_release(&both);
    settle();
    expect_addrs(fix, 0, "10.0.0.1 fd00::1");
    fixture_expect_no_log("resolved");
}

static void a_name_without_an_answer_holds_up_no_other(void **state)
{
    struct fixture *fix = *state;
    str_format(fix->upstream_confs[1].host, sizeof fix->upstream_confs[1].host, "slow.test");
    fake_resolve_hold("slow.test");
    assert_int_equal(resolver_start(&fix->relay.resolver, &fix->relay, 0), ERR_OK);
    settle();
    expect_addrs(fix, 0, "10.0.0.1");
    assert_int_equal(upstream(fix, 1).server_count, 0);
    know("10.0.0.2");
    pass(INTERVAL_MS);
    expect_addrs(fix, 0, "10.0.0.2");
    struct dns_answer late = answer_of("10.0.0.7", DNS_NO_TTL);
    fake_resolve_release(&late);
    settle();
    expect_addrs(fix, 1, "10.0.0.7");
    fake_resolve_hold("");
}

/* 40 addresses in another order each time: no server comes, none goes. */
static void the_order_of_many_addresses_does_not_matter(void **state)
{
    enum { MANY = 40 };
    struct addr addrs[MANY];
    for (size_t i = 0; i < MANY; i++)
        addrs[i] = (struct addr){.family = ADDR_IPV4, .ip = {10, 1, 0, (uint8_t)i}};
    fake_resolve_to(addrs, MANY);
    struct fixture *fix = start(state);
    for (unsigned turn = 0; turn < 5; turn++) {
        struct addr last = addrs[MANY - 1];
        memmove(&addrs[1], &addrs[0], (MANY - 1) * sizeof addrs[0]);
        addrs[0] = last;
        fake_resolve_to(addrs, MANY);
        pass(INTERVAL_MS);
    }
    struct route_upstream_info info = upstream(fix, 0);
    assert_int_equal(info.server_count, MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_false(info.servers[i].gone);
        assert_int_equal(info.servers[i].addr.ip[3], i);
        assert_int_equal(info.servers[i].since_ms, info.servers[0].since_ms);
    }
}

static void a_stop_waits_for_no_answer(void **state)
{
    struct fixture *fix = *state;
    fake_resolve_hold("game.test");
    assert_int_equal(resolver_start(&fix->relay.resolver, &fix->relay, 0), ERR_OK);
    settle();
    uint64_t before_ms = atomic_load(&now_ms);
    resolver_stop(fix->relay.resolver);
    fix->relay.resolver = NULL;
    assert_int_equal(atomic_load(&now_ms), before_ms);
    fake_resolve_hold("");
}

static void a_name_that_never_resolved_takes_no_session_and_others_do(void **state)
{
    know(NULL);
    struct fixture *fix = start(state);
    assert_int_equal(upstream(fix, 0).state, ROUTE_UNRESOLVED);
    assert_string_equal(upstream(fix, 0).word, "DOWN (resolution)");
    assert_int_equal(upstream(fix, 1).state, ROUTE_UP);
    fixture_expect_log("can't be resolved: nobody knows that name; no session goes there until "
                       "it can\n");
    for (unsigned i = 0; i < 3; i++) {
        fixture_accept(fix);
        assert_int_equal(fixture_op(SOCK_NONE, OP_CONNECT)->addr.ip[3], 6); /* 10.0.0.6 */
        fixture_connect(fix);
    }
    know("10.0.0.9");
    pass(INTERVAL_MS);
    expect_server(fix, "10.0.0.9:9000");
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void a_name_that_a_reload_brings_is_known_before_it(void **state)
{
    struct fixture *fix = start(state);
    struct resolver *resolver = fix->relay.resolver;
    char *host = fix->upstream_confs[0].host;
    know("10.0.0.2");
    str_format(host, CONF_HOST_MAX, "other.test");
    assert_int_equal(resolver_prepare(resolver, fix->relay.conf, PATIENCE_MS), ERR_OK);
    assert_int_equal(asked(), 2);
    expect_server(fix, "10.0.0.1:9000"); /* nothing has changed yet */
    know(NULL);
    resolver_reload(resolver);
    expect_server(fix, "10.0.0.2:9000");
    assert_int_equal(info_of(fix).resolved_ms, atomic_load(&now_ms));
    settle();
    assert_int_equal(asked(), 2); /* it is due as any other */
    pass(INTERVAL_MS);
    assert_int_equal(asked(), 3);
}

static void what_is_not_known_before_a_reload_is_asked_for_after_it(void **state)
{
    struct fixture *fix = start(state);
    struct resolver *resolver = fix->relay.resolver;
    know(NULL);
    str_format(fix->upstream_confs[0].host, CONF_HOST_MAX, "other.test");
    assert_int_equal(resolver_prepare(resolver, fix->relay.conf, PATIENCE_MS), ERR_OK);
    know("10.0.0.3");
    resolver_reload(resolver);
    settle();
    expect_server(fix, "10.0.0.3:9000");
}

static struct conf *load(const char *text)
{
    struct str messages;
    struct conf *conf = NULL;
    str_init(&messages);
    assert_int_equal(conf_load_text("t.ini", text, strlen(text), &conf, &messages), ERR_OK);
    str_free(&messages);
    return conf;
}

/* As reload_run() does it, but without workers. */
static void reload(struct fixture *fix, struct conf *conf)
{
    struct reload *reload;
    struct str why;
    str_init(&why);
    assert_int_equal(reload_prepare(&reload, &fix->relay, conf, &why), ERR_OK);
    quiesce_keep_out(&fix->relay);
    assert_int_equal(reload_complete(reload, &why), ERR_OK);
    atomic_store(&allocations, 0);
    reload_apply(reload);
    assert_int_equal(atomic_load(&allocations), 0);
    quiesce_end(&fix->relay);
    str_free(&why);
    port_post(fix->relay.port, &fix->relay.reloaded.message);
    fixture_pump(fix);
    fixture_cancelled(fix);
}

/* New names and addresses, of new routes and of those there are; one that comes back; and so many
 * failures to remember that each server needs another size. */
static void a_reload_allocates_nothing_for_addresses_while_the_workers_stand_still(void **state)
{
    static const char *const texts[] = {
        "[route game]\nlisten = 127.0.0.1:7000\nupstream = game.test:9000\n"
        "upstream = other.test:9000\nupstream = 10.0.0.8:9000\neject = 7 in 10s for 30s\n"
        "[route more]\nlisten = 127.0.0.1:7001\nupstream = 10.0.0.9:9000\n"
        "upstream = third.test:9000\n",
        "[route game]\nlisten = 127.0.0.1:7000\nupstream = 10.0.0.8:9000\n"
        "[route more]\nlisten = 127.0.0.1:7001\nupstream = fourth.test:9000\n",
        "[route game]\nlisten = 127.0.0.1:7000\nupstream = game.test:9000\n"
        "upstream = other.test:9000\nupstream = fifth.test:9000\neject = 3 in 10s for 30s\n",
    };
    struct fixture *fix = start(state);
    struct conf *confs[3];
    struct dns_answer answer = answer_of("10.0.1.1 10.0.1.2 10.0.1.3 fd00::1", 60000);
    tell(answer);
    for (size_t i = 0; i < 3; i++) {
        confs[i] = load(texts[i]);
        reload(fix, confs[i]);
    }
    for (size_t i = 0; i < fix->relay.routes[0]->conf->upstream_count; i++)
        if (!fix->relay.routes[0]->conf->upstreams[i].removed)
            expect_addrs(fix, i, "10.0.1.1 10.0.1.2 10.0.1.3 fd00::1");
    tear_down(state);
    for (size_t i = 0; i < 3; i++)
        conf_free(confs[i]);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        test(a_name_that_a_reload_brings_is_known_before_it),
        test(what_is_not_known_before_a_reload_is_asked_for_after_it),
        cmocka_unit_test_setup(
            a_reload_allocates_nothing_for_addresses_while_the_workers_stand_still, set_up),
        test(names_and_addresses_are_there_when_it_has_started),
        test(a_name_is_asked_for_again_after_each_interval),
        test(with_interval_off_a_name_is_asked_for_at_the_start_or_when_hurried),
        test(who_hurries_has_it_asked_a_second_after_the_last_time),
        test(a_failed_connect_hurries),
        test(a_failure_leaves_the_last_addresses_and_is_logged_once),
        test(a_name_that_fails_is_asked_for_less_and_less_often),
        test(a_name_that_never_resolved_takes_no_session_and_others_do),
        test(records_are_asked_for_again_when_their_time_to_live_is_over),
        test(a_family_that_fails_keeps_its_addresses_and_the_other_is_followed),
        test(a_family_that_certainly_has_no_address_goes),
        test(what_the_first_family_says_is_used_before_the_other_answers),
        test(a_name_without_an_answer_holds_up_no_other),
        test(the_order_of_many_addresses_does_not_matter),
        test(a_stop_waits_for_no_answer),
    };
    return cmocka_run_group_tests_name("relay_resolver", tests, NULL, NULL);
}
