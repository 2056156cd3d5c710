#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/reason.h"

static void each_reason_gives_its_own_row(void **state)
{
    (void)state;
#define X(name, word, sentence)                                                                \
    assert_string_equal(reason_word(name), word);                                              \
    assert_string_equal(reason_sentence(name), sentence);
    REASON_TABLE(X)
#undef X
}

static void an_open_session_has_reason_zero(void **state)
{
    (void)state;
    assert_int_equal(REASON_NONE, 0);
    assert_string_equal(reason_word(REASON_NONE), "none");
}

/* A refusal and an end are counted apart: there one word does for both. */
static void words_are_words_and_differ(void **state)
{
    (void)state;
    for (int i = 0; i < REASON_COUNT; i++) {
        const char *word = reason_word((enum reason)i);
        assert_int_not_equal(strlen(word), 0);
        assert_int_equal(strspn(word, "abcdefghijklmnopqrstuvwxyz_"), strlen(word));
        for (int j = 0; j < i; j++)
            if (reason_is_refusal((enum reason)j) == reason_is_refusal((enum reason)i))
                assert_string_not_equal(word, reason_word((enum reason)j));
    }
}

static void sentences_are_fragments_without_a_dot(void **state)
{
    (void)state;
    for (int i = 0; i < REASON_COUNT; i++) {
        const char *sentence = reason_sentence((enum reason)i);
        assert_true(sentence[0] >= 'a' && sentence[0] <= 'z');
        assert_int_not_equal(sentence[strlen(sentence) - 1], '.');
    }
}

static void phases_have_words(void **state)
{
    (void)state;
    assert_string_equal(phase_word(PHASE_ACCEPT), "accept");
    assert_string_equal(phase_word(PHASE_HELD), "held");
    assert_string_equal(phase_word(PHASE_CONNECT), "connect");
    assert_string_equal(phase_word(PHASE_DATA), "data");
    assert_string_equal(phase_word(PHASE_HALF_CLOSED), "half_closed");
}

static void what_the_relay_lacked_is_a_refusal(void **state)
{
    (void)state;
    assert_true(reason_is_refusal(REASON_LIMIT_SESSIONS));
    assert_true(reason_is_refusal(REASON_LIMIT_ROUTE));
    assert_true(reason_is_refusal(REASON_NO_DESCRIPTORS));
    assert_true(reason_is_refusal(REASON_NO_MEMORY));
    assert_true(reason_is_refusal(REASON_NO_UPSTREAM));
    assert_true(reason_is_refusal(REASON_UPSTREAMS_FULL));
    assert_true(reason_is_refusal(REASON_QUEUE_FULL));
    assert_true(reason_is_refusal(REASON_PROXY_TIMEOUT));
}

static void what_happened_to_a_tried_session_is_not(void **state)
{
    (void)state;
    assert_false(reason_is_refusal(REASON_NONE));
    assert_false(reason_is_refusal(REASON_CONNECT_REFUSED)); /* the upstream's refusal */
    assert_false(reason_is_refusal(REASON_CONNECT_TIMEOUT));
    assert_false(reason_is_refusal(REASON_NO_PORTS)); /* known after a try only */
    assert_false(reason_is_refusal(REASON_IDLE_TIMEOUT));
    assert_false(reason_is_refusal(REASON_STOPPED));
    assert_false(reason_is_refusal(REASON_KILLED));
    assert_false(reason_is_refusal(REASON_HOLD_TIMEOUT)); /* it was held for long */
    assert_false(reason_is_refusal(REASON_UPSTREAM_DOWN));
}

static void the_guards_reasons_are_refusals_that_a_dry_run_counts(void **state)
{
    (void)state;
    static const enum reason guards[] = {REASON_DENIED,       REASON_BANNED,
                                         REASON_LIMIT_CLIENT, REASON_RATE_CLIENT,
                                         REASON_RATE_ROUTE,   REASON_RATE_RELAY};
    size_t count = 0;
    for (int i = 0; i < REASON_COUNT; i++) {
        bool is_one = reason_is_of_guard((enum reason)i);
        count += is_one;
        if (is_one)
            assert_true(reason_is_refusal((enum reason)i));
    }
    assert_int_equal(count, sizeof guards / sizeof guards[0]);
    for (size_t i = 0; i < count; i++)
        assert_true(reason_is_of_guard(guards[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reason_gives_its_own_row),
        cmocka_unit_test(an_open_session_has_reason_zero),
        cmocka_unit_test(words_are_words_and_differ),
        cmocka_unit_test(sentences_are_fragments_without_a_dot),
        cmocka_unit_test(phases_have_words),
        cmocka_unit_test(what_the_relay_lacked_is_a_refusal),
        cmocka_unit_test(what_happened_to_a_tried_session_is_not),
        cmocka_unit_test(the_guards_reasons_are_refusals_that_a_dry_run_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
