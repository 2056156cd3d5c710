/* test_os_posix.c - what only the Linux side of os/ has: the terminal, and sockets as files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/holder.h"
#include "os/local.h"
#include "os/os.h"
#include "os/posix/ports.h"
#include "os/tty.h"
#include "support/platform.h"

enum { PATIENCE_MS = 60000 };
enum { STRANGER = 12345 }; /* a user and group that nobody is */

static char dir[TEST_PATH_MAX];

/* ---- ports ---- */

static void reserved_ports_are_found_in_the_kernels_list(void **state)
{
    (void)state;
    static const char list[] = "8080,9000-9010,9011,40000-40001\n";
    assert_true(ports_are_reserved(list, 8080, 8080));
    assert_false(ports_are_reserved(list, 8080, 8081));
    assert_false(ports_are_reserved(list, 8079, 8080));
    assert_true(ports_are_reserved(list, 9000, 9010));
    assert_true(ports_are_reserved(list, 9003, 9011)); /* of two entries that meet */
    assert_false(ports_are_reserved(list, 9003, 9012));
    assert_true(ports_are_reserved(list, 40001, 40001));
    assert_false(ports_are_reserved(list, 40001, 40002));
    assert_true(ports_are_reserved("0-65535", 1, 65535));
    assert_false(ports_are_reserved("\n", 1, 1));
    assert_false(ports_are_reserved("", 65535, 65535));
}

/* ---- the terminal ----
 * A child of this program has a pseudo terminal, the test holds its other end. */

enum ending { END_RETURNS, END_ABORTS, END_CRASHES };

static void play_prompt(enum ending ending)
{
    char text[64];
    size_t got = 0;
    signal(SIGSEGV, SIG_DFL); /* the test library's handler is inherited */
    os_init();
    signal(SIGHUP, SIG_IGN);
    if (!tty_is_terminal_in() || !tty_is_terminal_out() || tty_enter_raw() != ERR_OK ||
        tty_enter_raw() != ERR_OK)
        _exit(1);
    str_format(text, sizeof text, "raw %u\n", tty_columns());
    tty_write(text, strlen(text));
    while (tty_read(text, sizeof text, &got) == ERR_OK && text[0] != 'q') {
        for (size_t i = 0; i < got; i++) {
            char hex[8];
            str_format(hex, sizeof hex, "<%02x>", (unsigned char)text[i]);
            tty_write(hex, strlen(hex));
        }
    }
    switch (ending) {
    case END_RETURNS: exit(0);
    case END_ABORTS: abort();
    case END_CRASHES: kill(getpid(), SIGSEGV); break;
    }
}

struct terminal {
    int fd;
    pid_t child;
    char seen[1024];
    size_t len;
};

static void open_terminal(struct terminal *terminal, enum ending ending)
{
    struct winsize size = {.ws_row = 25, .ws_col = 123};
    memset(terminal, 0, sizeof *terminal);
    fflush(NULL);
    terminal->child = forkpty(&terminal->fd, NULL, NULL, &size);
    assert_true(terminal->child >= 0);
    if (terminal->child == 0) {
        play_prompt(ending);
        _exit(2);
    }
}

/* Reads the screen until it holds `text`. */
static void assert_shows(struct terminal *terminal, const char *text)
{
    while (strstr(terminal->seen, text) == NULL) {
        struct pollfd fd = {.fd = terminal->fd, .events = POLLIN};
        assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
        ssize_t got = read(terminal->fd, terminal->seen + terminal->len,
                           sizeof terminal->seen - 1 - terminal->len);
        if (got <= 0)
            fail_msg("no '%s' in '%s'", text, terminal->seen);
        terminal->len += (size_t)got;
    }
}

static void type(struct terminal *terminal, const char *keys)
{
    assert_int_equal(write(terminal->fd, keys, strlen(keys)), strlen(keys));
}

