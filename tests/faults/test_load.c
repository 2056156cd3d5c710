/* A call to the system that fails while the relay works: sessions that are open lose no byte and
 * do not end, it takes clients and commands afterwards, and whoever was hit is told the cause. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fault_run.h"
#include "load_run.h"
#include "os/os.h"
#include "support/net.h"

#define EVERY          12 /* positions tried one by one */
#define STRIDE         40
#define STEADY         3           /* sessions that say a number at a time */
#define BULK           (96 * 1024) /* bytes at a time, of one more */
#define LASTING        3           /* positions from which on all calls fail */
#define LASTING_STRIDE 6
#define SETTLED_MS     30  /* without a new line of the log */
#define CHECKS_MS      110 /* a check of each upstream comes in that time */

/* ---- sessions that are open all the time ---- */

static struct {
    sock_t socks[STEADY + 1]; /* the last one is for bulk */
    struct os_thread *threads[2];
    _Atomic bool stop;
    _Atomic uint32_t failed; /* number of the session, from 1 on; 0: none */
    _Atomic uint64_t rounds;
} steady;

static bool say(sock_t sock, const unsigned char *bytes, unsigned char *got, size_t len)
{
    return net_send(sock, bytes, len, NET_PATIENCE_MS, NULL) == ERR_OK &&
           net_receive_all(sock, got, len, NET_PATIENCE_MS) == ERR_OK &&
           memcmp(bytes, got, len) == 0;
}

static void talk(void *arg)
{
    (void)arg;
    for (uint64_t number = 0; !atomic_load(&steady.stop); number++) {
        for (uint32_t i = 0; i < STEADY; i++) {
            unsigned char bytes[sizeof number], got[sizeof number];
            memcpy(bytes, &number, sizeof number);
            if (!say(steady.socks[i], bytes, got, sizeof number))
                atomic_store(&steady.failed, i + 1);
        }
        if (atomic_load(&steady.failed) != 0)
            return;
        atomic_fetch_add(&steady.rounds, 1);
        os_sleep_ms(1);
    }
}

static void talk_much(void *arg)
{
    static unsigned char bytes[BULK], got[BULK];
    struct random random;
    (void)arg;
    random_init(&random, 7, 7);
    while (!atomic_load(&steady.stop) && atomic_load(&steady.failed) == 0) {
        random_fill(&random, bytes, sizeof bytes);
        if (!say(steady.socks[STEADY], bytes, got, sizeof bytes))
            atomic_store(&steady.failed, STEADY + 1);
        os_sleep_ms(3);
    }
}

static void steady_begin(const struct relay_run *relay)
{
    struct addr second = net_loopback(ADDR_IPV4, relay->port2);
    atomic_store(&steady.stop, false);
    atomic_store(&steady.failed, 0);
    for (size_t i = 0; i <= STEADY; i++)
        assert_int_equal(
            net_connect(i % 2 == 0 ? &relay->addr : &second, NET_PATIENCE_MS, &steady.socks[i]),
            ERR_OK);
    assert_int_equal(os_thread_start(&steady.threads[0], "talk", talk, NULL), ERR_OK);
    assert_int_equal(os_thread_start(&steady.threads[1], "much", talk_much, NULL), ERR_OK);
}

static void steady_end(void)
{
    atomic_store(&steady.stop, true);
    for (size_t i = 0; i < 2 && steady.threads[i] != NULL; i++) {
        os_thread_join(steady.threads[i]);
        steady.threads[i] = NULL;
    }
    for (size_t i = 0; i <= STEADY; i++) {
        net_close(steady.socks[i]);
        steady.socks[i] = SOCK_NONE;
    }
}

/* They have all said something since. */
static bool steady_goes_on(void)
{
    uint64_t before = atomic_load(&steady.rounds), begun = os_mono_ms();
    while (atomic_load(&steady.failed) == 0 && atomic_load(&steady.rounds) < before + 2) {
        if (os_mono_ms() - begun > NET_PATIENCE_MS)
            return false;
        os_sleep_ms(1);
    }
    return atomic_load(&steady.failed) == 0;
}

