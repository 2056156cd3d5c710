/* test_policy_clients_random.c - thousands of clients that come and leave, against a model that is
 * slow and obvious: it keeps them in a table and looks at all of it each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/client_table.h"
#include "policy_fixture.h"

#define CAPACITY_MAX 40
#define ADDRESSES    60
#define ROUTES       2
#define HELD_MAX     200

static struct random dice;
static struct clients *clients;
static uint64_t now_ms;
static struct client_limits limits[ROUTES];
static const struct conf_pace pace = {.bytes_per_s = 1000, .burst_bytes = 1000};

/* ---- the model; the buckets are tested elsewhere ---- */

struct model {
    bool used;
    uint32_t route;
    struct addr addr; /* masked */
    uint8_t bits;
    uint32_t sessions;
    bool was_refused;
    uint64_t quiet_since; /* the number of the event since which it has no session */
    uint64_t last_ms;
    uint64_t refused_total, entered_total;
    uint32_t refusals;
    uint64_t refusals_end_ms;
    struct bucket connects, up;
};

static struct model model[CAPACITY_MAX];
static size_t capacity;
static uint64_t events;
static struct clients_info expected;

static struct model *model_find(uint32_t route, const struct addr *addr, uint8_t bits)
{
    for (size_t i = 0; i < capacity; i++) {
        if (model[i].used && model[i].route == route && model[i].bits == bits &&
            addr_equal(&model[i].addr, addr))
            return &model[i];
    }
    return NULL;
}

static bool model_is_forgettable(const struct model *m)
{
    return m->refusals_end_ms <= now_ms && bucket_is_full(&m->connects, now_ms) &&
           bucket_is_full(&m->up, now_ms);
}

/* Of those without a session the one that is `rank` places behind the quietest. */
static struct model *model_quiet(bool was_refused, size_t rank)
{
    for (size_t i = 0; i < capacity; i++) {
        struct model *m = &model[i];
        if (m->sessions > 0 || m->was_refused != was_refused)
            continue;
        size_t before = 0;
        for (size_t k = 0; k < capacity; k++)
            before += model[k].sessions == 0 && model[k].was_refused == was_refused &&
                      model[k].quiet_since < m->quiet_since;
        if (before == rank)
            return m;
    }
    return NULL;
}

static struct model *model_least_useful(void)
{
    for (int was_refused = 0; was_refused <= 1; was_refused++) {
        for (size_t rank = 0; rank < CLIENT_LOOKS; rank++) {
            struct model *m = model_quiet(was_refused, rank);
            if (m != NULL && model_is_forgettable(m))
                return m;
        }
    }
    struct model *m = model_quiet(false, 0);
    if (m == NULL)
        m = model_quiet(true, 0);
    expected.evicted_total += m != NULL;
    return m;
}

static struct model *model_add(uint32_t route, const struct addr *addr, uint8_t bits)
{
    struct model *place = NULL;
    for (size_t i = 0; i < capacity && place == NULL; i++) {
        if (!model[i].used)
            place = &model[i];
    }
    if (place == NULL)
        place = model_least_useful();
    else
        expected.used++;
    if (place != NULL)
        *place = (struct model){.used = true, .route = route, .addr = *addr, .bits = bits};
    return place;
}

static bool model_refuse(struct model *m, const struct conf_eject *ban_after)
{
    m->was_refused = true;
    m->refused_total++;
    if (m->sessions == 0)
        m->quiet_since = ++events;
    if (ban_after->count == 0)
        return false;
    if (m->refusals_end_ms <= now_ms) {
        m->refusals = 0;
        m->refusals_end_ms = now_ms + ban_after->within_ms;
    }
    if (++m->refusals < ban_after->count)
        return false;
    m->refusals_end_ms = 0;
    return true;
}

static enum client_answer model_enter(uint32_t route, const struct addr *addr, uint8_t bits,
                                      struct model **out, bool *ban)
{
    const struct client_limits *limit = &limits[route - 1];
    struct model *m = model_find(route, addr, bits);
    *ban = false;
    if (m == NULL)
        m = model_add(route, addr, bits);
    *out = m;
    if (m == NULL) {
        expected.unremembered_total++;
        return CLIENT_ADMITTED;
    }
    m->last_ms = now_ms;
    enum client_answer answer = CLIENT_ADMITTED;
    if (limit->max_sessions != 0 && m->sessions >= limit->max_sessions)
        answer = CLIENT_TOO_MANY;
    else if (!bucket_take(&m->connects, &limit->connect_rate, now_ms))
        answer = CLIENT_TOO_OFTEN;
    if (answer != CLIENT_ADMITTED) {
        *ban = model_refuse(m, &limit->ban_after);
        return answer;
    }
    m->was_refused = false;
    m->sessions++;
    m->entered_total++;
    return answer;
}

/* ---- what is done ---- */

struct held {
    struct client *client;
    struct model *m;
};
static struct held held[HELD_MAX];
static size_t held_count;
static uint64_t answers[3], bans, without_entry;

