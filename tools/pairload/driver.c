#include "driver.h"

#include <stdio.h>
#include <stdlib.h>

#include "conn.h"

/* Connects in progress at once. More would only overflow the listener's backlog, and a SYN that
 * is lost there comes again after a second. */
#define CONNECTING_MAX 64

#define RETRY_US 10000 /* from a failed connection to the next try of a mode that comes again */
#define AFTER_US 100000 /* with a warm-up: how long the load goes on after "measured" */
#define SCAN_US  250000 /* how often interruptions and stalled connections are looked for */

/* Each connection that has ended is followed by another one. */
static bool comes_again(const struct driver *driver)
{
    return driver->options->mode == MODE_CONNECT || driver->options->mode == MODE_FLOOD;
}

/* True when one more message may begin; it is then taken from the budget. */
static bool take_message(struct driver *driver)
{
    if (driver->finishing || driver->budget == 0)
        return false;
    driver->budget--;
    return true;
}

static void begin_conn(struct driver *driver, struct conn *conn)
{
    conn_begin(conn, (uint64_t)driver->index << 40 | driver->streams++);
}

static void send_message(struct driver *driver, struct conn *conn)
{
    conn->message_us = os_mono_us();
    conn_allow(conn, driver->options->message_bytes);
}

static void record(const struct driver *driver, struct histogram *histogram, uint64_t us)
{
    if (driver->measuring)
        histogram_record(histogram, us);
}

/* ---- what the modes do ---- */

/* MODE_PINGPONG and MODE_BULK: what they go on with by themselves. */
static void begin_messages(struct driver *driver, struct conn *conn)
{
    if (driver->options->mode == MODE_BULK)
        conn_allow(conn, 0); /* asks for its messages itself */
    else if (take_message(driver))
        send_message(driver, conn);
    else
        conn_finish(conn);
}

/* With a warm-up all connect before any sends, so that what is measured does not depend on who
 * came first. */
static bool is_held(const struct driver *driver)
{
    return driver->options->warm_up_ms > 0 && !driver->established && !driver->finishing;
}

void driver_on_open(struct driver *driver, struct conn *conn)
{
    switch (driver->options->mode) {
    case MODE_PINGPONG:
    case MODE_BULK:
        if (!is_held(driver))
            begin_messages(driver, conn);
        break;
    case MODE_CONNECT:
    case MODE_FLOOD: /* the message was taken from the budget before connecting */
        conn->message_us = conn->begun_us;
        conn_allow(conn, driver->options->message_bytes);
        conn_finish(conn);
        break;
    case MODE_IDLE:
        send_message(driver, conn);
        if (driver->finishing)
            conn_finish(conn);
        break;
    case MODE_PACED:
        if (driver->finishing)
            conn_finish(conn);
        break; /* due times give the messages */
    case MODE_ECHO:
    case MODE_SINK: break; /* they do not connect */
    }
}

/* MODE_PACED: the driver's messages are due at equal distances and go to its connections in
 * turn. The drivers' schedules interleave. */
static uint64_t due_us(const struct driver *driver, uint64_t message)
{
    double interval_us = 1e6 * driver->options->threads / driver->options->rate;
    return driver->paced_us + (uint64_t)((double)message * interval_us);
}

static uint64_t due_of_conn(const struct driver *driver, const struct conn *conn)
{
    uint64_t index = (uint64_t)(conn - driver->conns);
    return due_us(driver, (conn->messages - 1) * driver->conn_count + index);
}

void driver_on_all_sent(struct driver *driver, struct conn *conn)
{
    if (driver->options->mode != MODE_BULK)
        return;
    if (take_message(driver))
        conn->allowed += driver->options->message_bytes;
    else
        conn->finish = true;
}

void driver_on_message(struct driver *driver, struct conn *conn)
{
    switch (driver->options->mode) {
    case MODE_PINGPONG:
        record(driver, &driver->result->latency_us, os_mono_us() - conn->message_us);
        if (take_message(driver))
            send_message(driver, conn);
        else
            conn_finish(conn);
        break;
    case MODE_PACED:
        record(driver, &driver->result->latency_us, os_mono_us() - due_of_conn(driver, conn));
        break;
    case MODE_CONNECT:
    case MODE_IDLE:
        record(driver, &driver->result->latency_us, os_mono_us() - conn->message_us);
        break;
    case MODE_FLOOD: /* who is let in does not count */
    case MODE_BULK:  /* its messages are not sent one by one */
    case MODE_ECHO:
    case MODE_SINK: break;
    }
}

void driver_on_turned_away(struct driver *driver, const struct conn *conn)
{
    atomic_fetch_add(&driver->result->turned_away, 1);
    record(driver, &driver->result->latency_us, os_mono_us() - conn->begun_us);
}

