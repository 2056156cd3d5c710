#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "os/os.h"
#include "relay_run.h"
#include "support/net.h"

#define HAPROXY      "/usr/sbin/haproxy"
#define NGINX        "/usr/sbin/nginx"
#define NGINX_STREAM "/usr/lib/nginx/modules/ngx_stream_module.so"
#define START_TRIES  5
#define HAPROXY_NAME "haproxy.cfg"
#define NGINX_NAME   "nginx.conf"

static bool is_there(const char *path)
{
    char *bytes = test_read_file(path);
    free(bytes);
    return bytes != NULL;
}

void peer_need(enum peer_kind kind)
{
    if (test_on_windows()) {
        print_message("not shown: HAProxy and nginx run on Linux\n");
        skip();
    }
    if (kind == PEER_HAPROXY && !is_there(HAPROXY)) {
        print_message("not shown: %s is not installed; tools/setup test does that\n", HAPROXY);
        skip();
    }
    if (kind == PEER_NGINX && !(is_there(NGINX) && is_there(NGINX_STREAM))) {
        print_message("not shown: %s or %s is not installed; tools/setup test does that\n",
                      NGINX, NGINX_STREAM);
        skip();
    }
}

/* ---- configurations ---- */

struct setting {
    struct addr listen, next;
    bool behind; /* the relay; else before it */
    bool v2;     /* what it speaks when it is before it */
};

static void write_haproxy(struct str *out, const struct setting *setting)
{
    char listen[ADDR_TEXT_MAX], next[ADDR_TEXT_MAX];
    str_addf(out,
             "global\n log stdout format raw local0\n nbthread 1\n maxconn 100\n"
             "defaults\n mode tcp\n log global\n"
             " timeout connect 10s\n timeout client 1m\n timeout server 1m\n"
             "listen peer\n bind %s%s\n",
             addr_format(&setting->listen, listen), setting->behind ? " accept-proxy" : "");
    if (setting->behind)
        str_add(out, " log-format \"%ci %cp to %[dst] %[dst_port] id %[fc_pp_unique_id]\"\n");
    str_addf(out, " server next %s%s\n", addr_format(&setting->next, next),
             setting->behind ? ""
             : setting->v2   ? " send-proxy-v2"
                             : " send-proxy");
}

static void write_nginx(struct str *out, const struct setting *setting)
{
    char listen[ADDR_TEXT_MAX], next[ADDR_TEXT_MAX];
    assert_false(setting->v2); /* it speaks version 1 only */
    str_addf(out,
             "load_module " NGINX_STREAM ";\ndaemon off;\nmaster_process off;\n"
             "pid nginx.pid;\nerror_log stderr info;\nevents { worker_connections 100; }\n"
             "stream {\n"
             " log_format peer '$proxy_protocol_addr $proxy_protocol_port to "
             "$proxy_protocol_server_addr $proxy_protocol_server_port id -';\n"
             " access_log %s;\n"
             " server { listen %s%s; proxy_pass %s;%s }\n}\n",
             setting->behind ? "/dev/stdout peer" : "off",
             addr_format(&setting->listen, listen), setting->behind ? " proxy_protocol" : "",
             addr_format(&setting->next, next), setting->behind ? "" : " proxy_protocol on;");
}

static void write_config(const struct peer *peer, const struct setting *setting,
                         char path[TEST_PATH_MAX])
{
    struct str config;
    str_init(&config);
    bool haproxy = peer->kind == PEER_HAPROXY;
    if (haproxy)
        write_haproxy(&config, setting);
    else
        write_nginx(&config, setting);
    assert_false(config.failed);
    path_in(peer->dir, haproxy ? HAPROXY_NAME : NGINX_NAME, path);
    assert_int_equal(test_write_file(path, config.data), ERR_OK);
    str_free(&config);
}

/* ---- start and end ---- */

static void show_errors(struct peer *peer)
{
    char *errors = process_errors(peer->process);
    print_message("the peer says:\n%s\n", errors);
    free(errors);
}

static bool listens_in(const char *table, unsigned port)
{
    enum { LISTEN = 10 };
    char *text = test_read_file(table);
    bool found = false;
    for (char *line = text; line != NULL && !found; line = strchr(line + 1, '\n')) {
        unsigned local, state;
        found = sscanf(line, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x", &local, &state) == 2 &&
                local == port && state == LISTEN;
    }
    free(text);
    return found;
}

/* Waits until it listens, without a connection: it would pass that on. False: it has ended
 * before, most likely because another program took its port. */
static bool wait_ready(struct peer *peer)
{
    uint64_t start = os_mono_ms();
    while (!listens_in("/proc/net/tcp", peer->addr.port) &&
           !listens_in("/proc/net/tcp6", peer->addr.port)) {
        if (process_wait(peer->process, 0, NULL) || os_mono_ms() - start > NET_PATIENCE_MS) {
            show_errors(peer);
            return false;
        }
        os_sleep_ms(10);
    }
    return !process_wait(peer->process, 50, NULL); /* it is not another's port */
}

static bool try_start(struct peer *peer, struct setting *setting, enum addr_family family)
{
    char path[TEST_PATH_MAX];
    setting->listen = net_loopback(family, net_free_port());
    peer->addr = setting->listen;
    write_config(peer, setting, path);
    const char *const haproxy[] = {HAPROXY, "-db", "-f", path, NULL};
    const char *const nginx[] = {NGINX, "-p", peer->dir, "-e", "stderr", "-c", path, NULL};
    const struct process_options options = {
        .args = peer->kind == PEER_HAPROXY ? haproxy : nginx, .dir = peer->dir, .name = "peer"};
    assert_int_equal(process_start(&peer->process, &options), ERR_OK);
    if (wait_ready(peer))
        return true;
    process_free(peer->process);
    peer->process = NULL;
    return false;
}

static void start(struct peer *peer, enum peer_kind kind, struct setting setting,
                  enum addr_family family)
{
    *peer = (struct peer){.kind = kind};
    assert_int_equal(test_make_dir(peer->dir), ERR_OK);
    for (unsigned i = 0; i < START_TRIES; i++)
        if (try_start(peer, &setting, family))
            return;
    fail_msg("%s", "the peer does not start");
}

void peer_start_behind(struct peer *peer, enum peer_kind kind, const struct addr *server)
{
    start(peer, kind, (struct setting){.next = *server, .behind = true}, ADDR_IPV4);
}

void peer_start_before(struct peer *peer, enum peer_kind kind, bool v2, enum addr_family family,
                       const struct addr *relay)
{
    start(peer, kind, (struct setting){.next = *relay, .v2 = v2}, family);
}

void peer_end(struct peer *peer)
{
    process_free(peer->process);
    peer->process = NULL;
    test_remove_dir(peer->dir);
}

/* ---- its log ---- */

void peer_expect_log(struct peer *peer, const char *format, ...)
{
    struct str text;
    str_init(&text);
    va_list args;
    va_start(args, format);
    str_vaddf(&text, format, args);
    va_end(args);
    if (!process_wait_output(peer->process, text.data, NET_PATIENCE_MS)) {
        char *log = process_output(peer->process);
        print_message("its log:\n%s\n", log);
        free(log);
        show_errors(peer);
        fail_msg("the peer's log does not say '%s'", text.data);
    }
    str_free(&text);
}

void peer_expect_no_log(struct peer *peer, const char *text)
{
    char *log = process_output(peer->process);
    if (strstr(log, text) != NULL)
        fail_msg("the peer's log says '%s':\n%s", text, log);
    free(log);
}
