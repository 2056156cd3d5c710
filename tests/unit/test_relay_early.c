/* What a client behind a proxy says before its upstream is connected, and the ends of a session
 * in that time. That no buffer and no memory is left each teardown of the fixture checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy_header_fixture.h"
#include "relay/accept/listener.h"
#include "relay/run.h"
#include "relay/server_info.h"

/* The next calloc() does not get memory. */
static bool no_memory;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    bool fails = no_memory;
    no_memory = false;
    return fails ? NULL : __real_calloc(count, size);
}

static unsigned cancels_to_lose;

void __real_port_cancel(struct port *port, sock_t sock);
void __wrap_port_cancel(struct port *port, sock_t sock);

void __wrap_port_cancel(struct port *port, sock_t sock)
{
    if (cancels_to_lose > 0)
        cancels_to_lose--;
    else
        __real_port_cancel(port, sock);
}

static struct fixture *trusting(void **state, enum conf_proxy_in in)
{
    struct fixture *fix = *state;
    expect_headers(fix, in, true);
    return fix;
}

/* A client whose header has come, with "early" behind it. */
static sock_t accept_early(struct fixture *fix)
{
    sock_t client = fixture_accept(fix);
    fake_sock_arrive(client, headers[2].bytes, headers[2].len);
    fixture_arrive(fix, client, "early");
    return client;
}

/* ---- bytes ---- */

static void wherever_the_stream_is_cut_the_payload_reaches_the_upstream_once(void **state)
{
    struct fixture *fix = trusting(state, CONF_PROXY_IN_REQUIRED);
    for (size_t kind = 0; kind < HEADERS; kind++) {
        unsigned char stream[HEADER_MAX + 5];
        size_t len = headers[kind].len + 5;
        memcpy(stream, headers[kind].bytes, headers[kind].len);
        memcpy(stream + headers[kind].len, "hello", 5);
        for (size_t cut = 1; cut < len; cut++) {
            sock_t client = fixture_accept(fix);
            fixture_arrive_bytes(fix, client, stream, cut);
            if (cut < headers[kind].len)
                fixture_arrive_bytes(fix, client, stream + cut, len - cut);
            else
                fake_sock_arrive(client, stream + cut, len - cut);
            sock_t upstream = fixture_connect(fix);
            settle(fix, client, upstream);
            fixture_expect_sent(upstream, "hello", 5);
            fixture_kill_latest(fix);
        }
    }
}

static void what_only_begins_like_a_header_reaches_the_upstream_whole(void **state)
{
    static const char *const pieces[][3] = {
        {"P", "ING", ""},  {"PROX", "IMA CENTAURI", ""}, {"\r\n\r\n", "\r\n", " and more"},
        {"P", "R", "OBE"}, {"\r", "\n", "GET"},
    };
    struct fixture *fix = trusting(state, CONF_PROXY_IN_OPTIONAL);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        char whole[64];
        size_t len =
            str_format(whole, sizeof whole, "%s%s%s", pieces[i][0], pieces[i][1], pieces[i][2]);
        sock_t client = fixture_accept(fix);
        for (size_t k = 0; k < 3; k++)
            if (fake_port_waiting(client, OP_READ) > 0)
                fixture_arrive(fix, client, pieces[i][k]);
            else
                fake_sock_arrive(client, pieces[i][k], strlen(pieces[i][k]));
        sock_t upstream = fixture_connect(fix);
        settle(fix, client, upstream);
        fixture_expect_sent(upstream, whole, len);
        fixture_kill_latest(fix);
    }
}

static void more_than_is_received_at_once_reaches_the_upstream_in_order(void **state)
{
    enum { PAYLOAD = 20000 };
    struct fixture *fix = trusting(state, CONF_PROXY_IN_REQUIRED);
    unsigned char *payload = malloc(PAYLOAD);
    assert_non_null(payload);
    for (size_t i = 0; i < PAYLOAD; i++)
        payload[i] = (unsigned char)(i * 7 + i / 255);
    sock_t client = fixture_accept(fix);
    fake_sock_arrive(client, headers[0].bytes, headers[0].len);
    fixture_arrive_bytes(fix, client, payload, PAYLOAD);
    sock_t upstream = fixture_connect(fix);
    settle(fix, client, upstream);
    fixture_expect_sent(upstream, payload, PAYLOAD);
    assert_int_equal(latest_info(fix).up.bytes, PAYLOAD);
    free(payload);
}

