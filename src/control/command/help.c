/* `help`, made from the table of commands. */
#include "control/command/arguments.h"
#include "control/command/find.h"
#include "control/command/grid.h"

/* Those that fit, at least in part. */
static void list_commands(const struct command_fits *fits, unsigned columns, struct str *out)
{
    static const struct grid_column layout[2] = {{.title = NULL}};
    struct grid grid;
    grid_init(&grid, layout, 2);
    for (size_t i = 0; i < fits->count; i++) {
        if (fits->each[i] == FIT_NONE)
            continue;
        struct str call;
        str_init(&call);
        command_add_call(&fits->commands[i], &call);
        grid_cell(&grid, "%s", call.data);
        grid_cell(&grid, "%s", fits->commands[i].help);
        str_free(&call);
    }
    grid_write(&grid, 0, columns, out, NULL);
    grid_free(&grid);
}

/* Explains a command and names the longer ones that begin with its words. */
static void explain(const struct command *command, const struct command_fits *fits,
                    struct str *out)
{
    str_add(out, "usage: ");
    command_add_usage(command, out);
    str_addf(out, "\n\n%s", command->details);
    for (size_t i = 0; i < fits->count; i++) {
        if (fits->each[i] == FIT_PARTIAL)
            str_addf(out, "\nSee also `help %s`.\n", fits->commands[i].words);
    }
}

void command_help(struct command_session *session, const struct command_args *args,
                  struct command_result *result)
{
    struct command_fits fits;
    size_t known =
        command_find(session->console->commands, args->topic, args->topic_words, &fits);
    if (args->topic_words == 0) {
        list_commands(&fits, session->columns, &result->text);
        str_add(
            &result->text,
            "\n`help COMMAND` explains one with all its arguments. `json` behind any `show`\n"
            "gives JSON. Words may be shortened (`sh sess`), Tab completes.\n");
        return;
    }
    if (known < args->topic_words) {
        command_fail_unknown(args->topic, args->topic_words, known, &fits, result);
        return;
    }
    if (fits.found != NULL)
        explain(fits.found, &fits, &result->text);
    else
        list_commands(&fits, session->columns, &result->text);
}
