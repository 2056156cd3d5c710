/* shown.h - a console over a fake server, and what it shows.
 *
 * Threads: one.
 */
#ifndef PAIRPORT_TESTS_SHOWN_H
#define PAIRPORT_TESTS_SHOWN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/command/command.h"
#include "fake_server.h"

static struct server *server;
static struct console console;
static struct command_session session;
static struct command_result result;

/* The setup and the teardown of a test. */
static int open_console(void **state)
{
    (void)state;
    server = fake_server_open();
    console = fake_server_console(server);
    session = (struct command_session){.console = &console};
    command_result_init(&result);
    return 0;
}

static int close_console(void **state)
{
    (void)state;
    command_result_free(&result);
    fake_server_close(server);
    return 0;
}

/* The whole answer, on a console of that width. */
static void assert_shows(unsigned columns, const char *line, const char *text)
{
    session.columns = columns;
    command_run(&session, line, strlen(line), &result);
    assert_string_equal(result.text.data, text);
    assert_false(result.failed);
}

/* A part of the answer. */
static void assert_has(const char *line, const char *part)
{
    command_run(&session, line, strlen(line), &result);
    if (strstr(result.text.data, part) == NULL)
        fail_msg("no '%s' in\n%s", part, result.text.data);
}

#endif
