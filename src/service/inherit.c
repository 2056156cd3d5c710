#include "service/inherit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/takeover/takeover.h"
#include "os/listening.h"
#include "os/local.h"
#include "os/manager.h"
#include "os/os.h"
#include "relay/server.h"

/* ---- systemd ---- */

static void take_managed(struct door *door, sock_t sock)
{
    struct server_socket *to = &door->server.sockets[door->server.count];
    if (listening_describe(sock, &to->addr, &to->dual_stack) != ERR_OK) {
        log_warning(
            "systemd passed descriptor %lld, which is no TCP socket that is bound to an "
            "address; it is closed",
            (long long)sock);
        sock_close(sock, SOCK_CLOSE_NORMAL);
        return;
    }
    to->sock = sock;
    door->server.count++;
    door->managed[door->managed_count] = *to;
    door->managed[door->managed_count++].sock = SOCK_NONE;
}

static enum err open_managed(struct door *door)
{
    sock_t first = SOCK_NONE;
    unsigned count = manager_take_sockets(&first);
    if (count == 0)
        return ERR_OK;
    door->server.sockets = calloc(count, sizeof *door->server.sockets);
    door->managed = calloc(count, sizeof *door->managed);
    if (door->server.sockets == NULL || door->managed == NULL)
        return ERR_NOMEM;
    for (unsigned i = 0; i < count; i++)
        take_managed(door, first + (sock_t)i);
    log_notice("systemd passed %zu listening socket%s", door->managed_count,
               door->managed_count == 1 ? "" : "s");
    return ERR_OK;
}

/* ---- takeover ---- */

/* The old relay is the main process still. */
static void give_back(const struct door *door)
{
    char state[64];
    str_format(state, sizeof state, "MAINPID=%" PRIu64, takeover_pid(door->takeover));
    manager_notify(state);
}

enum err door_serving(struct door *door, struct str *why)
{
    enum err err = door->takeover == NULL
                       ? ERR_OK
                       : takeover_serving(door->takeover, &door->predecessors, why);
    door->gone = err == ERR_OK;
    if (err != ERR_OK)
        give_back(door);
    return err;
}

static enum err ready(void *ctx, struct str *why)
{
    struct door *door = ctx;
    char state[64];
    /* Before the old relay can end: its manager would believe that all has ended. */
    str_format(state, sizeof state, "MAINPID=%" PRIu64, os_process_id());
    manager_notify(state);
    enum err err = takeover_go(door->takeover, &door->server.first_id, why);
    if (err != ERR_OK)
        give_back(door);
    return err;
}

/* Another relay may have the same name, since there is a default. */
static enum err tell_stranger(const struct door *door, const char *path, struct str *why)
{
    const char *config = takeover_config(door->takeover);
    str_addf(why,
             "takeover: the relay at %s (pid %" PRIu64 "%s%s) listens on no address of this "
             "configuration, so it is another one and goes on; give one of the two another "
             "'name' in [console], or start without --takeover\n",
             path, takeover_pid(door->takeover),
             config[0] == '\0' ? ", without a configuration file" : ", configuration ", config);
    return ERR_EXISTS;
}

/* Puts the old relay's sockets behind those of systemd. */
static enum err add_taken(struct door *door, const struct conf *conf, const char *path,
                          struct str *why)
{
    size_t count;
    struct server_socket *taken = takeover_take_sockets(door->takeover, &count);
    if (server_count_wanted(conf, taken, count) == 0) {
        server_free_sockets(taken, count);
        return tell_stranger(door, path, why);
    }
    size_t all = door->server.count + count;
    struct server_socket *grown =
        realloc(door->server.sockets, (all + 1) * sizeof *door->server.sockets);
    if (grown == NULL) {
        server_free_sockets(taken, count);
        return ERR_NOMEM;
    }
    if (count > 0)
        memcpy(grown + door->server.count, taken, count * sizeof *taken);
    free(taken);
    door->server.sockets = grown;
    door->server.count = all;
    door->server.ready = ready;
    door->server.ctx = door;
    return ERR_OK;
}

