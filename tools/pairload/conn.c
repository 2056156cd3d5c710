#include "conn.h"

#include <stdlib.h>

#include "driver.h"
#include "pattern.h"

enum err conn_init(struct conn *conn, struct driver *driver, uint32_t message_bytes)
{
    conn->driver = driver;
    conn->sock = SOCK_NONE;
    conn->buffer_bytes = message_bytes < CONN_BUFFER_MAX ? message_bytes : CONN_BUFFER_MAX;
    conn->in = malloc((size_t)conn->buffer_bytes * 2);
    if (conn->in == NULL)
        return ERR_NOMEM;
    conn->out = conn->in + conn->buffer_bytes;
    return ERR_OK;
}

void conn_free(struct conn *conn)
{
    free(conn->in);
}

static bool is_idle(const struct conn *conn)
{
    return !conn->reading && !conn->writing;
}

static void submit_read(struct conn *conn)
{
    conn->reading = true;
    port_submit(conn->driver->port, &conn->read);
}

static void submit_write(struct conn *conn)
{
    conn->writing = true;
    port_submit(conn->driver->port, &conn->write);
}

/* Closes a connection with nothing in flight. */
static void close_now(struct conn *conn)
{
    bool failed = conn->state == CONN_FAILED;
    port_close_socket(conn->driver->port, conn->sock,
                      failed ? SOCK_CLOSE_ABORT : SOCK_CLOSE_NORMAL);
    conn->sock = SOCK_NONE;
    conn->state = CONN_CLOSED;
    driver_on_closed(conn->driver, conn, failed);
}

/* MODE_FLOOD: the other side has ended it, as it is to. */
static bool is_turned_away(const struct conn *conn, enum fault fault, enum err err)
{
    bool ended = err == ERR_RESET || err == ERR_ABORTED || err == ERR_CLOSED;
    return conn->driver->options->mode == MODE_FLOOD && (ended || fault == FAULT_EARLY_FIN);
}

void conn_fail(struct conn *conn, enum fault fault, enum err err)
{
    struct driver *driver = conn->driver;
    conn->turned_away = is_turned_away(conn, fault, err);
    if (conn->turned_away)
        driver_on_turned_away(driver, conn);
    else
        result_add_fault(driver->result, fault, err);
    if (conn->state == CONN_CONNECTING)
        driver->connecting--;
    conn->state = CONN_FAILED;
    if (is_idle(conn))
        close_now(conn);
    else
        port_cancel(driver->port, conn->sock);
}

static enum err open_sock(struct conn *conn)
{
    const struct options *options = conn->driver->options;
    enum err err = sock_open((enum addr_family)options->addr.family, &conn->sock);
    if (err != ERR_OK)
        return err;
    if (options->source.family != ADDR_NONE)
        err = sock_bind(conn->sock, &options->source);
    if (err == ERR_OK)
        err = port_attach(conn->driver->port, conn->sock);
    if (err != ERR_OK)
        sock_close(conn->sock, SOCK_CLOSE_ABORT);
    return err;
}

void conn_begin(struct conn *conn, uint64_t number)
{
    struct driver *driver = conn->driver;
    const struct options *options = driver->options;
    conn->key = pattern_key(options->seed, number);
    conn->allowed = 0;
    conn->submitted = 0;
    conn->received = 0;
    conn->messages = 0;
    conn->finish = false;
    conn->turned_away = false;
    conn->begun_us = os_mono_us();
    conn->progress_us = driver->now_us;

    enum err err = open_sock(conn);
    if (err != ERR_OK) {
        conn->sock = SOCK_NONE;
        result_add_fault(driver->result, FAULT_CONNECT, err);
        driver_on_closed(driver, conn, true);
        return;
    }
    sock_set_nodelay(conn->sock, true);
    conn->state = CONN_CONNECTING;
    driver->connecting++;
    conn->write.kind = OP_CONNECT;
    conn->write.sock = conn->sock;
    conn->write.owner = conn;
    conn->write.addr = options->addr;
    submit_write(conn);
}

static void receive_more(struct conn *conn)
{
    conn->read.kind = OP_READ;
    conn->read.sock = conn->sock;
    conn->read.owner = conn;
    conn->read.buf = conn->in;
    conn->read.len = conn->buffer_bytes;
    submit_read(conn);
}

