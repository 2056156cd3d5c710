#include "control/show/session_json.h"

#include "os/os.h"
#include "relay/server_info.h"

const char *session_route_name(const struct server_session_info *info, const struct conf *conf)
{
    return info->route < conf->route_count ? conf->routes[info->route].name : info->route_name;
}

const char *session_upstream_name(const struct server_session_info *info,
                                  const struct conf *conf)
{
    if (!server_session_has_upstream(info))
        return "-";
    if (info->route >= conf->route_count)
        return info->upstream_name;
    const struct conf_route *route = &conf->routes[info->route];
    return info->upstream < route->upstream_count ? route->upstreams[info->upstream].name : "-";
}

static bool is_paced(const struct server_flow_info *flow)
{
    return flow->park != FLOW_NOT_PARKED && flow->park != FLOW_FROZEN &&
           flow->park != FLOW_NO_BUFFER;
}

const char *session_state(const struct server_session_info *info)
{
    if (info->ending)
        return "ending";
    if (info->frozen)
        return "frozen";
    return is_paced(&info->up) || is_paced(&info->down) ? "paced" : phase_word(info->phase);
}

const char *session_park_word(const struct server_flow_info *flow, bool up)
{
    switch (flow->park) {
    case FLOW_NOT_PARKED: break;
    case FLOW_PACED_SESSION: return up ? "rate_up" : "rate_down";
    case FLOW_PACED_CLIENT: return up ? "rate_up_per_client" : "rate_down_per_client";
    case FLOW_PACED_ROUTE: return up ? "rate_up_per_route" : "rate_down_per_route";
    case FLOW_FROZEN: return "frozen";
    case FLOW_NO_BUFFER: return "no_memory";
    }
    return NULL;
}

/* Null where the direction does not stand still by the relay's will. */
static void put_park(struct json_build *build, json_t *object, const char *direction,
                     const struct server_flow_info *flow, bool up)
{
    char name[48];
    const char *word = session_park_word(flow, up);
    str_format(name, sizeof name, "parked_%s", direction);
    if (word == NULL)
        json_build_put(build, object, name, json_null());
    else
        json_build_text(build, object, name, word);
    str_format(name, sizeof name, "parked_%s_ms", direction);
    json_build_u64(build, object, name, flow->parked_ms);
    str_format(name, sizeof name, "parked_%s_left_ms", direction);
    json_build_u64(build, object, name, flow->park_left_ms);
}

static void put_flow(struct json_build *build, json_t *object, const char *direction,
                     const struct server_flow_info *flow)
{
    char name[48];
    str_format(name, sizeof name, "bytes_%s_total", direction);
    json_build_u64(build, object, name, flow->bytes);
    str_format(name, sizeof name, "writes_%s_total", direction);
    json_build_u64(build, object, name, flow->writes);
    str_format(name, sizeof name, "bytes_%s_per_second", direction);
    json_build_u64(build, object, name, flow->bytes_per_s);
    str_format(name, sizeof name, "waiting_%s_bytes", direction);
    json_build_u64(build, object, name, flow->waiting);
    str_format(name, sizeof name, "waiting_%s_ms", direction);
    json_build_u64(build, object, name, flow->waiting_ms);
    str_format(name, sizeof name, "finished_%s", direction);
    json_build_bool(build, object, name, flow->finished);
}

/* Null where the system does not tell. */
static void put_tcp(struct json_build *build, json_t *object, const char *name, bool known,
                    const struct sock_tcp_info *info)
{
    if (!known) {
        json_build_put(build, object, name, json_null());
        return;
    }
    json_t *tcp = json_build_object(build);
    json_build_u64(build, tcp, "rtt_us", info->rtt_us);
    json_build_u64(build, tcp, "rtt_variation_us", info->rtt_var_us);
    json_build_u64(build, tcp,
                   info->retransmits_in_bytes ? "retransmitted_bytes_total"
                                              : "retransmits_total",
                   info->retransmits_total);
    json_build_put(build, object, name, tcp);
}

json_t *session_as_json(struct json_build *build, const struct server_session_info *info,
                        const struct conf *conf, bool with_tcp)
{
    json_t *object = json_build_object(build);
    json_build_u64(build, object, "id", info->id);
    json_build_u64(build, object, "pid", os_process_id());
    json_build_text(build, object, "route", session_route_name(info, conf));
    json_build_text(build, object, "upstream", session_upstream_name(info, conf));
    json_build_text(build, object, "phase", phase_word(info->phase));
    json_build_bool(build, object, "ending", info->ending);
    json_build_text(build, object, "reason", reason_word(info->reason));
    json_build_addr(build, object, "client_addr", &info->client);
    json_build_addr(build, object, "via_addr", &info->via);
    json_build_addr(build, object, "client_local_addr", &info->client_local);
    json_build_addr(build, object, "upstream_local_addr", &info->upstream_local);
    json_build_addr(build, object, "upstream_addr", &info->upstream_addr);
    json_build_u64(build, object, "age_ms", info->age_ms);
    json_build_u64(build, object, "idle_ms", info->idle_ms);
    json_build_u64(build, object, "connect_time_us", info->connect_us);
    json_build_u64(build, object, "connect_tries_total", info->tries);
    put_flow(build, object, "up", &info->up);
    put_flow(build, object, "down", &info->down);
    json_build_bool(build, object, "frozen", info->frozen);
    put_park(build, object, "up", &info->up, true);
    put_park(build, object, "down", &info->down, false);
    if (!with_tcp)
        return object;
    put_tcp(build, object, "client_tcp", info->has_client_tcp, &info->client_tcp);
    put_tcp(build, object, "upstream_tcp", info->has_upstream_tcp, &info->upstream_tcp);
    return object;
}
