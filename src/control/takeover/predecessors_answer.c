/* predecessors_answer.c - what predecessors say becomes part of an answer; see predecessors.h. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "control/command/command_table.h"
#include "control/command/json_build.h"
#include "control/takeover/predecessors.h"
#include "os/os.h"
#include "relay/json_read.h"

#define ONE_MAX_MS                                                                             \
    3000 /* one predecessor's answer is waited for; `reopen` may take 2 s there */

/* One answer of a predecessor that goes into a result. */
struct part {
    const struct predecessor *of;
    const struct str *said;
    bool failed;
    json_t *json; /* owned; NULL: `said` is no JSON */
};

/* ---- JSON ---- */

static void add_number(json_t *root, const char *name, json_int_t more)
{
    json_int_t now = json_integer_value(json_object_get(root, name));
    json_object_set_new(root, name, json_integer(now + more));
}

static void join_sessions(json_t *root, const struct part *part)
{
    static const char *const counts[] = {"sessions_shown", "sessions_open"};
    json_t *ours = json_object_get(root, "sessions");
    json_t *theirs = json_object_get(part->json, "sessions"), *session;
    size_t i;
    json_array_foreach(theirs, i, session) json_array_append(ours, session);
    for (i = 0; i < 2; i++)
        add_number(root, counts[i], json_integer_value(json_object_get(part->json, counts[i])));
}

static void join_info(json_t *root, const struct part *part)
{
    static const char *const names[] = {"pid",         "version",       "state",
                                        "uptime_ms",   "sessions_open", "stop_left_ms",
                                        "stop_drains", "config_file"};
    json_t *one = json_object();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        json_object_set(one, names[i], json_object_get(part->json, names[i]));
    json_array_append_new(json_object_get(root, "predecessors"), one);
}

static json_t *find_route(const json_t *root, const char *name)
{
    json_t *routes = json_object_get(root, "routes"), *route;
    size_t i;
    json_array_foreach(routes, i, route)
    {
        const char *its = json_string_value(json_object_get(route, "route"));
        if (its != NULL && strcmp(its, name) == 0)
            return route;
    }
    return NULL;
}

/* Sessions of a route that is here no more are in `show info` and in the text alone. */
static void join_routes(json_t *root, const struct part *part)
{
    json_t *theirs = json_object_get(part->json, "routes"), *route;
    size_t i;
    json_array_foreach(theirs, i, route)
    {
        const char *name = json_string_value(json_object_get(route, "route"));
        json_t *ours = name == NULL ? NULL : find_route(root, name);
        if (ours != NULL)
            add_number(ours, "predecessor_sessions_open",
                       json_integer_value(json_object_get(route, "sessions_open")));
    }
}

static void join_json(enum command_forward forward, json_t *root, const struct part *part)
{
    switch (forward) {
    case FORWARD_SESSIONS: join_sessions(root, part); break;
    case FORWARD_INFO: join_info(root, part); break;
    case FORWARD_ROUTES: join_routes(root, part); break;
    case FORWARD_NOT:
    case FORWARD_OTHERWISE:
    case FORWARD_ALL: break;
    }
}

/* ---- text ---- */

static uint64_t number_of(const json_t *root, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(root, name));
    return value < 0 ? 0 : (uint64_t)value;
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void add_sessions(const struct part *part, struct str *out)
{
    str_addf(out, "\npid %" PRIu64 ", which was taken over and lets its sessions finish:\n%s",
             part->of->pid, part->said->data);
}

static void add_info(const struct part *part, bool first, struct str *out)
{
    char left[STR_HUMAN_MAX];
    uint64_t open = number_of(part->json, "sessions_open");
    const char *version = json_string_value(json_object_get(part->json, "version"));
    if (first)
        str_add(out, "\npredecessors\n");
    str_addf(out,
             "  pid %" PRIu64 ", pairport %s: waits for %" PRIu64
             " session%s to finish, ends the rest in %s\n",
             part->of->pid, version == NULL ? "?" : version, open, plural(open),
             str_human_duration(number_of(part->json, "stop_left_ms"), left));
}

static void add_routes(const struct part *part, struct str *out)
{
    static const char *const lists[] = {"routes", "removed_routes"};
    size_t told = 0;
    for (size_t list = 0; list < 2; list++) {
        json_t *routes = json_object_get(part->json, lists[list]), *route;
        size_t i;
        json_array_foreach(routes, i, route)
        {
            uint64_t open = number_of(route, "sessions_open");
            const char *name = json_string_value(json_object_get(route, "route"));
            if (open == 0 || name == NULL)
                continue;
            if (told++ == 0)
                str_addf(out,
                         "pid %" PRIu64 ", which was taken over, has more:", part->of->pid);
            str_addf(out, "%s %" PRIu64 " of %s", told == 1 ? "" : ",", open, name);
        }
    }
    if (told > 0)
        str_add_char(out, '\n');
}

/* Of what all have done, and of one session. */
static void add_lines(const struct part *part, struct str *out)
{
    const char *line = part->said->data;
    while (*line != '\0') {
        int len = (int)strcspn(line, "\n");
        str_addf(out, "pid %" PRIu64 ": %.*s\n", part->of->pid, len, line);
        line += len + (line[len] == '\n');
    }
}

