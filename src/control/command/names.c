#include "control/command/names.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Adds the two texts together as one name. */
static enum err push(struct name_list *list, const char *first, const char *second)
{
    char **all = realloc(list->all, (list->count + 1) * sizeof *all);
    if (all == NULL)
        return ERR_NOMEM;
    list->all = all;
    size_t size = strlen(first) + strlen(second) + 1;
    char *name = malloc(size);
    if (name == NULL)
        return ERR_NOMEM;
    str_format(name, size, "%s%s", first, second);
    all[list->count++] = name;
    return ERR_OK;
}

enum err names_add_route(struct names *names, const char *route)
{
    return push(&names->routes, route, "");
}

enum err names_add_upstream(struct names *names, const char *route, const char *upstream)
{
    char beginning[CONF_NAME_MAX + 1];
    str_format(beginning, sizeof beginning, "%s/", route);
    return push(&names->upstreams, beginning, upstream);
}

enum err names_add_conf(struct names *names, const struct conf *conf)
{
    enum err err = ERR_OK;
    for (size_t r = 0; r < conf->route_count && err == ERR_OK; r++) {
        const struct conf_route *route = &conf->routes[r];
        err = names_add_route(names, route->name);
        for (size_t u = 0; u < route->upstream_count && err == ERR_OK; u++)
            if (!route->upstreams[u].removed)
                err = names_add_upstream(names, route->name, route->upstreams[u].name);
    }
    return err;
}

void names_add_ids(struct name_list *ids, const struct str *answer)
{
    json_t *root = json_loadb(answer->data, answer->len, 0, NULL);
    const json_t *sessions = json_object_get(root, "sessions");
    for (size_t i = 0; i < json_array_size(sessions); i++) {
        const json_t *id = json_object_get(json_array_get(sessions, i), "id");
        char text[24];
        str_format(text, sizeof text, "%" PRIu64, (uint64_t)json_integer_value(id));
        if (!json_is_integer(id) || push(ids, text, "") != ERR_OK)
            break;
    }
    json_decref(root);
}

void names_free_list(struct name_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->all[i]);
    free(list->all);
    *list = (struct name_list){.all = NULL};
}

void names_free(struct names *names)
{
    names_free_list(&names->routes);
    names_free_list(&names->upstreams);
}
