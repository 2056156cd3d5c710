#include "control/console/endpoint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/command/command_table.h"
#include "control/console/endpoint_private.h"
#include "control/console/wire.h"
#include "os/local.h"
#include "os/os.h"

#define ACCEPT_RETRY_MS  100
#define REFUSAL_GRACE_MS 500  /* for a refused client to read why */
#define STOP_GRACE_MS    2000 /* for answers under way when the endpoint stops */

/* ---- a client, in its thread ---- */

static const char *line_problem(enum err err)
{
    switch (err) {
    case ERR_RANGE: return "the line is too long; the connection is closed\n";
    case ERR_TIMEDOUT: return "the line was not ended within 10 s; the connection is closed\n";
    default: return NULL; /* gone, or the relay stops: nobody to tell */
    }
}

/* True when the client goes on: an answer under way is not cut off by a stop, but is the last. */
static bool set_state(struct client *client, enum client_state state)
{
    struct endpoint *endpoint = client->endpoint;
    os_mutex_lock(&endpoint->lock);
    client->state = state;
    client->since_ms = os_mono_ms();
    bool goes_on = !endpoint->stopping && !client->dropped;
    if (state == CLIENT_IDLE)
        os_cond_wake_all(&endpoint->changed);
    os_mutex_unlock(&endpoint->lock);
    return goes_on;
}

/* Some systems throw away what was not read when the writer closes: gives the client a moment to
 * read and close first. */
static void refuse(struct client *client, struct local_conn *conn, const char *why)
{
    set_state(client, CLIENT_TAKES);
    if (wire_send_answer(conn, WIRE_ERROR, why, strlen(why)) != ERR_OK)
        return;
    uint64_t deadline = os_mono_ms() + REFUSAL_GRACE_MS;
    for (uint64_t now = os_mono_ms(); now < deadline; now = os_mono_ms()) {
        char ignored[64];
        size_t got;
        if (local_read(conn, ignored, sizeof ignored, (uint32_t)(deadline - now), &got) !=
            ERR_OK)
            break;
    }
}

/* The endpoint admits only its own user and administrators anyway; this is what the system says
 * of the one who came. */
static bool is_stranger(struct endpoint *endpoint, struct local_conn *conn)
{
    struct local_peer peer;
    enum err err = local_peer(conn, &peer);
    if (err == ERR_OK && (peer.same_user || peer.admin))
        return false;
    log_limited(&endpoint->strangers, LOG_WARNING, "console: a client is refused: %s",
                err == ERR_OK ? peer.user : err_text(err));
    return true;
}

/* What a console says before a command for which it matters. */
static bool is_caller(const char *line, size_t len, struct addr *out)
{
    struct addr addr;
    if (strlen(line) != len || strncmp(line, WIRE_CALLER, sizeof WIRE_CALLER - 1) != 0 ||
        addr_parse_ip(line + sizeof WIRE_CALLER - 1, &addr) != ERR_OK)
        return false;
    *out = addr;
    return true;
}

/* Runs a line. False: the connection ends. */
static bool serve_line(struct client *client, struct local_conn *conn, struct wire_input *input,
                       struct command_session *session, const char *line, size_t len,
                       struct command_result *result)
{
    struct endpoint *endpoint = client->endpoint;
    bool takeover = strncmp(line, WIRE_TAKEOVER, sizeof WIRE_TAKEOVER - 1) == 0;
    os_mutex_lock(&endpoint->lock);
    const char *refusal = endpoint_refusal(client, line, takeover);
    client->gives = takeover && refusal == NULL;
    os_mutex_unlock(&endpoint->lock);
    if (refusal != NULL) {
        refuse(client, conn, refusal);
        return false;
    }
    if (takeover) {
        session->console->commands->serve_takeover(conn, input, session->console, line);
        return false;
    }
    if (is_caller(line, len, &session->caller))
        len = 0; /* an empty line, and answered as one */
    command_run(session, line, len, result);
    enum wire_status status = result->failed ? WIRE_ERROR : result->quit ? WIRE_BYE : WIRE_OK;
    set_state(client, CLIENT_TAKES);
    return wire_send_answer(conn, status, result->text.data, result->text.len) == ERR_OK &&
           !result->quit;
}

