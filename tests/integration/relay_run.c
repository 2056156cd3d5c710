#include "relay_run.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/os.h"
#include "support/net.h"

#define START_TRIES    5
#define WORDS_TEXT_MAX 1024
#define LOG_SETTLED_MS 30 /* without a new line; the relay lets lines gather for 10 ms */

/* ---- programs ---- */

/* Splits a copy of `words` at blanks into `args` from `count` on, and ends them with NULL. */
static void split_words(const char *words, char text[WORDS_TEXT_MAX], const char **args,
                        size_t count)
{
    assert_true(strlen(words) < WORDS_TEXT_MAX);
    str_format(text, WORDS_TEXT_MAX, "%s", words);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        assert_true(count < RELAY_WORDS_MAX - 1);
        args[count++] = word;
    }
    args[count] = NULL;
}

/* Puts the program's path before its arguments. */
static void add_program(const char *program, const char *const *args,
                        const char *all[RELAY_WORDS_MAX])
{
    size_t count = 0;
    for (all[count++] = program; *args != NULL; args++) {
        assert_true(count < RELAY_WORDS_MAX - 1);
        all[count++] = *args;
    }
    all[count] = NULL;
}

static int run_program(const char *built, const char *dir, const char *const *args,
                       char **output, char **errors)
{
    char program[TEST_PATH_MAX];
    test_program_path(built, program);
    const char *all[RELAY_WORDS_MAX];
    add_program(program, args, all);
    const struct process_options options = {.args = all, .dir = dir, .name = "program"};
    return process_run(&options, 10 * NET_PATIENCE_MS, output, errors);
}

void pairport_path(char path[TEST_PATH_MAX])
{
    test_program_path(PAIRPORT_PROGRAM, path);
}

int run_pairport(const char *dir, const char *const *args, char **output, char **errors)
{
    return run_program(PAIRPORT_PROGRAM, dir, args, output, errors);
}

int run_pairload(const char *dir, const char *const *args, char **output, char **errors)
{
    return run_program(PAIRLOAD_PROGRAM, dir, args, output, errors);
}

struct process *start_pairport(const char *dir, const char *name, const char *const *args,
                               bool pipe_stdin)
{
    char program[TEST_PATH_MAX];
    test_program_path(PAIRPORT_PROGRAM, program);
    const char *all[RELAY_WORDS_MAX];
    add_program(program, args, all);
    const struct process_options options = {
        .args = all, .dir = dir, .name = name, .pipe_stdin = pipe_stdin};
    struct process *process;
    assert_int_equal(process_start(&process, &options), ERR_OK);
    return process;
}

struct process *start_pairload(const char *dir, const char *name, const char *words)
{
    char program[TEST_PATH_MAX];
    char text[WORDS_TEXT_MAX];
    test_program_path(PAIRLOAD_PROGRAM, program);
    const char *args[RELAY_WORDS_MAX] = {program};
    split_words(words, text, args, 1);
    const struct process_options options = {.args = args, .dir = dir, .name = name};
    struct process *process;
    assert_int_equal(process_start(&process, &options), ERR_OK);
    return process;
}

/* ---- start and end ---- */

void path_in(const char *dir, const char *name, char path[TEST_PATH_MAX])
{
    str_format(path, TEST_PATH_MAX, "%s%s%s", dir, test_on_windows() ? "\\" : "/", name);
}

void relay_path(const struct relay_run *relay, const char *name, char path[TEST_PATH_MAX])
{
    path_in(relay->dir, name, path);
}

static void add_more(struct str *config, const char *more, uint16_t port2)
{
    static const char mark[] = "%PORT2%";
    for (const char *at = strstr(more, mark); at != NULL; at = strstr(more, mark)) {
        str_add_bytes(config, more, (size_t)(at - more));
        str_addf(config, "%u", (unsigned)port2);
        more = at + sizeof mark - 1;
    }
    str_add(config, more);
}

static void write_config(struct relay_run *relay, const struct relay_setup *setup)
{
    char text[ADDR_TEXT_MAX];
    struct str config;
    str_init(&config);
    str_add(&config, "[relay]\n");
    if (setup->relay_keys == NULL || strstr(setup->relay_keys, "workers") == NULL)
        str_add(&config, "workers = 4\n");
    if (setup->relay_keys != NULL)
        str_add(&config, setup->relay_keys);
    str_addf(&config, "[console]\nname = test-%016" PRIx64 "\n", os_random());
    str_addf(&config, "[route test]\nlisten = %s:%u\n",
             setup->listen == NULL ? "127.0.0.1" : setup->listen, (unsigned)relay->addr.port);
    for (size_t i = 0; i < setup->upstream_count; i++)
        str_addf(&config, "upstream = %s\n", addr_format(&setup->upstreams[i], text));
    if (setup->route_keys != NULL)
        str_add(&config, setup->route_keys);
    if (setup->more != NULL)
        add_more(&config, setup->more, relay->port2);
    assert_false(config.failed);
    assert_int_equal(test_write_file(relay->config, config.data), ERR_OK);
    str_free(&config);
}

