/* access.h - the allow and deny lines of one section, in the making.
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

#endif
