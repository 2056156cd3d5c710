/* Names as the system at hand knows them: nothing here leaves the machine. What name servers say
 * is in tests/integration/posix/test_names.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "os/dns.h"
#include "os/dns_channel.h" /* the search list of a system of the test */
#include "os/os.h"

#define PATIENCE_MS 60000

static int open_dns(void **state)
{
    return dns_open((struct dns **)state) == ERR_OK ? 0 : -1;
}

static int close_dns(void **state)
{
    dns_close(*state);
    return 0;
}

/* Waits for the last answer of a question. */
static void wait_for(struct dns *dns, uint64_t id, struct dns_answer *out)
{
    do {
        assert_true(dns_wait(dns, PATIENCE_MS, out));
        assert_int_equal(out->id, id);
    } while (out->more);
}

static void localhost_is_known_without_a_name_server(void **state)
{
    struct dns_answer answer;
    assert_int_equal(dns_ask(*state, "localhost", 7), ERR_OK);
    wait_for(*state, 7, &answer);
    assert_in_range(answer.count, 1, DNS_ADDRS_MAX);
    assert_string_equal(answer.why, "");
    assert_int_equal(answer.ttl_ms, DNS_NO_TTL);
    for (size_t i = 0; i < answer.count; i++) {
        assert_true(addr_is_loopback(&answer.addrs[i]));
        assert_int_equal(answer.addrs[i].port, 0);
        assert_int_equal(answer.addrs[i].family == ADDR_IPV4 ? answer.ipv4 : answer.ipv6,
                         DNS_FOUND);
        for (size_t j = 0; j < i; j++)
            assert_false(addr_equal(&answer.addrs[i], &answer.addrs[j]));
    }
}

/* A label may have 63 bytes, and none may be empty, so nobody is asked for these. */
static void a_name_that_cannot_be_fails_at_once_and_says_so(void **state)
{
    static const char *const bad[] = {
        "a-label-of-seventy-bytes-is-longer-than-any-name-server-in-the-world-takes.invalid.",
        "two..dots."};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct dns_answer answer;
        assert_int_equal(dns_ask(*state, bad[i], i), ERR_OK);
        assert_true(dns_wait(*state, 0, &answer));
        assert_int_equal(answer.id, i);
        assert_false(answer.more);
        assert_int_equal(answer.count, 0);
        assert_int_equal(answer.ipv4, DNS_FAILED);
        assert_int_equal(answer.ipv6, DNS_FAILED);
        assert_string_equal(answer.why, "it can't be a name");
    }
}

static void each_question_gets_its_own_answer(void **state)
{
    enum { MANY = 200 };
    bool seen[MANY] = {false};
    struct dns_answer answer;
    for (uint64_t i = 0; i < MANY; i++)
        assert_int_equal(dns_ask(*state, i % 2 == 0 ? "localhost" : "two..dots.", i), ERR_OK);
    for (unsigned i = 0; i < MANY; i++) {
        assert_true(dns_wait(*state, PATIENCE_MS, &answer));
        assert_in_range(answer.id, 0, MANY - 1);
        assert_false(seen[answer.id]);
        seen[answer.id] = true;
        assert_int_equal(answer.count > 0, answer.id % 2 == 0);
    }
    assert_false(dns_wait(*state, 0, &answer));
}

/* All forms in which a name is tried, in their order. */
static void expect_forms(const char *host, unsigned ndots, const char *forms)
{
    char first[] = "a.test", second[] = "b.test";
    char *domains[] = {first, second};
    const struct dns_channel channel = {.domains = domains, .domain_count = 2, .ndots = ndots};
    char form[DNS_NAME_MAX], all[1024] = "";
    for (size_t i = 0; dns_channel_form(&channel, host, i, form); i++) {
        strcat(all, form);
        strcat(all, " ");
    }
    assert_string_equal(all, forms);
}

static void a_name_is_tried_with_the_domains_of_the_search_list(void **state)
{
    (void)state;
    expect_forms("lobby", 1, "lobby.a.test lobby.b.test lobby ");
    expect_forms("lobby.eu", 1, "lobby.eu lobby.eu.a.test lobby.eu.b.test ");
    expect_forms("lobby.eu", 2, "lobby.eu.a.test lobby.eu.b.test lobby.eu ");
    expect_forms("lobby", 0, "lobby lobby.a.test lobby.b.test ");
    expect_forms("lobby.", 5, "lobby. ");
}

static void wake(void *dns)
{
    dns_wake(dns);
}

static void waiting_ends_when_it_is_woken_also_before_it_began(void **state)
{
    struct dns_answer answer;
    struct os_thread *thread;
    uint64_t began_ms = os_mono_ms();
    dns_wake(*state);
    dns_wake(*state);
    assert_false(dns_wait(*state, PATIENCE_MS, &answer));
    assert_int_equal(os_thread_start(&thread, "wake", wake, *state), ERR_OK);
    assert_false(dns_wait(*state, PATIENCE_MS, &answer));
    os_thread_join(thread);
    assert_true(os_mono_ms() - began_ms < PATIENCE_MS);
    assert_false(dns_wait(*state, 0, &answer)); /* it is not woken for ever */
}

/* Whether there is a name server or none: the end does not wait for an answer. */
static void closing_waits_for_no_answer(void **state)
{
    uint64_t began_ms = os_mono_ms();
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(dns_ask(*state, "nobody.invalid.", i), ERR_OK);
    dns_close(*state);
    *state = NULL;
    assert_true(os_mono_ms() - began_ms < PATIENCE_MS);
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_dns, close_dns)

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        test(localhost_is_known_without_a_name_server),
        test(a_name_that_cannot_be_fails_at_once_and_says_so),
        test(each_question_gets_its_own_answer),
        cmocka_unit_test(a_name_is_tried_with_the_domains_of_the_search_list),
        test(waiting_ends_when_it_is_woken_also_before_it_began),
        test(closing_waits_for_no_answer),
    };
    return cmocka_run_group_tests_name("os_dns", tests, NULL, NULL);
}
