/* The relay when its system gives it no more memory: its address space may not grow any more.
 * Slow readers then get their bytes later, and no other session notices. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

#define SLOW     8   /* sessions whose reader stalls */
#define QUIET_MS 300 /* all that is on the way to a reader is full */

static rlim_t address_space(const struct relay_run *relay)
{
    char path[64];
    unsigned long pages = 0;
    str_format(path, sizeof path, "/proc/%" PRIu64 "/statm", process_id(relay->process));
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* RLIM_INFINITY: as far as it may. */
static void limit_address_space(const struct relay_run *relay, rlim_t bytes)
{
    pid_t pid = (pid_t)process_id(relay->process);
    struct rlimit limit;
    assert_int_equal(prlimit(pid, RLIMIT_AS, NULL, &limit), 0);
    limit.rlim_cur = bytes == RLIM_INFINITY ? limit.rlim_max : bytes;
    assert_int_equal(prlimit(pid, RLIMIT_AS, &limit, NULL), 0);
}

static void open_session(const struct relay_run *relay, sock_t listener, sock_t *client,
                         sock_t *upstream)
{
    assert_int_equal(net_connect(&relay->addr, NET_PATIENCE_MS, client), ERR_OK);
    assert_int_equal(net_accept(listener, NET_PATIENCE_MS, upstream), ERR_OK);
}

static void expect_passes(sock_t from, sock_t to)
{
    char text[8];
    assert_int_equal(net_send(from, "quick", 5, NET_PATIENCE_MS, NULL), ERR_OK);
    assert_int_equal(net_receive_all(to, text, 5, NET_PATIENCE_MS), ERR_OK);
    assert_memory_equal(text, "quick", 5);
}

static void without_memory_no_session_loses_a_byte_or_holds_another_one_back(void **state)
{
    if (test_under_sanitizer())
        skip(); /* that ends the program itself when there is no memory */
    sock_t listener, quick[2], clients[SLOW], upstreams[SLOW];
    uint64_t sent[SLOW];
    struct addr upstream = net_loopback(ADDR_IPV4, 0);
    assert_int_equal(net_listen(&upstream, 64, &listener, &upstream), ERR_OK);
    const struct relay_setup setup = {
        .upstreams = &upstream, .upstream_count = 1, .relay_keys = "workers = 1\n"};
    struct relay_run *relay = relay_start(state, &setup);
    open_session(relay, listener, &quick[0], &quick[1]);
    for (size_t i = 0; i < SLOW; i++)
        open_session(relay, listener, &clients[i], &upstreams[i]);

    limit_address_space(relay, address_space(relay));
    for (size_t i = 0; i < SLOW; i++) {
        assert_int_equal(net_send_until_full(upstreams[i], QUIET_MS, &sent[i]), ERR_OK);
        expect_passes(quick[0], quick[1]);
        expect_passes(quick[1], quick[0]);
    }
    assert_true(relay_wait_log(relay, "no memory for a buffer of"));
    for (size_t i = 0; i < SLOW; i++) {
        uint64_t got = 0;
        net_finish(upstreams[i]);
        assert_int_equal(net_receive_end(clients[i], NET_PATIENCE_MS, &got, NULL), NET_END_FIN);
        assert_true(got == sent[i]);
        net_close(clients[i]);
        net_close(upstreams[i]);
    }
    limit_address_space(relay, RLIM_INFINITY);
    net_close(quick[0]);
    net_close(quick[1]);
    net_close(listener);
    relay_wait_nothing_left(relay);
    relay_end(relay);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(
            without_memory_no_session_loses_a_byte_or_holds_another_one_back, relay_teardown),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
