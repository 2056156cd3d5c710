/* `pairport console` against a live relay: every command, from the shell and from a pipe, several
 * consoles at once, and what goes wrong. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/local.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"
#include "support/process.h"

#define TEXT_MAX     512
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- every command ---- */

static const struct {
    const char *call; /* as `help` lists it */
    const char *line;
    const char *start; /* of the answer */
    enum {
        PLAIN,
        HAS_JSON,
        FAILS /* as it should here: the answer is an error */
    } kind;
} commands[] = {
    {"help", "help", "help ", PLAIN},
    {"show info", "show info", "version  ", HAS_JSON},
    {"show routes", "show routes", "ROUTE ", HAS_JSON},
    {"show upstreams", "show upstreams", "ROUTE ", HAS_JSON},
    {"show sessions", "show sessions", "ID ", HAS_JSON},
    {"show session ID", "show session 1", "session 1\n", HAS_JSON},
    {"show stats", "show stats", "route 'test'\n", HAS_JSON},
    {"show config", "show config", "[relay]\n", HAS_JSON},
    {"show bans", "show bans", "no bans; ", HAS_JSON},
    {"show clients", "show clients", "no client is remembered\n", HAS_JSON},
    {"ban IP|CIDR", "ban 198.51.100.1 for 1h reason flood",
     "198.51.100.1 is banned for 1h; 0 sessions ended\n", PLAIN},
    {"unban IP|CIDR", "unban 198.51.100.1", "198.51.100.1 is not banned any more\n", PLAIN},
    {"kill ID", "kill 1", "session 1 is ended\n", PLAIN},
    {"kill route NAME", "kill route test",
     "1 session of route 'test' ended; the route goes on\n", PLAIN},
    {"kill client IP|CIDR", "kill client 127.0.0.0/8",
     "1 session of client 127.0.0.0/8 ended\n", PLAIN},
    {"kill upstream ROUTE/NAME", "kill upstream test/127.0.0.1",
     "1 session at upstream 127.0.0.1:", PLAIN},
    {"kill older DURATION", "kill older 1ms", "1 session older than 1ms ended\n", PLAIN},
    {"pause ROUTE|all", "pause test frozen", "route 'test' is paused and frozen: ", PLAIN},
    {"resume ROUTE|all", "resume all", "route 'test' is resumed after ", PLAIN},
    {"drain route NAME", "drain route test over 1m",
     "route 'test' takes no new clients; none is open\n", PLAIN},
    {"enable upstream ROUTE/NAME", "enable upstream test/127.0.0.1",
     "upstream 127.0.0.1:", PLAIN},
    {"disable upstream ROUTE/NAME", "disable upstream test/127.0.0.1",
     "upstream 127.0.0.1:", PLAIN},
    {"drain upstream ROUTE/NAME", "drain upstream test/127.0.0.1",
     "upstream 127.0.0.1:", PLAIN},
    {"resolve ROUTE/NAME", "resolve test/127.0.0.1", "upstream 127.0.0.1:", FAILS},
    {"set weight ROUTE/NAME N", "set weight test/127.0.0.1 3",
     "weight of upstream 127.0.0.1:", PLAIN},
    {"set max_sessions ROUTE/NAME N", "set max_sessions test/127.0.0.1 7",
     "max_sessions of upstream 127.0.0.1:", PLAIN},
    {"set log_level LEVEL", "set log_level info", "log level is now info, was info\n", PLAIN},
    {"set columns N", "set columns 80", "tables keep to 80 columns where they can\n", PLAIN},
    {"reopen", "reopen", "the log goes to stderr: there is no file to open again\n", PLAIN},
    {"reload plan", "reload plan", "no change: ", HAS_JSON},
    {"reload", "reload", "no change: ", PLAIN},
    {"shutdown", "shutdown", "stopping now\n", PLAIN},
    {"quit", "quit", "", PLAIN},
};

/* The table above has every command that there is, in the order of `help`. */
static void check_list(struct relay_run *relay)
{
    char *list;
    assert_int_equal(relay_console(relay, "help", &list, NULL), 0);
    const char *line = list;
    for (size_t i = 0; i < COUNT(commands); i++) {
        size_t len = strlen(commands[i].call);
        if (strncmp(line, commands[i].call, len) != 0 || strncmp(line + len, "  ", 2) != 0)
            fail_msg("help has no line of '%s' but: %s", commands[i].call, line);
        line += strcspn(line, "\n") + 1;
    }
    assert_int_equal(*line, '\n'); /* the end of the list */
    free(list);
}

