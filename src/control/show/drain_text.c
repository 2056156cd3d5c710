#include "control/show/drain_text.h"
#include "relay/server_info.h"
#include "relay/server_operate.h"

#include <inttypes.h>

void drain_add_left(const struct server_drain_info *info, const struct server_drain_plan *plan,
                    enum err err, struct str *out)
{
    char exact[STR_HUMAN_MAX];
    size_t count = info->left;
    if (err != ERR_OK) {
        str_addf(out, "; its sessions could not be counted: %s", err_text(err));
        return;
    }
    if (plan->kill && plan->over_ms == 0) {
        str_addf(out, "; %" PRIu64 " %s ended", info->ended_total,
                 info->ended_total == 1 ? "is" : "are");
        return;
    }
    if (count == 0) {
        str_add(out, "; none is open");
        return;
    }
    str_addf(out, "; %zu %s open", count, count == 1 ? "is" : "are");
    if (info->over)
        str_addf(out, ", ended evenly over %s", str_exact_duration(plan->over_ms, exact));
}

void drain_add_state(const struct server_drain_info *info, struct str *out)
{
    char human[STR_HUMAN_MAX];
    if (info->left == 0) {
        str_add(out, "no session left");
        return;
    }
    str_addf(out, "%zu of %zu sessions left", info->left, info->first_left);
    if (info->over)
        str_addf(out, ", ended evenly within %s", str_human_duration(info->left_ms, human));
}

json_t *drain_as_json(struct json_build *build, const struct server_drain_info *info)
{
    if (!info->on)
        return json_null();
    json_t *object = json_build_object(build);
    json_build_u64(build, object, "sessions_left", info->left);
    json_build_u64(build, object, "sessions_first", info->first_left);
    json_build_u64(build, object, "sessions_ended_total", info->ended_total);
    json_build_u64(build, object, "age_ms", info->age_ms);
    json_build_bool(build, object, "over", info->over);
    json_build_u64(build, object, "left_ms", info->over ? info->left_ms : UINT64_MAX);
    return object;
}
