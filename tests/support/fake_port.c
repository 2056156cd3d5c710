#include "support/fake_port.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/list.h"
#include "port/move.h"
#include "support/fake.h"

#define RUBBISH 0xA5

/* The fake's record at the head of an operation. */
struct native {
    struct list link; /* in `waiting`, then in `finished` */
    uint64_t sum;     /* of the bytes of a WRITE when it was submitted */
    bool cancel_asked;
    bool is_finished;
};
_Static_assert(sizeof(struct native) <= OP_NATIVE_SIZE, "the record fits");

struct port {
    unsigned workers;
};

struct failure {
    unsigned calls, skip, times;
    enum err err;
};

static struct list waiting = {&waiting, &waiting};
static struct list finished = {&finished, &finished};
static struct port the_port;
static bool port_is_open;
static bool reads_into_buffers;
static struct failure failures[FAKE_CALLS];
static struct port_stats stats;
static int last_timeout = INT_MIN;

void fake_require(bool holds, const char *rule)
{
    mock_assert(holds, rule, __FILE__, __LINE__);
}

static struct native *native_of(struct op *op)
{
    return (struct native *)(void *)op->native;
}

static struct op *op_of(struct list *link)
{
    return (struct op *)(void *)list_owner(link, struct native, link);
}

static bool is_of(const struct op *op, sock_t sock, enum op_kind kind)
{
    return op->kind == kind && (sock == SOCK_NONE || op->sock == sock);
}

/* FNV-1a, to notice a buffer that changes under a WRITE. */
static uint64_t sum_of(const unsigned char *bytes, size_t size)
{
    uint64_t sum = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ bytes[i]) * UINT64_C(1099511628211);
    return sum;
}

static unsigned count_list(const struct list *list)
{
    unsigned count = 0;
    for (const struct list *at = list->next; at != list; at = at->next)
        count++;
    return count;
}

/* ---- for the test ---- */

static void forget_all(void)
{
    list_init(&waiting);
    list_init(&finished);
    memset(failures, 0, sizeof failures);
    memset(&stats, 0, sizeof stats);
    memset(&the_port, 0, sizeof the_port);
    port_is_open = false;
    reads_into_buffers = false;
    last_timeout = INT_MIN;
    fake_sock_forget_all();
}

void fake_port_begin(void)
{
    forget_all();
}

void fake_port_end(void)
{
    unsigned in_flight = fake_port_in_flight();
    unsigned open = fake_sock_open_count();
    bool was_open = port_is_open;
    forget_all();
    fake_require(in_flight == 0, "nothing is in flight at the end");
    fake_require(open == 0, "every socket is closed at the end");
    fake_require(!was_open, "the port is closed at the end");
}

struct op *fake_port_op(sock_t sock, enum op_kind kind)
{
    for (struct list *at = waiting.next; at != &waiting; at = at->next)
        if (is_of(op_of(at), sock, kind))
            return op_of(at);
    return NULL;
}

unsigned fake_port_waiting(sock_t sock, enum op_kind kind)
{
    unsigned count = 0;
    for (struct list *at = waiting.next; at != &waiting; at = at->next)
        count += is_of(op_of(at), sock, kind);
    return count;
}

unsigned fake_port_in_flight(void)
{
    return count_list(&waiting) + count_list(&finished);
}

unsigned fake_port_ready(void)
{
    return count_list(&finished);
}

static struct native *use_waiting(struct op *op)
{
    fake_require(op != NULL && op->in_flight && !native_of(op)->is_finished,
                 "only an operation that waits is finished");
    return native_of(op);
}

bool fake_port_cancel_asked(const struct op *op)
{
    struct native native;
    memcpy(&native, op->native, sizeof native);
    return op->in_flight && native.cancel_asked;
}

static void finish(struct op *op, enum err err, uint32_t bytes)
{
    struct native *native = use_waiting(op);
    native->is_finished = true;
    op->err = err;
    op->raw = err == ERR_OK ? 0 : -(int32_t)err;
    op->bytes = bytes;
    list_remove(&native->link);
    list_push(&finished, &native->link);
}

