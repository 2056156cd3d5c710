/* test_control_complete.c - what Tab makes of a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/command/names.h"
#include "control/commands.h"
#include "fake_server.h"

static struct names names;
static struct completion completion;

static int set_up(void **state)
{
    (void)state;
    completion_init(&completion);
    static const char *const routes[] = {"lobby", "login", "world"};
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        assert_int_equal(names_add_route(&names, routes[i]), ERR_OK);
    assert_int_equal(names_add_upstream(&names, "lobby", "10.0.0.5:7000"), ERR_OK);
    assert_int_equal(names_add_upstream(&names, "lobby", "game.example:7000"), ERR_OK);
    assert_int_equal(names_add_upstream(&names, "world", "[fd00::2]:7100-7115"), ERR_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    completion_free(&completion);
    names_free(&names);
    return 0;
}

static void assert_completes(const char *line, const char *insert, const char *candidates)
{
    command_complete(&commands, line, strlen(line), &names, &completion);
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
    assert_completes("shutdown n", "ow ", "");
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

static const char every_first_word[] =
    "help\nshow\nban\nunban\nkill\npause\nresume\ndrain\nenable\ndisable\nresolve\nset\n"
    "reopen\nreload\nshutdown\nquit\n";

static void nothing_typed_offers_every_first_word_once(void **state)
{
    (void)state;
    assert_completes("", "", every_first_word);
    assert_completes("  ", "", every_first_word);
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
                     "rate\nage\nidle\nbytes\nwaiting\nid\nclient\nroute\nnewest\n");
    assert_completes("show sessions sort wa", "iting ", "");
    assert_completes("show sessions route lo", "", "lobby\nlogin\n");
    assert_completes("show sessions route w", "orld ", "");
    assert_completes("set log_level w", "arning ", "");
    assert_completes("show sessions limit ", "", "");
}

static void all_forms_of_kill_are_offered(void **state)
{
    (void)state;
    assert_completes("kill ", "", "route\nclient\nupstream\nolder\n");
    assert_completes("kill route ", "", "lobby\nlogin\nworld\n");
    assert_completes("kill route lob", "by ", "");
}

static void help_takes_the_words_of_commands(void **state)
{
    (void)state;
    assert_completes("help sh", "", "show\nshutdown\n");
    assert_completes("help show se", "ssion", "sessions\nsession\n");
    assert_completes("help kill ", "", "route\nclient\nupstream\nolder\n");
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
    command_complete(&commands, "show inxx", 7, &names, &completion);
    assert_string_equal(completion.insert.data, "fo ");
}

static void upstreams_are_offered_as_route_and_name(void **state)
{
    (void)state;
    assert_completes("drain ", "", "route\nupstream\n");
    assert_completes("drain upstream ", "",
                     "lobby/10.0.0.5:7000\nlobby/game.example:7000\n"
                     "world/[fd00::2]:7100-7115\nover\nkill\n");
    assert_completes("enable upstream lo", "bby/",
                     "lobby/10.0.0.5:7000\nlobby/game.example:7000\n");
    assert_completes("disable upstream lobby/1", "0.0.0.5:7000 ", "");
    assert_completes("resolve w", "orld/[fd00::2]:7100-7115 ", "");
    assert_completes("set weight lobby/g", "ame.example:7000 ", "");
    assert_completes("set max_sessions W", "orld/[fd00::2]:7100-7115 ", "");
    assert_completes("resolve lobby/x", "", "");
    assert_completes("set weight lobby/10.0.0.5:7000 ", "", ""); /* any number */
}

static void the_commands_for_upstreams_complete_as_all_do(void **state)
{
    (void)state;
    assert_completes("d", "", "drain\ndisable\n");
    assert_completes("en", "able ", "");
    assert_completes("re", "", "resume\nresolve\nreopen\nreload\n");
    assert_completes("set ", "", "weight\nmax_sessions\nlog_level\ncolumns\n");
    assert_completes("set m", "ax_sessions ", "");
}

static void routes_to_pause_are_offered_with_all(void **state)
{
    (void)state;
    assert_completes("pause ", "", "lobby\nlogin\nworld\nall\nfrozen\n");
    assert_completes("pause a", "ll ", "");
    assert_completes("resume w", "orld ", "");
    assert_completes("pause lobby f", "rozen ", "");
    assert_completes("drain route lobby ", "", "over\nkill\n");
    assert_completes("drain upstream w", "orld/[fd00::2]:7100-7115 ", "");
    assert_completes("shutdown ", "", "now\ndrain\n");
    assert_completes("kill older ", "", ""); /* any time */
}

static void the_names_of_a_configuration_are_those_its_commands_take(void **state)
{
    (void)state;
    struct server *server = fake_server_open();
    names_free(&names);
    assert_int_equal(names_add_conf(&names, server->conf), ERR_OK);
    fake_server_close(server); /* they are copies */
    assert_completes("show stats route ", "", "lobby\nworld\n");
    assert_completes("resolve ", "",
                     "lobby/10.0.0.5:7000\nlobby/game.example:7000\nworld/[fd00::2]:7100\n");
}

static void get_ids(void *ctx, struct name_list *ids)
{
    const struct console console = fake_server_console(ctx);
    struct command_session session = {.console = &console};
    struct command_result result;
    command_result_init(&result);
    command_run(&session, NAMES_IDS_COMMAND, strlen(NAMES_IDS_COMMAND), &result);
    assert_false(result.failed);
    names_add_ids(ids, &result.text);
    command_result_free(&result);
}

static void the_ids_of_the_latest_sessions_are_offered(void **state)
{
    (void)state;
    struct server *server = fake_server_open();
    names.get_ids = get_ids;
    names.ctx = server;
    assert_completes("show session ", "json ", "");
    for (unsigned i = 0; i < 30; i++)
        fake_server_add(server, 100 + (i * 7) % 30, 0); /* in no order */
    assert_completes("show session ", "",
                     "129\n128\n127\n126\n125\n124\n123\n122\n121\n120\n119\n118\n117\n"
                     "116\n115\n114\n113\n112\n111\n110\njson\n");
    assert_completes("show session 11", "",
                     "119\n118\n117\n116\n115\n114\n113\n112\n111\n110\n");
    assert_completes("kill 129", " ", "");
    assert_completes("help kill ", "", "route\nclient\nupstream\nolder\n");
    fake_server_close(server);
    names.get_ids = NULL;

    struct name_list ids = {.all = NULL};
    struct str answer;
    str_init(&answer);
    str_add(&answer, "the sessions could not be read: out of memory\n");
    names_add_ids(&ids, &answer);
    str_clear(&answer);
    str_add(&answer, "{\"sessions\": [{\"id\": \"x\"}, 3]}");
    names_add_ids(&ids, &answer);
    assert_int_equal(ids.count, 0);
    str_free(&answer);
}

static void without_names_none_are_offered(void **state)
{
    (void)state;
    names_free(&names);
    assert_completes("kill route ", "", "");
    assert_completes("resolve ", "", "");
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
        TEST(all_forms_of_kill_are_offered),
        TEST(help_takes_the_words_of_commands),
        TEST(nothing_is_made_of_what_fits_nothing),
        TEST(only_what_stands_before_the_cursor_counts),
        TEST(upstreams_are_offered_as_route_and_name),
        TEST(the_commands_for_upstreams_complete_as_all_do),
        TEST(routes_to_pause_are_offered_with_all),
        TEST(the_names_of_a_configuration_are_those_its_commands_take),
        TEST(the_ids_of_the_latest_sessions_are_offered),
        TEST(without_names_none_are_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
