#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "os/os.h"
#include "policy/client_table.h"
#include "policy_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ROUTE        7

static const struct client_limits no_limits;
static const struct client_limits two_sessions = {.max_sessions = 2};
static const struct client_limits two_a_second = {
    .connect_rate = {.count = 2, .per_ms = 1000, .burst = 2}};

static struct clients *open_table(uint32_t capacity)
{
    struct clients *clients;
    assert_int_equal(clients_open(&clients, capacity, 4711), ERR_OK);
    return clients;
}

/* Who came in last, and whether a ban was asked for. */
static struct client *entered;
static bool wants_ban;

static enum client_answer enter(struct clients *clients, const char *text,
                                const struct client_limits *limits, uint64_t now_ms)
{
    struct addr addr = policy_addr(text);
    uint8_t bits = addr.family == ADDR_IPV4 ? 32 : 64;
    return clients_enter(clients, ROUTE, &addr, bits, limits, now_ms, &entered, &wants_ban);
}

/* Comes and leaves at once. */
static void visit(struct clients *clients, const char *text, const struct client_limits *limits,
                  uint64_t now_ms)
{
    assert_int_equal(enter(clients, text, limits, now_ms), CLIENT_ADMITTED);
    clients_leave(clients, entered, now_ms);
}

static struct clients_info info_of(struct clients *clients)
{
    struct clients_info info;
    clients_get_info(clients, &info);
    return info;
}

/* The entry that is shown of the address; its `route` is 0 when there is none. */
static struct client_info shown(struct clients *clients, const char *text, uint64_t now_ms)
{
    struct addr addr = policy_addr(text);
    struct client_info found = {0};
    struct client_info *list;
    size_t count;
    assert_int_equal(clients_list(clients, now_ms, &list, &count), ERR_OK);
    for (size_t i = 0; i < count; i++) {
        if (addr_equal(&list[i].addr, &addr))
            found = list[i];
    }
    free(list);
    return found;
}

static bool is_remembered(struct clients *clients, const char *text)
{
    return shown(clients, text, 0).route != 0;
}

/* ---- limits ---- */

static void a_client_may_have_so_many_sessions(void **state)
{
    (void)state;
    struct clients *clients = open_table(10);
    assert_int_equal(enter(clients, "10.0.0.1", &two_sessions, 0), CLIENT_ADMITTED);
    struct client *first = entered;
    assert_int_equal(enter(clients, "10.0.0.1", &two_sessions, 0), CLIENT_ADMITTED);
    assert_ptr_equal(entered, first);
    assert_int_equal(enter(clients, "10.0.0.1", &two_sessions, 0), CLIENT_TOO_MANY);
    assert_int_equal(enter(clients, "10.0.0.2", &two_sessions, 0), CLIENT_ADMITTED);
    clients_leave(clients, first, 0);
    assert_int_equal(enter(clients, "10.0.0.1", &two_sessions, 0), CLIENT_ADMITTED);
    assert_int_equal(enter(clients, "10.0.0.1", &two_sessions, 0), CLIENT_TOO_MANY);
    clients_close(clients);
    clients_close(NULL);
}

static void without_limits_everybody_comes_in(void **state)
{
    (void)state;
    struct clients *clients = open_table(10);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(enter(clients, "10.0.0.1", &no_limits, 0), CLIENT_ADMITTED);
    assert_int_equal(shown(clients, "10.0.0.1", 0).sessions, 1000);
    clients_close(clients);
}

static void a_client_may_connect_so_often(void **state)
{
    (void)state;
    struct clients *clients = open_table(10);
    visit(clients, "10.0.0.1", &two_a_second, 5000);
    visit(clients, "10.0.0.1", &two_a_second, 5000);
    assert_int_equal(enter(clients, "10.0.0.1", &two_a_second, 5000), CLIENT_TOO_OFTEN);
    visit(clients, "10.0.0.2", &two_a_second, 5000);
    assert_int_equal(enter(clients, "10.0.0.1", &two_a_second, 5499), CLIENT_TOO_OFTEN);
    visit(clients, "10.0.0.1", &two_a_second, 5500); /* refused tries have cost nothing */
    assert_int_equal(enter(clients, "10.0.0.1", &two_a_second, 5500), CLIENT_TOO_OFTEN);
    clients_close(clients);
}

