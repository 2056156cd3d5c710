/* test_policy_memory.c - what policy/ does when memory runs out, at every point where it can. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policy/acl.h"
#include "policy/bans.h"
#include "policy/clients.h"
#include "policy_fixture.h"
#include "support/wrapped_memory.h"

static bool counting;
static unsigned calls;   /* since counting began */
static unsigned failing; /* the number of the call that fails, 0: none */

bool memory_fails(void)
{
    return counting && ++calls == failing;
}

/* Tries until no allocation is left that could fail; returns how many could. Nothing may be lost:
 * the sanitizers and valgrind look for it. */
static unsigned fail_each_allocation(enum err (*try)(void))
{
    for (unsigned n = 1;; n++) {
        calls = 0;
        failing = n;
        counting = true;
        enum err err = try();
        counting = false;
        if (calls < n) {
            assert_int_equal(err, ERR_OK);
            return n - 1;
        }
        assert_int_equal(err, ERR_NOMEM);
    }
}

/* Fewer nodes than there was room for; that the rest cannot be given back is no error. */
static enum err try_acl(void)
{
    struct conf_access rules[3] = {
        {.net = policy_net("10.0.0.0/8"), .allow = true},
        {.net = policy_net("10.1.0.0/16"), .allow = false},
        {.net = policy_net("::/0"), .allow = true},
    };
    struct acl *acl = NULL;
    enum err err = acl_open(&acl, rules, 3);
    if (err != ERR_OK) {
        assert_null(acl);
        return err;
    }
    bool no_room_given_back = calls == failing;
    struct addr addr = policy_addr("10.1.2.3");
    assert_int_equal(acl_check(acl, &addr), ACL_DENY);
    acl_close(acl);
    return no_room_given_back ? ERR_NOMEM : ERR_OK;
}

static void a_list_is_opened_whole_or_not_at_all(void **state)
{
    (void)state;
    assert_int_equal(fail_each_allocation(try_acl), 6);
}

static enum err try_clients(void)
{
    struct clients *clients = NULL;
    enum err err = clients_open(&clients, 1000, 1);
    assert_int_equal(clients == NULL, err != ERR_OK);
    clients_close(clients);
    return err;
}

static struct clients *clients;

static enum err try_clients_list(void)
{
    struct client_info *list = NULL;
    size_t count = 7;
    enum err err = clients_list(clients, 0, &list, &count);
    assert_true(err == ERR_OK || (list == NULL && count == 7));
    free(list);
    return err;
}

static void a_table_of_clients_is_opened_whole_or_not_at_all(void **state)
{
    (void)state;
    assert_int_equal(fail_each_allocation(try_clients), 3);
}

static void clients_are_listed_whole_or_not_at_all(void **state)
{
    (void)state;
    assert_int_equal(clients_open(&clients, 1000, 1), ERR_OK);
    assert_int_equal(fail_each_allocation(try_clients_list), 1);
    clients_close(clients);
}

/* Who comes is counted, however little memory is left. */
static void nobody_who_comes_needs_memory(void **state)
{
    (void)state;
    const struct client_limits limits = {.max_sessions = 1};
    assert_int_equal(clients_open(&clients, 10, 1), ERR_OK);
    calls = failing = 0;
    counting = true;
    for (uint32_t route = 1; route <= 100; route++) {
        struct addr addr = policy_addr("10.0.0.1");
        struct client *client;
        bool ban;
        clients_enter(clients, route, &addr, 32, &limits, 0, &client, &ban);
        clients_leave(clients, client, 0);
    }
    counting = false;
    assert_int_equal(calls, 0);
    clients_close(clients);
}

static enum err try_bans(void)
{
    struct bans *bans = NULL;
    enum err err = bans_open(&bans, 1);
    assert_int_equal(bans == NULL, err != ERR_OK);
    bans_close(bans);
    return err;
}

static struct bans *bans;

static enum err try_bans_add(void)
{
    struct ban ban = {.net = policy_net("10.0.0.0/8"), .until_ms = BAN_FOR_EVER};
    uint64_t version = bans_version(bans);
    enum err err = bans_add(bans, &ban, 0, NULL);
    assert_int_equal(bans_count(bans), err == ERR_OK);
    assert_int_equal(bans_version(bans) == version, err != ERR_OK);
    return err;
}

static enum err try_bans_list(void)
{
    struct ban *list = NULL;
    size_t count = 7;
    enum err err = bans_list(bans, 0, &list, &count);
    assert_true(err == ERR_OK || (list == NULL && count == 7));
    free(list);
    return err;
}

static void a_set_of_bans_is_opened_whole_or_not_at_all(void **state)
{
    (void)state;
    assert_int_equal(fail_each_allocation(try_bans), 3);
}

static void a_ban_is_added_or_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(bans_open(&bans, 1), ERR_OK);
    assert_int_equal(fail_each_allocation(try_bans_add), 1);
    bans_close(bans);
}

static void bans_are_listed_whole_or_not_at_all(void **state)
{
    (void)state;
    assert_int_equal(bans_open(&bans, 1), ERR_OK);
    assert_int_equal(fail_each_allocation(try_bans_list), 1);
    bans_close(bans);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_opened_whole_or_not_at_all),
        cmocka_unit_test(a_table_of_clients_is_opened_whole_or_not_at_all),
        cmocka_unit_test(clients_are_listed_whole_or_not_at_all),
        cmocka_unit_test(nobody_who_comes_needs_memory),
        cmocka_unit_test(a_set_of_bans_is_opened_whole_or_not_at_all),
        cmocka_unit_test(a_ban_is_added_or_changes_nothing),
        cmocka_unit_test(bans_are_listed_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
