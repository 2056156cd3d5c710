/* What only the completion port of Windows can get wrong: who owns an operation when, sends that
 * are cut short, statuses. What its contract says is in the other tests of the port. */
#include "iocp_rig.h"

#include <string.h>

#include "support/sha256.h"

/* ---- the table of statuses ---- */

static void statuses_mean_what_windows_means_by_them(void **state)
{
    (void)state;
    static const struct {
        uint32_t status;
        enum err err;
    } rows[] = {
        {0xC0000120, ERR_CANCELLED},      {0x8000000A, ERR_CANCELLED},
        {0xC0000008, ERR_CANCELLED},      {0xC000020D, ERR_RESET},
        {0xC000013C, ERR_RESET},          {0xC000013B, ERR_RESET},
        {0xC0000241, ERR_RESET},          {0xC0000140, ERR_RESET},
        {0xC0000236, ERR_REFUSED},        {0xC00000BC, ERR_REFUSED},
        {0xC00000B5, ERR_TIMEDOUT},       {0xC000023C, ERR_UNREACHABLE},
        {0xC000023D, ERR_UNREACHABLE},    {0xC000009A, ERR_NOMEM},
        {0xC0000044, ERR_NOMEM},          {0xC0000209, ERR_NO_PORTS},
        {0xC000020A, ERR_IN_USE},         {0xC000011F, ERR_NO_DESCRIPTORS},
        {0xC0000022, ERR_ACCESS},         {0xC0000237, ERR_CLOSED},
        {0xC0070000 | 10054, ERR_RESET},  {0xC0070000 | 64, ERR_RESET},
        {0xC0070000 | 1225, ERR_REFUSED}, {0xC0DEDEAD, ERR_IO},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_err(status_error((LONG)rows[i].status), rows[i].err);
}

static void a_status_of_success_or_information_is_no_error(void **state)
{
    (void)state;
    assert_ok(status_error(0));
    assert_ok(status_error(0x00000103)); /* pending */
    assert_ok(status_error(0x4000000F)); /* part of a message */
}

static void a_warning_is_an_error(void **state)
{
    (void)state;
    assert_err(status_error((LONG)0x80000005), ERR_IO);
}

/* ---- connecting ---- */

static void a_connect_without_a_free_port_is_no_want_of_memory(void **state)
{
    (void)state;
    assert_err(connect_error(WSAENOBUFS), ERR_NO_PORTS);
    assert_err(connect_error(WSAEADDRINUSE), ERR_NO_PORTS);
    assert_err(connect_error(WSA_NOT_ENOUGH_MEMORY), ERR_NOMEM);
    assert_err(connect_error(WSAECONNREFUSED), ERR_REFUSED);
}

static void a_refusal_is_asked_for_again_less_often_the_nearer_the_server(void **state)
{
    (void)state;
    static const struct {
        const char *to;
        unsigned session, check; /* with a system that can do without any */
    } rows[] = {
        {"127.0.0.1", 0, 0},   {"::1", 0, 0},         {"10.1.2.3", 1, 0},
        {"172.16.0.1", 1, 0},  {"172.31.9.9", 1, 0},  {"172.32.0.1", 2, 0},
        {"192.168.7.7", 1, 0}, {"192.169.0.1", 2, 0}, {"169.254.3.4", 1, 0},
        {"fd00::1", 1, 0},     {"fe80::1", 1, 0},     {"2001:db8::1", 2, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct addr to;
        assert_ok(addr_parse_ip(rows[i].to, &to));
        assert_int_equal(connect_syn_retries(&to, false, true), rows[i].session);
        assert_int_equal(connect_syn_retries(&to, true, true), rows[i].check);
        /* Windows before 1709 takes the value for "none" as a number, 254. */
        assert_in_range(connect_syn_retries(&to, false, false), 1, 2);
        assert_int_equal(connect_syn_retries(&to, true, false), 1);
    }
}

/* ---- sockets of another port ---- */

static void a_connection_that_another_port_has_cannot_be_attached(void **state)
{
    struct rig *rig = *state;
    struct port *other;
    sock_t sock, peer;
    rig_pair(rig, &sock, &peer);
    assert_ok(port_open(&other, 1));
    assert_err(port_attach(other, sock), ERR_IN_USE);
    struct addr addr;
    sock_t listener = rig_listen(rig->port, ADDR_IPV4, &addr);
    assert_ok(port_attach(other, listener)); /* its clients can be had in another way */
    port_close_socket(other, listener, SOCK_CLOSE_NORMAL);
    struct sock_record *record = socks_find(&rig->port->socks, listener);
    atomic_store(&record->attached,
                 false); /* both are in this process, which is the test's doing */
    port_close(other);
    rig_close(rig->port, sock);
    net_close(peer);
}

/* ---- skip-on-success ---- */

static void sockets_skip_unless_it_is_forbidden(void **state)
{
    struct rig *rig = *state;
    sock_t sock = rig_open(rig->port, ADDR_IPV4);
    assert_int_equal(socks_find(&rig->port->socks, sock)->skip, !iocp_faults.no_skip);
    rig_close(rig->port, sock);
}

static void what_is_no_socket_cannot_be_attached(void **state)
{
    struct rig *rig = *state;
    assert_err(port_attach(rig->port, SOCK_NONE), ERR_INVALID);
    assert_err(port_attach(rig->port, 6), ERR_INVALID);
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    assert_non_null(event);
    assert_err(port_attach(rig->port, (sock_t)event), ERR_INVALID);
    CloseHandle(event);
}

/* ---- who owns the operation ---- */

static struct {
    void (*provoke)(void); /* lets the system complete the operation */
    sock_t peer;
    struct addr addr;
    struct taker *taker;
    unsigned calls;
} between;

/* Runs between a start call that is pending and the return of port_submit(): the operation
 * completes, another worker takes it, and it is gone. */
static void complete_elsewhere(void)
{
    if (between.calls++ > 0)
        return;
    between.provoke();
    assert_true(rig_reaches(&between.taker->taken, 1));
}

static void send_a_byte(void)
{
    assert_ok(net_send(between.peer, "x", 1, NET_PATIENCE_MS, NULL));
}

static void connect_to_it(void)
{
    assert_ok(net_connect(&between.addr, NET_PATIENCE_MS, &between.peer));
}

static void drain(void)
{
    static unsigned char buf[65536];
    size_t got = 0;
    for (unsigned turn = 0; between.taker->taken == 0 && turn < 10000; turn++)
        (void)net_receive(between.peer, buf, sizeof buf, 10, &got);
}

static void nothing(void)
{
    /* The system completes it without help. */
}

/* Submits; the operation must come out elsewhere, with this error, before the submit returns,
 * and must not have been written to since. */
static void submit_and_lose(struct rig *rig, struct taker *taker, struct op *op,
                            void (*provoke)(void), enum err expected)
{
    between.provoke = provoke;
    between.taker = taker;
    between.calls = 0;
    atomic_store(&taker->taken, 0);
    iocp_faults.after_start = complete_elsewhere;
    port_submit(rig->port, op);
    iocp_faults.after_start = NULL;
    assert_int_equal(between.calls, 1);
    assert_true(taker_spoilt(op));
    assert_err(taker->last.err, expected);
}

static void a_read_is_left_alone_once_the_system_has_it(void **state)
{
    struct rig *rig = *state;
    sock_t sock = SOCK_NONE;
    rig_pair(rig, &sock, &between.peer);
    struct taker taker;
    taker_start(&taker, rig->port, 0);

    unsigned char buf[16];
    struct op sized = rig_op(OP_READ, sock, buf, sizeof buf);
    submit_and_lose(rig, &taker, &sized, send_a_byte, ERR_OK);
    assert_int_equal(taker.last.bytes, 1);
    struct op waiting = rig_op(OP_READ, sock, NULL, 0);
    submit_and_lose(rig, &taker, &waiting, send_a_byte, ERR_OK);

    taker_stop(&taker);
    rig_close(rig->port, sock);
    net_close(between.peer);
}

static void a_write_is_left_alone_once_the_system_has_it(void **state)
{
    struct rig *rig = *state;
    sock_t sock = SOCK_NONE;
    rig_small_pair(rig, &sock, &between.peer);
    struct taker taker;
    taker_start(&taker, rig->port, 0);

    static unsigned char data[8 * 1024 * 1024];
    struct op op = rig_op(OP_WRITE, sock, data, sizeof data);
    submit_and_lose(rig, &taker, &op, drain, ERR_OK);
    assert_int_equal(taker.last.bytes, sizeof data);

    taker_stop(&taker);
    port_close_socket(rig->port, sock, SOCK_CLOSE_ABORT);
    net_close(between.peer);
}

static void an_accept_is_left_alone_once_the_system_has_it(void **state)
{
    struct rig *rig = *state;
    sock_t listener = rig_listen(rig->port, ADDR_IPV4, &between.addr);
    struct taker taker;
    taker_start(&taker, rig->port, 0);

    unsigned char scratch[OP_ACCEPT_SCRATCH];
    struct op op = rig_accept_op(listener, scratch);
    submit_and_lose(rig, &taker, &op, connect_to_it, ERR_OK);
    assert_true(taker.last.accepted != SOCK_NONE);
    struct addr local;
    assert_ok(net_local_addr(between.peer, &local));
    assert_true(addr_equal(&taker.last.addr, &local));

    taker_stop(&taker);
    sock_close(taker.last.accepted, SOCK_CLOSE_NORMAL);
    net_close(between.peer);
    rig_close(rig->port, listener);
}

static void a_connect_is_left_alone_once_the_system_has_it(void **state)
{
    struct rig *rig = *state;
    sock_t listener = SOCK_NONE;
    struct addr any = net_loopback(ADDR_IPV4, 0);
    struct addr bound;
    assert_ok(net_listen(&any, 8, &listener, &bound));
    sock_t sock = rig_open(rig->port, ADDR_IPV4);
    struct taker taker;
    taker_start(&taker, rig->port, 0);

    struct op op = rig_connect_op(sock, &bound);
    submit_and_lose(rig, &taker, &op, nothing, ERR_OK);

    taker_stop(&taker);
    rig_close(rig->port, sock);
    net_close(listener);
}

/* ---- remains of an earlier use ---- */

static void spoil_native(struct op *op)
{
    memset(op->native, 0xFF, sizeof op->native); /* an odd hEvent would mean: no packet */
}

static void remains_of_an_earlier_use_do_not_matter(void **state)
{
    struct rig *rig = *state;
    struct addr bound;
    sock_t listener = rig_listen(rig->port, ADDR_IPV4, &bound);
    unsigned char scratch[OP_ACCEPT_SCRATCH];
    struct op accept = rig_accept_op(listener, scratch);
    spoil_native(&accept);
    rig_submit(rig, &accept);

    sock_t sock = rig_open(rig->port, ADDR_IPV4);
    struct op op = rig_connect_op(sock, &bound);
    spoil_native(&op);
    assert_ok(rig_do(rig, &op));
    assert_ok(rig_wait(rig, &accept));
    sock_t accepted = accept.accepted;
    assert_ok(port_attach(rig->port, accepted));

    unsigned char buf[4];
    struct op read = rig_op(OP_READ, accepted, buf, sizeof buf);
    spoil_native(&read);
    rig_submit(rig, &read);
    op = rig_op(OP_WRITE, sock, buf, sizeof buf);
    spoil_native(&op);
    assert_ok(rig_do(rig, &op));
    assert_ok(rig_wait(rig, &read));

    rig_close(rig->port, sock);
    rig_close(rig->port, accepted);
    rig_close(rig->port, listener);
}

/* ---- sends that are cut short ---- */

struct drain_to_end {
    sock_t peer;
    uint64_t bytes;
    struct sha256 hash;
    enum net_end end;
};

static void drain_to_end(void *arg)
{
    struct drain_to_end *drain = arg;
    drain->end = net_receive_end(drain->peer, NET_PATIENCE_MS, &drain->bytes, &drain->hash);
}

static void a_send_that_is_cut_short_is_continued(void **state)
{
    struct rig *rig = *state;
    sock_t sock = SOCK_NONE;
    struct drain_to_end drain = {.bytes = 0};
    rig_small_pair(rig, &sock, &drain.peer);
    sha256_init(&drain.hash);
    static unsigned char data[200 * 1000];
    struct random random;
    random_init(&random, random_test_seed(), 1);
    random_fill(&random, data, sizeof data);

    iocp_faults.send_at_most = 7 * 1000;
    struct op op = rig_op(OP_WRITE, sock, data, sizeof data);
    rig_submit(rig, &op);
    assert_false(rig_is_out(rig, &op, 50)); /* stalled somewhere in the middle */
    struct os_thread *thread = rig_thread(drain_to_end, &drain);
    assert_ok(rig_wait(rig, &op));
    assert_int_equal(op.bytes, sizeof data);
    assert_ok(sock_shutdown_send(sock));
    os_thread_join(thread);

    assert_int_equal(drain.end, NET_END_FIN);
    assert_int_equal(drain.bytes, sizeof data);
    struct sha256 sent;
    sha256_init(&sent);
    sha256_add(&sent, data, sizeof data);
    char expected[SHA256_HEX];
    char received[SHA256_HEX];
    sha256_finish(&sent, expected);
    sha256_finish(&drain.hash, received);
    assert_string_equal(received, expected);
    assert_int_equal(iocp_rig_counts(rig).short_writes_total, sizeof data / 7000);
    assert_int_equal(rig_stats(rig->port).writes_total, sizeof data / 7000 + 1);

    rig_close(rig->port, sock);
    net_close(drain.peer);
}

static void a_cancel_between_two_parts_of_a_send_ends_it(void **state)
{
    struct rig *rig = *state;
    sock_t sock = SOCK_NONE;
    sock_t peer = SOCK_NONE;
    rig_small_pair(rig, &sock, &peer);
    static unsigned char data[8 * 1024 * 1024];

    /* The first part is pending; then the peer takes it, so that its packet waits in the port. */
    iocp_faults.send_at_most = sizeof data / 2;
    struct op op = rig_op(OP_WRITE, sock, data, sizeof data);
    rig_submit(rig, &op);
    static unsigned char sink[sizeof data / 2];
    assert_ok(net_receive_all(peer, sink, sizeof sink, NET_PATIENCE_MS));
    port_cancel(rig->port, sock);

    assert_err(rig_wait(rig, &op), ERR_CANCELLED);
    assert_int_equal(op.bytes, sizeof data / 2);
    assert_int_equal(rig_stats(rig->port).writes_total, 1);
    port_close_socket(rig->port, sock, SOCK_CLOSE_ABORT);
    net_close(peer);
}

static void a_cancel_of_an_earlier_write_does_not_end_a_later_one(void **state)
{
    struct rig *rig = *state;
    sock_t sock = SOCK_NONE;
    sock_t peer = SOCK_NONE;
    rig_pair(rig, &sock, &peer);
    port_cancel(rig->port, sock);

    iocp_faults.send_at_most = 1;
    unsigned char data[4] = "abcd";
    struct op op = rig_op(OP_WRITE, sock, data, sizeof data);
    assert_ok(rig_do(rig, &op));
    assert_int_equal(op.bytes, sizeof data);
    rig_close(rig->port, sock);
    net_close(peer);
}

int main(void)
{
    os_init();
    random_test_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_mean_what_windows_means_by_them),
        cmocka_unit_test(a_status_of_success_or_information_is_no_error),
        cmocka_unit_test(a_warning_is_an_error),
        cmocka_unit_test(a_connect_without_a_free_port_is_no_want_of_memory),
        cmocka_unit_test(a_refusal_is_asked_for_again_less_often_the_nearer_the_server),
        rig_test(a_connection_that_another_port_has_cannot_be_attached),
        iocp_test(sockets_skip_unless_it_is_forbidden),
        iocp_test(what_is_no_socket_cannot_be_attached),
        iocp_test(a_read_is_left_alone_once_the_system_has_it),
        iocp_test(a_write_is_left_alone_once_the_system_has_it),
        iocp_test(an_accept_is_left_alone_once_the_system_has_it),
        iocp_test(a_connect_is_left_alone_once_the_system_has_it),
        iocp_test(remains_of_an_earlier_use_do_not_matter),
        iocp_test(a_send_that_is_cut_short_is_continued),
        iocp_test(a_cancel_between_two_parts_of_a_send_ends_it),
        iocp_test(a_cancel_of_an_earlier_write_does_not_end_a_later_one),
    };
    return cmocka_run_group_tests_name("port: iocp", tests, NULL, NULL);
}
