/* test_control_prompt.c - the prompt on a terminal that the test plays: what is typed, what is
 * seen, and log lines that come in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "control/commands.h"
#include "control/console/prompt.h"
#include "control/console/relay_prompt.h"
#include "fake_server.h"
#include "os/os.h"
#include "os/tty.h"

/* ---- the terminal: os/tty.h ---- */

static struct {
    const char *const *typed; /* NULL-terminated; each read gives one text */
    enum err end;             /* what a read says when nothing is left */
    struct os_mutex lock;     /* guards all below */
    struct os_cond woken_cond;
    bool woken;
    bool raw;
    unsigned columns;
    struct str screen; /* rows above, "\n" behind each, then the row of the cursor */
} terminal;

bool tty_is_terminal_in(void)
{
    return true;
}

bool tty_is_terminal_out(void)
{
    return true;
}

enum err tty_enter_raw(void)
{
    terminal.raw = true;
    return ERR_OK;
}

void tty_leave_raw(void)
{
    terminal.raw = false;
}

unsigned tty_columns(void)
{
    return terminal.columns;
}

void tty_wake(void)
{
    os_mutex_lock(&terminal.lock);
    terminal.woken = true;
    os_cond_wake_all(&terminal.woken_cond);
    os_mutex_unlock(&terminal.lock);
}

/* A log line that comes while the terminal waits for this text. */
#define LOG_MARK "<log>"

static struct prompt *prompt;

enum err tty_read(char *buf, size_t size, size_t *got)
{
    const char *text = *terminal.typed;
    if (text == NULL && terminal.end == ERR_CANCELLED) {
        os_mutex_lock(&terminal.lock);
        while (!terminal.woken)
            os_cond_wait(&terminal.woken_cond, &terminal.lock, UINT32_MAX);
        os_mutex_unlock(&terminal.lock);
    }
    if (text == NULL)
        return terminal.end;
    terminal.typed++;
    if (strcmp(text, LOG_MARK) == 0) {
        prompt_print_above(prompt, "a log line\n", 11);
        return tty_read(buf, size, got);
    }
    *got = strlen(text);
    assert_true(*got > 0 && *got <= size);
    memcpy(buf, text, *got);
    return ERR_OK;
}

/* The row that the cursor is in begins behind the last newline. */
static size_t row_start(void)
{
    size_t at = terminal.screen.len;
    while (at > 0 && terminal.screen.data[at - 1] != '\n')
        at--;
    return at;
}

/* Understands what the prompt draws with: a row is always drawn from its beginning. */
void tty_write(const char *bytes, size_t len)
{
    os_mutex_lock(&terminal.lock);
    for (size_t i = 0; i < len; i++) {
        if (strncmp(bytes + i, "\x1b[?2004", 7) == 0) {
            i += 7; /* marks of pasting: h or l follows */
        } else if (strncmp(bytes + i, "\x1b[K", 3) == 0) {
            i += 2;
        } else if (strncmp(bytes + i, "\x1b[H\x1b[2J", 7) == 0) {
            str_clear(&terminal.screen);
            i += 6;
        } else if (bytes[i] == '\x1b') {
            while (bytes[i] != 'C')
                i++; /* the cursor goes to its column: the text stays */
        } else if (bytes[i] == '\r') {
            bool cursor = i + 1 < len && bytes[i + 1] == '\x1b' && bytes[i + 2] == '[' &&
                          bytes[i + 3] != 'K';
            bool newline = i + 1 < len && bytes[i + 1] == '\n';
            if (!cursor && !newline && i + 1 < len) { /* drawn anew */
                terminal.screen.len = row_start();
                terminal.screen.data[terminal.screen.len] = '\0';
            }
        } else {
            str_add_char(&terminal.screen, bytes[i]);
        }
    }
    os_mutex_unlock(&terminal.lock);
}

/* ---- what stands behind the prompt ---- */

static struct {
    unsigned interrupts;
    unsigned columns;
    bool quit_on_leave;
} host_saw;

static void run(void *ctx, const char *line, size_t len, unsigned columns,
                struct command_result *result)
{
    (void)ctx;
    host_saw.columns = columns;
    str_addf(&result->text, "[%.*s]\n", (int)len, line);
    result->quit = strcmp(line, "quit") == 0;
    prompt_print_above(prompt, "logged meanwhile\n",
                       17); /* while a command runs, there is no row */
}

