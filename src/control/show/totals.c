#include "control/show/totals.h"

#include <inttypes.h>

#include "control/command/grid.h"
#include "control/command/units.h"
#include "relay/server_info.h"

static uint64_t count_reasons(const struct server_totals *totals, bool refusals)
{
    uint64_t sum = 0;
    for (int reason = 0; reason < REASON_COUNT; reason++) {
        if (reason_is_refusal((enum reason)reason) == refusals)
            sum += totals->sums.reasons[reason];
    }
    return sum;
}

uint64_t totals_refused(const struct server_totals *totals)
{
    return count_reasons(totals, true);
}

/* Admitted sessions that ended. */
static uint64_t ended(const struct server_totals *totals)
{
    return count_reasons(totals, false);
}

/* ---- JSON ---- */

static json_t *reasons_as_json(struct json_build *build, const struct server_totals *totals,
                               bool refusals)
{
    json_t *object = json_build_object(build);
    for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        if (reason_is_refusal((enum reason)reason) == refusals)
            json_build_u64(build, object, reason_word((enum reason)reason),
                           totals->sums.reasons[reason]);
    }
    return object;
}

static json_t *would_refuse_as_json(struct json_build *build,
                                    const struct server_totals *totals)
{
    json_t *object = json_build_object(build);
    for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        if (reason_is_of_guard((enum reason)reason))
            json_build_u64(build, object, reason_word((enum reason)reason),
                           totals->would_refuse[reason]);
    }
    return object;
}

static void put_rates(struct json_build *build, json_t *object, const char *window,
                      const struct stat_rates *rates)
{
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {
        {"sessions", rates->sessions},       {"bytes_up", rates->bytes_up},
        {"bytes_down", rates->bytes_down},   {"writes_up", rates->writes_up},
        {"writes_down", rates->writes_down},
    };
    json_t *windowed = json_build_object(build);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char name[48];
        str_format(name, sizeof name, "%s_per_second", all[i].name);
        json_build_u64(build, windowed, name, all[i].value);
    }
    json_build_put(build, object, window, windowed);
}

static void put_summary(struct json_build *build, json_t *object, const char *what,
                        const char *unit, const struct histogram_summary *summary)
{
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {
        {"mean", summary->mean}, {"p50", summary->p50},   {"p90", summary->p90},
        {"p99", summary->p99},   {"p999", summary->p999}, {"max", summary->max},
    };
    char name[64];
    str_format(name, sizeof name, "%s_count", what);
    json_build_u64(build, object, name, summary->count);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        str_format(name, sizeof name, "%s_%s_%s", what, all[i].name, unit);
        json_build_u64(build, object, name, all[i].value);
    }
}

void totals_put_json(struct json_build *build, json_t *object,
                     const struct server_totals *totals)
{
    const uint64_t *counters = totals->sums.counters;
    json_build_u64(build, object, "sessions_open", totals->sessions_open);
    json_build_u64(build, object, "sessions_peak", totals->sessions_peak);
    json_build_u64(build, object, "sessions_total", counters[STAT_SESSIONS]);
    json_build_u64(build, object, "sessions_refused_total", totals_refused(totals));
    json_build_put(build, object, "sessions_refused_by_reason_total",
                   reasons_as_json(build, totals, true));
    json_build_put(build, object, "would_refuse_by_reason_total",
                   would_refuse_as_json(build, totals));
    json_build_u64(build, object, "sessions_ended_total", ended(totals));
    json_build_put(build, object, "sessions_ended_by_reason_total",
                   reasons_as_json(build, totals, false));
    json_build_u64(build, object, "accept_failures_total", counters[STAT_ACCEPT_FAILURES]);
    json_build_u64(build, object, "connects_total", counters[STAT_CONNECTS]);
    json_build_u64(build, object, "connect_failures_total", counters[STAT_CONNECT_FAILURES]);
    json_build_u64(build, object, "connect_retries_total", counters[STAT_RETRIES]);
    json_build_u64(build, object, "bytes_up_total", counters[STAT_BYTES_UP]);
    json_build_u64(build, object, "bytes_down_total", counters[STAT_BYTES_DOWN]);
    json_build_u64(build, object, "writes_up_total", counters[STAT_WRITES_UP]);
    json_build_u64(build, object, "writes_down_total", counters[STAT_WRITES_DOWN]);
    json_build_u64(build, object, "paced_total", counters[STAT_PACED]);
    put_rates(build, object, "rates_1s", &totals->rate_1s);
    put_rates(build, object, "rates_10s", &totals->rate_10s);
    put_rates(build, object, "rates_60s", &totals->rate_60s);
    put_summary(build, object, "connect_time", "us", &totals->connect_us);
    put_summary(build, object, "session_length", "ms", &totals->length_ms);
}

