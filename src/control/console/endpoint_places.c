/* endpoint_places.c - who has a place at the endpoint; see endpoint_private.h. */
#include <inttypes.h>
#include <stddef.h>

#include "base/log.h"
#include "base/str.h"
#include "control/command/match.h"
#include "control/console/endpoint_private.h"

#define LEAVING_MS 1000 /* what a dropped client's thread may take to end */

static size_t count_places(const struct endpoint *endpoint, bool spare)
{
    size_t count = 0;
    for (size_t i = 0; i < ENDPOINT_PLACES; i++) {
        const struct client *client = &endpoint->clients[i];
        count += client->thread != NULL && !client->dropped && client->spare == spare;
    }
    return count;
}

static bool can_be_dropped(const struct client *client, uint64_t now_ms)
{
    if (client->thread == NULL || client->dropped)
        return false;
    switch (client->state) {
    case CLIENT_IDLE: return true;
    case CLIENT_RUNS: return false;
    case CLIENT_TAKES: return client->spare || now_ms >= client->since_ms + ENDPOINT_STUCK_MS;
    }
    return false;
}

/* Tells the one that has been idle for longest to leave. */
static bool drop_idlest(struct endpoint *endpoint, bool spare)
{
    uint64_t now = os_mono_ms();
    struct client *idlest = NULL;
    for (size_t i = 0; i < ENDPOINT_PLACES; i++) {
        struct client *client = &endpoint->clients[i];
        if (client->spare == spare && can_be_dropped(client, now) &&
            (idlest == NULL || client->since_ms < idlest->since_ms))
            idlest = client;
    }
    if (idlest == NULL)
        return false;
    char human[STR_HUMAN_MAX];
    if (!spare)
        log_limited(
            &endpoint->dropped, LOG_NOTICE,
            "console: one that was idle for %s is closed, since another needs its place",
            str_human_duration(now - idlest->since_ms, human));
    idlest->dropped = true;
    local_conn_stop(idlest->conn);
    return true;
}

static struct client *find_free(struct endpoint *endpoint)
{
    for (size_t i = 0; i < ENDPOINT_PLACES; i++)
        if (endpoint->clients[i].thread == NULL)
            return &endpoint->clients[i];
    return NULL;
}

/* One that was told to leave does so soon. */
static struct client *wait_for_free(struct endpoint *endpoint)
{
    uint64_t until = os_mono_ms() + LEAVING_MS;
    struct client *place = find_free(endpoint);
    for (uint64_t now = os_mono_ms(); place == NULL && now < until; now = os_mono_ms()) {
        os_cond_wait(&endpoint->changed, &endpoint->lock, (uint32_t)(until - now));
        place = find_free(endpoint);
    }
    return place;
}

struct client *endpoint_find_place(struct endpoint *endpoint, bool *spare)
{
    *spare =
        count_places(endpoint, false) >= ENDPOINT_CLIENTS_MAX && !drop_idlest(endpoint, false);
    if (*spare && count_places(endpoint, true) >= ENDPOINT_SPARES &&
        !drop_idlest(endpoint, true))
        return NULL;
    return wait_for_free(endpoint);
}

static size_t count_leaving(const struct endpoint *endpoint)
{
    size_t count = 0;
    for (size_t i = 0; i < ENDPOINT_PLACES; i++)
        count += endpoint->clients[i].thread != NULL && endpoint->clients[i].dropped;
    return count;
}

bool endpoint_drop_one(struct endpoint *endpoint)
{
    if (!drop_idlest(endpoint, false) && !drop_idlest(endpoint, true))
        return false;
    uint64_t until = os_mono_ms() + LEAVING_MS;
    for (uint64_t now = os_mono_ms(); count_leaving(endpoint) > 0 && now < until;
         now = os_mono_ms())
        os_cond_wait(&endpoint->changed, &endpoint->lock, (uint32_t)(until - now));
    return true;
}

static bool is_shutdown(const char *line)
{
    static const char word[] = "shutdown";
    return match_begins(line, word) &&
           (line[sizeof word - 1] == '\0' || line[sizeof word - 1] == ' ');
}

/* What a console says before its command: it takes no time. */
static bool is_width(const char *line)
{
    return match_begins(line, "set columns ");
}

/* True when a client in the other spare place takes over. */
static bool another_gives(const struct client *client)
{
    for (size_t i = 0; i < ENDPOINT_PLACES; i++) {
        const struct client *other = &client->endpoint->clients[i];
        if (other != client && other->thread != NULL && other->spare && other->gives)
            return true;
    }
    return false;
}

const char *endpoint_refusal(struct client *client, const char *line, bool takeover)
{
    struct endpoint *endpoint = client->endpoint;
    if (client->spare &&
        (count_places(endpoint, false) < ENDPOINT_CLIENTS_MAX || drop_idlest(endpoint, false)))
        client->spare = false;
    if (!client->spare)
        return NULL;
    if (takeover && another_gives(client))
        return "another takeover is under way\n";
    if (takeover || is_shutdown(line) || is_width(line))
        return NULL;
    return "all consoles of this relay are in use, and commands run for all of them; only "
           "`shutdown` and a takeover are served now\n";
}