static void who_has_too_many_sessions_pays_no_token(void **state)
{
    (void)state;
    const struct client_limits limits = {
        .max_sessions = 1, .connect_rate = {.count = 1, .per_ms = 60000, .burst = 2}};
    struct clients *clients = open_table(10);
    assert_int_equal(enter(clients, "10.0.0.1", &limits, 0), CLIENT_ADMITTED);
    for (int i = 0; i < 5; i++)
        assert_int_equal(enter(clients, "10.0.0.1", &limits, 0), CLIENT_TOO_MANY);
    clients_leave(clients, entered, 0);
    assert_int_equal(enter(clients, "10.0.0.1", &limits, 0), CLIENT_ADMITTED);
    clients_leave(clients, entered, 0);
    assert_int_equal(enter(clients, "10.0.0.1", &limits, 0), CLIENT_TOO_OFTEN);
    clients_close(clients);
}

static void addresses_of_one_network_are_one_client(void **state)
{
    (void)state;
    struct clients *clients = open_table(10);
    assert_int_equal(enter(clients, "2001:db8::1", &two_sessions, 0), CLIENT_ADMITTED);
    assert_int_equal(enter(clients, "2001:db8::2:3:4:5", &two_sessions, 0), CLIENT_ADMITTED);
    assert_int_equal(enter(clients, "2001:db8::9", &two_sessions, 0), CLIENT_TOO_MANY);
    assert_int_equal(enter(clients, "2001:db8:0:1::1", &two_sessions, 0), CLIENT_ADMITTED);
    assert_int_equal(shown(clients, "2001:db8::", 0).sessions, 2);
    assert_int_equal(shown(clients, "2001:db8::", 0).bits, 64);
    clients_close(clients);
}

static void port_zone_and_mapping_do_not_make_another_client(void **state)
{
    (void)state;
    struct clients *clients = open_table(10);
    const char *texts[] = {"10.0.0.1", "::ffff:10.0.0.1"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct addr addr = policy_addr(texts[i]);
        addr.port = (uint16_t)(5000 + i);
        clients_enter(clients, ROUTE, &addr, 32, &no_limits, 0, &entered, &wants_ban);
    }
    assert_int_equal(shown(clients, "10.0.0.1", 0).sessions, 2);
    for (uint32_t scope = 1; scope <= 3; scope++) {
        struct addr addr = policy_addr("fe80::1");
        addr.scope = scope;
        clients_enter(clients, ROUTE, &addr, 64, &no_limits, 0, &entered, &wants_ban);
    }
    assert_int_equal(shown(clients, "fe80::", 0).sessions, 3);
    clients_close(clients);
}

static void a_client_of_another_route_is_another_client(void **state)
{
    (void)state;
    struct clients *clients = open_table(10);
    struct addr addr = policy_addr("10.0.0.1");
    for (uint32_t route = 1; route <= 3; route++) {
        for (int i = 0; i < 2; i++)
            assert_int_equal(clients_enter(clients, route, &addr, 32, &two_sessions, 0,
                                           &entered, &wants_ban),
                             CLIENT_ADMITTED);
    }
    assert_int_equal(info_of(clients).used, 3);
    clients_close(clients);
}

/* ---- bans ---- */

static const struct client_limits three_refusals = {
    .max_sessions = 1, .ban_after = {.count = 3, .within_ms = 10000, .for_ms = 600000}};

static bool is_refused_with_ban(struct clients *clients, uint64_t now_ms)
{
    assert_int_equal(enter(clients, "10.0.0.1", &three_refusals, now_ms), CLIENT_TOO_MANY);
    return wants_ban;
}

static void so_many_refusals_ask_for_a_ban_once(void **state)
{
    (void)state;
    struct clients *clients = open_table(10);
    assert_int_equal(enter(clients, "10.0.0.1", &three_refusals, 0), CLIENT_ADMITTED);
    assert_false(wants_ban);
    for (int round = 0; round < 3; round++) {
        assert_false(is_refused_with_ban(clients, 100));
        assert_false(is_refused_with_ban(clients, 200));
        assert_true(is_refused_with_ban(clients, 300));
    }
    assert_int_equal(shown(clients, "10.0.0.1", 300).refused_total, 9);
    clients_close(clients);
}

