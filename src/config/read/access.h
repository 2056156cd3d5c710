/* access.h - the allow and deny lines of one section, in the making and in a route.
 *
 * Each line adds networks, its own or those of a file, which is read at once. When the section is
 * complete its networks are sorted and each is kept once; one that is both allowed and denied is
 * a mistake, since the longest network decides and not the order of the lines.
 *
 * Threads: those of its owner.
 */
#ifndef PAIRPORT_CONFIG_READ_ACCESS_H
#define PAIRPORT_CONFIG_READ_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr_net.h"
#include "base/str.h"
#include "config/conf.h"
#include "config/value/keys.h"
#include "config/value/mistakes.h"

#define ACCESS_FILES_MAX      64                  /* of one section */
#define ACCESS_FILE_BYTES_MAX (64u * 1024 * 1024) /* of one file */
#define ACCESS_SHOWN          20                  /* mistakes of one file, or of one section */

/* A network and where it stands. */
struct access_entry {
    struct addr_net net;
    bool allow;
    uint8_t file;       /* the number of its file from 1; 0: it stands in the line itself */
    unsigned line;      /* of the configuration */
    unsigned file_line; /* of the file, else 0 */
};

/* All zero is an empty list. */
struct access_list {
    struct access_entry *entries; /* owned, as they were read */
    size_t count;
    size_t room;
    struct conf_access_file *files; /* owned, none twice */
    size_t file_count;
};

/* Where a line stands. */
struct access_line {
    const char *conf;  /* the name of the configuration, in whose folder files are looked for */
    const char *label; /* "[route lobby]" */
    unsigned number;
    bool allow;
};

/* Which of the two keys of a list it is. */
bool access_is_allow(const struct key *key);

/* Adds what `text` names: "10.0.0.0/8, ::1", "all", "@PATH" or nothing. False when some of it is
 * wrong; then either `why` has got "what is wrong; what would be right", or `mistakes` has what
 * is wrong in the file. What is right is added all the same. */
bool access_read(struct access_list *list, const struct access_line *line, const char *text,
                 struct str *why, struct mistakes *mistakes);

/* Gives the list to a route that has none, reports what is both allowed and denied, and leaves
 * `list` empty. `conf` and `label` are those of its lines. */
void access_settle(struct access_list *list, const char *conf, const char *label,
                   struct conf_route *route, struct mistakes *mistakes);

void access_free(struct access_list *list); /* and makes it empty */

/* Frees the lists of a route, unless they are another's, and makes them empty. */
void access_free_route(struct conf_route *route);

/* Writes what a route allows, or denies: "@players.txt, 10.0.0.0/8". */
void access_write_short(const struct conf_route *route, bool allow, struct str *out);

/* Writes what a route allows, or denies, as it would be given: files, then networks that stand in
 * none of them. Each line begins with `start` and ends with a newline; all of it has at least one
 * line. */
void access_write(const struct conf_route *route, bool allow, const char *start,
                  struct str *out);

#endif
