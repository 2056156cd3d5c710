/* The relay on a system without IPv6: the kernel refuses the family (EAFNOSUPPORT), as one that was
 * started with ipv6.disable=1 does. A system call filter plays it, which the relay inherits from
 * this program. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/os.h"
#include "os/sock.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

static bool forbid_ipv6(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof filter / sizeof filter[0],
                                       .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void the_system_says_that_it_has_no_ipv6(void **state)
{
    (void)state;
    sock_t sock;
    struct addr any = {.family = ADDR_IPV6};
    assert_int_equal(sock_open(ADDR_IPV6, &sock), ERR_NO_FAMILY);
    assert_int_equal(sock_listen(&any, true, 16, &sock), ERR_NO_FAMILY);
}

static void all_addresses_are_those_of_ipv4(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {
        .upstreams = &upstream, .upstream_count = 1, .listen = "*"};
    struct relay_run *relay = relay_start(state, &setup);
    assert_true(
        relay_wait_log(relay, "this system has no IPv6, so only IPv4 clients are taken"));
    struct session session = session_open(&relay->addr, listener);
    session_check(&session);
    session_end(&session);

    /* A reload finds the listener that is there, and the relay after it takes the socket over. */
    char *answer;
    assert_int_equal(relay_console(relay, "reload", &answer, NULL), 0);
    assert_non_null(strstr(answer, "no change: "));
    free(answer);
    const char *args[] = {"run", "-c", relay->config, "--takeover", NULL};
    struct process *old = relay->process;
    relay->process = start_pairport(relay->dir, "successor", args, false);
    assert_true(process_wait_errors(relay->process, "reaches this relay at", NET_PATIENCE_MS));
    assert_true(process_wait_errors(relay->process, "took 1 of 1 listening sockets over from",
                                    NET_PATIENCE_MS));
    assert_true(process_wait(old, NET_PATIENCE_MS, NULL));
    process_free(old);
    session = session_open(&relay->addr, listener);
    session_check(&session);
    session_end(&session);
    net_close(listener);
    relay_end(relay);
}

static void an_upstream_of_ipv6_is_passed_over_with_its_cause(void **state)
{
    struct addr upstreams[2] = {net_loopback(ADDR_IPV6, 9)};
    sock_t listener = upstream_listen(ADDR_IPV4, &upstreams[1]);
    const struct relay_setup setup = {
        .upstreams = upstreams, .upstream_count = 2, .route_keys = "balance = first\n"};
    struct relay_run *relay = relay_start(state, &setup);
    struct session session = session_open(&relay->addr, listener);
    session_check(&session);
    session_end(&session);
    assert_true(relay_wait_log(relay,
                               "connecting to [::1]:9 failed: this system has no IPv6, or "
                               "has it turned off (try 1, another try follows)"));
    net_close(listener);
    relay_end(relay);
}

static void a_check_of_a_server_of_ipv6_fails_with_its_cause(void **state)
{
    struct addr upstreams[2] = {net_loopback(ADDR_IPV6, 9)};
    sock_t listener = upstream_listen(ADDR_IPV4, &upstreams[1]);
    const struct relay_setup setup = {.upstreams = upstreams,
                                      .upstream_count = 2,
                                      .route_keys = "health = tcp interval=200ms\n"};
    struct relay_run *relay = relay_start(state, &setup);
    assert_true(relay_wait_log(relay, "this system has no IPv6, or has it turned off"));
    net_close(listener);
    relay_end(relay);
}

int main(void)
{
    os_init();
    if (!forbid_ipv6()) {
        perror("no system call filter");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_system_says_that_it_has_no_ipv6),
        cmocka_unit_test_teardown(all_addresses_are_those_of_ipv4, relay_teardown),
        cmocka_unit_test_teardown(an_upstream_of_ipv6_is_passed_over_with_its_cause,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_check_of_a_server_of_ipv6_fails_with_its_cause,
                                  relay_teardown),
    };
    return cmocka_run_group_tests_name("no_ipv6", tests, NULL, NULL);
}
