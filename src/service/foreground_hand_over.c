/* Another process takes over from the program in the foreground; see takeover.h. */
#include <inttypes.h>

#include "base/log.h"
#include "control/console/endpoint.h"
#include "control/takeover/predecessors.h"
#include "control/takeover/takeover.h"
#include "os/local.h"
#include "os/os.h"
#include "relay/server.h"
#include "service/foreground_private.h"

#define HAND_OVER_MS 5000 /* what closing the listeners may take */

/* ---- the steps; with the lock held ---- */

static enum err begin_hand_over(struct foreground *fg, uint64_t pid)
{
    if (fg->handed_over || fg->heir != 0 || fg->server == NULL)
        return ERR_IN_USE;
    fg->heir = pid;
    fg->heir_id = server_latest_id(fg->server) + TAKEOVER_IDS;
    return ERR_OK;
}

static void take_sockets_back(struct foreground *fg)
{
    log_warning("takeover: pid %" PRIu64 " does not serve; this relay goes on", fg->heir);
    fg->heir = 0;
}

/* Consoles of the successor reach this relay until its last session is over, and its own
 * predecessors through the successor alone. */
static void leave_successor(struct foreground *fg, struct str *list)
{
    static char origin[32];
    char name[LOCAL_NAME_MAX], path[LOCAL_NAME_MAX];
    const struct console *console = fg->console;
    str_format(origin, sizeof origin, "pid %" PRIu64, os_process_id());
    log_set_origin(origin);
    if (console->predecessors != NULL) {
        predecessors_write(console->predecessors, list);
        predecessors_clear(console->predecessors);
    }
    size_t len =
        str_format(name, sizeof name, "%s.%" PRIu64, fg->console_name, os_process_id());
    enum err err = len + 1 < sizeof name ? local_path(name, path) : ERR_RANGE;
    if (err == ERR_OK)
        err = endpoint_start(&fg->private_endpoint, path, console);
    if (err == ERR_OK)
        str_addf(list, "%" PRIu64 " %s\n", os_process_id(), path);
    if (err == ERR_OK && list->failed)
        err = ERR_NOMEM;
    if (err != ERR_OK)
        log_warning("takeover: consoles of the new relay can't show the sessions of this one: "
                    "%s",
                    err_text(err));
}

static enum err hand_over(struct foreground *fg, struct str *list)
{
    if (fg->server == NULL)
        return ERR_CLOSED;
    /* Those that are accepted until the listeners are closed need numbers, too. */
    if (server_latest_id(fg->server) + TAKEOVER_IDS / 2 >= fg->heir_id) {
        take_sockets_back(fg);
        return ERR_RANGE;
    }
    fg->handed_over = true;
    leave_successor(fg, list);
    log_notice("taken over by pid %" PRIu64 ": it accepts from now on, the sessions of this "
               "relay may finish",
               fg->heir);
    if (!server_hand_over(fg->server, HAND_OVER_MS))
        log_warning("takeover: the listeners are not closed yet");
    if (fg->stops == 0)
        fg->stops = 1;
    os_cond_wake_all(&fg->changed);
    return ERR_OK;
}

enum err foreground_on_hand_over(void *ctx, enum hand_over step, uint64_t pid, struct str *list)
{
    struct foreground *fg = ctx;
    enum err err = ERR_OK;
    os_mutex_lock(&fg->lock);
    switch (step) {
    case HAND_OVER_BEGIN: err = begin_hand_over(fg, pid); break;
    case HAND_OVER_BACK: take_sockets_back(fg); break;
    case HAND_OVER_DONE: err = hand_over(fg, list); break;
    }
    os_mutex_unlock(&fg->lock);
    return err;
}

bool foreground_is_handed_over(struct foreground *fg)
{
    os_mutex_lock(&fg->lock);
    bool handed_over = fg->handed_over;
    os_mutex_unlock(&fg->lock);
    return handed_over;
}
