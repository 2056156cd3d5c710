/* Started by systemd: with sockets that it has opened, and told of what goes on. */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

#define LAUNCHED_MAX 4

/* What systemd is here: it holds the sockets, starts the program, and is told. */
struct launch {
    int sockets[LAUNCHED_MAX]; /* the test's own, which the program inherits */
    size_t socket_count;
    const char *pid; /* for LISTEN_PID; NULL: as it should be */
    bool takeover;
};

static char notify_path[TEST_PATH_MAX];
static int notify_fd = -1;

static void listen_for_notices(const char *dir)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    path_in(dir, "notify", notify_path);
    assert_true(strlen(notify_path) < sizeof addr.sun_path);
    memcpy(addr.sun_path, notify_path, strlen(notify_path) + 1);
    notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(notify_fd >= 0);
    assert_int_equal(bind(notify_fd, (struct sockaddr *)&addr, sizeof addr), 0);
    setenv("NOTIFY_SOCKET", notify_path, 1);
}

static void stop_listening_for_notices(void)
{
    unsetenv("NOTIFY_SOCKET");
    close(notify_fd);
    notify_fd = -1;
}

static void expect_notice(const char *want)
{
    char text[256];
    struct pollfd poll_fd = {.fd = notify_fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, (int)NET_PATIENCE_MS), 1);
    ssize_t len = recv(notify_fd, text, sizeof text - 1, 0);
    assert_true(len > 0);
    text[len] = '\0';
    assert_string_equal(text, want);
}

/* A socket of systemd's that a child inherits. */
static int hold(struct launch *launch, const struct addr *addr, bool dual_stack)
{
    sock_t sock;
    assert_int_equal(sock_listen(addr, dual_stack, 16, &sock), ERR_OK);
    assert_int_equal(fcntl((int)sock, F_SETFD, 0), 0);
    assert_int_equal(fcntl((int)sock, F_SETFL, 0), 0); /* it may be blocking */
    launch->sockets[launch->socket_count++] = (int)sock;
    return (int)sock;
}

static void let_go(struct launch *launch)
{
    while (launch->socket_count > 0)
        close(launch->sockets[--launch->socket_count]);
}

static struct relay_run *prepare(void **state, const char *listen, const struct addr *upstream)
{
    struct relay_run *relay = calloc(1, sizeof *relay);
    char text[512], to[ADDR_TEXT_MAX];
    assert_non_null(relay);
    *state = relay;
    assert_int_equal(test_make_dir(relay->dir), ERR_OK);
    relay_path(relay, "relay.ini", relay->config);
    str_format(text, sizeof text,
               "[console]\nname = test-%016" PRIx64 "\n[route test]\nlisten = %s\n"
               "upstream = %s\n",
               os_random(), listen, addr_format(upstream, to));
    assert_int_equal(test_write_file(relay->config, text), ERR_OK);
    return relay;
}

static struct process *launch_relay(struct relay_run *relay, const struct launch *launch,
                                    const char *name)
{
    char program[TEST_PATH_MAX], launcher[TEST_PATH_MAX], fds[64] = "";
    size_t len = 0;
    pairport_path(program);
    test_program_path(LISTEN_LAUNCH, launcher);
    for (size_t i = 0; i < launch->socket_count; i++)
        len += str_format(fds + len, sizeof fds - len, "%s%d", i == 0 ? "" : ",",
                          launch->sockets[i]);
    const char *args[] = {
        launcher,      launch->pid == NULL ? "own" : launch->pid, fds, program, "run", "-c",
        relay->config, launch->takeover ? "--takeover" : NULL,    NULL};
    const struct process_options options = {.args = args, .dir = relay->dir, .name = name};
    struct process *process;
    assert_int_equal(process_start(&process, &options), ERR_OK);
    return process;
}

static void start(struct relay_run *relay, const struct launch *launch)
{
    relay->process = launch_relay(relay, launch, "relay");
    assert_true(relay_wait_log(relay, "reaches this relay at"));
}

static void check_session(const struct addr *at, sock_t upstream)
{
    struct session session = session_open(at, upstream);
    session_check(&session);
    session_end(&session);
}

/* ---- sockets ---- */

static void a_listen_line_uses_the_socket_that_systemd_has_bound_like_it(void **state)
{
    struct launch launch = {.socket_count = 0};
    struct addr upstream, at = net_loopback(ADDR_IPV4, net_free_port());
    char listen[ADDR_TEXT_MAX];
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    hold(&launch, &at, false); /* so that the relay could not bind it */
    struct relay_run *relay = prepare(state, addr_format(&at, listen), &upstream);
    start(relay, &launch);
    assert_int_equal(relay_count_log(relay, "systemd passed 1 listening socket\n"), 1);
    assert_int_equal(relay_count_log(relay, "no 'listen' line wants"), 0);
    check_session(&at, listener);
    relay_end(relay);
    let_go(&launch);
    net_close(listener);
}

static void clients_wait_for_the_relay_while_systemd_restarts_it(void **state)
{
    struct launch launch = {.socket_count = 0};
    struct addr upstream, at = net_loopback(ADDR_IPV4, net_free_port());
    char listen[ADDR_TEXT_MAX];
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    hold(&launch, &at, false);
    struct relay_run *relay = prepare(state, addr_format(&at, listen), &upstream);
    for (int i = 0; i < 3; i++) {
        struct session session = {.client = connect_client(&at)}; /* nobody runs */
        start(relay, &launch);
        assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &session.upstream), ERR_OK);
        session_check(&session);
        session_end(&session);
        relay_end(relay);
        if (i < 2)
            process_free(relay->process);
    }
    let_go(&launch);
    net_close(listener);
}

