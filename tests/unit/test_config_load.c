/* test_config_load.c - configurations in files, and files that are none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"
#include "config/conf.h"
#include "config/read/file.h"
#include "config_text.h"

#define TEMP_FILE "test_config_load.tmp"

static void write_temp(const char *bytes, size_t len)
{
    FILE *file = fopen(TEMP_FILE, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static int remove_temp(void **state)
{
    (void)state;
    chmod(TEMP_FILE, 0600);
    remove(TEMP_FILE);
    return 0;
}

static void assert_file_refused(const char *path, enum err expected_err, const char *expected)
{
    struct conf *conf = NULL;
    struct str messages;
    str_init(&messages);
    enum err err = conf_load(path, NULL, &conf, &messages);
    assert_string_equal(messages.data, expected);
    assert_int_equal(err, expected_err);
    assert_null(conf);
    str_free(&messages);
}

static void a_file_is_loaded_and_remembers_its_path(void **state)
{
    (void)state;
    struct conf *conf = NULL;
    struct str messages;
    str_init(&messages);
    write_temp(GOOD_ROUTE, strlen(GOOD_ROUTE));
    assert_int_equal(conf_load(TEMP_FILE, NULL, &conf, &messages), ERR_OK);
    assert_string_equal(messages.data, "");
    assert_string_equal(conf->path, TEMP_FILE);
    assert_string_equal(conf->routes[0].name, "r");
    conf_free(conf);
    str_free(&messages);
}

static void mistakes_of_a_file_bear_its_name(void **state)
{
    (void)state;
    write_temp("[rely]\n", 7);
    assert_file_refused(TEMP_FILE, ERR_INVALID,
                        TEMP_FILE ": there is no route; add a section [route NAME] with a "
                                  "listen and an upstream line\n" TEMP_FILE
                                  ":1: unknown section 'rely'; did you mean [relay]?\n");
}

static void a_missing_file_is_told_as_that(void **state)
{
    (void)state;
    assert_file_refused("no-such-directory/x.ini", ERR_NOT_FOUND,
                        "no-such-directory/x.ini: there is no such file; name another one with "
                        "-c FILE\n");
}

static void a_directory_is_told_as_that(void **state)
{
    (void)state;
    assert_file_refused(".", ERR_IO, ".: this is a directory; name a file in it\n");
}

static void a_file_without_permission_is_told_as_that(void **state)
{
    (void)state;
    write_temp(GOOD_ROUTE, strlen(GOOD_ROUTE));
    chmod(TEMP_FILE, 0);
    FILE *file = fopen(TEMP_FILE, "rb");
    if (file != NULL) { /* for root, and on Windows, every file can be read */
        fclose(file);
        skip();
    }
    assert_file_refused(TEMP_FILE, ERR_ACCESS,
                        TEMP_FILE ": the file can't be read: permission denied; allow this "
                                  "user to read it\n");
}

static void an_empty_file_is_told_as_that(void **state)
{
    (void)state;
    write_temp("", 0);
    assert_file_refused(TEMP_FILE, ERR_INVALID,
                        TEMP_FILE ": the file is empty; add a section [route NAME] with a "
                                  "listen and an upstream line\n");
}

static void a_file_of_a_megabyte_is_read_and_one_byte_more_is_refused(void **state)
{
    (void)state;
    size_t size = 1024 * 1024;
    char *bytes = malloc(size + 1);
    struct conf *conf = NULL;
    struct str messages;
    assert_non_null(bytes);
    str_init(&messages);
    memset(bytes, '\n', size + 1);
    memcpy(bytes, GOOD_ROUTE, strlen(GOOD_ROUTE));

    write_temp(bytes, size);
    assert_int_equal(conf_load(TEMP_FILE, NULL, &conf, &messages), ERR_OK);
    conf_free(conf);
    write_temp(bytes, size + 1);
    assert_file_refused(TEMP_FILE, ERR_INVALID,
                        TEMP_FILE ": the file is larger than 1 MB; this is no configuration\n");
    free(bytes);
    str_free(&messages);
}

static void a_path_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct str path;
    struct str expected;
    str_init(&path);
    str_init(&expected);
    for (int i = 0; i < CONF_PATH_MAX / 2; ++i)
        str_add(&path, "./");
    str_addf(&expected, "%s: the file's name is longer than 1023 bytes; move the file\n",
             path.data);
    assert_file_refused(path.data, ERR_NOT_FOUND, expected.data);
    str_free(&path);
    str_free(&expected);
}

/* ---- files that the configuration names ---- */