static tcflag_t local_modes(const struct terminal *terminal)
{
    struct termios mode;
    assert_int_equal(tcgetattr(terminal->fd, &mode), 0);
    return mode.c_lflag & (ICANON | ECHO | ISIG);
}

static int close_terminal(struct terminal *terminal)
{
    int status;
    assert_int_equal(waitpid(terminal->child, &status, 0), terminal->child);
    close(terminal->fd);
    return status;
}

static void a_raw_terminal_gives_every_key_as_it_is_typed(void **state)
{
    (void)state;
    struct terminal terminal;
    open_terminal(&terminal, END_RETURNS);
    assert_shows(&terminal, "raw 123\r\n"); /* the line feed still returns the carriage */
    assert_int_equal(local_modes(&terminal), 0);
    type(&terminal, "\x03\x1a\r\x1b[A");
    assert_shows(&terminal, "<03><1a><0d><1b><5b><41>");
    type(&terminal, "q");
    assert_int_equal(close_terminal(&terminal), 0);
}

/* The child is gone when it is asked, but the terminal lives with the test's end of it. */
static void check_restored(enum ending ending, int expected_signal)
{
    struct terminal terminal;
    open_terminal(&terminal, ending);
    int keep = open(ptsname(terminal.fd), O_RDWR | O_NOCTTY);
    assert_true(keep >= 0);
    assert_shows(&terminal, "raw");
    assert_int_equal(local_modes(&terminal), 0);
    type(&terminal, "q");
    int status;
    assert_int_equal(waitpid(terminal.child, &status, 0), terminal.child);
    if (expected_signal == 0)
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    else
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == expected_signal);
    assert_int_equal(local_modes(&terminal), ICANON | ECHO | ISIG);
    close(keep);
    close(terminal.fd);
}

static void the_old_mode_comes_back_at_exit(void **state)
{
    (void)state;
    check_restored(END_RETURNS, 0);
}

static void the_old_mode_comes_back_after_a_failed_assertion(void **state)
{
    (void)state;
    check_restored(END_ABORTS, SIGABRT);
}

static void the_old_mode_comes_back_after_a_crash(void **state)
{
    (void)state;
    check_restored(END_CRASHES, SIGSEGV);
}

