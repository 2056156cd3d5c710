/* test_config_files.c - the files of conf/ load, and pairport.ini and README.md there show the
 * table of keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/str.h"
#include "config/conf.h"
#include "config/value/keys.h"
#include "support/page.h"

static struct conf *load_file(const char *name)
{
    char path[CONF_PATH_MAX];
    struct conf *conf = NULL;
    struct str messages;
    str_init(&messages);
    str_format(path, sizeof path, "%s/%s", PAIRPORT_CONF_DIR, name);
    enum err err = conf_load(path, NULL, &conf, &messages);
    assert_string_equal(messages.data, "");
    assert_int_equal(err, ERR_OK);
    str_free(&messages);
    return conf;
}

static void the_minimal_file_has_one_route_and_nothing_else(void **state)
{
    (void)state;
    struct conf *conf = load_file("minimal.ini");
    assert_int_equal(conf->route_count, 1);
    assert_int_equal(conf->routes[0].listen_count, 1);
    assert_int_equal(conf->routes[0].upstream_count, 1);
    conf_free(conf);
}

static void the_full_file_says_what_holds_without_it(void **state)
{
    (void)state;
    struct conf *full = load_file("pairport.ini");
    struct conf *minimal = load_file("minimal.ini");
    struct str a;
    struct str b;
    str_init(&a);
    str_init(&b);
    conf_write(full, &a);
    conf_write(minimal, &b);
    assert_string_equal(a.data, b.data);
    str_free(&a);
    str_free(&b);
    conf_free(full);
    conf_free(minimal);
}

/* ---- pairport.ini, line by line ---- */

/* What stands in pairport.ini about one key. */
struct entry {
    unsigned mentions;
    char value[256];
    struct str comment; /* the comment lines right above it, joined by blanks */
};

static const char *section_in_file(const struct key *key)
{
    if (key->section != KEY_ROUTE)
        return key_section_word(key->section);
    return key->preset == NULL ? "[route game]" : "[defaults]";
}

static void find_entry(const struct key *key, struct entry *entry)
{
    FILE *file = fopen(PAIRPORT_CONF_DIR "/pairport.ini", "r");
    char line[CONF_LINE_MAX + 2];
    char section[64] = "";
    char start[64];

    assert_non_null(file);
    memset(entry, 0, sizeof *entry);
    str_init(&entry->comment);
    str_format(start, sizeof start, "%s =", key->name);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] == '[')
            str_format(section, sizeof section, "%s", line);
        bool here = strcmp(section, section_in_file(key)) == 0;
        if (here && strncmp(line, start, strlen(start)) == 0) {
            const char *value = line + strlen(start);
            ++entry->mentions;
            str_format(entry->value, sizeof entry->value, "%s", value + (*value == ' '));
        } else if (entry->mentions == 0 && line[0] == ';') {
            str_addf(&entry->comment, "%s%s", entry->comment.len > 0 ? " " : "", line + 2);
        } else if (entry->mentions == 0) {
            str_clear(&entry->comment);
        }
    }
    fclose(file);
}

static void the_full_file_shows_every_key_with_its_default_and_help(void **state)
{
    (void)state;
    for (size_t i = 0; i < key_count; ++i) {
        struct entry entry;
        find_entry(&keys[i], &entry);
        if (entry.mentions != 1)
            print_error("%s %s\n", section_in_file(&keys[i]), keys[i].name);
        assert_int_equal(entry.mentions, 1);
        if (keys[i].preset != NULL)
            assert_string_equal(entry.value, keys[i].preset);
        assert_string_equal(entry.comment.data, keys[i].help);
        str_free(&entry.comment);
    }
}

static void the_full_file_needs_two_lines_changed_to_be_used(void **state)
{
    (void)state;
    struct conf *conf = load_file("pairport.ini");
    assert_int_equal(conf->route_count, 1);
    assert_int_equal(conf->routes[0].listen_count, 1);
    assert_int_equal(conf->routes[0].upstream_count, 1);
    conf_free(conf);
}

/* ---- the table in conf/README.md ---- */

static const char *number_of_key(const struct key *key, uint64_t value, char buf[STR_HUMAN_MAX])
{
    if (key->type == KEY_DURATION)
        return str_exact_duration(value, buf);
    if (key->type == KEY_SIZE)
        return str_exact_size(value, buf);
    str_format(buf, STR_HUMAN_MAX, "%u%s", (unsigned)value,
               key->type == KEY_PERCENT ? "%" : "");
    return buf;
}

