/* test_os_file_guard.c - files that nobody else may choose: the log, and what is replaced as a
 * whole, with its lock. On Linux. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/file.h"
#include "os/os.h"
#include "support/platform.h"

static char dir[TEST_PATH_MAX], path[TEST_PATH_MAX + 32], other[TEST_PATH_MAX + 32];

static int make_dir(void **state)
{
    (void)state;
    if (test_make_dir(dir) != ERR_OK)
        return -1;
    str_format(path, sizeof path, "%s/file", dir);
    str_format(other, sizeof other, "%s/other", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    test_remove_dir(dir);
    return 0;
}

static unsigned mode_of(const char *file)
{
    struct stat stat_of;
    assert_int_equal(stat(file, &stat_of), 0);
    return stat_of.st_mode & 07777;
}

static void assert_holds(const char *file, const char *expected)
{
    char *text = test_read_file(file);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void write_whole(const char *text)
{
    assert_int_equal(os_file_write_whole(path, text, strlen(text)), ERR_OK);
}

/* ---- the log ---- */

static void a_new_log_is_not_for_everybody(void **state)
{
    (void)state;
    FILE *file;
    mode_t mask = umask(0);
    assert_int_equal(os_log_open(&file, path), ERR_OK);
    umask(mask);
    fclose(file);
    assert_int_equal(mode_of(path), 0640);
    assert_int_equal(chmod(path, 0604), 0);
    assert_int_equal(os_log_open(&file, path), ERR_OK);
    fclose(file);
    assert_int_equal(mode_of(path), 0604); /* somebody's choice */
}

static void a_pipe_as_log_waits_for_no_reader_and_keeps_what_fits(void **state)
{
    (void)state;
    char text[4096], got[8];
    FILE *file;
    memset(text, 'x', sizeof text);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(os_log_open(&file, path), ERR_OK);
    assert_int_equal(fwrite("first ", 1, 6, file), 6);
    size_t taken = 0, done;
    do {
        done = fwrite(text, 1, sizeof text, file);
        taken += done;
    } while (done == sizeof text && taken < 64u * 1024 * 1024);
    assert_true(done < sizeof text); /* it is full, and nobody waited */
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    assert_int_equal(read(reader, got, 6), 6);
    assert_memory_equal(got, "first ", 6);
    close(reader);
    fclose(file);
}

static void a_link_is_followed_only_where_nobody_else_can_make_one(void **state)
{
    (void)state;
    FILE *file;
    assert_int_equal(test_write_file(other, "precious"), ERR_OK);
    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(os_log_open(&file, path), ERR_OK); /* our link, in our folder */
    fclose(file);
    assert_int_equal(os_plain_open(&file, path), ERR_OK);
    fclose(file);

    assert_int_equal(chmod(dir, 01777), 0); /* as /tmp */
    char settled[TEST_PATH_MAX + 32];
    assert_int_equal(os_log_open(&file, path), ERR_UNSAFE);
    assert_int_equal(os_plain_open(&file, path), ERR_UNSAFE);
    assert_int_equal(os_file_settle(path, settled, sizeof settled), ERR_UNSAFE);
    assert_int_equal(chmod(dir, 0700), 0);
    assert_int_equal(os_file_settle(path, settled, sizeof settled), ERR_OK);
    assert_string_equal(settled, other);
    if (geteuid() == 0) {
        assert_int_equal(lchown(path, 12345, 12345), 0);
        assert_int_equal(os_log_open(&file, path), ERR_UNSAFE);
    }
    assert_holds(other, "precious");
}

static void what_is_no_plain_file_is_not_read(void **state)
{
    (void)state;
    FILE *file;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(os_plain_open(&file, path), ERR_INVALID); /* and does not wait */
    assert_int_equal(os_plain_open(&file, dir), ERR_INVALID);
    assert_int_equal(os_plain_open(&file, "/dev/zero"), ERR_INVALID);
    assert_int_equal(os_plain_open(&file, other), ERR_NOT_FOUND);
}

static void a_file_at_the_limit_of_its_size_is_a_full_disk(void **state)
{
    (void)state;
    FILE *file;
    int ended;
    assert_int_equal(os_log_open(&file, path), ERR_OK);
    pid_t child = fork(); /* the limit cannot be raised again */
    assert_true(child >= 0);
    if (child == 0) {
        char text[8192] = "";
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){4096, 4096});
        size_t done = fwrite(text, 1, sizeof text, file);
        size_t more = fwrite(text, 1, sizeof text, file);
        enum err err = os_last_error();
        bool right = done == 4096 && more == 0 && err == ERR_NO_SPACE;
        right = right && os_file_write_whole(other, text, sizeof text) == ERR_NO_SPACE;
        _exit(right && access(other, F_OK) != 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_true(WIFEXITED(ended)); /* SIGXFSZ would end it */
    assert_int_equal(WEXITSTATUS(ended), 0);
    fclose(file);
}