static void run_command(struct relay_run *relay, size_t i)
{
    char *output, *errors;
    bool fails = commands[i].kind == FAILS;
    assert_int_equal(relay_console(relay, commands[i].line, &output, &errors), fails);
    assert_string_equal(fails ? output : errors, "");
    const char *answer = fails ? errors : output;
    if (strncmp(answer, commands[i].start, strlen(commands[i].start)) != 0)
        fail_msg("'%s' answers: %s", commands[i].line, answer);
    free(output);
    free(errors);
    if (commands[i].kind == HAS_JSON) {
        json_t *root = relay_json(relay, commands[i].line);
        assert_true(json_object_size(root) > 0);
        json_decref(root);
    }
}

static void every_command_answers(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    check_list(relay);
    struct session session = session_open(&relay->addr, listener);
    size_t i = 0;
    for (; strcmp(commands[i].line, "shutdown") != 0; i++) {
        run_command(relay, i);
        if (strncmp(commands[i].line, "kill ", 5) != 0)
            continue;
        session_expect_reset(&session); /* the next one is for what comes next */
        assert_true(relay_wait_info(relay, "sessions_open", 0));
        if (strncmp(commands[i + 1].line, "kill ", 5) == 0)
            session = session_open(&relay->addr, listener);
    }
    run_command(relay, i + 1); /* `quit`, which leaves the relay alone */
    assert_int_equal(i + 2, COUNT(commands));
    run_command(relay, i);
    expect_exit(relay);
    net_close(listener);
}

static void a_wrong_command_fails_and_says_what_would_be_right(void **state)
{
    static const struct {
        const char *line, *message;
    } lines[] = {
        {"foo", "unknown command 'foo'; `help` lists the commands\n"},
        {"shwo sessions",
         "unknown command 'shwo'; did you mean 'show'? `help` lists the commands\n"},
        {"show sesions", "unknown command 'show sesions'; did you mean 'show sessions'?\n"},
        {"show",
         "'show' needs one more word: info, routes, upstreams, sessions, session, stats, "
         "config, bans, clients\n"},
        {"show session 77", "session 77 is not open; `show sessions` lists the open ones\n"},
        {"show sessions limit 0",
         "`show sessions limit` does not take '0'; it needs a number from 1 to 1000000\n"},
        {"show stats route tets",
         "there is no route 'tets'; did you mean 'test'? it needs the name of a route: test\n"},
        {"kill 77", "session 77 is not open; `show sessions` lists the open ones\n"},
        {"kill route nobody",
         "there is no route 'nobody'; it needs the name of a route: test\n"},
        {"set log_level loud", "`set log_level` does not take 'loud'; it needs a level: error, "
                               "warning, notice, info, debug\n"},
        {"shut",
         "unknown command 'shut'; did you mean 'shutdown'? `help` lists the commands\n"},
    };
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    struct session session = session_open(&relay->addr, listener);
    for (size_t i = 0; i < COUNT(lines); i++)
        tell(relay, lines[i].line, 1, lines[i].message);
    session_check(&session); /* none of them did anything */
    session_end(&session);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    net_close(listener);
}

static int console_words(const struct relay_run *relay, const char *one, const char *two,
                         char **output, char **errors)
{
    const char *args[] = {"console", "-c", relay->config, one, two, NULL};
    return run_pairport(relay->dir, args, output, errors);
}

static void a_line_may_be_one_argument_and_words_keep_their_blanks(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    char *output, *errors;
    assert_int_equal(console_words(relay, "show sessions limit 1", NULL, &output, &errors), 0);
    assert_string_equal(output, "no session is open\n");
    free(output);
    free(errors);
    assert_int_equal(console_words(relay, "show", "so me\"thing'", &output, &errors), 1);
    assert_string_equal(errors,
                        "unknown command 'show so me\"thing''; show knows: info, routes, "
                        "upstreams, sessions, session, stats, config, bans, clients\n");
    free(output);
    free(errors);
    assert_int_equal(console_words(relay, "", NULL, &output, &errors), 0);
    assert_string_equal(output, "");
    assert_string_equal(errors, "");
    free(output);
    free(errors);
    relay_end(relay);
    net_close(listener);
}