void driver_on_closed(struct driver *driver, struct conn *conn, bool failed)
{
    if (!comes_again(driver) || !take_message(driver)) {
        driver->ended++;
    } else if (failed && !conn->turned_away) {
        conn->retry = true;
        driver->retrying++;
        conn->retry_us = driver->now_us + RETRY_US;
    } else {
        begin_conn(driver, conn);
    }
}

/* ---- the loop ---- */

static void begin_conns(struct driver *driver)
{
    while (driver->begun < driver->conn_count && driver->connecting < CONNECTING_MAX) {
        struct conn *conn = &driver->conns[driver->begun++];
        if (driver->finishing || (comes_again(driver) && !take_message(driver)))
            driver->ended++;
        else
            begin_conn(driver, conn);
    }
}

/* Paced messages begin when every connection has been established or has failed. */
static void send_due(struct driver *driver)
{
    if (driver->begun < driver->conn_count || driver->connecting > 0)
        return;
    if (driver->paced_us == 0) {
        double offset_us = 1e6 * driver->index / driver->options->rate;
        driver->paced_us = driver->now_us + (uint64_t)offset_us;
    }
    for (;;) {
        uint64_t due = due_us(driver, driver->paced_next);
        if (due > driver->now_us || !take_message(driver))
            return;
        struct conn *conn = &driver->conns[driver->paced_next++ % driver->conn_count];
        if (conn->state != CONN_OPEN)
            continue; /* its failure has been counted */
        record(driver, &driver->result->lateness_us, driver->now_us - due);
        conn_allow(conn, driver->options->message_bytes);
    }
}

static void retry_conns(struct driver *driver)
{
    for (uint32_t i = 0; i < driver->begun && driver->retrying > 0; i++) {
        struct conn *conn = &driver->conns[i];
        if (!conn->retry || driver->now_us < conn->retry_us)
            continue;
        conn->retry = false;
        driver->retrying--;
        if (driver->finishing) {
            driver->ended++;
        } else {
            begin_conn(driver, conn);
        }
    }
}

static void finish_conns(struct driver *driver)
{
    bool held = is_held(driver);
    driver->finishing = true;
    for (uint32_t i = 0; i < driver->begun; i++) {
        struct conn *conn = &driver->conns[i];
        if (conn->state != CONN_OPEN || conn->finish)
            continue;
        if (driver->options->mode == MODE_IDLE)
            send_message(driver, conn); /* to see that it is still good */
        if (held || driver->options->mode == MODE_IDLE || driver->options->mode == MODE_PACED ||
            driver->options->mode == MODE_FLOOD)
            conn_finish(conn);
        /* The others finish with the echo of the message under way. */
    }
}

static void end_stalled(struct driver *driver)
{
    driver->scanned_us = driver->now_us;
    uint64_t limit_us = driver->options->stall_ms * 1000;
    for (uint32_t i = 0; i < driver->begun; i++) {
        struct conn *conn = &driver->conns[i];
        if (conn_is_waiting(conn) && driver->now_us - conn->progress_us > limit_us)
            conn_fail(conn, FAULT_STALLED, ERR_OK);
    }
}

static void begin_held(struct driver *driver)
{
    if (driver->options->mode != MODE_PINGPONG && driver->options->mode != MODE_BULK)
        return;
    for (uint32_t i = 0; i < driver->conn_count; i++)
        if (driver->conns[i].state == CONN_OPEN && !driver->conns[i].finish)
            begin_messages(driver, &driver->conns[i]);
}

/* With a warm-up: begins and ends what is measured. Whoever looks on (at the processor time of a
 * relay, say) is told at once. */
static void follow_window(struct driver *driver)
{
    struct window *window = driver->window;
    if (!driver->established && driver->begun == driver->conn_count &&
        driver->connecting == 0) {
        driver->established = true;
        if (atomic_fetch_sub(&window->connecting, 1) == 1)
            atomic_store(&window->start_us,
                         driver->now_us + driver->options->warm_up_ms * 1000);
        begin_held(driver);
    }
    uint64_t start_us = atomic_load(&window->start_us);
    if (start_us == 0)
        return;
    driver->end_us = start_us + driver->options->duration_ms * 1000;
    bool measuring =
        driver->now_us >= start_us && driver->now_us < driver->end_us && !driver->finishing;
    if (measuring == driver->measuring)
        return;
    driver->measuring = measuring;
    if (driver->index == 0)
        fputs(measuring ? "measuring\n" : "measured\n", stderr);
}

/* When the run is to end. Whoever looks on needs a moment after the end of what is measured and
 * must not see the connections close in it. */
