#include "service/arguments.h"

#include <stddef.h>
#include <string.h>

#include "control/commands.h"

enum option { OPTION_CONFIG = 1, OPTION_NAME = 2, OPTION_LISTEN = 4, OPTION_TAKEOVER = 8 };

static const struct {
    enum option option;
    const char *letter; /* NULL: none */
    const char *word;
    const char *value; /* as usages call it; NULL: it takes none */
    size_t field;      /* in struct arguments */
} options[] = {
    {OPTION_CONFIG, "-c", "--config", "FILE", offsetof(struct arguments, config)},
    {OPTION_NAME, NULL, "--name", "NAME", offsetof(struct arguments, name)},
    {OPTION_LISTEN, NULL, "--listen", "ADDRESS:PORT", offsetof(struct arguments, listen)},
    {OPTION_TAKEOVER, NULL, "--takeover", NULL, offsetof(struct arguments, takeover)},
};
#define OPTION_COUNT (sizeof options / sizeof options[0])

#ifdef _WIN32
#define DEFAULT_CONFIG "pairport.ini next to the program"
#else
#define DEFAULT_CONFIG "/etc/pairport/pairport.ini"
#endif

static const struct {
    const char *word;
    const char *usage;
    unsigned options; /* bits of enum option */
    bool takes_rest;
    const char *help;
    const char *details;
} verbs[] = {
    [VERB_RUN] =
        {"run", "pairport [run] [-c FILE] [--takeover]", OPTION_CONFIG | OPTION_TAKEOVER, false,
         "relays in the foreground; this is what pairport does without a command",
         "Reads the configuration and relays until it is stopped. At a terminal it\n"
         "has a prompt: `help` lists its commands. Otherwise only signals and\n"
         "`pairport console` reach it, and its input is not read.\n"
         "\n"
         "`pairport run FILE` is the same as `pairport run -c FILE`. Without a FILE the\n"
         "configuration is ./pairport.ini, else\n" DEFAULT_CONFIG ".\n"
         "\n"
         "--takeover takes the listening sockets of the relay that runs with the same\n"
         "[console] name: no client is refused, and the old relay exits when its\n"
         "sessions have ended, after stop_timeout at the latest. When this one cannot\n"
         "start, the old one goes on as if nothing had been; when none runs, this one\n"
         "starts as usual.\n"
         "\n"
         "SIGTERM, SIGINT, Ctrl-C: no new sessions; open ones may finish within\n"
         "stop_timeout. A second one ends them at once. SIGHUP: the log file is\n"
         "opened again and the configuration reloaded, as `reload` does it. Exit\n"
         "codes: 0 stopped as asked, 1 could not start, 2 usage.\n"},
    [VERB_CHECK] = {"check", "pairport check [-c FILE]", OPTION_CONFIG, false,
                    "checks the configuration and prints its routes",
                    "Reports every mistake with its line, or prints the routes. Nothing is\n"
                    "started or resolved. Exit code 0: it is fine; 1: it is not.\n"
                    "`pairport check FILE` is the same as `pairport check -c FILE`.\n"},
    [VERB_CONSOLE] =
        {"console", "pairport console [-c FILE] [--name NAME] [COMMAND...]",
         OPTION_CONFIG | OPTION_NAME, true, "gives commands to the running relay",
         "With COMMAND: runs it and exits with 0, or with 1 when it failed or no\n"
         "relay answered. Without: a prompt at a terminal, else commands are read\n"
         "line by line from the input. `pairport console help` lists them, and\n"
         "`pairport show routes` is short for `pairport console show routes`.\n"
         "\n"
         "The relay is the one whose [console] name is that of the configuration\n"
         "(-c FILE, or the one that `pairport run` would take), or --name NAME.\n"},
    [VERB_DEMO] = {"demo", "pairport demo [--listen ADDRESS:PORT]", OPTION_LISTEN, false,
                   "a relay to try, in front of a built-in echo server",
                   "Needs no configuration. Starts an echo server (what a client sends, it\n"
                   "sends back) as the game server, a route in front of it on 127.0.0.1:7777\n"
                   "or where --listen says (a port alone is one of 127.0.0.1), and the\n"
                   "prompt. `pairport console --name demo` reaches it, too.\n"},
    [VERB_VERSION] = {"version", "pairport version", 0, false, "prints the version", ""},
    [VERB_HELP] = {"help", "pairport help [COMMAND]", 0, true, "explains a command", ""},
};
#define VERB_COUNT (sizeof verbs / sizeof verbs[0])

bool arguments_find_verb(const char *word, enum verb *verb)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(word, verbs[i].word) == 0) {
            *verb = (enum verb)i;
            return true;
        }
    }
    return false;
}

/* `pairport show routes` is `pairport console show routes`: its words are all the rest. */
static bool is_console_command(const char *word)
{
    return command_is_first_word(&commands, word);
}

