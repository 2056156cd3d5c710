#include "fault_run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/os.h"
#include "os/posix/error.h"
#include "support/net.h"
#include "support/platform.h"

#define CODES_MAX      4
#define COMPLAINTS_MAX 5
#define LOG_SHOWN      3000

static const struct {
    const char *name;
    int codes[CODES_MAX]; /* in turn; 0 ends them */
} kinds[FAULT_KINDS] = {
    [FAULT_NONE] = {.name = "none"},
    [FAULT_ALLOC] = {.name = "alloc", .codes = {ENOMEM}},
    [FAULT_MAP] = {.name = "map", .codes = {ENOMEM}},
    [FAULT_THREAD] = {.name = "thread", .codes = {EAGAIN, ENOMEM}},
    [FAULT_SOCKET] = {.name = "socket", .codes = {EMFILE, ENOBUFS, ENFILE}},
    [FAULT_ACCEPT] = {.name = "accept", .codes = {EMFILE, ENOBUFS, ENFILE, ENOMEM}},
    [FAULT_EPOLL] = {.name = "epoll", .codes = {ENOMEM, ENOSPC}},
    [FAULT_PIPE] = {.name = "pipe", .codes = {EMFILE, ENFILE}},
    [FAULT_TIMER] = {.name = "timer", .codes = {EMFILE, ENOMEM}},
    [FAULT_BIND] = {.name = "bind", .codes = {EACCES, EADDRNOTAVAIL, ENOMEM}},
    [FAULT_LISTEN] = {.name = "listen", .codes = {ENOBUFS, EACCES}},
    [FAULT_CONNECT] = {.name = "connect", .codes = {ENOBUFS, EACCES, ENETUNREACH}},
    [FAULT_OPEN] = {.name = "open", .codes = {EMFILE, EACCES, ENFILE, EIO}},
    [FAULT_DISK] = {.name = "disk", .codes = {ENOSPC, EIO, EACCES}},
};

static struct {
    char dir[TEST_PATH_MAX];     /* the file of fault.h */
    char runtime[TEST_PATH_MAX]; /* the consoles' sockets are in pairport/ there */
    char file[TEST_PATH_MAX];
    struct fault *fault;
    uint64_t seed;
} all;

struct echo_run fault_echo;

int fault_set_up(void **state)
{
    (void)state;
    all.seed = random_test_seed();
    if (test_make_dir(all.dir) != ERR_OK || test_make_dir(all.runtime) != ERR_OK)
        return -1;
    path_in(all.dir, "fault", all.file);
    int fd = open(all.file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof *all.fault) != 0)
        return -1;
    all.fault = mmap(NULL, sizeof *all.fault, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    setenv("FAULT_FILE", all.file, 1);
    setenv("XDG_RUNTIME_DIR", all.runtime, 1);
    if (all.fault == MAP_FAILED)
        return -1;
    echo_run_start(&fault_echo);
    return 0;
}

int fault_tear_down(void **state)
{
    (void)state;
    echo_run_stop(&fault_echo);
    munmap(all.fault, sizeof *all.fault);
    test_remove_dir(all.runtime);
    test_remove_dir(all.dir);
    return 0;
}

const char *fault_name(enum fault_kind kind)
{
    return kinds[kind].name;
}

/* ---- positions ---- */

static int code_at(const struct fault_walk *walk)
{
    const int *codes = kinds[walk->kind].codes;
    unsigned count = 0;
    while (count < CODES_MAX && codes[count] != 0)
        count++;
    return codes[(walk->position - 1) % count];
}

static uint32_t wanted_positions(void)
{
    const char *text = getenv("PAIRPORT_FAULTS");
    return text == NULL ? 0 : (uint32_t)strtoul(text, NULL, 10);
}

bool fault_walks_all(void)
{
    return wanted_positions() > 0;
}

void fault_walk_begin(struct fault_walk *walk, enum fault_kind kind, uint32_t every,
                      uint32_t stride)
{
    uint32_t wanted = wanted_positions();
    *walk = (struct fault_walk){.kind = kind,
                                .position = 1,
                                .every = wanted > 0 ? wanted : every,
                                .stride = wanted > 0 ? 0 : stride};
    random_init(&walk->random, all.seed, (uint64_t)kind);
}

bool fault_walk_next(struct fault_walk *walk)
{
    walk->tried++;
    walk->position += walk->position < walk->every || walk->stride == 0
                          ? 1
                          : (uint32_t)random_between(&walk->random, 1, walk->stride);
    return walk->complaints < COMPLAINTS_MAX &&
           (wanted_positions() == 0 || walk->position <= wanted_positions());
}

void fault_walk_end(struct fault_walk *walk, uint32_t least)
{
    fault_disarm();
    print_message("%s%s: %" PRIu32 " positions tried, the last one %" PRIu32 "\n",
                  fault_name(walk->kind), walk->lasts ? ", lasting" : "", walk->tried,
                  walk->position);
    assert_int_equal(walk->complaints, 0);
    assert_true(walk->tried >= least);
}

void fault_arm(const struct fault_walk *walk)
{
    fault_disarm();
    all.fault->first = walk->position;
    all.fault->count = walk->lasts ? UINT32_MAX : 1;
    all.fault->code = code_at(walk);
    all.fault->frames[0] = 0;
    atomic_store(&all.fault->calls, 0);
    atomic_store(&all.fault->failed, 0);
    atomic_store(&all.fault->kind, (uint32_t)walk->kind);
}

