/* What lies between a pair and others: it comes into being while they look on, and the port
 * overhears it once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay_fixture.h"

/* What a test wants done just after a pair got into the table. */
static void (*on_added)(struct pair *pair);

void __real_table_add(struct table *table, struct pair *pair);
void __wrap_table_add(struct table *table, struct pair *pair);

void __wrap_table_add(struct table *table, struct pair *pair)
{
    __real_table_add(table, pair);
    if (on_added != NULL)
        on_added(pair);
}

static unsigned found_locked;

static void see_that_it_is_locked(struct pair *pair)
{
    if (os_mutex_try(&pair->lock))
        os_mutex_unlock(&pair->lock);
    else
        found_locked++;
}

/* An operator who kills it at once would otherwise end it, and free its memory, before its first
 * connect has begun. */
static void a_pair_that_can_be_found_is_locked_until_its_first_connect_has_begun(void **state)
{
    struct fixture *fix = *state;
    on_added = see_that_it_is_locked;
    fixture_accept(fix);
    on_added = NULL;
    assert_int_equal(found_locked, 1);
    assert_int_equal(fake_port_waiting(SOCK_NONE, OP_CONNECT), 1);
}

static bool looks_free;

bool __real_quota_is_full(const struct quota *quota);
bool __wrap_quota_is_full(const struct quota *quota);

bool __wrap_quota_is_full(const struct quota *quota)
{
    return !looks_free && __real_quota_is_full(quota);
}

static void who_loses_the_last_place_to_another_gives_back_what_was_taken(void **state)
{
    struct fixture *fix = *state;
    fix->relay.quota.limit = 1;
    fixture_session(fix);
    looks_free = true;
    assert_int_equal(fixture_closed(fixture_accept(fix)), FAKE_SOCK_ABORTED);
    looks_free = false;
    assert_int_equal(fixture_reasons(fix, REASON_LIMIT_SESSIONS), 1);
    assert_int_equal(atomic_load(&fix->relay.routes[0]->quota.used), 1);
    assert_int_equal(atomic_load(&fix->relay.quota.used), 1);
}

static unsigned cancels_to_lose;

void __real_port_cancel(struct port *port, sock_t sock);
void __wrap_port_cancel(struct port *port, sock_t sock);

void __wrap_port_cancel(struct port *port, sock_t sock)
{
    if (cancels_to_lose > 0)
        cancels_to_lose--;
    else
        __real_port_cancel(port, sock);
}

/* A pair that waited for ever for what was not cancelled would keep the relay from stopping. */
static void what_is_not_cancelled_is_cancelled_again(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    struct pair *pair = table_find(&fix->relay.table, 1);
    assert_true(pair_end(pair, REASON_KILLED));
    pair_unref(pair);
    cancels_to_lose = 4; /* two times both sides */
    fixture_pass(fix, 1900);
    assert_false(fake_port_cancel_asked(fixture_op(s.client, OP_READ)));
    fixture_pass(fix, 1000);
    fixture_cancelled(fix);
    assert_int_equal(cancels_to_lose, 0);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
}

static void a_connect_that_is_not_cancelled_at_its_deadline_is_cancelled_again(void **state)
{
    struct fixture *fix = *state;
    fixture_accept(fix);
    cancels_to_lose = 1;
    fixture_pass(fix, 5100);
    assert_int_equal(cancels_to_lose, 0);
    fixture_pass(fix, 300);
    assert_true(fake_port_cancel_asked(fixture_op(SOCK_NONE, OP_CONNECT)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_pair_that_can_be_found_is_locked_until_its_first_connect_has_begun, fixture_setup,
            fixture_teardown),
        cmocka_unit_test_setup_teardown(
            who_loses_the_last_place_to_another_gives_back_what_was_taken, fixture_setup,
            fixture_teardown),
        cmocka_unit_test_setup_teardown(
            a_connect_that_is_not_cancelled_at_its_deadline_is_cancelled_again, fixture_setup,
            fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_not_cancelled_is_cancelled_again, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests_name("relay_begin", tests, NULL, NULL);
}
