#include "service/program.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "config/read/file.h"
#include "config/value/keys.h"
#include "control/command/parse_line.h"
#include "control/command/text_width.h"
#include "control/commands.h"
#include "control/console/remote.h"
#include "os/local.h"
#include "os/os.h"
#include "os/tty.h"
#include "port/port.h"
#include "relay/json_read.h"
#include "service/arguments.h"
#include "service/check.h"
#include "service/config_file.h"
#include "service/demo.h"
#include "service/foreground.h"

static int print(struct str *text)
{
    text_wrap(text, tty_columns_wanted(), true);
    fputs(text->data, stdout);
    return fflush(stdout) == 0 && !text->failed ? 0 : 1;
}

static int run(const struct arguments *arguments)
{
    struct conf *conf = config_file_load(arguments->config);
    if (conf == NULL)
        return 1;
    enum err err = foreground_take_signals();
    if (err != ERR_OK) {
        fprintf(stderr, "pairport: signals cannot be taken: %s\n", err_text(err));
        conf_free(conf);
        return 1;
    }
    return foreground_run(conf, &(struct foreground_options){.takeover = arguments->takeover});
}

static int version(void)
{
    printf("pairport " PAIRPORT_VERSION " (%s) on %s\n", port_backend_name(), os_name());
    return fflush(stdout) == 0 ? 0 : 1;
}

static int help(const struct arguments *arguments)
{
    struct str text;
    str_init(&text);
    enum verb verb = VERB_HELP;
    int code = 2;
    if (arguments->rest_count > 1 ||
        (arguments->rest_count == 1 && !arguments_find_verb(arguments->rest[0], &verb))) {
        const char *word = arguments->rest[0];
        if (command_is_first_word(&commands, word))
            fprintf(stderr,
                    "pairport: '%s' is a command of the console: 'pairport console help %s' "
                    "explains it\n",
                    word, word);
        else
            fprintf(stderr, "pairport: there is no command '%s'; 'pairport help' lists them\n",
                    arguments->rest[arguments->rest_count - 1]);
    } else {
        arguments_add_help(verb, &text);
        code = print(&text);
    }
    str_free(&text);
    return code;
}

/* ---- console ---- */

/* The name of the endpoint of the relay that is meant. */
static bool find_name(const struct arguments *arguments, char name[CONF_HOST_MAX])
{
    if (arguments->name != NULL) {
        bool fits = strlen(arguments->name) < CONF_HOST_MAX;
        str_format(name, CONF_HOST_MAX, "%s", arguments->name);
        if (!fits)
            fprintf(stderr, "pairport: --name has more than %d bytes\n", CONF_HOST_MAX - 1);
        return fits;
    }
    char path[CONF_PATH_MAX];
    struct conf_console_place place;
    if (!config_file_find(arguments->config, path)) {
        str_format(name, CONF_HOST_MAX, "%s", key_find(KEY_CONSOLE, "name")->preset);
        return true;
    }
    enum err err = conf_read_console(path, &place);
    if (err == ERR_NOT_FOUND || err == ERR_NOMEM) {
        /* Its relay is not any other one. */
        fprintf(stderr, "pairport: %s: %s\n%s\n", path, err_text(err),
                "pairport: --name NAME reaches a relay without reading a configuration");
        return false;
    }
    /* Just then a console is needed. */
    if (err != ERR_OK)
        fprintf(stderr, "pairport: %s cannot be read (%s); trying the console's name '%s'\n",
                path, err_text(err), place.name);
    else if (place.mistaken)
        fprintf(stderr,
                "pairport: %s has mistakes, which 'pairport check' lists; trying the console's "
                "name '%s'\n",
                path, place.name);
    str_format(name, CONF_HOST_MAX, "%s", place.name);
    if (place.listen == CONF_CONSOLE_LOCAL)
        return true;
    fprintf(stderr,
            "pairport: %s has 'listen = none' in [console]: its relay has no "
            "console but its own prompt\n",
            path);
    return false;
}

/* One argument is a line as it would be typed; several are its words. */
static void join(int count, char *const words[], struct str *line)
{
    if (count == 1) {
        str_add(line, words[0]);
        return;
    }
    for (int i = 0; i < count; i++) {
        str_add(line, i == 0 ? "" : " ");
        parse_line_quote(words[i], line);
    }
}

static int console(const struct arguments *arguments)
{
    char name[CONF_HOST_MAX], path[LOCAL_NAME_MAX];
    if (!find_name(arguments, name))
        return 1;
    enum err err = local_find(name, path);
    if (err != ERR_OK) {
        fprintf(stderr, "pairport: the console's name '%s' cannot be used: %s\n", name,
                err_text(err));
        return 1;
    }
    if (arguments->rest_count == 0)
        return remote_run(&commands, path, name, NULL);
    struct str line;
    str_init(&line);
    join(arguments->rest_count, arguments->rest, &line);
    int code = line.failed ? 1 : remote_run(&commands, path, name, line.data);
    str_free(&line);
    return code;
}

int program_main(int argc, char *argv[])
{
    static const struct file_calls file_calls = {
        .open = os_fopen, .get_mode = os_file_mode, .slashes = os_slashes};
    os_init();
    json_read_init();
    argv = os_arguments(&argc, argv);
    (void)file_use(&file_calls);
    struct arguments arguments;
    struct str text;
    str_init(&text);
    if (!arguments_parse(argc, argv, &arguments, &text)) {
        fprintf(stderr, "pairport: %s\nTry 'pairport help'.\n", text.data);
        str_free(&text);
        return 2;
    }
    if (arguments.help) {
        arguments_add_help(arguments.verb, &text);
        int code = print(&text);
        str_free(&text);
        return code;
    }
    str_free(&text);
    switch (arguments.verb) {
    case VERB_RUN: return run(&arguments);
    case VERB_CHECK: return check_run(arguments.config);
    case VERB_CONSOLE: return console(&arguments);
    case VERB_DEMO: return demo_run(arguments.listen);
    case VERB_VERSION: return version();
    case VERB_HELP: return help(&arguments);
    }
    return 2;
}
