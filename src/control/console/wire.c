#include "control/console/wire.h"

#include <inttypes.h>
#include <string.h>

#include "os/os.h"

#define CONNECT_RETRY_MS 20

static const char *const status_words[] = {
    [WIRE_OK] = "ok", [WIRE_ERROR] = "error", [WIRE_BYE] = "bye"};

static void use(struct wire_input *input, size_t count)
{
    memmove(input->bytes, input->bytes + count, input->len - count);
    input->len -= count;
}

enum err wire_read_line(struct local_conn *conn, struct wire_input *input, uint32_t idle_ms,
                        char line[WIRE_LINE_MAX + 1], size_t *len)
{
    for (;;) {
        char *end = memchr(input->bytes, '\n', input->len);
        if (end != NULL) {
            size_t taken = (size_t)(end - input->bytes);
            size_t kept = taken > 0 && end[-1] == '\r' ? taken - 1 : taken;
            if (kept > WIRE_LINE_MAX)
                return ERR_RANGE;
            memcpy(line, input->bytes, kept);
            line[kept] = '\0';
            *len = kept;
            use(input, taken + 1);
            return ERR_OK;
        }
        if (input->len == sizeof input->bytes)
            return ERR_RANGE;
        size_t got;
        enum err err =
            local_read(conn, input->bytes + input->len, sizeof input->bytes - input->len,
                       input->len == 0 ? idle_ms : WIRE_TIMEOUT_MS, &got);
        if (err != ERR_OK)
            return err;
        input->len += got;
    }
}

enum err wire_send_answer(struct local_conn *conn, enum wire_status status, const char *body,
                          size_t len)
{
    char head[48];
    size_t head_len = str_format(head, sizeof head, "%s %zu\n", status_words[status], len);
    enum err err = local_write(conn, head, head_len);
    return err != ERR_OK || len == 0 ? err : local_write(conn, body, len);
}

enum err wire_connect(const char *path, struct local_conn **out)
{
    uint64_t deadline = os_mono_ms() + WIRE_TIMEOUT_MS;
    for (;;) {
        enum err err = local_connect(path, out);
        if (err != ERR_AGAIN || os_mono_ms() >= deadline)
            return err;
        os_sleep_ms(CONNECT_RETRY_MS);
    }
}

enum err wire_send_line(struct local_conn *conn, const char *line, size_t len)
{
    char request[WIRE_LINE_MAX + 1];
    if (len > WIRE_LINE_MAX || memchr(line, '\n', len) != NULL)
        return ERR_RANGE;
    memcpy(request, line, len);
    request[len] = '\n';
    return local_write(conn, request, len + 1);
}

static enum err parse_head(char *head, enum wire_status *status, uint64_t *len)
{
    char *blank = strchr(head, ' ');
    if (blank == NULL)
        return ERR_INVALID;
    *blank = '\0';
    for (size_t i = 0; i < sizeof status_words / sizeof status_words[0]; i++) {
        if (strcmp(head, status_words[i]) == 0) {
            *status = (enum wire_status)i;
            bool good = str_parse_u64(blank + 1, len) == ERR_OK && *len <= WIRE_BODY_MAX;
            return good ? ERR_OK : ERR_INVALID;
        }
    }
    return ERR_INVALID;
}

enum err wire_read_answer(struct local_conn *conn, struct wire_input *input,
                          enum wire_status *status, struct str *body)
{
    return wire_read_answer_within(conn, input, WIRE_TIMEOUT_MS, status, body);
}

enum err wire_read_answer_within(struct local_conn *conn, struct wire_input *input,
                                 uint32_t timeout_ms, enum wire_status *status,
                                 struct str *body)
{
    str_clear(body);
    char head[WIRE_LINE_MAX + 1];
    size_t head_len;
    uint64_t want;
    enum err err = wire_read_line(conn, input, timeout_ms, head, &head_len);
    if (err == ERR_OK)
        err = parse_head(head, status, &want);
    if (err != ERR_OK)
        return err == ERR_RANGE ? ERR_INVALID : err;
    while (body->len < want) {
        if (input->len == 0) {
            err = local_read(conn, input->bytes, sizeof input->bytes, timeout_ms, &input->len);
            if (err != ERR_OK)
                return err;
        }
        uint64_t missing = want - body->len;
        size_t part = input->len < missing ? input->len : (size_t)missing;
        str_add_bytes(body, input->bytes, part);
        if (body->failed)
            return ERR_NOMEM;
        use(input, part);
    }
    return ERR_OK;
}
