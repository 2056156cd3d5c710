/* How a pair comes into being while others look on. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_pair_that_can_be_found_is_locked_until_its_first_connect_has_begun, fixture_setup,
            fixture_teardown),
    };
    return cmocka_run_group_tests_name("relay_begin", tests, NULL, NULL);
}
