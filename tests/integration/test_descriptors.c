/* The relay runs out of descriptors: it says so, does not spin, and serves again as soon as
 * some are free. Linux only, since Windows has no such limit. Runs alone, since it measures. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "os/os.h"
#include "relay_run.h"
#include "service/echo.h"
#include "support/net.h"

#define ALLOWED  64
#define CLIENTS  120
#define WATCH_MS 3000

/* Sends a byte and waits for its echo. */
static bool is_served(sock_t client, uint32_t timeout_ms)
{
    char byte = 'x';
    return net_send(client, &byte, 1, timeout_ms, NULL) == ERR_OK &&
           net_receive_all(client, &byte, 1, timeout_ms) == ERR_OK;
}

/* The last of the others may still be on their way out and hold what it needs; then it is
 * turned away and comes again, as a player would. */
static bool newcomer_is_served(const struct relay_run *relay)
{
    uint64_t until = os_mono_ms() + NET_PATIENCE_MS;
    bool served = false;
    while (!served && os_mono_ms() < until) {
        sock_t newcomer;
        assert_int_equal(net_connect(&relay->addr, NET_PATIENCE_MS, &newcomer), ERR_OK);
        served = is_served(newcomer, NET_PATIENCE_MS);
        net_close(newcomer);
    }
    return served;
}

static void exhaustion_is_told_costs_little_leaves_a_console_and_heals(void **state)
{
    if (test_on_windows()) {
        print_message("Windows has no limit of descriptors to run into\n");
        skip();
    }
    struct echo *echo;
    struct addr upstream = net_loopback(ADDR_IPV4, 0);
    assert_int_equal(echo_start(&echo, &upstream, &upstream), ERR_OK);
    const struct relay_setup setup = {
        .upstreams = &upstream, .upstream_count = 1, .max_descriptors = ALLOWED};
    struct relay_run *relay = relay_start(state, &setup);

    sock_t clients[CLIENTS];
    bool served[CLIENTS];
    unsigned served_count = 0;
    for (unsigned i = 0; i < CLIENTS; i++)
        assert_int_equal(net_connect(&relay->addr, NET_PATIENCE_MS, &clients[i]), ERR_OK);
    assert_true(relay_wait_log(relay, "no descriptors are left (open file limit)"));

    /* The operator is not locked out: a console and the file of a reload have descriptors left. */
    assert_int_equal(relay_console(relay, "show routes", NULL, NULL), 0);
    assert_int_equal(relay_console(relay, "reload", NULL, NULL), 0);

    uint64_t before = process_cpu_us(relay->process);
    os_sleep_ms(WATCH_MS);
    uint64_t spent = process_cpu_us(relay->process) - before;
    print_message("%u clients and %u descriptors: %" PRIu64 " ms of CPU in %u ms\n", CLIENTS,
                  ALLOWED, spent / 1000, WATCH_MS);
    assert_in_range(spent, 0, 500000);

    for (unsigned i = 0; i < CLIENTS; i++) {
        served[i] = is_served(clients[i], i < 10 ? NET_PATIENCE_MS : 20);
        served_count += served[i];
    }
    print_message("%u clients are served\n", served_count);
    assert_in_range(served_count, 10, ALLOWED / 2);

    /* Those that were served go; those that waited are served within 2 s. A client that was
     * turned away meanwhile has seen a reset and is not among them. */
    for (unsigned i = 0; i < CLIENTS; i++)
        if (served[i]) {
            net_close(clients[i]);
            clients[i] = SOCK_NONE;
        }
    uint64_t free_since = os_mono_ms();
    unsigned healed = 0;
    uint64_t first_ms = UINT64_MAX;
    while (healed == 0 && os_mono_ms() - free_since < NET_PATIENCE_MS)
        for (unsigned i = 0; i < CLIENTS && healed == 0; i++) {
            char byte;
            if (clients[i] != SOCK_NONE && net_receive_all(clients[i], &byte, 1, 1) == ERR_OK) {
                healed++;
                first_ms = os_mono_ms() - free_since;
            }
        }
    print_message("the first one that waited was served after %" PRIu64 " ms\n", first_ms);
    assert_in_range(first_ms, 0, 2000);

    for (unsigned i = 0; i < CLIENTS; i++)
        net_close(clients[i]);
    assert_true(newcomer_is_served(relay));
    relay_wait_nothing_left(relay);
    relay_end(relay);
    echo_stop(echo);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(exhaustion_is_told_costs_little_leaves_a_console_and_heals,
                                  relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
