#include "config/value/number.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "config/value/mistakes.h"

/* What numbers of a type with a unit are called and how they are written. */
struct unit {
    const char *name;
    const char *units;
    const char *no_fraction; /* what to do instead of writing one */
};

static const struct unit *unit_of(enum key_type type)
{
    static const struct unit duration = {"duration", "ms s m h d",
                                         "write it in a smaller unit"};
    static const struct unit size = {"size", "B KB MB GB", "write it in a smaller unit"};
    static const struct unit percent = {"percentage", "%", "write it without the fraction"};
    if (type == KEY_DURATION)
        return &duration;
    if (type == KEY_SIZE)
        return &size;
    return type == KEY_PERCENT ? &percent : NULL;
}

/* "50%" */
static enum err parse_percent(const char *text, uint64_t *value)
{
    char number[STR_HUMAN_MAX];
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || strcmp(text + digits, "%") != 0)
        return ERR_INVALID;
    if (digits >= sizeof number)
        return ERR_RANGE;
    str_format(number, sizeof number, "%.*s", (int)digits, text);
    return str_parse_u64(number, value);
}

static enum err parse_number(enum key_type type, const char *text, uint64_t *value)
{
    if (type == KEY_DURATION)
        return str_parse_duration(text, value);
    if (type == KEY_SIZE)
        return str_parse_size(text, value);
    if (type == KEY_PERCENT)
        return parse_percent(text, value);
    return str_parse_u64(text, value);
}

static const char *number_text(enum key_type type, uint64_t value, char buf[STR_HUMAN_MAX])
{
    if (type == KEY_DURATION)
        return str_exact_duration(value, buf);
    if (type == KEY_SIZE)
        return str_exact_size(value, buf);
    str_format(buf, STR_HUMAN_MAX, "%" PRIu64 "%s", value, type == KEY_PERCENT ? "%" : "");
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

/* The default, if it is a number, else the least one. */
static const char *example_of(const struct key *key, char buf[STR_HUMAN_MAX])
{
    if (key->zero != NULL && strcmp(key->preset, key->zero) == 0)
        return number_text(key->type, key->min, buf);
    return key->preset;
}

/* Adds up "1h30m". False: it is something else. */
static bool read_sum(const char *text, uint64_t *sum)
{
    char part[STR_HUMAN_MAX];
    unsigned parts = 0;
    *sum = 0;
    while (*text != '\0') {
        uint64_t value;
        size_t digits = strspn(text, "0123456789");
        size_t len = digits + strcspn(text + digits, "0123456789");
        if (len >= sizeof part)
            return false;
        str_format(part, sizeof part, "%.*s", (int)len, text);
        if (str_parse_duration(part, &value) != ERR_OK || *sum + value < *sum)
            return false;
        *sum += value;
        text += len;
        ++parts;
    }
    return parts > 1;
}

/* "-5", "-5s" */
static bool is_negative(const struct key *key, const char *text)
{
    uint64_t value;
    return text[0] == '-' && (parse_number(key->type, text + 1, &value) == ERR_OK ||
                              str_parse_u64(text + 1, &value) == ERR_OK);
}

static void explain_range(const struct key *key, const char *text, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    str_addf(why, "%s is out of range; allowed is ", mistake_quote(text, quote));
    add_range(key, why);
}

/* Says why `text`, which the parser refused, is no number of the key's type. */
static void explain_number(const struct key *key, const char *text, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    char example[STR_HUMAN_MAX];
    uint64_t sum;
    if (is_negative(key, text)) {
        explain_range(key, text, why);
        return;
    }
    mistake_quote(text, quote);
    if (key->type == KEY_DURATION && read_sum(text, &sum)) {
        str_addf(why, "%s has several units; write it in one: %s", quote,
                 str_exact_duration(sum, example));
        return;
    }

    const struct unit *kind = unit_of(key->type);
    if (kind == NULL) {
        str_addf(why, "%s is not a number; write ", quote);
        add_range(key, why);
        return;
    }

    size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits;
    unit += strspn(unit, " \t");

    if (digits == 0)
        str_addf(why, "%s is not a %s; write a number with its unit", quote, kind->name);
    else if (*unit == '\0')
        str_addf(why, "%s has no unit; write it with one", quote);
    else if (*unit == '.' || *unit == ',')
        str_addf(why, "%s is not a whole number; %s", quote, kind->no_fraction);
    else if (is_number_with_blank(key->type, text, digits, unit))
        str_addf(why, "%s has a blank before its unit; write it without", quote);
    else
        str_addf(why, "%s has an unknown unit; write a known one", quote);
    if (key->preset != NULL)
        str_addf(why, ", such as %s", example_of(key, example));
    str_addf(why, " (units: %s; allowed: ", kind->units);
    add_range(key, why);
    str_add_char(why, ')');
}

static void set(const struct key *key, void *field, uint64_t number)
{
    if (key->size == sizeof(uint16_t)) {
        assert(number <= UINT16_MAX);
        *(uint16_t *)field = (uint16_t)number;
    } else if (key->size == sizeof(uint64_t)) {
        *(uint64_t *)field = number;
    } else {
        assert(key->size == sizeof(uint32_t) && number <= UINT32_MAX);
        *(uint32_t *)field = (uint32_t)number;
    }
}

bool number_read(const struct key *key, const char *text, void *field, struct str *why)
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
        explain_range(key, text, why);
        return false;
    }
    set(key, field, number);
    return true;
}

bool number_read_part(const struct key *key, const char *text, void *field, struct str *why)
{
    struct str detail;
    str_init(&detail);
    if (number_read(key, text, field, &detail))
        return true;
    mistake_of_part(why, key->name, &detail);
    return false;
}

uint64_t number_get(const struct key *key, const void *field)
{
    if (key->size == sizeof(uint16_t))
        return *(const uint16_t *)field;
    if (key->size == sizeof(uint64_t))
        return *(const uint64_t *)field;
    assert(key->size == sizeof(uint32_t));
    return *(const uint32_t *)field;
}

bool number_equal(const struct key *key, const void *a, const void *b)
{
    return number_get(key, a) == number_get(key, b);
}

void number_write(const struct key *key, const void *field, struct str *out)
{
    char buf[STR_HUMAN_MAX];
    uint64_t number = number_get(key, field);
    bool is_zero_word = number == 0 && key->zero != NULL;
    str_add(out, is_zero_word ? key->zero : number_text(key->type, number, buf));
}