/* What may be written: "`off`, 1s to 9h". Nothing where the help has to say it. */
static void add_values(const struct key *key, struct str *out)
{
    char min[STR_HUMAN_MAX];
    char max[STR_HUMAN_MAX];
    if (key->zero != NULL)
        str_addf(out, "`%s`, ", key->zero);
    for (size_t i = 0; key->words != NULL && key->words[i] != NULL; ++i)
        str_addf(out, "%s`%s`", i > 0 ? ", " : "", key->words[i]);
    for (int i = LOG_ERROR; key->type == KEY_LEVEL && i <= LOG_DEBUG; ++i)
        str_addf(out, "%s`%s`", i > LOG_ERROR ? ", " : "", log_level_word((enum log_level)i));
    if (key->type == KEY_BOOL)
        str_add(out, "`yes`, `no`");
    if (key->max > 0 && key->type != KEY_TEXT)
        str_addf(out, "%s to %s", number_of_key(key, key->min, min),
                 number_of_key(key, key->max, max));
}

static const char *reload_word(const struct key *key)
{
    if (!key->reloadable)
        return "restart";
    return key->section != KEY_ROUTE || key_reaches_open(key) ? "at once" : "new";
}

static void add_row(const struct key *key, struct str *out)
{
    str_addf(out, "| `%s` | ", key->name);
    if (key->preset != NULL && key->preset[0] != '\0')
        str_addf(out, "`%s` ", key->preset);
    str_add(out, "| ");
    add_values(key, out);
    str_addf(out, " | %s | ", reload_word(key));
    assert_null(strchr(key->help, '|'));
    str_addf(out, "%s |\n", key->help);
}

static void the_page_has_every_key_as_the_table_has_it(void **state)
{
    (void)state;
    struct str text;
    str_init(&text);
    for (size_t i = 0; i < key_count; ++i) {
        if (i == 0 || keys[i].section != keys[i - 1].section)
            str_addf(
                &text,
                "\n### %s\n\n| key | default | values | reload | |\n|---|---|---|---|---|\n",
                key_section_word(keys[i].section));
        add_row(&keys[i], &text);
    }
    str_add_char(&text, '\n');
    page_check(PAIRPORT_CONF_DIR "/README.md", "keys", text.data);
    str_free(&text);
}

/* ---- the examples ---- */

static void the_services_example_has_a_route_a_service(void **state)
{
    (void)state;
    struct conf *conf = load_file("examples/services.ini");
    const struct conf_route *login = conf_find_route(conf, "login");
    const struct conf_route *lobby = conf_find_route(conf, "lobby");
    const struct conf_route *world = conf_find_route(conf, "world");
    const struct conf_route *patches = conf_find_route(conf, "patches");
    assert_int_equal(conf->route_count, 4);
    assert_non_null(login);
    assert_non_null(lobby);
    assert_non_null(world);
    assert_non_null(patches);
    assert_int_equal(conf->stop_timeout_ms, 120000);
    assert_int_equal(login->idle_timeout_ms, 30000);
    assert_int_equal(lobby->idle_timeout_ms, 900000);
    assert_int_equal(lobby->connect_timeout_ms, 3000);
    assert_int_equal(world->connect_timeout_ms, 10000);
    assert_false(patches->nodelay);
    conf_free(conf);
}

static void the_upstreams_example_has_several_of_each_kind(void **state)
{
    (void)state;
    struct conf *conf = load_file("examples/upstreams.ini");
    assert_int_equal(conf->route_count, 1);
    assert_int_equal(conf->routes[0].upstream_count, 4);
    assert_int_equal(conf->routes[0].upstreams[1].weight, 2);
    assert_string_equal(conf->routes[0].upstreams[2].host, "lobby-3.example.com");
    assert_string_equal(conf->routes[0].upstreams[3].host, "2001:db8::7");
    conf_free(conf);
}

static void the_ports_example_maps_ranges(void **state)
{
    (void)state;
    struct conf *conf = load_file("examples/ports.ini");
    const struct conf_route *instances = conf_find_route(conf, "instances");
    assert_non_null(instances);
    assert_int_equal(instances->listens[0].port_count, 16);
    assert_int_equal(instances->upstreams[0].port, 9000);
    assert_int_equal(instances->upstreams[0].port_count, 16);
    assert_true(instances->upstreams[1].backup);
    assert_int_equal(instances->health.interval_ms, 1000);
    assert_int_equal(conf_find_route(conf, "lobby")->upstreams[0].port_count, 1);
    conf_free(conf);
}

