/* Bans and clients of the fake server; see fake_server.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_server.h"

enum err server_ban(struct server *server, const struct addr_net *net, uint64_t for_ms,
                    const char *reason, bool keep, struct server_ban_result *out)
{
    server->ban_calls++;
    if (server->ban_err != ERR_OK)
        return server->ban_err;
    server->banned = (struct ban){.net = *net, .until_ms = for_ms};
    str_format(server->banned.reason, BAN_REASON_MAX, "%s", reason);
    server->ban_keeps = keep;
    *out = server->ban_result;
    return ERR_OK;
}

bool server_unban(struct server *server, const struct addr_net *net)
{
    for (size_t i = 0; i < server->bans.count; i++) {
        const struct addr_net *banned = &server->bans.bans[i].net;
        if (banned->bits == net->bits && addr_equal(&banned->addr, &net->addr)) {
            server->bans.bans[i] = server->bans.bans[--server->bans.count];
            return true;
        }
    }
    return false;
}

bool server_find_ban(struct server *server, const struct addr *addr, struct ban *out)
{
    for (size_t i = 0; i < server->bans.count; i++) {
        if (addr_net_has(&server->bans.bans[i].net, addr)) {
            *out = server->bans.bans[i];
            return true;
        }
    }
    return false;
}

enum err server_get_bans(struct server *server, struct server_bans *out)
{
    if (server->fail != ERR_OK)
        return server->fail;
    *out = server->bans;
    out->bans = calloc(server->bans.count + 1, sizeof *out->bans);
    assert_non_null(out->bans);
    for (size_t i = 0; i < server->bans.count; i++)
        out->bans[i] = server->bans.bans[i];
    return ERR_OK;
}

void server_free_bans(struct server_bans *bans)
{
    free(bans->bans);
}

enum err server_get_clients(struct server *server, size_t route,
                            struct server_client_info **out, size_t *count)
{
    if (server->fail != ERR_OK)
        return server->fail;
    *out = calloc(server->client_count + 1, sizeof **out);
    assert_non_null(*out);
    *count = 0;
    for (size_t i = 0; i < server->client_count; i++)
        if (route == SIZE_MAX || server->clients[i].route == route)
            (*out)[(*count)++] = server->clients[i];
    return ERR_OK;
}
