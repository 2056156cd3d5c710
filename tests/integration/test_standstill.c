/* The relay stands still as a whole, as a stopped or suspended process does: that costs no
 * session anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"
#include "support/process.h"

#define STAND_MS 4000

static void freeze(struct relay_run *relay)
{
    if (!process_freeze(relay->process)) {
        print_message("this system cannot stop a process\n");
        skip();
    }
}

static void thaw(struct relay_run *relay)
{
    assert_true(process_thaw(relay->process));
}

/* Every standstill is counted and told once, however many workers noticed it. */
static void expect_told_once(struct relay_run *relay)
{
    expect_log(relay, "the relay stood still for ");
    uint64_t count = relay_info(relay, "standstills_total");
    assert_true(count >= 1);
    assert_in_range(relay_count_log(relay, "the relay stood still for "), 1, count + 1);
    assert_in_range(relay_info(relay, "standstill_last_ms"), 1001, UINT32_MAX);
}

static void what_came_during_a_standstill_counts_for_the_deadlines(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {.upstreams = &upstream,
                                      .upstream_count = 1,
                                      .relay_keys = "workers = 4\n",
                                      .route_keys = "idle_timeout = 2500ms\n"
                                                    "first_byte_timeout = 2500ms\n"};
    struct relay_run *relay = relay_start(state, &setup);
    struct session speaks = session_open(&relay->addr, listener);
    session_check(&speaks);
    struct session is_new = session_open(&relay->addr, listener);
    freeze(relay);
    send_bytes(speaks.upstream, 100);
    send_bytes(is_new.client, 100);
    os_sleep_ms(STAND_MS);
    thaw(relay);
    expect_bytes(speaks.client, 100);
    expect_bytes(is_new.upstream, 100);
    session_check(&speaks);
    session_check(&is_new);
    session_end(&speaks);
    session_end(&is_new);
    expect_told_once(relay);
    relay_wait_nothing_left(relay);
    assert_int_equal(relay_stat(relay, "sessions_ended_by_reason_total.client_fin"), 2);
    net_close(listener);
    relay_end(relay);
}

static void answer_check(sock_t listener)
{
    sock_t check;
    assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &check), ERR_OK);
    assert_int_equal(net_send(check, "x", 1, NET_PATIENCE_MS, NULL), ERR_OK);
    net_close(check);
}

static void a_check_that_a_standstill_interrupted_ends_no_session(void **state)
{
    struct addr upstream, checked;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream), check;
    sock_t checks = upstream_listen(ADDR_IPV4, &checked);
    char keys[256];
    str_format(keys, sizeof keys,
               "on_down = kill\nhealth = tcp port=%u interval=3s timeout=3s fall=1 rise=1 "
               "expect=\"x\"\n",
               (unsigned)checked.port);
    const struct relay_setup setup = {
        .upstreams = &upstream, .upstream_count = 1, .route_keys = keys};
    struct relay_run *relay = relay_start(state, &setup);
    answer_check(checks);
    struct session session = session_open(&relay->addr, listener);
    session_check(&session);

    /* The server answers in time, which the relay does not see. */
    assert_int_equal(net_accept(checks, NET_PATIENCE_MS, &check), ERR_OK);
    freeze(relay);
    assert_int_equal(net_send(check, "x", 1, NET_PATIENCE_MS, NULL), ERR_OK);
    os_sleep_ms(STAND_MS);
    thaw(relay);
    answer_check(checks);
    session_check(&session);
    expect_told_once(relay);
    assert_int_equal(relay_count_log(relay, "is DOWN"), 0);
    session_end(&session);
    net_close(check);
    net_close(checks);
    net_close(listener);
    relay_wait_nothing_left(relay);
    relay_end(relay);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_came_during_a_standstill_counts_for_the_deadlines,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_check_that_a_standstill_interrupted_ends_no_session,
                                  relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