static void the_health_example_checks_holds_and_ejects(void **state)
{
    (void)state;
    struct conf *conf = load_file("examples/health.ini");
    const struct conf_route *world = conf_find_route(conf, "world");
    const struct conf_route *login = conf_find_route(conf, "login");
    assert_non_null(world);
    assert_non_null(login);
    assert_int_equal(world->when_down, CONF_HOLD);
    assert_int_equal(world->hold_ms, 30000);
    assert_int_equal(world->queue_max, 2000);
    assert_int_equal(world->on_down, CONF_KILL);
    assert_int_equal(world->balance, CONF_LEAST_SESSIONS);
    assert_int_equal(world->upstreams[0].slow_start_ms, 60000);
    assert_true(world->upstreams[2].disabled);
    assert_true(world->upstreams[3].backup);
    assert_int_equal(login->when_down, CONF_REFUSE);
    assert_int_equal(login->health.send.len, strlen("PING;v=2\r\n"));
    assert_memory_equal(login->health.expect.bytes, "PONG", 4);
    assert_int_equal(login->eject.count, 3);
    conf_free(conf);
}

static void the_proxy_example_names_who_is_believed(void **state)
{
    (void)state;
    struct conf *conf = load_file("examples/proxy.ini");
    const struct conf_route *lobby = conf_find_route(conf, "lobby");
    const struct conf_route *world = conf_find_route(conf, "world");
    const struct conf_route *arena = conf_find_route(conf, "arena");
    assert_non_null(lobby);
    assert_non_null(world);
    assert_non_null(arena);
    assert_int_equal(lobby->proxy_out, CONF_PROXY_OUT_V2);
    assert_int_equal(lobby->proxy_in, CONF_PROXY_IN_OFF);
    assert_int_equal(world->proxy_in, CONF_PROXY_IN_REQUIRED);
    assert_int_equal(world->trust_count, 3);
    assert_int_equal(world->trusts[1].bits, 28);
    assert_int_equal(arena->source_count, 2);
    conf_free(conf);
}

static void the_addresses_example_listens_on_both_families(void **state)
{
    (void)state;
    struct conf *conf = load_file("examples/addresses.ini");
    assert_int_equal(conf->route_count, 2);
    for (size_t i = 0; i < 2; ++i) {
        assert_int_equal(conf->routes[i].listen_count, 2);
        assert_int_equal(conf->routes[i].listens[0].addr.family, ADDR_IPV4);
        assert_int_equal(conf->routes[i].listens[1].addr.family, ADDR_IPV6);
        assert_false(conf->routes[i].listens[1].dual_stack);
    }
    assert_string_equal(conf->console_name, "pairport-test");
    assert_int_equal(conf->routes[1].idle_timeout_ms, 0);
    conf_free(conf);
}

static void the_guard_example_shuts_out_and_limits(void **state)
{
    (void)state;
    struct conf *conf = load_file("examples/guard.ini");
    const struct conf_route *login = conf_find_route(conf, "login");
    const struct conf_route *world = conf_find_route(conf, "world");
    const struct conf_route *patches = conf_find_route(conf, "patches");
    const struct conf_route *test = conf_find_route(conf, "test");
    assert_non_null(login);
    assert_non_null(world);
    assert_non_null(patches);
    assert_non_null(test);
    assert_string_equal(conf->state_file, "bans.json");
    assert_int_equal(login->access_count, 3);
    assert_false(login->access[0].allow);
    assert_string_equal(login->access_files[0].path, "blocked.txt");
    assert_int_equal(login->refuse, CONF_REFUSE_TARPIT);
    assert_int_equal(login->ban_after.count, 20);
    assert_int_equal(login->connect_rate_per_client.per_ms, 60000);
    assert_int_equal(world->guard, CONF_GUARD_DRY_RUN);
    assert_int_equal(world->access_count, 3);
    assert_true(patches->rate_down_per_route.bytes_per_s == 80u << 20);
    assert_int_equal(test->access_count, 3);
    assert_int_equal(test->access_file_count, 0);
    conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_minimal_file_has_one_route_and_nothing_else),
        cmocka_unit_test(the_full_file_says_what_holds_without_it),
        cmocka_unit_test(the_full_file_shows_every_key_with_its_default_and_help),
        cmocka_unit_test(the_full_file_needs_two_lines_changed_to_be_used),
        cmocka_unit_test(the_page_has_every_key_as_the_table_has_it),
        cmocka_unit_test(the_services_example_has_a_route_a_service),
        cmocka_unit_test(the_upstreams_example_has_several_of_each_kind),
        cmocka_unit_test(the_ports_example_maps_ranges),
        cmocka_unit_test(the_health_example_checks_holds_and_ejects),
        cmocka_unit_test(the_proxy_example_names_who_is_believed),
        cmocka_unit_test(the_guard_example_shuts_out_and_limits),
        cmocka_unit_test(the_addresses_example_listens_on_both_families),
    };
    return cmocka_run_group_tests_name("config_files", tests, NULL, NULL);
}