static void complete(void *ctx, const char *line, size_t cursor, struct completion *completion)
{
    (void)ctx;
    static char lobby[] = "lobby", world[] = "world";
    static char *routes[] = {lobby, world};
    static const struct names names = {.routes = {routes, 2}};
    command_complete(&commands, line, cursor, &names, completion);
}

static void interrupt(void *ctx, unsigned times, struct command_result *result)
{
    (void)ctx;
    host_saw.interrupts = times;
    str_addf(&result->text, "interrupted %u\n", times);
}

static void leave(void *ctx, struct command_result *result)
{
    (void)ctx;
    str_add(&result->text, "leaving\n");
    result->quit = host_saw.quit_on_leave;
}

static int set_up(void **state)
{
    (void)state;
    memset(&host_saw, 0, sizeof host_saw);
    memset(&terminal, 0, sizeof terminal);
    terminal.columns = 40;
    terminal.end = ERR_CLOSED;
    str_init(&terminal.screen);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    str_free(&terminal.screen);
    return 0;
}

static enum prompt_end play(const char *const typed[])
{
    terminal.typed = typed;
    const struct prompt_host host = {
        .run = run, .complete = complete, .interrupt = interrupt, .leave = leave};
    assert_int_equal(prompt_open(&prompt, &host, "> "), ERR_OK);
    assert_true(terminal.raw);
    enum prompt_end end = prompt_run(prompt);
    prompt_close(prompt);
    assert_false(terminal.raw);
    return end;
}

#define PLAY(...) play((const char *const[]){__VA_ARGS__, NULL})

static void assert_screen(const char *text)
{
    assert_string_equal(terminal.screen.data, text);
}

/* ---- tests ---- */

static void a_line_is_run_and_answered_below_it(void **state)
{
    (void)state;
    assert_int_equal(PLAY("show", " info\r"), PROMPT_GONE);
    assert_screen("> show info\nlogged meanwhile\n[show info]\n");
    assert_int_equal(host_saw.columns, 40);
}

static void a_log_line_stands_above_the_line_being_typed(void **state)
{
    (void)state;
    PLAY("show in", LOG_MARK, "fo", LOG_MARK, "\r");
    assert_screen("a log line\na log line\n> show info\nlogged meanwhile\n[show info]\n");
}

static void lines_typed_ahead_or_pasted_run_one_after_the_other(void **state)
{
    (void)state;
    PLAY("a\rb\r", "\x1b[200~c\rd\r\x1b[201~");
    assert_screen("> a\nlogged meanwhile\n[a]\n"
                  "> b\nlogged meanwhile\n[b]\n"
                  "> c\nlogged meanwhile\n[c]\n"
                  "> d\nlogged meanwhile\n[d]\n");
}

static void tab_completes_or_lists(void **state)
{
    (void)state;
    PLAY("show inf\t", "\r", "kill route \t", "l\t", "\r");
    assert_screen("> show info \nlogged meanwhile\n[show info ]\n"
                  "> kill route \n"
                  "lobby  world\n"
                  "> kill route lobby \nlogged meanwhile\n[kill route lobby ]\n");
}

static void many_candidates_are_listed_in_columns_of_the_screen(void **state)
{
    (void)state;
    PLAY("show \t", "\x15", "\x04");
    assert_screen("> show \n"
                  "info       routes     upstreams\n"
                  "sessions   session    stats\n"
                  "config     bans       clients\n"
                  "> \n"
                  "leaving\n");
}

static void quit_ends_the_prompt(void **state)
{
    (void)state;
    assert_int_equal(PLAY("quit\r", "never\r"), PROMPT_QUIT);
    assert_screen("> quit\nlogged meanwhile\n[quit]\n");
}

static void ctrl_c_gives_a_line_up_and_counts_on_empty_ones(void **state)
{
    (void)state;
    PLAY("abc\x03");
    assert_screen("> abc^C\n");
    assert_int_equal(host_saw.interrupts, 0);
    str_clear(&terminal.screen);
    PLAY("\x03", "\x03");
    assert_screen("> ^C\ninterrupted 1\n> ^C\ninterrupted 2\n");
}

