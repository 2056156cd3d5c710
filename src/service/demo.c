#include "service/demo.h"

#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "base/str.h"
#include "config/conf.h"
#include "control/grid.h"
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

/* What can be typed in another terminal; an address that means all is reached at loopback. */
static void add_greeting(const struct addr *listen, const char *upstream, struct str *out)
{
    char text[ADDR_TEXT_MAX];
    str_addf(out,
             "\n"
             "An echo server at %s plays the game server.\n"
             "The route '" DEMO_NAME "' in front of it listens on %s.\n"
             "From another terminal, try\n\n",
             upstream, addr_format(listen, text));

    struct addr reach = *listen;
    if (addr_is_any(&reach))
        addr_parse_ip(reach.family == ADDR_IPV4 ? "127.0.0.1" : "::1", &reach);
    reach.port = listen->port;
    static const struct grid_column layout[2] = {{.title = NULL}};
    struct grid grid;
    grid_init(&grid, layout, 2);
#ifndef _WIN32
    addr_format_ip(&reach, text);
    unsigned port = reach.port;
    grid_cell(&grid, "nc %s %u", text, port);
    grid_cell(&grid, "what you type comes back");
#endif
    grid_cell(&grid, "pairload paced %s --connections 20", addr_format(&reach, text));
    grid_cell(&grid, "some load");
    grid_cell(&grid, "pairport console --name " DEMO_NAME " show sessions");
    grid_cell(&grid, "who is connected");
    grid_write(&grid, 2, 0, out, NULL);
    grid_free(&grid);
#ifndef _WIN32
    str_addf(out, "  bash -c 'exec 3<>/dev/tcp/%s/%u; echo hi >&3; head -n1 <&3'\n",
             addr_format_ip(&reach, text), port);
#endif
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
