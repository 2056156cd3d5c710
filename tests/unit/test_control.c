/* test_control.c - commands: what a line does, and what is said about a wrong one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/reason.h"
#include "config/value/words.h"
#include "control/command/arguments.h"
#include "control/command/command.h"
#include "control/commands.h"
#include "fake_server.h"
#include "kept_log.h"
#include "support/page.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct server *server;
static struct console console;
static struct command_session session;
static struct command_result result;

static int set_up(void **state)
{
    kept_set_up(state);
    server = fake_server_open();
    console = fake_server_console(server);
    session = (struct command_session){.console = &console};
    command_result_init(&result);
    fake_server_add(server, 7, 0);
    fake_server_add(server, 8, 0);
    fake_server_add(server, 12, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    command_result_free(&result);
    fake_server_close(server);
    return 0;
}

static void run(const char *line)
{
    command_run(&session, line, strlen(line), &result);
}

static void assert_answers(const char *line, const char *text)
{
    run(line);
    assert_string_equal(result.text.data, text);
    assert_false(result.failed);
}

static void assert_fails(const char *line, const char *text)
{
    run(line);
    assert_string_equal(result.text.data, text);
    assert_true(result.failed);
    assert_false(result.quit);
}

/* ---- the table ---- */

static void the_page_has_every_command_as_the_table_has_it(void **state)
{
    (void)state;
    struct str list;
    struct str details;
    str_init(&list);
    str_init(&details);
    str_add(&list, "\n| command | |\n|---|---|\n");
    for (size_t i = 0; i < commands.count; i++) {
        const struct command *command = &commands.all[i];
        struct str usage;
        str_init(&usage);
        command_add_usage(command, &usage);
        str_add(&list, "| `");
        for (const char *at = usage.data; *at != '\0'; at++)
            str_addf(&list, "%s%c", *at == '|' ? "\\" : "", *at);
        str_addf(&list, "` | %s |\n", command->help);
        str_addf(&details, "\n### %s\n\n```\nusage: %s\n\n%s```\n", command->words, usage.data,
                 command->details);
        str_free(&usage);
    }
    str_add_char(&list, '\n');
    str_add_char(&details, '\n');
    page_check(PAIRPORT_CONTROL_PAGE, "commands", list.data);
    page_check(PAIRPORT_CONTROL_PAGE, "details", details.data);
    str_free(&list);
    str_free(&details);
}

static void the_page_has_every_reason(void **state)
{
    (void)state;
    char line[1024];
    char row[64];
    for (int i = REASON_NONE + 1; i < REASON_COUNT; i++) {
        const char *word = reason_word((enum reason)i);
        FILE *file = fopen(PAIRPORT_CONTROL_PAGE, "r");
        bool found = false;
        assert_non_null(file);
        str_format(row, sizeof row, "`%s`", word);
        while (fgets(line, sizeof line, file) != NULL)
            found = found || (line[0] == '|' && strstr(line, row) != NULL);
        fclose(file);
        if (!found)
            fail_msg("no row of the page explains %s", row);
    }
}

static void every_command_has_help_that_fits_80_columns(void **state)
{
    (void)state;
    run("help");
    const char *list = result.text.data;
    for (const char *at = list; *at != '\0'; at += strcspn(at, "\n") + 1)
        assert_true(strcspn(at, "\n") <= 80);
    for (size_t i = 0; i < commands.count; i++) {
        const struct command *command = &commands.all[i];
        assert_non_null(strstr(list, command->help));
        size_t len = strlen(command->details);
        assert_true(len > 0 && command->details[len - 1] == '\n');
        for (const char *at = command->details; *at != '\0'; at += strcspn(at, "\n") + 1)
            assert_true(strcspn(at, "\n") <= 80);
    }
}

