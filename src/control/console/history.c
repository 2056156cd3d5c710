#include "control/console/history.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static char *copy(const char *text)
{
    size_t size = strlen(text) + 1;
    char *made = malloc(size);
    if (made != NULL)
        memcpy(made, text, size);
    return made;
}

void history_init(struct history *history)
{
    *history = (struct history){.count = 0};
}

void history_free(struct history *history)
{
    for (size_t i = 0; i < history->count; i++)
        free(history->lines[i]);
    free(history->draft);
    history_init(history);
}

void history_add(struct history *history, const char *line)
{
    bool blank = strspn(line, " \t") == strlen(line);
    bool same = history->count > 0 && strcmp(history->lines[history->count - 1], line) == 0;
    char *kept = blank || same ? NULL : copy(line);
    if (kept != NULL && history->count == HISTORY_MAX) {
        free(history->lines[0]);
        history->count--;
        memmove(history->lines, history->lines + 1, history->count * sizeof history->lines[0]);
    }
    if (kept != NULL)
        history->lines[history->count++] = kept;
    history->at = history->count;
    free(history->draft);
    history->draft = NULL;
}

const char *history_older(struct history *history, const char *current)
{
    if (history->at == 0)
        return NULL;
    if (history->at == history->count) {
        char *draft = copy(current);
        if (draft == NULL)
            return NULL; /* rather no history than a lost line */
        free(history->draft);
        history->draft = draft;
    }
    return history->lines[--history->at];
}

const char *history_newer(struct history *history)
{
    if (history->at == history->count)
        return NULL;
    history->at++;
    return history->at == history->count ? history->draft : history->lines[history->at];
}