/* ---- the relay's work ---- */

static struct {
    struct relay_run *relay;
    char *configs[2]; /* owned; the second one has a third route */
    struct addr third;
    unsigned bans; /* so many; each of another network */
    char banned[32];
    struct str said;  /* what commands that failed said */
    uint32_t hit;     /* clients and commands that failed */
    const char *what; /* the last one of them */
} rig;

static void run_command(const char *words)
{
    char *errors = NULL, *output = NULL;
    if (relay_console(rig.relay, words, &output, &errors) != 0) {
        str_addf(&rig.said, "%s: %s%s\n", words, output, errors);
        rig.hit++;
        rig.what = words;
    }
    free(errors);
    free(output);
}

static void run_words(const char *first, const char *second)
{
    char words[64];
    str_format(words, sizeof words, "%s %s", first, second);
    run_command(words);
    if (rig.hit > 0 && rig.what == words)
        rig.what = first;
}

static void run_client(const struct addr *to, const char *what)
{
    if (fault_echoes(to))
        return;
    rig.hit++;
    rig.what = what;
}

static void reload_with(const char *config)
{
    assert_int_equal(test_write_file(rig.relay->config, config), ERR_OK);
    run_command("reload");
}

/* Until the file has the ban, or a call has failed. The file is written within a second, so only
 * those walks wait that are about it. */
static void wait_state_file(const struct fault_walk *walk)
{
    char path[TEST_PATH_MAX];
    relay_path(rig.relay, "state.json", path);
    bool waits = walk->kind == FAULT_DISK || walk->kind == FAULT_OPEN;
    for (uint64_t begun = os_mono_ms();
         waits && !fault_happened() && os_mono_ms() - begun < NET_PATIENCE_MS; os_sleep_ms(5)) {
        char *text = test_read_file(path);
        waits = text == NULL || strstr(text, rig.banned) == NULL;
        free(text);
    }
}

/* What may be hit by the fault. */
static void do_work(const struct fault_walk *walk)
{
    static const char *const commands[] = {
        "show sessions",
        "show session 1",
        "show info json",
        "show upstreams",
        "show clients",
        "show stats",
        "show routes",
        "show config json",
        "pause second",
        "resume second",
        "resolve second/localhost",
        "kill client 192.0.2.1",
        "set log_level info",
        "show bans",
    };
    struct addr second = net_loopback(ADDR_IPV4, rig.relay->port2);
    str_clear(&rig.said);
    rig.hit = 0;
    rig.what = "";
    uint64_t begun = os_mono_ms();
    run_client(&rig.relay->addr, "a client");
    run_client(&second, "a client of the second route");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        run_command(commands[i]);
    str_format(rig.banned, sizeof rig.banned, "192.0.%u.%u/32", rig.bans / 250, rig.bans % 250);
    rig.bans++;
    run_words("ban", rig.banned);
    wait_state_file(walk);
    run_words("unban", rig.banned);
    reload_with(rig.configs[1]);
    process_hang_up(rig.relay->process);
    run_client(&rig.relay->addr, "a client");
    reload_with(rig.configs[0]);
    while (os_mono_ms() - begun < CHECKS_MS)
        os_sleep_ms(1);
}

/* ---- the same while a lack lasts ----
 * Clients and commands may have to wait until it is over. */

#define CONSOLES 4
#define CLIENTS  3

struct meanwhile {
    struct process *consoles[CONSOLES];
    sock_t clients[CLIENTS];
};

static struct process *begin_command(unsigned number, const char *command)
{
    char name[16], text[64];
    const char *args[8] = {"console", "-c", rig.relay->config};
    size_t count = 3;
    str_format(name, sizeof name, "console-%u", number);
    str_format(text, sizeof text, "%s", command);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
        args[count++] = word;
    return start_pairport(rig.relay->dir, name, args, false);
}