static void every_show_takes_json_and_keywords_begin_with_letters_of_their_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < commands.count; i++) {
        bool json = false, letters[256] = {false};
        for (const struct command_arg *arg = commands.all[i].args; !command_arg_is_end(arg);
             arg++) {
            if (arg->keyword == NULL)
                continue;
            json = json || strcmp(arg->keyword, "json") == 0;
            assert_false(letters[(unsigned char)arg->keyword[0]] && !commands.all[i].whole);
            letters[(unsigned char)arg->keyword[0]] = true;
        }
        assert_int_equal(json, strncmp(commands.all[i].words, "show ", 5) == 0 ||
                                   strncmp(commands.all[i].words, "reload", 6) == 0);
    }
}

static void what_ends_sessions_is_never_shortened(void **state)
{
    (void)state;
    for (size_t i = 0; i < commands.count; i++) {
        bool ends = strncmp(commands.all[i].words, "kill", 4) == 0 ||
                    strncmp(commands.all[i].words, "drain", 5) == 0 ||
                    strcmp(commands.all[i].words, "ban") == 0 ||
                    strncmp(commands.all[i].words, "shutdown", 8) == 0;
        assert_int_equal(commands.all[i].whole, ends);
    }
    run("shut now");
    assert_true(result.failed);
    run("s now");
    assert_true(result.failed);
    run("kil 7");
    assert_true(result.failed);
    run("kill rout lobby");
    assert_true(result.failed);
    run("shutdown n"); /* its arguments neither */
    assert_true(result.failed);
    assert_int_equal(server->stops, 0);
    assert_int_equal(server->killed, 0);
    assert_true(server->killed_route == SIZE_MAX);
}

/* A route that had such a name could not be told from the word. */
static void no_route_has_the_name_of_a_word_that_may_stand_in_its_place(void **state)
{
    (void)state;
    assert_true(words_is_reserved("all"));
    assert_true(words_is_reserved("All"));
    assert_false(words_is_reserved("lobby"));
    for (size_t i = 0; i < commands.count; i++) {
        bool route = false;
        for (const struct command_arg *arg = commands.all[i].args; !command_arg_is_end(arg);
             arg++)
            route = route || arg->kind == ARG_ROUTE || arg->kind == ARG_ROUTES;
        for (const struct command_arg *arg = commands.all[i].args;
             route && !command_arg_is_end(arg); arg++)
            if (arg->keyword != NULL && !words_is_reserved(arg->keyword))
                fail_msg("[route %s] is allowed, and `%s` has that word", arg->keyword,
                         commands.all[i].words);
    }
}

/* ---- words ---- */

static void an_empty_line_and_a_comment_do_nothing(void **state)
{
    (void)state;
    assert_answers("", "");
    assert_answers("  \t ", "");
    assert_answers("# kill 7", "");
    assert_int_equal(server->killed, 0);
}

static void words_may_be_shortened_while_they_fit_one_command(void **state)
{
    (void)state;
    static const struct {
        const char *typed, *full;
    } lines[] = {
        {"sh i", "show info"},
        {"SHOW Info", "show info"},
        {"sho r", "show routes"},
        {"sh up route world", "show upstreams route world"},
        {"sh se", "show sessions"},
        {"show sess sort idle", "show sessions sort idle"},
        {"show sess s i l 1", NULL}, /* "i" is id and idle */
        {"show sess s idl l 1", "show sessions sort idle limit 1"},
        {"sh sess 7", "show session 7"},
        {"show session 7 j", "show session 7 json"},
        {"sh st r lobby", "show stats route lobby"},
        {"sh co", "show config"},
        {"sh c", NULL}, /* config and clients */
        {"h sh st", "help show stats"},
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        run(lines[i].typed);
        assert_int_equal(result.failed, lines[i].full == NULL);
        if (lines[i].full == NULL)
            continue;
        struct str answer = result.text;
        str_init(&result.text);
        assert_answers(lines[i].full, answer.data);
        str_free(&answer);
    }
}

