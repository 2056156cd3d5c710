/* arguments.h - the command line of `pairport`, and its help.
 *
 * Threads: the main thread.
 */
#ifndef PAIRPORT_SERVICE_ARGUMENTS_H
#define PAIRPORT_SERVICE_ARGUMENTS_H

#include <stdbool.h>

#include "base/str.h"

enum verb { VERB_RUN, VERB_CHECK, VERB_CONSOLE, VERB_DEMO, VERB_VERSION, VERB_HELP };

struct arguments {
    enum verb verb;
    const char *config; /* -c FILE, NULL when not given */
    const char *name;   /* --name NAME of the console's endpoint, NULL when not given */
    const char *listen; /* --listen of the demo, NULL when not given */
    bool takeover;      /* --takeover: take the listening sockets of the relay that runs */
    bool help;          /* --help: explain the verb instead */
    int rest_count;     /* words behind the options: the console's command, help's topic */
    char *const *rest;
};

/* False: a usage error, `why` says which in one line without a newline. */
bool arguments_parse(int argc, char *const argv[], struct arguments *out, struct str *why);

/* Adds the help of one verb, or of the program. */
void arguments_add_help(enum verb verb, struct str *out);

/* The verb of this name. */
bool arguments_find_verb(const char *word, enum verb *verb);

#endif