static void the_configuration_it_shows_can_be_used(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {.upstreams = &upstream,
                                      .upstream_count = 1,
                                      .relay_keys = "stop_timeout = 90s\n",
                                      .route_keys = "idle_timeout = off\nmax_sessions = 7\n"};
    struct relay_run *relay = relay_start(state, &setup);
    char *shown, *checked, path[TEST_PATH_MAX], fine[TEST_PATH_MAX + 64];
    assert_int_equal(relay_console(relay, "show config", &shown, NULL), 0);
    assert_non_null(strstr(shown, "\nidle_timeout = off\n"));
    assert_non_null(strstr(shown, "\nmax_sessions = 7\n"));
    relay_path(relay, "shown.ini", path);
    assert_int_equal(test_write_file(path, shown), ERR_OK);
    const char *args[] = {"check", "-c", path, NULL};
    assert_int_equal(run_pairport(relay->dir, args, &checked, NULL), 0);
    str_format(fine, sizeof fine, "%s is fine: 1 route\n", path);
    assert_non_null(strstr(checked, fine));
    free(shown);
    free(checked);

    json_t *root = relay_json(relay, "show config");
    assert_string_equal(json_text(root, "file"), relay->config);
    assert_int_equal(json_number_at(root, "relay.stop_timeout_ms", 0), 90000);
    const json_t *route = json_array_get(json_object_get(root, "routes"), 0);
    assert_string_equal(json_text(route, "name"), "test");
    assert_int_equal(json_number_at(route, "max_sessions", 0), 7);
    assert_int_equal(json_number_at(route, "idle_timeout_ms", 1), 0);
    json_decref(root);
    relay_end(relay);
    net_close(listener);
}

/* ---- a console that stays ---- */

static struct process *start_console(const struct relay_run *relay, const char *name)
{
    const char *args[] = {"console", "-c", relay->config, NULL};
    return start_pairport(relay->dir, name, args, true);
}

static void write_line(struct process *console, const char *text)
{
    assert_int_equal(process_write(console, text), ERR_OK);
}

static void end_console(struct process *console, int expected)
{
    int code = -1;
    process_end_input(console);
    assert_true(process_wait(console, NET_PATIENCE_MS, &code));
    assert_int_equal(code, expected);
    process_free(console);
}

static void commands_come_from_a_pipe_one_a_line(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    struct process *console = start_console(relay, "piped");

    /* Each is answered when it comes, not at the end. */
    write_line(console, "show sessions\n");
    assert_true(process_wait_output(console, "no session is open\n", NET_PATIENCE_MS));
    struct session session = session_open(&relay->addr, listener);
    write_line(console, "\n# a comment\nshow ses");
    write_line(console, "sions limit 5\r\nset columns 40\n");
    assert_true(process_wait_output(console, "tables keep to 40 columns", NET_PATIENCE_MS));
    char *output = process_output(console);
    assert_non_null(strstr(output, "\n1 session, sorted by rate\n"));
    free(output);
    write_line(console, "show sessions\n"); /* now without the columns that do not fit */
    assert_true(process_wait_output(console, "\nleft out at 40 columns: ", NET_PATIENCE_MS));
    write_line(console, "shutdwon\n");
    assert_true(process_wait_errors(console,
                                    "unknown command 'shutdwon'; did you mean\n"
                                    "'shutdown'? `help` lists the commands\n",
                                    NET_PATIENCE_MS));
    write_line(console, "kill 1"); /* the last line may have no end */
    end_console(console, 1);       /* one of them failed */
    session_expect_reset(&session);

    console = start_console(relay, "good");
    write_line(console, "show info\nshow routes\nquit\nkill route test\n");
    end_console(console, 0);
    relay_wait_nothing_left(relay);
    relay_end(relay);
    assert_int_equal(relay_count_log(relay, " console: killed "), 0); /* it came after `quit` */
    net_close(listener);
}

/* A console that asks many times; its answers are all JSON and whole. */
#define ROUNDS 20

static void ask_much(struct process *console)
{
    for (unsigned i = 0; i < ROUNDS; i++)
        write_line(console, "show info json\nshow sessions json\nshow stats json\n");
}

static void check_answers(struct process *console)
{
    char *output = process_output(console);
    const char *at = output;
    unsigned answers = 0;
    json_error_t error;
    for (;;) {
        at += strspn(at, "\n");
        if (*at == '\0')
            break;
        json_t *root = json_loads(at, JSON_DISABLE_EOF_CHECK, &error);
        if (root == NULL)
            fail_msg("%s: %s", error.text, at);
        at += error.position; /* the bytes read */
        json_decref(root);
        answers++;
    }
    assert_int_equal(answers, 3 * ROUNDS);
    free(output);
}

