/* takeover_take.c - a new relay takes the listening sockets over; see takeover.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/takeover/takeover.h"
#include "os/listening.h"
#include "os/os.h"
#include "relay/server.h"

#define LOOK_MS       1000 /* how long a successor of a relay that is gone is looked for */
#define LOOK_AGAIN_MS 50

struct takeover {
    char path[LOCAL_NAME_MAX];
    struct local_conn *conn;
    struct wire_input input;
    struct takeover_offer offer; /* its sockets are owned until they are taken */
    bool lost;                   /* the old relay is gone, or does not answer */
};

static enum err ask(struct local_conn *conn, struct wire_input *input, const char *line,
                    enum wire_status *status, struct str *body)
{
    enum err sent = wire_send_line(conn, line, strlen(line));
    /* Also when sending failed: a relay that refuses a client says why and closes. */
    enum err err = wire_read_answer(conn, input, status, body);
    return err != ERR_OK && sent != ERR_OK ? sent : err;
}

/* The answer's text without its newline, or the error. */
static void add_reason(enum err err, const struct str *body, struct str *why)
{
    size_t len = body->len;
    while (len > 0 && body->data[len - 1] == '\n')
        len--;
    if (err == ERR_OK && len > 0)
        str_addf(why, "takeover: the relay that runs says: %.*s\n", (int)len, body->data);
    else
        str_addf(why, "takeover: the relay that runs cannot be asked: %s\n", err_text(err));
}

/* What a relay at the other end has to give. */
static enum err get_offer(struct local_conn *conn, struct wire_input *input,
                          struct takeover_offer *offer, struct str *why)
{
    char line[64];
    struct str body;
    str_init(&body);
    enum wire_status status = WIRE_ERROR;
    str_format(line, sizeof line, WIRE_TAKEOVER "%d %" PRIu64, TAKEOVER_PROTOCOL,
               os_process_id());
    enum err err = ask(conn, input, line, &status, &body);
    if (err == ERR_OK && status == WIRE_OK)
        err = takeover_read_offer(body.data, body.len, offer);
    else if (err == ERR_OK)
        err = ERR_UNSUPPORTED;
    if (err != ERR_OK)
        add_reason(err == ERR_UNSUPPORTED ? ERR_OK : err, &body, why);
    str_free(&body);
    return err;
}

/* It passed what it had offered, and nothing else under its name. */
static bool is_as_offered(const struct server_socket *socket)
{
    struct addr addr;
    bool dual_stack;
    return listening_describe(socket->sock, &addr, &dual_stack) == ERR_OK &&
           addr_equal(&addr, &socket->addr) && dual_stack == socket->dual_stack &&
           listening_is_on(socket->sock);
}

static enum err check_sockets(const struct takeover *takeover, struct str *why)
{
    for (size_t i = 0; i < takeover->offer.count; i++) {
        char text[ADDR_TEXT_MAX];
        if (is_as_offered(&takeover->offer.sockets[i]))
            continue;
        str_addf(why,
                 "takeover: pid %" PRIu64 " passed a socket that does not listen on %s, as "
                 "it had said\n",
                 takeover->offer.pid, addr_format(&takeover->offer.sockets[i].addr, text));
        return ERR_INVALID;
    }
    return ERR_OK;
}

/* Whom the system says to be at the other end: nobody else's word counts for more. */
static enum err check_giver(struct takeover *takeover, struct str *why)
{
    struct local_peer peer;
    enum err err = local_peer(takeover->conn, &peer);
    bool stranger = err == ERR_OK && !peer.same_user && !peer.admin;
    if (err != ERR_OK || stranger) {
        str_addf(why, "takeover: the relay at %s is not one of this user: %s\n", takeover->path,
                 stranger ? peer.user : err_text(err));
        return stranger ? ERR_EXISTS : err;
    }
    if (peer.pid != 0)
        takeover->offer.pid = peer.pid;
    return ERR_OK;
}

