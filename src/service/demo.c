#include "service/demo.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/str.h"
#include "config/conf.h"
#include "os/os.h"
#include "service/echo.h"
#include "service/foreground.h"

#define DEMO_NAME   "demo"
#define DEMO_LISTEN "127.0.0.1:7777"

/* Reads --listen; a port alone is one of this machine only. */
static bool read_listen(const char *text, struct addr *out)
{
    char full[ADDR_TEXT_MAX], host[ADDR_TEXT_MAX];
    bool port_only = strspn(text, "0123456789") == strlen(text);
    size_t len = str_format(full, sizeof full, "%s%s", port_only ? "127.0.0.1:" : "", text);
    if (len < strlen(text) || addr_split(full, false, host, sizeof host, &out->port) != ERR_OK)
        return false;
    uint16_t port = out->port;
    if (addr_parse_ip(host, out) != ERR_OK)
        return false;
    out->port = port;
    return true;
}

static struct conf *make_conf(const char *listen, const char *upstream)
{
    struct str text, messages;
    str_init(&text);
    str_init(&messages);
    str_addf(&text,
             "[relay]\n"
             "max_sessions = 1000\n" /* fits the usual limits of descriptors */
             "[console]\n"
             "name = " DEMO_NAME "\n"
             "[route " DEMO_NAME "]\n"
             "max_sessions = 1000\n"
             "listen = %s\n"
             "upstream = %s\n",
             listen, upstream);
    struct conf *conf = NULL;
    enum err err = conf_load_text(DEMO_NAME, text.data, text.len, &conf, &messages);
    if (err != ERR_OK)
        fprintf(stderr, "pairport: the demo's configuration: %s\n%s", err_text(err),
                messages.data);
    str_free(&text);
    str_free(&messages);
    return conf;
}

/* ---- what can be typed in another terminal ---- */

#ifdef _WIN32
#define EXE            ".exe"
#define PATH_SEPARATOR ';'
#else
#define EXE            ""
#define PATH_SEPARATOR ':'
#endif

static bool is_program(const char *path)
{
    unsigned mode;
    return os_file_mode(path, &mode) == 0 && (mode & 0111) != 0;
}

/* True when a shell finds the program. */
static bool is_installed(const char *name)
{
    const char *at = getenv("PATH");
    while (at != NULL) {
        char path[CONF_PATH_MAX];
        const char *end = strchr(at, PATH_SEPARATOR);
        size_t len = end == NULL ? strlen(at) : (size_t)(end - at);
        str_format(path, sizeof path, "%.*s/%s" EXE, (int)len, at, name);
        if (is_program(path))
            return true;
        at = end == NULL ? NULL : end + 1;
    }
    return false;
}

/* Adds a word as a shell takes it. */
static void add_quoted(const char *word, struct str *out)
{
#ifdef _WIN32
    bool plain = strpbrk(word, " &()[]{}^=;!'+,`~%") == NULL;
    str_addf(out, plain ? "%s" : "\"%s\"", word);
#else
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "/._-+,:@%";
    if (word[strspn(word, safe)] == '\0') {
        str_add(out, word);
        return;
    }
    str_add_char(out, '\'');
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            str_add(out, "'\\'");
        str_add_char(out, *word);
    }
    str_add_char(out, '\'');
#endif
}

/* This program's file, or with a name that beside it: neither may be where a shell finds programs.
 * False: there is none. */
static bool find_program(const char *name, char path[CONF_PATH_MAX])
{
    if (os_program_path(path, CONF_PATH_MAX) != ERR_OK)
        return false;
    if (name == NULL)
        return true;
    char *slash = path;
    for (char *at = path; *at != '\0'; at++)
        slash = strchr(os_slashes, *at) != NULL ? at : slash;
    str_format(slash + 1, CONF_PATH_MAX - (size_t)(slash + 1 - path), "%s" EXE, name);
    return is_program(path);
}