void fake_port_finish(struct op *op, enum err err, uint32_t bytes)
{
    struct native *native = use_waiting(op);
    switch (op->kind) {
    case OP_ACCEPT:
        fake_require(err != ERR_OK, "an ACCEPT succeeds by fake_port_finish_accept()");
        break;
    case OP_CONNECT:
    case OP_WAKE: fake_require(bytes == 0, "this operation moves no bytes"); break;
    case OP_READ:
        fake_require(bytes == 0, "a READ gets its bytes by fake_port_finish_read()");
        fake_require(err != ERR_AGAIN, "a READ waits; it does not give up");
        break;
    case OP_WRITE:
        fake_require(bytes <= op->len, "a WRITE sends what it has");
        fake_require(err != ERR_OK || bytes == op->len, "a WRITE that succeeds sends all");
        fake_require(native->sum == sum_of(op->buf, op->len),
                     "the buffer of a WRITE does not change while it is in flight");
        fake_sock_take(fake_sock_use(op->sock), op->buf, bytes);
        break;
    }
    finish(op, err, bytes);
}

void fake_port_finish_read(struct op *op, const void *data, size_t size)
{
    use_waiting(op);
    fake_require(op->kind == OP_READ && size > 0 && size <= op->len,
                 "a READ gets 1..len bytes");
    memcpy(op->buf, data, size);
    finish(op, ERR_OK, (uint32_t)size);
}

/* What port_receive_now() gives. */
static enum err take_coming(struct fake_sock *sock, void *buf, uint32_t len, uint32_t *got)
{
    if (sock->coming_len == 0) {
        if (sock->coming_end == ERR_OK)
            *got = 0;
        return sock->coming_end;
    }
    size_t size = sock->coming_len < len ? sock->coming_len : len;
    memcpy(buf, sock->coming, size);
    memmove(sock->coming, sock->coming + size, sock->coming_len - size);
    sock->coming_len -= size;
    *got = (uint32_t)size;
    return ERR_OK;
}

bool fake_port_finish_arrived(struct op *op)
{
    use_waiting(op);
    fake_require(op->kind == OP_READ, "only a READ waits for what arrives");
    uint32_t got = 0;
    enum err err = ERR_OK;
    if (op->len > 0)
        err = take_coming(fake_sock_use(op->sock), op->buf, op->len, &got);
    if (err == ERR_AGAIN)
        return false;
    finish(op, err, got);
    return true;
}

void fake_port_finish_write(struct op *op)
{
    use_waiting(op);
    fake_port_finish(op, ERR_OK, op->len);
}

sock_t fake_port_finish_accept(struct op *op, const struct addr *from)
{
    use_waiting(op);
    fake_require(op->kind == OP_ACCEPT, "only an ACCEPT brings a client");
    struct fake_sock *listener = fake_sock_use(op->sock);
    op->accepted = fake_sock_make(&listener->local, from);
    op->addr = *from;
    finish(op, ERR_OK, 0);
    return op->accepted;
}

unsigned fake_port_finish_cancelled(sock_t sock)
{
    unsigned count = 0;
    struct list *next;
    for (struct list *at = waiting.next; at != &waiting; at = next) {
        next = at->next;
        struct op *op = op_of(at);
        if (!native_of(op)->cancel_asked || (sock != SOCK_NONE && op->sock != sock))
            continue;
        fake_port_finish(op, ERR_CANCELLED, 0);
        count++;
    }
    return count;
}

void fake_port_read_into_buffers(bool does)
{
    reads_into_buffers = does;
}

int fake_port_last_timeout(void)
{
    return last_timeout;
}

void fake_port_fail(enum fake_call call, unsigned skip, unsigned times, enum err err)
{
    failures[call].skip = skip;
    failures[call].times = times;
    failures[call].err = err;
}

unsigned fake_port_calls(enum fake_call call)
{
    return failures[call].calls;
}

bool fake_fails(enum fake_call call, enum err *err)
{
    struct failure *failure = &failures[call];
    failure->calls++;
    if (failure->skip > 0) {
        failure->skip--;
        return false;
    }
    if (failure->times == 0)
        return false;
    failure->times--;
    *err = failure->err;
    return true;
}

/* ---- port/port.h ---- */

bool port_reads_into_buffers(void)
{
    return reads_into_buffers;
}

const char *port_backend_name(void)
{
    return "fake";
}

enum err port_open(struct port **out, unsigned workers)
{
    enum err err;
    if (fake_fails(FAKE_PORT_OPEN, &err))
        return err;
    fake_require(!port_is_open, "there is one port");
    fake_require(workers > 0, "a port has workers");
    port_is_open = true;
    the_port.workers = 0;
    *out = &the_port;
    return ERR_OK;
}

