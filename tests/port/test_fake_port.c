/* The fake is a judge of other tests, so it is judged here: it delivers what it was told to,
 * and notices every breach of the port's contract. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/fake_port.h"

static struct port *port;
static struct op *done[4];
static unsigned char buf[64];
static unsigned char scratch[OP_ACCEPT_SCRATCH];
static const struct addr here = {.family = ADDR_IPV4, .port = 7777, .ip = {127, 0, 0, 1}};
static const struct addr peer = {.family = ADDR_IPV4, .port = 5555, .ip = {127, 0, 0, 9}};

static int begin(void **state)
{
    (void)state;
    fake_port_begin();
    assert_int_equal(port_open(&port, 1), ERR_OK);
    assert_int_equal(port_enter(port), ERR_OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    port_leave(port);
    port_close(port);
    fake_port_end();
    return 0;
}

static int forget(void **state)
{
    (void)state;
    fake_port_begin();
    return 0;
}

static sock_t open_connection(void)
{
    sock_t sock = fake_sock_make(&here, &peer);
    assert_int_equal(port_attach(port, sock), ERR_OK);
    return sock;
}

static void close_normally(sock_t sock)
{
    port_close_socket(port, sock, SOCK_CLOSE_NORMAL);
}

static struct op make_op(enum op_kind kind, sock_t sock, uint32_t len)
{
    return (struct op){.kind = kind, .sock = sock, .buf = buf, .len = len};
}

static void a_read_waits_until_the_test_gives_it_bytes(void **state)
{
    (void)state;
    sock_t sock = open_connection();
    struct op read = make_op(OP_READ, sock, sizeof buf);
    port_submit(port, &read);
    assert_true(read.in_flight);
    assert_int_equal(port_wait(port, done, 4, 250), 0);
    assert_int_equal(fake_port_last_timeout(), 250);

    assert_ptr_equal(fake_port_op(sock, OP_READ), &read);
    fake_port_finish_read(&read, "abc", 3);
    assert_null(fake_port_op(sock, OP_READ));
    assert_true(read.in_flight);
    assert_int_equal(port_wait(port, done, 4, -1), 1);
    assert_ptr_equal(done[0], &read);
    assert_false(read.in_flight);
    assert_int_equal(read.err, ERR_OK);
    assert_int_equal(read.bytes, 3);
    assert_memory_equal(buf, "abc", 3);
    close_normally(sock);
}

static void results_come_out_in_the_order_of_finishing(void **state)
{
    (void)state;
    sock_t sock = open_connection();
    struct op read = make_op(OP_READ, sock, 0);
    struct op write = make_op(OP_WRITE, sock, 5);
    memcpy(buf, "hello", 5);
    port_submit(port, &read);
    port_submit(port, &write);
    fake_port_finish_write(&write);
    fake_port_finish(&read, ERR_OK, 0);
    assert_int_equal(fake_port_ready(), 2);
    assert_int_equal(port_wait(port, done, 1, 0), 1);
    assert_ptr_equal(done[0], &write);
    assert_int_equal(port_wait(port, done, 4, 0), 1);
    assert_ptr_equal(done[0], &read);
    assert_int_equal(fake_sock(sock)->sent_len, 5);
    assert_memory_equal(fake_sock(sock)->sent, "hello", 5);
    close_normally(sock);
}

static void an_accept_brings_a_client_with_its_addresses(void **state)
{
    (void)state;
    sock_t listener;
    assert_int_equal(sock_listen(&here, false, 128, &listener), ERR_OK);
    assert_int_equal(port_attach(port, listener), ERR_OK);
    struct op accept = {.kind = OP_ACCEPT, .sock = listener, .buf = scratch};
    port_submit(port, &accept);
    sock_t client = fake_port_finish_accept(&accept, &peer);
    assert_int_equal(port_wait(port, done, 4, 0), 1);
    assert_true(accept.accepted == client);
    assert_true(addr_equal(&accept.addr, &peer));
    struct addr addr;
    assert_int_equal(sock_peer_addr(client, &addr), ERR_OK);
    assert_true(addr_equal(&addr, &peer));
    assert_int_equal(sock_local_addr(client, &addr), ERR_OK);
    assert_true(addr_equal(&addr, &here));
    sock_close(client, SOCK_CLOSE_ABORT);
    assert_int_equal(fake_sock(client)->state, FAKE_SOCK_ABORTED);
    close_normally(listener);
    assert_int_equal(fake_sock(listener)->state, FAKE_SOCK_ENDED);
}

static void a_cancelled_operation_ends_as_the_test_decides(void **state)
{
    (void)state;
    sock_t sock = open_connection();
    struct op read = make_op(OP_READ, sock, sizeof buf);
    struct op write = {.kind = OP_WRITE, .sock = sock, .buf = scratch, .len = 8};
    port_submit(port, &read);
    port_submit(port, &write);
    port_cancel(port, sock);
    assert_true(fake_port_cancel_asked(&read));
    assert_int_equal(port_wait(port, done, 4, 0), 0);
    fake_port_finish_read(&read, "late", 4);
    assert_int_equal(fake_port_finish_cancelled(sock), 1);
    assert_int_equal(port_wait(port, done, 4, 0), 2);
    assert_int_equal(read.err, ERR_OK);
    assert_int_equal(write.err, ERR_CANCELLED);
    close_normally(sock);
}

static void a_connect_makes_the_socket_fit_for_reads(void **state)
{
    (void)state;
    sock_t sock;
    assert_int_equal(sock_open(ADDR_IPV4, &sock), ERR_OK);
    assert_int_equal(port_attach(port, sock), ERR_OK);
    struct op connect = {.kind = OP_CONNECT, .sock = sock, .addr = peer};
    struct op read = make_op(OP_READ, sock, 1);
    port_submit(port, &connect);
    expect_assert_failure(port_submit(port, &read));
    fake_port_finish(&connect, ERR_OK, 0);
    assert_int_equal(port_wait(port, done, 4, 0), 1);
    port_submit(port, &read);
    fake_port_finish(&read, ERR_RESET, 0);
    assert_int_equal(port_wait(port, done, 4, 0), 1);
    assert_int_equal(read.err, ERR_RESET);
    close_normally(sock);
}

static void planned_failures_happen_once_and_in_turn(void **state)
{
    (void)state;
    sock_t sock = SOCK_NONE;
    fake_port_fail(FAKE_SOCK_OPEN, 1, 1, ERR_NO_DESCRIPTORS);
    assert_int_equal(sock_open(ADDR_IPV4, &sock), ERR_OK);
    sock_close(sock, SOCK_CLOSE_NORMAL);
    assert_int_equal(sock_open(ADDR_IPV4, &sock), ERR_NO_DESCRIPTORS);
    assert_int_equal(sock_open(ADDR_IPV6, &sock), ERR_OK);
    assert_int_equal(fake_port_calls(FAKE_SOCK_OPEN), 3);
    fake_port_fail(FAKE_PORT_ATTACH, 0, 1, ERR_NOMEM);
    assert_int_equal(port_attach(port, sock), ERR_NOMEM);
    assert_int_equal(port_attach(port, sock), ERR_OK);
    close_normally(sock);
}

static void a_wake_comes_out_at_once_and_counts(void **state)
{
    (void)state;
    struct op wake = {.kind = OP_WAKE};
    port_post(port, &wake);
    assert_true(wake.in_flight);
    expect_assert_failure(port_post(port, &wake));
    assert_int_equal(port_wait(port, done, 4, -1), 1);
    struct port_stats stats;
    port_get_stats(port, &stats);
    assert_int_equal(stats.submits[OP_WAKE], 1);
    assert_int_equal(stats.completions[OP_WAKE], 1);
}

static void breaches_of_the_contract_are_noticed(void **state)
{
    (void)state;
    sock_t loose = fake_sock_make(&here, &peer);
    struct op read = make_op(OP_READ, loose, 4);
    expect_assert_failure(port_submit(port, &read)); /* not attached */
    sock_close(loose, SOCK_CLOSE_NORMAL);
    expect_assert_failure(sock_set_nodelay(loose, true)); /* closed */
    expect_assert_failure(sock_set_nodelay(4, true));     /* a number of the system */

    sock_t sock = open_connection();
    expect_assert_failure(port_attach(port, sock)); /* twice */
    struct op first = make_op(OP_READ, sock, 4);
    struct op second = make_op(OP_READ, sock, 4);
    port_submit(port, &first);
    expect_assert_failure(port_submit(port, &first));  /* in flight */
    expect_assert_failure(port_submit(port, &second)); /* a second READ */
    expect_assert_failure(close_normally(sock));
    fake_port_finish(&first, ERR_OK, 0);
    expect_assert_failure(fake_port_finish(&first, ERR_OK, 0)); /* finished twice */
    expect_assert_failure(port_submit(port, &second));          /* the first is not out yet */
    expect_assert_failure(close_normally(sock));
    assert_int_equal(port_wait(port, done, 4, 0), 1);

    unsigned char bytes[4] = {1, 2, 3, 4};
    struct op write = {.kind = OP_WRITE, .sock = sock, .buf = bytes, .len = sizeof bytes};
    port_submit(port, &write);
    expect_assert_failure(sock_shutdown_send(sock)); /* FIN under a WRITE */
    bytes[2] = 9;
    expect_assert_failure(fake_port_finish_write(&write)); /* the buffer changed */
    bytes[2] = 3;
    fake_port_finish_write(&write);
    assert_int_equal(port_wait(port, done, 4, 0), 1);
    assert_int_equal(sock_shutdown_send(sock), ERR_OK);
    expect_assert_failure(port_submit(port, &write));           /* after FIN */
    expect_assert_failure(sock_close(sock, SOCK_CLOSE_NORMAL)); /* attached */
    expect_assert_failure(port_submit(port, &(struct op){.kind = OP_ACCEPT, .sock = sock}));
    close_normally(sock);
}

