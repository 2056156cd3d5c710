#include "relay/reload/reload_listeners.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "os/beside.h"
#include "os/holder.h"
#include "relay/accept/listener.h"
#include "relay/accept/listener_socket.h"
#include "relay/relay.h"
#include "relay/reload/route_parts.h"
#include "relay/server.h"

#define BIND_AGAIN_MS 100 /* between two tries of an address that is in use */

/* The listeners there are, by address, so that each port finds its own among many. */
struct present {
    const struct addr *addr; /* the listener's */
    struct listener *listener;
    bool chosen;
};

struct presents {
    struct present *each; /* owned */
    size_t count;
};

static int compare(const void *a, const void *b)
{
    const struct addr *left = ((const struct present *)a)->addr;
    const struct addr *right = ((const struct present *)b)->addr;
    if (left->port != right->port)
        return left->port < right->port ? -1 : 1;
    if (left->family != right->family)
        return left->family < right->family ? -1 : 1;
    if (left->scope != right->scope)
        return left->scope < right->scope ? -1 : 1;
    return memcmp(left->ip, right->ip, sizeof left->ip);
}

static enum err find_presents(const struct relay *relay, struct presents *out)
{
    size_t routes = relay == NULL ? 0 : relay->route_count, count = 0;
    for (size_t i = 0; i < routes; i++)
        count += relay->routes[i]->listener_count;
    out->each = calloc(count + 1, sizeof *out->each);
    if (out->each == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < routes; i++)
        for (size_t k = 0; k < relay->routes[i]->listener_count; k++) {
            struct listener *listener = relay->routes[i]->listeners[k];
            out->each[out->count++] =
                (struct present){.addr = &listener->addr, .listener = listener};
        }
    qsort(out->each, out->count, sizeof *out->each, compare);
    return ERR_OK;
}

/* NULL: nobody listens there. */
static struct present *find(const struct presents *presents, const struct addr *addr)
{
    struct present key = {.addr = addr};
    return bsearch(&key, presents->each, presents->count, sizeof key, compare);
}

/* ---- what each port gets ---- */

static size_t count_ports(const struct conf *conf)
{
    size_t count = 0;
    for (size_t i = 0; i < conf->route_count; i++)
        count += route_parts_ports(&conf->routes[i]);
    return count;
}

static struct listener *choose_present(const struct presents *presents,
                                       const struct conf_listen *conf, uint16_t offset)
{
    struct addr addr = conf->addr;
    addr.port = (uint16_t)(addr.port + offset);
    struct present *present = find(presents, &addr);
    if (present == NULL || present->chosen)
        return NULL;
    present->chosen = true;
    return present->listener;
}

/* The ports that have a listener already. All are there then, and those that nothing chose. */
static void choose_presents(struct port_choices *choices, const struct presents *presents,
                            const struct conf *conf, struct relay_route *const routes[])
{
    for (size_t r = 0; r < conf->route_count; r++)
        for (size_t k = 0; k < conf->routes[r].listen_count; k++) {
            const struct conf_listen *listen = &conf->routes[r].listens[k];
            for (uint16_t i = 0; i < listen->port_count; i++)
                choices->each[choices->count++] = (struct port_choice){
                    .listener = choose_present(presents, listen, i),
                    .route = routes == NULL ? NULL : routes[r],
                    .route_name = conf->routes[r].name,
                    .listen = listen,
                    .offset = i,
                };
        }
    for (size_t i = 0; i < presents->count; i++)
        if (!presents->each[i].chosen)
            choices->left[choices->left_count++] = presents->each[i].listener;
}

/* Gathers the sockets of those that nothing chose and whose place the port takes. */
static size_t find_replaced(const struct port_choices *choices,
                            const struct port_choice *choice)
{
    size_t count = 0;
    for (size_t i = 0; i < choices->left_count; i++)
        if (listener_overlaps(choices->left[i], choice->listen, choice->offset))
            choices->socks[count++] = choices->left[i]->sock;
    return count;
}