static void early_bytes_go_before_later_ones_and_the_fin(void **state)
{
    struct fixture *fix = trusting(state, CONF_PROXY_IN_REQUIRED);
    sock_t client = accept_early(fix);
    fake_sock_arrive(client, ", later", 7);
    fake_sock(client)->coming_end = ERR_OK;
    sock_t upstream = fixture_connect(fix);
    assert_int_equal(fake_sock(upstream)->shut_calls, 0);
    settle(fix, client, upstream);
    fixture_expect_sent(upstream, "early, later", 12);
    assert_true(fake_sock(upstream)->shut);
    assert_int_equal(fixture_counter(fix, STAT_BYTES_UP), 12);
}

static void early_bytes_outlive_a_failed_connect(void **state)
{
    struct fixture *fix = trusting(state, CONF_PROXY_IN_REQUIRED);
    sock_t client = accept_early(fix);
    sock_t first = fixture_connecting();
    fake_port_finish(fixture_op(first, OP_CONNECT), ERR_REFUSED, 0);
    fixture_pump(fix);
    sock_t upstream = fixture_connect(fix);
    settle(fix, client, upstream);
    fixture_expect_sent(first, "", 0);
    fixture_expect_sent(upstream, "early", 5);
}

static void what_comes_when_the_time_is_over_still_counts(void **state)
{
    struct fixture *fix = trusting(state, CONF_PROXY_IN_REQUIRED);
    sock_t client = fixture_accept(fix);
    fixture_pass(fix, PROXY_TIMEOUT_MS + WHEEL_SLOT_MS);
    assert_true(fake_port_cancel_asked(fixture_op(client, OP_READ)));
    fixture_arrive_bytes(fix, client, headers[1].bytes, headers[1].len); /* it was faster */
    struct server_session_info info = latest_info(fix);
    assert_int_equal(info.phase, PHASE_CONNECT);
    assert_true(addr_equal(&info.client, &headers[1].source));
    fixture_connect(fix);
}

static void half_a_header_when_the_time_is_over_is_too_late(void **state)
{
    struct fixture *fix = trusting(state, CONF_PROXY_IN_REQUIRED);
    sock_t client = fixture_accept(fix);
    fixture_pass(fix, PROXY_TIMEOUT_MS + WHEEL_SLOT_MS);
    fixture_arrive_bytes(fix, client, headers[1].bytes, 20);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_PROXY_TIMEOUT), 1);
}

/* ---- ends ---- */

static void end_latest(struct fixture *fix, enum reason reason)
{
    struct pair *pair = fixture_latest(fix);
    assert_non_null(pair);
    assert_true(pair_end(pair, reason));
    fixture_pass(fix, WHEEL_SLOT_MS);
    fixture_cancelled(fix);
    assert_int_equal(pair->life, PAIR_RELEASED);
    assert_null(pair->proxy_header); /* although the test still has its hold */
    pair_unref(pair);
}

static void a_session_that_is_killed_before_its_header_has_come_leaves_nothing(void **state)
{
    struct fixture *fix = trusting(state, CONF_PROXY_IN_REQUIRED);
    fixture_gather_log();
    sock_t client = fixture_accept(fix);
    fixture_arrive(fix, client, "PROXY TCP4 ");
    end_latest(fix, REASON_KILLED);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    fixture_expect_log("client=1.2.3.4:40000 upstream=- reason=killed phase=accept");
    fixture_expect_no_log("refused");
}

