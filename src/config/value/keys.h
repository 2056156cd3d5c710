/* keys.h - the one table of configuration keys.
 *
 * Parser, checker, `show config`, the tables of conf/README.md and the tests of the example
 * files all read this table; a key exists when it stands here.
 *
 * Threads: any; constant.
 */
#ifndef PAIRPORT_CONFIG_VALUE_KEYS_H
#define PAIRPORT_CONFIG_VALUE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for arrays with one element a key, indexed as keys[]. */
#define KEYS_MAX 96

enum key_section { KEY_RELAY, KEY_CONSOLE, KEY_ROUTE /* also in [defaults] */ };

/* What can be done with the values of each: the table in value.c, and config_json.c. */
enum key_type {
    KEY_COUNT,     /* uint32_t, or uint16_t or uint64_t as `size` says */
    KEY_WORKERS,   /* unsigned */
    KEY_DURATION,  /* milliseconds: uint32_t, or uint64_t as `size` says */
    KEY_SIZE,      /* bytes: uint32_t, or uint64_t as `size` says */
    KEY_PERCENT,   /* uint32_t */
    KEY_BOOL,      /* bool */
    KEY_LEVEL,     /* enum log_level */
    KEY_CHOICE,    /* an enum, each of its values an index of `words` */
    KEY_TEXT,      /* char[], see `size` */
    KEY_WHEN_DOWN, /* enum conf_when_down, and the hold_ms of its route */
    KEY_HEALTH,    /* struct conf_health */
    KEY_EJECT,     /* struct conf_eject */
    KEY_BAN_AFTER, /* struct conf_eject */
    KEY_RATE,      /* struct conf_rate */
    KEY_PACE,      /* struct conf_pace */
    KEY_MIN_RATE,  /* struct conf_min_rate */
    KEY_REFUSE,    /* enum conf_refuse, and the tarpit_ms of its route */
    KEY_SOURCE,    /* a list: the sources and source_count of its route */
    KEY_TRUST,     /* a list: the trusts and trust_count of its route */
    KEY_EXEMPT,    /* a list: the exempts and exempt_count of its route */
    KEY_ACCESS,    /* repeatable, also in [defaults]: the access lists of its route, access.h */
    KEY_BYTES,     /* struct conf_bytes; only of options, see option.h */
    KEY_LISTEN,    /* repeatable, a struct conf_listen; not in [defaults] */
    KEY_UPSTREAM   /* repeatable, a struct conf_upstream; not in [defaults] */
};

struct key {
    enum key_section section;
    const char *name;
    enum key_type type;
    const char *preset; /* the default as it would be written; NULL: required */
    const char *zero;   /* the word for 0, which is then below `min`; NULL: there is none */
    uint64_t min; /* of numbers, percentages, durations (ms), sizes (bytes), lengths of texts
                     (bytes) */
    uint64_t max;
    bool reloadable;          /* takes effect without a restart */
    size_t offset;            /* of the field in struct conf or struct conf_route */
    size_t size;              /* of the field */
    const char *const *words; /* of KEY_CHOICE, NULL-terminated */
    const char *help;         /* one sentence, for conf/README.md and conf/pairport.ini */
};

extern const struct key keys[];
extern const size_t key_count;

/* True when sessions that are open already get a changed value of this key of a route, too; false:
 * it matters only for what comes later, as a rule for new sessions. Of keys that are reloadable. */
bool key_reaches_open(const struct key *key);

const char *key_section_word(enum key_section section); /* "[relay]", "[route NAME]" */

/* NULL when there is none. */
const struct key *key_find(enum key_section section, const char *name);

#endif