static void refusals_are_forgotten_after_their_time(void **state)
{
    (void)state;
    struct clients *clients = open_table(10);
    enter(clients, "10.0.0.1", &three_refusals, 0);
    assert_false(is_refused_with_ban(clients, 1000));
    assert_false(is_refused_with_ban(clients, 2000));
    assert_false(is_refused_with_ban(clients, 11000)); /* the first of the next ten seconds */
    assert_false(is_refused_with_ban(clients, 12000));
    assert_true(is_refused_with_ban(clients, 20999));
    clients_close(clients);
}

static void a_single_refusal_may_be_enough(void **state)
{
    (void)state;
    const struct client_limits limits = {
        .max_sessions = 1, .ban_after = {.count = 1, .within_ms = 1, .for_ms = 1}};
    struct clients *clients = open_table(10);
    enter(clients, "10.0.0.1", &limits, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(enter(clients, "10.0.0.1", &limits, 0), CLIENT_TOO_MANY);
        assert_true(wants_ban);
    }
    clients_close(clients);
}

static void without_ban_after_nobody_is_to_be_banned(void **state)
{
    (void)state;
    struct clients *clients = open_table(10);
    enter(clients, "10.0.0.1", &two_sessions, 0);
    enter(clients, "10.0.0.1", &two_sessions, 0);
    for (int i = 0; i < 1000; i++) {
        enter(clients, "10.0.0.1", &two_sessions, 0);
        assert_false(wants_ban);
    }
    clients_close(clients);
}

/* ---- who has to go ---- */

static void who_has_nothing_left_to_remember_goes_first(void **state)
{
    (void)state;
    struct clients *clients = open_table(3);
    const struct client_limits slow = {
        .connect_rate = {.count = 1, .per_ms = 60000, .burst = 5}};
    visit(clients, "10.0.0.1", &slow, 1000);
    visit(clients, "10.0.0.2", &two_a_second, 2000);
    visit(clients, "10.0.0.3", &slow, 3000);
    visit(clients, "10.0.0.4", &slow, 4000);
    assert_false(is_remembered(clients, "10.0.0.2"));
    assert_true(is_remembered(clients, "10.0.0.1"));
    assert_int_equal(info_of(clients).evicted_total, 0);
    clients_close(clients);
}

static void then_who_was_quiet_for_longest(void **state)
{
    (void)state;
    struct clients *clients = open_table(3);
    visit(clients, "10.0.0.1", &two_a_second, 1000);
    visit(clients, "10.0.0.2", &two_a_second, 1001);
    visit(clients, "10.0.0.3", &two_a_second, 1002);
    visit(clients, "10.0.0.1", &two_a_second, 1003);
    visit(clients, "10.0.0.4", &two_a_second, 1004);
    assert_false(is_remembered(clients, "10.0.0.2"));
    assert_int_equal(info_of(clients).evicted_total, 1);
    visit(clients, "10.0.0.5", &two_a_second, 1005);
    assert_false(is_remembered(clients, "10.0.0.3"));
    assert_true(is_remembered(clients, "10.0.0.1"));
    assert_int_equal(info_of(clients).evicted_total, 2);
    assert_int_equal(info_of(clients).used, 3);
    clients_close(clients);
}

static void who_is_over_a_limit_goes_last(void **state)
{
    (void)state;
    struct clients *clients = open_table(3);
    visit(clients, "10.0.0.1", &two_a_second, 1000);
    visit(clients, "10.0.0.1", &two_a_second, 1000);
    assert_int_equal(enter(clients, "10.0.0.1", &two_a_second, 1000), CLIENT_TOO_OFTEN);
    for (int i = 2; i < 250; i++) {
        char text[20];
        snprintf(text, sizeof text, "10.0.0.%d", i);
        visit(clients, text, &two_a_second, 1001);
    }
    assert_int_equal(enter(clients, "10.0.0.1", &two_a_second, 1002), CLIENT_TOO_OFTEN);
    clients_close(clients);
}

