/* test_check.c - what other processes of the machine bring into the answer of `pairport check`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"
#include "support/platform.h"

/* Any user can listen on a port, and give the process a name that directs a terminal. */
static void a_process_name_reaches_no_terminal_as_it_is(void **state)
{
    (void)state;
    char dir[TEST_PATH_MAX], path[TEST_PATH_MAX + 16], text[256], *output;
    const struct addr any = net_loopback(ADDR_IPV4, 0);
    struct addr addr;
    sock_t sock;
    assert_int_equal(test_make_dir(dir), ERR_OK);
    assert_int_equal(prctl(PR_SET_NAME, "a\033[2J\007b", 0, 0, 0), 0);
    assert_int_equal(net_listen(&any, 8, &sock, &addr), ERR_OK);
    str_format(text, sizeof text,
               "[route lobby]\nlisten = 127.0.0.1:%u\nupstream = 127.0.0.1:9\n",
               (unsigned)addr.port);
    str_format(path, sizeof path, "%s/pairport.ini", dir);
    assert_int_equal(test_write_file(path, text), ERR_OK);
    const char *args[] = {"check", "-c", path, NULL};
    assert_int_equal(run_pairport(dir, args, &output, NULL), 0);
    assert_non_null(strstr(output, " by 'a\\x1b[2J\\x07b' (pid "));
    assert_null(strpbrk(output, "\033\007"));
    free(output);
    net_close(sock);
    test_remove_dir(dir);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_name_reaches_no_terminal_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
