/* test_os_service_manager.c - the sockets that systemd passes, in a child process that has them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/os.h"
#include "os/service_manager.h"

/* What a child finds that was started with these variables (NULL: without; PID "own": its own)
 * and `open` descriptors from 3 on. -1: something else went wrong. */
static int find(const char *pid, const char *count, int open_count)
{
    pid_t child = fork();
    if (child == 0) {
        char own[32];
        snprintf(own, sizeof own, "%d", (int)getpid());
        unsetenv("LISTEN_PID");
        unsetenv("LISTEN_FDS");
        if (pid != NULL)
            setenv("LISTEN_PID", pid[0] == 'o' ? own : pid, 1);
        if (count != NULL)
            setenv("LISTEN_FDS", count, 1);
        setenv("LISTEN_FDNAMES", "a:b", 1);
        for (int fd = 3; fd < 64; fd++)
            close(fd);
        for (int i = 0; i < open_count; i++)
            if (dup2(STDIN_FILENO, 3 + i) < 0)
                _exit(255);
        sock_t first = SOCK_NONE;
        unsigned found = service_manager_take_sockets(&first);
        bool good = getenv("LISTEN_PID") == NULL && getenv("LISTEN_FDS") == NULL &&
                    getenv("LISTEN_FDNAMES") == NULL && (found == 0 || first == 3);
        for (unsigned i = 0; i < found; i++)
            good = good && fcntl(3 + (int)i, F_GETFD) == FD_CLOEXEC;
        good = good && service_manager_take_sockets(&first) == 0;
        _exit(good ? (int)found : 255);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
        WEXITSTATUS(status) == 255)
        return -1;
    return WEXITSTATUS(status);
}

static void sockets_for_this_process_are_found_once_and_not_passed_on(void **state)
{
    (void)state;
    assert_int_equal(find("own", "1", 1), 1);
    assert_int_equal(find("own", "3", 3), 3);
    assert_int_equal(find("own", "2", 3), 2);
}

static void without_them_there_are_none(void **state)
{
    (void)state;
    assert_int_equal(find(NULL, NULL, 2), 0);
    assert_int_equal(find("own", NULL, 2), 0);
    assert_int_equal(find(NULL, "2", 2), 0);
    assert_int_equal(find("own", "0", 2), 0);
}

static void those_of_another_process_are_left_alone(void **state)
{
    (void)state;
    assert_int_equal(find("1", "2", 2), 0);
}

static void variables_that_make_no_sense_mean_nothing(void **state)
{
    (void)state;
    static const char *const counts[] = {
        "", "-1", "x", "2x", "4", "2147483647", "4294967298", "18446744073709551618"};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        assert_int_equal(find("own", counts[i], 3), 0);
    assert_int_equal(find("", "2", 2), 0);
    assert_int_equal(find("-5", "2", 2), 0);
}

static void a_notice_without_a_listener_is_no_harm(void **state)
{
    (void)state;
    static const char *const paths[] = {"", "x", "/", "@", "/nowhere/at/all", "relative/path"};
    unsetenv("NOTIFY_SOCKET");
    uint64_t before = os_descriptor_count();
    service_manager_notify("READY=1");
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        setenv("NOTIFY_SOCKET", paths[i], 1);
        service_manager_notify("READY=1");
    }
    char longest[4096];
    for (size_t i = 0; i < sizeof longest - 1; i++)
        longest[i] = '/';
    longest[sizeof longest - 1] = '\0';
    setenv("NOTIFY_SOCKET", longest, 1);
    service_manager_notify("READY=1");
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(os_descriptor_count(), before);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_for_this_process_are_found_once_and_not_passed_on),
        cmocka_unit_test(without_them_there_are_none),
        cmocka_unit_test(those_of_another_process_are_left_alone),
        cmocka_unit_test(variables_that_make_no_sense_mean_nothing),
        cmocka_unit_test(a_notice_without_a_listener_is_no_harm),
    };
    return cmocka_run_group_tests_name("os_service_manager", tests, NULL, NULL);
}
