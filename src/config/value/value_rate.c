#include "config/value/value_rate.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "config/conf.h"
#include "config/value/mistakes.h"
#include "config/value/number.h"
#include "config/value/words.h"

#define KB      UINT64_C(1024)
#define MB      (1024 * KB)
#define GB      (1024 * MB)
#define SECONDS UINT64_C(1000)
#define HOURS   (3600 * SECONDS)

#define OF(type, field) .offset = offsetof(type, field), .size = sizeof(((type *)0)->field)

#define ENOUGH_MS 10 /* a burst holds what comes in this time */

/* A value cut into words, the first of them at its slash: "10/s burst 20". */
struct parts {
    char copy[CONF_LINE_MAX + 1];
    const char *number; /* "10" */
    const char *unit;   /* "s", NULL: there is no slash */
    const char *word;   /* "burst", NULL: there is no more */
    const char *second; /* "20", NULL: there is no more */
    bool too_many;      /* there is more behind it */
};

static void cut(const char *text, struct parts *parts)
{
    char *words[3] = {NULL, NULL, NULL};
    str_format(parts->copy, sizeof parts->copy, "%s", text);
    parts->too_many = words_split(parts->copy, words, 3) > 3;
    parts->number = words[0];
    parts->word = words[1];
    parts->second = words[2];
    char *slash = strchr(words[0], '/');
    parts->unit = slash != NULL ? slash + 1 : NULL;
    if (slash != NULL)
        *slash = '\0';
}

/* "10mbps", "10 Mbit/s": what providers sell. */
static bool is_in_bits(const char *text)
{
    for (; text[0] != '\0' && text[1] != '\0' && text[2] != '\0'; ++text) {
        char second = (char)(text[1] | 0x20), third = (char)(text[2] | 0x20);
        if ((text[0] | 0x20) == 'b' &&
            ((second == 'p' && third == 's') || (second == 'i' && third == 't')))
            return true;
    }
    return false;
}

/* False, and the reason told, unless the value is NUMBER/UNIT, or that and `word` with a second
 * number. */
static bool check_parts(const char *text, const struct parts *parts, const char *word,
                        const char *example, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    mistake_quote(text, quote);
    bool counts_bytes = strchr(example, 'B') != NULL;
    if (is_in_bits(text) && counts_bytes) {
        str_addf(why, "%s counts bits; write bytes, such as %s (8 Mbit/s are about 1MB/s)",
                 quote, example);
        return false;
    }
    if (is_in_bits(text)) {
        str_addf(why, "%s counts bits, this key counts clients; write such as %s", quote,
                 example);
        return false;
    }
    if (parts->unit == NULL && parts->word != NULL && parts->word[0] != '/' &&
        strchr(parts->word, '/') != NULL) {
        str_addf(why, "%s has a blank before its unit; write it without: %s%s", quote,
                 parts->number, parts->word);
        return false;
    }
    if (parts->unit == NULL && parts->word != NULL && parts->word[0] == '/') {
        str_addf(why, "%s has a blank before its slash; write it without, such as %s", quote,
                 example);
        return false;
    }
    if (parts->unit == NULL && parts->number[0] >= '0' && parts->number[0] <= '9') {
        str_addf(why, "%s does not say in which time; write such as %s", quote, example);
        return false;
    }
    bool is_known = parts->unit != NULL && !parts->too_many &&
                    (parts->word == NULL || strcmp(parts->word, word) == 0);
    if (!is_known) {
        str_addf(why, "%s is not known; write off, or such as %s", quote, example);
        return false;
    }
    if (parts->word != NULL && parts->second == NULL) {
        str_addf(why, "%s has no number; write such as %s", word, example);
        return false;
    }
    return true;
}

/* ---- so many in a time ---- */

#define RATE_EXAMPLE "10/s burst 20"

static const struct key rate_count = {
    .type = KEY_COUNT, .min = 1, .max = 1000000, OF(struct conf_rate, count)};
static const struct key rate_burst = {
    .name = "burst", .type = KEY_COUNT, .min = 1, .max = 1000000, OF(struct conf_rate, burst)};