/* Some are written as mapped ones, with a port. */
static struct addr some_address(uint8_t *bits)
{
    uint32_t number = (uint32_t)random_below(&dice, ADDRESSES);
    struct addr addr = {.family = ADDR_IPV4, .ip = {10, 0, 0, (uint8_t)number}};
    *bits = random_chance(&dice, 90) ? 32 : 28;
    if (random_chance(&dice, 30)) {
        addr = policy_addr("2001:db8::");
        addr.ip[7] = (uint8_t)number;
        addr.ip[15] = (uint8_t)random_below(&dice, 256);
        *bits = 64;
    } else if (random_chance(&dice, 30)) {
        addr = policy_addr("::ffff:10.0.0.0");
        addr.ip[15] = (uint8_t)number;
    }
    addr.port = (uint16_t)random_below(&dice, 65536);
    return addr;
}

static void do_enter(void)
{
    uint8_t bits;
    struct addr addr = some_address(&bits);
    uint32_t route = (uint32_t)random_between(&dice, 1, ROUTES);
    struct addr masked = addr;
    addr_normalise(&masked);
    addr_net_mask(&masked, bits);
    masked.port = 0;

    struct model *m;
    bool expected_ban;
    enum client_answer answer = model_enter(route, &masked, bits, &m, &expected_ban);
    struct client *client = NULL;
    bool ban = !expected_ban;
    assert_int_equal(
        clients_enter(clients, route, &addr, bits, &limits[route - 1], now_ms, &client, &ban),
        answer);
    assert_int_equal(ban, expected_ban);
    answers[answer]++;
    bans += ban;
    if (answer != CLIENT_ADMITTED)
        return;
    assert_int_equal(client == NULL, m == NULL);
    without_entry += client == NULL;
    if (client != NULL && random_chance(&dice, 10)) {
        bucket_passed(client_bucket_up(client), &pace, 5000, now_ms);
        bucket_passed(&m->up, &pace, 5000, now_ms);
    }
    held[held_count++] = (struct held){client, m};
}

static void do_leave(void)
{
    if (held_count == 0)
        return;
    size_t i = random_below(&dice, held_count);
    struct held left = held[i];
    held[i] = held[--held_count];
    clients_leave(clients, left.client, now_ms);
    if (left.m == NULL)
        return;
    left.m->last_ms = now_ms;
    if (--left.m->sessions == 0)
        left.m->quiet_since = ++events;
}

/* ---- checks ---- */

static void check_info(void)
{
    struct clients_info info;
    clients_get_info(clients, &info);
    assert_int_equal(info.used, expected.used);
    assert_int_equal(info.capacity, capacity);
    assert_int_equal(info.evicted_total, expected.evicted_total);
    assert_int_equal(info.unremembered_total, expected.unremembered_total);
}

static void check_list(void)
{
    struct client_info *list;
    size_t count;
    assert_int_equal(clients_list(clients, now_ms, &list, &count), ERR_OK);
    assert_int_equal(count, expected.used);
    for (size_t i = 0; i < count; i++) {
        const struct model *m = model_find(list[i].route, &list[i].addr, list[i].bits);
        assert_non_null(m);
        assert_int_equal(list[i].sessions, m->sessions);
        assert_int_equal(list[i].refused_total, m->refused_total);
        assert_int_equal(list[i].entered_total, m->entered_total);
        assert_int_equal(list[i].quiet_ms, now_ms - m->last_ms);
        for (size_t k = 0; k < i; k++)
            assert_false(list[k].route == list[i].route && list[k].bits == list[i].bits &&
                         addr_equal(&list[k].addr, &list[i].addr));
    }
    free(list);
}

static void choose_limits(void)
{
    for (size_t i = 0; i < ROUTES; i++) {
        limits[i] = (struct client_limits){
            .max_sessions = (uint32_t)random_below(&dice, 4),
            .connect_rate = {.count = (uint32_t)random_below(&dice, 4),
                             .per_ms = 1000,
                             .burst = (uint32_t)random_between(&dice, 1, 3)},
            .ban_after = {.count = (uint32_t)random_below(&dice, 5), .within_ms = 2000}};
    }
}

static void begin(void)
{
    memset(model, 0, sizeof model);
    capacity = random_between(&dice, 1, CAPACITY_MAX);
    expected = (struct clients_info){0};
    events = 0;
    now_ms = random_below(&dice, 1000000);
    choose_limits();
    assert_int_equal(clients_open(&clients, (uint32_t)capacity, random_next(&dice)), ERR_OK);
}

static void a_table_remembers_as_the_model_whoever_comes(void **state)
{
    (void)state;
    random_init(&dice, random_test_seed(), 0);
    uint64_t evicted = 0;
    for (int round = 0; round < 100; round++) {
        begin();
        unsigned entering = (unsigned)random_between(&dice, 45, 60);
        for (int i = 0; i < 1000; i++) {
            if (random_chance(&dice, 30))
                now_ms += random_below(&dice, random_chance(&dice, 5) ? 5000 : 200);
            if (random_chance(&dice, 1))
                choose_limits(); /* a new configuration */
            if (held_count < HELD_MAX && random_chance(&dice, entering))
                do_enter();
            else
                do_leave();
            check_info();
            if (random_chance(&dice, 5))
                check_list();
        }
        evicted += expected.evicted_total;
        while (held_count > 0)
            do_leave();
        check_list();
        clients_close(clients);
    }
    assert_true(answers[CLIENT_ADMITTED] > 1000 && answers[CLIENT_TOO_MANY] > 100 &&
                answers[CLIENT_TOO_OFTEN] > 100);
    assert_true(bans > 50 && evicted > 100 && without_entry > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_remembers_as_the_model_whoever_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
