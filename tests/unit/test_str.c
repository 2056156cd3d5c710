#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- the growing string ---- */

static int set_up(void **state)
{
    static struct str str;
    str_init(&str);
    *state = &str;
    return 0;
}

static int tear_down(void **state)
{
    str_free(*state);
    return 0;
}

static void a_new_string_is_empty_text(void **state)
{
    struct str *str = *state;
    assert_string_equal(str->data, "");
    assert_int_equal(str->len, 0);
    assert_int_equal(str->cap, 0);
    assert_false(str->failed);
}

static void additions_follow_each_other(void **state)
{
    struct str *str = *state;
    str_add(str, "route");
    str_add_char(str, ' ');
    str_add_bytes(str, "lobbying", 5);
    str_addf(str, ": %d of %s", 7, "12");
    assert_string_equal(str->data, "route lobby: 7 of 12");
    assert_int_equal(str->len, strlen("route lobby: 7 of 12"));
    assert_false(str->failed);
}

static void adding_nothing_adds_nothing(void **state)
{
    struct str *str = *state;
    str_add(str, "");
    str_add_bytes(str, NULL, 0);
    assert_int_equal(str->cap, 0);
    str_addf(str, "%s", "");
    assert_false(str->failed);
    assert_string_equal(str->data, "");
    assert_int_equal(str->len, 0);
}

static void zero_bytes_are_bytes(void **state)
{
    struct str *str = *state;
    str_add_bytes(str, "a\0b", 3);
    str_add_char(str, '\0');
    str_add(str, "c");
    assert_int_equal(str->len, 5);
    assert_memory_equal(str->data, "a\0b\0c", 6);
}

static void it_grows_byte_by_byte_over_every_boundary(void **state)
{
    struct str *str = *state;
    for (size_t i = 0; i < 5000; i++) {
        str_add_char(str, (char)('a' + i % 26));
        assert_int_equal(str->len, i + 1);
        assert_true(str->cap > str->len);
        assert_int_equal(str->data[str->len], 0);
    }
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(str->data[i], 'a' + i % 26);
}

static void formatted_text_of_every_length_fits(void **state)
{
    struct str *str = *state;
    char text[301];
    memset(text, 'x', sizeof text);
    for (int len = 0; len <= 300; len++) {
        str_free(str);
        str_add(str, "head:");
        str_addf(str, "%.*s!", len, text);
        assert_int_equal(str->len, 5 + len + 1);
        assert_memory_equal(str->data, "head:", 5);
        assert_memory_equal(str->data + 5, text, (size_t)len);
        assert_string_equal(str->data + 5 + len, "!");
    }
}

static void clearing_keeps_the_memory(void **state)
{
    struct str *str = *state;
    str_clear(str);
    assert_string_equal(str->data, "");

    str_add(str, "something longer than nothing");
    const char *data = str->data;
    str_clear(str);
    assert_string_equal(str->data, "");
    assert_int_equal(str->len, 0);
    str_add(str, "new");
    assert_ptr_equal(str->data, data);
    assert_string_equal(str->data, "new");
}

static void freeing_makes_it_empty_and_usable_again(void **state)
{
    struct str *str = *state;
    str_add(str, "text");
    str_free(str);
    assert_string_equal(str->data, "");
    assert_int_equal(str->cap, 0);
    str_free(str);
    str_add(str, "again");
    assert_string_equal(str->data, "again");
}

static void what_cannot_fit_fails_and_keeps_what_is_there(void **state)
{
    struct str *str = *state;
    str_add(str, "kept");
    str_add_bytes(str, "", SIZE_MAX - 2); /* fails before a byte is read */
    assert_true(str->failed);
    assert_string_equal(str->data, "kept");
    assert_int_equal(str->len, 4);

    str_add(str, " more");
    str_add_char(str, '!');
    str_addf(str, "%d", 1);
    assert_string_equal(str->data, "kept");

    str_clear(str);
    assert_false(str->failed);
    str_add(str, "new");
    assert_string_equal(str->data, "new");
}

