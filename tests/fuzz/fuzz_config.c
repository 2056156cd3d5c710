/* fuzz_config.c - the INI reader keeps its promises whatever the file holds. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr_net.h"
#include "base/err.h"
#include "base/str.h"
#include "config/conf.h"
#include "fuzz.h"

/* Every line is "f: TEXT" or "f:LINE: TEXT", in order of line, and fit to be shown on a terminal.
 * "warning: " stands before all of them or not, as `only_warnings` says. */
static void check_messages(const struct str *messages, bool only_warnings)
{
    unsigned long last = 0;

    assert(!messages->failed);
    assert(strlen(messages->data) == messages->len);
    assert(str_utf8_prefix(messages->data, messages->len) == messages->len);
    for (const char *line = messages->data; *line != '\0';) {
        const char *end = strchr(line, '\n');
        assert(end != NULL);
        for (const char *c = line; c < end; ++c)
            assert((unsigned char)*c >= 0x20 && *c != 0x7f);

        assert(line[0] == 'f' && line[1] == ':');
        const char *text = line + 2;
        if (*text != ' ') {
            char *after;
            unsigned long number = strtoul(text, &after, 10);
            assert(number > 0 && number >= last && *after == ':');
            last = number;
            text = after + 1;
        }
        assert(text[0] == ' ' && text[1] != ' ' && end - text > 10);
        if (only_warnings)
            assert(strncmp(text, " warning: ", 10) == 0);
        line = end + 1;
    }
}

static void check_addresses(const struct conf_route *route)
{
    assert(route->listen_count > 0 && route->upstream_count > 0);
    for (size_t i = 0; i < route->listen_count; ++i) {
        const struct conf_listen *listen = &route->listens[i];
        assert(listen->addr.port > 0 && listen->port_count > 0);
        assert(listen->addr.port + listen->port_count - 1 <= 65535);
    }
    for (size_t i = 0; i < route->upstream_count; ++i) {
        const struct conf_upstream *upstream = &route->upstreams[i];
        assert(upstream->port > 0 && upstream->host[0] != '\0');
        assert(upstream->port + upstream->port_count - 1 <= 65535);
        assert(upstream->weight <= 256);
        for (size_t j = 0; j < route->listen_count; ++j)
            assert(upstream->port_count == 1 ||
                   upstream->port_count == route->listens[j].port_count);
    }
}

static void check_features(const struct conf_route *route)
{
    const struct conf_health *health = &route->health;
    if (health->on) {
        assert(health->rise > 0 && health->fall > 0);
        assert(health->timeout_ms > 0 && health->timeout_ms <= health->interval_ms);
        assert(health->fast_ms > 0 && health->fast_ms <= health->interval_ms);
        assert(health->send.len <= CONF_BYTES_MAX && health->expect.len <= CONF_BYTES_MAX);
    }
    assert((route->when_down == CONF_HOLD) == (route->hold_ms > 0));
    assert(route->when_down == CONF_REFUSE || route->queue_max > 0);
    assert(route->eject.count == 0 || (route->eject.within_ms > 0 && route->eject.for_ms > 0));
    assert((route->proxy_in == CONF_PROXY_IN_OFF) == (route->trust_count == 0));
    assert((route->trusts == NULL) == (route->trust_count == 0));
    for (size_t i = 0; i < route->trust_count; ++i)
        assert(addr_net_has(&route->trusts[i], &route->trusts[i].addr));
    assert((route->sources == NULL) == (route->source_count == 0));
    for (size_t i = 0; i < route->source_count; ++i)
        assert(route->sources[i].port == 0 && !addr_is_any(&route->sources[i]));
}

static void check_pace(const struct conf_pace *pace)
{
    assert((pace->bytes_per_s == 0) == (pace->burst_bytes == 0));
    assert(pace->burst_bytes >= pace->bytes_per_s / 100);
}

static void check_rate(const struct conf_rate *rate)
{
    assert((rate->count == 0) == (rate->per_ms == 0));
    assert((rate->count == 0) == (rate->burst == 0));
}

/* The same network is not there twice, since they are in order. */
static void check_access(const struct conf_route *route)
{
    assert((route->access == NULL) == (route->access_count == 0));
    for (size_t i = 0; i < route->access_count; ++i) {
        const struct addr_net *net = &route->access[i].net;
        assert(addr_net_has(net, &net->addr));
        if (i == 0)
            continue;
        const struct addr_net *before = &route->access[i - 1].net;
        assert(before->addr.family <= net->addr.family);
        if (before->addr.family != net->addr.family)
            continue;
        int order = memcmp(before->addr.ip, net->addr.ip, sizeof net->addr.ip);
        assert(order < 0 || (order == 0 && before->bits < net->bits));
    }
}

static void check_guard(const struct conf_route *route)
{
    assert((route->refuse == CONF_REFUSE_TARPIT) == (route->tarpit_ms > 0));
    assert((route->exempts == NULL) == (route->exempt_count == 0));
    assert((route->ban_after.count == 0) == (route->ban_after.for_ms == 0));
    assert((route->min_rate.bytes_per_s == 0) == (route->min_rate.over_ms == 0));
    assert(route->pause_timeout_ms > 0);
    check_access(route);
    check_rate(&route->connect_rate);
    check_rate(&route->connect_rate_per_client);
    check_rate(&route->admission_ramp);
    check_pace(&route->rate_up);
    check_pace(&route->rate_down);
    check_pace(&route->rate_up_per_client);
    check_pace(&route->rate_down_per_client);
    check_pace(&route->rate_up_per_route);
    check_pace(&route->rate_down_per_route);
}

static void check_conf(const struct conf *conf)
{
    assert(conf->route_count > 0);
    assert(conf->client_bits_ipv4 >= 8 && conf->client_bits_ipv4 <= 32);
    assert(conf->client_bits_ipv6 >= 16 && conf->client_bits_ipv6 <= 128);
    check_rate(&conf->connect_rate);
    for (size_t i = 0; i < conf->route_count; ++i) {
        const struct conf_route *route = &conf->routes[i];
        assert(conf_find_route(conf, route->name) == route);
        assert(route->buffer_bytes >= 4096 && route->max_sessions > 0);
        check_addresses(route);
        check_features(route);
        check_guard(route);
    }
}

/* What is written loads, and is written the same way again. */
static void check_round_trip(const struct conf *conf)
{
    struct str once;
    struct str twice;
    struct str messages;
    struct conf *again = NULL;

    str_init(&once);
    str_init(&twice);
    str_init(&messages);
    conf_write(conf, &once);
    assert(!once.failed);
    /* Enough routes make more text than a file may have. */
    if (once.len <= 1024 * 1024) {
        enum err err = conf_load_text("f", once.data, once.len, &again, &messages);
        assert(err == ERR_OK);
        check_messages(&messages, true);
        conf_write(again, &twice);
        assert(strcmp(once.data, twice.data) == 0);
    }
    conf_free(again);
    str_free(&once);
    str_free(&twice);
    str_free(&messages);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str messages;
    struct conf *conf = NULL;

    str_init(&messages);
    enum err err = conf_load_text("f", (const char *)data, size, &conf, &messages);
    assert(err == ERR_OK || err == ERR_INVALID);
    assert((err == ERR_OK) == (conf != NULL));
    assert(err == ERR_OK || messages.len > 0);
    check_messages(&messages, err == ERR_OK);
    if (conf != NULL) {
        check_conf(conf);
        check_round_trip(conf);
    }
    conf_free(conf);
    str_free(&messages);
    return 0;
}
