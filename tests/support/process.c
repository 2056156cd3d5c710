#include "support/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "os/os.h"
#include "support/process_files.h"

static const struct process_files *files_of(const struct process *process)
{
    return (const struct process_files *)process;
}

void process_files_name(struct process_files *files, const struct process_options *options)
{
    const char *slash = test_on_windows() ? "\\" : "/";
    str_format(files->out, sizeof files->out, "%s%s%s.out", options->dir, slash, options->name);
    str_format(files->err, sizeof files->err, "%s%s%s.err", options->dir, slash, options->name);
}

/* A C library on Windows may write CR LF; tests compare with LF. */
static char *read_text(const char *path)
{
    char *text = test_read_file(path);
    if (text == NULL)
        text = calloc(1, 1);
    if (text == NULL)
        abort();
    char *to = text;
    for (const char *from = text; *from != '\0'; from++)
        if (from[0] != '\r' || from[1] != '\n')
            *to++ = *from;
    *to = '\0';
    return text;
}

char *process_output(const struct process *process)
{
    return read_text(files_of(process)->out);
}

char *process_errors(const struct process *process)
{
    return read_text(files_of(process)->err);
}

static bool holds(const char *path, const char *wanted)
{
    char *text = read_text(path);
    bool found = strstr(text, wanted) != NULL;
    free(text);
    return found;
}

static bool wait_text(struct process *process, const char *path, const char *wanted,
                      uint32_t timeout_ms)
{
    uint64_t start = os_mono_ms();
    for (;;) {
        /* Asked before reading: what a dead child wrote is all in the file. */
        bool ended = process_wait(process, 0, NULL);
        if (holds(path, wanted))
            return true;
        if (ended || os_mono_ms() - start >= timeout_ms)
            return false;
        os_sleep_ms(5);
    }
}

bool process_wait_output(struct process *process, const char *text, uint32_t timeout_ms)
{
    return wait_text(process, files_of(process)->out, text, timeout_ms);
}

bool process_wait_errors(struct process *process, const char *text, uint32_t timeout_ms)
{
    return wait_text(process, files_of(process)->err, text, timeout_ms);
}

int process_run(const struct process_options *options, uint32_t timeout_ms, char **output,
                char **errors)
{
    struct process *process;
    int code = -1;
    if (process_start(&process, options) != ERR_OK) {
        fprintf(stderr, "cannot start '%s'\n", options->args[0]);
        if (output != NULL)
            *output = calloc(1, 1);
        if (errors != NULL)
            *errors = calloc(1, 1);
        return code;
    }
    if (!process_wait(process, timeout_ms, &code))
        code = -2;
    if (output != NULL)
        *output = process_output(process);
    if (errors != NULL)
        *errors = process_errors(process);
    process_free(process);
    return code;
}