/* ---- text ---- */

/* "3 limit_route, 1 no_upstream"; lines of at most `columns`, the next ones under the first. */
struct reason_list {
    struct str *out;
    unsigned columns;
    size_t line;   /* where the line began */
    size_t indent; /* of the next ones */
    bool any;
};

static struct reason_list begin_reasons(const char *label, unsigned columns, struct str *out)
{
    struct reason_list list = {.out = out, .columns = columns, .line = out->len};
    str_addf(out, "  %-10s", label);
    list.indent = out->len - list.line;
    return list;
}

static void add_reason(struct reason_list *list, enum reason reason, uint64_t count)
{
    char text[96];
    struct str *out = list->out;
    size_t len = str_format(text, sizeof text, "%" PRIu64 " %s", count, reason_word(reason));
    if (list->any) {
        str_add_char(out, ',');
        if (list->columns > 0 && out->len - list->line + 2 + len > list->columns) {
            str_add_char(out, '\n');
            list->line = out->len;
            str_addf(out, "%*s", (int)list->indent, "");
        } else {
            str_add_char(out, ' ');
        }
    }
    str_add(out, text);
    list->any = true;
}

static void add_reasons(const struct server_totals *totals, bool refusals, const char *label,
                        unsigned columns, struct str *out)
{
    struct reason_list list = begin_reasons(label, columns, out);
    for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++)
        if (totals->sums.reasons[reason] > 0 &&
            reason_is_refusal((enum reason)reason) == refusals)
            add_reason(&list, (enum reason)reason, totals->sums.reasons[reason]);
    str_add(out, list.any ? "\n" : "none\n");
}

/* Only of routes that let in whom they would refuse. */
static void add_would_refuse(const struct server_totals *totals, unsigned columns,
                             struct str *out)
{
    struct str line;
    str_init(&line);
    struct reason_list list = begin_reasons("would refuse ", columns, &line);
    for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++)
        if (totals->would_refuse[reason] > 0)
            add_reason(&list, (enum reason)reason, totals->would_refuse[reason]);
    if (list.any)
        str_addf(out, "%s\n", line.data);
    str_free(&line);
}

static void add_rate_row(struct grid *grid, const char *what, uint64_t total, uint64_t one,
                         uint64_t ten, uint64_t sixty)
{
    grid_cell(grid, "%s", what);
    grid_cell(grid, "%" PRIu64, total);
    grid_cell(grid, "%" PRIu64 "/s", one);
    grid_cell(grid, "%" PRIu64 "/s", ten);
    grid_cell(grid, "%" PRIu64 "/s", sixty);
}

static void add_byte_row(struct grid *grid, const char *what, uint64_t total, uint64_t one,
                         uint64_t ten, uint64_t sixty)
{
    char human[STR_HUMAN_MAX];
    grid_cell(grid, "%s", what);
    grid_cell(grid, "%s", str_human_size(total, human));
    grid_cell(grid, "%s", str_human_rate(one, human));
    grid_cell(grid, "%s", str_human_rate(ten, human));
    grid_cell(grid, "%s", str_human_rate(sixty, human));
}