/* Where the old ones have to be closed first, that is in vain if somebody else is there, too. */
static bool is_held_by_others(const struct port_choice *choice)
{
    struct holder holder;
    struct addr addr = choice->listen->addr;
    addr.port = (uint16_t)(addr.port + choice->offset);
    return holder_find(&addr, choice->listen->dual_stack, &holder);
}

static enum err open_port(struct port_choices *choices, struct port_choice *choice)
{
    size_t replaced = find_replaced(choices, choice);
    enum err err;
    if (replaced == 0) {
        err = listener_open(&choice->listener, choice->route, choice->listen, choice->offset);
    } else {
        choices->shared = true;
        err = listener_open_beside(&choice->listener, choice->route, choice->listen,
                                   choice->offset, choices->socks, replaced);
        choice->bound = err == ERR_OK;
        choice->blocked = err == ERR_UNSUPPORTED && !is_held_by_others(choice);
        if (err == ERR_UNSUPPORTED)
            err = choice->blocked ? ERR_OK : ERR_IN_USE;
    }
    choice->opened = err == ERR_OK && !choice->blocked;
    return err;
}

/* Whether it could be opened; leaves nothing. */
static enum err try_port(struct port_choices *choices, struct port_choice *choice)
{
    struct addr addr = choice->listen->addr;
    sock_t sock;
    size_t replaced = find_replaced(choices, choice);
    choices->shared = choices->shared || replaced > 0;
    addr.port = (uint16_t)(addr.port + choice->offset);
    enum err err =
        beside_bind(&addr, choice->listen->dual_stack, choices->socks, replaced, &sock);
    if (listener_lacks_ipv6(choice->listen->dual_stack, err)) {
        struct addr all = {.family = ADDR_IPV4, .port = addr.port};
        err = beside_bind(&all, false, choices->socks, replaced, &sock);
    }
    if (err == ERR_OK)
        sock_close(sock, SOCK_CLOSE_NORMAL);
    if (replaced > 0 && err == ERR_UNSUPPORTED)
        err = is_held_by_others(choice) ? ERR_IN_USE : ERR_OK;
    return err;
}

static bool may_pass(enum err err)
{
    return err == ERR_IN_USE || err == ERR_RESERVED;
}

/* Opens, or tries, all that are not there. All failures in one go: the operator mends them
 * together; of many ports of a line that fail alike the first tells. The result is one that does
 * not pass by itself, if there is such a one. */
static enum err open_others(struct port_choices *choices,
                            enum err (*open)(struct port_choices *, struct port_choice *),
                            struct str *why)
{
    enum err result = ERR_OK, of_line = ERR_OK;
    const struct conf_listen *line = NULL;
    for (size_t i = 0; i < choices->count && result != ERR_NOMEM; i++) {
        struct port_choice *choice = &choices->each[i];
        if (choice->listener != NULL)
            continue;
        if (choice->listen != line)
            of_line = ERR_OK;
        line = choice->listen;
        enum err err = open(choices, choice);
        if (err == ERR_OK || err == of_line)
            continue;
        listener_tell_failure(why, choice->route_name, choice->listen, choice->offset, err);
        of_line = err;
        if (result == ERR_OK || may_pass(result))
            result = err;
    }
    return result;
}

static void log_waiting(const char *lines, uint32_t patience_ms)
{
    char human[STR_HUMAN_MAX];
    str_human_duration(patience_ms, human);
    while (*lines != '\0') {
        size_t len = strcspn(lines, "\n");
        log_warning("%.*s; trying again for %s", (int)len, lines, human);
        lines += len + (lines[len] == '\n');
    }
}

/* At a start what holds an address may be ending: a relay before this one, or, where listening is
 * exclusive, its last connections. */