static void what_changes_something_is_shortened_only_to_what_begins_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *line, *message;
    } refused[] = {
        {"r", "'r' can mean several commands: resume, resolve, reopen, reload plan, reload; "
              "write more of it\n"},
        {"re", "'re' can mean several commands: resume, resolve, reopen, reload plan, reload; "
               "write more of it\n"},
        {"res lobby", "'res' can mean several commands: resume, resolve; write more of it\n"},
        {"d up lobby/10.0.0.5", "'d' can mean several commands: drain route, disable upstream, "
                                "drain upstream; write more of it\n"},
        {"s w lobby/10.0.0.5 2", NULL}, /* show, set and shutdown */
    };
    server->upstreams[0][0].state.admin = ROUTE_READY;
    for (size_t i = 0; i < COUNT(refused); i++) {
        run(refused[i].line);
        assert_true(result.failed);
        if (refused[i].message != NULL)
            assert_string_equal(result.text.data, refused[i].message);
    }
    assert_int_equal(server->upstreams[0][0].state.admin, ROUTE_READY);
    run("reo");
    assert_false(result.failed);
    run("p lobby");
    assert_false(result.failed);
    run("resu lobby");
    assert_false(result.failed);
    run("rel"); /* is `reload`, though there is no file in this test */
    assert_non_null(strstr(result.text.data, "nothing was changed"));
}

static void a_name_may_stand_alone_where_it_can_be_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *alone, *whole;
    } lines[] = {
        {"drain lobby", "drain route lobby"},
        {"drain lobby/10.0.0.5", "drain upstream lobby/10.0.0.5"},
        {"disable lobby/10.0.0.5", "disable upstream lobby/10.0.0.5"},
        {"enable lobby/10.0.0.5", "enable upstream lobby/10.0.0.5"},
        {"pause route lobby", "pause lobby"},
        {"resume route all", "resume all"},
        {"show upstreams lobby", "show upstreams route lobby"},
        {"show sessions lobby limit 1", "show sessions route lobby limit 1"},
        {"show stats world json", "show stats route world json"},
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        run(lines[i].whole); /* twice, since some say that it was done before */
        run(lines[i].whole);
        assert_false(result.failed);
        struct str answer = result.text;
        str_init(&result.text);
        assert_answers(lines[i].alone, answer.data);
        str_free(&answer);
    }
    /* What ends sessions does not guess, but says what is right. */
    run("kill lobby");
    assert_true(result.failed);
    assert_non_null(strstr(result.text.data, "did you mean `kill route lobby`?"));
    run("kill lobby/10.0.0.5");
    assert_non_null(strstr(result.text.data, "did you mean `kill upstream lobby/10.0.0.5`?"));
    run("kill 192.0.2.7");
    assert_non_null(strstr(result.text.data, "did you mean `kill client 192.0.2.7`?"));
    assert_int_equal(server->killed, 0);
    run("show lobby");
    assert_true(result.failed);
    run("disable lobby");
    assert_true(result.failed);
}