static enum err get_part(struct takeover *takeover, size_t first, size_t count)
{
    char line[64];
    sock_t socks[LOCAL_SOCKETS_MAX];
    size_t len = str_format(line, sizeof line, "sockets %zu %zu", first, count);
    enum err err = wire_send_line(takeover->conn, line, len);
    if (err == ERR_OK && takeover->input.len > 0)
        err = ERR_INVALID; /* nothing was asked for that could have come */
    if (err == ERR_OK)
        err = local_receive_sockets(takeover->conn, socks, count, WIRE_TIMEOUT_MS);
    for (size_t i = 0; i < count && err == ERR_OK; i++)
        takeover->offer.sockets[first + i].sock = socks[i];
    return err;
}

static enum err get_sockets(struct takeover *takeover, struct str *why)
{
    enum err err = ERR_OK;
    for (size_t first = 0; first < takeover->offer.count && err == ERR_OK;) {
        size_t left = takeover->offer.count - first;
        size_t count = left < LOCAL_SOCKETS_MAX ? left : LOCAL_SOCKETS_MAX;
        err = get_part(takeover, first, count);
        first += count;
    }
    if (err != ERR_OK)
        str_addf(why, "takeover: the listening sockets of pid %" PRIu64 " did not come: %s\n",
                 takeover->offer.pid, err_text(err));
    return err;
}

/* True when nobody serves there any more, which may take a moment. */
static bool has_ended(const char *path)
{
    uint64_t until = os_mono_ms() + LOOK_MS;
    for (;;) {
        struct local_conn *conn;
        enum err err = local_connect(path, &conn);
        if (err == ERR_NOT_FOUND)
            return true;
        if (err == ERR_OK)
            local_conn_close(conn);
        if (os_mono_ms() >= until)
            return false;
        os_sleep_ms(LOOK_AGAIN_MS);
    }
}

enum err takeover_ask(struct takeover **out, const char *path, struct str *why)
{
    struct takeover *takeover = calloc(1, sizeof *takeover);
    if (takeover == NULL) {
        str_addf(why, "takeover: %s\n", err_text(ERR_NOMEM));
        return ERR_NOMEM;
    }
    str_format(takeover->path, sizeof takeover->path, "%s", path);
    enum err err = wire_connect(path, &takeover->conn);
    if (err != ERR_OK) {
        if (err != ERR_NOT_FOUND)
            str_addf(why, "takeover: %s cannot be reached: %s\n", path, err_text(err));
        free(takeover);
        return err;
    }
    err = get_offer(takeover->conn, &takeover->input, &takeover->offer, why);
    if (err == ERR_OK)
        err = check_giver(takeover, why);
    if (err == ERR_OK)
        err = get_sockets(takeover, why);
    if (err == ERR_OK)
        err = check_sockets(takeover, why);
    if (err != ERR_OK) {
        takeover_free(takeover); /* its copies would keep the addresses in use */
        if ((err == ERR_CLOSED || err == ERR_RESET) && has_ended(path))
            return ERR_CLOSED;
        return err == ERR_NOT_FOUND || err == ERR_CLOSED ? ERR_IO : err;
    }
    *out = takeover;
    return ERR_OK;
}

uint64_t takeover_pid(const struct takeover *takeover)
{
    return takeover->offer.pid;
}

const char *takeover_version(const struct takeover *takeover)
{
    return takeover->offer.version;
}

const char *takeover_config(const struct takeover *takeover)
{
    return takeover->offer.config;
}

struct server_socket *takeover_take_sockets(struct takeover *takeover, size_t *count)
{
    struct server_socket *sockets = takeover->offer.sockets;
    *count = takeover->offer.count;
    takeover->offer.sockets = NULL;
    takeover->offer.count = 0;
    return sockets;
}

/* ---- go ---- */

