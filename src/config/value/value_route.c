#include "config/value/value_route.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "config/conf.h"
#include "config/value/mistakes.h"
#include "config/value/number.h"
#include "config/value/option.h"
#include "config/value/words.h"

#define SECONDS UINT64_C(1000)
#define MINUTES (60 * SECONDS)
#define HOURS   (60 * MINUTES)

#define OF(type, field) .offset = offsetof(type, field), .size = sizeof(((type *)0)->field)

static bool is_word(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(text, word, len) == 0;
}

/* ---- when_down ---- */

static const struct key hold_time = {.name = "hold",
                                     .type = KEY_DURATION,
                                     .preset = "30s",
                                     .min = 100,
                                     .max = 1 * HOURS,
                                     OF(struct conf_route, hold_ms)};

bool value_read_when_down(const struct key *key, const char *text, void *owner, struct str *why)
{
    struct conf_route *route = owner;
    (void)key;
    const char *time;
    size_t len = words_first(text, &time);
    uint32_t hold_ms = 0;
    char quote[MISTAKE_QUOTE_MAX];

    if (is_word(text, len, "hold")) {
        if (*time == '\0') {
            str_add(why, "hold has no time; write how long a client waits at most, such as "
                         "hold 30s");
            return false;
        }
        if (!number_read_part(&hold_time, time, &hold_ms, why))
            return false;
    } else if (strcmp(text, "refuse") != 0) {
        str_addf(why, "%s is not known; write refuse, or such as hold 30s",
                 mistake_quote(text, quote));
        return false;
    }
    route->when_down = hold_ms > 0 ? CONF_HOLD : CONF_REFUSE;
    route->hold_ms = hold_ms;
    return true;
}

void value_write_when_down(const struct key *key, const void *owner, struct str *out)
{
    const struct conf_route *route = owner;
    (void)key;
    switch (route->when_down) {
    case CONF_REFUSE: str_add(out, "refuse"); return;
    case CONF_HOLD:
        str_add(out, "hold ");
        number_write(&hold_time, &route->hold_ms, out);
        return;
    }
    assert(false && "not a choice");
}

bool value_equal_when_down(const struct key *key, const void *a, const void *b)
{
    const struct conf_route *left = a;
    const struct conf_route *right = b;
    (void)key;
    return left->when_down == right->when_down && left->hold_ms == right->hold_ms;
}

bool value_copy_when_down(const struct key *key, const void *from, void *to)
{
    const struct conf_route *source = from;
    struct conf_route *target = to;
    (void)key;
    target->when_down = source->when_down;
    target->hold_ms = source->hold_ms;
    return true;
}

/* ---- health ---- */

#define FAST_MIN 100 /* milliseconds; and the shortest interval */

enum { INTERVAL, TIMEOUT, RISE, FALL, FAST, PORT, SEND, EXPECT, END };

static const char *const end_words[] = {
    [CONF_CHECK_FIN] = "fin", [CONF_CHECK_RESET] = "reset", NULL};

/* The defaults of `timeout` and `fast` are those of the default interval, see
 * follow_interval(). */
static const struct key health_keys[] = {
    [INTERVAL] = {.name = "interval",
                  .type = KEY_DURATION,
                  .preset = "2s",
                  .min = FAST_MIN,
                  .max = 1 * HOURS,
                  OF(struct conf_health, interval_ms),
                  .help = "interval=2s"},
    [TIMEOUT] = {.name = "timeout",
                 .type = KEY_DURATION,
                 .preset = "1s",
                 .min = 10,
                 .max = 1 * MINUTES,
                 OF(struct conf_health, timeout_ms),
                 .help = "timeout=1s"},
    [RISE] = {.name = "rise",
              .type = KEY_COUNT,
              .preset = "2",
              .min = 1,
              .max = 100,
              OF(struct conf_health, rise),
              .help = "rise=2"},
    [FALL] = {.name = "fall",
              .type = KEY_COUNT,
              .preset = "3",
              .min = 1,
              .max = 100,
              OF(struct conf_health, fall),
              .help = "fall=3"},
    [FAST] = {.name = "fast",
              .type = KEY_DURATION,
              .preset = "1s",
              .min = FAST_MIN,
              .max = 1 * HOURS,
              OF(struct conf_health, fast_ms),
              .help = "fast=1s"},
    [PORT] = {.name = "port",
              .type = KEY_COUNT,
              .min = 1,
              .max = UINT16_MAX,
              OF(struct conf_health, port),
              .help = "port=7000"},
    [SEND] = {.name = "send",
              .type = KEY_BYTES,
              OF(struct conf_health, send),
              .help = "send=\"PING\\r\\n\""},
    [EXPECT] = {.name = "expect",
                .type = KEY_BYTES,
                OF(struct conf_health, expect),
                .help = "expect=\"PONG\""},
    [END] = {.name = "end",
             .type = KEY_CHOICE,
             OF(struct conf_health, end),
             .words = end_words,
             .help = "end=reset"},
};

static const struct options health_options = {health_keys,
                                              sizeof health_keys / sizeof health_keys[0]};