/* False: it has no answer. */
static bool finish_command(struct process *process)
{
    int code = -1;
    bool ended = process_wait(process, NET_PATIENCE_MS, &code);
    if (!ended || code != 0) {
        char *output = process_output(process), *errors = process_errors(process);
        str_addf(&rig.said, "a command gave %d: %s%s\n", code, output, errors);
        rig.hit++;
        rig.what = "a command";
        free(output);
        free(errors);
    }
    process_free(process);
    return ended;
}

/* What was begun while the lack lasted comes to its end. False: a command has no answer. */
static bool finish_work(struct meanwhile *meanwhile)
{
    char got[5];
    bool answered = true;
    for (unsigned i = 0; i < CONSOLES; i++)
        answered &= finish_command(meanwhile->consoles[i]);
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (meanwhile->clients[i] == SOCK_NONE ||
            net_receive_all(meanwhile->clients[i], got, 5, NET_PATIENCE_MS) != ERR_OK ||
            memcmp(got, "hello", 5) != 0) {
            rig.hit++;
            rig.what = "a client";
        }
        net_close(meanwhile->clients[i]);
    }
    return answered;
}

static sock_t begin_client(const struct addr *to)
{
    sock_t sock;
    if (net_connect(to, NET_PATIENCE_MS, &sock) != ERR_OK)
        return SOCK_NONE;                                    /* it was reset that fast */
    (void)net_send(sock, "hello", 5, NET_PATIENCE_MS, NULL); /* likewise */
    return sock;
}

static void begin_work(struct meanwhile *meanwhile)
{
    static const char *const commands[CONSOLES] = {"show info json", "show sessions",
                                                   "kill client 192.0.2.1", "reload"};
    struct addr second = net_loopback(ADDR_IPV4, rig.relay->port2);
    str_clear(&rig.said);
    rig.hit = 0;
    rig.what = "";
    assert_int_equal(test_write_file(rig.relay->config, rig.configs[1]), ERR_OK);
    for (unsigned i = 0; i < CONSOLES; i++)
        meanwhile->consoles[i] = begin_command(i, commands[i]);
    for (unsigned i = 0; i < CLIENTS; i++)
        meanwhile->clients[i] = begin_client(i == 1 ? &second : &rig.relay->addr);
    process_hang_up(rig.relay->process);
    os_sleep_ms(CHECKS_MS);
}

/* ---- one position ---- */