/* True when a relay other than the one that gave answers there. */
static bool another_answers(const struct takeover *takeover)
{
    struct local_conn *conn;
    if (local_connect(takeover->path, &conn) != ERR_OK)
        return false;
    struct wire_input input = {.len = 0};
    struct takeover_offer offer;
    struct str why;
    str_init(&why);
    bool another = false;
    if (get_offer(conn, &input, &offer, &why) == ERR_OK) {
        another = offer.pid != takeover->offer.pid;
        free(offer.sockets);
    }
    str_free(&why);
    local_conn_close(conn);
    return another;
}

/* The old relay is gone without an answer: it has died, or somebody else was faster and it has
 * ended for that one. */
static enum err after_loss(const struct takeover *takeover, struct str *why)
{
    uint64_t until = os_mono_ms() + LOOK_MS;
    while (os_mono_ms() < until) {
        if (another_answers(takeover)) {
            str_add(why, "takeover: another pairport has taken over already\n");
            return ERR_IN_USE;
        }
        os_sleep_ms(LOOK_AGAIN_MS);
    }
    log_warning("takeover: pid %" PRIu64 " is gone without an answer; this relay goes on with "
                "its listening sockets",
                takeover->offer.pid);
    return ERR_OK;
}

static void read_next_id(const struct str *body, uint64_t *next_id)
{
    static const char head[] = "next ";
    char number[24];
    size_t len = strcspn(body->data, "\n");
    if (len < sizeof head || len - (sizeof head - 1) >= sizeof number ||
        strncmp(body->data, head, sizeof head - 1) != 0)
        return;
    str_format(number, sizeof number, "%.*s", (int)(len - (sizeof head - 1)),
               body->data + sizeof head - 1);
    (void)str_parse_u64(number, next_id); /* else what was offered */
}

enum err takeover_go(struct takeover *takeover, uint64_t *next_id, struct str *why)
{
    struct str body;
    str_init(&body);
    enum wire_status status = WIRE_ERROR;
    enum err err = ask(takeover->conn, &takeover->input, "go", &status, &body);
    *next_id = takeover->offer.next_id;
    takeover->lost = err != ERR_OK;
    if (err == ERR_TIMEDOUT) {
        log_warning("takeover: pid %" PRIu64 " does not answer; its listening sockets are "
                    "shared with it until it ends",
                    takeover->offer.pid);
        err = ERR_OK;
    } else if (err != ERR_OK) {
        err = after_loss(takeover, why);
    } else if (status == WIRE_ERROR) {
        add_reason(ERR_OK, &body, why);
        err = ERR_IN_USE;
    } else {
        read_next_id(&body, next_id);
    }
    str_free(&body);
    return err;
}

enum err takeover_serving(struct takeover *takeover, struct str *predecessors, struct str *why)
{
    static const char line[] = "serving";
    struct str body;
    enum wire_status status = WIRE_ERROR;
    if (takeover->lost) {
        /* One that was only stopped finds both when it goes on. */
        (void)wire_send_line(takeover->conn, line, sizeof line - 1);
        return ERR_OK;
    }
    str_init(&body);
    enum err err = ask(takeover->conn, &takeover->input, line, &status, &body);
    if (err != ERR_OK) {
        log_warning("takeover: pid %" PRIu64 " is gone without an answer, or will answer "
                    "later: %s; this relay goes on with its listening sockets",
                    takeover->offer.pid, err_text(err));
        err = ERR_OK;
    } else if (status == WIRE_ERROR) {
        add_reason(ERR_OK, &body, why);
        err = ERR_TIMEDOUT;
    } else {
        str_add(predecessors, body.data);
    }
    str_free(&body);
    return err;
}

void takeover_free(struct takeover *takeover)
{
    if (takeover == NULL)
        return;
    server_free_sockets(takeover->offer.sockets, takeover->offer.count);
    local_conn_close(takeover->conn);
    free(takeover);
}