bool fault_disarm(void)
{
    atomic_store(&all.fault->kind, FAULT_NONE);
    return fault_happened();
}

bool fault_happened(void)
{
    return atomic_load(&all.fault->failed) > 0;
}

/* ---- what is said ---- */

static void show_caller(void)
{
    char program[TEST_PATH_MAX];
    pairport_path(program);
    print_message("the call came from here: addr2line -fpe %s", program);
    for (size_t i = 0; i < FAULT_FRAMES && all.fault->frames[i] != 0; i++)
        print_message(" 0x%" PRIx64, all.fault->frames[i]);
    print_message("\n");
}

void fault_complain(struct fault_walk *walk, const struct relay_run *relay, const char *format,
                    ...)
{
    struct str text;
    str_init(&text);
    va_list args;
    va_start(args, format);
    str_vaddf(&text, format, args);
    va_end(args);
    int code = code_at(walk);
    print_message("call '%s' number %" PRIu32 "%s failed (%s): %s\n", fault_name(walk->kind),
                  walk->position, walk->lasts ? " and all after it" : "", strerror(code),
                  text.data);
    str_free(&text);
    show_caller();
    fflush(stderr);
    char *log = fault_read_log(relay);
    size_t len = strlen(log);
    printf("the relay's log:\n%s\n", log + (len > LOG_SHOWN ? len - LOG_SHOWN : 0));
    free(log);
    walk->complaints++;
}

bool fault_is_named(const struct fault_walk *walk, const char *text)
{
    int code = code_at(walk);
    enum err err = error_from_errno(code);
    if (walk->kind == FAULT_THREAD || (walk->kind == FAULT_EPOLL && err == ERR_NO_SPACE))
        err = ERR_NOMEM;
    return strstr(text, err_text(err)) != NULL || strstr(text, err_word(err)) != NULL ||
           strstr(text, strerror(code)) != NULL ||
           (err == ERR_NOMEM && strstr(text, "memory") != NULL) ||
           (err == ERR_ACCESS && strstr(text, "does not allow it") != NULL);
}

/* ---- the relay ---- */

static void remove_sockets(void)
{
    char path[TEST_PATH_MAX];
    path_in(all.runtime, "pairport", path);
    test_remove_dir(path);
}

int fault_relay_teardown(void **state)
{
    fault_disarm();
    int code = relay_teardown(state);
    remove_sockets(); /* of a relay that had to be killed */
    return code;
}

void fault_launch(struct relay_run *relay, const struct relay_setup *setup)
{
    setenv("LD_PRELOAD", FAULT_LIBRARY, 1);
    relay_launch(relay, setup);
    unsetenv("LD_PRELOAD");
}

struct process *fault_start_successor(const struct relay_run *relay, bool faulty)
{
    const char *args[] = {"run", "-c", relay->config, "--takeover", NULL};
    if (faulty)
        setenv("LD_PRELOAD", FAULT_LIBRARY, 1);
    struct process *process = start_pairport(relay->dir, "successor", args, false);
    unsetenv("LD_PRELOAD");
    return process;
}

struct relay_run *fault_start(void **state, const struct relay_setup *setup)
{
    setenv("LD_PRELOAD", FAULT_LIBRARY, 1);
    struct relay_run *relay = relay_start(state, setup);
    unsetenv("LD_PRELOAD");
    return relay;
}

bool fault_has_started(const struct process *process)
{
    char *log = process_errors(process);
    bool has =
        strstr(log, " notice console: ") != NULL || strstr(log, " warning console: ") != NULL;
    free(log);
    return has;
}

bool fault_echoes(const struct addr *to)
{
    char got[5] = "";
    sock_t sock;
    if (net_connect(to, NET_PATIENCE_MS, &sock) != ERR_OK)
        return false;
    bool right = net_send(sock, "hello", 5, NET_PATIENCE_MS, NULL) == ERR_OK &&
                 net_receive_all(sock, got, 5, NET_PATIENCE_MS) == ERR_OK &&
                 memcmp(got, "hello", 5) == 0;
    net_close(sock);
    return right;
}

char *fault_read_log(const struct relay_run *relay)
{
    char path[TEST_PATH_MAX];
    struct str text;
    str_init(&text);
    relay_path(relay, "relay.log", path);
    char *errors = process_errors(relay->process), *log = test_read_file(path);
    str_addf(&text, "%s%s", errors, log == NULL ? "" : log);
    free(errors);
    free(log);
    char *copy = strdup(text.data);
    str_free(&text);
    return copy;
}

static bool is_expected(const char *name, const char *const *expected)
{
    for (; expected != NULL && *expected != NULL; expected++)
        if (strcmp(name, *expected) == 0)
            return true;
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static char *list_others(const char *path, const char *const *expected)
{
    struct str names;
    str_init(&names);
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        if (!is_expected(entry->d_name, expected))
            str_addf(&names, " %s", entry->d_name);
    if (dir != NULL)
        closedir(dir);
    char *text = strdup(names.data);
    str_free(&names);
    return text;
}

char *fault_sockets_left(void)
{
    char path[TEST_PATH_MAX];
    path_in(all.runtime, "pairport", path);
    return list_others(path, NULL);
}

char *fault_files_left(const struct relay_run *relay, const char *const *expected)
{
    return list_others(relay->dir, expected);
}
