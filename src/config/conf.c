#include "config/conf.h"

#include <errno.h>
#include <string.h>

#include "config/check/check.h"
#include "config/read/draft.h"
#include "config/read/file.h"
#include "config/read/parse.h"
#include "config/value/keys.h"
#include "config/value/mistakes.h"

#define FILE_BYTES_MAX (1024u * 1024u)

/* Gives the draft's configuration out if nothing is wrong with it. */
static enum err finish(struct draft *draft, struct conf **out)
{
    if (draft->mistakes->failed)
        return ERR_NOMEM;
    if (draft->mistakes->errors > 0)
        return ERR_INVALID;
    *out = draft->conf;
    draft->conf = NULL;
    return ERR_OK;
}

static enum err load(const char *name, const char *text, size_t len, bool on_disk,
                     conf_is_own_addr *is_own, struct conf **out, struct mistakes *mistakes)
{
    if (len > FILE_BYTES_MAX) {
        mistakes_add(mistakes, 0, "the file is larger than 1 MB; this is no configuration");
        return ERR_INVALID;
    }
    if (len == 0) {
        mistakes_add(mistakes, 0,
                     "the file is empty; add a section [route NAME] with a listen and an "
                     "upstream line");
        return ERR_INVALID;
    }

    struct draft draft;
    enum err err = draft_init(&draft, name, mistakes);
    if (err != ERR_OK)
        return err;
    draft.is_own = is_own;
    draft.on_disk = on_disk;
    if (parse_text(&draft, text, len)) {
        draft_apply_defaults(&draft);
        draft_fill_auto(&draft);
        check_draft(&draft);
        draft_drop_unused(&draft);
        draft.conf->log_level_given =
            draft.relay.lines[key_find(KEY_RELAY, "log_level") - keys] != 0;
    }
    err = finish(&draft, out);
    draft_free(&draft);
    return err;
}

/* Writes the messages. Without memory for them nothing else is right. */
static enum err report(enum err err, const char *name, struct mistakes *mistakes,
                       struct conf **conf, struct str *messages)
{
    if (err != ERR_NOMEM) /* what was found wrong may follow from that alone */
        mistakes_write(mistakes, name, messages);
    if (messages->failed || mistakes->failed) {
        conf_free(*conf);
        *conf = NULL;
        err = ERR_NOMEM;
        str_clear(messages);
    }
    mistakes_free(mistakes);
    return err;
}

enum err conf_load_text(const char *name, const char *text, size_t len, struct conf **out,
                        struct str *messages)
{
    struct mistakes mistakes;
    struct conf *conf = NULL;

    mistakes_init(&mistakes);
    enum err err = load(name, text, len, false, NULL, &conf, &mistakes);
    err = report(err, name, &mistakes, &conf, messages);
    if (err == ERR_OK)
        *out = conf;
    return err;
}

/* ---- files ---- */

static enum err file_error(struct mistakes *mistakes, int code)
{
    switch (code) {
    case ENOENT:
    case ENOTDIR:
        mistakes_add(mistakes, 0, "there is no such file; name another one with -c FILE");
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
        mistakes_add(mistakes, 0,
                     "the file can't be read: permission denied; allow this user to read it");
        return ERR_ACCESS;
    case EISDIR:
        mistakes_add(mistakes, 0, "this is a directory; name a file in it");
        return ERR_IO;
    default:
        mistakes_add(mistakes, 0, "the file can't be read: %s", strerror(code));
        return ERR_IO;
    }
}

enum err conf_load(const char *path, conf_is_own_addr *is_own, struct conf **out,
                   struct str *messages)
{
    struct mistakes mistakes;
    struct conf *conf = NULL;
    struct str text;
    enum err err;

    mistakes_init(&mistakes);
    str_init(&text);
    if (strlen(path) >= CONF_PATH_MAX) {
        mistakes_add(&mistakes, 0, "the file's name is longer than %d bytes; move the file",
                     CONF_PATH_MAX - 1);
        err = ERR_NOT_FOUND;
    } else {
        int code = file_read(path, FILE_BYTES_MAX, &text);
        if (text.failed)
            err = ERR_NOMEM;
        else if (code != 0)
            err = file_error(&mistakes, code);
        else
            err = load(path, text.data, text.len, true, is_own, &conf, &mistakes);
    }
    str_free(&text);
    if (err == ERR_OK)
        str_format(conf->path, sizeof conf->path, "%s", path);

    err = report(err, path, &mistakes, &conf, messages);
    if (err == ERR_OK)
        *out = conf;
    return err;
}

void conf_place(const struct conf *conf, const char *name, char out[CONF_PATH_MAX])
{
    /* That it fits was checked when the file was read. */
    if (name[0] == '\0' || !file_beside(conf->path, name, out, CONF_PATH_MAX))
        str_format(out, CONF_PATH_MAX, "%s", name);
}

/* ---- the console ---- */

static void read_place(struct draft *draft, const struct str *text,
                       struct conf_console_place *out)
{
    if (text->len > 0 && text->len <= FILE_BYTES_MAX)
        (void)parse_text(draft, text->data, text->len);
    out->mistaken = draft->mistakes->errors > 0 || draft->mistakes->failed || text->len == 0;
    out->listen = draft->conf->console;
    str_format(out->name, sizeof out->name, "%s", draft->conf->console_name);
}

enum err conf_read_console(const char *path, struct conf_console_place *out)
{
    struct mistakes mistakes;
    struct draft draft;
    struct str text;

    mistakes_init(&mistakes);
    str_init(&text);
    enum err err = draft_init(&draft, path, &mistakes);
    if (err == ERR_OK) {
        int code = file_read(path, FILE_BYTES_MAX, &text);
        err = text.failed ? ERR_NOMEM : code != 0 ? file_error(&mistakes, code) : ERR_OK;
        if (err != ERR_OK)
            str_clear(&text);
        read_place(&draft, &text, out);
        draft_free(&draft);
    }
    str_free(&text);
    mistakes_free(&mistakes);
    return err;
}