static void the_end_of_a_terminal_is_the_end_of_input(void **state)
{
    (void)state;
    struct terminal terminal;
    open_terminal(&terminal, END_RETURNS);
    assert_shows(&terminal, "raw");
    close(terminal.fd);
    int status;
    assert_int_equal(waitpid(terminal.child, &status, 0), terminal.child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- start ---- */

static void closed_standard_streams_do_not_become_sockets(void **state)
{
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(STDIN_FILENO);
        close(STDOUT_FILENO);
        close(STDERR_FILENO);
        os_init();
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        _exit(fd > STDERR_FILENO ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void descriptors_are_counted_without_the_one_that_counts(void **state)
{
    (void)state;
    /* The kernel's own list: valgrind has descriptors that the program can't see otherwise. */
    DIR *list = opendir("/proc/self/fd");
    assert_non_null(list);
    uint64_t listed = 0;
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list))
        listed += entry->d_name[0] != '.';
    closedir(list);
    assert_int_equal(os_descriptor_count(), listed - 1); /* without that of the list */
}

static void writing_to_a_closed_pipe_is_no_signal(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    assert_int_equal(write(fds[1], "x", 1), -1);
    close(fds[1]);
}

/* ---- the socket's file ---- */

static void place(char path[LOCAL_NAME_MAX], const char *name)
{
    str_format(path, LOCAL_NAME_MAX, "%s/%s", dir, name);
}

static struct local_listener *listen_at(const char *path)
{
    struct local_listener *listener;
    assert_int_equal(local_listen(path, &listener), ERR_OK);
    return listener;
}

static mode_t mode_of(const char *path)
{
    struct stat stat;
    assert_int_equal(lstat(path, &stat), 0);
    return stat.st_mode & 07777;
}

/* What a killed process leaves: a bound file without a socket. */
static void leave_stale(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    str_format(addr.sun_path, sizeof addr.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(fd, 1), 0);
    close(fd);
}

static void only_its_owner_can_use_the_socket_whatever_the_umask(void **state)
{
    (void)state;
    char path[LOCAL_NAME_MAX];
    place(path, "mode.sock");
    static const mode_t umasks[] = {0, 022, 0777};
    for (size_t i = 0; i < sizeof umasks / sizeof umasks[0]; i++) {
        mode_t old = umask(umasks[i]);
        struct local_listener *listener = listen_at(path);
        umask(old);
        assert_int_equal(mode_of(path), 0600);
        local_listener_close(listener);
        assert_int_equal(access(path, F_OK), -1);
    }
}

static void the_directory_of_a_name_is_made_and_private(void **state)
{
    (void)state;
    char path[LOCAL_NAME_MAX];
    char made[TEST_PATH_MAX + 16];
    assert_int_equal(local_path("relay", path), ERR_OK);
    str_format(made, sizeof made, "%s/pairport", dir);
    assert_int_equal(strncmp(path, made, strlen(made)), 0);
    mode_t old = umask(0);
    struct local_listener *listener = listen_at(path);
    umask(old);
    assert_int_equal(mode_of(made), 0700);
    local_listener_close(listener);
    assert_int_equal(rmdir(made), 0);
}

static void without_a_runtime_directory_the_place_is_private_too(void **state)
{
    (void)state;
    char path[LOCAL_NAME_MAX];
    char expected[LOCAL_NAME_MAX];
    unsetenv("XDG_RUNTIME_DIR");
    assert_int_equal(local_path("relay", path), ERR_OK);
    if (geteuid() == 0)
        str_format(expected, sizeof expected, "/run/pairport/relay.sock");
    else
        str_format(expected, sizeof expected, "/tmp/pairport-%u/relay.sock",
                   (unsigned)geteuid());
    assert_string_equal(path, expected);
    setenv("XDG_RUNTIME_DIR", "relative", 1);
    assert_int_equal(local_path("relay", path), ERR_OK);
    assert_string_equal(path, expected);
    setenv("XDG_RUNTIME_DIR", dir, 1);
}

static void the_socket_of_a_dead_process_is_replaced(void **state)
{
    (void)state;
    char path[LOCAL_NAME_MAX];
    place(path, "stale.sock");
    leave_stale(path);
    struct local_conn *conn;
    assert_int_equal(local_connect(path, &conn), ERR_NOT_FOUND);
    struct local_listener *listener = listen_at(path);
    assert_int_equal(local_connect(path, &conn), ERR_OK);
    local_conn_close(conn);
    local_listener_close(listener);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    (void)state;
    char path[LOCAL_NAME_MAX];
    place(path, "precious.txt");
    assert_int_equal(test_write_file(path, "precious"), ERR_OK);
    struct local_listener *listener;
    assert_int_equal(local_listen(path, &listener), ERR_EXISTS);
    char *text = test_read_file(path);
    assert_string_equal(text, "precious");
    free(text);
}

static void closing_does_not_remove_the_socket_of_a_successor(void **state)
{
    (void)state;
    char path[LOCAL_NAME_MAX];
    place(path, "successor.sock");
    struct local_listener *first = listen_at(path);
    assert_int_equal(unlink(path), 0);
    struct local_listener *second = listen_at(path);
    local_listener_close(first);
    struct local_conn *conn;
    assert_int_equal(local_connect(path, &conn), ERR_OK);
    local_conn_close(conn);
    local_listener_close(second);
}

static void assert_refused(const char *path, const char *why)
{
    struct local_listener *listener;
    char problem[LOCAL_PROBLEM_MAX];
    assert_int_equal(local_listen(path, &listener), ERR_ACCESS);
    local_problem(path, problem);
    if (strstr(problem, why) == NULL)
        fail_msg("no '%s' in '%s'", why, problem);
}

static void a_directory_that_others_can_write_is_refused(void **state)
{
    (void)state;
    char open_dir[LOCAL_NAME_MAX];
    char path[LOCAL_NAME_MAX];
    place(open_dir, "open");
    place(path, "open/relay.sock");
    assert_int_equal(mkdir(open_dir, 0700), 0);
    static const mode_t modes[] = {0777, 0770, 01777};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(open_dir, modes[i]), 0);
        assert_refused(path, "other users can write to the directory");
    }
    assert_int_equal(chmod(open_dir, 0755), 0);
    local_listener_close(listen_at(path));
    assert_int_equal(rmdir(open_dir), 0);
}

