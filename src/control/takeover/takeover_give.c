/* takeover_give.c - the relay that runs gives its listening sockets away; see takeover.h. */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "control/takeover/takeover.h"
#include "os/os.h"
#include "relay/server.h"

#define PATIENCE_MS 60000 /* for the new relay to get ready */

#define WHY_MAX 160 /* bytes of a refusal */

struct transfer {
    struct local_conn *conn;
    struct wire_input *input;
    const struct console *console;
    struct server_socket *sockets; /* owned: copies */
    size_t count;
    size_t given; /* of these, the first ones, that were sent */
    uint64_t pid; /* who asks */
};

/* Reads "A B", two numbers with one blank between. */
static bool read_pair(const char *text, uint64_t *a, uint64_t *b)
{
    char first[24];
    const char *blank = strchr(text, ' ');
    size_t len = blank == NULL ? 0 : (size_t)(blank - text);
    if (len == 0 || len >= sizeof first)
        return false;
    memcpy(first, text, len);
    first[len] = '\0';
    return str_parse_u64(first, a) == ERR_OK && str_parse_u64(blank + 1, b) == ERR_OK;
}

static void refuse(struct transfer *transfer, const char *why)
{
    log_warning("takeover: pid %" PRIu64 " is refused: %s", transfer->pid, why);
    char text[WHY_MAX + 1];
    size_t len = str_format(text, sizeof text, "%s\n", why);
    wire_send_answer(transfer->conn, WIRE_ERROR, text, len);
}

/* What the system says of who asks. A process that it can't name (it is in a container of its
 * own) is believed. */
static bool is_trusted(struct transfer *transfer)
{
    struct local_peer peer;
    if (local_peer(transfer->conn, &peer) != ERR_OK || !(peer.same_user || peer.admin))
        return false;
    if (peer.pid != 0)
        transfer->pid = peer.pid;
    return true;
}

/* ---- the requests ---- */

static uint64_t next_id(const struct transfer *transfer)
{
    return server_latest_id(transfer->console->server) + TAKEOVER_IDS;
}

static bool offer(struct transfer *transfer)
{
    struct takeover_offer all = {
        .pid = os_process_id(),
        .next_id = next_id(transfer),
        .sockets = transfer->sockets,
        .count = transfer->count,
    };
    str_format(all.version, sizeof all.version, "%s", transfer->console->version);
    str_format(all.config, sizeof all.config, "%s", transfer->console->config_path);
    struct str text;
    str_init(&text);
    takeover_write_offer(&all, &text);
    enum err err = text.failed ? ERR_NOMEM : ERR_OK;
    if (err == ERR_OK)
        err = wire_send_answer(transfer->conn, WIRE_OK, text.data, text.len);
    else
        refuse(transfer, err_text(err));
    str_free(&text);
    return err == ERR_OK;
}

static bool begin(struct transfer *transfer, const char *line)
{
    char why[WHY_MAX];
    uint64_t protocol;
    if (!read_pair(line + sizeof WIRE_TAKEOVER - 1, &protocol, &transfer->pid)) {
        refuse(transfer, "a takeover begins with `takeover VERSION PID`");
        return false;
    }
    if (!is_trusted(transfer)) {
        refuse(transfer, "only the user of this relay or an administrator can take it over");
        return false;
    }
    if (protocol != TAKEOVER_PROTOCOL || transfer->console->hand_over == NULL) {
        str_format(why, sizeof why,
                   "pairport %s can be taken over by version %d of the takeover protocol, not "
                   "by version %" PRIu64,
                   transfer->console->version, TAKEOVER_PROTOCOL, protocol);
        refuse(transfer, why);
        return false;
    }
    enum err err =
        server_copy_sockets(transfer->console->server, &transfer->sockets, &transfer->count);
    if (err != ERR_OK) {
        str_format(why, sizeof why, "the listening sockets cannot be copied: %s",
                   err_text(err));
        refuse(transfer, why);
        return false;
    }
    return offer(transfer);
}