static void who_was_over_a_limit_goes_too_when_there_is_nobody_else(void **state)
{
    (void)state;
    struct clients *clients = open_table(2);
    for (int i = 1; i <= 2; i++) {
        const char *text = i == 1 ? "10.0.0.1" : "10.0.0.2";
        visit(clients, text, &two_a_second, 1000);
        visit(clients, text, &two_a_second, 1000);
        assert_int_equal(enter(clients, text, &two_a_second, 1000), CLIENT_TOO_OFTEN);
    }
    visit(clients, "10.0.0.3", &two_a_second, 1000);
    assert_false(is_remembered(clients, "10.0.0.1"));
    assert_true(is_remembered(clients, "10.0.0.2"));
    clients_close(clients);
}

static void who_has_sessions_stays_and_others_come_in_without_an_entry(void **state)
{
    (void)state;
    struct clients *clients = open_table(2);
    enter(clients, "10.0.0.1", &two_sessions, 1000);
    struct client *first = entered;
    enter(clients, "10.0.0.2", &two_sessions, 1000);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(enter(clients, "10.0.0.3", &two_sessions, 2000), CLIENT_ADMITTED);
        assert_null(entered);
        clients_leave(clients, entered, 2000);
    }
    assert_int_equal(info_of(clients).unremembered_total, 3);
    clients_leave(clients, first, 3000);
    enter(clients, "10.0.0.3", &two_sessions, 3000);
    assert_non_null(entered);
    assert_int_equal(info_of(clients).unremembered_total, 3);
    assert_false(is_remembered(clients, "10.0.0.1"));
    clients_close(clients);
}

static void who_still_owes_bytes_is_remembered(void **state)
{
    (void)state;
    const struct conf_pace pace = {.bytes_per_s = 1000, .burst_bytes = 1000};
    struct clients *clients = open_table(2);
    enter(clients, "10.0.0.1", &no_limits, 1000);
    bucket_passed(client_bucket_up(entered), &pace, 60000, 1000);
    clients_leave(clients, entered, 1000);
    enter(clients, "10.0.0.2", &no_limits, 1001);
    bucket_passed(client_bucket_down(entered), &pace, 60000, 1000);
    clients_leave(clients, entered, 1001);
    visit(clients, "10.0.0.1", &no_limits, 1002);
    visit(clients, "10.0.0.3", &no_limits, 1003);
    assert_false(is_remembered(clients, "10.0.0.2"));
    assert_int_equal(info_of(clients).evicted_total, 1);
    /* The entry was handed on; nothing of the client before is left in it. */
    enter(clients, "10.0.0.3", &no_limits, 1004);
    assert_int_equal(bucket_room(client_bucket_down(entered), &pace, 1000, 1004), 1000);
    clients_close(clients);
}

/* ---- what is shown ---- */

static void the_list_tells_what_is_remembered(void **state)
{
    (void)state;
    struct clients *clients = open_table(10);
    struct client_info *list;
    size_t count;
    assert_int_equal(clients_list(clients, 0, &list, &count), ERR_OK);
    assert_int_equal(count, 0);
    free(list);

    visit(clients, "10.0.0.1", &two_sessions, 1000);
    enter(clients, "10.0.0.1", &two_sessions, 2000);
    enter(clients, "10.0.0.1", &two_sessions, 2000);
    enter(clients, "10.0.0.1", &two_sessions, 2500);
    visit(clients, "10.0.0.2", &two_sessions, 2600);
    assert_int_equal(clients_list(clients, 3000, &list, &count), ERR_OK);
    assert_int_equal(count, 2);
    free(list);
    struct client_info info = shown(clients, "10.0.0.1", 3000);
    assert_int_equal(info.route, ROUTE);
    assert_int_equal(info.bits, 32);
    assert_int_equal(info.sessions, 2);
    assert_int_equal(info.entered_total, 3);
    assert_int_equal(info.refused_total, 1);
    assert_int_equal(info.quiet_ms, 500);
    assert_int_equal(shown(clients, "10.0.0.2", 3000).sessions, 0);
    assert_int_equal(shown(clients, "10.0.0.2", 2000).quiet_ms, 0); /* a clock behind */
    clients_close(clients);
}