static void a_wrong_line_names_the_word_and_what_would_be_right(void **state)
{
    (void)state;
    static const struct {
        const char *line, *message;
    } lines[] = {
        {"foo", "unknown command 'foo'; `help` lists the commands\n"},
        {"shwo sessions",
         "unknown command 'shwo'; did you mean 'show'? `help` lists the commands\n"},
        {"shut",
         "unknown command 'shut'; did you mean 'shutdown'? `help` lists the commands\n"},
        {"\"\"", "unknown command ''; `help` lists the commands\n"},
        {"show", "'show' needs one more word: info, routes, upstreams, sessions, session, "
                 "stats, config, bans, clients\n"},
        {"sh", "'show' needs one more word: info, routes, upstreams, sessions, session, stats, "
               "config, bans, clients\n"},
        {"set", "'set' needs one more word: weight, max_sessions, log_level, columns\n"},
        {"show sesions", "unknown command 'show sesions'; did you mean 'show sessions'?\n"},
        {"show zebra", "unknown command 'show zebra'; show knows: info, routes, upstreams, "
                       "sessions, session, stats, config, bans, clients\n"},
        {"sh s", "'sh s' can mean several commands: show sessions, show session, show stats; "
                 "write more of it\n"},
        {"sh se x",
         "'sh se' can mean several commands: show sessions, show session; write more "
         "of it\n"},
        {"show info foo", "`show info` does not know 'foo'; usage: show info [json]\n"},
        {"reopen it", "`reopen` takes no arguments, not 'it'\n"},
        {"show sessions srot id", "`show sessions` does not know 'srot'; did you mean 'sort'? "
                                  "usage: show sessions [route "
                                  "NAME] [sort KEY] [limit N] [json]\n"},
        {"show sessions sort",
         "'sort' needs a key: rate, age, idle, bytes, waiting, id, client, "
         "route, newest\n"},
        {"show sessions sort bytse",
         "`show sessions sort` does not take 'bytse'; did you mean "
         "'bytes'? it needs a key: rate, age, idle, bytes, waiting, "
         "id, client, route, newest\n"},
        {"show sessions sort id sort age", "'sort' is given twice\n"},
        {"show info json json", "'json' is given twice\n"},
        {"show sessions limit 0",
         "`show sessions limit` does not take '0'; it needs a number from 1 to 1000000\n"},
        {"show sessions limit 1000001", "`show sessions limit` does not take '1000001'; it "
                                        "needs a number from 1 to 1000000\n"},
        {"show sessions limit 99999999999999999999",
         "`show sessions limit` does not take '99999999999999999999'; it needs a number from 1 "
         "to 1000000\n"},
        {"show sessions limit -1",
         "`show sessions limit` does not take '-1'; it needs a number from 1 to 1000000\n"},
        {"show sessions limit", "'limit' needs a number from 1 to 1000000\n"},
        {"show sessions route loby", "there is no route 'loby'; did you mean 'lobby'? it needs "
                                     "the name of a route: lobby, world\n"},
        {"show stats route game",
         "there is no route 'game'; it needs the name of a route: lobby, world\n"},
        {"show stats route LOBBY", "there is no route 'LOBBY'; did you mean 'lobby'? it needs "
                                   "the name of a route: lobby, world\n"},
        {"show session", "`show session` needs the id of a session; `show sessions` lists "
                         "them\n"},
        {"show session abc",
         "`show session` does not take 'abc'; it needs the id of a session; "
         "`show sessions` lists them\n"},
        {"show session 1 2",
         "`show session` does not know '2'; usage: show session ID [json]\n"},
        {"show session 99", "session 99 is not open; `show sessions` lists the open ones\n"},
        {"kill", "`kill` needs the id of a session; `show sessions` lists them\n"},
        {"kill x",
         "`kill` does not take 'x'; it needs the id of a session; `show sessions` lists "
         "them\n"},
        {"kill 18446744073709551616",
         "`kill` does not take '18446744073709551616'; it needs the id of a session; `show "
         "sessions` lists them\n"},
        {"kill 99", "session 99 is not open; `show sessions` lists the open ones\n"},
        {"kill route", "`kill route` needs the name of a route: lobby, world\n"},
        {"kill route word", "there is no route 'word'; did you mean 'world'? it needs the name "
                            "of a route: lobby, world\n"},
        {"set log_level",
         "`set log_level` needs a level: error, warning, notice, info, debug\n"},
        {"set log_level warnig",
         "`set log_level` does not take 'warnig'; did you mean 'warning'? "
         "it needs a level: error, warning, notice, info, debug\n"},
        {"set columns 39",
         "`set columns` does not take '39'; it needs a number from 40 to 1000, or 0 for no "
         "limit\n"},
        {"set columns 1001", "`set columns` does not take '1001'; it needs a number from 40 to "
                             "1000, or 0 for no limit\n"},
        {"shutdown later",
         "`shutdown` does not know 'later'; usage: shutdown [now] [drain DURATION]\n"},
        {"help foo", "unknown command 'foo'; `help` lists the commands\n"},
        {"help show sesions",
         "unknown command 'show sesions'; did you mean 'show sessions'?\n"},
        {"show 'info", "the quote (') at byte 6 of the line is not closed\n"},
    };
    for (size_t i = 0; i < COUNT(lines); i++)
        assert_fails(lines[i].line, lines[i].message);
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    (void)state;
    command_run(&session, "show\0info", 9, &result);
    assert_string_equal(result.text.data, "byte 5 of the line is a NUL\n");
    assert_true(result.failed);
}