static void what_is_left_at_the_end_is_noticed(void **state)
{
    (void)state;
    fake_port_begin();
    fake_port_end();
    sock_t sock = fake_sock_make(&here, &peer);
    expect_assert_failure(fake_port_end());
    assert_int_equal(port_open(&port, 1), ERR_OK);
    expect_assert_failure(fake_port_end());
    assert_int_equal(port_open(&port, 1), ERR_OK);
    assert_int_equal(port_enter(port), ERR_OK);
    expect_assert_failure(port_close(port));
    sock = open_connection();
    struct op read = make_op(OP_READ, sock, 4);
    port_submit(port, &read);
    port_leave(port);
    expect_assert_failure(port_close(port));
}

static void bytes_of_a_read_in_flight_are_rubbish(void **state)
{
    (void)state;
    sock_t sock = open_connection();
    memset(buf, 'x', sizeof buf);
    struct op read = make_op(OP_READ, sock, sizeof buf);
    port_submit(port, &read);
    assert_int_not_equal(buf[0], 'x');
    assert_int_not_equal(read.err, ERR_OK);
    fake_port_finish(&read, ERR_OK, 0);
    assert_int_equal(port_wait(port, done, 4, 0), 1);
    close_normally(sock);
}

static void a_read_is_finished_by_what_has_arrived(void **state)
{
    (void)state;
    sock_t sock = open_connection();
    struct op read = make_op(OP_READ, sock, 4);
    port_submit(port, &read);
    assert_false(fake_port_finish_arrived(&read));
    fake_sock_arrive(sock, "abcde", 5);
    assert_true(fake_port_finish_arrived(&read));
    assert_int_equal(port_wait(port, done, 4, 0), 1);
    assert_int_equal(read.bytes, 4);
    assert_memory_equal(buf, "abcd", 4);

    fake_sock(sock)->coming_end = ERR_RESET;
    static const struct {
        uint32_t len, bytes;
        enum err err;
    } rows[] = {{0, 0, ERR_OK}, {4, 1, ERR_OK}, {4, 0, ERR_RESET}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        read.len = rows[i].len;
        port_submit(port, &read);
        assert_true(fake_port_finish_arrived(&read));
        assert_int_equal(port_wait(port, done, 4, 0), 1);
        assert_int_equal(read.bytes, rows[i].bytes);
        assert_int_equal(read.err, rows[i].err);
        if (read.bytes > 0)
            assert_int_equal(buf[0], 'e');
    }
    close_normally(sock);
}