static uint64_t stop_us(const struct driver *driver)
{
    return driver->options->warm_up_ms > 0 && driver->end_us < UINT64_MAX
               ? driver->end_us + AFTER_US
               : driver->end_us;
}

/* How long port_wait() may sleep, in milliseconds. */
static int time_to_act(const struct driver *driver)
{
    uint64_t next_us = driver->scanned_us + SCAN_US;
    bool exact = false;
    uint64_t end_us = driver->measuring ? driver->end_us : stop_us(driver);
    if (!driver->finishing && end_us < next_us)
        next_us = end_us;
    uint64_t start_us = atomic_load(&driver->window->start_us);
    if (driver->now_us < start_us && start_us < next_us)
        next_us = start_us;
    if (driver->retrying > 0 && next_us > driver->now_us + RETRY_US)
        next_us = driver->now_us + RETRY_US;
    if (driver->options->mode == MODE_PACED && driver->paced_us != 0 && !driver->finishing &&
        driver->budget > 0 && due_us(driver, driver->paced_next) < next_us) {
        next_us = due_us(driver, driver->paced_next);
        exact = driver->options->spin;
    }
    uint64_t now_us = os_mono_us();
    if (next_us <= now_us)
        return 0;
    return (int)((next_us - now_us + (exact ? 0 : 999)) / 1000);
}

static void act(struct driver *driver)
{
    driver->now_us = os_mono_us();
    if (driver->options->warm_up_ms > 0)
        follow_window(driver);
    else if (driver->options->mode == MODE_IDLE && driver->end_us == UINT64_MAX &&
             driver->begun == driver->conn_count && driver->connecting == 0)
        driver->end_us = driver->now_us + driver->options->duration_ms * 1000;
    bool over = driver->now_us >= stop_us(driver) || atomic_load(driver->interrupted);
    if (driver->options->mode == MODE_PACED && driver->budget == 0)
        over = true;
    if (over && !driver->finishing)
        finish_conns(driver);
    begin_conns(driver);
    if (driver->options->mode == MODE_PACED && !driver->finishing)
        send_due(driver);
    retry_conns(driver);
    if (driver->now_us - driver->scanned_us >= SCAN_US)
        end_stalled(driver);
}

static void run(void *arg)
{
    struct driver *driver = arg;
    driver->err = port_enter(driver->port);
    if (driver->err != ERR_OK)
        return;
    driver->start_us = os_mono_us();
    driver->scanned_us = driver->start_us;
    driver->measuring = driver->options->warm_up_ms == 0;
    /* Connections that idle do so for the whole time, all of them. */
    if (driver->options->duration_ms > 0 && driver->measuring &&
        driver->options->mode != MODE_IDLE)
        driver->end_us = driver->start_us + driver->options->duration_ms * 1000;
    act(driver);
    while (driver->ended < driver->conn_count) {
        struct op *ops[PORT_BATCH];
        int n = port_wait(driver->port, ops, PORT_BATCH, time_to_act(driver));
        driver->now_us = os_mono_us();
        for (int i = 0; i < n; i++)
            conn_on_done(ops[i]->owner, ops[i]);
        act(driver);
    }
    port_leave(driver->port);
}

static void free_conns(struct driver *driver)
{
    for (uint32_t i = 0; i < driver->conn_count; i++)
        conn_free(&driver->conns[i]);
    free(driver->conns);
}

/* The share of one driver in a number that all divide. */
static uint64_t share(const struct driver *driver, uint64_t whole)
{
    uint64_t threads = driver->options->threads;
    return whole / threads + (driver->index < whole % threads ? 1 : 0);
}

enum err driver_start(struct driver *driver)
{
    const struct options *options = driver->options;
    uint32_t conn_count = (uint32_t)share(driver, options->connections);
    driver->budget = options->count > 0 ? share(driver, options->count) : UINT64_MAX;
    driver->end_us = UINT64_MAX;

    enum err err = port_open(&driver->port, 1);
    if (err != ERR_OK)
        return err;
    driver->conns = calloc(conn_count, sizeof *driver->conns);
    if (driver->conns == NULL) {
        err = ERR_NOMEM;
        goto close_port;
    }
    for (; driver->conn_count < conn_count; driver->conn_count++) {
        err = conn_init(&driver->conns[driver->conn_count], driver, options->message_bytes);
        if (err != ERR_OK)
            goto free_conns;
    }
    err = os_thread_start(&driver->thread, "driver", run, driver);
    if (err != ERR_OK)
        goto free_conns;
    return ERR_OK;

free_conns:
    free_conns(driver);
close_port:
    port_close(driver->port);
    return err;
}

enum err driver_join(struct driver *driver)
{
    os_thread_join(driver->thread);
    free_conns(driver);
    port_close(driver->port);
    return driver->err;
}
