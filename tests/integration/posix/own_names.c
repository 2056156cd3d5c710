#include "own_names.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "relay_run.h"
#include "support/platform.h"

static char dir[TEST_PATH_MAX];

/* The file that stands for /etc/NAME. A bind mount is one of the file, not of its name: it is
 * written in place. */
static void set(const char *name, const char *text)
{
    char path[TEST_PATH_MAX];
    path_in(dir, name, path);
    assert_int_equal(test_write_file(path, text), ERR_OK);
    assert_int_equal(chmod(path, 0644), 0);
}

static bool put_over(const char *name)
{
    char path[TEST_PATH_MAX], etc[64];
    path_in(dir, name, path);
    str_format(etc, sizeof etc, "/etc/%s", name);
    return mount(path, etc, NULL, MS_BIND, NULL) == 0;
}

bool own_names_begin(const char **why)
{
    if (unshare(CLONE_NEWNS) != 0) {
        *why = "a mount namespace takes the rights of root";
        return false;
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        *why = "the mount namespace can't be made private";
        return false;
    }
    assert_int_equal(test_make_dir(dir), ERR_OK);
    set("hosts", "127.0.0.1 localhost\n");
    set("resolv.conf", "");
    set("nsswitch.conf", "hosts: files dns\n");
    if (put_over("hosts") && put_over("resolv.conf") && put_over("nsswitch.conf"))
        return true;
    *why = "/etc/hosts, /etc/resolv.conf and /etc/nsswitch.conf can't be mounted over";
    own_names_end();
    return false;
}

void own_names_end(void)
{
    if (dir[0] != '\0')
        test_remove_dir(dir);
    dir[0] = '\0';
}

void own_names_set_hosts(const char *lines)
{
    set("hosts", lines);
}

void own_names_set_server(const struct addr *server)
{
    char text[ADDR_TEXT_MAX], lines[256];
    str_format(lines, sizeof lines, "nameserver %s\n", addr_format_ip(server, text));
    set("resolv.conf", lines);
}
