/* Starting the relay for real, with threads and sockets: what fails on the way leaves nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "os/os.h"
#include "port/port.h"
#include "relay/server.h"
#include "support/net.h"
#include "support/platform.h"
#include "support/wrapped_memory.h"

#define WORKERS 3

/* ---- failures on request ---- */

/* How many more calls succeed before one fails; negative: none fails. */
static atomic_int memory_left = -1;
static atomic_int pages_left = -1;
static atomic_int threads_left = -1;
static atomic_int entries_left = -1;
static atomic_int pages_held;

static bool fails(atomic_int *left)
{
    int now = atomic_load(left);
    while (now >= 0)
        if (atomic_compare_exchange_weak(left, &now, now - 1))
            return now == 0;
    return false;
}

/* Only the memory of the thread that starts the relay runs out: MinGW's runtime ends the program
 * when it has none for the thread-local variables of a new thread. */
static uint64_t starter;

bool memory_fails(void)
{
    return os_thread_id() == starter && fails(&memory_left);
}

void *__real_os_pages_alloc(size_t size);
void __real_os_pages_free(void *memory, size_t size);
enum err __real_os_thread_start(struct os_thread **out, const char *name,
                                void (*body)(void *arg), void *arg);

enum err __real_port_enter(struct port *port);

void *__wrap_os_pages_alloc(size_t size);
void __wrap_os_pages_free(void *memory, size_t size);
enum err __wrap_os_thread_start(struct os_thread **out, const char *name,
                                void (*body)(void *arg), void *arg);

enum err __wrap_port_enter(struct port *port);

void *__wrap_os_pages_alloc(size_t size)
{
    if (fails(&pages_left))
        return NULL;
    atomic_fetch_add(&pages_held, 1);
    return __real_os_pages_alloc(size);
}

void __wrap_os_pages_free(void *memory, size_t size)
{
    atomic_fetch_sub(&pages_held, 1);
    __real_os_pages_free(memory, size);
}

enum err __wrap_os_thread_start(struct os_thread **out, const char *name,
                                void (*body)(void *arg), void *arg)
{
    return fails(&threads_left) ? ERR_NOMEM : __real_os_thread_start(out, name, body, arg);
}

enum err __wrap_port_enter(struct port *port)
{
    return fails(&entries_left) ? ERR_NOMEM : __real_port_enter(port);
}

/* ---- a relay with two routes ---- */

static struct addr listens[2];

static struct conf *make_conf(void)
{
    struct str text, messages;
    str_init(&text);
    str_init(&messages);
    str_addf(&text, "[relay]\nworkers = %d\n", WORKERS);
    for (int i = 0; i < 2; i++)
        str_addf(&text, "[route r%d]\nlisten = 127.0.0.1:%u\nupstream = 127.0.0.1:1\n", i,
                 listens[i].port);
    struct conf *conf;
    assert_int_equal(conf_load_text("test", text.data, text.len, &conf, &messages), ERR_OK);
    str_free(&text);
    str_free(&messages);
    return conf;
}

static int choose_addresses(void **state)
{
    (void)state;
    starter = os_thread_id();
    for (int i = 0; i < 2; i++)
        do {
            listens[i] = net_loopback(ADDR_IPV4, net_free_port());
        } while (i > 0 && listens[i].port == listens[0].port);
    return 0;
}

/* What start says when the call after `calls` further ones fails; a relay that did start is
 * stopped again. *failed says whether there was such a call. */
static enum err try_start(atomic_int *left, int calls, bool *failed)
{
    struct conf *conf = make_conf();
    struct server *server;
    struct str why;
    str_init(&why);
    atomic_store(left, calls);
    enum err err = server_start(&server, conf, NULL, &why);
    *failed = atomic_exchange(left, -1) < 0;
    if (err == ERR_OK) {
        server_stop(server, true);
        assert_true(server_wait_stopped(server, NET_PATIENCE_MS));
        server_free(server);
    } else {
        assert_int_not_equal(why.len, 0);
        conf_free(conf);
    }
    str_free(&why);
    return err;
}

static void expect_starts(void)
{
    bool failed;
    assert_int_equal(try_start(&threads_left, -1, &failed), ERR_OK);
}

/* Fails one call after the other until a start needs no further one. */
static void expect_clean_failures(atomic_int *left)
{
    expect_starts();
    uint64_t descriptors = os_descriptor_count();
    int pages = atomic_load(&pages_held);
    bool failed = true;
    int failures = 0;
    for (int calls = 0; failed; calls++) {
        /* Some things can be done without, such as asking for a list of providers. */
        enum err err = try_start(left, calls, &failed);
        assert_true(err == ERR_OK || (failed && err == ERR_NOMEM));
        failures += err == ERR_NOMEM;
        assert_int_equal(atomic_load(&pages_held), pages);
    }
    assert_true(failures >= WORKERS);
    if (!test_on_windows()) /* where the system keeps handles of its own */
        assert_int_equal(os_descriptor_count(), descriptors);
    expect_starts();
}

