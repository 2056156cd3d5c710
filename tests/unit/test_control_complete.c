/* test_control_complete.c - what Tab makes of a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/command.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const routes[] = {"lobby", "login", "world"};
static struct completion completion;

static int set_up(void **state)
{
    (void)state;
    completion_init(&completion);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    completion_free(&completion);
    return 0;
}

static void assert_completes(const char *line, const char *insert, const char *candidates)
{
    command_complete(line, strlen(line), routes, COUNT(routes), &completion);
    assert_string_equal(completion.insert.data, insert);
    assert_string_equal(completion.candidates.data, candidates);
}

static void a_word_that_fits_one_command_is_completed_with_a_blank(void **state)
{
    (void)state;
    assert_completes("sho", "w ", "");
    assert_completes("HEL", "p ", "");
    assert_completes("show in", "fo ", "");
    assert_completes("sh up", "streams ", "");
    assert_completes("shutdown ", "now ", "");
    assert_completes("show info", " ", "");
}

static void several_candidates_are_completed_as_far_as_they_agree(void **state)
{
    (void)state;
    assert_completes("show se", "ssion", "sessions\nsession\n");
    assert_completes("show session", "", "sessions\nsession\n");
    assert_completes("se", "t ", "");
    assert_completes("sh", "", "show\nshutdown\n");
}

static void nothing_typed_offers_every_first_word_once(void **state)
{
    (void)state;
    assert_completes("", "", "help\nshow\nkill\nset\nreopen\nshutdown\nquit\n");
    assert_completes("  ", "", "help\nshow\nkill\nset\nreopen\nshutdown\nquit\n");
}

static void keywords_are_offered_until_they_are_used(void **state)
{
    (void)state;
    assert_completes("show sessions ", "", "route\nsort\nlimit\njson\n");
    assert_completes("show sessions sort id ", "", "route\nlimit\njson\n");
    assert_completes("show sessions sort id json limit 5 route lobby ", "", "");
    assert_completes("show sessions li", "mit ", "");
    assert_completes("show session 12 ", "json ", "");
}

static void values_are_offered_behind_their_keyword(void **state)
{
    (void)state;
    assert_completes("show sessions sort ", "",
                     "rate\nage\nidle\nbytes\nwaiting\nid\nclient\nroute\n");
    assert_completes("show sessions sort wa", "iting ", "");
    assert_completes("show sessions route lo", "", "lobby\nlogin\n");
    assert_completes("show sessions route w", "orld ", "");
    assert_completes("set log_level w", "arning ", "");
    assert_completes("show sessions limit ", "", "");
}

static void both_forms_of_kill_are_offered(void **state)
{
    (void)state;
    assert_completes("kill ", "route ", "");
    assert_completes("kill route ", "", "lobby\nlogin\nworld\n");
    assert_completes("kill route lob", "by ", "");
}

static void help_takes_the_words_of_commands(void **state)
{
    (void)state;
    assert_completes("help sh", "", "show\nshutdown\n");
    assert_completes("help show se", "ssion", "sessions\nsession\n");
    assert_completes("help kill ", "route ", "");
}

static void nothing_is_made_of_what_fits_nothing(void **state)
{
    (void)state;
    assert_completes("foo", "", "");
    assert_completes("foo ", "", "");
    assert_completes("show foo ", "", "");
    assert_completes("show sessions sort x", "", "");
    assert_completes("# sh", "", "");
    assert_completes("\"sho", "", "");
    assert_completes("sh\\o", "", "");
    assert_completes("sho\x01", "", "");
}

static void only_what_stands_before_the_cursor_counts(void **state)
{
    (void)state;
    command_complete("show inxx", 7, routes, COUNT(routes), &completion);
    assert_string_equal(completion.insert.data, "fo ");
}

static void without_route_names_none_are_offered(void **state)
{
    (void)state;
    command_complete("kill route ", 11, NULL, 0, &completion);
    assert_string_equal(completion.insert.data, "");
    assert_string_equal(completion.candidates.data, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_word_that_fits_one_command_is_completed_with_a_blank),
        TEST(several_candidates_are_completed_as_far_as_they_agree),
        TEST(nothing_typed_offers_every_first_word_once),
        TEST(keywords_are_offered_until_they_are_used),
        TEST(values_are_offered_behind_their_keyword),
        TEST(both_forms_of_kill_are_offered),
        TEST(help_takes_the_words_of_commands),
        TEST(nothing_is_made_of_what_fits_nothing),
        TEST(only_what_stands_before_the_cursor_counts),
        TEST(without_route_names_none_are_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
