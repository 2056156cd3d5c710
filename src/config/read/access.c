#include "config/read/access.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/read/file.h"
#include "config/read/lines.h"
#include "config/value/value_list.h"
#include "config/value/words.h"

/* What fits into a line as conf_write() writes it. */
#define NAME_BYTES_MAX (CONF_LINE_MAX - (sizeof "allow = @" - 1))

static_assert(NAME_BYTES_MAX < CONF_PATH_MAX, "a path has room for the name");
static_assert(ACCESS_FILES_MAX <= UINT8_MAX, "an entry has room for the number of its file");

/* Where networks are being read from. */
struct source {
    const struct access_line *line;
    uint8_t file;
    unsigned file_line;
};

static bool add(struct access_list *list, const struct source *source,
                const struct addr_net *net, struct str *why)
{
    if (list->count == CONF_ACCESS_MAX) {
        str_addf(why, "there are more than %d networks in all; write larger ones",
                 CONF_ACCESS_MAX);
        return false;
    }
    if (list->count == list->room) {
        size_t room = list->room == 0 ? 8 : 2 * list->room;
        void *grown = realloc(list->entries, room * sizeof *list->entries);
        if (grown == NULL) {
            why->failed = true;
            return false;
        }
        list->entries = grown;
        list->room = room;
    }
    list->entries[list->count++] = (struct access_entry){.net = *net,
                                                         .allow = source->line->allow,
                                                         .file = source->file,
                                                         .line = source->line->number,
                                                         .file_line = source->file_line};
    return true;
}

static bool read_item(struct access_list *list, const struct source *source, const char *item,
                      struct str *why)
{
    struct addr_net net;
    if (strcmp(item, "all") == 0) {
        static const char *const all[] = {"0.0.0.0/0", "::/0"};
        for (size_t i = 0; i < 2; ++i) {
            bool ok = addr_net_parse(all[i], &net) == ERR_OK;
            assert(ok);
            if (!ok || !add(list, source, &net, why))
                return false;
        }
        return true;
    }
    const char *examples = source->file > 0 ? "10.0.0.0/8 or 2001:db8::5" : VALUE_NET_EXAMPLES;
    return value_read_net(item, examples, &net, why) && add(list, source, &net, why);
}

static bool read_items(struct access_list *list, const struct source *source, const char *text,
                       struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    size_t count = value_count_items(text);
    for (size_t i = 0; i < count; ++i) {
        char item[CONF_LINE_MAX + 1];
        value_cut_item(&text, item);
        if (item[0] == '@') {
            str_addf(why, "%s names a file; write it alone, in a line of its own",
                     mistake_quote(item, quote));
            return false;
        }
        if (!read_item(list, source, item, why))
            return false;
    }
    return true;
}

/* ---- files ---- */

/* A line of a file holds one network. */
static bool read_line(struct access_list *list, const struct source *source, const char *text,
                      struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    if (text[0] == '@') {
        str_addf(why, "%s names another file; write that one into the configuration",
                 mistake_quote(text, quote));
        return false;
    }
    if (strpbrk(text, "," WORDS_BLANKS) != NULL) {
        str_addf(why,
                 "%s is more than one network; write each into a line of its own, and ';' "
                 "or '#' before a comment",
                 mistake_quote(text, quote));
        return false;
    }
    return read_item(list, source, text, why);
}

/* Reads every line; what is wrong goes to `wrong` with the lines of the file. */
static void read_lines(struct access_list *list, struct source source, const struct str *text,
                       struct mistakes *wrong)
{
    struct lines lines;
    if (!lines_init(&lines, text->data, text->len, wrong))
        return;
    while (lines_next(&lines)) {
        struct str why;
        str_init(&why);
        source.file_line = lines.number;
        bool ok = read_line(list, &source, lines.text, &why);
        if (!ok)
            mistakes_add(wrong, lines.number, "%s", why.data);
        if (why.failed)
            wrong->failed = true;
        str_free(&why);
        if (!ok && (wrong->failed || list->count == CONF_ACCESS_MAX))
            return; /* it is the same for all that follow */
    }
}

static const char *verb(const struct access_line *line)
{
    return line->allow ? "allow" : "deny";
}