static void the_paces_of_one_route_can_begin_anew(void **state)
{
    (void)state;
    const struct conf_pace pace = {.bytes_per_s = 1, .burst_bytes = 1000};
    struct clients *clients = open_table(10);
    struct addr addr = policy_addr("10.0.0.1");
    struct client *of_route[3];
    for (uint32_t route = 1; route <= 2; route++) {
        clients_enter(clients, route, &addr, 32, &no_limits, 0, &of_route[route], &wants_ban);
        bucket_passed(client_bucket_up(of_route[route]), &pace, 5000, 0);
        bucket_passed(client_bucket_down(of_route[route]), &pace, 5000, 0);
    }
    clients_fill(clients, 2);
    assert_int_equal(bucket_room(client_bucket_up(of_route[1]), &pace, 1000, 0), 0);
    assert_int_equal(bucket_room(client_bucket_down(of_route[1]), &pace, 1000, 0), 0);
    assert_int_equal(bucket_room(client_bucket_up(of_route[2]), &pace, 1000, 0), 1000);
    assert_int_equal(bucket_room(client_bucket_down(of_route[2]), &pace, 1000, 0), 1000);
    clients_close(clients);
}

/* ---- large tables ---- */

static struct addr numbered(uint32_t number)
{
    return (struct addr){
        .family = ADDR_IPV4,
        .ip = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}};
}

static void an_entry_takes_at_most_128_bytes(void **state)
{
    (void)state;
    for (uint32_t capacity = 1000; capacity <= 200000; capacity += 9950) {
        struct clients *clients = open_table(capacity);
        size_t bytes = sizeof *clients->entries * capacity +
                       sizeof *clients->chains * clients->chain_count;
        assert_true(bytes <= (size_t)CLIENT_BYTES * capacity);
        clients_close(clients);
    }
    printf("an entry takes %zu bytes, and 4 to 8 in the index\n", sizeof(struct client));
}

static void a_large_table_uses_all_its_entries_before_anybody_goes(void **state)
{
    (void)state;
    enum { CAPACITY = 100000 };
    struct clients *clients = open_table(CAPACITY);
    for (uint32_t i = 0; i < CAPACITY; i++) {
        struct addr addr = numbered(i);
        clients_enter(clients, ROUTE, &addr, 32, &two_a_second, 0, &entered, &wants_ban);
        assert_non_null(entered);
        clients_leave(clients, entered, 0);
    }
    assert_int_equal(info_of(clients).used, CAPACITY);
    assert_int_equal(info_of(clients).evicted_total, 0);
    for (uint32_t i = 0; i < 1000; i++) {
        struct addr addr = numbered(CAPACITY + i);
        clients_enter(clients, ROUTE, &addr, 32, &two_a_second, 0, &entered, &wants_ban);
        assert_non_null(entered);
        clients_leave(clients, entered, 0);
    }
    assert_int_equal(info_of(clients).evicted_total, 1000);
    assert_int_equal(info_of(clients).unremembered_total, 0);
    struct client_info *list;
    size_t count;
    assert_int_equal(clients_list(clients, 0, &list, &count), ERR_OK);
    assert_int_equal(count, CAPACITY);
    free(list);
    clients_close(clients);
}

static void addresses_in_a_row_do_not_meet_in_a_chain(void **state)
{
    (void)state;
    struct clients *clients = open_table(100000);
    for (uint32_t i = 0; i < 100000; i++) {
        struct addr addr =
            numbered(i << 8 | i >> 16); /* most of the bits that differ are high */
        clients_enter(clients, ROUTE, &addr, 32, &no_limits, 0, &entered, &wants_ban);
    }
    size_t longest = 0;
    for (uint32_t chain = 0; chain < clients->chain_count; chain++) {
        size_t length = 0;
        for (uint32_t i = clients->chains[chain]; i != 0; i = clients->entries[i].next)
            length++;
        longest = length > longest ? length : longest;
    }
    assert_int_equal(info_of(clients).used, 100000);
    assert_true(longest <= 20);
    clients_close(clients);
}

/* ---- threads ---- */

#define THREADS      4
#define ROUNDS       20000
#define ADDRESSES    8
#define MAX_SESSIONS 2

static struct clients *shared;
static _Atomic uint32_t inside[ADDRESSES];
static _Atomic uint64_t admitted, refused, too_many;

