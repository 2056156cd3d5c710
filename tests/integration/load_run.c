#include "load_run.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "relay_run.h"
#include "support/net.h"
#include "support/random.h"

void echo_run_start(struct echo_run *echo)
{
    char words[64];
    char text[ADDR_TEXT_MAX];
    assert_int_equal(test_make_dir(echo->dir), ERR_OK);
    /* A port of its own also tells this process from others of the same program. */
    echo->addr = net_loopback(ADDR_IPV4, net_free_port());
    str_format(words, sizeof words, "echo %s", addr_format(&echo->addr, text));
    echo->process = start_pairload(echo->dir, "echo", words);
    assert_true(process_wait_output(echo->process, "listening on", NET_PATIENCE_MS));
}

void echo_run_stop(struct echo_run *echo)
{
    int code = -1;
    assert_int_equal(process_stop(echo->process), ERR_OK);
    assert_true(process_wait(echo->process, NET_PATIENCE_MS, &code));
    assert_int_equal(code, 0);
    process_free(echo->process);
    test_remove_dir(echo->dir);
}

json_t *load_run(const struct addr *target, const char *mode, const char *limit, uint64_t value,
                 uint64_t connections)
{
    char dir[TEST_PATH_MAX];
    char to[ADDR_TEXT_MAX], limited[24], connected[24], seed[24];
    assert_int_equal(test_make_dir(dir), ERR_OK);
    str_format(limited, sizeof limited, "%" PRIu64, value);
    str_format(connected, sizeof connected, "%" PRIu64, connections);
    str_format(seed, sizeof seed, "%" PRIu64, random_test_seed() >> 1);
    const char *args[] = {mode,
                          addr_format(target, to),
                          limit,
                          limited,
                          "--connections",
                          connected,
                          "--seed",
                          seed,
                          "--timeout",
                          "300",
                          "--json",
                          NULL};
    /* The load's own and the relay's, both end in TIME_WAIT. */
    uint64_t opened = strcmp(mode, "connect") == 0 ? value : connections;
    test_wait_for_ports((unsigned)(2 * opened));
    char *output, *errors;
    int code = run_pairload(dir, args, &output, &errors);
    if (code != 0)
        print_message("pairload %s: %s%s\n", mode, output, errors);
    assert_int_equal(code, 0);
    json_t *report = json_loads(output, 0, NULL);
    assert_non_null(report);
    free(output);
    free(errors);
    test_remove_dir(dir);
    return report;
}
