#include "reload_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "os/os.h"

static char console_name[128]; /* of the relay whose file was written last */

/* The file up to its first route. A file with mistakes does not tell who is to be reached. */
static void add_head(const struct relay_run *relay, struct str *out)
{
    FILE *file;
    char line[512];
    assert_int_equal(os_file_open(&file, relay->config, "r"), ERR_OK);
    while (fgets(line, sizeof line, file) != NULL && strncmp(line, "[route", 6) != 0) {
        sscanf(line, "name = %127s", console_name);
        str_add(out, line);
    }
    fclose(file);
}

static void add_mark(const struct relay_run *relay, const struct addr upstreams[2], char mark,
                     struct str *out)
{
    struct addr second = net_loopback(ADDR_IPV4, relay->port2);
    char text[ADDR_TEXT_MAX];
    switch (mark) {
    case 'A': str_add(out, addr_format(&relay->addr, text)); return;
    case 'B': str_add(out, addr_format(&second, text)); return;
    case '0':
    case '1': str_add(out, addr_format(&upstreams[mark - '0'], text)); return;
    }
    fail_msg("there is no mark %%%c", mark);
}

void reload_write(struct relay_run *relay, const struct addr upstreams[2], const char *routes)
{
    struct str config;
    str_init(&config);
    add_head(relay, &config);
    for (const char *at = routes; *at != '\0'; at++) {
        if (*at == '%')
            add_mark(relay, upstreams, *++at, &config);
        else
            str_add_char(&config, *at);
    }
    assert_false(config.failed);
    assert_int_equal(test_write_file(relay->config, config.data), ERR_OK);
    str_free(&config);
}

char *reload_run(struct relay_run *relay, int code)
{
    const char *args[] = {"console", "--name", console_name, "reload", NULL};
    char *output, *errors;
    int got = run_pairport(relay->dir, args, &output, &errors);
    if (got != code)
        fail_msg("reload gave %d: %s%s", got, output, errors);
    char *said = code == 0 ? output : errors;
    free(code == 0 ? errors : output);
    return said;
}

void reload_expect(struct relay_run *relay, const struct addr upstreams[2], const char *routes,
                   int code, const char *text)
{
    reload_write(relay, upstreams, routes);
    char *said = reload_run(relay, code);
    if (strstr(said, text) == NULL)
        fail_msg("reload does not say '%s' but:\n%s", text, said);
    free(said);
}

void expect_no_listener(const struct addr *addr)
{
    sock_t sock;
    enum err err = net_connect(addr, NET_PATIENCE_MS, &sock);
    assert_true(err == ERR_REFUSED || err == ERR_RESET);
}
