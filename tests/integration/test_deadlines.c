/* The deadlines of a connected session in the real program: each ends it with its reason, resets
 * both sides, and not before its time. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

struct limited {
    struct relay_run *relay;
    sock_t listener;
    struct session session;
    uint64_t before_ms;  /* before it was connected */
    bool upstream_reset; /* it has been seen already */
};

static struct limited start_limited(void **state, const char *keys)
{
    struct limited limited;
    struct addr upstream;
    limited.upstream_reset = false;
    limited.listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {
        .upstreams = &upstream, .upstream_count = 1, .route_keys = keys};
    limited.relay = relay_start(state, &setup);
    limited.before_ms = os_mono_ms();
    limited.session = session_open(&limited.relay->addr, limited.listener);
    return limited;
}

/* Both sides are reset, after so long at least. */
static void expect_ended(struct limited *limited, uint64_t at_least_ms, const char *reason)
{
    assert_true(net_wait_reset(limited->session.client, NET_PATIENCE_MS));
    expect_passed(limited->before_ms, at_least_ms);
    assert_true(limited->upstream_reset ||
                net_wait_reset(limited->session.upstream, NET_PATIENCE_MS));
    session_drop(&limited->session);
    net_close(limited->listener);
    relay_wait_nothing_left(limited->relay);
    char member[128];
    str_format(member, sizeof member, "sessions_ended_by_reason_total.%s", reason);
    assert_int_equal(relay_stat(limited->relay, member), 1);
    expect_log(limited->relay, "reason=%s phase=data", reason);
    relay_end(limited->relay);
}

static void a_client_that_says_nothing_ends_at_first_byte_timeout(void **state)
{
    struct limited limited = start_limited(state, "first_byte_timeout = 700ms\n");
    send_bytes(limited.session.upstream, 100);
    expect_ended(&limited, 700, "first_byte_timeout");
}

static void a_session_slower_than_min_rate_ends(void **state)
{
    struct limited limited = start_limited(state, "min_rate = 1KB/s over 1s\n");
    send_bytes(limited.session.client, 500);
    expect_bytes(limited.session.upstream, 500);
    expect_ended(&limited, 1000, "min_rate");
}

static void a_reader_that_takes_nothing_ends_at_max_backlog_age(void **state)
{
    struct limited limited = start_limited(state, "max_backlog_age = 1s\n");
    uint64_t sent;
    /* Ends with the reset, when that comes before the time of quiet. */
    enum err err = net_send_until_full(limited.session.upstream, 500, &sent);
    limited.upstream_reset = err != ERR_OK;
    expect_ended(&limited, 1000, "max_backlog_age");
}

static void a_session_ends_at_max_session_time(void **state)
{
    struct limited limited = start_limited(state, "max_session_time = 1s\n");
    session_check(&limited.session);
    expect_ended(&limited, 1000, "max_session_time");
}

#define DEADLINE_TEST(name) cmocka_unit_test_teardown(name, relay_teardown)

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        DEADLINE_TEST(a_client_that_says_nothing_ends_at_first_byte_timeout),
        DEADLINE_TEST(a_session_slower_than_min_rate_ends),
        DEADLINE_TEST(a_reader_that_takes_nothing_ends_at_max_backlog_age),
        DEADLINE_TEST(a_session_ends_at_max_session_time),
    };
    return cmocka_run_group_tests_name("deadlines", tests, NULL, NULL);
}