static void without_memory_a_start_fails_and_leaves_nothing(void **state)
{
    (void)state;
    expect_clean_failures(&memory_left);
}

static void without_pages_a_start_fails_and_leaves_nothing(void **state)
{
    (void)state;
    expect_clean_failures(&pages_left);
}

static void without_a_thread_a_start_ends_those_that_run(void **state)
{
    (void)state;
    expect_clean_failures(&threads_left);
}

static void without_a_place_at_the_port_a_worker_ends_the_others(void **state)
{
    (void)state;
    expect_clean_failures(&entries_left);
}

static void an_address_in_use_is_named_and_the_others_are_free_again(void **state)
{
    (void)state;
    sock_t holder;
    assert_int_equal(net_listen(&listens[1], 1, &holder, NULL), ERR_OK);
    struct conf *conf = make_conf();
    struct server *server;
    struct str why;
    str_init(&why);
    assert_int_equal(server_start(&server, conf, NULL, &why), ERR_IN_USE);
    assert_non_null(strstr(why.data, "route 'r1': listen 127.0.0.1:"));
    assert_null(strstr(why.data, "route 'r0'"));
    str_free(&why);
    conf_free(conf);
    net_close(holder);
    expect_starts();
}

/* ---- an address that becomes free ---- */

struct holder {
    sock_t sock;
    int waits;    /* how often the start has waited */
    int frees_at; /* the wait in which the address becomes free; 0: never */
    int stops_at; /* the wait that says that the start is to be given up; 0: none */
};

static bool wait_with_holder(void *ctx, uint32_t ms)
{
    struct holder *holder = ctx;
    assert_in_range(ms, 1, 1000);
    holder->waits++;
    if (holder->waits == holder->frees_at) {
        net_close(holder->sock);
        holder->sock = SOCK_NONE;
    }
    return holder->waits != holder->stops_at;
}

static enum err start_with_holder(struct holder *holder, uint32_t patience_ms, struct str *why)
{
    struct server_inherit inherit = {
        .bind_patience_ms = patience_ms, .wait = wait_with_holder, .ctx = holder};
    assert_int_equal(net_listen(&listens[1], 1, &holder->sock, NULL), ERR_OK);
    struct conf *conf = make_conf();
    struct server *server;
    enum err err = server_start(&server, conf, &inherit, why);
    if (err == ERR_OK) {
        server_stop(server, true);
        assert_true(server_wait_stopped(server, NET_PATIENCE_MS));
        server_free(server);
    } else {
        conf_free(conf);
    }
    if (holder->sock != SOCK_NONE)
        net_close(holder->sock);
    return err;
}

static void an_address_that_becomes_free_while_it_is_waited_for_is_taken(void **state)
{
    (void)state;
    struct holder holder = {.frees_at = 3};
    struct str why;
    str_init(&why);
    assert_int_equal(start_with_holder(&holder, NET_PATIENCE_MS, &why), ERR_OK);
    assert_int_equal(holder.waits, 3);
    assert_int_equal(why.len, 0);
    str_free(&why);
}

static void waiting_for_an_address_ends_at_once_when_it_is_told_to(void **state)
{
    (void)state;
    struct holder holder = {.stops_at = 2};
    struct str why;
    str_init(&why);
    assert_int_equal(start_with_holder(&holder, UINT32_MAX, &why), ERR_CANCELLED);
    assert_int_equal(holder.waits, 2);
    str_free(&why);
    expect_starts();
}

static void an_address_that_stays_in_use_is_named_once_when_patience_ends(void **state)
{
    (void)state;
    struct holder holder = {.frees_at = 0};
    struct str why;
    str_init(&why);
    assert_int_equal(start_with_holder(&holder, 20, &why), ERR_IN_USE);
    assert_in_range(holder.waits, 1, INT32_MAX);
    const char *line = strstr(why.data, "route 'r1': listen ");
    assert_non_null(line);
    assert_null(strstr(line + 1, "route 'r1': listen "));
    str_free(&why);
    expect_starts();
}

/* The messages that end the workers pass each other in all orders. */
static void many_starts_and_stops_leave_no_message_behind(void **state)
{
    (void)state;
    for (uint64_t i = test_scaled(200); i > 0; i--)
        expect_starts();
}

int main(void)
{
    os_init();
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_a_start_fails_and_leaves_nothing),
        cmocka_unit_test(without_pages_a_start_fails_and_leaves_nothing),
        cmocka_unit_test(without_a_thread_a_start_ends_those_that_run),
        cmocka_unit_test(without_a_place_at_the_port_a_worker_ends_the_others),
        cmocka_unit_test(an_address_in_use_is_named_and_the_others_are_free_again),
        cmocka_unit_test(an_address_that_becomes_free_while_it_is_waited_for_is_taken),
        cmocka_unit_test(waiting_for_an_address_ends_at_once_when_it_is_told_to),
        cmocka_unit_test(an_address_that_stays_in_use_is_named_once_when_patience_ends),
        cmocka_unit_test(many_starts_and_stops_leave_no_message_behind),
    };
    return cmocka_run_group_tests_name("relay_start", tests, choose_addresses, NULL);
}
