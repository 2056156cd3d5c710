#include "config/value/value_eject.h"

#include <stddef.h>
#include <string.h>

#include "config/conf.h"
#include "config/value/mistakes.h"
#include "config/value/number.h"
#include "config/value/words.h"

#define SECONDS UINT64_C(1000)
#define MINUTES (60 * SECONDS)
#define HOURS   (60 * MINUTES)
#define DAYS    (24 * HOURS)

#define OF(type, field) .offset = offsetof(type, field), .size = sizeof(((type *)0)->field)

/* How so many in a time for a time is written. */
struct eject_form {
    struct key count;
    struct key within;
    struct key for_time;
    const char
        *word; /* may stand behind the count, and is written there; NULL: there is none */
    const char *example;
};

static const struct eject_form eject_form = {
    .count = {.name = "failures",
              .type = KEY_COUNT,
              .preset = "5",
              .min = 1,
              .max = 10000,
              OF(struct conf_eject, count)},
    .within = {.name = "in",
               .type = KEY_DURATION,
               .preset = "10s",
               .min = 100,
               .max = 1 * HOURS,
               OF(struct conf_eject, within_ms)},
    .for_time = {.name = "for",
                 .type = KEY_DURATION,
                 .preset = "30s",
                 .min = 100,
                 .max = 1 * DAYS,
                 OF(struct conf_eject, for_ms)},
    .example = "5 in 10s for 30s",
};

static const struct eject_form ban_form = {
    .count = {.name = "refusals",
              .type = KEY_COUNT,
              .preset = "20",
              .min = 1,
              .max = 10000,
              OF(struct conf_eject, count)},
    .within = {.name = "in",
               .type = KEY_DURATION,
               .preset = "10s",
               .min = 100,
               .max = 1 * HOURS,
               OF(struct conf_eject, within_ms)},
    .for_time = {.name = "for",
                 .type = KEY_DURATION,
                 .preset = "10m",
                 .min = 1 * SECONDS,
                 .max = 365 * DAYS,
                 OF(struct conf_eject, for_ms)},
    .word = "refusals",
    .example = "20 refusals in 10s for 10m",
};

static const struct eject_form *form_of(const struct key *key)
{
    return key->type == KEY_BAN_AFTER ? &ban_form : &eject_form;
}

bool value_read_eject(const struct key *key, const char *text, void *field, struct str *why)
{
    const struct eject_form *form = form_of(key);
    struct conf_eject *out = field;
    struct conf_eject eject = {0};
    char copy[CONF_LINE_MAX + 1];
    char *words[6];
    char quote[MISTAKE_QUOTE_MAX];

    if (strcmp(text, "off") == 0) {
        *out = eject;
        return true;
    }
    str_format(copy, sizeof copy, "%s", text);
    size_t count = words_split(copy, words, 6);
    if (count == 6 && form->word != NULL && strcmp(words[1], form->word) == 0) {
        memmove(&words[1], &words[2], 4 * sizeof words[0]);
        count = 5;
    }
    if (count != 5 || strcmp(words[1], "in") != 0 || strcmp(words[3], "for") != 0) {
        str_addf(why, "%s is not known; write off, or such as %s", mistake_quote(text, quote),
                 form->example);
        return false;
    }
    if (!number_read_part(&form->count, words[0], &eject.count, why) ||
        !number_read_part(&form->within, words[2], &eject.within_ms, why) ||
        !number_read_part(&form->for_time, words[4], &eject.for_ms, why))
        return false;
    *out = eject;
    return true;
}

void value_write_eject(const struct key *key, const void *field, struct str *out)
{
    const struct eject_form *form = form_of(key);
    const struct conf_eject *eject = field;
    if (eject->count == 0) {
        str_add(out, "off");
        return;
    }
    number_write(&form->count, &eject->count, out);
    if (form->word != NULL)
        str_addf(out, " %s", form->word);
    str_add(out, " in ");
    number_write(&form->within, &eject->within_ms, out);
    str_add(out, " for ");
    number_write(&form->for_time, &eject->for_ms, out);
}
