/* The answer to a line, and who asked. */
#include <stdarg.h>

#include "control/command/command_table.h"

void command_result_init(struct command_result *result)
{
    *result = (struct command_result){.failed = false};
    str_init(&result->text);
}

void command_result_free(struct command_result *result)
{
    str_free(&result->text);
}

void command_fail(struct command_result *result, const char *format, ...)
{
    str_clear(&result->text);
    va_list args;
    va_start(args, format);
    str_vaddf(&result->text, format, args);
    va_end(args);
    str_add_char(&result->text, '\n');
    result->failed = true;
}

const char *command_by(const struct command_session *session)
{
    return session->at_relay ? "prompt" : "console";
}