/* A client to type into, of those that are installed. */
static void add_client(const struct addr *reach, struct str *out)
{
    static const char *const netcats[] = {"nc", "ncat"};
    static const char typed[] = "What you type comes back:";
    char text[ADDR_TEXT_MAX], url[ADDR_TEXT_MAX + 16];
    unsigned port = reach->port;
    addr_format_ip(reach, text);
    for (size_t i = 0; i < 2; i++) {
        if (is_installed(netcats[i])) {
            str_addf(out, "%s\n\n    %s" EXE " %s %u\n\n", typed, netcats[i], text, port);
            return;
        }
    }
    if (is_installed("curl")) {
        str_format(url, sizeof url, "telnet://%s", addr_format(reach, text));
        str_addf(out, "%s\n\n    curl" EXE " -N ", typed);
        add_quoted(url, out);
        str_add(out, "\n\n");
    } else if (EXE[0] == '\0' &&
               is_installed("bash")) { /* that of Windows is on another machine */
        str_addf(out,
                 "What is sent comes back (to type, install nc, which is missing here):\n\n"
                 "    bash" EXE " -c 'exec 3<>/dev/tcp/%s/%u; echo hi >&3; head -n1 <&3'\n\n",
                 text, port);
    } else {
        str_addf(out,
                 "To type something and see it come back, install nc, ncat or curl, which are\n"
                 "missing here, and connect to %s.\n\n",
                 addr_format(reach, text));
    }
}

/* An address that means all is reached at loopback. */
static void add_greeting(const struct addr *listen, const char *upstream, struct str *out)
{
    char text[ADDR_TEXT_MAX];
    str_addf(out,
             "\n"
             "An echo server at %s plays the game server.\n"
             "The route '" DEMO_NAME "' in front of it listens on %s.\n"
             "To try it from another terminal:\n\n",
             upstream, addr_format(listen, text));

    char path[CONF_PATH_MAX];
    struct addr reach = *listen;
    if (addr_is_any(&reach))
        addr_parse_ip(reach.family == ADDR_IPV4 ? "127.0.0.1" : "::1", &reach);
    reach.port = listen->port;
    add_client(&reach, out);
    if (find_program("pairload", path)) {
        str_add(out, "Some load:\n\n    ");
        add_quoted(path, out);
        str_add(out, " paced ");
        add_quoted(addr_format(&reach, text), out);
        str_add(out, " --connections 20\n\n");
    }
    str_add(out, "Who is connected:\n\n    ");
    size_t start = out->len;
    add_quoted(find_program(NULL, path) ? path : "pairport", out);
    bool quoted = out->data[start] == '"';
    str_add(out, " console --name " DEMO_NAME " show sessions\n");
    if (quoted)
        str_add(out, "\nIn PowerShell, write & and a blank before what begins with \".\n");
    str_add(out, "\n`shutdown` or Ctrl-C stops it.\n\n");
}

int demo_run(const char *listen_text)
{
    struct addr listen;
    if (!read_listen(listen_text == NULL ? DEMO_LISTEN : listen_text, &listen)) {
        fprintf(
            stderr,
            "pairport: --listen takes ADDRESS:PORT or a port, as in 127.0.0.1:8000 or 8000, "
            "not '%s'\n",
            listen_text);
        return 2;
    }
    /* Before the echo server's thread exists. */
    enum err err = foreground_take_signals();
    if (err != ERR_OK) {
        fprintf(stderr, "pairport: signals cannot be taken: %s\n", err_text(err));
        return 1;
    }
    struct addr any_port, bound;
    addr_parse_ip("127.0.0.1", &any_port);
    struct echo *echo;
    err = echo_start(&echo, &any_port, &bound);
    if (err != ERR_OK) {
        fprintf(stderr, "pairport: the demo's echo server cannot start: %s\n", err_text(err));
        return 1;
    }
    char upstream[ADDR_TEXT_MAX], where[ADDR_TEXT_MAX];
    addr_format(&bound, upstream);
    struct conf *conf = make_conf(addr_format(&listen, where), upstream);
    int code = 1;
    if (conf != NULL) {
        struct str greeting;
        str_init(&greeting);
        add_greeting(&listen, upstream, &greeting);
        code = foreground_run(
            conf, &(struct foreground_options){.greeting = greeting.data,
                                               .at_once = true,
                                               .hint = "pairport: 'pairport demo --listen "
                                                       "ADDRESS:PORT' listens elsewhere\n"});
        str_free(&greeting);
    }
    echo_stop(echo);
    return code;
}