static enum err load_naming(const char *line, struct str *messages)
{
    struct conf *conf = NULL;
    char text[512];
    str_format(text, sizeof text, "[relay]\n%s\n%s", line, GOOD_ROUTE);
    write_temp(text, strlen(text));
    str_clear(messages);
    enum err err = conf_load(TEMP_FILE, NULL, &conf, messages);
    conf_free(conf);
    return err;
}

static void files_that_cannot_be_written_are_found_in_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *line, *message;
        enum err err;
    } cases[] = {
        {"log_file = .", "log_file: '.' is a directory; name a file in it", ERR_INVALID},
        {"state_file = .", "state_file: '.' is a directory; name a file in it", ERR_INVALID},
        {"log_file = no-such-folder/a.log",
         "log_file: the folder 'no-such-folder' does not exist; create it, or name another one",
         ERR_INVALID},
        {"log_file = /no-such-folder/b/a.log",
         "log_file: the folder '/no-such-folder/b' does not exist; create it, or name another "
         "one",
         ERR_INVALID},
        {"log_file = " TEMP_FILE "/a.log",
         "log_file: '" TEMP_FILE "' is a file, so nothing can be in it; name a folder",
         ERR_INVALID},
        {"state_file = no-such-folder/a",
         "warning: state_file: the folder 'no-such-folder' does not exist; create it, or name "
         "another one",
         ERR_OK},
        {"log_file = C:\\logs\\a.log",
         "log_file: 'C:\\logs\\a.log' is a path of Windows; on this system one begins with "
         "'/', such as /var/log/pairport.log",
         ERR_INVALID},
    };
    struct str messages;
    str_init(&messages);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        char expected[512];
        bool warns = strncmp(cases[i].message, "warning: ", 9) == 0;
        str_format(expected, sizeof expected, TEMP_FILE ":2: %s[relay] %s\n",
                   warns ? "warning: " : "", cases[i].message + (warns ? 9 : 0));
        assert_int_equal(load_naming(cases[i].line, &messages), cases[i].err);
        assert_string_equal(messages.data, expected);
    }
    str_free(&messages);
}

static void files_that_can_be_written_are_no_mistake(void **state)
{
    (void)state;
    static const char *const lines[] = {"log_file = a.log", "log_file = ./a.log",
                                        "log_file = /a.log", "state_file = " TEMP_FILE ".bans"};
    struct str messages;
    str_init(&messages);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; ++i) {
        assert_int_equal(load_naming(lines[i], &messages), ERR_OK);
        assert_string_equal(messages.data, "");
    }
    str_free(&messages);
}

/* A system with drives, on which nothing is there but D:\ and D:\a. */
static int get_drive_mode(const char *path, unsigned *mode)
{
    bool there = strcmp(path, "D:\\") == 0 || strcmp(path, "D:\\a") == 0;
    *mode = S_IFDIR | 0700;
    return there ? 0 : ENOENT;
}

static void both_slashes_end_a_folder_where_there_are_drives(void **state)
{
    (void)state;
    static const struct file_calls drives = {
        .open = fopen, .get_mode = get_drive_mode, .slashes = "/\\"};
    size_t len;
    struct file_calls before = file_use(&drives);
    assert_int_equal(file_find_fault("D:\\x.log", &len), FILE_FINE);
    assert_int_equal(file_find_fault("D:\\a\\x.log", &len), FILE_FINE);
    assert_int_equal(file_find_fault("D:\\a", &len), FILE_IS_FOLDER);
    assert_int_equal(file_find_fault("D:\\b/x.log", &len), FILE_FOLDER_MISSING);
    assert_int_equal(len, strlen("D:\\b"));
    file_use(&before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_file_is_loaded_and_remembers_its_path, remove_temp),
        cmocka_unit_test_teardown(mistakes_of_a_file_bear_its_name, remove_temp),
        cmocka_unit_test(a_missing_file_is_told_as_that),
        cmocka_unit_test(a_directory_is_told_as_that),
        cmocka_unit_test_teardown(a_file_without_permission_is_told_as_that, remove_temp),
        cmocka_unit_test_teardown(an_empty_file_is_told_as_that, remove_temp),
        cmocka_unit_test_teardown(a_file_of_a_megabyte_is_read_and_one_byte_more_is_refused,
                                  remove_temp),
        cmocka_unit_test(a_path_that_does_not_fit_is_refused),
        cmocka_unit_test_teardown(files_that_cannot_be_written_are_found_in_their_line,
                                  remove_temp),
        cmocka_unit_test_teardown(files_that_can_be_written_are_no_mistake, remove_temp),
        cmocka_unit_test(both_slashes_end_a_folder_where_there_are_drives),
    };
    return cmocka_run_group_tests_name("config_load", tests, NULL, NULL);
}