static void anything_typed_between_two_ctrl_c_makes_them_two_first_ones(void **state)
{
    (void)state;
    PLAY("\x03", "a", "\x7f", "\x03");
    assert_int_equal(host_saw.interrupts, 1);
    PLAY("\x03", "\r", "\x03");
    assert_int_equal(host_saw.interrupts, 1);
    PLAY("\x03", "a\x03", "\x03"); /* giving a line up is not the second of two */
    assert_int_equal(host_saw.interrupts, 1);
}

static void ctrl_d_leaves_when_the_host_says_so(void **state)
{
    (void)state;
    assert_int_equal(PLAY("\x04", "x"), PROMPT_GONE);
    assert_screen("> \nleaving\n");
    str_clear(&terminal.screen);
    host_saw.quit_on_leave = true;
    assert_int_equal(PLAY("\x04", "x"), PROMPT_QUIT);
    assert_screen("> \nleaving\n");
}

static void ctrl_l_clears_the_screen_and_keeps_the_line(void **state)
{
    (void)state;
    PLAY("a\r", "bc\x0c", "\r");
    assert_screen("> bc\nlogged meanwhile\n[bc]\n");
}

static void a_resized_terminal_is_seen(void **state)
{
    (void)state;
    terminal.columns = 100;
    PLAY("a\r");
    assert_int_equal(host_saw.columns, 100);
}

/* ---- the relay's own prompt, in its thread ---- */

static struct server *server;
static struct console console;
static bool gone;

static void on_gone(void *ctx)
{
    (void)ctx;
    gone = true;
}

static void play_relay(const char *const typed[], enum err end)
{
    server = fake_server_open();
    console = fake_server_console(server);
    terminal.typed = typed;
    terminal.end = end;
    terminal.columns = 80;
    gone = false;
    struct relay_prompt *relay;
    assert_int_equal(relay_prompt_start(&relay, &console, on_gone, NULL), ERR_OK);
    assert_true(relay_prompt_stop(relay, 60000));
    assert_false(terminal.raw);
}

static void the_relays_prompt_runs_commands_until_it_is_stopped(void **state)
{
    (void)state;
    static const char *const typed[] = {"kill 7\r", "\x04", "quit\r", NULL};
    play_relay(typed, ERR_CANCELLED);
    assert_screen("pairport> kill 7\n"
                  "session 7 is not open; `show sessions` lists the open ones\n"
                  "pairport> \n"
                  "`shutdown`, or Ctrl-C twice, stops the relay\n"
                  "pairport> quit\n"
                  "this is the relay's own prompt, which cannot be left; `shutdown` stops the "
                  "relay\n");
    assert_false(gone);
    assert_int_equal(server->stops, 0);
    fake_server_close(server);
}

static void ctrl_c_twice_stops_the_relay(void **state)
{
    (void)state;
    static const char *const typed[] = {"\x03", "\x03", NULL};
    play_relay(typed, ERR_CANCELLED);
    assert_int_equal(server->stops, 1);
    assert_false(server->stopped_now);
    assert_non_null(strstr(terminal.screen.data, "Ctrl-C once more stops the relay"));
    assert_non_null(strstr(terminal.screen.data, "stopping: 3 sessions may go on for 30s"));
    fake_server_close(server);
}

static void a_terminal_that_is_closed_is_reported(void **state)
{
    (void)state;
    static const char *const typed[] = {NULL};
    play_relay(typed, ERR_CLOSED);
    assert_true(gone);
    fake_server_close(server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_line_is_run_and_answered_below_it),
        TEST(a_log_line_stands_above_the_line_being_typed),
        TEST(lines_typed_ahead_or_pasted_run_one_after_the_other),
        TEST(tab_completes_or_lists),
        TEST(many_candidates_are_listed_in_columns_of_the_screen),
        TEST(quit_ends_the_prompt),
        TEST(ctrl_c_gives_a_line_up_and_counts_on_empty_ones),
        TEST(anything_typed_between_two_ctrl_c_makes_them_two_first_ones),
        TEST(ctrl_d_leaves_when_the_host_says_so),
        TEST(ctrl_l_clears_the_screen_and_keeps_the_line),
        TEST(a_resized_terminal_is_seen),
        TEST(the_relays_prompt_runs_commands_until_it_is_stopped),
        TEST(ctrl_c_twice_stops_the_relay),
        TEST(a_terminal_that_is_closed_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