static void show_log(const struct relay_run *relay)
{
    char *log = relay_log(relay);
    size_t len = strlen(log);
    size_t shown = len < 6000 ? len : 6000;
    print_message("the relay's log%s:\n%s\n", shown < len ? " (its end)" : "",
                  log + len - shown);
    free(log);
}

/* Waits until the console answers, which comes after the listeners are open. False: the relay
 * has ended before. */
static bool wait_ready(struct relay_run *relay)
{
    uint64_t start = os_mono_ms();
    while (relay_console(relay, "show info", NULL, NULL) != 0) {
        if (process_wait(relay->process, 0, NULL))
            return false;
        if (os_mono_ms() - start > NET_PATIENCE_MS) {
            show_log(relay);
            fail_msg("%s", "the relay does not answer");
        }
        os_sleep_ms(10);
    }
    return true;
}

struct relay_run *relay_prepare(void **state)
{
    struct relay_run *relay = calloc(1, sizeof *relay);
    assert_non_null(relay);
    *state = relay;
    assert_int_equal(test_make_dir(relay->dir), ERR_OK);
    relay_path(relay, "relay.ini", relay->config);
    return relay;
}

void relay_launch(struct relay_run *relay, const struct relay_setup *setup)
{
    relay->addr = net_loopback(ADDR_IPV4, net_free_port());
    if (setup->listen != NULL && strcmp(setup->listen, "[::1]") == 0)
        relay->addr = net_loopback(ADDR_IPV6, relay->addr.port);
    relay->port2 = net_free_port();
    assert_int_not_equal(relay->addr.port, 0);
    write_config(relay, setup);

    char program[TEST_PATH_MAX];
    test_program_path(PAIRPORT_PROGRAM, program);
    const char *args[] = {program, "run", "-c", relay->config, NULL};
    const struct process_options options = {.args = args,
                                            .dir = relay->dir,
                                            .name = "relay",
                                            .pipe_stdin = setup->pipe_stdin,
                                            .no_streams = setup->no_streams,
                                            .max_descriptors = setup->max_descriptors};
    assert_int_equal(process_start(&relay->process, &options), ERR_OK);
}

/* False: another program took a port meanwhile. */
static bool try_start(struct relay_run *relay, const struct relay_setup *setup)
{
    relay_launch(relay, setup);
    if (wait_ready(relay))
        return true;
    if (relay_count_log(relay, err_text(ERR_IN_USE)) == 0) {
        show_log(relay);
        fail_msg("%s", "the relay did not start");
    }
    process_free(relay->process);
    relay->process = NULL;
    return false;
}

/* The tests' own clients are not those of whoever runs them. */
static void forget_ssh(void)
{
    static char connection[] = "SSH_CONNECTION=", client[] = "SSH_CLIENT=";
    putenv(connection);
    putenv(client);
}

struct relay_run *relay_start(void **state, const struct relay_setup *setup)
{
    struct relay_run *relay = relay_prepare(state);
    forget_ssh();
    for (unsigned i = 0; i < START_TRIES; i++)
        if (try_start(relay, setup))
            return relay;
    fail_msg("%s", "no free port was found");
    return NULL;
}

struct relay_run *relay_start_to(void **state, const struct addr *upstream)
{
    const struct relay_setup setup = {.upstreams = upstream, .upstream_count = 1};
    return relay_start(state, &setup);
}

void relay_end(struct relay_run *relay)
{
    assert_int_equal(process_stop(relay->process), ERR_OK);
    int code = -1;
    if (!process_wait(relay->process, 2000, &code)) {
        process_stop(relay->process); /* sessions were left open */
        assert_true(process_wait(relay->process, NET_PATIENCE_MS, &code));
    }
    assert_int_equal(code, 0);
    relay->ended = true;
}

int relay_teardown(void **state)
{
    struct relay_run *relay = *state;
    if (relay == NULL)
        return 0;
    *state = NULL;
    if (relay->process != NULL) {
        if (!relay->ended) {
            process_kill(relay->process);
            process_wait(relay->process, NET_PATIENCE_MS, NULL);
            show_log(relay);
        }
        process_free(relay->process);
    }
    test_remove_dir(relay->dir);
    free(relay);
    return 0;
}

/* ---- the console ---- */

int relay_console(struct relay_run *relay, const char *words, char **output, char **errors)
{
    char text[WORDS_TEXT_MAX];
    const char *args[RELAY_WORDS_MAX] = {"console", "-c", relay->config};
    split_words(words, text, args, 3);
    relay->calls++;
    return run_pairport(relay->dir, args, output, errors);
}