static void a_header_that_comes_after_the_kill_changes_nothing(void **state)
{
    struct fixture *fix = trusting(state, CONF_PROXY_IN_REQUIRED);
    sock_t client = fixture_accept(fix);
    struct pair *pair = fixture_latest(fix);
    pair_end(pair, REASON_KILLED);
    pair_unref(pair);
    fixture_pass(fix, WHEEL_SLOT_MS);
    fixture_arrive_bytes(fix, client, headers[0].bytes, headers[0].len);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_KILLED), 1);
    assert_int_equal(fake_port_waiting(SOCK_NONE, OP_CONNECT), 0);
}

static void a_session_is_killed_also_when_its_time_is_over(void **state)
{
    struct fixture *fix = trusting(state, CONF_PROXY_IN_OPTIONAL);
    sock_t client = fixture_accept(fix);
    fixture_pass(fix, PROXY_TIMEOUT_MS + WHEEL_SLOT_MS); /* the READ is being cancelled */
    end_latest(fix, REASON_KILLED);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_KILLED), 1);
}

static void a_stop_ends_sessions_whose_header_has_not_come(void **state)
{
    struct fixture *fix = trusting(state, CONF_PROXY_IN_REQUIRED);
    sock_t client = fixture_accept(fix);
    fixture_arrive_bytes(fix, client, headers[3].bytes, 30);
    run_stop(&fix->relay, true);
    fixture_pump(fix);
    fixture_pass(fix, 2 * WHEEL_SLOT_MS);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_STOPPED), 1);
}

static void a_session_that_is_killed_while_it_connects_gives_back_its_early_bytes(void **state)
{
    struct fixture *fix = trusting(state, CONF_PROXY_IN_REQUIRED);
    accept_early(fix);
    assert_int_equal(atomic_load(&fix->worker->cache.used), 1);
    end_latest(fix, REASON_KILLED);
    assert_int_equal(atomic_load(&fix->worker->cache.used), 0);
}

static void a_client_that_resets_while_it_is_held_gives_back_its_early_bytes(void **state)
{
    struct fixture *fix = trusting(state, CONF_PROXY_IN_REQUIRED);
    fix->route_conf.when_down = CONF_HOLD;
    fix->route_conf.hold_ms = 30000;
    fix->route_conf.queue_max = 10;
    for (size_t i = 0; i < 2; i++)
        route_set_admin(fix->relay.routes[0]->upstreams.route, i, ROUTE_DISABLED,
                        fix->worker->now_ms);
    sock_t client = accept_early(fix);
    assert_int_equal(latest_info(fix).phase, PHASE_HELD);
    assert_int_equal(atomic_load(&fix->worker->cache.used), 1);
    fixture_arrive_error(fix, client, ERR_RESET);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_RESET), 1);
}

static void early_bytes_are_given_back_when_every_try_fails(void **state)
{
    struct fixture *fix = trusting(state, CONF_PROXY_IN_REQUIRED);
    fix->route_conf.connect_retries = 1;
    sock_t client = accept_early(fix);
    for (unsigned i = 0; i < 2; i++) {
        fake_port_finish(fixture_op(SOCK_NONE, OP_CONNECT), ERR_REFUSED, 0);
        fixture_pump(fix);
    }
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_CONNECT_REFUSED), 1);
}

static void a_cancel_that_is_lost_at_the_timeout_is_asked_for_again(void **state)
{
    struct fixture *fix = trusting(state, CONF_PROXY_IN_REQUIRED);
    sock_t client = fixture_accept(fix);
    cancels_to_lose = 1;
    fixture_pass(fix, PROXY_TIMEOUT_MS + WHEEL_SLOT_MS);
    assert_int_equal(cancels_to_lose, 0);
    fixture_pass(fix, 1500);
    assert_true(fake_port_cancel_asked(fixture_op(client, OP_READ)));
}

/* ---- without memory ---- */

static void *no_pages(size_t size)
{
    (void)size;
    return NULL;
}

