#include "config/value/value.h"

#include <assert.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "base/addr.h"
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

static bool read_bool(const struct key *key, const char *text, void *field, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    (void)key;
    if (str_parse_bool(text, field) == ERR_OK)
        return true;
    str_addf(why, "%s is neither yes nor no; write one of them", mistake_quote(text, quote));
    return false;
}

static bool read_level(const struct key *key, const char *text, void *field, struct str *why)
{
    const char *words[LOG_DEBUG + 2] = {NULL};
    size_t index;
    (void)key;
    for (int level = LOG_ERROR; level <= LOG_DEBUG; ++level)
        words[level] = log_level_word((enum log_level)level);
    if (!words_find(text, words, &index, why))
        return false;
    *(enum log_level *)field = (enum log_level)index;
    return true;
}

static bool read_text(const struct key *key, const char *text, void *field, struct str *why)
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
    memset(field, 0, key->size);
    memcpy(field, text, len);
    return true;
}

static bool read_choice(const struct key *key, const char *text, void *field, struct str *why)
{
    return words_read_choice(text, key->words, field, why);
}

static void write_bool(const struct key *key, const void *field, struct str *out)
{
    (void)key;
    str_add(out, *(const bool *)field ? "yes" : "no");
}

static void write_level(const struct key *key, const void *field, struct str *out)
{
    (void)key;
    str_add(out, log_level_word(*(const enum log_level *)field));
}

static void write_choice(const struct key *key, const void *field, struct str *out)
{
    str_add(out, key->words[words_choice(field)]);
}

static void write_text(const struct key *key, const void *field, struct str *out)
{
    (void)key;
    str_add(out, field);
}

static_assert(sizeof(struct conf_eject) == 2 * sizeof(uint32_t) + sizeof(uint64_t) &&
                  sizeof(struct conf_rate) == 3 * sizeof(uint32_t),
              "there are no gaps, whose bytes may differ");

/* What has no gaps. */
static bool equal_plain(const struct key *key, const void *a, const void *b)
{
    return memcmp(a, b, key->size) == 0;
}

static bool equal_text(const struct key *key, const void *a, const void *b)
{
    (void)key;
    return strcmp(a, b) == 0;
}

/* ---- addresses ---- */

static bool equal_listens(const struct key *key, const void *left, const void *right)
{
    const struct conf_route *a = left;
    const struct conf_route *b = right;
    (void)key;
    bool same = a->listen_count == b->listen_count;
    for (size_t i = 0; same && i < a->listen_count; ++i)
        same = addr_equal(&a->listens[i].addr, &b->listens[i].addr) &&
               a->listens[i].port_count == b->listens[i].port_count &&
               a->listens[i].dual_stack == b->listens[i].dual_stack;
    return same;
}

static bool same_upstream(const struct conf_upstream *a, const struct conf_upstream *b)
{
    return strcmp(a->name, b->name) == 0 && a->weight == b->weight &&
           a->max_sessions == b->max_sessions && a->slow_start_ms == b->slow_start_ms &&
           a->backup == b->backup && a->disabled == b->disabled;
}

static bool equal_upstreams(const struct key *key, const void *left, const void *right)
{
    const struct conf_route *a = left;
    const struct conf_route *b = right;
    (void)key;
    bool same = a->upstream_count == b->upstream_count;
    for (size_t i = 0; same && i < a->upstream_count; ++i)
        same = same_upstream(&a->upstreams[i], &b->upstreams[i]);
    return same;
}

/* ---- types ---- */

/* What can be done with a value; NULL: not by itself. Its place is its field, or with `of_route`
 * the whole route, where more than one field belongs to it. Without a `copy` the field is
 * copied. */