static void serve(struct client *client, struct local_conn *conn)
{
    struct command_session session = {.console = client->endpoint->console};
    struct wire_input input = {.len = 0};
    struct command_result result;
    command_result_init(&result);
    bool known = false, open = true;
    while (open) {
        char line[WIRE_LINE_MAX + 1];
        size_t len;
        enum err err = wire_read_line(conn, &input, UINT32_MAX, line, &len);
        if (err != ERR_OK) {
            const char *problem = line_problem(err);
            if (problem != NULL)
                wire_send_answer(conn, WIRE_ERROR, problem, strlen(problem));
            break;
        }
        if (!set_state(client, CLIENT_RUNS))
            break;
        if (!known && is_stranger(client->endpoint, conn)) {
            refuse(client, conn, "only the user of this relay and administrators may use it\n");
            break;
        }
        known = true;
        open = serve_line(client, conn, &input, &session, line, len, &result);
        open = set_state(client, CLIENT_IDLE) && open;
    }
    set_state(client, CLIENT_IDLE);
    command_result_free(&result);
}

static void run_client(void *arg)
{
    struct client *client = arg;
    struct endpoint *endpoint = client->endpoint;
    os_mutex_lock(&endpoint->lock);
    struct local_conn *conn = client->conn;
    os_mutex_unlock(&endpoint->lock);
    serve(client, conn);

    /* A thread cannot join itself: each that leaves joins the one that left before it, so that
     * at most one is not joined, however many clients there were. */
    os_mutex_lock(&endpoint->lock);
    client->conn = NULL; /* nobody stops it any more */
    client->dropped = true;
    os_mutex_unlock(&endpoint->lock);
    local_conn_close(conn);

    os_mutex_lock(&endpoint->lock);
    struct os_thread *before = endpoint->ended;
    endpoint->ended = client->thread;
    *client = (struct client){.endpoint = endpoint};
    os_cond_wake_all(&endpoint->changed);
    os_mutex_unlock(&endpoint->lock);
    if (before != NULL)
        os_thread_join(before);
}

/* ---- the listener, in its thread ---- */

/* Starts the client's thread. False: `why` is what the client is to be told. */
static bool admit(struct endpoint *endpoint, struct local_conn *conn, char why[96])
{
    enum err err = ERR_OK;
    bool spare;
    os_mutex_lock(&endpoint->lock);
    struct client *client = endpoint->stopping ? NULL : endpoint_find_place(endpoint, &spare);
    if (endpoint->stopping) {
        client = NULL;
        str_format(why, 96, "the relay has stopped\n");
    } else if (client == NULL) {
        str_format(why, 96, "all %d consoles of this relay are in use; close one\n",
                   ENDPOINT_CLIENTS_MAX);
    } else {
        *client = (struct client){
            .endpoint = endpoint, .conn = conn, .spare = spare, .since_ms = os_mono_ms()};
        /* With the lock held, so that the thread cannot leave before its handle is here. */
        err = os_thread_start(&client->thread, "console", run_client, client);
    }
    if (err != ERR_OK) {
        *client = (struct client){.conn = NULL};
        str_format(why, 96, "the relay cannot serve another console: %s\n", err_text(err));
        client = NULL;
    }
    os_mutex_unlock(&endpoint->lock);
    return client != NULL;
}

/* The client is still to come: somebody who needs the console gets it at the cost of an idle one.
 * False: there is none. */
static bool make_room(struct endpoint *endpoint, enum err err)
{
    if (err != ERR_NO_DESCRIPTORS)
        return false;
    os_mutex_lock(&endpoint->lock);
    bool dropped = !endpoint->stopping && endpoint_drop_one(endpoint);
    os_mutex_unlock(&endpoint->lock);
    return dropped;
}