static void several_consoles_ask_at_once_while_sessions_come_and_go(void **state)
{
    enum { CONSOLES = 6 };
    unsigned count = test_on_windows() ? 3 : CONSOLES;
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    struct process *consoles[CONSOLES];
    for (unsigned i = 0; i < count; i++) {
        char name[32];
        str_format(name, sizeof name, "console%u", i);
        consoles[i] = start_console(relay, name);
        ask_much(consoles[i]);
        process_end_input(consoles[i]);
    }
    unsigned sessions = 0;
    for (unsigned ended = 0; ended < count; sessions++) {
        struct session session = session_open(&relay->addr, listener);
        session_check(&session);
        session_end(&session);
        ended = 0;
        for (unsigned i = 0; i < count; i++)
            ended += process_wait(consoles[i], 0, NULL);
    }
    for (unsigned i = 0; i < count; i++) {
        check_answers(consoles[i]);
        end_console(consoles[i], 0);
    }
    relay_wait_nothing_left(relay);
    assert_int_equal(relay_stat(relay, "sessions_total"), sessions);
    relay_end(relay);
    net_close(listener);
}

static void the_console_that_was_idle_for_longest_makes_room_for_another(void **state)
{
    enum { ROOM = 16 };
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    struct process *consoles[ROOM];
    for (unsigned i = 0; i < ROOM; i++) {
        char name[32];
        str_format(name, sizeof name, "console%u", i);
        consoles[i] = start_console(relay, name);
        write_line(consoles[i], "show info\n");
        assert_true(process_wait_output(consoles[i], "version", NET_PATIENCE_MS));
    }
    assert_int_equal(relay_console(relay, "show info", NULL, NULL), 0);

    /* The first one has lost its place, and gets one again when it is used; the others go on. */
    for (unsigned i = 1; i < ROOM; i++) {
        write_line(consoles[i], "show routes\n");
        assert_true(process_wait_output(consoles[i], "ROUTE ", NET_PATIENCE_MS));
        end_console(consoles[i], 0);
    }
    write_line(consoles[0], "show routes\n");
    assert_true(process_wait_errors(consoles[0], "connected again", NET_PATIENCE_MS));
    assert_true(process_wait_output(consoles[0], "ROUTE ", NET_PATIENCE_MS));
    end_console(consoles[0], 0);
    uint64_t start = os_mono_ms();
    while (relay_console(relay, "show info", NULL, NULL) != 0)
        assert_true(os_mono_ms() - start < NET_PATIENCE_MS);
    relay_end(relay);
    net_close(listener);
}

/* ---- the configuration of a console ---- */

static void a_configuration_with_mistakes_still_leads_to_the_relay(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    char *good = test_read_file(relay->config);
    char text[4096];
    assert_non_null(good);
    str_format(text, sizeof text, "foo\n[raleigh]\n%s\nlisten = nonsense\n", good);
    free(good);
    assert_int_equal(test_write_file(relay->config, text), ERR_OK);

    char *output, *errors;
    assert_int_equal(relay_console(relay, "show routes", &output, &errors), 0);
    assert_int_equal(strncmp(output, "ROUTE ", 6), 0);
    assert_non_null(strstr(errors, "has mistakes, which 'pairport check' lists"));
    free(output);
    free(errors);

    /* A file that is not there is that of another relay. */
    const char *args[] = {"console", "-c", "no-such-file.ini", "shutdown", NULL};
    assert_int_equal(run_pairport(relay->dir, args, &output, &errors), 1);
    assert_non_null(strstr(errors, "no-such-file.ini: no such file or name"));
    free(output);
    free(errors);
    relay_end(relay);
    net_close(listener);
}

static void without_an_answer_the_relays_that_answer_are_listed(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    const char *args[] = {"console", "--name", "nobody-has-this-name", "show", "info", NULL};
    char *output, *errors, pid[32], path[LOCAL_NAME_MAX];
    struct local_listener *odd = NULL; /* its name could direct a terminal */
    if (!test_on_windows()) {
        assert_int_equal(local_path("odd\033[2Jname", path), ERR_OK);
        assert_int_equal(local_listen(path, &odd), ERR_OK);
    }
    assert_int_equal(run_pairport(relay->dir, args, &output, &errors), 1);
    assert_non_null(strstr(errors, "pairport: no relay answers at "));
    if (odd != NULL) {
        assert_non_null(strstr(errors, "odd\\x1b[2Jname.sock (pid "));
        assert_null(strchr(errors, '\033'));
        local_listener_close(odd);
    }
    str_format(pid, sizeof pid, "(pid %" PRIu64, process_id(relay->process));
    if (!test_on_wine()) /* it has no list of pipes */
        assert_non_null(strstr(errors, pid));
    free(output);
    free(errors);
    relay_end(relay);
    net_close(listener);
}

