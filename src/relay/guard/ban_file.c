#include "relay/guard/ban_file.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/file.h"
#include "relay/json_read.h"

#define FORMAT "pairport state"

/* ---- reading ---- */

/* Nothing that could upset a terminal; that it is UTF-8 the JSON reader has seen to. */
static bool is_printable(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++)
        if (*c < 0x20 || *c == 0x7f || (c[0] == 0xc2 && c[1] < 0xa0))
            return false;
    return true;
}

static bool read_text(const json_t *object, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(object, name));
    if (text == NULL || strlen(text) >= size || !is_printable(text))
        return false;
    str_format(out, size, "%s", text);
    return true;
}

static bool read_number(const json_t *object, const char *name, uint64_t *out)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

/* The member that is missing or wrong; NULL: all are right. */
static const char *read_ban(const json_t *object, struct ban *out)
{
    const char *net = json_string_value(json_object_get(object, "network"));
    if (net == NULL || addr_net_parse(net, &out->net) != ERR_OK)
        return "network";
    if (!read_number(object, "set_ms", &out->set_ms))
        return "set_ms";
    if (json_is_null(json_object_get(object, "until_ms")))
        out->until_ms = BAN_FOR_EVER;
    else if (!read_number(object, "until_ms", &out->until_ms))
        return "until_ms";
    if (!read_number(object, "hits", &out->hits))
        return "hits";
    if (!read_text(object, "by", out->by, sizeof out->by))
        return "by";
    return read_text(object, "reason", out->reason, sizeof out->reason) ? NULL : "reason";
}

static enum err read_bans(const json_t *array, struct ban **out, size_t *count, struct str *why)
{
    size_t size = json_array_size(array);
    struct ban *bans = calloc(size + 1, sizeof *bans);
    if (bans == NULL) {
        str_add(why, err_text(ERR_NOMEM));
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < size; i++) {
        const char *wrong = read_ban(json_array_get(array, i), &bans[i]);
        if (wrong == NULL)
            continue;
        str_addf(why, "number %zu of \"bans\": \"%s\" is missing or wrong", i + 1, wrong);
        free(bans);
        return ERR_INVALID;
    }
    *out = bans;
    *count = size;
    return ERR_OK;
}

static enum err read_root(const json_t *root, struct ban **out, size_t *count, struct str *why)
{
    const char *format = json_string_value(json_object_get(root, "format"));
    uint64_t version;
    if (format == NULL || strcmp(format, FORMAT) != 0) {
        str_add(why, "\"format\" is not \"" FORMAT "\"");
        return ERR_INVALID;
    }
    if (!read_number(root, "version", &version) || version != BAN_FILE_VERSION) {
        str_addf(why, "\"version\" is not %d", BAN_FILE_VERSION);
        return ERR_INVALID;
    }
    if (!json_is_array(json_object_get(root, "bans"))) {
        str_add(why, "\"bans\" is no array");
        return ERR_INVALID;
    }
    return read_bans(json_object_get(root, "bans"), out, count, why);
}

/* Everything in a file. */
static enum err read_all(const char *path, struct str *out)
{
    char part[16 * 1024];
    FILE *file;
    size_t len;
    enum err err = os_plain_open(&file, path);
    if (err != ERR_OK)
        return err == ERR_INVALID ? ERR_UNSUPPORTED : err;
    do {
        len = fread(part, 1, sizeof part, file);
        str_add_bytes(out, part, len);
    } while (len == sizeof part && !out->failed);
    if (ferror(file))
        err = ERR_IO;
    else if (out->failed)
        err = ERR_NOMEM;
    fclose(file);
    return err;
}

static bool is_blank(const struct str *text)
{
    return strspn(text->data, " \t\r\n") == text->len;
}

static enum err parse(const struct str *text, struct ban **out, size_t *count, struct str *why)
{
    json_error_t error;
    json_t *root;
    enum err err = json_read(&root, text->data, text->len, JSON_REJECT_DUPLICATES, &error);
    if (err == ERR_INVALID)
        str_addf(why, "line %d, column %d: %s", error.line, error.column, error.text);
    else if (err != ERR_OK)
        str_add(why, err_text(err));
    if (err != ERR_OK)
        return err;
    err = read_root(root, out, count, why);
    json_decref(root);
    return err;
}

enum err ban_file_read(const char *path, struct ban **out, size_t *count, struct str *why)
{
    struct str text;
    str_init(&text);
    enum err err = read_all(path, &text);
    if (err == ERR_OK && !is_blank(&text)) {
        err = parse(&text, out, count, why);
    } else if (err == ERR_OK) {
        *out = NULL;
        *count = 0;
    } else {
        str_add(why, err == ERR_UNSUPPORTED ? "it is no plain file" : err_text(err));
    }
    str_free(&text);
    return err;
}

/* ---- writing ---- */

static json_t *ban_as_json(const struct ban *ban)
{
    char net[ADDR_NET_TEXT_MAX];
    json_t *until =
        ban->until_ms == BAN_FOR_EVER ? json_null() : json_integer((json_int_t)ban->until_ms);
    return json_pack("{s:s, s:I, s:o, s:I, s:s, s:s}", "network",
                     addr_net_format(&ban->net, net), "set_ms", (json_int_t)ban->set_ms,
                     "until_ms", until, "hits", (json_int_t)ban->hits, "by", ban->by, "reason",
                     ban->reason);
}

/* A ban a line: what was written by hand or comes from a backup is compared easily. */
static void add_ban(const struct ban *ban, bool is_first, struct str *out)
{
    json_t *object = ban_as_json(ban);
    char *text = object == NULL ? NULL : json_dumps(object, 0);
    if (text == NULL)
        out->failed = true;
    else
        str_addf(out, "%s\n  %s", is_first ? "" : ",", text);
    free(text);
    json_decref(object);
}

enum err ban_file_write(const char *path, const struct ban *bans, size_t count, uint64_t *bytes)
{
    struct str text;
    str_init(&text);
    str_addf(&text, "{\"format\": \"%s\", \"version\": %d, \"bans\": [", FORMAT,
             BAN_FILE_VERSION);
    for (size_t i = 0; i < count && !text.failed; i++)
        add_ban(&bans[i], i == 0, &text);
    str_add(&text, count == 0 ? "]}\n" : "\n]}\n");
    enum err err = text.failed ? ERR_NOMEM : os_file_write_whole(path, text.data, text.len);
    if (bytes != NULL)
        *bytes = text.len;
    str_free(&text);
    return err;
}
