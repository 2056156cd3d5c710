#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static const enum err errs[] = {
#define X(name, word, text) name,
    ERR_TABLE(X)
#undef X
};

#define ERRS (sizeof errs / sizeof errs[0])

static void ok_is_zero(void **state)
{
    (void)state;
    assert_int_equal(ERR_OK, 0);
    assert_string_equal(err_word(ERR_OK), "ok");
    assert_string_equal(err_text(ERR_OK), "no error");
}

static void each_error_gives_its_own_row(void **state)
{
    (void)state;
#define X(name, word, text)                                                                    \
    assert_string_equal(err_word(name), word);                                                 \
    assert_string_equal(err_text(name), text);
    ERR_TABLE(X)
#undef X
}

static void words_are_words_and_differ(void **state)
{
    (void)state;
    for (size_t i = 0; i < ERRS; i++) {
        const char *word = err_word(errs[i]);
        assert_int_not_equal(strlen(word), 0);
        assert_int_equal(strspn(word, "abcdefghijklmnopqrstuvwxyz_"), strlen(word));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(word, err_word(errs[j]));
    }
}

static void texts_fit_after_a_colon(void **state)
{
    (void)state;
    for (size_t i = 0; i < ERRS; i++) {
        const char *text = err_text(errs[i]);
        assert_true(text[0] >= 'a' && text[0] <= 'z');
        assert_int_not_equal(text[strlen(text) - 1], '.');
    }
}

static void a_value_outside_the_table_has_words_too(void **state)
{
    (void)state;
    assert_string_equal(err_word((enum err)ERRS), "unknown");
    assert_string_equal(err_text((enum err)ERRS), "unknown error");
    assert_string_equal(err_word((enum err) - 1), "unknown");
    assert_string_equal(err_text((enum err) - 1), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ok_is_zero),
        cmocka_unit_test(each_error_gives_its_own_row),
        cmocka_unit_test(words_are_words_and_differ),
        cmocka_unit_test(texts_fit_after_a_colon),
        cmocka_unit_test(a_value_outside_the_table_has_words_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
