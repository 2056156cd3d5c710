/* test_service_arguments.c - the command line: what is meant, and what is wrong with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "service/arguments.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct arguments arguments;
static struct str why;
static char words[16][64];
static char *argv[17];

static bool parse(const char *line)
{
    int argc = 0;
    char text[256];
    str_format(text, sizeof text, "pairport %s", line);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        str_format(words[argc], sizeof words[argc], "%s", word);
        argv[argc] = words[argc];
        argc++;
    }
    argv[argc] = NULL;
    str_clear(&why);
    return arguments_parse(argc, argv, &arguments, &why);
}

static int set_up(void **state)
{
    (void)state;
    str_init(&why);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    str_free(&why);
    return 0;
}

static void without_a_command_it_runs(void **state)
{
    (void)state;
    assert_true(parse(""));
    assert_int_equal(arguments.verb, VERB_RUN);
    assert_null(arguments.config);
    assert_true(parse("-c my.ini"));
    assert_int_equal(arguments.verb, VERB_RUN);
    assert_string_equal(arguments.config, "my.ini");
}

static void options_are_written_in_every_usual_way(void **state)
{
    (void)state;
    static const char *const lines[] = {"run -c my.ini", "run --config my.ini",
                                        "run --config=my.ini", "--config=my.ini"};
    for (size_t i = 0; i < COUNT(lines); i++) {
        assert_true(parse(lines[i]));
        assert_string_equal(arguments.config, "my.ini");
    }
    assert_true(parse("demo --listen 8000"));
    assert_string_equal(arguments.listen, "8000");
}

static void a_takeover_is_asked_for_without_a_value(void **state)
{
    (void)state;
    static const char *const lines[] = {"run --takeover -c my.ini", "-c my.ini --takeover"};
    for (size_t i = 0; i < COUNT(lines); i++) {
        assert_true(parse(lines[i]));
        assert_true(arguments.takeover);
        assert_string_equal(arguments.config, "my.ini");
    }
    assert_true(parse("run -c my.ini"));
    assert_false(arguments.takeover);
}

static void what_stands_behind_the_options_is_the_consoles_command(void **state)
{
    (void)state;
    assert_true(parse("console -c a.ini --name game show sessions -c x"));
    assert_int_equal(arguments.verb, VERB_CONSOLE);
    assert_string_equal(arguments.config, "a.ini");
    assert_string_equal(arguments.name, "game");
    assert_int_equal(arguments.rest_count, 4);
    assert_string_equal(arguments.rest[0], "show");
    assert_string_equal(arguments.rest[2], "-c");
    assert_true(parse("console -- --name"));
    assert_int_equal(arguments.rest_count, 1);
    assert_string_equal(arguments.rest[0], "--name");
    assert_null(arguments.name);
}

static void a_command_of_the_console_needs_no_word_before_it(void **state)
{
    (void)state;
    static const char *const lines[] = {"show routes", "reload plan", "status",
                                        "ban 192.0.2.1"};
    for (size_t i = 0; i < COUNT(lines); i++) {
        assert_true(parse(lines[i]));
        assert_int_equal(arguments.verb, VERB_CONSOLE);
        assert_int_equal(arguments.rest_count, 1 + (strchr(lines[i], ' ') != NULL));
        assert_int_equal(strncmp(arguments.rest[0], lines[i], strlen(arguments.rest[0])), 0);
    }
    assert_true(parse("-c a.ini show sessions limit 3"));
    assert_int_equal(arguments.verb, VERB_CONSOLE);
    assert_string_equal(arguments.config, "a.ini");
    assert_int_equal(arguments.rest_count, 4);
    assert_false(parse("sho routes")); /* only in full */
    assert_false(parse("run show"));
}

static void run_and_check_take_a_file_without_its_option(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum verb verb;
        bool takeover;
    } lines[] = {
        {"check a.ini", VERB_CHECK, false},
        {"run a.ini", VERB_RUN, false},
        {"run --takeover a.ini", VERB_RUN, true},
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        assert_true(parse(lines[i].line));
        assert_int_equal(arguments.verb, lines[i].verb);
        assert_int_equal(arguments.takeover, lines[i].takeover);
        assert_string_equal(arguments.config, "a.ini");
        assert_int_equal(arguments.rest_count, 0);
    }
}