static void a_directory_that_is_a_link_is_refused(void **state)
{
    (void)state;
    char target[LOCAL_NAME_MAX];
    char link[LOCAL_NAME_MAX];
    char path[LOCAL_NAME_MAX];
    place(target, "target");
    place(link, "link");
    place(path, "link/relay.sock");
    assert_int_equal(mkdir(target, 0700), 0);
    assert_int_equal(symlink(target, link), 0);
    assert_refused(path, "is a symbolic link");
    assert_int_equal(unlink(link), 0);
    assert_int_equal(rmdir(target), 0);
}

static void a_directory_of_someone_else_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip(); /* only root can give a directory away */
    char foreign[LOCAL_NAME_MAX];
    char path[LOCAL_NAME_MAX];
    place(foreign, "foreign");
    place(path, "foreign/relay.sock");
    assert_int_equal(mkdir(foreign, 0700), 0);
    assert_int_equal(chown(foreign, STRANGER, STRANGER), 0);
    assert_refused(path, "belongs to uid 12345, not to this user (uid 0)");
    assert_int_equal(rmdir(foreign), 0);
}

/* ---- other users ---- */

/* A process of another user that listens in a directory of its own. */
struct stranger {
    char directory[LOCAL_NAME_MAX];
    char path[LOCAL_NAME_MAX];
    pid_t pid;
};

static void play_stranger(const char *path)
{
    struct local_listener *listener;
    if (setgid(STRANGER) != 0 || setuid(STRANGER) != 0 ||
        local_listen(path, &listener) != ERR_OK)
        _exit(1);
    for (;;)
        pause();
}

static void start_stranger(struct stranger *stranger, const char *parent)
{
    str_format(stranger->directory, LOCAL_NAME_MAX, "%s/stranger-%d", parent, (int)getpid());
    size_t len =
        str_format(stranger->path, LOCAL_NAME_MAX, "%s/relay.sock", stranger->directory);
    assert_true(len < LOCAL_NAME_MAX);
    assert_int_equal(mkdir(stranger->directory, 0700), 0);
    assert_int_equal(chown(stranger->directory, STRANGER, STRANGER), 0);
    fflush(NULL);
    stranger->pid = fork();
    assert_true(stranger->pid >= 0);
    if (stranger->pid == 0)
        play_stranger(stranger->path);
    uint64_t until = os_mono_ms() + PATIENCE_MS;
    while (access(stranger->path, F_OK) != 0 && os_mono_ms() < until)
        os_sleep_ms(1);
}

/* Between its bind() and its listen() it is not there yet. */
static enum err connect_stranger(const struct stranger *stranger, struct local_conn **out)
{
    uint64_t until = os_mono_ms() + PATIENCE_MS;
    enum err err;
    while ((err = local_connect(stranger->path, out)) == ERR_NOT_FOUND && os_mono_ms() < until)
        os_sleep_ms(1);
    return err;
}

static void end_stranger(const struct stranger *stranger)
{
    int status;
    kill(stranger->pid, SIGKILL);
    assert_int_equal(waitpid(stranger->pid, &status, 0), stranger->pid);
    unlink(stranger->path);
    assert_int_equal(rmdir(stranger->directory), 0);
}

