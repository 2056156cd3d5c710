#include "service/inherit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/takeover/takeover.h"
#include "os/listening.h"
#include "os/local.h"
#include "os/os.h"
#include "os/service_manager.h"
#include "relay/server.h"

/* ---- systemd ---- */

static void take_managed(struct inherit *inherit, sock_t sock)
{
    struct server_socket *to = &inherit->server.sockets[inherit->server.count];
    if (listening_describe(sock, &to->addr, &to->dual_stack) != ERR_OK) {
        log_warning(
            "systemd passed descriptor %lld, which is no TCP socket that is bound to an "
            "address; it is closed",
            (long long)sock);
        sock_close(sock, SOCK_CLOSE_NORMAL);
        return;
    }
    to->sock = sock;
    inherit->server.count++;
    inherit->managed[inherit->managed_count] = *to;
    inherit->managed[inherit->managed_count++].sock = SOCK_NONE;
}

static enum err open_managed(struct inherit *inherit)
{
    sock_t first = SOCK_NONE;
    unsigned count = service_manager_take_sockets(&first);
    if (count == 0)
        return ERR_OK;
    inherit->server.sockets = calloc(count, sizeof *inherit->server.sockets);
    inherit->managed = calloc(count, sizeof *inherit->managed);
    if (inherit->server.sockets == NULL || inherit->managed == NULL)
        return ERR_NOMEM;
    for (unsigned i = 0; i < count; i++)
        take_managed(inherit, first + (sock_t)i);
    log_notice("systemd passed %zu listening socket%s", inherit->managed_count,
               inherit->managed_count == 1 ? "" : "s");
    return ERR_OK;
}

/* ---- takeover ---- */

/* The old relay is the main process still. */
static void give_back(const struct inherit *inherit)
{
    char state[64];
    str_format(state, sizeof state, "MAINPID=%" PRIu64, takeover_pid(inherit->takeover));
    service_manager_notify(state);
}

enum err inherit_serving(struct inherit *inherit, struct str *why)
{
    enum err err = inherit->takeover == NULL
                       ? ERR_OK
                       : takeover_serving(inherit->takeover, &inherit->predecessors, why);
    inherit->gone = err == ERR_OK;
    if (err != ERR_OK)
        give_back(inherit);
    return err;
}

static enum err ready(void *ctx, struct str *why)
{
    struct inherit *inherit = ctx;
    char state[64];
    /* Before the old relay can end: its manager would believe that all has ended. */
    str_format(state, sizeof state, "MAINPID=%" PRIu64, os_process_id());
    service_manager_notify(state);
    enum err err = takeover_go(inherit->takeover, &inherit->server.first_id, why);
    if (err != ERR_OK)
        give_back(inherit);
    return err;
}

/* Another relay may have the same name, since there is a default. */
static enum err tell_stranger(const struct inherit *inherit, const char *path, struct str *why)
{
    const char *config = takeover_config(inherit->takeover);
    str_addf(why,
             "takeover: the relay at %s (pid %" PRIu64 "%s%s) listens on no address of this "
             "configuration, so it is another one and goes on; give one of the two another "
             "'name' in [console], or start without --takeover\n",
             path, takeover_pid(inherit->takeover),
             config[0] == '\0' ? ", without a configuration file" : ", configuration ", config);
    return ERR_EXISTS;
}

/* Puts the old relay's sockets behind those of systemd. */
static enum err add_taken(struct inherit *inherit, const struct conf *conf, const char *path,
                          struct str *why)
{
    size_t count;
    struct server_socket *taken = takeover_take_sockets(inherit->takeover, &count);
    if (server_count_wanted(conf, taken, count) == 0) {
        server_free_sockets(taken, count);
        return tell_stranger(inherit, path, why);
    }
    size_t all = inherit->server.count + count;
    struct server_socket *grown =
        realloc(inherit->server.sockets, (all + 1) * sizeof *inherit->server.sockets);
    if (grown == NULL) {
        server_free_sockets(taken, count);
        return ERR_NOMEM;
    }
    if (count > 0)
        memcpy(grown + inherit->server.count, taken, count * sizeof *taken);
    free(taken);
    inherit->server.sockets = grown;
    inherit->server.count = all;
    inherit->server.ready = ready;
    inherit->server.ctx = inherit;
    return ERR_OK;
}

/* True when this relay would have its console somewhere else. */
static bool is_elsewhere(const char *name, const char *path)
{
    char own[LOCAL_NAME_MAX];
    return local_path(name, own) == ERR_OK && strcmp(own, path) != 0;
}