/* ---- a relay that is none ---- */

struct fake_relay {
    struct local_listener *endpoint;
    const char *answer;
};

/* Answers whatever comes first, and waits until the console has read it. */
static void play_relay(void *arg)
{
    const struct fake_relay *fake = arg;
    struct local_conn *conn;
    char bytes[256];
    size_t len;
    while (local_accept(fake->endpoint, &conn) == ERR_OK) {
        if (local_read(conn, bytes, sizeof bytes, NET_PATIENCE_MS, &len) == ERR_OK) {
            len = str_format(bytes, sizeof bytes, "ok %zu\n%s", strlen(fake->answer),
                             fake->answer);
            (void)local_write(conn, bytes, len);
            while (local_read(conn, bytes, sizeof bytes, NET_PATIENCE_MS, &len) == ERR_OK) {
            }
        }
        local_conn_close(conn);
    }
}

static void what_a_relay_says_cannot_upset_the_terminal(void **state)
{
    (void)state;
    struct fake_relay fake = {.answer = "\x1b]52;c;x\x07 \xe2\x80\xae \xc2\x9b \xff\tfine\n"};
    struct os_thread *thread;
    char dir[TEST_PATH_MAX], name[40], path[LOCAL_NAME_MAX];
    assert_int_equal(test_make_dir(dir), ERR_OK);
    str_format(name, sizeof name, "test-%016" PRIx64, os_random());
    assert_int_equal(local_path(name, path), ERR_OK);
    assert_int_equal(local_listen(path, &fake.endpoint), ERR_OK);
    assert_int_equal(os_thread_start(&thread, "fake", play_relay, &fake), ERR_OK);

    const char *args[] = {"console", "--name", path, "show", "info", NULL};
    char *output, *errors;
    assert_int_equal(run_pairport(dir, args, &output, &errors), 0);
    assert_string_equal(output, "\\x1b]52;c;x\\x07 \\xe2\\x80\\xae \\xc2\\x9b \\xff\tfine\n");
    free(output);
    free(errors);
    local_listener_stop(fake.endpoint);
    os_thread_join(thread);
    local_listener_close(fake.endpoint);
    test_remove_dir(dir);
}

/* ---- no relay ---- */

static void a_console_whose_relay_is_gone_says_so(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    struct process *console = start_console(relay, "left");
    write_line(console, "show info\n");
    assert_true(process_wait_output(console, "version", NET_PATIENCE_MS));
    process_kill(relay->process);
    assert_true(process_wait(relay->process, NET_PATIENCE_MS, NULL));
    relay->ended = true;
    write_line(console, "show info\n");
    assert_true(process_wait_errors(console, ": the relay has closed the connection\n",
                                    NET_PATIENCE_MS));
    end_console(console, 1);

    char *output, *errors;
    assert_int_equal(relay_console(relay, "show info", &output, &errors), 1);
    assert_string_equal(output, "");
    assert_non_null(strstr(errors, "pairport: no relay answers at "));
    free(output);
    free(errors);
    net_close(listener);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_command_answers, relay_teardown),
        cmocka_unit_test_teardown(a_wrong_command_fails_and_says_what_would_be_right,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_line_may_be_one_argument_and_words_keep_their_blanks,
                                  relay_teardown),
        cmocka_unit_test_teardown(the_configuration_it_shows_can_be_used, relay_teardown),
        cmocka_unit_test_teardown(commands_come_from_a_pipe_one_a_line, relay_teardown),
        cmocka_unit_test_teardown(several_consoles_ask_at_once_while_sessions_come_and_go,
                                  relay_teardown),
        cmocka_unit_test_teardown(the_console_that_was_idle_for_longest_makes_room_for_another,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_configuration_with_mistakes_still_leads_to_the_relay,
                                  relay_teardown),
        cmocka_unit_test_teardown(without_an_answer_the_relays_that_answer_are_listed,
                                  relay_teardown),
        cmocka_unit_test(what_a_relay_says_cannot_upset_the_terminal),
        cmocka_unit_test_teardown(a_console_whose_relay_is_gone_says_so, relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