static void root_does_not_believe_a_server_that_others_can_have_put_there(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip(); /* only root can start a process of another user */
    struct stranger stranger;
    struct local_conn *conn;
    char problem[LOCAL_PROBLEM_MAX];
    start_stranger(&stranger, "/tmp");
    assert_int_equal(connect_stranger(&stranger, &conn), ERR_ACCESS);
    local_problem(stranger.path, problem);
    assert_non_null(strstr(problem, "runs as another user (uid 12345, pid "));
    end_stranger(&stranger);
}

static void root_reaches_a_service_in_its_own_directory(void **state)
{
    (void)state;
    struct stat parent;
    if (geteuid() != 0 || stat("/run", &parent) != 0 || parent.st_uid != 0 ||
        (parent.st_mode & 022) != 0)
        skip();
    struct stranger stranger;
    struct local_conn *conn;
    struct local_peer peer;
    start_stranger(&stranger, "/run");
    assert_int_equal(connect_stranger(&stranger, &conn), ERR_OK);
    assert_int_equal(local_peer(conn, &peer), ERR_OK);
    assert_int_equal(peer.pid, stranger.pid);
    assert_string_equal(peer.user, "uid 12345");
    assert_false(peer.same_user);
    assert_false(peer.admin);
    local_conn_close(conn);

    /* Not when others can change what is found there. */
    assert_int_equal(chmod(stranger.directory, 0777), 0);
    assert_int_equal(local_connect(stranger.path, &conn), ERR_ACCESS);
    end_stranger(&stranger);
}

/* ---- places ---- */

static void a_relay_is_found_in_the_place_where_another_environment_made_it(void **state)
{
    (void)state;
    char name[64], here[LOCAL_NAME_MAX], there[LOCAL_NAME_MAX], found[LOCAL_NAME_MAX];
    char made[TEST_PATH_MAX + 16];
    str_format(name, sizeof name, "test-%d", (int)getpid());
    str_format(there, sizeof there, "/tmp/pairport-%u/%s.sock", (unsigned)geteuid(), name);
    str_format(made, sizeof made, "%s/pairport", dir);
    assert_int_equal(local_path(name, here), ERR_OK);
    assert_string_not_equal(here, there);
    assert_int_equal(local_find(name, found), ERR_OK);
    assert_string_equal(found, here); /* nobody is there: where one would be made */

    struct local_listener *second = listen_at(there);
    assert_int_equal(local_find(name, found), ERR_OK);
    assert_string_equal(found, there);
    struct local_listener *first = listen_at(here);
    assert_int_equal(local_find(name, found), ERR_OK);
    assert_string_equal(found, here);
    local_listener_close(first);
    local_listener_close(second);
    assert_int_equal(rmdir(made), 0);
    str_format(made, sizeof made, "/tmp/pairport-%u", (unsigned)geteuid());
    (void)rmdir(made); /* unless others use it */
}

static void a_path_too_long_for_a_socket_is_refused(void **state)
{
    (void)state;
    char path[LOCAL_NAME_MAX];
    memset(path, 'x', 150);
    path[0] = '/';
    path[150] = '\0';
    struct local_listener *listener;
    struct local_conn *conn;
    assert_int_equal(local_listen(path, &listener), ERR_RANGE);
    assert_int_equal(local_connect(path, &conn), ERR_RANGE);
}

static int make_dir(void **state)
{
    (void)state;
    if (test_make_dir(dir) != ERR_OK)
        return -1;
    return setenv("XDG_RUNTIME_DIR", dir, 1);
}

static int remove_dir(void **state)
{
    (void)state;
    test_remove_dir(dir);
    return 0;
}

static void a_privileged_port_names_the_capability(void **state)
{
    (void)state;
    char text[HOLDER_PRIVILEGE_MAX];
    unsigned first = holder_first_free_port();
    assert_string_equal(holder_privilege((uint16_t)(first < 65535 ? first : 65535), text), "");
    if (first < 2)
        skip(); /* this system has no such ports */
    holder_privilege((uint16_t)(first - 1), text);
    assert_non_null(strstr(text, "CAP_NET_BIND_SERVICE"));
    assert_non_null(strstr(text, "as root"));
    assert_true(strlen(text) + 1 < HOLDER_PRIVILEGE_MAX);
}

