/* test_os_limits.c - what the kernel says of memory and backlogs, and how it is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "os/limits.h"
#include "os/os.h"
#include "os/posix/limits_text.h"
#include "support/net.h"

static void a_count_is_found_by_its_name_in_its_group(void **state)
{
    (void)state;
    static const char text[] = "TcpExt: A ListenOverflows ListenDrops Z\n"
                               "TcpExt: 1 22 18446744073709551615 4\n"
                               "IpExt: ListenDrops X\n"
                               "IpExt: 7 8\n";
    uint64_t value = 0;
    assert_true(limits_find_count(text, "TcpExt:", "ListenOverflows", &value));
    assert_int_equal(value, 22);
    assert_true(limits_find_count(text, "TcpExt:", "ListenDrops", &value));
    assert_true(value == UINT64_MAX);
    assert_true(limits_find_count(text, "TcpExt:", "Z", &value));
    assert_int_equal(value, 4);
    assert_true(limits_find_count(text, "IpExt:", "ListenDrops", &value));
    assert_int_equal(value, 7);
}

static void what_is_not_there_is_not_found(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "\n",
        "TcpExt:",
        "TcpExt: D\n",
        "TcpExt: D\nIpExt: 1\n",
        "TcpExt: A D\nTcpExt: 1\n",
        "TcpExt: A\nTcpExt: 1 2\n",
        "TcpExt: D\nTcpExt: x\n",
        "TcpExt: D\nTcpExt: -1\n",
        "TcpExt: D\nTcpExt: 1234567890123456789012345678901234567890\n",
        "TcpExt: DD\nTcpExt: 1\n",
        " TcpExt: D\n TcpExt: 1\n",
    };
    uint64_t value = 5;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (limits_find_count(texts[i], "TcpExt:", "D", &value))
            fail_msg("found in: %s", texts[i]);
}

static void the_group_of_each_version_is_found(void **state)
{
    (void)state;
    char path[32];
    static const char text[] = "12:cpu,cpuacct:/a\n5:memory_other:/b\n4:hugetlb,memory:/m/x\n"
                               "0::/user.slice/u:1\n";
    assert_true(limits_find_group(text, "memory", path, sizeof path));
    assert_string_equal(path, "/m/x");
    assert_true(limits_find_group(text, "", path, sizeof path));
    assert_string_equal(path, "/user.slice/u:1");
    assert_true(limits_find_group("0::/", "", path, sizeof path)); /* without a newline */
    assert_string_equal(path, "/");
    assert_false(limits_find_group("0::/\n", "memory", path, sizeof path));
    assert_false(limits_find_group("4:memory:/too/long/for/the/room/that/there/is\n", "memory",
                                   path, sizeof path));
    static const char *const bad[] = {"", "\n", "0", "0:", "0::", "0::relative", ":::"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(limits_find_group(bad[i], "", path, sizeof path));
}

static void the_memory_limit_is_above_what_is_used(void **state)
{
    (void)state;
    uint64_t limit = os_memory_limit();
    assert_true(limit > os_resident_bytes());
    assert_true(limit < UINT64_C(1) << 60); /* not the number that stands for none */
}

/* A backlog that is full: the kernel counts what it drops. */
static void a_full_backlog_is_counted(void **state)
{
    (void)state;
    uint64_t drops, overflows, drops_after, overflows_after;
    if (!os_backlog_drops(&drops, &overflows))
        skip();
    assert_true(drops >= overflows);
    assert_true(os_backlog_limit() > 0);
    struct addr addr = net_loopback(ADDR_IPV4, 0);
    sock_t listener, clients[8];
    assert_int_equal(net_listen(&addr, 1, &listener, &addr), ERR_OK);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(net_connect_begin(&addr, &clients[i]), ERR_OK);
    uint64_t start = os_mono_ms();
    do {
        assert_true(os_mono_ms() - start < NET_PATIENCE_MS);
        assert_true(os_backlog_drops(&drops_after, &overflows_after));
    } while (overflows_after == overflows || drops_after == drops);
    for (size_t i = 0; i < 8; i++)
        net_close(clients[i]);
    net_close(listener);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_count_is_found_by_its_name_in_its_group),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(the_group_of_each_version_is_found),
        cmocka_unit_test(the_memory_limit_is_above_what_is_used),
        cmocka_unit_test(a_full_backlog_is_counted),
    };
    return cmocka_run_group_tests_name("os_limits", tests, NULL, NULL);
}
