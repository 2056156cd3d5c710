/* conf_routes.c - the routes of a configuration: found by name, and freed with all they own. */
#include <stdlib.h>
#include <string.h>

#include "config/conf.h"
#include "config/value/value_list.h"

void conf_free(struct conf *conf)
{
    if (conf == NULL)
        return;
    for (size_t i = 0; i < conf->route_count; ++i) {
        free(conf->routes[i].listens);
        free(conf->routes[i].upstreams);
        value_free_lists(&conf->routes[i]);
    }
    free(conf->routes);
    free(conf);
}

const struct conf_route *conf_find_route(const struct conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->route_count; ++i)
        if (strcmp(conf->routes[i].name, name) == 0)
            return &conf->routes[i];
    return NULL;
}