/* What was not given fits the interval that was. */
static void follow_interval(struct conf_health *health, const bool given[OPTIONS_MAX])
{
    if (!given[TIMEOUT] && health->timeout_ms > health->interval_ms)
        health->timeout_ms = health->interval_ms;
    if (!given[FAST]) {
        health->fast_ms = health->interval_ms / 2;
        if (health->fast_ms < FAST_MIN)
            health->fast_ms = FAST_MIN;
    }
}

/* False when a time that was given is longer than the interval. */
static bool check_interval(const struct conf_health *health, struct str *why)
{
    char text[STR_HUMAN_MAX];
    char interval[STR_HUMAN_MAX];
    str_exact_duration(health->interval_ms, interval);
    if (health->timeout_ms > health->interval_ms) {
        str_addf(why,
                 "timeout: %s is longer than the interval of %s, so checks would get in each "
                 "other's way; write a shorter timeout or a longer interval",
                 str_exact_duration(health->timeout_ms, text), interval);
        return false;
    }
    if (health->fast_ms > health->interval_ms) {
        str_addf(why,
                 "fast: %s is longer than the interval of %s; write a shorter one, or leave it "
                 "out for half the interval",
                 str_exact_duration(health->fast_ms, text), interval);
        return false;
    }
    return true;
}

bool value_read_health(const struct key *key, const char *text, void *field, struct str *why)
{
    struct conf_health *out = field;
    (void)key;
    struct conf_health health = {.on = true};
    bool given[OPTIONS_MAX];
    const char *rest;
    char quote[MISTAKE_QUOTE_MAX];
    size_t len = words_first(text, &rest);

    if (strcmp(text, "off") == 0) {
        memset(out, 0, sizeof *out);
        return true;
    }
    if (!is_word(text, len, "tcp")) {
        str_addf(why,
                 "%s is not known; write off, or tcp and its options, such as tcp "
                 "interval=2s",
                 mistake_quote(text, quote));
        return false;
    }
    if (!option_read(&health_options, rest, &health, given, why))
        return false;
    follow_interval(&health, given);
    if (!check_interval(&health, why))
        return false;
    *out = health;
    return true;
}

void value_write_health(const struct key *key, const void *field, struct str *out)
{
    const struct conf_health *health = field;
    (void)key;
    str_add(out, health->on ? "tcp" : "off");
    if (health->on)
        option_write(&health_options, health, true, out);
}

static bool same_bytes(const struct conf_bytes *a, const struct conf_bytes *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

bool value_equal_health(const struct key *key, const void *a, const void *b)
{
    const struct conf_health *left = a;
    const struct conf_health *right = b;
    (void)key;
    return left->on == right->on && left->port == right->port &&
           left->interval_ms == right->interval_ms && left->timeout_ms == right->timeout_ms &&
           left->rise == right->rise && left->fall == right->fall &&
           left->fast_ms == right->fast_ms && left->end == right->end &&
           same_bytes(&left->send, &right->send) && same_bytes(&left->expect, &right->expect);
}

/* ---- refuse ---- */

static const struct key tarpit_time = {.name = "tarpit",
                                       .type = KEY_DURATION,
                                       .preset = "10s",
                                       .min = 100,
                                       .max = 10 * MINUTES,
                                       OF(struct conf_route, tarpit_ms)};

bool value_read_refuse(const struct key *key, const char *text, void *owner, struct str *why)
{
    struct conf_route *route = owner;
    (void)key;
    const char *time;
    size_t len = words_first(text, &time);
    enum conf_refuse refuse = CONF_REFUSE_RESET;
    uint32_t tarpit_ms = 0;
    char quote[MISTAKE_QUOTE_MAX];

    if (is_word(text, len, "tarpit")) {
        if (*time == '\0') {
            str_add(why, "tarpit has no time; write how long a client is kept, such as tarpit "
                         "10s");
            return false;
        }
        if (!number_read_part(&tarpit_time, time, &tarpit_ms, why))
            return false;
        refuse = CONF_REFUSE_TARPIT;
    } else if (strcmp(text, "close") == 0) {
        refuse = CONF_REFUSE_CLOSE;
    } else if (strcmp(text, "reset") != 0) {
        str_addf(why, "%s is not known; write reset, close, or such as tarpit 10s",
                 mistake_quote(text, quote));
        return false;
    }
    route->refuse = refuse;
    route->tarpit_ms = tarpit_ms;
    return true;
}

void value_write_refuse(const struct key *key, const void *owner, struct str *out)
{
    const struct conf_route *route = owner;
    (void)key;
    switch (route->refuse) {
    case CONF_REFUSE_RESET: str_add(out, "reset"); return;
    case CONF_REFUSE_CLOSE: str_add(out, "close"); return;
    case CONF_REFUSE_TARPIT:
        str_add(out, "tarpit ");
        number_write(&tarpit_time, &route->tarpit_ms, out);
        return;
    }
    assert(false && "not a choice");
}

bool value_equal_refuse(const struct key *key, const void *a, const void *b)
{
    const struct conf_route *left = a;
    const struct conf_route *right = b;
    (void)key;
    return left->refuse == right->refuse && left->tarpit_ms == right->tarpit_ms;
}

bool value_copy_refuse(const struct key *key, const void *from, void *to)
{
    const struct conf_route *source = from;
    struct conf_route *target = to;
    (void)key;
    target->refuse = source->refuse;
    target->tarpit_ms = source->tarpit_ms;
    return true;
}