static void how_the_port_reads_is_the_tests_choice(void **state)
{
    (void)state;
    assert_false(port_reads_into_buffers());
    fake_port_read_into_buffers(true);
    assert_true(port_reads_into_buffers());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_read_waits_until_the_test_gives_it_bytes, begin, end),
        cmocka_unit_test_setup_teardown(results_come_out_in_the_order_of_finishing, begin, end),
        cmocka_unit_test_setup_teardown(an_accept_brings_a_client_with_its_addresses, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_cancelled_operation_ends_as_the_test_decides, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_connect_makes_the_socket_fit_for_reads, begin, end),
        cmocka_unit_test_setup_teardown(planned_failures_happen_once_and_in_turn, begin, end),
        cmocka_unit_test_setup_teardown(a_wake_comes_out_at_once_and_counts, begin, end),
        cmocka_unit_test_setup_teardown(breaches_of_the_contract_are_noticed, begin, end),
        cmocka_unit_test_setup_teardown(what_is_left_at_the_end_is_noticed, forget, forget),
        cmocka_unit_test_setup_teardown(bytes_of_a_read_in_flight_are_rubbish, begin, end),
        cmocka_unit_test_setup_teardown(a_read_is_finished_by_what_has_arrived, begin, end),
        cmocka_unit_test_setup_teardown(how_the_port_reads_is_the_tests_choice, begin, end),
    };
    return cmocka_run_group_tests_name("fake_port", tests, NULL, NULL);
}
