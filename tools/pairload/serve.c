#include "serve.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/str.h"
#include "os/os.h"
#include "service/echo.h"

static struct os_mutex mutex; /* guards the two below */
static struct os_cond changed;
static bool stopped;

void serve_stop(void)
{
    os_mutex_lock(&mutex);
    stopped = true;
    os_cond_wake_all(&changed);
    os_mutex_unlock(&mutex);
}

static void wait_stop(void)
{
    os_mutex_lock(&mutex);
    while (!stopped)
        os_cond_wait(&changed, &mutex, UINT32_MAX);
    os_mutex_unlock(&mutex);
}

int serve_run(const struct options *options)
{
    struct echo *echo;
    struct addr bound;
    char text[ADDR_TEXT_MAX];
    enum err err = options->mode == MODE_SINK ? echo_start_sink(&echo, &options->addr, &bound)
                                              : echo_start(&echo, &options->addr, &bound);
    if (err != ERR_OK) {
        fprintf(stderr, "pairload: cannot listen on %s: %s\n",
                addr_format(&options->addr, text), err_text(err));
        return 1;
    }
    printf("listening on %s\n", addr_format(&bound, text));
    fflush(stdout);
    wait_stop();

    struct echo_counts counts;
    echo_get_counts(echo, &counts);
    echo_stop(echo);
    char received[STR_HUMAN_MAX], sent[STR_HUMAN_MAX];
    printf("%" PRIu64 " connections, %s received, %s sent, %" PRIu64 " accepts failed\n",
           counts.connections_total, str_human_size(counts.received_bytes_total, received),
           str_human_size(counts.sent_bytes_total, sent), counts.accept_failures_total);
    return fflush(stdout) == 0 ? 0 : 1;
}