/* ---- files replaced as a whole ---- */

static void a_whole_file_is_its_owners_alone(void **state)
{
    (void)state;
    mode_t mask = umask(0);
    write_whole("one");
    umask(mask);
    assert_holds(path, "one");
    assert_int_equal(mode_of(path), 0600);
    write_whole("");
    assert_holds(path, "");
}

static void links_under_the_names_of_before_lead_nowhere(void **state)
{
    (void)state;
    char guess[TEST_PATH_MAX + 64];
    assert_int_equal(test_write_file(other, "precious"), ERR_OK);
    str_format(guess, sizeof guess, "%s.new", path);
    assert_int_equal(symlink(other, guess), 0);
    write_whole("one");
    assert_holds(path, "one");
    assert_holds(other, "precious");
}

static void what_a_crash_has_left_is_removed_and_nothing_else(void **state)
{
    (void)state;
    static const char *const left[] = {".0123456789abcdef.new", ".ffffffffffffffff.new"};
    static const char *const others[] = {".new", ".0123456789abcdeg.new",
                                         ".0123456789abcdef.new2", ".damaged"};
    char name[TEST_PATH_MAX + 64];
    write_whole("one");
    for (size_t i = 0; i < 2; i++) {
        str_format(name, sizeof name, "%s%s", path, left[i]);
        assert_int_equal(test_write_file(name, "half"), ERR_OK);
    }
    for (size_t i = 0; i < 4; i++) {
        str_format(name, sizeof name, "%s%s", path, others[i]);
        assert_int_equal(test_write_file(name, "mine"), ERR_OK);
    }
    os_file_clean_up(path);
    for (size_t i = 0; i < 2; i++) {
        str_format(name, sizeof name, "%s%s", path, left[i]);
        assert_int_not_equal(access(name, F_OK), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        str_format(name, sizeof name, "%s%s", path, others[i]);
        assert_holds(name, "mine");
    }
    assert_holds(path, "one");
}

/* A file mounted by itself, as containers do, cannot be replaced by another. */
static void a_file_that_is_mounted_is_written_in_place(void **state)
{
    (void)state;
    int ended;
    assert_int_equal(test_write_file(path, ""), ERR_OK);
    assert_int_equal(test_write_file(other, "longer than what follows"), ERR_OK);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (unshare(CLONE_NEWNS) != 0 || mount("", "/", "", MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount(other, path, "", MS_BIND, NULL) != 0)
            _exit(2);
        _exit(os_file_write_whole(path, "one", 3) == ERR_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &ended, 0), child);
    if (WIFEXITED(ended) && WEXITSTATUS(ended) == 2) {
        print_message("not shown: mounting takes root's rights\n");
        skip();
    }
    assert_true(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    assert_holds(other, "one");
    assert_holds(path, "");
}

/* ---- locks ---- */

static void a_lock_has_one_holder_and_tells_who(void **state)
{
    (void)state;
    struct os_file_lock *lock, *second;
    uint64_t holder = 1;
    write_whole("one");
    assert_int_equal(os_file_lock(&lock, path, &holder), ERR_OK);
    assert_int_equal(os_file_lock(&second, path, &holder), ERR_IN_USE);
    assert_int_equal(holder, os_process_id());
    write_whole("two"); /* another file takes its place; the lock stays */
    assert_int_equal(os_file_lock(&second, path, &holder), ERR_IN_USE);
    os_file_unlock(lock);
    assert_int_equal(os_file_lock(&second, path, &holder), ERR_OK);
    os_file_unlock(second);
    os_file_unlock(NULL);
    str_format(other, sizeof other, "%s.lock", path);
    assert_int_not_equal(access(other, F_OK), 0); /* nothing is left of it */
}

static void a_lock_goes_with_its_process(void **state)
{
    (void)state;
    struct os_file_lock *lock;
    uint64_t holder;
    int ended;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        os_file_lock(&lock, path, &holder);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_int_equal(os_file_lock(&lock, path, &holder), ERR_OK);
    os_file_unlock(lock);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_log_is_not_for_everybody),
        TEST(a_pipe_as_log_waits_for_no_reader_and_keeps_what_fits),
        TEST(a_link_is_followed_only_where_nobody_else_can_make_one),
        TEST(what_is_no_plain_file_is_not_read),
        TEST(a_file_at_the_limit_of_its_size_is_a_full_disk),
        TEST(a_whole_file_is_its_owners_alone),
        TEST(links_under_the_names_of_before_lead_nowhere),
        TEST(what_a_crash_has_left_is_removed_and_nothing_else),
        TEST(a_file_that_is_mounted_is_written_in_place),
        TEST(a_lock_has_one_holder_and_tells_who),
        TEST(a_lock_goes_with_its_process),
    };
    os_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
