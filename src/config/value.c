#include "config/value.h"

#include <assert.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "config/mistakes.h"

static const char *const console_words[] = {
    [CONF_CONSOLE_LOCAL] = "local",
    [CONF_CONSOLE_NONE] = "none",
};
static const size_t console_word_count = sizeof console_words / sizeof console_words[0];

void *value_field(const struct key *key, void *owner)
{
    return (char *)owner + key->offset;
}

const void *value_field_const(const struct key *key, const void *owner)
{
    return (const char *)owner + key->offset;
}

/* ---- numbers with and without units ---- */

static enum err parse_number(enum key_type type, const char *text, uint64_t *value)
{
    if (type == KEY_DURATION)
        return str_parse_duration(text, value);
    if (type == KEY_SIZE)
        return str_parse_size(text, value);
    return str_parse_u64(text, value);
}

static const char *number_text(enum key_type type, uint64_t value, char buf[STR_HUMAN_MAX])
{
    if (type == KEY_DURATION)
        return str_exact_duration(value, buf);
    if (type == KEY_SIZE)
        return str_exact_size(value, buf);
    str_format(buf, STR_HUMAN_MAX, "%" PRIu64, value);
    return buf;
}

/* "off, or 1s to 9h" */
static void add_range(const struct key *key, struct str *why)
{
    char min[STR_HUMAN_MAX];
    char max[STR_HUMAN_MAX];
    if (key->zero != NULL)
        str_addf(why, "%s, or ", key->zero);
    str_addf(why, "%s to %s", number_text(key->type, key->min, min),
             number_text(key->type, key->max, max));
}

/* True for "5 s", where the blanks between the digits and the unit are all that is wrong. */
static bool is_number_with_blank(enum key_type type, const char *text, size_t digits,
                                 const char *unit)
{
    char joined[MISTAKE_QUOTE_MAX];
    uint64_t value;
    if (digits + strlen(unit) >= sizeof joined)
        return false;
    str_format(joined, sizeof joined, "%.*s%s", (int)digits, text, unit);
    return parse_number(type, joined, &value) == ERR_OK;
}

/* Says why `text`, which the parser refused, is no number of the key's type. */
static void explain_number(const struct key *key, const char *text, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    mistake_quote(text, quote);

    if (key->type != KEY_DURATION && key->type != KEY_SIZE) {
        str_addf(why, "%s is not a number; write ", quote);
        add_range(key, why);
        return;
    }

    bool is_duration = key->type == KEY_DURATION;
    size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits;
    unit += strspn(unit, " \t");

    if (digits == 0)
        str_addf(why, "%s is not a %s; write a number with its unit", quote,
                 is_duration ? "duration" : "size");
    else if (*unit == '\0')
        str_addf(why, "%s has no unit; write it with one", quote);
    else if (*unit == '.' || *unit == ',')
        str_addf(why, "%s is not a whole number; write it in a smaller unit", quote);
    else if (is_number_with_blank(key->type, text, digits, unit))
        str_addf(why, "%s has a blank before its unit; write it without", quote);
    else
        str_addf(why, "%s has an unknown unit; write a known one", quote);
    str_addf(why, ", such as %s (units: %s; allowed: ", key->preset,
             is_duration ? "ms s m h d" : "B KB MB GB");
    add_range(key, why);
    str_add_char(why, ')');
}

static bool read_number(const struct key *key, const char *text, uint64_t *value,
                        struct str *why)
{
    uint64_t number = 0;
    enum err err = ERR_OK;
    if (key->zero == NULL || strcmp(text, key->zero) != 0)
        err = parse_number(key->type, text, &number);
    if (err == ERR_INVALID) {
        explain_number(key, text, why);
        return false;
    }
    bool is_zero_word = number == 0 && key->zero != NULL;
    if (err != ERR_OK || ((number < key->min || number > key->max) && !is_zero_word)) {
        char quote[MISTAKE_QUOTE_MAX];
        str_addf(why, "%s is out of range; allowed is ", mistake_quote(text, quote));
        add_range(key, why);
        return false;
    }
    *value = number;
    return true;
}

/* ---- words ---- */

/* "'wraning' is not known; write error, warning, notice, info or debug" */
static void explain_word(const char *text, const char *const words[], size_t count,
                         struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    str_addf(why, "%s is not known; write ", mistake_quote(text, quote));
    for (size_t i = 0; i < count; ++i)
        str_addf(why, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", words[i]);
}

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
    if (log_level_parse(text, value))
        return true;
    const char *words[LOG_DEBUG + 1];
    for (int level = LOG_ERROR; level <= LOG_DEBUG; ++level)
        words[level] = log_level_word((enum log_level)level);
    explain_word(text, words, LOG_DEBUG + 1, why);
    return false;
}

static bool read_console(const char *text, enum conf_console *value, struct str *why)
{
    for (size_t i = 0; i < console_word_count; ++i) {
        if (strcmp(text, console_words[i]) == 0) {
            *value = (enum conf_console)i;
            return true;
        }
    }
    explain_word(text, console_words, console_word_count, why);
    return false;
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

bool value_read(const struct key *key, const char *text, void *field, struct str *why)
{
    if (*text == '\0' && !(key->type == KEY_TEXT && key->min == 0)) {
        str_addf(why, "there is no value; the default is %s", key->preset);
        return false;
    }

    switch (key->type) {
    case KEY_COUNT:
    case KEY_WORKERS:
    case KEY_DURATION:
    case KEY_SIZE: {
        uint64_t number;
        if (!read_number(key, text, &number, why))
            return false;
        assert(key->size == sizeof(uint32_t) && number <= UINT32_MAX);
        *(uint32_t *)field = (uint32_t)number;
        return true;
    }
    case KEY_BOOL: return read_bool(text, field, why);
    case KEY_LEVEL: return read_level(text, field, why);
    case KEY_CONSOLE_MODE: return read_console(text, field, why);
    case KEY_TEXT: return read_text(key, text, field, why);
    case KEY_LISTEN:
    case KEY_UPSTREAM: break;
    }
    assert(false && "a key of lists");
    return false;
}

void value_write(const struct key *key, const void *field, struct str *out)
{
    char buf[STR_HUMAN_MAX];

    switch (key->type) {
    case KEY_COUNT:
    case KEY_WORKERS:
    case KEY_DURATION:
    case KEY_SIZE: {
        uint32_t number = *(const uint32_t *)field;
        bool is_zero_word = number == 0 && key->zero != NULL;
        str_add(out, is_zero_word ? key->zero : number_text(key->type, number, buf));
        return;
    }
    case KEY_BOOL: str_add(out, *(const bool *)field ? "yes" : "no"); return;
    case KEY_LEVEL: str_add(out, log_level_word(*(const enum log_level *)field)); return;
    case KEY_CONSOLE_MODE:
        str_add(out, console_words[*(const enum conf_console *)field]);
        return;
    case KEY_TEXT: str_add(out, field); return;
    case KEY_LISTEN:
    case KEY_UPSTREAM: break;
    }
    assert(false && "a key of lists");
}

void value_preset(enum key_section section, void *owner)
{
    struct str why;
    str_init(&why);
    for (size_t i = 0; i < key_count; ++i) {
        if (keys[i].section != section || keys[i].preset == NULL)
            continue;
        bool ok = value_read(&keys[i], keys[i].preset, value_field(&keys[i], owner), &why);
        assert(ok && "a default of the table is within its range");
        (void)ok;
    }
    str_free(&why);
}