static enum err open_patiently(struct port_choices *choices, struct server_inherit *inherit,
                               struct str *why)
{
    uint32_t patience_ms = inherit == NULL ? 0 : inherit->bind_patience_ms;
    enum err err = open_others(choices, open_port, why);
    if (!may_pass(err) || patience_ms == 0)
        return err;
    log_waiting(why->data, patience_ms);
    uint64_t until = os_mono_ms() + patience_ms;
    do {
        if (!inherit->wait(inherit->ctx, BIND_AGAIN_MS))
            return ERR_CANCELLED;
        str_clear(why);
        err = open_others(choices, open_port, why);
    } while (may_pass(err) && os_mono_ms() < until);
    return err;
}

static enum err choose(struct port_choices *choices, struct relay *relay,
                       const struct conf *conf, struct relay_route *const routes[])
{
    struct presents presents = {.count = 0};
    *choices = (struct port_choices){.count = 0};
    enum err err = find_presents(relay, &presents);
    if (err != ERR_OK)
        return err;
    choices->each = calloc(count_ports(conf) + 1, sizeof *choices->each);
    choices->left = calloc(presents.count + 1, sizeof(struct listener *));
    choices->socks = calloc(presents.count + 1, sizeof(sock_t));
    if (choices->each == NULL || choices->left == NULL || choices->socks == NULL) {
        port_choices_free(choices, true);
        err = ERR_NOMEM;
    } else {
        choose_presents(choices, &presents, conf, routes);
    }
    free(presents.each);
    return err;
}

enum err port_choices_make(struct port_choices *choices, struct relay *relay,
                           const struct conf *conf, struct relay_route *const routes[],
                           struct str *why)
{
    enum err err = choose(choices, relay, conf, routes);
    if (err != ERR_OK)
        return err;
    err = open_patiently(choices, relay->inherit, why);
    if (err != ERR_OK)
        port_choices_free(choices, true);
    return err;
}

enum err port_choices_try(struct relay *relay, const struct conf *conf, struct str *why)
{
    struct port_choices choices;
    enum err err = choose(&choices, relay, conf, NULL);
    if (err != ERR_OK)
        return err;
    err = open_others(&choices, try_port, why);
    port_choices_free(&choices, true);
    return err;
}

/* ---- those that take the place of others ---- */

enum err port_choices_listen(struct port_choices *choices, struct str *why)
{
    for (size_t i = 0; i < choices->count; i++) {
        struct port_choice *choice = &choices->each[i];
        enum err err = choice->bound ? listener_listen(choice->listener) : ERR_OK;
        if (err == ERR_OK)
            continue;
        listener_tell_failure(why, choice->route_name, choice->listen, choice->offset, err);
        return err;
    }
    return ERR_OK;
}

void port_choices_linger(struct port_choices *choices)
{
    for (size_t i = 0; i < choices->count; i++) {
        const struct port_choice *choice = &choices->each[i];
        for (size_t k = 0; choice->bound && k < choices->left_count; k++) {
            struct listener *left = choices->left[k];
            if (left->lingers || !listener_overlaps(left, choice->listen, choice->offset))
                continue;
            left->lingers = true;
            left->route = choice->route;
            left->port_offset = choice->offset;
            beside_refuse_new(left->sock);
        }
    }
}

static void end_sharing(const struct port_choices *choices)
{
    for (size_t i = 0; i < choices->left_count; i++)
        if (choices->left[i]->sock != SOCK_NONE)
            beside_end(choices->left[i]->sock);
    for (size_t i = 0; i < choices->count; i++)
        if (choices->each[i].bound)
            beside_end(choices->each[i].listener->sock);
}

void port_choices_free(struct port_choices *choices, bool undo)
{
    if (choices->shared)
        end_sharing(choices);
    for (size_t i = 0; undo && i < choices->count; i++)
        if (choices->each[i].opened)
            listener_free(choices->each[i].listener);
    free(choices->each);
    free(choices->left);
    free(choices->socks);
    *choices = (struct port_choices){.count = 0};
}
