#include "service/config_file.h"

#include <stdio.h>
#include <string.h>

#include "os/os.h"
#include "os/sock.h"

#define FILE_NAME "pairport.ini"

#ifdef _WIN32
/* Next to the program, where people unpack it. */
static bool system_path(char path[CONF_PATH_MAX])
{
    char program[CONF_PATH_MAX];
    if (os_program_path(program, sizeof program) != ERR_OK)
        return false;
    char *slash = strrchr(program, '\\');
    if (slash == NULL)
        return false;
    slash[1] = '\0';
    size_t len = strlen(program) + strlen(FILE_NAME);
    return str_format(path, CONF_PATH_MAX, "%s%s", program, FILE_NAME) == len;
}
#else
static bool system_path(char path[CONF_PATH_MAX])
{
    str_format(path, CONF_PATH_MAX, "/etc/pairport/" FILE_NAME);
    return true;
}
#endif

/* Also when it may not be read: then that is what has to be told. */
static bool exists(const char *path)
{
    FILE *file;
    enum err err = os_file_open(&file, path, "rb");
    if (err == ERR_OK)
        fclose(file);
    return err != ERR_NOT_FOUND;
}

bool config_file_find(const char *given, char path[CONF_PATH_MAX])
{
    if (given != NULL) {
        str_format(path, CONF_PATH_MAX, "%s", given);
        return true;
    }
    str_format(path, CONF_PATH_MAX, FILE_NAME);
    if (exists(path))
        return true;
    char system[CONF_PATH_MAX];
    if (!system_path(system)) {
        str_format(path, CONF_PATH_MAX, "./" FILE_NAME);
        return false;
    }
    if (exists(system)) {
        str_format(path, CONF_PATH_MAX, "%s", system);
        return true;
    }
    str_format(path, CONF_PATH_MAX, "./" FILE_NAME " and %s", system);
    return false;
}

struct conf *config_file_load(const char *given)
{
    char path[CONF_PATH_MAX];
    if (!config_file_find(given, path)) {
        fprintf(stderr,
                "pairport: there is no configuration, tried %s\n"
                "Name one with -c FILE; 'pairport demo' needs none.\n",
                path);
        return NULL;
    }
    if (given != NULL && strlen(given) >= CONF_PATH_MAX) {
        fprintf(stderr, "pairport: the path of the configuration has more than %d bytes\n",
                CONF_PATH_MAX - 1);
        return NULL;
    }
    struct conf *conf = NULL;
    struct str messages;
    str_init(&messages);
    enum err err = conf_load(path, sock_is_own_addr, &conf, &messages);
    fputs(messages.data, stderr);
    if (err == ERR_NOMEM)
        fprintf(stderr, "pairport: out of memory while %s was read\n", path);
    str_free(&messages);
    return err == ERR_OK ? conf : NULL;
}