static void use_port(const struct port *port)
{
    fake_require(port == &the_port && port_is_open, "the port is open");
}

void port_close(struct port *port)
{
    use_port(port);
    fake_require(fake_port_in_flight() == 0, "a port is closed when nothing is in flight");
    fake_require(port->workers == 0, "a port is closed when every worker has left");
    port_is_open = false;
}

enum err port_enter(struct port *port)
{
    use_port(port);
    enum err err;
    if (fake_fails(FAKE_PORT_ENTER, &err))
        return err;
    port->workers++;
    return ERR_OK;
}

void port_leave(struct port *port)
{
    use_port(port);
    fake_require(port->workers > 0, "only a worker that entered leaves");
    port->workers--;
}

enum err port_attach(struct port *port, sock_t sock)
{
    use_port(port);
    struct fake_sock *used = fake_sock_use(sock);
    fake_require(!used->attached, "a socket is attached once");
    enum err err;
    if (fake_fails(FAKE_PORT_ATTACH, &err))
        return err;
    used->attached = true;
    return ERR_OK;
}

static bool has_in_flight(sock_t sock)
{
    for (struct list *at = waiting.next; at != &waiting; at = at->next)
        if (op_of(at)->sock == sock && op_of(at)->kind != OP_WAKE)
            return true;
    for (struct list *at = finished.next; at != &finished; at = at->next)
        if (op_of(at)->sock == sock && op_of(at)->kind != OP_WAKE)
            return true;
    return false;
}

static struct fake_sock *use_connected(struct port *port, sock_t sock, enum op_kind kind)
{
    use_port(port);
    struct fake_sock *used = fake_sock_use(sock);
    fake_require(used->attached && used->connected, "the socket is attached and connected");
    for (struct list *at = waiting.next; at != &waiting; at = at->next)
        fake_require(!is_of(op_of(at), sock, kind), "no operation of this kind is in flight");
    return used;
}

enum err port_receive_now(struct port *port, sock_t sock, void *buf, uint32_t len,
                          uint32_t *got)
{
    struct fake_sock *used = use_connected(port, sock, OP_READ);
    fake_require(len > 0, "there is room to receive");
    return take_coming(used, buf, len, got);
}

enum err port_peek_now(struct port *port, sock_t sock, void *buf, uint32_t len, uint32_t *got)
{
    struct fake_sock *used = use_connected(port, sock, OP_READ);
    fake_require(len > 0, "there is room to receive");
    if (used->coming_len == 0)
        return take_coming(used, buf, len, got);
    *got = used->coming_len < len ? (uint32_t)used->coming_len : len;
    memcpy(buf, used->coming, *got);
    return ERR_OK;
}

enum err port_send_now(struct port *port, sock_t sock, const void *buf, uint32_t len,
                       uint32_t *sent)
{
    struct fake_sock *used = use_connected(port, sock, OP_WRITE);
    fake_require(len > 0, "there is something to send");
    fake_require(!used->shut, "nothing is sent after FIN");
    *sent = 0;
    if (used->send_result != ERR_OK)
        return used->send_result;
    size_t size = used->room < len ? used->room : len;
    fake_sock_take(used, buf, size);
    used->room -= size;
    *sent = (uint32_t)size;
    return ERR_OK;
}

enum err port_move_now(struct port *port, sock_t from, sock_t to, unsigned char *buf,
                       uint32_t len, struct port_move *move)
{
    return port_move_by_copy(port, from, to, buf, len, move);
}

void port_close_socket(struct port *port, sock_t sock, enum sock_close_how how)
{
    use_port(port);
    struct fake_sock *used = fake_sock_use(sock);
    fake_require(used->attached, "the port closes sockets that were attached");
    fake_require(!has_in_flight(sock), "a socket is closed when nothing is in flight on it");
    used->attached = false;
    sock_close(sock, how);
}

static unsigned in_flight_on(sock_t sock, enum op_kind kind)
{
    unsigned count = 0;
    for (struct list *at = waiting.next; at != &waiting; at = at->next)
        count += is_of(op_of(at), sock, kind);
    for (struct list *at = finished.next; at != &finished; at = at->next)
        count += is_of(op_of(at), sock, kind);
    return count;
}