static bool is_one_of(const char *word, const char *const words[])
{
    for (size_t i = 0; words[i] != NULL; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

static void complain_verb(const char *word, struct str *why)
{
    const char *names[VERB_COUNT + 1] = {NULL};
    for (size_t i = 0; i < VERB_COUNT; i++)
        names[i] = verbs[i].word;
    const char *near = str_nearest(word, names);
    str_addf(why, "unknown command '%s'", word);
    if (near != NULL)
        str_addf(why, "; did you mean '%s'?", near);
    else if (strpbrk(word, "./\\") != NULL)
        str_addf(why, "; a configuration is run with 'pairport run %s'", word);
}

/* The option that `word` is, with its value when that stands behind "=". OPTION_COUNT: none. */
static size_t find_option(const char *word, const char **value)
{
    *value = NULL;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        size_t len = strlen(options[i].word);
        if (strncmp(word, options[i].word, len) == 0 && word[len] == '=') {
            *value = word + len + 1;
            return i;
        }
        if (strcmp(word, options[i].word) == 0 ||
            (options[i].letter != NULL && strcmp(word, options[i].letter) == 0))
            return i;
    }
    return OPTION_COUNT;
}

static void set_option(struct arguments *out, size_t option, const char *value)
{
    memcpy((char *)out + options[option].field, &value, sizeof value);
}

static void complain_option(enum verb verb, const char *word, bool known, struct str *why)
{
    str_addf(why,
             known ? "'%s' takes no option '%s'; usage: %s"
                   : "'%s' does not know the option '%s'; usage: %s",
             verbs[verb].word, word, verbs[verb].usage);
}

/* Reads one option at argv[*at]; *at is then its last word. */
static bool read_option(int argc, char *const argv[], int *at, struct arguments *out,
                        struct str *why)
{
    const char *word = argv[*at];
    if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
        out->help = true;
        return true;
    }
    const char *value;
    size_t option = find_option(word, &value);
    if (option == OPTION_COUNT ||
        (verbs[out->verb].options & (unsigned)options[option].option) == 0) {
        complain_option(out->verb, word, option < OPTION_COUNT, why);
        return false;
    }
    if (options[option].value == NULL) {
        if (value != NULL) {
            str_addf(why, "%s takes no value", options[option].word);
            return false;
        }
        *(bool *)(void *)((char *)out + options[option].field) = true;
        return true;
    }
    if (value == NULL && *at + 1 < argc)
        value = argv[++*at];
    if (value == NULL || *value == '\0') {
        str_addf(why, "%s needs %s", options[option].word, options[option].value);
        return false;
    }
    set_option(out, option, value);
    return true;
}

static const char *const version_words[] = {"--version", "-V", "-v", NULL};
static const char *const help_words[] = {"--help", "-h", "-?", "/?", "?", NULL};

/* Reads the verb, which may be left out. *at is then behind it. */
static bool read_verb(int argc, char *const argv[], int *at, struct arguments *out,
                      struct str *why)
{
    const char *word = *at < argc ? argv[*at] : NULL;
    if (word == NULL)
        return true;
    if (is_one_of(word, version_words)) {
        out->verb = VERB_VERSION;
    } else if (is_one_of(word, help_words)) {
        out->verb = VERB_HELP;
    } else if (word[0] == '-') {
        return true;
    } else if (!arguments_find_verb(word, &out->verb)) {
        if (is_console_command(word)) {
            out->verb = VERB_CONSOLE;
            return true; /* it is a word of the command */
        }
        complain_verb(word, why);
        return false;
    }
    ++*at;
    return true;
}

/* What the words behind the options are for: a command of the console, or the file. */
static void place_rest(bool verb_left_out, struct arguments *out)
{
    bool is_command = out->rest_count > 0 && is_console_command(out->rest[0]);
    if (out->verb == VERB_RUN && verb_left_out && is_command)
        out->verb = VERB_CONSOLE; /* pairport -c FILE show routes */
    bool takes_file = out->verb == VERB_CHECK || (out->verb == VERB_RUN && !is_command);
    if (takes_file && out->rest_count == 1 && out->config == NULL && !out->help) {
        out->config = out->rest[0];
        out->rest_count = 0;
    }
}

bool arguments_parse(int argc, char *const argv[], struct arguments *out, struct str *why)
{
    *out = (struct arguments){.verb = VERB_RUN};
    int at = 1;
    if (!read_verb(argc, argv, &at, out, why))
        return false;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (!read_option(argc, argv, &at, out, why))
            return false;
    }
    out->rest_count = argc - at;
    out->rest = argv + at;
    place_rest(argc > 1 && argv[1][0] == '-', out);
    if (out->rest_count > 0 && !verbs[out->verb].takes_rest && !out->help) {
        str_addf(why, "'%s' does not take '%s'; usage: %s", verbs[out->verb].word, argv[at],
                 verbs[out->verb].usage);
        return false;
    }
    return true;
}

void arguments_add_help(enum verb verb, struct str *out)
{
    if (verb != VERB_HELP) {
        str_addf(out, "usage: %s\n\n%s", verbs[verb].usage, verbs[verb].details);
        if (*verbs[verb].details == '\0')
            str_addf(out, "%s\n", verbs[verb].help);
        return;
    }
    str_add(out, "pairport " PAIRPORT_VERSION ", a TCP relay for game servers\n\n");
    for (size_t i = 0; i < VERB_COUNT; i++)
        str_addf(out, "  %-9s  %s\n", verbs[i].word, verbs[i].help);
    str_add(
        out,
        "\n`pairport help COMMAND` explains one. `pairport demo` needs no configuration.\n");
}