static void an_answer_is_not_mixed_with_the_one_before(void **state)
{
    (void)state;
    run("foo");
    assert_answers("kill 7", "session 7 is ended\n");
    session.at_relay = false;
    run("quit");
    assert_true(result.quit);
    assert_answers("", "");
    assert_false(result.quit);
}

/* ---- help ---- */

static void help_explains_a_command_with_all_its_arguments(void **state)
{
    (void)state;
    run("help show session");
    assert_false(result.failed);
    assert_non_null(strstr(result.text.data, "usage: show session ID [json]\n\n"));
    run("help kill");
    assert_non_null(strstr(result.text.data, "usage: kill ID\n"));
    assert_non_null(strstr(result.text.data, "See also `help kill route`.\n"));
}

/* `text` is `other` with its words in lines of at most `width` columns, where no word is longer. */
static void assert_same_words(const char *text, const char *other, size_t width)
{
    char one[256];
    for (const char *at = text; *at != '\0'; at += strcspn(at, "\n") + 1) {
        str_format(one, sizeof one, "%.*s", (int)strcspn(at, "\n"), at);
        if (str_columns(one) > width)
            fail_msg("wider than %zu: %s", width, one);
    }
    for (;; text++, other++) {
        text += strspn(text, " \n");
        other += strspn(other, " \n");
        if (*text != *other)
            fail_msg("'%s' instead of '%s'", text, other);
        if (*text == '\0')
            return;
    }
}

static void help_keeps_to_the_width_of_the_console(void **state)
{
    (void)state;
    static const unsigned widths[] = {40, 60, 72};
    for (size_t i = 0; i < 3 * commands.count; i++) {
        char line[64];
        struct command_result wide;
        command_result_init(&wide);
        size_t len = str_format(line, sizeof line, "help %s", commands.all[i / 3].words);
        session.columns = 0;
        command_run(&session, line, len, &wide);
        session.columns = widths[i % 3];
        run(line);
        assert_same_words(result.text.data, wide.text.data, widths[i % 3]);
        command_result_free(&wide);
    }
    session.columns = 60;
    assert_answers("help set log_level",
                   "usage: set log_level LEVEL\n"
                   "\n"
                   "LEVEL is error, warning, notice, info or debug, each with\n"
                   "all before it. The configuration's own log_level holds again\n"
                   "after the next start.\n");
}

static void an_answer_is_broken_between_words(void **state)
{
    (void)state;
    session.columns = 60;
    assert_fails("show", "'show' needs one more word: info, routes, upstreams,\n"
                         "sessions, session, stats, config, bans, clients\n");
    session.columns = 20;
    run("show config"); /* is a file that can be used */
    assert_non_null(strstr(result.text.data, "\nguard_exempt = 127.0.0.0/8, ::1/128\n"));
}

static void help_for_some_words_lists_the_commands_that_begin_so(void **state)
{
    (void)state;
    assert_answers("help set",
                   "set weight ROUTE/NAME N        an upstream's share of the new sessions\n"
                   "set max_sessions ROUTE/NAME N  how many sessions an upstream may have\n"
                   "set log_level LEVEL            how much is logged, until the next start\n"
                   "set columns N                  how wide tables may be on this console\n");
}

/* ---- doing ---- */