/* ---- the answer ---- */

struct answer {
    const struct command_session *session;
    enum command_forward forward;
    bool json; /* the operator wants it, and `root` is it */
    json_t *root;
    size_t parts; /* that were joined */
    struct command_result *result;
};

/* Theirs takes the place of an error of ours: ours was that it is not here. */
static void take_place(struct answer *answer, const struct part *part)
{
    struct str *out = &answer->result->text;
    if (part->failed)
        return;
    if (answer->result->failed)
        str_clear(out);
    answer->result->failed = false;
    if (part->json != NULL) {
        str_add(out, part->said->data);
    } else if (answer->forward == FORWARD_ALL ||
               strchr(part->said->data, '\n') == strrchr(part->said->data, '\n')) {
        add_lines(part, out);
    } else {
        str_addf(out, "of pid %" PRIu64 ", which was taken over: %s", part->of->pid,
                 part->said->data);
    }
}

static void join(struct answer *answer, const struct part *part)
{
    struct str *out = &answer->result->text;
    if (answer->forward == FORWARD_OTHERWISE || answer->forward == FORWARD_ALL) {
        take_place(answer, part);
        return;
    }
    if (part->failed)
        return;
    if (answer->json && part->json != NULL)
        join_json(answer->forward, answer->root, part);
    else if (answer->forward == FORWARD_SESSIONS && strncmp(part->said->data, "no ", 3) != 0)
        add_sessions(part, out);
    else if (answer->forward == FORWARD_INFO && part->json != NULL)
        add_info(part, answer->parts == 0, out);
    else if (answer->forward == FORWARD_ROUTES && part->json != NULL)
        add_routes(part, out);
    answer->parts++;
}

static bool is_done(const struct answer *answer)
{
    return answer->forward == FORWARD_OTHERWISE && !answer->result->failed;
}

/* For number `i` of `count`: those that do not answer leave a share for each that is behind. */
static uint32_t time_for(size_t i, size_t count, uint64_t deadline_ms)
{
    uint64_t share = PREDECESSORS_WAIT_MS / 2 / count, behind = share * (count - i - 1);
    uint64_t now = os_mono_ms();
    uint64_t left = now + behind < deadline_ms ? deadline_ms - behind - now : 0;
    return left < share ? (uint32_t)share : left > ONE_MAX_MS ? ONE_MAX_MS : (uint32_t)left;
}

static void ask_one(struct answer *answer, const struct predecessor *one, const char *line,
                    size_t len, uint32_t timeout_ms)
{
    struct str said;
    struct part part = {.of = one, .said = &said};
    str_init(&said);
    enum err err = predecessors_ask(answer->session->console->predecessors, one, line, len,
                                    timeout_ms, &said, &part.failed);
    if (err == ERR_OK && !said.failed) {
        if (!part.failed && said.data[0] == '{')
            (void)json_read(&part.json, said.data, said.len, 0, NULL);
        join(answer, &part);
        json_decref(part.json);
    } else if (err != ERR_NOT_FOUND && !answer->json) {
        str_addf(&answer->result->text,
                 "pid %" PRIu64 ", which was taken over, was not reached: "
                 "%s\n",
                 one->pid, err_text(err == ERR_OK ? ERR_NOMEM : err));
    }
    str_free(&said);
}

static bool is_list(enum command_forward forward)
{
    return forward == FORWARD_SESSIONS || forward == FORWARD_INFO || forward == FORWARD_ROUTES;
}

void predecessors_forward(const struct command_session *session, const char *line, size_t len,
                          struct command_result *result)
{
    struct predecessor each[PREDECESSORS_MAX];
    struct answer answer = {.session = session, .result = result};
    char json[48];
    struct predecessors *predecessors = session->console->predecessors;
    if (predecessors == NULL)
        return;
    size_t count = predecessors_copy(predecessors, each);
    if (count == 0)
        return;
    answer.forward = session->ran->forward;
    if (answer.forward == FORWARD_NOT || (is_list(answer.forward) && result->failed) ||
        (answer.forward == FORWARD_OTHERWISE && !result->failed))
        return;
    if (is_list(answer.forward) && result->text.data[0] == '{') {
        answer.json =
            json_read(&answer.root, result->text.data, result->text.len, 0, NULL) == ERR_OK;
    }
    if (answer.forward == FORWARD_INFO || answer.forward == FORWARD_ROUTES) {
        /* Their numbers are wanted, also where ours are shown as text. */
        len = str_format(json, sizeof json, "%s json", session->ran->words);
        line = json;
    }
    uint64_t deadline_ms = os_mono_ms() + PREDECESSORS_WAIT_MS;
    for (size_t i = 0; i < count && !is_done(&answer); i++)
        ask_one(&answer, &each[i], line, len, time_for(i, count, deadline_ms));
    if (answer.json) {
        struct json_build build = {false};
        str_clear(&result->text);
        json_build_write(&build, answer.root, &result->text);
    }
}