static void help_and_version_have_their_usual_names(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum verb verb;
        bool help;
    } lines[] = {
        {"--help", VERB_HELP, false},
        {"-h", VERB_HELP, false},
        {"help", VERB_HELP, false},
        {"help run", VERB_HELP, false},
        {"run --help", VERB_RUN, true},
        {"demo -h", VERB_DEMO, true},
        {"console show --help", VERB_CONSOLE, false}, /* a word of the command */
        {"--version", VERB_VERSION, false},
        {"version", VERB_VERSION, false},
        {"-V", VERB_VERSION, false},
        {"-v", VERB_VERSION, false},
        {"-?", VERB_HELP, false},
        {"/?", VERB_HELP, false},
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        assert_true(parse(lines[i].line));
        assert_int_equal(arguments.verb, lines[i].verb);
        assert_int_equal(arguments.help, lines[i].help);
    }
}

static void mistakes_say_what_would_be_right(void **state)
{
    (void)state;
    static const struct {
        const char *line, *message;
    } lines[] = {
        {"rnu", "unknown command 'rnu'; did you mean 'run'?"},
        {"frobnicate", "unknown command 'frobnicate'"},
        {"my.ini",
         "unknown command 'my.ini'; a configuration is run with 'pairport run my.ini'"},
        {"check a.ini b.ini", "'check' does not take 'a.ini'; usage: pairport check [-c FILE]"},
        {"check -c a.ini b.ini",
         "'check' does not take 'b.ini'; usage: pairport check [-c FILE]"},
        {"run -c a.ini extra",
         "'run' does not take 'extra'; usage: pairport [run] [-c FILE] [--takeover]"},
        {"run show",
         "'run' does not take 'show'; usage: pairport [run] [-c FILE] [--takeover]"},
        {"check --name x", "'check' takes no option '--name'; usage: pairport check [-c FILE]"},
        {"check --fast", "'check' does not know the option '--fast'; usage: pairport check [-c "
                         "FILE]"},
        {"-x",
         "'run' does not know the option '-x'; usage: pairport [run] [-c FILE] [--takeover]"},
        {"run -c", "--config needs FILE"},
        {"run --config=", "--config needs FILE"},
        {"console --name", "--name needs NAME"},
        {"demo --listen", "--listen needs ADDRESS:PORT"},
        {"run --takeover=yes", "--takeover takes no value"},
        {"demo --takeover",
         "'demo' takes no option '--takeover'; usage: pairport demo [--listen "
         "ADDRESS:PORT]"},
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        assert_false(parse(lines[i].line));
        assert_string_equal(why.data, lines[i].message);
    }
}

static void every_command_has_help(void **state)
{
    (void)state;
    arguments_add_help(VERB_HELP, &why);
    struct str one;
    str_init(&one);
    static const char *const names[] = {"run", "check", "console", "demo", "version", "help"};
    for (size_t i = 0; i < COUNT(names); i++) {
        enum verb verb;
        assert_true(arguments_find_verb(names[i], &verb));
        assert_non_null(strstr(why.data, names[i]));
        if (verb == VERB_HELP)
            continue;
        str_clear(&one);
        arguments_add_help(verb, &one);
        assert_int_equal(strncmp(one.data, "usage: pairport ", 16), 0);
        assert_int_equal(one.data[one.len - 1], '\n');
        for (const char *at = one.data; *at != '\0'; at += strcspn(at, "\n") + 1)
            assert_true(strcspn(at, "\n") <= 80);
    }
    str_free(&one);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_command_it_runs),
        TEST(options_are_written_in_every_usual_way),
        TEST(a_takeover_is_asked_for_without_a_value),
        TEST(what_stands_behind_the_options_is_the_consoles_command),
        TEST(a_command_of_the_console_needs_no_word_before_it),
        TEST(run_and_check_take_a_file_without_its_option),
        TEST(help_and_version_have_their_usual_names),
        TEST(mistakes_say_what_would_be_right),
        TEST(every_command_has_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