static void numbers_of_all_widths_can_be_formatted(void **state)
{
    struct str *str = *state;
    str_addf(str, "%zu %llu %lld %x", SIZE_MAX, 18446744073709551615ull,
             -9223372036854775807ll - 1, 0xabcu);
    assert_string_equal(str->data,
                        "18446744073709551615 18446744073709551615 -9223372036854775808 abc");
}

/* ---- str_format ---- */

static void format_returns_what_it_wrote(void **state)
{
    (void)state;
    char buf[8];
    memset(buf, '#', sizeof buf);
    assert_int_equal(str_format(buf, sizeof buf, "%s", "1234567"), 7);
    assert_string_equal(buf, "1234567");
    assert_int_equal(str_format(buf, sizeof buf, "%s", "12345678"), 7);
    assert_string_equal(buf, "1234567");
    assert_int_equal(str_format(buf, sizeof buf, "%s", "123456789012345678901234567890"), 7);
    assert_string_equal(buf, "1234567");
    assert_int_equal(str_format(buf, sizeof buf, "%s", ""), 0);
    assert_string_equal(buf, "");
    assert_int_equal(str_format(buf, 1, "%d", 5), 0);
    assert_string_equal(buf, "");
}

static void format_stays_inside_its_buffer(void **state)
{
    (void)state;
    char buf[8];
    memset(buf, '#', sizeof buf);
    str_format(buf, 4, "%s", "abcdef");
    assert_memory_equal(buf, "abc\0####", 8);
}

/* ---- names that resemble each other ---- */

static void distance_counts_edits(void **state)
{
    (void)state;
    static const struct {
        const char *a;
        const char *b;
        unsigned distance;
    } cases[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"same", "same", 0},
        {"Listen", "lISTEN", 0},
        {"AZ", "az", 0},
        {"listen", "listem", 1},
        {"listen", "liste", 1},
        {"listen", "llisten", 1},
        {"listen", "litsen", 1},
        {"ab", "ba", 1},
        {"kitten", "sitting", 3},
        {"abcd", "badc", 2},
        {"abc", "xyz", 3},
        {"a", "bcdef", 5},
        {"ca", "abc", 3}, /* a swapped pair is not edited again */
        {"idle_timeout", "idletimeout", 1},
        {"@", "`", 1}, /* not letters, so their case bit matters */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(str_distance(cases[i].a, cases[i].b), cases[i].distance);
        assert_int_equal(str_distance(cases[i].b, cases[i].a), cases[i].distance);
    }
}

static void distance_looks_at_64_bytes(void **state)
{
    (void)state;
    char a[200];
    char b[200];
    memset(a, 'a', sizeof a);
    memset(b, 'b', sizeof b);
    a[199] = b[199] = '\0';
    assert_int_equal(str_distance(a, b), 64);
    memset(b, 'a', 64);
    assert_int_equal(str_distance(a, b), 0);
    b[63] = 'x';
    assert_int_equal(str_distance(a, b), 1);
    assert_int_equal(str_distance(a, ""), 64);
}

static const char *const keys[] = {
    "listen", "upstream", "connect_timeout", "idle_timeout", "nodelay", "no", "kill", NULL};

static void the_nearest_name_is_suggested(void **state)
{
    (void)state;
    assert_string_equal(str_nearest("listne", keys), "listen");
    assert_string_equal(str_nearest("upstreams", keys), "upstream");
    assert_string_equal(str_nearest("IDLE_TIMEOUT", keys), "idle_timeout");
    assert_string_equal(str_nearest("conect_timout", keys), "connect_timeout");
    assert_string_equal(str_nearest("kil", keys), "kill");
    assert_string_equal(str_nearest("no", keys), "no");
}

static void what_resembles_nothing_has_no_suggestion(void **state)
{
    (void)state;
    const char *const none[] = {NULL};
    assert_null(str_nearest("colour", keys));
    assert_null(str_nearest("", keys));
    assert_null(str_nearest("xo", keys)); /* half of its letters differ */
    assert_null(str_nearest("listen", none));
}