static const struct {
    const char *name;
    uint32_t ms;
} times[] = {{"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}};

#define TIMES (sizeof times / sizeof times[0])

static const char *time_name(uint32_t ms)
{
    for (size_t i = 0; i < TIMES; ++i)
        if (times[i].ms == ms)
            return times[i].name;
    assert(false && "not a time that a rate is written in");
    return "";
}

static bool read_time(const char *unit, uint32_t *ms, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    for (size_t i = 0; i < TIMES; ++i) {
        if (strcmp(unit, times[i].name) == 0) {
            *ms = times[i].ms;
            return true;
        }
    }
    str_addf(why, "%s behind the slash is not known; write /s, /m or /h",
             mistake_quote(unit, quote));
    return false;
}

/* The least burst with which a rate is reached. */
static uint32_t enough_of(const struct conf_rate *rate)
{
    uint64_t enough = ((uint64_t)rate->count * ENOUGH_MS + rate->per_ms - 1) / rate->per_ms;
    return (uint32_t)enough;
}

bool value_read_rate(const struct key *key, const char *text, void *field, struct str *why)
{
    struct conf_rate *out = field;
    (void)key;
    struct conf_rate rate = {0};
    struct parts parts;
    if (strcmp(text, "off") == 0) {
        *out = rate;
        return true;
    }
    cut(text, &parts);
    if (!check_parts(text, &parts, "burst", RATE_EXAMPLE, why) ||
        !number_read(&rate_count, parts.number, &rate.count, why) ||
        !read_time(parts.unit, &rate.per_ms, why))
        return false;

    rate.burst = (uint32_t)((uint64_t)rate.count * 1000 / rate.per_ms);
    if (rate.burst == 0)
        rate.burst = 1;
    if (parts.second != NULL && !number_read_part(&rate_burst, parts.second, &rate.burst, why))
        return false;
    if (rate.burst < enough_of(&rate)) {
        str_addf(why,
                 "burst: %" PRIu32 " is less than what comes in %d ms at %" PRIu32 "/%s, which "
                 "would not be reached; write at least %" PRIu32,
                 rate.burst, ENOUGH_MS, rate.count, time_name(rate.per_ms), enough_of(&rate));
        return false;
    }
    *out = rate;
    return true;
}

void value_write_rate(const struct key *key, const void *field, struct str *out)
{
    const struct conf_rate *rate = field;
    (void)key;
    if (rate->count == 0) {
        str_add(out, "off");
        return;
    }
    str_addf(out, "%" PRIu32 "/%s burst %" PRIu32, rate->count, time_name(rate->per_ms),
             rate->burst);
}

/* ---- so many bytes in a second ---- */

#define PACE_EXAMPLE     "1MB/s burst 256KB"
#define MIN_RATE_EXAMPLE "100B/s over 30s"
#define DEFAULT_BURST    (16 * KB) /* at least */

static const struct key pace_rate = {.type = KEY_SIZE,
                                     .preset = "1MB",
                                     .min = 1 * KB,
                                     .max = 100 * GB,
                                     OF(struct conf_pace, bytes_per_s)};
static const struct key pace_burst = {.name = "burst",
                                      .type = KEY_SIZE,
                                      .preset = "256KB",
                                      .min = 4 * KB,
                                      .max = 1 * GB,
                                      OF(struct conf_pace, burst_bytes)};
static const struct key min_rate_rate = {.type = KEY_SIZE,
                                         .preset = "100B",
                                         .min = 1,
                                         .max = 1 * GB,
                                         OF(struct conf_min_rate, bytes_per_s)};
static const struct key min_rate_over = {.name = "over",
                                         .type = KEY_DURATION,
                                         .preset = "30s",
                                         .min = 1 * SECONDS,
                                         .max = 1 * HOURS,
                                         OF(struct conf_min_rate, over_ms)};

static bool check_second(const char *unit, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    if (strcmp(unit, "s") == 0)
        return true;
    str_addf(why, "%s behind the slash is not known; bytes are written with /s",
             mistake_quote(unit, quote));
    return false;
}

static uint32_t default_burst(uint64_t bytes_per_s)
{
    uint64_t burst = bytes_per_s / 4;
    if (burst < DEFAULT_BURST)
        burst = DEFAULT_BURST;
    return (uint32_t)(burst < pace_burst.max ? burst : pace_burst.max);
}

static bool check_burst(const struct conf_pace *pace, struct str *why)
{
    char burst[STR_HUMAN_MAX];
    char rate[STR_HUMAN_MAX];
    char least[STR_HUMAN_MAX];
    uint64_t enough = (pace->bytes_per_s * ENOUGH_MS + 999) / 1000;
    if (pace->burst_bytes >= enough)
        return true;
    str_addf(why,
             "burst: %s is less than what comes in %d ms at %s/s, which would not be reached; "
             "write at least %s",
             str_exact_size(pace->burst_bytes, burst), ENOUGH_MS,
             str_exact_size(pace->bytes_per_s, rate), str_exact_size(enough, least));
    return false;
}

bool value_read_pace(const struct key *key, const char *text, void *field, struct str *why)
{
    struct conf_pace *out = field;
    (void)key;
    struct conf_pace pace;
    struct parts parts;
    memset(&pace, 0, sizeof pace);
    if (strcmp(text, "off") == 0) {
        memcpy(out, &pace, sizeof pace);
        return true;
    }
    cut(text, &parts);
    if (!check_parts(text, &parts, "burst", PACE_EXAMPLE, why) ||
        !check_second(parts.unit, why) ||
        !number_read(&pace_rate, parts.number, &pace.bytes_per_s, why))
        return false;
    pace.burst_bytes = default_burst(pace.bytes_per_s);
    if (parts.second != NULL &&
        !number_read_part(&pace_burst, parts.second, &pace.burst_bytes, why))
        return false;
    if (!check_burst(&pace, why))
        return false;
    memcpy(out, &pace, sizeof pace);
    return true;
}

void value_write_pace(const struct key *key, const void *field, struct str *out)
{
    const struct conf_pace *pace = field;
    (void)key;
    if (pace->bytes_per_s == 0) {
        str_add(out, "off");
        return;
    }
    number_write(&pace_rate, &pace->bytes_per_s, out);
    str_add(out, "/s burst ");
    number_write(&pace_burst, &pace->burst_bytes, out);
}

bool value_equal_pace(const struct key *key, const void *a, const void *b)
{
    const struct conf_pace *left = a;
    const struct conf_pace *right = b;
    (void)key;
    return left->bytes_per_s == right->bytes_per_s && left->burst_bytes == right->burst_bytes;
}

bool value_read_min_rate(const struct key *key, const char *text, void *field, struct str *why)
{
    struct conf_min_rate *out = field;
    (void)key;
    struct conf_min_rate rate;
    struct parts parts;
    memset(&rate, 0, sizeof rate);
    if (strcmp(text, "off") == 0) {
        memcpy(out, &rate, sizeof rate);
        return true;
    }
    cut(text, &parts);
    if (!check_parts(text, &parts, "over", MIN_RATE_EXAMPLE, why) ||
        !check_second(parts.unit, why) ||
        !number_read(&min_rate_rate, parts.number, &rate.bytes_per_s, why))
        return false;
    if (parts.second == NULL) {
        str_add(why, "it does not say over which time that is measured; write such "
                     "as " MIN_RATE_EXAMPLE);
        return false;
    }
    if (!number_read_part(&min_rate_over, parts.second, &rate.over_ms, why))
        return false;
    memcpy(out, &rate, sizeof rate);
    return true;
}

void value_write_min_rate(const struct key *key, const void *field, struct str *out)
{
    const struct conf_min_rate *rate = field;
    (void)key;
    if (rate->bytes_per_s == 0) {
        str_add(out, "off");
        return;
    }
    number_write(&min_rate_rate, &rate->bytes_per_s, out);
    str_add(out, "/s over ");
    number_write(&min_rate_over, &rate->over_ms, out);
}

bool value_equal_min_rate(const struct key *key, const void *a, const void *b)
{
    const struct conf_min_rate *left = a;
    const struct conf_min_rate *right = b;
    (void)key;
    return left->bytes_per_s == right->bytes_per_s && left->over_ms == right->over_ms;
}
