/* test_os_file.c - files and paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/str.h"
#include "os/file.h"
#include "os/os.h"
#include "support/platform.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- files ---- */

static void join(char path[TEST_PATH_MAX], const char *dir, const char *name)
{
    str_format(path, TEST_PATH_MAX, "%s/%s", dir, name);
}

static void write_text(const char *path, const char *mode, const char *text)
{
    FILE *file;
    assert_int_equal(os_file_open(&file, path, mode), ERR_OK);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void assert_holds(const char *path, const char *expected)
{
    char text[256];
    FILE *file;
    assert_int_equal(os_file_open(&file, path, "rb"), ERR_OK);
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    assert_string_equal(text, expected);
}

static void a_file_with_a_name_in_utf_8_is_written_read_and_removed(void **state)
{
    char path[TEST_PATH_MAX];
    join(path, *state, "größe-日本-\xF0\x9F\x8E\xAE.log");
    write_text(path, "wb", "first\n");
    assert_holds(path, "first\n");
    write_text(path, "ab", "second\n");
    assert_holds(path, "first\nsecond\n");
    write_text(path, "wb", "third");
    assert_holds(path, "third");
    assert_int_equal(os_file_remove(path), ERR_OK);
    FILE *file;
    assert_int_equal(os_file_open(&file, path, "r"), ERR_NOT_FOUND);
    assert_int_equal(os_file_remove(path), ERR_NOT_FOUND);
}

static void appending_goes_to_the_end_whoever_else_wrote(void **state)
{
    char path[TEST_PATH_MAX];
    join(path, *state, "shared.log");
    FILE *one;
    FILE *two;
    assert_int_equal(os_file_open(&one, path, "ab"), ERR_OK);
    assert_int_equal(os_file_open(&two, path, "ab"), ERR_OK);
    for (int i = 0; i < 3; i++) {
        fputs("one ", one);
        assert_int_equal(fflush(one), 0);
        fputs("two ", two);
        assert_int_equal(fflush(two), 0);
    }
    fclose(one);
    fclose(two);
    assert_holds(path, "one two one two one two ");
    assert_int_equal(os_file_remove(path), ERR_OK);
}

static void an_open_log_can_be_renamed_and_replaced(void **state)
{
    char path[TEST_PATH_MAX];
    char rotated[TEST_PATH_MAX];
    join(path, *state, "pairport.log");
    join(rotated, *state, "pairport.log.1");
    FILE *file;
    assert_int_equal(os_file_open(&file, path, "ab"), ERR_OK);
    fputs("before ", file);
    assert_int_equal(fflush(file), 0);
    assert_int_equal(os_file_replace(path, rotated), ERR_OK);
    fputs("after", file);
    fclose(file);
    assert_holds(rotated, "before after");

    write_text(path, "wb", "new");
    assert_int_equal(os_file_replace(path, rotated), ERR_OK);
    assert_holds(rotated, "new");
    assert_int_equal(os_file_replace(path, rotated), ERR_NOT_FOUND);
    assert_holds(rotated, "new");
    assert_int_equal(os_file_remove(rotated), ERR_OK);
}

static void what_cannot_be_opened_says_why(void **state)
{
    char path[TEST_PATH_MAX];
    FILE *file = NULL;
    join(path, *state, "no such directory/file");
    assert_int_equal(os_file_open(&file, path, "w"), ERR_NOT_FOUND);
    assert_int_equal(os_file_open(&file, *state, "r"), ERR_INVALID); /* a directory */
    assert_int_equal(os_file_open(&file, path, "?"), ERR_INVALID);
    assert_null(file);
}

static void a_whole_file_takes_the_place_of_the_old_one(void **state)
{
    char path[TEST_PATH_MAX], left[TEST_PATH_MAX];
    FILE *file;
    join(path, *state, "whole");
    assert_int_equal(os_file_write_whole(path, "one\n", 4), ERR_OK);
    assert_holds(path, "one\n");
    assert_int_equal(os_file_write_whole(path, "two", 3), ERR_OK);
    assert_int_equal(os_plain_open(&file, path), ERR_OK);
    fclose(file);
    assert_holds(path, "two");

    join(left, *state, "whole.0123456789abcdef.new");
    write_text(left, "wb", "half");
    os_file_clean_up(path);
    assert_int_equal(os_file_open(&file, left, "rb"), ERR_NOT_FOUND);
    assert_holds(path, "two");
    join(left, *state, "no such directory/file");
    assert_int_equal(os_file_write_whole(left, "x", 1), ERR_NOT_FOUND);
    assert_int_equal(os_file_remove(path), ERR_OK);
}

static void a_locked_file_tells_its_holder_until_it_is_unlocked(void **state)
{
    char path[TEST_PATH_MAX];
    struct os_file_lock *first, *second;
    uint64_t holder = 0;
    join(path, *state, "locked");
    assert_int_equal(os_file_lock(&first, path, &holder), ERR_OK);
    assert_int_equal(os_file_lock(&second, path, &holder), ERR_IN_USE);
    assert_int_equal(holder, os_process_id());
    assert_int_equal(os_file_write_whole(path, "x", 1), ERR_OK);
    assert_int_equal(os_file_lock(&second, path, &holder), ERR_IN_USE);
    os_file_unlock(first);
    assert_int_equal(os_file_lock(&second, path, &holder), ERR_OK);
    os_file_unlock(second);
    assert_int_equal(os_file_remove(path), ERR_OK);
}

static void the_error_of_a_failed_library_call_is_kept(void **state)
{
    char path[TEST_PATH_MAX];
    join(path, *state, "missing");
    assert_null(fopen(path, "r"));
    assert_int_equal(os_last_error(), ERR_NOT_FOUND);
}

static void a_path_of_many_directories_may_be_long(void **state)
{
    /* Far beyond the 260 characters of old Windows programs; it does not exist, and that is
     * what the error says. */
    char path[TEST_PATH_MAX];
    size_t len = str_format(path, sizeof path, "%s", (const char *)*state);
    while (len < 700)
        len += str_format(path + len, sizeof path - len, "/a-directory-of-30-characters");
    FILE *file;
    assert_int_equal(os_file_open(&file, path, "r"), ERR_NOT_FOUND);

    join(path, *state, "");
    len = strlen(path);
    memset(path + len, 'x', 240);
    path[len + 240] = '\0';
    write_text(path, "wb", "long");
    assert_holds(path, "long");
    assert_int_equal(os_file_remove(path), ERR_OK);
}

static bool is_absolute(const char *path)
{
    return path[0] == '/' || (path[0] != '\0' && path[1] == ':');
}

static void a_relative_path_becomes_absolute(void **state)
{
    (void)state;
    char full[TEST_PATH_MAX];
    os_full_path("no-such-file.ini", full, sizeof full);
    assert_true(is_absolute(full));
    assert_non_null(strstr(full, "no-such-file.ini"));
    os_full_path(*state, full, sizeof full);
    assert_true(is_absolute(full));

    char tiny[5];
    os_full_path("abcdefgh", tiny, sizeof tiny);
    assert_int_equal(strlen(tiny), sizeof tiny - 1);
}

static void the_program_knows_its_own_file(void **state)
{
    (void)state;
    char path[TEST_PATH_MAX];
    assert_int_equal(os_program_path(path, sizeof path), ERR_OK);
    assert_true(is_absolute(path));
    assert_non_null(strstr(path, "test_os"));
    FILE *file;
    assert_int_equal(os_file_open(&file, path, "rb"), ERR_OK);
    fclose(file);
    char small[4];
    assert_int_equal(os_program_path(small, sizeof small), ERR_RANGE);
}

static int make_dir(void **state)
{
    char *dir = malloc(TEST_PATH_MAX);
    if (dir == NULL || test_make_dir(dir) != ERR_OK)
        return -1;
    *state = dir;
    return 0;
}

static int remove_dir(void **state)
{
    test_remove_dir(*state);
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_with_a_name_in_utf_8_is_written_read_and_removed),
        cmocka_unit_test(appending_goes_to_the_end_whoever_else_wrote),
        cmocka_unit_test(an_open_log_can_be_renamed_and_replaced),
        cmocka_unit_test(what_cannot_be_opened_says_why),
        cmocka_unit_test(a_whole_file_takes_the_place_of_the_old_one),
        cmocka_unit_test(a_locked_file_tells_its_holder_until_it_is_unlocked),
        cmocka_unit_test(the_error_of_a_failed_library_call_is_kept),
        cmocka_unit_test(a_path_of_many_directories_may_be_long),
        cmocka_unit_test(a_relative_path_becomes_absolute),
        cmocka_unit_test(the_program_knows_its_own_file),
    };
    os_init();
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