static void a_third_of_the_letters_may_differ(void **state)
{
    (void)state;
    const char *const names[] = {"abcdef", NULL};
    assert_string_equal(str_nearest("xbcdey", names), "abcdef");
    assert_null(str_nearest("xbcyez", names));
}

static void of_equally_near_names_the_first_wins(void **state)
{
    (void)state;
    const char *const names[] = {"abcx", "abcy", "abcd", NULL};
    assert_string_equal(str_nearest("abcz", names), "abcx");
    assert_string_equal(str_nearest("abcd", names), "abcd");
}

/* ---- UTF-8 ---- */

static void well_formed_text_is_its_own_prefix(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "plain",
        "\x7f",
        "\xc2\x80",         /* U+0080 */
        "\xdf\xbf",         /* U+07FF */
        "\xe0\xa0\x80",     /* U+0800 */
        "\xed\x9f\xbf",     /* U+D7FF */
        "\xee\x80\x80",     /* U+E000 */
        "\xef\xbf\xbf",     /* U+FFFF */
        "\xf0\x90\x80\x80", /* U+10000 */
        "\xf4\x8f\xbf\xbf", /* U+10FFFF */
        "Gr\xc3\xbc\xc3\x9f \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x8e\xae",
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_int_equal(str_utf8_prefix(texts[i], strlen(texts[i])), strlen(texts[i]));
    assert_int_equal(str_utf8_prefix("a\0b", 3), 3);
}

static void bad_utf8_ends_the_prefix(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80",             /* a continuation alone */
        "\xbf",             /* likewise */
        "\xc0\x80",         /* overlong U+0000 */
        "\xc1\xbf",         /* overlong U+007F */
        "\xe0\x80\x80",     /* overlong */
        "\xe0\x9f\xbf",     /* overlong U+07FF */
        "\xed\xa0\x80",     /* U+D800, a surrogate */
        "\xed\xbf\xbf",     /* U+DFFF */
        "\xf0\x8f\xbf\xbf", /* overlong U+FFFF */
        "\xf4\x90\x80\x80", /* U+110000 */
        "\xf5\x80\x80\x80", /* beyond */
        "\xfe",
        "\xff",
        "\xc3",         /* cut */
        "\xe2\x82",     /* cut */
        "\xf0\x9f\x8e", /* cut */
        "\xc3(",        /* the second byte is none */
        "\xe2(\xac",
        "\xe2\x82(",
        "\xf0(\x8e\xae",
        "\xf0\x9f(\xae",
        "\xf0\x9f\x8e(",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        char text[32];
        size_t len = str_format(text, sizeof text, "ok\xc3\xbc%s tail", bad[i]);
        assert_int_equal(str_utf8_prefix(text, len), 4);
        assert_int_equal(str_utf8_prefix(bad[i], strlen(bad[i])), 0);
    }
}

static void what_a_terminal_must_not_get_is_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } texts[] = {
        {"two\nlines\tand text", "two\nlines\tand text"},
        {"Gr\xc3\xbc\xc3\x9f \xf0\x9f\x8e\xae", "Gr\xc3\xbc\xc3\x9f \xf0\x9f\x8e\xae"},
        {"\x1b]0;title\x07", "\\x1b]0;title\\x07"},
        {"a\rb\x7f", "a\\x0db\\x7f"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"}, /* C1 */
        {"\xe2\x80\xae"
         "abc",
         "\\xe2\\x80\\xae"
         "abc"}, /* U+202E */
        {"\xe2\x81\xa7"
         "abc",
         "\\xe2\\x81\\xa7"
         "abc"}, /* U+2067 */
        {"\xe2\x80\x8f"
         "abc",
         "\\xe2\\x80\\x8f"
         "abc"}, /* U+200F */
        {"\xd8\x9c"
         "abc",
         "\\xd8\\x9c"
         "abc"}, /* U+061C */
        {"a\xe2\x80\xa8"
         "b\xe2\x80\xa9",
         "a\\xe2\\x80\\xa8"
         "b\\xe2\\x80\\xa9"}, /* lines */
        {"\xff"
         "a\xc3",
         "\\xff"
         "a\\xc3"}, /* no UTF-8 */
        {"\xe2\x82\xac", "\xe2\x82\xac"},
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct str str;
        str_init(&str);
        str_add(&str, texts[i].text);
        str_escape(&str);
        assert_string_equal(str.data, texts[i].shown);
        str_free(&str);
    }
}