/* True when this relay would have its console somewhere else. */
static bool is_elsewhere(const char *name, const char *path)
{
    char own[LOCAL_NAME_MAX];
    return local_path(name, own) == ERR_OK && strcmp(own, path) != 0;
}

static enum err ask_for_sockets(struct door *door, const struct conf *conf, struct str *why)
{
    char path[LOCAL_NAME_MAX];
    if (conf->console == CONF_CONSOLE_NONE) {
        log_warning("takeover: without 'listen = local' in [console] no relay can be found; "
                    "this one starts as if none ran");
        return ERR_OK;
    }
    enum err err = local_find(conf->console_name, path);
    if (err == ERR_OK)
        err = takeover_ask(&door->takeover, path, why);
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
        err = add_taken(door, conf, path, why);
    }
    if (err != ERR_OK && why->len == 0)
        str_addf(why, "takeover: %s\n", err_text(err));
    return err;
}

/* ---- the door ---- */

enum err door_open(struct door *door, const struct conf *conf, bool takeover, struct str *why)
{
    *door = (struct door){.takeover = NULL};
    str_init(&door->predecessors);
    enum err err = open_managed(door);
    if (err == ERR_OK && takeover)
        err = ask_for_sockets(door, conf, why);
    if (err != ERR_OK)
        door_close(door);
    return err;
}

static bool is_managed(const struct door *door, const struct server_socket *socket)
{
    for (size_t i = 0; i < door->managed_count; i++)
        if (addr_equal(&door->managed[i].addr, &socket->addr) &&
            door->managed[i].dual_stack == socket->dual_stack)
            return true;
    return false;
}

/* True when a listener uses this socket by another handle: systemd and the old relay have both
 * passed it. */
static bool is_used(const struct door *door, const struct server_socket *socket)
{
    for (size_t i = 0; i < door->server.count; i++) {
        const struct server_socket *other = &door->server.sockets[i];
        if (other->sock == SOCK_NONE && addr_equal(&other->addr, &socket->addr) &&
            other->dual_stack == socket->dual_stack)
            return true;
    }
    return false;
}

static void close_unwanted(struct door *door)
{
    for (size_t i = 0; i < door->server.count; i++) {
        struct server_socket *socket = &door->server.sockets[i];
        char text[ADDR_TEXT_MAX];
        if (socket->sock == SOCK_NONE)
            continue;
        addr_format(&socket->addr, text);
        if (!is_used(door, socket) && is_managed(door, socket))
            log_warning(
                "systemd listens on %s%s, but no 'listen' line wants that socket: nobody "
                "will serve its clients",
                text, socket->dual_stack ? " (IPv4, too)" : "");
        else if (!is_used(door, socket))
            log_notice("takeover: no 'listen' line wants %s%s: it is closed", text,
                       socket->dual_stack ? " (IPv4, too)" : "");
        sock_close(socket->sock, SOCK_CLOSE_NORMAL);
        socket->sock = SOCK_NONE;
    }
}

bool door_passed(struct door *door)
{
    const struct server_door *server = &door->server;
    if (door->takeover != NULL)
        log_notice("takeover: took %zu of %zu listening sockets over from pairport %s, pid "
                   "%" PRIu64 ", which lets its sessions finish",
                   server->adopted, server->count, takeover_version(door->takeover),
                   takeover_pid(door->takeover));
    close_unwanted(door);
    return door->takeover != NULL;
}

void door_failed(const struct door *door, struct str *why)
{
    if (door->takeover != NULL && !door->gone)
        str_addf(why, "takeover: pid %" PRIu64 " goes on as before\n",
                 takeover_pid(door->takeover));
}

void door_close(struct door *door)
{
    server_free_sockets(door->server.sockets, door->server.count);
    free(door->managed);
    takeover_free(door->takeover);
    str_free(&door->predecessors);
    *door = (struct door){.takeover = NULL};
    str_init(&door->predecessors);
}
