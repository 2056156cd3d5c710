/* What can run out is warned of before it does: sessions and descriptors of the real program. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

#define SESSIONS_MAX 60

static struct session sessions[SESSIONS_MAX];

static void open_sessions(const struct relay_run *relay, sock_t listener, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sessions[i] = session_open(&relay->addr, listener);
}

static void end_sessions(size_t count)
{
    for (size_t i = 0; i < count; i++)
        session_end(&sessions[i]);
}

static void sessions_near_their_limit_are_warned_of_once(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {.upstreams = &upstream,
                                      .upstream_count = 1,
                                      .relay_keys = "max_sessions = 20\n",
                                      .route_keys = "max_sessions = 10\n"};
    struct relay_run *relay = relay_start(state, &setup);
    open_sessions(relay, listener, 7);
    os_sleep_ms(1200); /* it has looked */
    assert_int_equal(relay_count_log(relay, "in use ("), 0);
    for (size_t i = 7; i < 9; i++)
        sessions[i] = session_open(&relay->addr, listener);
    expect_log(relay, "warning route 'test': sessions: ");
    os_sleep_ms(2200);
    assert_int_equal(relay_count_log(relay, "route 'test': sessions: "), 1);
    assert_int_equal(relay_count_log(relay, "warning sessions: "), 0); /* of 20 in all */
    end_sessions(9);
    expect_log(relay, "notice route 'test': sessions: back to 0 of 10 (0 %%)");
    relay_end(relay);
    net_close(listener);
}

static void few_descriptors_left_are_warned_of(void **state)
{
    struct addr upstream;
    if (test_on_windows()) {
        print_message("not shown: Windows has no limit of handles that could be lowered\n");
        skip();
    }
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {.upstreams = &upstream,
                                      .upstream_count = 1,
                                      .relay_keys = "max_sessions = 1000\nworkers = 1\n",
                                      .max_descriptors = 140};
    struct relay_run *relay = relay_start(state, &setup);
    uint64_t used = relay_info(relay, "descriptors_open");
    size_t count = (size_t)(112 - used) / 2 + 2; /* just over 80 % */
    assert_in_range(count, 1, SESSIONS_MAX);
    open_sessions(relay, listener, count);
    expect_log(relay, "warning descriptors: 11");
    end_sessions(count);
    expect_log(relay, "notice descriptors: back to ");
    relay_end(relay);
    net_close(listener);
}

static void info_tells_the_limits(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    assert_true(relay_info(relay, "memory_max_bytes") >
                relay_info(relay, "resident_memory_bytes"));
    json_t *info = relay_json(relay, "show info");
    const json_t *drops = json_object_get(info, "backlog_drops_total");
    if (test_on_windows())
        assert_true(json_is_null(drops));
    json_decref(info);
    if (!test_on_windows()) { /* known since the first look */
        uint64_t start = os_mono_ms();
        for (bool known = false; !known;) {
            assert_true(os_mono_ms() - start < NET_PATIENCE_MS);
            info = relay_json(relay, "show info");
            known = json_is_integer(json_object_get(info, "backlog_drops_total"));
            json_decref(info);
        }
    }
    relay_end(relay);
    net_close(listener);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(sessions_near_their_limit_are_warned_of_once, relay_teardown),
        cmocka_unit_test_teardown(few_descriptors_left_are_warned_of, relay_teardown),
        cmocka_unit_test_teardown(info_tells_the_limits, relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