static void check_read(const struct op *op, const struct fake_sock *sock)
{
    fake_require(sock->connected, "a READ needs a connection");
    fake_require(in_flight_on(op->sock, OP_READ) == 0, "one READ is in flight on a socket");
    fake_require(op->len == 0 || op->buf != NULL, "a READ with a length has a buffer");
    if (op->len > 0)
        memset(op->buf, RUBBISH, op->len);
}

static void check_write(const struct op *op, const struct fake_sock *sock)
{
    fake_require(sock->connected, "a WRITE needs a connection");
    fake_require(!sock->shut, "nothing is sent after FIN");
    fake_require(in_flight_on(op->sock, OP_WRITE) == 0, "one WRITE is in flight on a socket");
    fake_require(op->buf != NULL && op->len > 0, "a WRITE has bytes to send");
}

static void check_submit(struct op *op)
{
    fake_require(!op->in_flight, "an operation in flight is not submitted again");
    if (op->kind == OP_WAKE)
        return;
    struct fake_sock *sock = fake_sock_use(op->sock);
    fake_require(sock->attached, "a socket is attached before its first operation");
    switch (op->kind) {
    case OP_ACCEPT:
        fake_require(sock->listener, "an ACCEPT needs a listener");
        fake_require(op->buf != NULL, "an ACCEPT has scratch memory");
        memset(op->buf, RUBBISH, OP_ACCEPT_SCRATCH);
        break;
    case OP_CONNECT:
        fake_require(!sock->listener && !sock->connected, "a CONNECT needs a fresh socket");
        fake_require(in_flight_on(op->sock, OP_CONNECT) == 0, "a socket connects once");
        fake_require(op->addr.family != ADDR_NONE && op->addr.port != 0,
                     "a CONNECT knows where to");
        break;
    case OP_READ: check_read(op, sock); break;
    case OP_WRITE: check_write(op, sock); break;
    case OP_WAKE: break; /* returned above */
    }
}

static void start(struct op *op)
{
    struct native *native = native_of(op);
    memset(native, 0, sizeof *native);
    if (op->kind == OP_WRITE)
        native->sum = sum_of(op->buf, op->len);
    op->in_flight = true;
    op->err = ERR_IO; /* a result looked at too early is no success */
    op->bytes = UINT32_MAX;
    op->accepted = SOCK_NONE;
    list_push(&waiting, &native->link);
    stats.submits[op->kind]++;
    if (op->kind == OP_WAKE)
        finish(op, ERR_OK, 0);
}

void port_submit(struct port *port, struct op *op)
{
    use_port(port);
    check_submit(op);
    start(op);
}

void port_step_aside(struct port *port)
{
    (void)port; /* there is one worker */
}

void port_post(struct port *port, struct op *op)
{
    use_port(port);
    fake_require(op->kind == OP_WAKE, "only a WAKE is posted");
    check_submit(op);
    start(op);
}

void port_cancel(struct port *port, sock_t sock)
{
    use_port(port);
    fake_require(fake_sock_use(sock)->attached, "operations of an attached socket end");
    for (struct list *at = waiting.next; at != &waiting; at = at->next)
        if (op_of(at)->sock == sock && op_of(at)->kind != OP_WAKE)
            native_of(op_of(at))->cancel_asked = true;
}

static void deliver(struct op *op)
{
    op->in_flight = false;
    stats.completions[op->kind]++;
    if (op->kind != OP_CONNECT || op->err != ERR_OK)
        return;
    struct fake_sock *sock = fake_sock_use(op->sock);
    sock->connected = true;
    sock->peer = op->addr;
    if (sock->local.port == 0)
        sock->local.port = (uint16_t)(20000 + sock->number % 20000);
}

int port_wait(struct port *port, struct op *ops[], int max, int timeout_ms)
{
    use_port(port);
    fake_require(port->workers > 0, "port_wait() is called by workers that entered");
    fake_require(max > 0, "port_wait() has room for results");
    last_timeout = timeout_ms;
    stats.waits_total++;
    int count = 0;
    while (count < max) {
        struct list *link = list_pop(&finished);
        if (link == NULL)
            break;
        ops[count] = op_of(link);
        deliver(ops[count++]);
    }
    return count;
}

void port_get_stats(struct port *port, struct port_stats *out)
{
    use_port(port);
    *out = stats;
}