static void a_dual_stack_listener_is_one_for_all_addresses(void **state)
{
    struct launch launch = {.socket_count = 0};
    struct addr upstream, at = {.family = ADDR_IPV6, .port = net_free_port()};
    char listen[32];
    if (!net_has_ipv6())
        skip();
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    hold(&launch, &at, true);
    str_format(listen, sizeof listen, "*:%u", (unsigned)at.port);
    struct relay_run *relay = prepare(state, listen, &upstream);
    start(relay, &launch);
    at = net_loopback(ADDR_IPV4, at.port);
    check_session(&at, listener);
    at = net_loopback(ADDR_IPV6, at.port);
    check_session(&at, listener);
    assert_int_equal(relay_count_log(relay, "no 'listen' line wants"), 0);
    relay_end(relay);
    let_go(&launch);
    net_close(listener);
}

static void sockets_that_no_listen_line_wants_are_named(void **state)
{
    struct launch launch = {.socket_count = 0};
    struct addr upstream, at = net_loopback(ADDR_IPV4, net_free_port());
    struct addr unwanted = net_loopback(ADDR_IPV4, net_free_port());
    char text[ADDR_TEXT_MAX];
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    hold(&launch, &unwanted, false);
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    assert_true(udp >= 0);
    launch.sockets[launch.socket_count++] = udp;
    hold(&launch, &at, false);
    struct relay_run *relay = prepare(state, addr_format(&at, text), &upstream);
    start(relay, &launch);
    expect_log(relay,
               " warning systemd listens on %s, but no 'listen' line wants that socket: nobody "
               "will serve its clients\n",
               addr_format(&unwanted, text));
    expect_log(relay, " warning systemd passed descriptor 4, which is no TCP socket");
    check_session(&at, listener);
    relay_end(relay);
    let_go(&launch);
    net_close(listener);
}

static void what_is_meant_for_another_process_is_left_alone(void **state)
{
    struct launch launch = {.pid = "1"};
    struct addr upstream = net_loopback(ADDR_IPV4, 9);
    struct addr at = net_loopback(ADDR_IPV4, net_free_port());
    char listen[ADDR_TEXT_MAX];
    int code = -1;
    hold(&launch, &at, false);
    struct relay_run *relay = prepare(state, addr_format(&at, listen), &upstream);
    relay->process = launch_relay(relay, &launch, "relay");
    assert_true(process_wait(relay->process, NET_PATIENCE_MS, &code));
    assert_int_equal(code, 1);                                /* it wanted to bind */
    assert_int_equal(relay_count_log(relay, " systemd "), 0); /* the test has it in its name */
    assert_int_equal(relay_count_log(relay, "error route 'test': listen"), 1);
    assert_true(relay_count_log(relay, err_text(ERR_IN_USE)) > 0);
    relay->ended = true;
    let_go(&launch);
}

/* ---- notices ---- */

static void systemd_is_told_when_the_relay_is_ready_and_when_it_stops(void **state)
{
    struct launch launch = {.socket_count = 0};
    struct addr upstream, at = net_loopback(ADDR_IPV4, net_free_port());
    char listen[ADDR_TEXT_MAX];
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    hold(&launch, &at, false);
    struct relay_run *relay = prepare(state, addr_format(&at, listen), &upstream);
    listen_for_notices(relay->dir);
    relay->process = launch_relay(relay, &launch, "relay");
    expect_notice("READY=1");
    check_session(&at, listener);
    assert_int_equal(process_stop(relay->process), ERR_OK);
    expect_notice("STOPPING=1");
    expect_exit(relay);
    stop_listening_for_notices();
    let_go(&launch);
    net_close(listener);
}

static void after_a_takeover_systemd_knows_the_new_process_before_the_old_one_ends(void **state)
{
    struct launch launch = {.socket_count = 0};
    struct addr upstream, at = net_loopback(ADDR_IPV4, net_free_port());
    char listen[ADDR_TEXT_MAX], main_pid[64];
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    hold(&launch, &at, false);
    struct relay_run *relay = prepare(state, addr_format(&at, listen), &upstream);
    listen_for_notices(relay->dir);
    start(relay, &launch);
    expect_notice("READY=1");

    struct process *old = relay->process;
    launch.takeover = true;
    relay->process = launch_relay(relay, &launch, "relay-2");
    str_format(main_pid, sizeof main_pid, "MAINPID=%" PRIu64, process_id(relay->process));
    expect_notice(main_pid);
    expect_notice("READY=1");
    int code = -1;
    assert_true(process_wait(old, NET_PATIENCE_MS, &code));
    assert_int_equal(code, 0);
    process_free(old);
    /* The same socket came both ways; it is neither missed nor complained of. */
    assert_int_equal(relay_count_log(relay, "no 'listen' line wants"), 0);
    check_session(&at, listener);
    assert_int_equal(process_stop(relay->process), ERR_OK);
    expect_notice("STOPPING=1"); /* the old one has said nothing */
    expect_exit(relay);
    stop_listening_for_notices();
    let_go(&launch);
    net_close(listener);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_listen_line_uses_the_socket_that_systemd_has_bound_like_it,
                                  relay_teardown),
        cmocka_unit_test_teardown(clients_wait_for_the_relay_while_systemd_restarts_it,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_dual_stack_listener_is_one_for_all_addresses,
                                  relay_teardown),
        cmocka_unit_test_teardown(sockets_that_no_listen_line_wants_are_named, relay_teardown),
        cmocka_unit_test_teardown(what_is_meant_for_another_process_is_left_alone,
                                  relay_teardown),
        cmocka_unit_test_teardown(systemd_is_told_when_the_relay_is_ready_and_when_it_stops,
                                  relay_teardown),
        cmocka_unit_test_teardown(
            after_a_takeover_systemd_knows_the_new_process_before_the_old_one_ends,
            relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
