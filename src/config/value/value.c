#include "config/value/value.h"

#include <assert.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "config/value/mistakes.h"
#include "config/value/number.h"
#include "config/value/value_access.h"
#include "config/value/value_eject.h"
#include "config/value/value_list.h"
#include "config/value/value_rate.h"
#include "config/value/value_route.h"
#include "config/value/words.h"

void *value_field(const struct key *key, void *owner)
{
    return (char *)owner + key->offset;
}

const void *value_field_const(const struct key *key, const void *owner)
{
    return (const char *)owner + key->offset;
}

/* ---- words and texts ---- */

static bool read_bool(const char *text, bool *value, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    if (str_parse_bool(text, value) == ERR_OK)
        return true;
    str_addf(why, "%s is neither yes nor no; write one of them", mistake_quote(text, quote));
    return false;
}

static bool read_level(const char *text, enum log_level *value, struct str *why)
{
    const char *words[LOG_DEBUG + 2] = {NULL};
    size_t index;
    for (int level = LOG_ERROR; level <= LOG_DEBUG; ++level)
        words[level] = log_level_word((enum log_level)level);
    if (!words_find(text, words, &index, why))
        return false;
    *value = (enum log_level)index;
    return true;
}

static bool read_text(const struct key *key, const char *text, char *value, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    size_t len = strlen(text);
    if (len > key->max) {
        str_addf(why, "%s has %zu bytes; at most %" PRIu64 " are possible",
                 mistake_quote(text, quote), len, key->max);
        return false;
    }
    if (text[0] == '"' || text[0] == '\'') {
        str_addf(why,
                 "%s begins with a quotation mark, which would be part of it; write it "
                 "without",
                 mistake_quote(text, quote));
        return false;
    }
    /* With a blank before it, as conf_write() puts it, it would be a comment. */
    if (text[0] == ';' || text[0] == '#') {
        str_addf(why, "%s begins like a comment; choose another name",
                 mistake_quote(text, quote));
        return false;
    }
    memset(value, 0, key->size);
    memcpy(value, text, len);
    return true;
}

/* ---- any key ---- */

static bool read_any(const struct key *key, const char *text, void *owner, struct str *why)
{
    void *field = value_field(key, owner);
    switch (key->type) {
    case KEY_COUNT:
    case KEY_WORKERS:
    case KEY_DURATION:
    case KEY_SIZE:
    case KEY_PERCENT: return number_read(key, text, field, why);
    case KEY_BOOL: return read_bool(text, field, why);
    case KEY_LEVEL: return read_level(text, field, why);
    case KEY_CHOICE: return words_read_choice(text, key->words, field, why);
    case KEY_TEXT: return read_text(key, text, field, why);
    case KEY_WHEN_DOWN: return value_read_when_down(text, owner, why);
    case KEY_HEALTH: return value_read_health(text, field, why);
    case KEY_EJECT: return value_read_eject(text, field, why);
    case KEY_BAN_AFTER: return value_read_ban_after(text, field, why);
    case KEY_RATE: return value_read_rate(text, field, why);
    case KEY_PACE: return value_read_pace(text, field, why);
    case KEY_MIN_RATE: return value_read_min_rate(text, field, why);
    case KEY_REFUSE: return value_read_refuse(text, owner, why);
    case KEY_SOURCE: return value_read_sources(text, owner, why);
    case KEY_TRUST: return value_read_trusts(text, owner, why);
    case KEY_EXEMPT: return value_read_exempts(text, owner, why);
    case KEY_ACCESS:
    case KEY_BYTES:
    case KEY_LISTEN:
    case KEY_UPSTREAM: break;
    }
    assert(false && "not a value by itself");
    return false;
}

/* One spelling of a value may be longer than another, and what conf_write() writes must be a
 * line that is read. */
static bool check_written(const struct key *key, const void *owner, struct str *why)
{
    size_t room = CONF_LINE_MAX - strlen(key->name) - strlen(" = ");
    struct str text;
    str_init(&text);
    value_write(key, owner, &text);
    size_t len = text.len;
    if (text.failed)
        why->failed = true;
    str_free(&text);
    if (len > room)
        str_addf(why, "written in full it has %zu bytes; at most %zu fit into a line", len,
                 room);
    return len <= room;
}

bool value_read(const struct key *key, const char *text, void *owner, struct str *why)
{
    bool may_be_empty = key->preset[0] == '\0' || key->type == KEY_EXEMPT;
    if (*text == '\0' && !may_be_empty) {
        str_addf(why, "there is no value; the default is %s", key->preset);
        return false;
    }
    return read_any(key, text, owner, why) && check_written(key, owner, why);
}

void value_write(const struct key *key, const void *owner, struct str *out)
{
    const void *field = value_field_const(key, owner);
    switch (key->type) {
    case KEY_COUNT:
    case KEY_WORKERS:
    case KEY_DURATION:
    case KEY_SIZE:
    case KEY_PERCENT: number_write(key, field, out); return;
    case KEY_BOOL: str_add(out, *(const bool *)field ? "yes" : "no"); return;
    case KEY_LEVEL: str_add(out, log_level_word(*(const enum log_level *)field)); return;
    case KEY_CHOICE: str_add(out, key->words[words_choice(field)]); return;
    case KEY_TEXT: str_add(out, field); return;
    case KEY_WHEN_DOWN: value_write_when_down(owner, out); return;
    case KEY_HEALTH: value_write_health(field, out); return;
    case KEY_EJECT: value_write_eject(field, out); return;
    case KEY_BAN_AFTER: value_write_ban_after(field, out); return;
    case KEY_RATE: value_write_rate(field, out); return;
    case KEY_PACE: value_write_pace(field, out); return;
    case KEY_MIN_RATE: value_write_min_rate(field, out); return;
    case KEY_REFUSE: value_write_refuse(owner, out); return;
    case KEY_SOURCE: value_write_sources(owner, out); return;
    case KEY_TRUST: value_write_trusts(owner, out); return;
    case KEY_EXEMPT: value_write_exempts(owner, out); return;
    case KEY_ACCESS: value_write_access(owner, value_is_allow(key), out); return;
    case KEY_BYTES:
    case KEY_LISTEN:
    case KEY_UPSTREAM: break;
    }
    assert(false && "not a value by itself");
}

bool value_copy(const struct key *key, const void *from, void *to)
{
    if (key->type == KEY_SOURCE)
        return value_copy_sources(from, to);
    if (key->type == KEY_TRUST)
        return value_copy_trusts(from, to);
    if (key->type == KEY_EXEMPT)
        return value_copy_exempts(from, to);
    memcpy(value_field(key, to), value_field_const(key, from), key->size);
    if (key->type == KEY_WHEN_DOWN)
        ((struct conf_route *)to)->hold_ms = ((const struct conf_route *)from)->hold_ms;
    if (key->type == KEY_REFUSE)
        ((struct conf_route *)to)->tarpit_ms = ((const struct conf_route *)from)->tarpit_ms;
    return true;
}

bool value_preset(enum key_section section, void *owner)
{
    struct str why;
    str_init(&why);
    for (size_t i = 0; i < key_count; ++i) {
        if (keys[i].section != section || keys[i].preset == NULL || keys[i].type == KEY_ACCESS)
            continue;
        bool ok = read_any(&keys[i], keys[i].preset, owner, &why);
        assert((ok || why.failed) && "a default of the table is within its range");
        if (!ok)
            break;
    }
    bool has_failed = why.failed;
    str_free(&why);
    return !has_failed;
}