/* Tells the mistakes of a file as those of the line that names it. */
static void pass_on(const struct mistakes *wrong, const struct access_line *line,
                    const char *path, struct mistakes *mistakes)
{
    size_t shown = wrong->count < ACCESS_SHOWN ? wrong->count : ACCESS_SHOWN;
    for (size_t i = 0; i < shown; ++i) {
        const struct mistake *mistake = &wrong->items[i];
        char at[16] = "";
        if (mistake->line > 0)
            str_format(at, sizeof at, ":%u", mistake->line);
        mistakes_add(mistakes, line->number, "%s %s: %s%s: %s", line->label, verb(line), path,
                     at, mistake->text);
    }
    if (wrong->errors > shown)
        mistakes_add(mistakes, line->number,
                     "%s %s: %zu more lines of %s are wrong; mend these first", line->label,
                     verb(line), wrong->errors - shown, path);
    if (wrong->failed)
        mistakes->failed = true;
}

static void explain_file(int code, const char *path, struct str *why)
{
    switch (code) {
    case ENOENT:
    case ENOTDIR: str_addf(why, "there is no file '%s'; write the name of one", path); return;
    case EACCES:
    case EPERM:
        str_addf(why, "'%s' can't be read: permission denied; allow this user to read it",
                 path);
        return;
    case EISDIR: str_addf(why, "'%s' is a directory; name a file in it", path); return;
    default: str_addf(why, "'%s' can't be read: %s", path, strerror(code));
    }
}

/* Reads what is in a file whose name is fine. */
static bool read_text(struct access_list *list, const struct access_line *line,
                      const char *path, struct str *why, struct mistakes *mistakes)
{
    struct str text;
    str_init(&text);
    int code = file_read(path, ACCESS_FILE_BYTES_MAX, &text);
    bool ok = false;
    if (text.failed) {
        why->failed = true;
    } else if (code != 0) {
        explain_file(code, path, why);
    } else if (text.len > ACCESS_FILE_BYTES_MAX) {
        str_addf(why, "'%s' is larger than 64 MB; this is no list of networks", path);
    } else {
        struct source source = {.line = line, .file = (uint8_t)list->file_count};
        struct mistakes wrong;
        mistakes_init(&wrong);
        read_lines(list, source, &text, &wrong);
        pass_on(&wrong, line, path, mistakes);
        ok = wrong.errors == 0;
        mistakes_free(&wrong);
    }
    str_free(&text);
    return ok;
}

static bool is_there(const struct access_list *list, const char *name, bool allow)
{
    for (size_t i = 0; i < list->file_count; ++i)
        if (list->files[i].allow == allow && strcmp(list->files[i].path, name) == 0)
            return true;
    return false;
}

static bool add_file(struct access_list *list, const char *name, bool allow, struct str *why)
{
    if (list->file_count == ACCESS_FILES_MAX) {
        str_addf(why, "there are %d files already, which is the most; join some",
                 ACCESS_FILES_MAX);
        return false;
    }
    void *grown = realloc(list->files, (list->file_count + 1) * sizeof *list->files);
    if (grown == NULL) {
        why->failed = true;
        return false;
    }
    list->files = grown;
    struct conf_access_file *file = &list->files[list->file_count++];
    memset(file, 0, sizeof *file);
    str_format(file->path, sizeof file->path, "%s", name);
    file->allow = allow;
    return true;
}

static bool read_file(struct access_list *list, const struct access_line *line,
                      const char *name, struct str *why, struct mistakes *mistakes)
{
    char path[CONF_PATH_MAX];
    char quote[MISTAKE_QUOTE_MAX];
    mistake_quote(name, quote);
    if (name[0] == '\0' || strchr(WORDS_BLANKS, name[0]) != NULL) {
        str_add(why, "right behind '@' stands no name; write one such as @players.txt");
        return false;
    }
    if (name[0] == '"' || name[0] == '\'') {
        str_addf(why,
                 "%s begins with a quotation mark, which would be part of it; write it "
                 "without",
                 quote);
        return false;
    }
    if (strchr(name, '\t') != NULL) { /* messages show names as they are */
        str_addf(why, "%s has a tab in it; rename the file", quote);
        return false;
    }
    if (strlen(name) > NAME_BYTES_MAX ||
        !file_beside(line->conf, name, path, NAME_BYTES_MAX + 1)) {
        str_addf(why, "%s and its folder have more than %zu bytes; move the file", quote,
                 NAME_BYTES_MAX);
        return false;
    }
    if (!file_is_plain(path)) {
        str_addf(why, "'%s' is a pipe or a device; name a file", path);
        return false;
    }
    if (is_there(list, name, line->allow))
        return true;
    return add_file(list, name, line->allow, why) && read_text(list, line, path, why, mistakes);
}

bool access_read(struct access_list *list, const struct access_line *line, const char *text,
                 struct str *why, struct mistakes *mistakes)
{
    const struct source source = {.line = line};
    if (text[0] == '@')
        return read_file(list, line, text + 1, why, mistakes);
    return read_items(list, &source, text, why);
}
