#include "support/platform.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "os/os.h"

bool test_on_windows(void)
{
    return false;
}

bool test_on_wine(void)
{
    return false;
}

void test_wait_for_ports(unsigned ports)
{
    (void)ports;
}

enum err test_make_dir(char path[TEST_PATH_MAX])
{
    const char *base = getenv("TMPDIR");
    if (base == NULL || *base != '/')
        base = "/tmp";
    str_format(path, TEST_PATH_MAX, "%s/pairport-test-XXXXXX", base);
    return mkdtemp(path) != NULL ? ERR_OK : os_last_error();
}

void test_remove_dir(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    rmdir(path);
}

void test_program_path(const char *built, char path[TEST_PATH_MAX])
{
    str_format(path, TEST_PATH_MAX, "%s", built);
}