static void come_and_leave(void *arg)
{
    const struct client_limits limits = {.max_sessions = MAX_SESSIONS};
    struct random dice;
    random_init(&dice, random_test_seed(), 10 + *(size_t *)arg);
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t number = (uint32_t)random_below(&dice, ADDRESSES);
        struct addr addr = numbered(number);
        struct client *client;
        bool ban;
        if (clients_enter(shared, ROUTE, &addr, 32, &limits, 0, &client, &ban) !=
            CLIENT_ADMITTED) {
            refused++;
            continue;
        }
        admitted++;
        if (++inside[number] > MAX_SESSIONS && client != NULL)
            too_many++;
        inside[number]--;
        clients_leave(shared, client, 0);
    }
}

static void run_threads(uint32_t capacity)
{
    shared = open_table(capacity);
    admitted = refused = too_many = 0;
    struct os_thread *threads[THREADS];
    size_t numbers[THREADS];
    random_test_seed(); /* from this thread first */
    for (size_t i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(os_thread_start(&threads[i], "clients", come_and_leave, &numbers[i]),
                         ERR_OK);
    }
    for (size_t i = 0; i < THREADS; i++)
        os_thread_join(threads[i]);
}

static void no_client_is_over_its_limit_in_whatever_threads_its_sessions_are(void **state)
{
    (void)state;
    run_threads(100);
    assert_int_equal(too_many, 0);
    assert_int_equal(admitted + refused, THREADS * ROUNDS);
    struct client_info *list;
    size_t count;
    uint64_t entered_total = 0;
    uint64_t refused_total = 0;
    assert_int_equal(clients_list(shared, 0, &list, &count), ERR_OK);
    assert_int_equal(count, ADDRESSES);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(list[i].sessions, 0);
        entered_total += list[i].entered_total;
        refused_total += list[i].refused_total;
    }
    assert_true(entered_total == admitted && refused_total == refused);
    free(list);
    clients_close(shared);
}

static void threads_that_take_entries_from_each_other_lose_none(void **state)
{
    (void)state;
    run_threads(ADDRESSES / 4);
    struct clients_info info = info_of(shared);
    assert_int_equal(info.used, ADDRESSES / 4);
    assert_int_equal(admitted + refused, THREADS * ROUNDS);
    struct client_info *list;
    size_t count;
    assert_int_equal(clients_list(shared, 0, &list, &count), ERR_OK);
    assert_int_equal(count, ADDRESSES / 4);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(list[i].sessions, 0);
    assert_false(addr_equal(&list[0].addr, &list[1].addr));
    free(list);
    clients_close(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_may_have_so_many_sessions),
        cmocka_unit_test(without_limits_everybody_comes_in),
        cmocka_unit_test(a_client_may_connect_so_often),
        cmocka_unit_test(who_has_too_many_sessions_pays_no_token),
        cmocka_unit_test(addresses_of_one_network_are_one_client),
        cmocka_unit_test(port_zone_and_mapping_do_not_make_another_client),
        cmocka_unit_test(a_client_of_another_route_is_another_client),
        cmocka_unit_test(so_many_refusals_ask_for_a_ban_once),
        cmocka_unit_test(refusals_are_forgotten_after_their_time),
        cmocka_unit_test(a_single_refusal_may_be_enough),
        cmocka_unit_test(without_ban_after_nobody_is_to_be_banned),
        cmocka_unit_test(who_has_nothing_left_to_remember_goes_first),
        cmocka_unit_test(then_who_was_quiet_for_longest),
        cmocka_unit_test(who_is_over_a_limit_goes_last),
        cmocka_unit_test(who_was_over_a_limit_goes_too_when_there_is_nobody_else),
        cmocka_unit_test(who_has_sessions_stays_and_others_come_in_without_an_entry),
        cmocka_unit_test(who_still_owes_bytes_is_remembered),
        cmocka_unit_test(the_list_tells_what_is_remembered),
        cmocka_unit_test(the_paces_of_one_route_can_begin_anew),
        cmocka_unit_test(an_entry_takes_at_most_128_bytes),
        cmocka_unit_test(a_large_table_uses_all_its_entries_before_anybody_goes),
        cmocka_unit_test(addresses_in_a_row_do_not_meet_in_a_chain),
        cmocka_unit_test(no_client_is_over_its_limit_in_whatever_threads_its_sessions_are),
        cmocka_unit_test(threads_that_take_entries_from_each_other_lose_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
