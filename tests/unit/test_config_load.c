/* test_config_load.c - configurations in files, and files that are none. */
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
    };
    return cmocka_run_group_tests_name("config_load", tests, NULL, NULL);
}
