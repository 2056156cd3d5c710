/* reload_text.h - what a reload changes, for people and as JSON.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_ACT_RELOAD_TEXT_H
#define PAIRPORT_CONTROL_ACT_RELOAD_TEXT_H

#include "base/err.h"
#include "base/str.h"
#include "config/diff.h"
#include "relay/server.h"

enum reload_tense {
    RELOAD_WOULD,  /* a plan */
    RELOAD_DID,    /* it is done */
    RELOAD_CANNOT, /* nothing was changed, `messages` say why */
};

/* What a change touches. */
struct reload_count {
    uint32_t sessions;
    uint32_t untouched; /* open ones, of a change that is for new ones only */
    bool ends_them;     /* the route's on_remove is kill */
};

/* One for each change. Within server_hold(). ERR_NOMEM leaves nothing. */
enum err reload_counts_make(struct reload_count **out, struct server *server,
                            const struct diff *diff);
void reload_counts_free(struct reload_count *counts);

/* `messages` are lines of the file's warnings or mistakes. */
void reload_as_text(const struct diff *diff, const struct reload_count *counts,
                    const char *path, enum reload_tense tense, const char *messages,
                    struct str *out);
void reload_as_json(const struct diff *diff, const struct reload_count *counts,
                    const char *path, enum reload_tense tense, const char *messages,
                    struct str *out);

#endif
