/* takeover_offer.c - the text that says what a relay has to give; see takeover.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "control/takeover/takeover.h"
#include "relay/server.h"

#define LINE_MAX_BYTES (CONF_PATH_MAX + 16)

void takeover_write_offer(const struct takeover_offer *offer, struct str *out)
{
    str_addf(out, "pairport %s pid %" PRIu64 " next %" PRIu64 " sockets %zu\nconfig %s\n",
             offer->version, offer->pid, offer->next_id, offer->count, offer->config);
    for (size_t i = 0; i < offer->count; i++) {
        char text[ADDR_TEXT_MAX];
        str_addf(out, "%s %s\n", addr_format(&offer->sockets[i].addr, text),
                 offer->sockets[i].dual_stack ? "dual" : "single");
    }
}

struct reader {
    const char *at, *end;
};

/* The next line without its newline, zero-terminated. False: there is none, or it is too long or
 * holds a zero byte. */
static bool next_line(struct reader *reader, char line[LINE_MAX_BYTES])
{
    const char *newline = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
    if (newline == NULL)
        return false;
    size_t len = (size_t)(newline - reader->at);
    if (len >= LINE_MAX_BYTES || memchr(reader->at, '\0', len) != NULL)
        return false;
    memcpy(line, reader->at, len);
    line[len] = '\0';
    reader->at = newline + 1;
    return true;
}

/* Cuts the next word off *text; "" when there is none. */
static const char *next_word(char **text)
{
    char *word = *text;
    char *blank = strchr(word, ' ');
    if (blank != NULL)
        *blank = '\0';
    *text = blank != NULL ? blank + 1 : word + strlen(word);
    return word;
}

static bool read_head(char *line, struct takeover_offer *offer)
{
    uint64_t count;
    if (strcmp(next_word(&line), "pairport") != 0)
        return false;
    const char *version = next_word(&line);
    size_t len = strlen(version);
    str_format(offer->version, sizeof offer->version, "%s", version);
    if (len == 0 || len >= sizeof offer->version || strcmp(next_word(&line), "pid") != 0 ||
        str_parse_u64(next_word(&line), &offer->pid) != ERR_OK ||
        strcmp(next_word(&line), "next") != 0 ||
        str_parse_u64(next_word(&line), &offer->next_id) != ERR_OK ||
        strcmp(next_word(&line), "sockets") != 0 || str_parse_u64(line, &count) != ERR_OK ||
        count > TAKEOVER_SOCKETS_MAX)
        return false;
    offer->count = (size_t)count;
    return true;
}

static bool read_config(const char *line, struct takeover_offer *offer)
{
    static const char head[] = "config ";
    if (strncmp(line, head, sizeof head - 1) != 0)
        return false;
    const char *path = line + sizeof head - 1;
    str_format(offer->config, sizeof offer->config, "%s", path);
    return strlen(path) < sizeof offer->config;
}

static bool read_socket(char *line, struct server_socket *out)
{
    char host[ADDR_TEXT_MAX];
    uint16_t port;
    const char *where = next_word(&line);
    bool dual = strcmp(line, "dual") == 0;
    if (!dual && strcmp(line, "single") != 0)
        return false;
    if (addr_split(where, false, host, sizeof host, &port) != ERR_OK ||
        addr_parse_ip(host, &out->addr) != ERR_OK)
        return false;
    out->addr.port = port;
    out->dual_stack = dual;
    out->sock = SOCK_NONE;
    return !dual || (out->addr.family == ADDR_IPV6 && addr_is_any(&out->addr));
}

enum err takeover_read_offer(const char *text, size_t len, struct takeover_offer *out)
{
    struct reader reader = {.at = text, .end = text + len};
    struct takeover_offer offer = {.count = 0};
    char line[LINE_MAX_BYTES];
    if (!next_line(&reader, line) || !read_head(line, &offer) || !next_line(&reader, line) ||
        !read_config(line, &offer))
        return ERR_INVALID;
    if (offer.count > len) /* a line is longer than that */
        return ERR_INVALID;
    offer.sockets = calloc(offer.count + 1, sizeof *offer.sockets);
    if (offer.sockets == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < offer.count; i++)
        if (!next_line(&reader, line) || !read_socket(line, &offer.sockets[i]))
            goto invalid;
    if (reader.at != reader.end)
        goto invalid;
    *out = offer;
    return ERR_OK;

invalid:
    free(offer.sockets);
    return ERR_INVALID;
}