static const struct type {
    bool (*read)(const struct key *key, const char *text, void *place, struct str *why);
    void (*write)(const struct key *key, const void *place, struct str *out);
    bool (*equal)(const struct key *key, const void *a, const void *b);
    bool (*copy)(const struct key *key, const void *from, void *to);
    bool of_route;
} types[] = {
    [KEY_COUNT] = {.read = number_read, .write = number_write, .equal = number_equal},
    [KEY_WORKERS] = {.read = number_read, .write = number_write, .equal = number_equal},
    [KEY_DURATION] = {.read = number_read, .write = number_write, .equal = number_equal},
    [KEY_SIZE] = {.read = number_read, .write = number_write, .equal = number_equal},
    [KEY_PERCENT] = {.read = number_read, .write = number_write, .equal = number_equal},
    [KEY_BOOL] = {.read = read_bool, .write = write_bool, .equal = equal_plain},
    [KEY_LEVEL] = {.read = read_level, .write = write_level, .equal = equal_plain},
    [KEY_CHOICE] = {.read = read_choice, .write = write_choice, .equal = equal_plain},
    [KEY_TEXT] = {.read = read_text, .write = write_text, .equal = equal_text},
    [KEY_WHEN_DOWN] = {.read = value_read_when_down,
                       .write = value_write_when_down,
                       .equal = value_equal_when_down,
                       .copy = value_copy_when_down,
                       .of_route = true},
    [KEY_HEALTH] = {.read = value_read_health,
                    .write = value_write_health,
                    .equal = value_equal_health},
    [KEY_EJECT] = {.read = value_read_eject, .write = value_write_eject, .equal = equal_plain},
    [KEY_BAN_AFTER] = {.read = value_read_eject,
                       .write = value_write_eject,
                       .equal = equal_plain},
    [KEY_RATE] = {.read = value_read_rate, .write = value_write_rate, .equal = equal_plain},
    [KEY_PACE] = {.read = value_read_pace,
                  .write = value_write_pace,
                  .equal = value_equal_pace},
    [KEY_MIN_RATE] = {.read = value_read_min_rate,
                      .write = value_write_min_rate,
                      .equal = value_equal_min_rate},
    [KEY_REFUSE] = {.read = value_read_refuse,
                    .write = value_write_refuse,
                    .equal = value_equal_refuse,
                    .copy = value_copy_refuse,
                    .of_route = true},
    [KEY_SOURCE] = {.read = value_read_list,
                    .write = value_write_list,
                    .equal = value_equal_list,
                    .copy = value_copy_list,
                    .of_route = true},
    [KEY_TRUST] = {.read = value_read_list,
                   .write = value_write_list,
                   .equal = value_equal_list,
                   .copy = value_copy_list,
                   .of_route = true},
    [KEY_EXEMPT] = {.read = value_read_list,
                    .write = value_write_list,
                    .equal = value_equal_list,
                    .copy = value_copy_list,
                    .of_route = true},
    [KEY_ACCESS] = {.write = value_write_access, .equal = value_equal_access, .of_route = true},
    [KEY_LISTEN] = {.equal = equal_listens, .of_route = true},
    [KEY_UPSTREAM] = {.equal = equal_upstreams, .of_route = true},
};

/* ---- any key ---- */

static const void *place_of(const struct key *key, const void *owner)
{
    return types[key->type].of_route ? owner : value_field_const(key, owner);
}

static bool read_any(const struct key *key, const char *text, void *owner, struct str *why)
{
    const struct type *type = &types[key->type];
    assert(type->read != NULL && "not a value by itself");
    return type->read(key, text, type->of_route ? owner : value_field(key, owner), why);
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
    assert(types[key->type].write != NULL && "not a value by itself");
    types[key->type].write(key, place_of(key, owner), out);
}

bool value_equal(const struct key *key, const void *a, const void *b)
{
    return types[key->type].equal(key, place_of(key, a), place_of(key, b));
}

bool value_copy(const struct key *key, const void *from, void *to)
{
    if (types[key->type].copy != NULL)
        return types[key->type].copy(key, from, to);
    memcpy(value_field(key, to), value_field_const(key, from), key->size);
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
