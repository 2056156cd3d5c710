/* Files that keep others waiting: a pipe as log or configuration, a locked directory, a file at
 * the limit of its size. The relay relays, answers, and can be stopped. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"
#include "support/platform.h"

static char dir[TEST_PATH_MAX];

static int make_dir(void **state)
{
    (void)state;
    return test_make_dir(dir) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    int code = relay_teardown(state);
    test_remove_dir(dir);
    return code;
}

static struct relay_run *start(void **state, sock_t *listener, const char *relay_keys)
{
    struct addr upstream;
    *listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {
        .upstreams = &upstream, .upstream_count = 1, .relay_keys = relay_keys};
    return relay_start(state, &setup);
}

static void one_session(struct relay_run *relay, sock_t listener)
{
    struct session session = session_open(&relay->addr, listener);
    session_check(&session);
    session_end(&session);
}

/* Reads from a pipe until this text has come. */
static void expect_in_pipe(int reader, const char *text)
{
    struct str got;
    char part[4096];
    uint64_t begun = os_mono_ms();
    str_init(&got);
    while (strstr(got.data, text) == NULL) {
        ssize_t len = read(reader, part, sizeof part);
        if (len > 0)
            str_add_bytes(&got, part, (size_t)len);
        else
            os_sleep_ms(5);
        if (os_mono_ms() - begun > NET_PATIENCE_MS)
            fail_msg("the pipe does not say '%s', but: %s", text, got.data);
    }
    str_free(&got);
}

static void a_log_that_is_a_pipe_nobody_reads_holds_nobody(void **state)
{
    sock_t listener;
    char path[TEST_PATH_MAX], keys[TEST_PATH_MAX + 32];
    path_in(dir, "log.pipe", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    str_format(keys, sizeof keys, "log_file = %s\n", path);
    struct relay_run *relay = start(state, &listener, keys);
    one_session(relay, listener);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    expect_in_pipe(reader, " session 1 ended: "); /* what it said before has waited there */
    close(reader);

    assert_true(process_hang_up(relay->process));
    one_session(relay, listener);
    relay_wait_nothing_left(relay);
    reader = open(path, O_RDONLY | O_NONBLOCK);
    expect_in_pipe(reader, " session 2 ended: ");
    close(reader);
    relay_end(relay);
    net_close(listener);
}

static void a_configuration_that_has_become_a_pipe_is_not_waited_for(void **state)
{
    sock_t listener;
    char aside[TEST_PATH_MAX];
    struct relay_run *relay = start(state, &listener, NULL);
    relay_path(relay, "aside.ini", aside);
    assert_int_equal(rename(relay->config, aside), 0);
    assert_int_equal(mkfifo(relay->config, 0600), 0);
    assert_true(process_hang_up(relay->process));
    expect_log(relay, "this is a pipe or a device; a reload needs a file");
    assert_int_equal(unlink(relay->config), 0);
    assert_int_equal(rename(aside, relay->config), 0);
    one_session(relay, listener);
    relay_end(relay);
    net_close(listener);
}

static void
a_directory_that_a_stopped_process_has_locked_does_not_keep_the_console_away(void **state)
{
    sock_t listener;
    char runtime[TEST_PATH_MAX], sockets[TEST_PATH_MAX], text[128];
    assert_int_equal(test_make_dir(runtime), ERR_OK);
    path_in(runtime, "pairport", sockets);
    assert_int_equal(mkdir(sockets, 0700), 0);
    int holder = open(sockets, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(holder >= 0);
    assert_int_equal(flock(holder, LOCK_EX), 0);
    char *before = getenv("XDG_RUNTIME_DIR");
    if (before != NULL)
        before = strdup(before);
    setenv("XDG_RUNTIME_DIR", runtime, 1);
    struct relay_run *relay = start(state, &listener, NULL); /* waits for the console */
    str_format(text, sizeof text, "is locked by pid %d, which does not let go", (int)getpid());
    expect_log(relay, "%s", text);
    relay_end(relay);
    if (before != NULL)
        setenv("XDG_RUNTIME_DIR", before, 1);
    else
        unsetenv("XDG_RUNTIME_DIR");
    free(before);
    close(holder);
    assert_int_equal(rmdir(sockets), 0);
    test_remove_dir(runtime);
    net_close(listener);
}

static void a_log_at_the_limit_of_its_size_ends_nothing(void **state)
{
    enum { LIMIT = 4096 };
    sock_t listener;
    struct rlimit limit;
    char path[TEST_PATH_MAX], moved[TEST_PATH_MAX], keys[TEST_PATH_MAX + 32], *text;
    path_in(dir, "relay.log", path);
    path_in(dir, "relay.log.1", moved);
    str_format(keys, sizeof keys, "log_file = %s\n", path);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){LIMIT, limit.rlim_max}), 0);
    struct relay_run *relay = start(state, &listener, keys); /* which has that limit, too */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct stat full = {.st_size = 0};
    uint64_t begun = os_mono_ms();
    while (full.st_size < LIMIT && os_mono_ms() - begun < NET_PATIENCE_MS) {
        off_t before = full.st_size;
        one_session(relay, listener);
        do /* its line: not so many sessions that their lines fill the next file as well */
            assert_int_equal(stat(path, &full), 0);
        while (full.st_size == before && os_mono_ms() - begun < NET_PATIENCE_MS);
    }
    assert_int_equal(full.st_size, LIMIT);
    one_session(relay, listener);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(relay_console(relay, "reopen", NULL, NULL), 0);
    one_session(relay, listener); /* its line comes behind what had no room */
    relay_wait_nothing_left(relay);
    relay_end(relay);
    text = test_read_file(path);
    assert_non_null(strstr(text, " notice log file opened again\n"));
    free(text);
    net_close(listener);
}

static void a_disk_that_does_not_answer_keeps_nobody_from_the_console_or_the_end(void **state)
{
    if (test_under_sanitizer())
        skip(); /* its library has to be the first */
    sock_t listener;
    char sign[TEST_PATH_MAX], keys[TEST_PATH_MAX + 32];
    path_in(dir, "does-not-answer", sign);
    str_format(keys, sizeof keys, "state_file = %s/state.json\n", dir);
    setenv("SLOW_DISK", sign, 1);
    setenv("LD_PRELOAD", SLOW_DISK, 1);
    struct relay_run *relay = start(state, &listener, keys);
    unsetenv("LD_PRELOAD");
    assert_int_equal(test_write_file(sign, ""), ERR_OK);
    assert_int_equal(relay_console(relay, "ban 127.0.0.2", NULL, NULL), 0);
    uint64_t begun = os_mono_ms();
    while (os_mono_ms() - begun < 1500) { /* the write comes within a second, most times */
        assert_int_equal(relay_console(relay, "show bans", NULL, NULL), 0);
        one_session(relay, listener);
    }
    relay_end(relay);
    expect_log(relay, "a disk does not answer: this process ends without waiting for it");
    unsetenv("SLOW_DISK");
    net_close(listener);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, tear_down)

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        TEST(a_log_that_is_a_pipe_nobody_reads_holds_nobody),
        TEST(a_configuration_that_has_become_a_pipe_is_not_waited_for),
        TEST(a_directory_that_a_stopped_process_has_locked_does_not_keep_the_console_away),
        TEST(a_log_at_the_limit_of_its_size_ends_nothing),
        TEST(a_disk_that_does_not_answer_keeps_nobody_from_the_console_or_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