static void kill_ends_the_session_named(void **state)
{
    (void)state;
    assert_answers("kill 12", "session 12 is ended\n");
    assert_int_equal(server->killed, 12);
}

static void kill_route_ends_its_sessions_and_says_how_many(void **state)
{
    (void)state;
    assert_answers("kill route lobby",
                   "2 sessions of route 'lobby' ended; the route goes on\n");
    assert_int_equal(server->killed_route, 0);
    assert_string_equal(kept.line,
                        EPOCH "notice console: killed 2 sessions of route 'lobby'\n");
    assert_answers("kill route world", "1 session of route 'world' ended; the route goes on\n");
    assert_int_equal(server->killed_route, 1);
}

static void the_log_level_changes_at_once_and_that_is_logged(void **state)
{
    (void)state;
    assert_answers("set log_level deb", "log level is now debug, was notice\n");
    assert_int_equal(log_get_level(), LOG_DEBUG);
    assert_string_equal(kept.line,
                        EPOCH "notice console: log level is now debug, was notice\n");
    assert_answers("set log_level error", "log level is now error, was debug\n");
    assert_int_equal(kept.lines, 2);
    assert_answers("set log_level error", "log level is now error, was error\n");
    assert_int_equal(kept.lines, 2);
}

static void shutdown_says_what_happens_to_the_sessions(void **state)
{
    (void)state;
    assert_answers("shutdown",
                   "stopping: 3 sessions may go on for 30s; `shutdown now` ends them "
                   "at once\n");
    assert_int_equal(server->stops, 1);
    assert_false(server->stopped_now);

    server->info.state = SERVER_STOPPING; /* a second one does not wait any more */
    assert_answers("shutdown", "stopping now\n");
    assert_true(server->stopped_now);
}

static void shutdown_now_does_not_wait(void **state)
{
    (void)state;
    assert_answers("shutdown now", "stopping now\n");
    assert_true(server->stopped_now);
}

static void shutdown_without_sessions_has_nothing_to_wait_for(void **state)
{
    (void)state;
    server->info.sessions_open = 0;
    assert_answers("shutdown", "stopping now\n");
    assert_int_equal(server->stops, 1);
}

static void reopen_says_when_the_file_cannot_be_opened(void **state)
{
    (void)state;
    assert_answers("reopen", "the log goes to stderr: there is no file to open again\n");
    console.log_path = "/var/log/pairport.log";
    assert_answers("reopen", "log file /var/log/pairport.log is open again\n");
    server->fail = ERR_ACCESS;
    assert_fails("reopen",
                 "/var/log/pairport.log could not be opened: permission denied; the old "
                 "file stays in use\n");
}