/* A lack of this machine says nothing of a server; on a busy one a check may be late. */
static bool is_down_for_nothing(const struct fault_walk *walk, const char *log)
{
    char line[512];
    const char *at = log;
    while ((at = strstr(at, " is DOWN")) != NULL) {
        str_format(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
        at += strlen(line);
        bool unresolved = strncmp(line, " is DOWN (resolution)", 21) == 0;
        if (unresolved ? !fault_is_named(walk, log) : strstr(line, "L4TOUT") == NULL)
            return true;
    }
    return false;
}

static const char *find_lasting_lack(void)
{
    struct addr second = net_loopback(ADDR_IPV4, rig.relay->port2);
    rig.hit = 0;
    run_command("resume second");
    if (rig.hit > 0)
        return "a command fails afterwards";
    if (!fault_echoes(&rig.relay->addr))
        return "a new client is not served afterwards";
    if (!fault_echoes(&second))
        return "a new client of the second route is not served afterwards";
    reload_with(rig.configs[1]);
    if (rig.hit > 0 || !fault_echoes(&rig.third))
        return "the third route is not served afterwards";
    reload_with(rig.configs[0]);
    return rig.hit > 0 ? "a reload fails afterwards" : NULL;
}

/* What must hold after the work. False: the walk is over. */
static bool check_after(struct fault_walk *walk, const char *log)
{
    bool goes_on = steady_goes_on();
    if (!goes_on)
        fault_complain(walk, rig.relay, "session %" PRIu32 " that was open lost something",
                       atomic_load(&steady.failed));
    if (process_wait(rig.relay->process, 0, NULL)) {
        fault_complain(walk, rig.relay, "the relay has ended");
        return false;
    }
    if (rig.hit > 0 && !fault_is_named(walk, rig.said.data) && !fault_is_named(walk, log))
        fault_complain(walk, rig.relay, "'%s' was hit and nobody says why; what was said: %s",
                       rig.what, rig.said.data);
    if (is_down_for_nothing(walk, log))
        fault_complain(walk, rig.relay, "it takes an upstream to be down: %s", rig.said.data);
    const char *lack = find_lasting_lack();
    if (lack != NULL)
        fault_complain(walk, rig.relay, "%s: %s", lack, rig.said.data);
    return goes_on;
}

static size_t log_length(void)
{
    char *log = fault_read_log(rig.relay);
    size_t len = strlen(log);
    free(log);
    return len;
}

/* All that the relay has said, when no more comes: lines are written a little after they were
 * logged, and those of one position must not count for the next. */
static char *read_settled_log(void)
{
    uint64_t begun = os_mono_ms();
    for (size_t before = SIZE_MAX;;) {
        char *log = fault_read_log(rig.relay);
        size_t len = strlen(log);
        if (len == before || process_wait(rig.relay->process, 0, NULL) ||
            os_mono_ms() - begun > NET_PATIENCE_MS)
            return log;
        before = len;
        free(log);
        os_sleep_ms(SETTLED_MS);
    }
}

/* False: the walk is over. */
static bool try_position(struct fault_walk *walk)
{
    size_t before = log_length();
    uint64_t begun = os_mono_ms();
    fault_arm(walk);
    do_work(walk);
    bool failed = fault_disarm();
    if (os_mono_ms() - begun > NET_PATIENCE_MS)
        fault_complain(walk, rig.relay, "it has held the work up, for %" PRIu64 " ms",
                       os_mono_ms() - begun);
    char *log = read_settled_log();
    bool goes_on = check_after(walk, log + (strlen(log) > before ? before : 0));
    free(log);
    return failed && goes_on;
}

/* Likewise. Lines of the log are limited, so the cause may have been named before. */
static bool try_lasting(struct fault_walk *walk)
{
    struct meanwhile meanwhile;
    fault_arm(walk);
    begin_work(&meanwhile);
    bool failed = fault_disarm(), answered = finish_work(&meanwhile);
    if (!answered)
        fault_complain(walk, rig.relay, "a command has no answer: %s", rig.said.data);
    char *log = read_settled_log();
    bool goes_on = check_after(walk, log);
    free(log);
    return failed && goes_on && answered;
}

/* ---- the walk ---- */

static void make_configs(void)
{
    char text[ADDR_TEXT_MAX];
    struct str config;
    str_init(&config);
    rig.third = net_loopback(ADDR_IPV4, net_free_port());
    rig.configs[0] = test_read_file(rig.relay->config);
    assert_non_null(rig.configs[0]);
    str_addf(&config, "%s[route third]\nlisten = %s\n", rig.configs[0],
             addr_format(&rig.third, text));
    str_addf(&config, "upstream = %s\nidle_timeout = 5m\n",
             addr_format(&fault_echo.addr, text));
    rig.configs[1] = strdup(config.data);
    str_free(&config);
}

static void start(void **state, enum fault_kind kind)
{
    char text[ADDR_TEXT_MAX], more[512], keys[256];
    /* That a connect fails may say something of the server. */
    str_format(keys, sizeof keys,
               "health = tcp interval=100ms timeout=100ms fall=%u\nguard_exempt =\n"
               "connect_rate_per_client = off\n",
               kind == FAULT_CONNECT ? 3u : 1u);
    addr_format(&fault_echo.addr, text);
    str_format(more, sizeof more,
               "[route second]\nlisten = 127.0.0.1:%%PORT2%%\nupstream = localhost:%u\n"
               "upstream = %s backup\nhealth = tcp interval=100ms timeout=100ms\n"
               "when_down = hold 30s\nresolve_interval = 1s\n",
               (unsigned)fault_echo.addr.port, text);
    const struct relay_setup setup = {
        .upstreams = &fault_echo.addr,
        .upstream_count = 1,
        .relay_keys = "workers = 2\nstate_file = state.json\nlog_file = relay.log\n",
        .route_keys = keys,
        .more = more};
    rig.relay = fault_start(state, &setup);
    make_configs();
    str_init(&rig.said);
}

/* What it has open when no session is and no console. */
static bool wait_descriptors(uint64_t most)
{
    uint64_t begun = os_mono_ms();
    while (process_descriptors(rig.relay->process) > most)
        if (os_mono_ms() - begun > NET_PATIENCE_MS)
            return false;
    return true;
}

static void end(struct fault_walk *walk, uint64_t descriptors)
{
    steady_end();
    relay_wait_nothing_left(rig.relay);
    if (!wait_descriptors(descriptors + 1)) /* a check may be under way */
        fault_complain(walk, rig.relay, "%" PRIu64 " descriptors are open, %" PRIu64 " before",
                       process_descriptors(rig.relay->process), descriptors);
    relay_end(rig.relay);
    free(rig.configs[0]);
    free(rig.configs[1]);
    str_free(&rig.said);
}

static void walk_load(void **state)
{
    struct fault_walk walk;
    enum fault_kind kind = *(const enum fault_kind *)*state;
    *state = NULL;
    start(state, kind);
    relay_wait_nothing_left(rig.relay);
    uint64_t descriptors = process_descriptors(rig.relay->process);
    steady_begin(rig.relay);
    assert_true(steady_goes_on());
    fault_walk_begin(&walk, kind, EVERY, STRIDE);
    do_work(&walk); /* without any fault */
    if (rig.hit > 0)
        fail_msg("'%s' fails by itself: %s", rig.what, rig.said.data);
    while (try_position(&walk) && fault_walk_next(&walk))
        continue;
    fault_walk_end(&walk, 1);
    fault_walk_begin(&walk, kind, 1, LASTING_STRIDE);
    walk.lasts = true;
    uint32_t most = fault_walks_all() ? 60 : LASTING;
    if (kind == FAULT_CONNECT)
        most = 0; /* then no server can be reached, which is what checks are for */
    while (walk.tried < most && try_lasting(&walk) && fault_walk_next(&walk))
        continue;
    end(&walk, descriptors);
    fault_walk_end(&walk, 0);
}

/* ---- main ---- */

static int tear_down_walk(void **state)
{
    steady_end();
    return fault_relay_teardown(state);
}

#define WALK(name, kind) FAULT_WALK("load_without_" name, kind, walk_load, tear_down_walk)

int main(int argc, char *argv[])
{
    os_init();
    if (argc > 1)
        cmocka_set_test_filter(argv[1]); /* "load_without_a_*" */
    for (size_t i = 0; i <= STEADY; i++)
        steady.socks[i] = SOCK_NONE;
    struct CMUnitTest tests[] = {
        WALK("memory", FAULT_ALLOC),    WALK("a_map", FAULT_MAP),
        WALK("a_thread", FAULT_THREAD), WALK("a_socket", FAULT_SOCKET),
        WALK("accept", FAULT_ACCEPT),   WALK("epoll", FAULT_EPOLL),
        WALK("a_pipe", FAULT_PIPE),     WALK("a_timer", FAULT_TIMER),
        WALK("bind", FAULT_BIND),       WALK("listen", FAULT_LISTEN),
        WALK("connect", FAULT_CONNECT), WALK("open", FAULT_OPEN),
        WALK("the_disk", FAULT_DISK),
    };
    return cmocka_run_group_tests_name("faults under load", tests, fault_set_up,
                                       fault_tear_down);
}
