#include "control/command/alias.h"

#include <stddef.h>
#include <string.h>

#include "control/command/match.h"

static const struct {
    const char *typed;
    const char *words[2]; /* the second may be NULL */
} aliases[] = {
    {"?", {"help", NULL}},
    {"exit", {"quit", NULL}},
    {"logout", {"quit", NULL}},
    {"bye", {"quit", NULL}},
    {"status", {"show", "info"}},
    {"info", {"show", "info"}},
    {"version", {"show", "info"}},
    {"routes", {"show", "routes"}},
    {"bans", {"show", "bans"}},
    {"sessions", {"show", "sessions"}},
    {"session", {"show", "session"}},
    {"clients", {"show", "clients"}},
    {"upstreams", {"show", "upstreams"}},
};

static const struct {
    const char *typed, *hint;
} hints[] = {
    {"top",
     "`show sessions` has the busiest ones first; `watch pairport console show sessions` "
     "in a shell repeats it"},
    {"stop", "`shutdown` stops the relay, `drain` and `pause` a route"},
    {"start", "`resume` lets clients of a route in again, `enable` those of an upstream"},
    {"restart",
     "`reload` takes a changed configuration; `pairport run --takeover` starts a new "
     "program without ending a session"},
};

void alias_apply(struct parsed_line *line)
{
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        if (!match_equal(line->words[0], aliases[i].typed))
            continue;
        const char *const *words = aliases[i].words;
        if (words[1] != NULL && line->count == PARSE_WORDS_MAX)
            return;
        if (words[1] != NULL) {
            memmove(line->words + 2, line->words + 1,
                    (line->count - 1) * sizeof line->words[0]);
            line->words[1] = words[1];
            line->count++;
        }
        line->words[0] = words[0];
        return;
    }
}

const char *alias_hint(const char *word)
{
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
        if (match_equal(word, hints[i].typed))
            return hints[i].hint;
    return NULL;
}