static void words_of_other_programs_lead_to_the_right_command(void **state)
{
    (void)state;
    static const struct {
        const char *typed, *meant;
    } lines[] = {
        {"?", "help"},
        {"? show sessions", "help show sessions"},
        {"status", "show info"},
        {"routes", "show routes"},
        {"sessions limit 1", "show sessions limit 1"},
        {"session 999", "show session 999"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        run(lines[i].meant);
        char *meant = strdup(result.text.data);
        bool failed = result.failed;
        run(lines[i].typed);
        assert_string_equal(result.text.data, meant);
        assert_int_equal(result.failed, failed);
        free(meant);
    }
    run("exit");
    assert_true(result.quit);
    assert_fails("top", "unknown command 'top'; `show sessions` has the busiest ones first; "
                        "`watch pairport console show sessions` in a shell repeats it\n");
}

static void quit_leaves_a_console_but_not_the_relays_own_prompt(void **state)
{
    (void)state;
    run("quit");
    assert_true(result.quit);
    assert_false(result.failed);
    session.at_relay = true;
    assert_fails("quit",
                 "this is the relay's own prompt, which cannot be left; `shutdown` stops "
                 "the relay\n");
}

static void reading_that_fails_says_so(void **state)
{
    (void)state;
    server->fail = ERR_NOMEM;
    assert_fails("show routes",
                 "the routes could not be read: out of memory or of the system's buffers\n");
    assert_fails("show upstreams json",
                 "the routes could not be read: out of memory or of the system's buffers\n");
    assert_fails("show sessions",
                 "the sessions could not be read: out of memory or of the system's buffers\n");
    assert_fails(
        "show stats json",
        "the statistics could not be read: out of memory or of the system's buffers\n");
}

/* ---- another table ---- */

static void answer_who(struct command_session *from, const struct command_args *args,
                       struct command_result *out)
{
    (void)args;
    str_addf(&out->text, "%s\n", command_by(from));
}

static size_t followed;

static void count_follow(const struct command_session *from, const char *line, size_t len,
                         struct command_result *out)
{
    assert_non_null(from->ran);
    assert_int_equal(strlen(line), len);
    assert_true(out->text.len > 0);
    followed++;
}

static void a_console_knows_the_commands_of_its_table_and_no_others(void **state)
{
    static const struct command two[] = {
        {.words = "probe", .help = "says who asks", .details = "-\n", .run = answer_who},
        {.words = "help",
         .args = {{NULL, ARG_TOPIC, false}},
         .help = "lists both",
         .details = "-\n",
         .run = command_help}};
    static const struct command_table table = {.all = two, .count = 2, .forward = count_follow};
    static const struct names none;
    struct completion completion;
    (void)state;
    console.commands = &table;
    followed = 0;
    assert_answers("pro", "console\n");
    run("help");
    assert_non_null(strstr(result.text.data, "says who asks\n"));
    assert_null(strstr(result.text.data, "lists the commands"));
    assert_int_equal(followed, 2);
    assert_fails("show info", "unknown command 'show'; `help` lists the commands\n");
    assert_int_equal(followed, 2); /* nothing was run */
    assert_true(command_is_first_word(&table, "probe"));
    assert_false(command_is_first_word(&table, "show"));
    completion_init(&completion);
    command_complete(&table, "", 0, &none, &completion);
    assert_string_equal(completion.candidates.data, "probe\nhelp\n");
    completion_free(&completion);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_page_has_every_command_as_the_table_has_it),
        TEST(the_page_has_every_reason),
        TEST(every_command_has_help_that_fits_80_columns),
        TEST(every_show_takes_json_and_keywords_begin_with_letters_of_their_own),
        TEST(what_ends_sessions_is_never_shortened),
        TEST(an_empty_line_and_a_comment_do_nothing),
        TEST(no_route_has_the_name_of_a_word_that_may_stand_in_its_place),
        TEST(words_may_be_shortened_while_they_fit_one_command),
        TEST(what_changes_something_is_shortened_only_to_what_begins_nothing_else),
        TEST(a_name_may_stand_alone_where_it_can_be_nothing_else),
        TEST(a_wrong_line_names_the_word_and_what_would_be_right),
        TEST(bytes_that_are_no_text_are_refused),
        TEST(an_answer_is_not_mixed_with_the_one_before),
        TEST(help_explains_a_command_with_all_its_arguments),
        TEST(help_keeps_to_the_width_of_the_console),
        TEST(an_answer_is_broken_between_words),
        TEST(help_for_some_words_lists_the_commands_that_begin_so),
        TEST(kill_ends_the_session_named),
        TEST(kill_route_ends_its_sessions_and_says_how_many),
        TEST(the_log_level_changes_at_once_and_that_is_logged),
        TEST(shutdown_says_what_happens_to_the_sessions),
        TEST(shutdown_now_does_not_wait),
        TEST(shutdown_without_sessions_has_nothing_to_wait_for),
        TEST(reopen_says_when_the_file_cannot_be_opened),
        TEST(words_of_other_programs_lead_to_the_right_command),
        TEST(quit_leaves_a_console_but_not_the_relays_own_prompt),
        TEST(reading_that_fails_says_so),
        TEST(a_console_knows_the_commands_of_its_table_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