static enum err ask_for_sockets(struct inherit *inherit, const struct conf *conf,
                                struct str *why)
{
    char path[LOCAL_NAME_MAX];
    if (conf->console == CONF_CONSOLE_NONE) {
        log_warning("takeover: without 'listen = local' in [console] no relay can be found; "
                    "this one starts as if none ran");
        return ERR_OK;
    }
    enum err err = local_find(conf->console_name, path);
    if (err == ERR_OK)
        err = takeover_ask(&inherit->takeover, path, why);
    if (err == ERR_NOT_FOUND) {
        log_notice("takeover: no relay runs at %s; this one starts as usual", path);
        err = ERR_OK;
    } else if (err == ERR_ACCESS && is_elsewhere(conf->console_name, path)) {
        /* Another user has a relay of that name, or wants to keep this one from starting. */
        log_warning("%.*s; it is not one of this user, and this one starts as usual",
                    (int)strcspn(why->data, "\n"), why->data);
        str_clear(why);
        err = ERR_OK;
    } else if (err == ERR_CLOSED) {
        log_warning("%.*s; it has ended, and this one starts as usual",
                    (int)strcspn(why->data, "\n"), why->data);
        str_clear(why);
        err = ERR_OK;
    } else if (err == ERR_OK) {
        err = add_taken(inherit, conf, path, why);
    }
    if (err != ERR_OK && why->len == 0)
        str_addf(why, "takeover: %s\n", err_text(err));
    return err;
}

/* ---- where they come from ---- */

enum err inherit_open(struct inherit *inherit, const struct conf *conf, bool takeover,
                      struct str *why)
{
    *inherit = (struct inherit){.takeover = NULL};
    str_init(&inherit->predecessors);
    enum err err = open_managed(inherit);
    if (err == ERR_OK && takeover)
        err = ask_for_sockets(inherit, conf, why);
    if (err != ERR_OK)
        inherit_close(inherit);
    return err;
}

static bool is_managed(const struct inherit *inherit, const struct server_socket *socket)
{
    for (size_t i = 0; i < inherit->managed_count; i++)
        if (addr_equal(&inherit->managed[i].addr, &socket->addr) &&
            inherit->managed[i].dual_stack == socket->dual_stack)
            return true;
    return false;
}

/* True when a listener uses this socket by another handle: systemd and the old relay have both
 * passed it. */
static bool is_used(const struct inherit *inherit, const struct server_socket *socket)
{
    for (size_t i = 0; i < inherit->server.count; i++) {
        const struct server_socket *other = &inherit->server.sockets[i];
        if (other->sock == SOCK_NONE && addr_equal(&other->addr, &socket->addr) &&
            other->dual_stack == socket->dual_stack)
            return true;
    }
    return false;
}

static void close_unwanted(struct inherit *inherit)
{
    for (size_t i = 0; i < inherit->server.count; i++) {
        struct server_socket *socket = &inherit->server.sockets[i];
        char text[ADDR_TEXT_MAX];
        if (socket->sock == SOCK_NONE)
            continue;
        addr_format(&socket->addr, text);
        if (!is_used(inherit, socket) && is_managed(inherit, socket))
            log_warning(
                "systemd listens on %s%s, but no 'listen' line wants that socket: nobody "
                "will serve its clients",
                text, socket->dual_stack ? " (IPv4, too)" : "");
        else if (!is_used(inherit, socket))
            log_notice("takeover: no 'listen' line wants %s%s: it is closed", text,
                       socket->dual_stack ? " (IPv4, too)" : "");
        sock_close(socket->sock, SOCK_CLOSE_NORMAL);
        socket->sock = SOCK_NONE;
    }
}

bool inherit_passed(struct inherit *inherit)
{
    const struct server_inherit *server = &inherit->server;
    if (inherit->takeover != NULL)
        log_notice("takeover: took %zu of %zu listening sockets over from pairport %s, pid "
                   "%" PRIu64 ", which lets its sessions finish",
                   server->adopted, server->count, takeover_version(inherit->takeover),
                   takeover_pid(inherit->takeover));
    close_unwanted(inherit);
    return inherit->takeover != NULL;
}

void inherit_failed(const struct inherit *inherit, struct str *why)
{
    if (inherit->takeover != NULL && !inherit->gone)
        str_addf(why, "takeover: pid %" PRIu64 " goes on as before\n",
                 takeover_pid(inherit->takeover));
}

void inherit_close(struct inherit *inherit)
{
    server_free_sockets(inherit->server.sockets, inherit->server.count);
    free(inherit->managed);
    takeover_free(inherit->takeover);
    str_free(&inherit->predecessors);
    *inherit = (struct inherit){.takeover = NULL};
    str_init(&inherit->predecessors);
}