static void write_rates(const struct server_totals *totals, unsigned columns, struct str *out)
{
    static const struct grid_column layout[] = {{"", false, 0},
                                                {"TOTAL", true, 0},
                                                {"LAST 1 S", true, 1},
                                                {"LAST 10 S", true, 3},
                                                {"LAST 60 S", true, 2}};
    const uint64_t *counters = totals->sums.counters;
    const struct stat_rates *one = &totals->rate_1s, *ten = &totals->rate_10s,
                            *sixty = &totals->rate_60s;
    struct grid grid;
    grid_init(&grid, layout, 5);
    add_rate_row(&grid, "sessions", counters[STAT_SESSIONS], one->sessions, ten->sessions,
                 sixty->sessions);
    add_byte_row(&grid, "bytes up", counters[STAT_BYTES_UP], one->bytes_up, ten->bytes_up,
                 sixty->bytes_up);
    add_byte_row(&grid, "bytes down", counters[STAT_BYTES_DOWN], one->bytes_down,
                 ten->bytes_down, sixty->bytes_down);
    add_rate_row(&grid, "writes up", counters[STAT_WRITES_UP], one->writes_up, ten->writes_up,
                 sixty->writes_up);
    add_rate_row(&grid, "writes down", counters[STAT_WRITES_DOWN], one->writes_down,
                 ten->writes_down, sixty->writes_down);
    grid_write(&grid, 2, columns, out, NULL);
    grid_free(&grid);
}

static const char *ms_text(uint64_t ms, char buf[STR_HUMAN_MAX])
{
    return ms == 0 ? "-" : str_human_duration(ms, buf);
}

static void add_summary_row(struct grid *grid, const char *what,
                            const struct histogram_summary *summary,
                            const char *text(uint64_t, char[STR_HUMAN_MAX]))
{
    const uint64_t values[] = {summary->mean, summary->p50,  summary->p90,
                               summary->p99,  summary->p999, summary->max};
    grid_cell(grid, "%s", what);
    grid_cell(grid, "%" PRIu64, summary->count);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char human[STR_HUMAN_MAX];
        grid_cell(grid, "%s", text(values[i], human));
    }
}

static void write_summaries(const struct server_totals *totals, unsigned columns,
                            struct str *out)
{
    static const struct grid_column layout[] = {
        {"", false, 0},   {"COUNT", true, 1}, {"MEAN", true, 2},  {"P50", true, 5},
        {"P90", true, 4}, {"P99", true, 6},   {"P99.9", true, 3}, {"MAX", true, 7}};
    struct grid grid;
    grid_init(&grid, layout, 8);
    add_summary_row(&grid, "connect time", &totals->connect_us, units_us);
    add_summary_row(&grid, "session length", &totals->length_ms, ms_text);
    grid_write(&grid, 2, columns, out, NULL);
    grid_free(&grid);
}

void totals_write(const char *title, const struct server_totals *totals, unsigned columns,
                  struct str *out)
{
    const uint64_t *counters = totals->sums.counters;
    str_addf(out, "%s\n", title);
    str_addf(out,
             "  sessions  %" PRIu32 " open, peak %" PRIu32 ", total %" PRIu64
             ", refused %" PRIu64 ", ended %" PRIu64 "\n",
             totals->sessions_open, totals->sessions_peak, counters[STAT_SESSIONS],
             totals_refused(totals), ended(totals));
    add_reasons(totals, true, "refused", columns, out);
    add_would_refuse(totals, columns, out);
    add_reasons(totals, false, "ended", columns, out);
    str_addf(out,
             "  connects  %" PRIu64 " begun, %" PRIu64 " failed, %" PRIu64 " retries; %" PRIu64
             " failed accepts\n",
             counters[STAT_CONNECTS], counters[STAT_CONNECT_FAILURES], counters[STAT_RETRIES],
             counters[STAT_ACCEPT_FAILURES]);
    /* Where no pace is set there is nothing to show of them. */
    if (counters[STAT_PACED] > 0)
        str_addf(out, "  paced     %" PRIu64 " waits for room in a rate\n",
                 counters[STAT_PACED]);
    str_add_char(out, '\n');
    write_rates(totals, columns, out);
    str_add_char(out, '\n');
    write_summaries(totals, columns, out);
}