static void run_listener(void *arg)
{
    struct endpoint *endpoint = arg;
    for (;;) {
        struct local_conn *conn;
        enum err err = local_accept(endpoint->listener, &conn);
        if (err == ERR_CANCELLED)
            return;
        if (err == ERR_OK) {
            char why[96];
            if (!admit(endpoint, conn, why)) {
                /* Fits into the buffer of a new connection, so this waits for nobody. */
                wire_send_answer(conn, WIRE_ERROR, why, strlen(why));
                local_conn_close(conn);
            }
            continue;
        }
        if (make_room(endpoint, err))
            continue;
        log_limited(&endpoint->failed_accepts, LOG_WARNING,
                    "console: a client could not be accepted: %s", err_text(err));
        os_sleep_ms(ACCEPT_RETRY_MS);
    }
}

enum err endpoint_start(struct endpoint **out, const char *path, const struct console *console)
{
    struct endpoint *endpoint = calloc(1, sizeof *endpoint);
    if (endpoint == NULL)
        return ERR_NOMEM;
    os_mutex_init(&endpoint->lock, LOCK_ENDPOINT);
    endpoint->console = console;
    enum err err = local_listen(path, &endpoint->listener);
    if (err != ERR_OK)
        goto free_endpoint;
    err = os_thread_start(&endpoint->thread, "endpoint", run_listener, endpoint);
    if (err != ERR_OK)
        goto close_listener;
    *out = endpoint;
    return ERR_OK;

close_listener:
    local_listener_close(endpoint->listener);
free_endpoint:
    free(endpoint);
    return err;
}

/* With the lock held. */
static bool is_answering(const struct endpoint *endpoint)
{
    for (size_t i = 0; i < ENDPOINT_PLACES; i++) {
        if (endpoint->clients[i].state != CLIENT_IDLE)
            return true;
    }
    return false;
}

/* With the lock held. */
static bool has_clients(const struct endpoint *endpoint)
{
    for (size_t i = 0; i < ENDPOINT_PLACES; i++) {
        if (endpoint->clients[i].thread != NULL)
            return true;
    }
    return false;
}

/* With the lock held. */
static void stop_clients(struct endpoint *endpoint, bool also_answering)
{
    for (size_t i = 0; i < ENDPOINT_PLACES; i++) {
        struct client *client = &endpoint->clients[i];
        if (client->conn != NULL && (also_answering || client->state == CLIENT_IDLE))
            local_conn_stop(client->conn);
    }
}

void endpoint_release(struct endpoint *endpoint)
{
    uint64_t deadline = os_mono_ms() + STOP_GRACE_MS;
    os_mutex_lock(&endpoint->lock);
    endpoint->stopping = true;
    stop_clients(endpoint, false);
    for (uint64_t now = os_mono_ms(); is_answering(endpoint) && now < deadline;
         now = os_mono_ms())
        os_cond_wait(&endpoint->changed, &endpoint->lock, (uint32_t)(deadline - now));
    stop_clients(endpoint, true);
    os_mutex_unlock(&endpoint->lock);
    local_listener_stop(endpoint->listener);
    os_thread_join(endpoint->thread);
    local_listener_close(endpoint->listener);
    endpoint->listener = NULL;
}

void endpoint_stop(struct endpoint *endpoint)
{
    if (endpoint->listener != NULL)
        endpoint_release(endpoint);
    os_mutex_lock(&endpoint->lock);
    while (has_clients(endpoint))
        os_cond_wait(&endpoint->changed, &endpoint->lock, UINT32_MAX);
    struct os_thread *ended = endpoint->ended;
    os_mutex_unlock(&endpoint->lock);
    if (ended != NULL)
        os_thread_join(ended); /* it has joined the one before it, and that one its own */
    free(endpoint);
}
