#include "relay/reload_listeners.h"

#include <stdlib.h>
#include <string.h>

#include "relay/listener.h"
#include "relay/relay.h"

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
    size_t count = 0;
    for (size_t i = 0; i < relay->route_count; i++)
        count += relay->routes[i]->listener_count;
    out->each = calloc(count + 1, sizeof *out->each);
    if (out->each == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < relay->route_count; i++)
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

static enum err choose(struct port_choices *choices, const struct presents *presents,
                       struct relay_route *route, const struct conf_listen *conf,
                       uint16_t offset)
{
    struct addr addr = conf->addr;
    addr.port = (uint16_t)(addr.port + offset);
    struct port_choice choice = {.route = route, .offset = offset};
    struct present *present = find(presents, &addr);
    enum err err = ERR_OK;
    if (present != NULL && !present->chosen) {
        present->chosen = true;
        choice.listener = present->listener;
    } else {
        choice.opened = true;
        err = listener_open(&choice.listener, route, conf, offset);
    }
    if (err == ERR_OK)
        choices->each[choices->count++] = choice;
    return err;
}

/* The ports of one line. Of many that fail alike the first one tells. */
static enum err choose_range(struct port_choices *choices, const struct presents *presents,
                             struct relay_route *route, const struct conf_route *conf,
                             const struct conf_listen *listen, struct str *why)
{
    enum err result = ERR_OK;
    for (uint16_t i = 0; i < listen->port_count; i++) {
        enum err err = choose(choices, presents, route, listen, i);
        if (err == ERR_OK || err == result)
            continue;
        char text[ADDR_TEXT_MAX];
        struct addr addr = listen->addr;
        addr.port = (uint16_t)(addr.port + i);
        str_addf(why, "route '%s': listen %s: %s\n", conf->name, addr_format(&addr, text),
                 err_text(err));
        result = err;
    }
    return result;
}

static size_t count_ports(const struct conf *conf)
{
    size_t count = 0;
    for (size_t i = 0; i < conf->route_count; i++)
        for (size_t k = 0; k < conf->routes[i].listen_count; k++)
            count += conf->routes[i].listens[k].port_count;
    return count;
}

static void keep_left(struct port_choices *choices, const struct presents *presents)
{
    for (size_t i = 0; i < presents->count; i++)
        if (!presents->each[i].chosen)
            choices->left[choices->left_count++] = presents->each[i].listener;
}

enum err port_choices_make(struct port_choices *choices, struct relay *relay,
                           const struct conf *conf, struct relay_route *const routes[],
                           struct str *why)
{
    struct presents presents = {.count = 0};
    *choices = (struct port_choices){.count = 0};
    enum err err = find_presents(relay, &presents);
    if (err != ERR_OK)
        return err;
    choices->each = calloc(count_ports(conf) + 1, sizeof *choices->each);
    choices->left = calloc(presents.count + 1, sizeof(struct listener *));
    if (choices->each == NULL || choices->left == NULL)
        err = ERR_NOMEM;
    for (size_t i = 0; i < conf->route_count && err != ERR_NOMEM; i++) {
        const struct conf_route *route = &conf->routes[i];
        for (size_t k = 0; k < route->listen_count; k++) {
            enum err one =
                choose_range(choices, &presents, routes[i], route, &route->listens[k], why);
            err = one != ERR_OK ? one : err;
        }
    }
    if (err == ERR_OK)
        keep_left(choices, &presents);
    else
        port_choices_free(choices, true);
    free(presents.each);
    return err;
}

void port_choices_free(struct port_choices *choices, bool undo)
{
    for (size_t i = 0; undo && i < choices->count; i++)
        if (choices->each[i].opened)
            listener_free(choices->each[i].listener);
    free(choices->each);
    free(choices->left);
    *choices = (struct port_choices){.count = 0};
}