/* ---- the order of locks ---- */

static struct os_mutex listener = OS_MUTEX_INIT(LOCK_LISTENER), pair = OS_MUTEX_INIT(LOCK_PAIR),
                       other_pair = OS_MUTEX_INIT(LOCK_PAIR), unranked;

static void in_order(void)
{
    os_mutex_lock(&listener);
    os_mutex_lock(&pair);
    os_mutex_lock(&unranked);
    os_mutex_unlock(&listener); /* in any order */
    os_mutex_unlock(&unranked);
    os_mutex_unlock(&pair);
    os_mutex_lock(&listener);
}

static void under_a_later_one(void)
{
    os_mutex_lock(&pair);
    os_mutex_lock(&listener);
}

static void under_a_later_one_that_was_tried(void)
{
    assert_true(os_mutex_try(&pair));
    os_mutex_lock(&listener);
}

static void two_of_one_rank(void)
{
    os_mutex_lock(&pair);
    os_mutex_lock(&other_pair);
}

static void again_after_a_wait(void)
{
    struct os_cond cond = {0};
    os_mutex_lock(&listener);
    os_mutex_lock(&pair);
    os_cond_wait(&cond, &listener, 1);
}

/* In a process of its own. */
static bool aborts(void (*locks)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        locks();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void a_lock_that_is_taken_against_the_order_aborts(void **state)
{
    (void)state;
#ifndef PAIRPORT_CHECK_LOCKS
    print_message("not shown: only builds with sanitizers check the order of locks\n");
    skip();
#endif
    assert_false(aborts(in_order));
    assert_true(aborts(under_a_later_one));
    assert_true(aborts(under_a_later_one_that_was_tried));
    assert_true(aborts(two_of_one_rank));
    assert_true(aborts(again_after_a_wait));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reserved_ports_are_found_in_the_kernels_list),
        cmocka_unit_test(a_raw_terminal_gives_every_key_as_it_is_typed),
        cmocka_unit_test(the_old_mode_comes_back_at_exit),
        cmocka_unit_test(the_old_mode_comes_back_after_a_failed_assertion),
        cmocka_unit_test(the_old_mode_comes_back_after_a_crash),
        cmocka_unit_test(the_end_of_a_terminal_is_the_end_of_input),
        cmocka_unit_test(closed_standard_streams_do_not_become_sockets),
        cmocka_unit_test(descriptors_are_counted_without_the_one_that_counts),
        cmocka_unit_test(writing_to_a_closed_pipe_is_no_signal),
        cmocka_unit_test(only_its_owner_can_use_the_socket_whatever_the_umask),
        cmocka_unit_test(the_directory_of_a_name_is_made_and_private),
        cmocka_unit_test(without_a_runtime_directory_the_place_is_private_too),
        cmocka_unit_test(the_socket_of_a_dead_process_is_replaced),
        cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
        cmocka_unit_test(closing_does_not_remove_the_socket_of_a_successor),
        cmocka_unit_test(a_directory_that_others_can_write_is_refused),
        cmocka_unit_test(a_directory_that_is_a_link_is_refused),
        cmocka_unit_test(a_directory_of_someone_else_is_refused),
        cmocka_unit_test(root_does_not_believe_a_server_that_others_can_have_put_there),
        cmocka_unit_test(root_reaches_a_service_in_its_own_directory),
        cmocka_unit_test(a_relay_is_found_in_the_place_where_another_environment_made_it),
        cmocka_unit_test(a_path_too_long_for_a_socket_is_refused),
        cmocka_unit_test(a_privileged_port_names_the_capability),
        cmocka_unit_test(a_lock_that_is_taken_against_the_order_aborts),
    };
    os_init();
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