json_t *relay_json(struct relay_run *relay, const char *words)
{
    char command[WORDS_TEXT_MAX];
    char *output;
    char *errors;
    str_format(command, sizeof command, "%s json", words);
    int code = relay_console(relay, command, &output, &errors);
    if (code != 0)
        print_message("console: %s%s\n", output, errors);
    assert_int_equal(code, 0);
    json_error_t error;
    json_t *root = json_loads(output, 0, &error);
    if (root == NULL)
        print_message("not JSON: %s\n%s\n", error.text, output);
    assert_non_null(root);
    free(output);
    free(errors);
    return root;
}

uint64_t json_number_at(const json_t *root, const char *member, uint64_t missing)
{
    char text[128];
    str_format(text, sizeof text, "%s", member);
    const json_t *value = root;
    for (char *name = strtok(text, "."); name != NULL; name = strtok(NULL, "."))
        value = json_object_get(value, name);
    return json_is_integer(value) ? (uint64_t)json_integer_value(value) : missing;
}

static uint64_t get_member(const json_t *root, const char *member)
{
    uint64_t value = json_number_at(root, member, UINT64_MAX);
    if (value == UINT64_MAX)
        fail_msg("no number '%s'", member);
    return value;
}

uint64_t relay_info(struct relay_run *relay, const char *member)
{
    json_t *root = relay_json(relay, "show info");
    uint64_t value = get_member(root, member);
    json_decref(root);
    return value;
}

uint64_t relay_stat(struct relay_run *relay, const char *member)
{
    json_t *root = relay_json(relay, "show stats");
    uint64_t value = get_member(json_object_get(root, "all"), member);
    json_decref(root);
    return value;
}

static bool wait_number(struct relay_run *relay,
                        uint64_t read_number(struct relay_run *relay, const char *member),
                        const char *member, uint64_t value)
{
    uint64_t start = os_mono_ms();
    for (;;) {
        uint64_t now = read_number(relay, member);
        if (now == value)
            return true;
        if (os_mono_ms() - start > NET_PATIENCE_MS) {
            print_message("%s is %" PRIu64 ", not %" PRIu64 "\n", member, now, value);
            return false;
        }
        os_sleep_ms(20);
    }
}

bool relay_wait_info(struct relay_run *relay, const char *member, uint64_t value)
{
    return wait_number(relay, relay_info, member, value);
}

bool relay_wait_stat(struct relay_run *relay, const char *member, uint64_t value)
{
    return wait_number(relay, relay_stat, member, value);
}

static bool is_nothing_left(const json_t *info)
{
    static const char *const kinds[] = {"connect", "read", "write"};
    bool left = json_number_at(info, "sessions_open", 1) > 0 ||
                json_number_at(info, "buffers_in_use", 1) > 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char begun[64];
        char ended[64];
        str_format(begun, sizeof begun, "port.%s_submits_total", kinds[i]);
        str_format(ended, sizeof ended, "port.%s_completions_total", kinds[i]);
        left |= json_number_at(info, begun, 0) != json_number_at(info, ended, 1);
    }
    return !left;
}

void relay_wait_nothing_left(struct relay_run *relay)
{
    uint64_t start = os_mono_ms();
    for (;;) {
        json_t *info = relay_json(relay, "show info");
        bool nothing = is_nothing_left(info);
        if (!nothing && os_mono_ms() - start > NET_PATIENCE_MS) {
            char *text = json_dumps(info, JSON_INDENT(1));
            print_message("%s\n", text);
            fail_msg("%s", "something of the sessions is left");
        }
        json_decref(info);
        if (nothing)
            return;
        os_sleep_ms(20);
    }
}

/* ---- the log ---- */

/* Lines are written a little after they were logged: waits until none comes any more. */
char *relay_log(const struct relay_run *relay)
{
    uint64_t start = os_mono_ms();
    bool ended = process_wait(relay->process, 0, NULL), settled = false;
    char *log = process_errors(relay->process);
    while (!ended && !settled && os_mono_ms() - start < NET_PATIENCE_MS) {
        os_sleep_ms(LOG_SETTLED_MS);
        ended = process_wait(relay->process, 0, NULL);
        char *later = process_errors(relay->process);
        settled = strlen(later) == strlen(log);
        free(log);
        log = later;
    }
    return log;
}

bool relay_wait_log(struct relay_run *relay, const char *text)
{
    return process_wait_errors(relay->process, text, NET_PATIENCE_MS);
}

unsigned relay_count_log(const struct relay_run *relay, const char *text)
{
    char *log = relay_log(relay);
    unsigned count = 0;
    for (const char *at = strstr(log, text); at != NULL; at = strstr(at + 1, text))
        count++;
    free(log);
    return count;
}
