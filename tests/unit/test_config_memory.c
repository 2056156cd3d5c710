/* test_config_memory.c - loading a configuration when memory runs out, at every point where it
 * can. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"
#include "config/conf.h"
#include "support/wrapped_memory.h"

static bool counting;
static unsigned calls;   /* since counting began */
static unsigned failing; /* the number of the call that fails, 0: none */

bool memory_fails(void)
{
    return counting && ++calls == failing;
}

/* Loads `text` until no allocation is left that could fail. Nothing may be handed out before
 * that, and nothing may be lost: the sanitizers and valgrind look for it. */
static void fail_each_allocation(const char *text, enum err expected)
{
    for (unsigned n = 1;; ++n) {
        struct conf *conf = NULL;
        struct str messages;
        str_init(&messages);
        calls = 0;
        failing = n;
        counting = true;
        enum err err = conf_load_text("t.ini", text, strlen(text), &conf, &messages);
        counting = false;
        bool did_fail = calls >= n;
        bool has_conf = conf != NULL;
        bool says_nothing = messages.len == 0;
        conf_free(conf);
        str_free(&messages);

        if (!did_fail) {
            assert_true(n > 5); /* the test means something */
            assert_int_equal(err, expected);
            return;
        }
        assert_int_equal(err, ERR_NOMEM);
        assert_false(has_conf);
        assert_true(says_nothing); /* no mistake that follows from that */
    }
}

static void a_good_file_is_loaded_whole_or_not_at_all(void **state)
{
    (void)state;
    struct str text;
    str_init(&text);
    for (int i = 1; i <= 10; ++i)
        str_addf(&text, "[route r%d]\nlisten=:%d\nlisten=10.0.0.1:%d\nupstream=a:1\n", i, i,
                 100 + i);
    fail_each_allocation(text.data, ERR_OK);
    str_free(&text);
}

static void lists_and_quoted_texts_are_loaded_whole_or_not_at_all(void **state)
{
    (void)state;
    fail_each_allocation("[defaults]\nsource = 10.0.0.2, 10.0.0.3\nproxy_trust = ::1, ::2\n"
                         "proxy_protocol_in = optional\nhealth = tcp send=\"a ;b\"\n"
                         "[route a]\nlisten=:1-9\nupstream=a:1-9 weight=2 backup\n"
                         "[route b]\nlisten=:10\nupstream=a:1\nsource = 10.0.0.4\n"
                         "[route c]\nlisten=:11\nupstream=a:1\nproxy_protocol_in = off\n",
                         ERR_OK);
}

static void access_lists_are_loaded_whole_or_not_at_all(void **state)
{
    (void)state;
    fail_each_allocation("[defaults]\nallow = 10.0.0.0/8, 10.1.0.0/16, ::1\ndeny = all\n"
                         "guard_exempt = ::1\nallow = @" PAIRPORT_UNIT_DIR "/access.txt\n"
                         "[route a]\nlisten=:1\nupstream=a:1\n"
                         "[route b]\nlisten=:2\nupstream=a:1\n"
                         "[route c]\nlisten=:3\nupstream=a:1\nallow =\ndeny = 10.0.0.1\n",
                         ERR_OK);
}

static void a_warning_is_written_or_the_file_is_not_loaded(void **state)
{
    (void)state;
    fail_each_allocation("[route r]\nlisten=:1\nupstream=h:1\nmax_sessions=20000\n", ERR_OK);
}

static void no_mistake_gets_lost(void **state)
{
    (void)state;
    fail_each_allocation(
        "[relay]\nworkers = x\nfoo = 1\nnodelay = no\nwokers = 1\n[rely]\n"
        "[route r]\nlisten = nowhere\nupstream = h:1 x=1\nupstream = h:1\n"
        "upstream = h:1\nupstream = h:2-3\nlisten = :9-8\nsource = 10.0.0.2, x\n"
        "health = tcp rise=0\neject = 5 in x for y\nlisten = :1-4\n"
        "proxy_trust = ::1, ::1\nproxy_protocol_in = required\n"
        "allow = 10.0.0.0/8, x\ndeny = 10.0.0.0/8\nallow = @no-such-file\nrate_up = 1\n"
        "deny = @" PAIRPORT_UNIT_DIR "/CMakeLists.txt\nconnect_rate = 1\n",
        ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_is_loaded_whole_or_not_at_all),
        cmocka_unit_test(lists_and_quoted_texts_are_loaded_whole_or_not_at_all),
        cmocka_unit_test(access_lists_are_loaded_whole_or_not_at_all),
        cmocka_unit_test(a_warning_is_written_or_the_file_is_not_loaded),
        cmocka_unit_test(no_mistake_gets_lost),
    };
    return cmocka_run_group_tests_name("config_memory", tests, NULL, NULL);
}