static void a_character_cut_by_the_length_is_not_in_the_prefix(void **state)
{
    (void)state;
    const char *text = "a\xf0\x9f\x8e\xae";
    assert_int_equal(str_utf8_prefix(text, 5), 5);
    for (size_t len = 1; len < 5; len++)
        assert_int_equal(str_utf8_prefix(text, len), 1);
    assert_int_equal(str_utf8_prefix(text, 0), 0);
}

/* Encodes every code point and compares with the rule of RFC 3629 in its plain form. */
static void every_code_point_but_surrogates_is_well_formed(void **state)
{
    (void)state;
    for (uint32_t c = 0x80; c < 0x120000; c += c < 0x20000 ? 1 : 61) {
        char text[4];
        size_t len;
        if (c < 0x800) {
            text[0] = (char)(0xC0 | c >> 6);
            len = 2;
        } else if (c < 0x10000) {
            text[0] = (char)(0xE0 | c >> 12);
            len = 3;
        } else {
            text[0] = (char)(0xF0 | c >> 18);
            len = 4;
        }
        for (size_t i = 1; i < len; i++)
            text[i] = (char)(0x80 | (c >> 6 * (len - 1 - i) & 0x3F));
        bool fine = (c < 0xD800 || c > 0xDFFF) && c <= 0x10FFFF;
        if (str_utf8_prefix(text, len) != (fine ? len : 0))
            fail_msg("U+%04X", (unsigned)c);
    }
}

static void columns_are_code_points(void **state)
{
    (void)state;
    assert_int_equal(str_columns(""), 0);
    assert_int_equal(str_columns("abc"), 3);
    assert_int_equal(str_columns("Gr\xc3\xbc\xc3\x9f!"), 5);
    assert_int_equal(str_columns("\xe2\x82\xac\xf0\x9f\x8e\xae"), 2);
    assert_int_equal(str_columns("a\xff\x80z"), 4); /* stray bytes take one each */
    assert_int_equal(str_columns("\xe2\x82"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_string_is_empty_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(additions_follow_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(adding_nothing_adds_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(zero_bytes_are_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_grows_byte_by_byte_over_every_boundary, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(formatted_text_of_every_length_fits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(clearing_keeps_the_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(freeing_makes_it_empty_and_usable_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_fit_fails_and_keeps_what_is_there, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(numbers_of_all_widths_can_be_formatted, set_up,
                                        tear_down),
        cmocka_unit_test(format_returns_what_it_wrote),
        cmocka_unit_test(format_stays_inside_its_buffer),
        cmocka_unit_test(distance_counts_edits),
        cmocka_unit_test(distance_looks_at_64_bytes),
        cmocka_unit_test(the_nearest_name_is_suggested),
        cmocka_unit_test(what_resembles_nothing_has_no_suggestion),
        cmocka_unit_test(a_third_of_the_letters_may_differ),
        cmocka_unit_test(of_equally_near_names_the_first_wins),
        cmocka_unit_test(well_formed_text_is_its_own_prefix),
        cmocka_unit_test(bad_utf8_ends_the_prefix),
        cmocka_unit_test(what_a_terminal_must_not_get_is_escaped),
        cmocka_unit_test(a_character_cut_by_the_length_is_not_in_the_prefix),
        cmocka_unit_test(every_code_point_but_surrogates_is_well_formed),
        cmocka_unit_test(columns_are_code_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
