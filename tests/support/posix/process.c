#include "support/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "os/os.h"
#include "support/process_files.h"

struct process {
    struct process_files files; /* first: process_files.h */
    pid_t pid;
    int input;  /* our end of its stdin, -1 if none */
    bool ended; /* waited for: the pid may belong to somebody else */
    int code;
};

struct child_ends {
    int input;
    int output;
    int errors;
};

/* In the child, between fork() and exec(): only calls that are safe there. */
static _Noreturn void become(const struct process_options *options,
                             const struct child_ends *ends, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127); /* it died before the line above */
    dup2(ends->input, STDIN_FILENO);
    dup2(ends->output, STDOUT_FILENO);
    dup2(ends->errors, STDERR_FILENO);
    if (options->no_streams) {
        close(STDIN_FILENO);
        close(STDOUT_FILENO);
        close(STDERR_FILENO);
    }
    if (options->max_descriptors > 0) {
        struct rlimit limit = {options->max_descriptors, options->max_descriptors};
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);

    /* execv() takes pointers to non-const text by tradition and changes nothing. */
    union {
        const char *const *in;
        char *const *out;
    } args = {.in = options->args};
    execv(args.out[0], args.out);
    _exit(127);
}

static void close_ends(const struct child_ends *ends)
{
    if (ends->input >= 0)
        close(ends->input);
    if (ends->output >= 0)
        close(ends->output);
    if (ends->errors >= 0)
        close(ends->errors);
}

enum err process_start(struct process **out, const struct process_options *options)
{
    struct process *process = calloc(1, sizeof *process);
    if (process == NULL)
        return ERR_NOMEM;
    process_files_name(&process->files, options);
    process->input = -1;

    enum err err = ERR_OK;
    struct child_ends ends = {-1, -1, -1};
    if (options->pipe_stdin) {
        int pipe_ends[2];
        if (pipe2(pipe_ends, O_CLOEXEC) == 0) {
            ends.input = pipe_ends[0];
            process->input = pipe_ends[1];
        }
    } else {
        ends.input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC;
    ends.output = open(process->files.out, flags, 0600);
    ends.errors = open(process->files.err, flags, 0600);
    if (ends.input < 0 || ends.output < 0 || ends.errors < 0 ||
        access(options->args[0], X_OK) != 0) {
        err = os_last_error();
        goto close_files;
    }

    pid_t parent = getpid();
    process->pid = fork();
    if (process->pid == 0)
        become(options, &ends, parent);
    if (process->pid < 0) {
        err = os_last_error();
        goto close_files;
    }
    close_ends(&ends);
    *out = process;
    return ERR_OK;

close_files:
    close_ends(&ends);
    if (process->input >= 0)
        close(process->input);
    free(process);
    return err;
}

static bool has_ended(struct process *process)
{
    if (process->ended)
        return true;
    int status;
    pid_t pid;
    do
        pid = waitpid(process->pid, &status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    if (pid != process->pid)
        return false;
    process->ended = true;
    process->code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
}

bool process_wait(struct process *process, uint32_t timeout_ms, int *code)
{
    uint64_t start = os_mono_ms();
    while (!has_ended(process)) {
        if (os_mono_ms() - start >= timeout_ms)
            return false;
        os_sleep_ms(2);
    }
    if (code != NULL)
        *code = process->code;
    return true;
}

void process_free(struct process *process)
{
    if (process == NULL)
        return;
    process_kill(process);
    process_wait(process, UINT32_MAX, NULL);
    process_end_input(process);
    free(process);
}

enum err process_stop(struct process *process)
{
    if (has_ended(process))
        return ERR_CLOSED;
    return kill(process->pid, SIGTERM) == 0 ? ERR_OK : os_last_error();
}

bool process_hang_up(struct process *process)
{
    return !has_ended(process) && kill(process->pid, SIGHUP) == 0;
}

bool process_freeze(struct process *process)
{
    return !has_ended(process) && kill(process->pid, SIGSTOP) == 0;
}

bool process_thaw(struct process *process)
{
    return !has_ended(process) && kill(process->pid, SIGCONT) == 0;
}

void process_kill(struct process *process)
{
    if (!has_ended(process))
        kill(process->pid, SIGKILL);
}

enum err process_crash(struct process *process)
{
    if (has_ended(process))
        return ERR_CLOSED;
    return kill(process->pid, SIGSEGV) == 0 ? ERR_OK : os_last_error();
}

enum err process_write(struct process *process, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        ssize_t took = write(process->input, text, len);
        if (took < 0)
            return errno == EPIPE ? ERR_CLOSED : os_last_error();
        text += took;
        len -= (size_t)took;
    }
    return ERR_OK;
}

void process_end_input(struct process *process)
{
    if (process->input >= 0)
        close(process->input);
    process->input = -1;
}

uint64_t process_id(const struct process *process)
{
    return (uint64_t)process->pid;
}

/* The number after `key` in a file of "KEY: NUMBER ..." lines; 0 when it is not there. */
static uint64_t read_number(const char *path, const char *key)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    char line[256];
    uint64_t value = 0;
    size_t key_len = strlen(key);
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, key_len) == 0) {
            value = strtoull(line + key_len, NULL, 10);
            break;
        }
    fclose(file);
    return value;
}

uint64_t process_resident_bytes(const struct process *process)
{
    char path[64];
    str_format(path, sizeof path, "/proc/%d/status", (int)process->pid);
    return read_number(path, "VmRSS:") * 1024;
}

uint64_t process_cpu_us(const struct process *process)
{
    char path[64];
    str_format(path, sizeof path, "/proc/%d/stat", (int)process->pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    char line[1024];
    size_t len = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[len] = '\0';
    /* The name in parentheses may hold anything; utime and stime are the 12th and 13th word
     * after it. */
    char *at = strrchr(line, ')');
    uint64_t user = 0;
    uint64_t system = 0;
    if (at == NULL ||
        sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
               &user, &system) != 2)
        return 0;
    return (user + system) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static uint64_t count_entries(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return 0;
    uint64_t count = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (entry->d_name[0] != '.')
            count++;
    closedir(dir);
    return count;
}

uint64_t process_descriptors(const struct process *process)
{
    char path[64];
    str_format(path, sizeof path, "/proc/%d/fd", (int)process->pid);
    return count_entries(path);
}

bool process_sleeps(const struct process *process, uint64_t *count)
{
    char path[64];
    str_format(path, sizeof path, "/proc/%d/task", (int)process->pid);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return false;
    *count = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] == '.')
            continue;
        char status[512];
        str_format(status, sizeof status, "%s/%s/status", path, entry->d_name);
        *count += read_number(status, "voluntary_ctxt_switches:");
    }
    closedir(dir);
    return true;
}
