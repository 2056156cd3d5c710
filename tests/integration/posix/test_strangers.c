/* test_strangers.c - what other users of the machine must not be able to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"
#include "support/platform.h"

#define STRANGER 65534 /* nobody */
#define READY    "reaches this relay at"

static char
    runtime[TEST_PATH_MAX]; /* XDG_RUNTIME_DIR, where a stranger has made the directory */
static char place[TEST_PATH_MAX + 16];

static void make_place(void)
{
    assert_int_equal(test_make_dir(runtime), ERR_OK);
    str_format(place, sizeof place, "%s/pairport", runtime);
    assert_int_equal(mkdir(place, 0755), 0);
    assert_int_equal(chown(place, STRANGER, STRANGER), 0);
    setenv("XDG_RUNTIME_DIR", runtime, 1);
}

/* A socket of the same file name as the relay's, which the stranger serves. */
static int listen_as_stranger(const struct relay_run *relay)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char *log = relay_log(relay), *at = strstr(log, READY " ");
    assert_non_null(at);
    at[strcspn(at, "\n")] = '\0';
    size_t len =
        str_format(addr.sun_path, sizeof addr.sun_path, "%s%s", place, strrchr(at, '/'));
    assert_true(len + 1 < sizeof addr.sun_path);
    free(log);
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(sock >= 0);
    assert_int_equal(bind(sock, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(seteuid(STRANGER), 0); /* the system notes who calls listen() */
    assert_int_equal(listen(sock, 8), 0);
    assert_int_equal(seteuid(0), 0);
    return sock;
}

static void a_socket_of_a_stranger_keeps_no_successor_from_starting(void **state)
{
    struct addr upstream;
    if (geteuid() != 0)
        skip(); /* only root can be somebody else */
    make_place();
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    int sock = listen_as_stranger(relay);
    process_kill(relay->process);
    process_wait(relay->process, NET_PATIENCE_MS, NULL);
    process_free(relay->process);
    const char *args[] = {"run", "-c", relay->config, "--takeover", NULL};
    relay->process = start_pairport(relay->dir, "relay-1", args, false);
    assert_true(relay_wait_log(relay, READY));
    assert_int_equal(relay_count_log(relay, "it is not one of this user"), 1);
    struct session session = session_open(&relay->addr, listener);
    session_check(&session);
    session_end(&session);
    relay_end(relay);
    net_close(listener);
    close(sock);
    unsetenv("XDG_RUNTIME_DIR");
    test_remove_dir(runtime);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_socket_of_a_stranger_keeps_no_successor_from_starting,
                                  relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