/* Sends the next piece of what is allowed, or the FIN when everything has come back. */
static void send_more(struct conn *conn)
{
    if (conn->state != CONN_OPEN || conn->writing)
        return;
    if (conn->submitted == conn->allowed && !conn->finish)
        driver_on_all_sent(conn->driver, conn);
    uint64_t left = conn->allowed - conn->submitted;
    if (left > 0) {
        uint32_t len = left < conn->buffer_bytes ? (uint32_t)left : conn->buffer_bytes;
        pattern_fill(conn->key, conn->submitted, conn->out, len);
        conn->submitted += len;
        conn->write.kind = OP_WRITE;
        conn->write.buf = conn->out;
        conn->write.len = len;
        submit_write(conn);
    } else if (conn->finish && conn->received == conn->submitted) {
        conn->state = CONN_FINISHED;
        /* When the connection is gone already the READ under way says how. */
        (void)sock_shutdown_send(conn->sock);
    }
}

void conn_allow(struct conn *conn, uint64_t bytes)
{
    /* Time spent waiting for permission is no stall. */
    if (conn->received == conn->submitted)
        conn->progress_us = conn->driver->now_us;
    conn->allowed += bytes;
    send_more(conn);
}

void conn_finish(struct conn *conn)
{
    conn->finish = true;
    conn->progress_us = conn->driver->now_us;
    send_more(conn);
}

bool conn_is_waiting(const struct conn *conn)
{
    switch (conn->state) {
    case CONN_CLOSED:
    case CONN_FAILED: return false;
    case CONN_CONNECTING:
    case CONN_FINISHED: return true;
    case CONN_OPEN: return conn->received < conn->allowed;
    }
    return false;
}

static void on_connect(struct conn *conn, const struct op *op)
{
    struct driver *driver = conn->driver;
    if (op->err != ERR_OK) {
        conn_fail(conn, FAULT_CONNECT, op->err);
        return;
    }
    driver->connecting--;
    conn->state = CONN_OPEN;
    conn->progress_us = driver->now_us;
    atomic_fetch_add(&driver->result->connections, 1);
    receive_more(conn);
    driver_on_open(driver, conn);
}

static void on_write(struct conn *conn, const struct op *op)
{
    if (conn->driver->measuring)
        atomic_fetch_add(&conn->driver->result->sent_bytes, op->bytes);
    if (op->err != ERR_OK) {
        conn_fail(conn, FAULT_SEND, op->err);
        return;
    }
    conn->progress_us = conn->driver->now_us;
    send_more(conn);
}

static void on_bytes(struct conn *conn, const struct op *op)
{
    struct driver *driver = conn->driver;
    uint64_t message_bytes = driver->options->message_bytes;
    if (driver->measuring)
        atomic_fetch_add(&driver->result->received_bytes, op->bytes);
    if (op->bytes > conn->submitted - conn->received ||
        pattern_check(conn->key, conn->received, op->buf, op->bytes) != op->bytes) {
        conn_fail(conn, FAULT_WRONG_BYTES, ERR_OK);
        return;
    }
    conn->received += op->bytes;
    conn->progress_us = driver->now_us;
    receive_more(conn);
    while (conn->state == CONN_OPEN && conn->received >= (conn->messages + 1) * message_bytes) {
        conn->messages++;
        if (driver->measuring)
            atomic_fetch_add(&driver->result->messages, 1);
        driver_on_message(driver, conn);
    }
    send_more(conn);
}

static void on_read(struct conn *conn, const struct op *op)
{
    if (op->err != ERR_OK) {
        conn_fail(conn, FAULT_RECEIVE, op->err);
    } else if (op->bytes > 0) {
        on_bytes(conn, op);
    } else if (conn->state == CONN_FINISHED) {
        atomic_fetch_add(&conn->driver->result->closed, 1);
        close_now(conn);
    } else {
        conn_fail(conn, FAULT_EARLY_FIN, ERR_OK);
    }
}

void conn_on_done(struct conn *conn, const struct op *op)
{
    if (op == &conn->read)
        conn->reading = false;
    else
        conn->writing = false;
    if (conn->state == CONN_FAILED) {
        if (is_idle(conn))
            close_now(conn);
    } else if (op->kind == OP_CONNECT) {
        on_connect(conn, op);
    } else if (op->kind == OP_WRITE) {
        on_write(conn, op);
    } else {
        on_read(conn, op);
    }
}