static bool send_sockets(struct transfer *transfer, const char *numbers)
{
    uint64_t first, count;
    sock_t socks[LOCAL_SOCKETS_MAX];
    if (!read_pair(numbers, &first, &count) || count == 0 || count > LOCAL_SOCKETS_MAX ||
        first > transfer->count || count > transfer->count - first)
        return false;
    for (size_t i = 0; i < count; i++)
        socks[i] = transfer->sockets[first + i].sock;
    enum err err = local_send_sockets(transfer->conn, socks, (size_t)count, transfer->pid);
    if (err != ERR_OK)
        log_warning("takeover: the listening sockets cannot be passed to pid %" PRIu64 ": %s",
                    transfer->pid, err_text(err));
    if (err == ERR_OK && first == transfer->given)
        transfer->given += (size_t)count;
    return err == ERR_OK;
}

static enum err step(const struct transfer *transfer, enum hand_over what, struct str *list)
{
    return transfer->console->hand_over(transfer->console->ctx, what, transfer->pid, list);
}

static bool answer_go(struct transfer *transfer)
{
    char line[40];
    size_t len = str_format(line, sizeof line, "next %" PRIu64 "\n", next_id(transfer));
    return wire_send_answer(transfer->conn, WIRE_OK, line, len) == ERR_OK;
}

/* The new relay serves: this one has done its part. */
static bool hand_over(struct transfer *transfer)
{
    /* The copies would keep the sockets of this process open. */
    server_free_sockets(transfer->sockets, transfer->count);
    transfer->sockets = NULL;
    transfer->count = 0;
    struct str list;
    str_init(&list);
    if (step(transfer, HAND_OVER_DONE, &list) == ERR_OK)
        wire_send_answer(transfer->conn, WIRE_OK, list.data, list.len);
    else
        refuse(transfer, "it took too long; begin anew");
    str_free(&list);
    return true;
}

/* It may begin: follows it to its `serving`. Both accept meanwhile. False: nothing came. */
static bool go(struct transfer *transfer)
{
    char line[WIRE_LINE_MAX + 1];
    size_t len;
    if (transfer->given != transfer->count) { /* who does not have them cannot serve */
        refuse(transfer, "not all listening sockets were asked for before `go`");
        return true;
    }
    if (step(transfer, HAND_OVER_BEGIN, NULL) != ERR_OK) {
        refuse(transfer, "another pairport has taken over already");
        return true;
    }
    if (answer_go(transfer) &&
        wire_read_line(transfer->conn, transfer->input, TAKEOVER_PENDING_MS, line, &len) ==
            ERR_OK &&
        strcmp(line, "serving") == 0)
        return hand_over(transfer);
    (void)step(transfer, HAND_OVER_BACK, NULL);
    return false;
}

/* Follows the new relay to its `go`. False: it came to nothing. */
static bool follow(struct transfer *transfer)
{
    static const char sockets[] = "sockets ";
    for (;;) {
        char line[WIRE_LINE_MAX + 1];
        size_t len;
        enum err err = wire_read_line(transfer->conn, transfer->input, PATIENCE_MS, line, &len);
        if (err != ERR_OK)
            return false;
        if (strcmp(line, "go") == 0)
            return go(transfer);
        bool asks = strncmp(line, sockets, sizeof sockets - 1) == 0;
        if (!asks || !send_sockets(transfer, line + sizeof sockets - 1))
            return false;
    }
}

void takeover_give(struct local_conn *conn, struct wire_input *input,
                   const struct console *console, const char *line)
{
    struct transfer transfer = {.conn = conn, .input = input, .console = console};
    if (begin(&transfer, line)) {
        log_notice("takeover: pid %" PRIu64 " gets copies of %zu listening socket%s",
                   transfer.pid, transfer.count, transfer.count == 1 ? "" : "s");
        if (!follow(&transfer))
            log_warning("takeover: pid %" PRIu64 " has given up; this relay goes on",
                        transfer.pid);
    }
    server_free_sockets(transfer.sockets, transfer.count);
}