static void
without_memory_for_a_header_the_client_is_refused_and_the_listener_rests(void **state)
{
    struct fixture *fix = trusting(state, CONF_PROXY_IN_REQUIRED);
    struct op *accept = fixture_op(fix->listener, OP_ACCEPT);
    const struct addr peer = own_address();
    sock_t client = fake_port_finish_accept(accept, &peer);
    no_memory = true;
    fixture_pump(fix);
    assert_false(no_memory);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_NO_MEMORY), 1);
    assert_true(atomic_load(&fix->relay.routes[0]->listeners[0]->starved));
}

static void without_memory_for_early_bytes_the_workers_reserve_keeps_them(void **state)
{
    struct fixture *fix = trusting(state, CONF_PROXY_IN_REQUIRED);
    sock_t client = fixture_accept(fix);
    fake_sock_arrive(client, headers[2].bytes, headers[2].len);
    fix->relay.buffers.classes[0].slab.pages.alloc = no_pages;
    fixture_arrive(fix, client, "early");
    sock_t upstream = fixture_connect(fix);
    settle(fix, client, upstream);
    fixture_expect_sent(upstream, "early", 5);
}

static void without_memory_what_begins_like_a_header_is_kept_in_order(void **state)
{
    struct fixture *fix = trusting(state, CONF_PROXY_IN_OPTIONAL);
    fix->relay.buffers.classes[0].slab.pages.alloc = no_pages;
    sock_t client = fixture_accept(fix);
    fixture_arrive(fix, client, "PROX");
    fixture_arrive(fix, client, "IMA CENTAURI");
    sock_t upstream = fixture_connect(fix);
    settle(fix, client, upstream);
    fixture_expect_sent(upstream, "PROXIMA CENTAURI", 16);
}

static void
without_memory_and_reserve_a_header_is_not_received_and_its_client_refused(void **state)
{
    struct fixture *fix = trusting(state, CONF_PROXY_IN_REQUIRED);
    sock_t client = fixture_accept(fix);
    fix->relay.buffers.classes[0].slab.pages.alloc = no_pages;
    fix->relay.buffers.pages.alloc = no_pages;
    struct buffer reserve = buffers_keep_scratch(&fix->worker->cache);
    fake_sock_arrive(client, headers[2].bytes, headers[2].len);
    fixture_arrive(fix, client, "early");
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_NO_MEMORY), 1);
    assert_int_equal(fixture_counter(fix, STAT_SESSIONS), 0);
    buffers_give(&fix->relay.buffers, &fix->worker->cache, &reserve);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    make_headers();
    const struct CMUnitTest tests[] = {
        test(wherever_the_stream_is_cut_the_payload_reaches_the_upstream_once),
        test(what_only_begins_like_a_header_reaches_the_upstream_whole),
        test(more_than_is_received_at_once_reaches_the_upstream_in_order),
        test(early_bytes_go_before_later_ones_and_the_fin),
        test(early_bytes_outlive_a_failed_connect),
        test(what_comes_when_the_time_is_over_still_counts),
        test(half_a_header_when_the_time_is_over_is_too_late),
        test(a_session_that_is_killed_before_its_header_has_come_leaves_nothing),
        test(a_header_that_comes_after_the_kill_changes_nothing),
        test(a_session_is_killed_also_when_its_time_is_over),
        test(a_stop_ends_sessions_whose_header_has_not_come),
        test(a_session_that_is_killed_while_it_connects_gives_back_its_early_bytes),
        test(a_client_that_resets_while_it_is_held_gives_back_its_early_bytes),
        test(early_bytes_are_given_back_when_every_try_fails),
        test(a_cancel_that_is_lost_at_the_timeout_is_asked_for_again),
        test(without_memory_for_a_header_the_client_is_refused_and_the_listener_rests),
        test(without_memory_for_early_bytes_the_workers_reserve_keeps_them),
        test(without_memory_what_begins_like_a_header_is_kept_in_order),
        test(without_memory_and_reserve_a_header_is_not_received_and_its_client_refused),
    };
    return cmocka_run_group_tests_name("relay_early", tests, NULL, NULL);
}
