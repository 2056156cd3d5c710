/* How the program in the foreground stops. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "control/console/endpoint.h"
#include "os/os.h"
#include "os/signals.h"
#include "relay/server.h"
#include "relay/server_info.h"
#include "service/foreground_private.h"
#include "service/log_output.h"

#define QUICK_STOP_MS 2000 /* what a closing console leaves for sessions to finish */
#define PROGRESS_MS   5000 /* between two lines about a stop under way */
#define START_STOP_MS 4000 /* for a start that is to stop: longer than it waits for names */
#define END_MS        8000 /* what may hold the end when no session is left */

/* ---- stop requests, from any thread ---- */

/* Nothing runs yet, and what the start waits for may not come. */
static void give_up_starting(void)
{
    fputs("pairport: stopped while starting\n", stderr);
    _Exit(0);
}

/* A start that takes its time, for names that don't resolve or a disk that doesn't answer, is
 * given up: at once when it was asked for again. With the lock held. */
static void wait_for_start(struct foreground *fg)
{
    uint64_t deadline = os_mono_ms() + START_STOP_MS;
    unsigned asked = fg->stops;
    while (fg->starting) {
        uint64_t now = os_mono_ms();
        if (asked > 1 || fg->stops > asked || now >= deadline)
            give_up_starting();
        os_cond_wait(&fg->changed, &fg->lock, (uint32_t)(deadline - now));
    }
}

/* With the lock held. */
void foreground_stop_server(struct foreground *fg)
{
    if (fg->over_ms > 0 && !fg->now)
        server_stop_over(fg->server, fg->over_ms);
    else
        server_stop(fg->server, fg->now);
}

void foreground_stop(struct foreground *fg, bool now, bool quick, uint64_t over_ms)
{
    os_mutex_lock(&fg->lock);
    fg->stops++;
    fg->now = fg->now || now || fg->stops > 1;
    fg->quick = fg->quick || quick;
    fg->over_ms = over_ms;
    wait_for_start(fg);
    if (fg->server != NULL)
        foreground_stop_server(fg);
    os_cond_wake_all(&fg->changed);
    os_mutex_unlock(&fg->lock);
}

void foreground_wait_for_stop(struct foreground *fg)
{
    os_mutex_lock(&fg->lock);
    while (fg->stops == 0)
        os_cond_wait(&fg->changed, &fg->lock, UINT32_MAX);
    os_mutex_unlock(&fg->lock);
}

static bool is_quick(struct foreground *fg)
{
    os_mutex_lock(&fg->lock);
    bool quick = fg->quick;
    os_mutex_unlock(&fg->lock);
    return quick;
}

/* Whoever has taken over opens the endpoint now, under the same name. */
static void release_endpoint(struct foreground *fg, struct endpoint *endpoint, bool *released)
{
    if (endpoint == NULL || *released || !foreground_is_handed_over(fg))
        return;
    endpoint_release(endpoint);
    *released = true;
}

/* `endpoint` may be NULL. */
void foreground_wait_stopped(struct foreground *fg, struct server *server,
                             struct endpoint *endpoint)
{
    uint64_t begun = os_mono_ms(), told = 0;
    char human[STR_HUMAN_MAX];
    bool released = false;
    do {
        release_endpoint(fg, endpoint, &released);
        uint64_t now = os_mono_ms();
        if (is_quick(fg) && now >= begun + QUICK_STOP_MS)
            server_stop(server, true);
        if (told == 0 || now >= told + PROGRESS_MS) {
            struct server_info info;
            server_get_info(server, &info);
            if (info.sessions_open > 0)
                log_notice("stopping: %" PRIu32 " session%s left, %s %s", info.sessions_open,
                           info.sessions_open == 1 ? "" : "s",
                           info.stop_drains ? "ended evenly within" : "they may go on for",
                           str_human_duration(info.stop_left_ms, human));
            told = now;
        }
    } while (!server_wait_stopped(server, 250));
    log_notice("stopped after %s", str_human_duration(os_mono_ms() - begun, human));
}

/* ---- the end ----
 * No session is left, but threads that wait for a disk may hold what has to be freed. */

static void guard_end(void *arg)
{
    struct foreground *fg = arg;
    uint64_t deadline = os_mono_ms() + END_MS;
    os_mutex_lock(&fg->lock);
    for (uint64_t now = os_mono_ms(); !fg->ended && now < deadline; now = os_mono_ms())
        os_cond_wait(&fg->changed, &fg->lock, (uint32_t)(deadline - now));
    bool ended = fg->ended;
    os_mutex_unlock(&fg->lock);
    if (ended)
        return;
    log_error("a disk does not answer: this process ends without waiting for it; the last "
              "changes of the state file may be lost");
    log_output_stop(FOREGROUND_STUCK_MS);
    signals_stopped();
    _Exit(0);
}

/* NULL: there is no thread for it, and the end waits as long as it must. */
struct os_thread *foreground_guard_end(struct foreground *fg)
{
    struct os_thread *thread = NULL;
    if (os_thread_start(&thread, "end", guard_end, fg) != ERR_OK)
        return NULL;
    return thread;
}

void foreground_guard_over(struct foreground *fg, struct os_thread *thread)
{
    os_mutex_lock(&fg->lock);
    fg->ended = true;
    os_cond_wake_all(&fg->changed);
    os_mutex_unlock(&fg->lock);
    if (thread != NULL)
        os_thread_join(thread);
}
