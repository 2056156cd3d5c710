/* test_os_windows.c - what only the Windows side of os/ has. This program has no manifest, so the C
 * library takes paths and arguments in the code page of the system, as it does for any program
 * before Windows 10 1903. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/local.h"
#include "os/os.h"
#include "os/windows/error.h"
#include "os/windows/local_private.h"
#include "os/windows/signals_private.h"
#include "os/windows/windows_api.h"
#include "support/platform.h"
#include "support/process.h"

enum { PATIENCE_MS = 60000 };

/* Of three scripts, so that no code page but UTF-8 has all of it. */
#define NAME "gr\xC3\xB6\xC3\x9F-\xE6\x97\xA5\xE6\x9C\xAC-\xD0\xB6"

static char dir[TEST_PATH_MAX];
static const char *self;

static void the_prefix_of_the_tests_is_windows_10(void **state)
{
    (void)state;
    if (!test_on_wine())
        skip();
    assert_non_null(strstr(os_name(), "Windows 10.0."));
}

static void a_logoff_stops_no_process_of_the_services_session(void **state)
{
    (void)state;
    assert_int_equal(signals_control(CTRL_LOGOFF_EVENT, 0), CONTROL_NOTHING);
    assert_int_equal(signals_control(CTRL_LOGOFF_EVENT, 1), CONTROL_STOPS_QUICK);
    for (DWORD session = 0; session < 2; session++) {
        assert_int_equal(signals_control(CTRL_C_EVENT, session), CONTROL_STOPS);
        assert_int_equal(signals_control(CTRL_BREAK_EVENT, session), CONTROL_STOPS);
        assert_int_equal(signals_control(CTRL_CLOSE_EVENT, session), CONTROL_STOPS_QUICK);
        assert_int_equal(signals_control(CTRL_SHUTDOWN_EVENT, session), CONTROL_STOPS_QUICK);
        assert_int_equal(signals_control(99, session), CONTROL_UNKNOWN);
    }
}

/* Wine has no reserved ranges, so the error is made up. */
static void a_port_that_windows_has_put_aside_is_no_want_of_rights(void **state)
{
    (void)state;
    WSASetLastError(WSAEACCES);
    assert_int_equal(error_last_bind(), ERR_RESERVED);
    WSASetLastError(WSAEADDRINUSE);
    assert_int_equal(error_last_bind(), ERR_IN_USE);
    WSASetLastError(WSAEADDRNOTAVAIL);
    assert_int_equal(error_last_bind(), ERR_NO_ADDRESS);
}

static void a_path_is_utf_8_without_a_manifest(void **state)
{
    (void)state;
    char path[TEST_PATH_MAX], text[16];
    unsigned mode = 0;
    str_format(path, sizeof path, "%s/" NAME, dir);
    assert_int_equal(os_file_mode(path, &mode), ENOENT);
    assert_null(os_fopen(path, "rb"));
    assert_int_equal(errno, ENOENT);

    FILE *file;
    assert_int_equal(os_file_open(&file, path, "wb"), ERR_OK);
    fputs("some text", file);
    fclose(file);
    assert_int_equal(os_file_mode(path, &mode), 0);
    assert_true(S_ISREG(mode));
    assert_int_equal(os_file_mode(dir, &mode), 0);
    assert_true(S_ISDIR(mode));
    file = os_fopen(path, "rb");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    assert_string_equal(text, "some text");
    fclose(file);
    assert_int_equal(os_file_remove(path), ERR_OK);
    assert_null(os_fopen("\xFF", "rb")); /* which is no UTF-8 */
    assert_int_equal(errno, EINVAL);
}

static int show_arguments(int argc, char **argv)
{
    char **all = os_arguments(&argc, argv);
    for (int i = 2; i < argc; i++)
        printf("<%s>", all[i]);
    return all[argc] == NULL ? 0 : 1;
}

static void arguments_are_utf_8_without_a_manifest(void **state)
{
    (void)state;
    char *output;
    const char *args[] = {self, "show", NAME, "two words", "", "a\\b\"c", NULL};
    const struct process_options options = {.args = args, .dir = dir, .name = "arguments"};
    assert_int_equal(process_run(&options, PATIENCE_MS, &output, NULL), 0);
    assert_string_equal(output, "<" NAME "><two words><><a\\b\"c>");
    free(output);
}

/* ---- the pipe ---- */

static void find_own_sid(wchar_t **sid)
{
    HANDLE token;
    DWORD len;
    union {
        TOKEN_USER user;
        unsigned char bytes[512];
    } room;
    assert_true(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token));
    assert_true(GetTokenInformation(token, TokenUser, &room, sizeof room, &len));
    assert_true(ConvertSidToStringSidW(room.user.User.Sid, sid));
    CloseHandle(token);
}

static void the_pipe_admits_the_user_of_the_process_by_name(void **state)
{
    (void)state;
    wchar_t rights[LOCAL_RIGHTS_MAX], *sid;
    PSECURITY_DESCRIPTOR descriptor;
    find_own_sid(&sid);
    assert_int_equal(local_rights(rights), ERR_OK);
    const wchar_t *found = wcsstr(rights, sid);
    assert_non_null(found);
    assert_int_equal(found[-1], L';');
    assert_true(ConvertStringSecurityDescriptorToSecurityDescriptorW(rights, SDDL_REVISION_1,
                                                                     &descriptor, NULL));
    LocalFree(descriptor);
    LocalFree(sid);
}

static void a_client_asks_for_no_right_to_offer_the_pipe(void **state)
{
    (void)state;
    assert_int_equal(LOCAL_CLIENT_RIGHTS & FILE_CREATE_PIPE_INSTANCE, 0);
}

int main(int argc, char *argv[])
{
    os_init();
    if (argc > 2)
        return show_arguments(argc, argv);
    self = argv[0];
    if (GetACP() == CP_UTF8)
        print_message("the code page of this system is UTF-8: names prove nothing here\n");
    if (test_make_dir(dir) != ERR_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_prefix_of_the_tests_is_windows_10),
        cmocka_unit_test(a_logoff_stops_no_process_of_the_services_session),
        cmocka_unit_test(a_port_that_windows_has_put_aside_is_no_want_of_rights),
        cmocka_unit_test(a_path_is_utf_8_without_a_manifest),
        cmocka_unit_test(arguments_are_utf_8_without_a_manifest),
        cmocka_unit_test(the_pipe_admits_the_user_of_the_process_by_name),
        cmocka_unit_test(a_client_asks_for_no_right_to_offer_the_pipe),
    };
    int code = cmocka_run_group_tests_name("os_windows", tests, NULL, NULL);
    test_remove_dir(dir);
    return code;
}
