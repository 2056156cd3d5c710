#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "config/check/check.h"
#include "config/value/upstream.h"

/* An upstream of route `from` is a listener of route `to`. */
struct step {
    size_t from, to;
    const struct conf_upstream *upstream;
    const struct conf_listen *listen;
};

struct steps {
    struct step *each; /* owned; in order of `from`, then in file order */
    size_t count, room;
};

static const struct conf_listen *find_listen(const struct draft *draft,
                                             const struct conf_upstream *upstream,
                                             const struct conf_route *route)
{
    for (size_t i = 0; i < route->listen_count; ++i)
        if (upstream_is_listener(upstream, &route->listens[i], draft->is_own))
            return &route->listens[i];
    return NULL;
}

static bool add_step(struct steps *steps, const struct step *step)
{
    if (steps->count == steps->room) {
        size_t room = steps->room == 0 ? 16 : 2 * steps->room;
        struct step *each = realloc(steps->each, room * sizeof *each);
        if (each == NULL)
            return false;
        steps->each = each;
        steps->room = room;
    }
    steps->each[steps->count++] = *step;
    return true;
}

static bool find_steps(const struct draft *draft, struct steps *steps)
{
    const struct conf *conf = draft->conf;
    for (size_t from = 0; from < conf->route_count; ++from) {
        const struct conf_route *route = &conf->routes[from];
        for (size_t i = 0; i < route->upstream_count; ++i) {
            struct step step = {.from = from, .upstream = &route->upstreams[i]};
            for (step.to = 0; step.to < conf->route_count; ++step.to) {
                step.listen = find_listen(draft, step.upstream, &conf->routes[step.to]);
                if (step.listen != NULL && !add_step(steps, &step))
                    return false;
            }
        }
    }
    return true;
}

/* The shortest way from route `start` back to itself through routes that come after it in the
 * file: each circle is reported once, at its first route. Gives the last step of the way;
 * by[r] is then the step that leads to route r on it. NULL: there is none. */
static const struct step *find_circle(const struct steps *steps, size_t start,
                                      const struct step **by, size_t *queue, size_t route_count)
{
    for (size_t i = 0; i < route_count; ++i)
        by[i] = NULL;
    size_t head = 0, tail = 0;
    queue[tail++] = start;
    while (head < tail) {
        size_t from = queue[head++];
        for (size_t i = 0; i < steps->count; ++i) {
            const struct step *step = &steps->each[i];
            if (step->from != from || step->to < start)
                continue;
            if (step->to == start)
                return step;
            if (by[step->to] == NULL) {
                by[step->to] = step;
                queue[tail++] = step->to;
            }
        }
    }
    return NULL;
}

/* Adds "a -> b -> a". */
static void add_way(const struct conf *conf, const struct step *last,
                    const struct step *const *by, size_t *queue, struct str *out)
{
    size_t count = 0;
    for (const struct step *step = last; step != NULL; step = by[step->from])
        queue[count++] = step->from;
    for (size_t i = count; i > 0; --i)
        str_addf(out, "%s -> ", conf->routes[queue[i - 1]].name);
    str_add(out, conf->routes[last->to].name);
}

static void report_circle(const struct draft *draft, const struct step *last,
                          const struct step *const *by, size_t *queue)
{
    char label[DRAFT_LABEL_MAX];
    const struct step *first = last;
    while (by[first->from] != NULL)
        first = by[first->from];
    draft_route_label(&draft->conf->routes[first->from], label);
    if (first == last) {
        mistakes_add(draft->mistakes, first->upstream->line,
                     "%s upstream: %s is the route's own listener of line %u, sessions would "
                     "go in a circle; write the game server's address",
                     label, first->upstream->name, first->listen->line);
        return;
    }
    struct str way;
    str_init(&way);
    add_way(draft->conf, last, by, queue, &way);
    if (way.failed)
        draft->mistakes->failed = true;
    mistakes_add(draft->mistakes, first->upstream->line,
                 "%s upstream: %s is a listener of line %u, and sessions would go in a circle: "
                 "%s; write the game server's address",
                 label, first->upstream->name, first->listen->line, way.data);
    str_free(&way);
}

void check_circles(const struct draft *draft)
{
    size_t route_count = draft->conf->route_count;
    struct steps steps = {0};
    if (route_count == 0)
        return;
    const struct step **by = calloc(route_count, sizeof *by);
    size_t *queue = calloc(route_count, sizeof *queue);
    if (by == NULL || queue == NULL || !find_steps(draft, &steps)) {
        draft->mistakes->failed = true;
    } else {
        for (size_t i = 0; i < steps.count; ++i) {
            size_t start = steps.each[i].from;
            if (i > 0 && steps.each[i - 1].from == start)
                continue;
            const struct step *last = find_circle(&steps, start, by, queue, route_count);
            if (last != NULL)
                report_circle(draft, last, by, queue);
        }
    }
    free(steps.each);
    free(queue);
    free(by);
}
