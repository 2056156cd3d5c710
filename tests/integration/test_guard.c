/* Who may pass, on the real program: limits of a client, bans that outlive a restart, the tarpit,
 * a dry run, and a flood that others do not feel. Clients of other addresses come from 127.0.0.2
 * and up, which are exempt unless guard_exempt is empty. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"
#include "load_run.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

#define TEXT_MAX 2048
#define REFUSED  "sessions_refused_by_reason_total."

static struct addr address(const char *ip)
{
    struct addr addr;
    assert_int_equal(addr_parse_ip(ip, &addr), ERR_OK);
    return addr;
}

/* A relay to an upstream that is listened on, with nobody exempt. */
static struct relay_run *start(void **state, sock_t *listener, const char *relay_keys,
                               const char *route_keys)
{
    struct addr upstream;
    char keys[TEXT_MAX];
    *listener = upstream_listen(ADDR_IPV4, &upstream);
    str_format(keys, sizeof keys, "guard_exempt =\n%s", route_keys);
    const struct relay_setup setup = {.upstreams = &upstream,
                                      .upstream_count = 1,
                                      .relay_keys = relay_keys,
                                      .route_keys = keys};
    return relay_start(state, &setup);
}

static sock_t connect_from(const struct relay_run *relay, const char *ip)
{
    sock_t sock;
    struct addr from = address(ip);
    assert_int_equal(net_connect_from(&from, &relay->addr, NET_PATIENCE_MS, &sock), ERR_OK);
    return sock;
}

static struct session open_from(const struct relay_run *relay, sock_t listener, const char *ip)
{
    struct session session = {.client = connect_from(relay, ip)};
    assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &session.upstream), ERR_OK);
    return session;
}

static void expect_reset_from(const struct relay_run *relay, const char *ip)
{
    sock_t sock;
    struct addr from = address(ip);
    enum err err = net_connect_from(&from, &relay->addr, NET_PATIENCE_MS, &sock);
    if (err == ERR_OK) {
        expect_end(sock, NET_END_RESET, 0);
        net_close(sock);
    } else {
        assert_int_equal(err, ERR_RESET); /* it was that fast */
    }
}

static void finish(struct relay_run *relay, sock_t listener)
{
    net_close(listener);
    relay_wait_nothing_left(relay);
    relay_end(relay);
}

/* ---- the limits of a client ---- */

static void a_client_has_so_many_sessions_and_others_have_theirs(void **state)
{
    sock_t listener;
    struct relay_run *relay = start(state, &listener, NULL, "max_sessions_per_client = 2\n");
    struct session first = open_from(relay, listener, "127.0.0.2");
    struct session second = open_from(relay, listener, "127.0.0.2");
    expect_reset_from(relay, "127.0.0.2");
    struct session other = open_from(relay, listener, "127.0.0.3");
    assert_true(relay_wait_stat(relay, REFUSED "limit_client", 1));
    expect_log(relay, "route 'test': client 127.0.0.2:");
    expect_log(relay, " refused: max_sessions_per_client was reached");
    session_check(&first);
    session_end(&first);
    assert_true(relay_wait_info(relay, "sessions_open", 2));
    first = open_from(relay, listener, "127.0.0.2");
    session_check(&first);

    json_t *root = relay_json(relay, "show clients");
    const json_t *client = json_array_get(json_object_get(root, "clients"), 0);
    assert_string_equal(json_text(client, "network"), "127.0.0.2/32");
    assert_int_equal(json_number_at(client, "sessions_open", 99), 2);
    assert_int_equal(json_number_at(client, "sessions_refused_total", 99), 1);
    json_decref(root);
    session_end(&first);
    session_end(&second);
    session_end(&other);
    finish(relay, listener);
}

static void a_client_that_comes_too_often_waits_until_it_may_again(void **state)
{
    sock_t listener;
    struct relay_run *relay =
        start(state, &listener, NULL, "connect_rate_per_client = 1/h burst 2\n");
    for (unsigned i = 0; i < 2; i++) {
        struct session session = open_from(relay, listener, "127.0.0.2");
        session_end(&session);
    }
    expect_reset_from(relay, "127.0.0.2");
    struct session other = open_from(relay, listener, "127.0.0.3");
    session_end(&other);
    assert_true(relay_wait_stat(relay, REFUSED "rate_client", 1));
    finish(relay, listener);
}

static void an_access_list_turns_away_whom_it_denies(void **state)
{
    sock_t listener;
    struct relay_run *relay =
        start(state, &listener, NULL, "deny = 127.0.0.0/24\nallow = 127.0.0.3\n");
    expect_reset_from(relay, "127.0.0.2");
    struct session session = open_from(relay, listener, "127.0.0.3");
    session_end(&session);
    assert_true(relay_wait_stat(relay, REFUSED "denied", 1));
    finish(relay, listener);
}

static void the_exempt_have_no_limits_of_a_client(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    const struct relay_setup setup = {.upstreams = &upstream,
                                      .upstream_count = 1,
                                      .route_keys = "max_sessions_per_client = 1\n"};
    struct relay_run *relay = relay_start(state, &setup);
    struct session first = open_from(relay, listener, "127.0.0.2");
    struct session second = open_from(relay, listener, "127.0.0.2");
    session_check(&second);
    session_end(&first);
    session_end(&second);
    finish(relay, listener);
}

static void a_dry_run_lets_in_whom_it_counts(void **state)
{
    sock_t listener;
    struct relay_run *relay = start(state, &listener, NULL,
                                    "max_sessions_per_client = 1\nguard = dry_run\n"
                                    "deny = 127.0.0.9\n");
    struct session first = open_from(relay, listener, "127.0.0.2");
    struct session second = open_from(relay, listener, "127.0.0.2");
    struct session denied = open_from(relay, listener, "127.0.0.9");
    session_check(&second);
    session_check(&denied);
    assert_int_equal(relay_stat(relay, "would_refuse_by_reason_total.limit_client"), 1);
    assert_int_equal(relay_stat(relay, "would_refuse_by_reason_total.denied"), 1);
    assert_int_equal(relay_stat(relay, "sessions_refused_total"), 0);
    expect_log(relay, " would be refused: max_sessions_per_client was reached");
    session_end(&first);
    session_end(&second);
    session_end(&denied);
    finish(relay, listener);
}

/* ---- how ---- */

static void with_close_a_refused_client_gets_a_fin(void **state)
{
    sock_t listener;
    struct relay_run *relay =
        start(state, &listener, NULL, "deny = 127.0.0.2\nrefuse = close\n");
    sock_t client = connect_from(relay, "127.0.0.2");
    expect_end(client, NET_END_FIN, 0);
    net_close(client);
    finish(relay, listener);
}

static void in_the_tarpit_a_client_waits_for_its_reset(void **state)
{
    sock_t listener;
    struct relay_run *relay = start(state, &listener, "tarpit_max = 2\n",
                                    "deny = 127.0.0.2\nrefuse = tarpit 1500ms\n");
    uint64_t begun = os_mono_ms();
    sock_t kept[2];
    for (unsigned i = 0; i < 2; i++)
        kept[i] = connect_from(relay, "127.0.0.2");
    assert_true(relay_wait_info(relay, "tarpit_total", 2));
    expect_reset_from(relay, "127.0.0.2"); /* no place is left */
    assert_int_equal(relay_info(relay, "tarpit_full_total"), 1);
    assert_int_equal(relay_stat(relay, REFUSED "denied"), 3);
    struct session session = open_from(relay, listener, "127.0.0.3");
    session_check(&session);
    for (unsigned i = 0; i < 2; i++) {
        expect_end(kept[i], NET_END_RESET, 0);
        expect_passed(begun, 1500);
        net_close(kept[i]);
    }
    assert_true(relay_wait_info(relay, "tarpit_held", 0));
    session_end(&session);
    finish(relay, listener);
}

static void the_tarpit_does_not_keep_a_stop(void **state)
{
    sock_t listener;
    struct relay_run *relay =
        start(state, &listener, NULL, "deny = 127.0.0.2\nrefuse = tarpit 10m\n");
    sock_t kept = connect_from(relay, "127.0.0.2");
    assert_true(relay_wait_info(relay, "tarpit_held", 1));
    finish(relay, listener); /* ten minutes are longer than anybody waits */
    expect_end(kept, NET_END_RESET, 0);
    net_close(kept);
}

/* ---- bans ---- */

static void a_ban_ends_sessions_and_turns_new_ones_away_until_it_ends(void **state)
{
    sock_t listener;
    struct relay_run *relay = start(state, &listener, NULL, "");
    struct session banned = open_from(relay, listener, "127.0.0.2");
    struct session other = open_from(relay, listener, "127.0.0.3");
    tell(relay, "ban 127.0.0.2 for 1h reason flood", 0,
         "127.0.0.2 is banned for 1h; 1 session ended\n");
    session_expect_reset(&banned);
    expect_log(relay, " notice console: 127.0.0.2 is banned for 1h: flood\n");
    expect_log(relay, " reason=ban phase=data ");
    expect_reset_from(relay, "127.0.0.2");
    session_check(&other);
    assert_int_equal(relay_stat(relay, REFUSED "banned"), 1);

    json_t *root = relay_json(relay, "show bans");
    const json_t *ban = json_array_get(json_object_get(root, "bans"), 0);
    assert_string_equal(json_text(ban, "network"), "127.0.0.2/32");
    assert_string_equal(json_text(ban, "by"), "console");
    assert_string_equal(json_text(ban, "reason"), "flood");
    assert_int_equal(json_number_at(ban, "hits_total", 99), 1);
    json_decref(root);
    tell(relay, "unban 127.0.0.2", 0, "127.0.0.2 is not banned any more\n");
    banned = open_from(relay, listener, "127.0.0.2");
    session_check(&banned);
    session_end(&banned);
    session_end(&other);
    finish(relay, listener);
}

static void with_keep_a_ban_lets_open_sessions_go_on(void **state)
{
    sock_t listener;
    struct relay_run *relay = start(state, &listener, NULL, "");
    struct session session = open_from(relay, listener, "127.0.0.2");
    tell(relay, "ban 127.0.0.0/30 keep", 0,
         "127.0.0.0/30 is banned for ever; open sessions go on\n");
    expect_reset_from(relay, "127.0.0.2");
    session_check(&session);
    session_end(&session);
    finish(relay, listener);
}

static void a_ban_is_over_by_itself(void **state)
{
    sock_t listener;
    struct relay_run *relay = start(state, &listener, NULL, "");
    tell(relay, "ban 127.0.0.2 for 1s", 0, "127.0.0.2 is banned for 1s; 0 sessions ended\n");
    expect_log(relay, " notice 1 ban is over\n");
    struct session session = open_from(relay, listener, "127.0.0.2");
    session_check(&session);
    session_end(&session);
    finish(relay, listener);
}

static void who_is_refused_too_often_is_banned_and_loses_its_sessions(void **state)
{
    sock_t listener;
    struct relay_run *relay = start(state, &listener, NULL,
                                    "max_sessions_per_client = 1\n"
                                    "ban_after = 3 refusals in 10m for 10m\n");
    struct session session = open_from(relay, listener, "127.0.0.2");
    struct session other = open_from(relay, listener, "127.0.0.3");
    for (unsigned i = 0; i < 3; i++)
        expect_reset_from(relay, "127.0.0.2");
    session_expect_reset(&session);
    expect_log(relay, " warning route 'test': 127.0.0.2 is banned for 10m: 3 refusals in 10m");
    expect_reset_from(relay, "127.0.0.2");
    assert_int_equal(relay_stat(relay, REFUSED "limit_client"), 3);
    assert_int_equal(relay_stat(relay, REFUSED "banned"), 1);
    session_check(&other);
    session_end(&other);
    finish(relay, listener);
}

/* ---- the state file ---- */

struct kept {
    char dir[TEST_PATH_MAX], path[TEST_PATH_MAX], key[TEST_PATH_MAX + 32];
};

static void keep_state(struct kept *kept)
{
    assert_int_equal(test_make_dir(kept->dir), ERR_OK);
    path_in(kept->dir, "state.json", kept->path);
    str_format(kept->key, sizeof kept->key, "state_file = %s\n", kept->path);
}

static void bans_and_their_hits_outlive_a_restart(void **state)
{
    sock_t listener;
    struct kept kept;
    keep_state(&kept);
    struct relay_run *relay = start(state, &listener, kept.key, "");
    tell(relay, "ban 127.0.0.2 reason flood", 0,
         "127.0.0.2 is banned for ever; 0 sessions ended\n");
    tell(relay, "ban 127.0.0.4 for 1s", 0, "127.0.0.4 is banned for 1s; 0 sessions ended\n");
    expect_reset_from(relay, "127.0.0.2");
    finish(relay, listener);
    relay_teardown(state);

    os_sleep_ms(1000);
    relay = start(state, &listener, kept.key, "");
    expect_reset_from(relay, "127.0.0.2");
    json_t *root = relay_json(relay, "show bans");
    assert_int_equal(json_array_size(json_object_get(root, "bans")), 1);
    const json_t *ban = json_array_get(json_object_get(root, "bans"), 0);
    assert_string_equal(json_text(ban, "reason"), "flood");
    assert_int_equal(json_number_at(ban, "hits_total", 99), 2);
    json_decref(root);
    finish(relay, listener);
    test_remove_dir(kept.dir);
}

/* What was killed had no time to write at its end. */
static void a_ban_outlives_even_a_kill_when_it_is_some_seconds_old(void **state)
{
    sock_t listener;
    struct kept kept;
    keep_state(&kept);
    struct relay_run *relay = start(state, &listener, kept.key, "");
    tell(relay, "ban 127.0.0.2", 0, "127.0.0.2 is banned for ever; 0 sessions ended\n");
    uint64_t begun = os_mono_ms();
    for (bool there = false; !there && os_mono_ms() - begun < NET_PATIENCE_MS;
         os_sleep_ms(20)) {
        char *text = test_read_file(kept.path);
        there = text != NULL && strstr(text, "127.0.0.2/32") != NULL;
        free(text);
    }
    process_kill(relay->process);
    assert_true(process_wait(relay->process, NET_PATIENCE_MS, NULL));
    relay->ended = true;
    net_close(listener);
    relay_teardown(state);

    relay = start(state, &listener, kept.key, "");
    expect_reset_from(relay, "127.0.0.2");
    finish(relay, listener);
    test_remove_dir(kept.dir);
}

static void a_damaged_state_file_is_put_aside_and_the_start_goes_on(void **state)
{
    sock_t listener;
    struct kept kept;
    char aside[TEST_PATH_MAX + 16];
    keep_state(&kept);
    str_format(aside, sizeof aside, "%s.damaged", kept.path);
    assert_int_equal(test_write_file(kept.path, "{\"format\": \"pairport st"), ERR_OK);
    struct relay_run *relay = start(state, &listener, kept.key, "");
    expect_log(relay, " is damaged: line 1, column ");
    char *text = test_read_file(aside);
    assert_string_equal(text, "{\"format\": \"pairport st");
    free(text);
    struct session session = open_from(relay, listener, "127.0.0.2");
    session_check(&session);
    session_end(&session);
    finish(relay, listener);
    test_remove_dir(kept.dir);
}

static void a_state_file_that_cannot_be_written_is_told_and_stops_nothing(void **state)
{
    sock_t listener;
    struct kept kept;
    char *output;
    keep_state(&kept);
    path_in(kept.dir, "none", kept.path);
    str_format(kept.key, sizeof kept.key, "state_file = %s/state.json\n", kept.path);
    struct relay_run *relay = start(state, &listener, kept.key, "");
    expect_log(relay, " can't be written: ");
    char folder[2 * TEST_PATH_MAX];
    str_format(folder, sizeof folder, "[relay] state_file: the folder '%s' does not exist",
               kept.path);
    assert_int_equal(relay_count_log(relay, folder), 1);
    tell(relay, "ban 127.0.0.2", 0, "127.0.0.2 is banned for ever; 0 sessions ended\n");
    assert_int_equal(relay_console(relay, "show bans", &output, NULL), 0);
    assert_non_null(strstr(output, "1 ban, forgotten at a restart: "));
    free(output);
    expect_reset_from(relay, "127.0.0.2");
    finish(relay, listener);
    test_remove_dir(kept.dir);
}

/* The same configuration, but for its listeners, which are in use. */
static struct process *start_another(struct relay_run *relay, const char *name,
                                     const struct kept *kept)
{
    char text[TEXT_MAX], file[TEST_PATH_MAX];
    relay_path(relay, name, file);
    str_format(text, sizeof text,
               "[relay]\n%s[console]\nname = test-%016" PRIx64 "\n"
               "[route test]\nlisten = 127.0.0.1:%u\nupstream = 127.0.0.1:9\n",
               kept->key, os_random(), (unsigned)net_free_port());
    assert_int_equal(test_write_file(file, text), ERR_OK);
    const char *args[] = {"run", "-c", file, NULL};
    return start_pairport(relay->dir, name, args, false);
}

static bool wait_file_has(const char *path, const char *text)
{
    for (uint64_t begun = os_mono_ms(); os_mono_ms() - begun < NET_PATIENCE_MS;
         os_sleep_ms(20)) {
        char *all = test_read_file(path);
        bool there = all != NULL && strstr(all, text) != NULL;
        free(all);
        if (there)
            return true;
    }
    return false;
}

static void a_second_relay_does_not_write_the_state_file_of_the_first(void **state)
{
    sock_t listener;
    struct kept kept;
    char text[128];
    int code = -1;
    keep_state(&kept);
    struct relay_run *relay = start(state, &listener, kept.key, "");
    tell(relay, "ban 127.0.0.2", 0, "127.0.0.2 is banned for ever; 0 sessions ended\n");
    assert_true(wait_file_has(kept.path, "127.0.0.2/32"));

    struct process *second = start_another(relay, "second.ini", &kept);
    str_format(text, sizeof text, "is written by another relay, pid %llu: ",
               (unsigned long long)process_id(relay->process));
    assert_true(process_wait_errors(second, text, NET_PATIENCE_MS));
    assert_true(process_wait_errors(second, "reaches this relay at", NET_PATIENCE_MS));
    assert_int_equal(process_stop(second), ERR_OK);
    assert_true(process_wait(second, NET_PATIENCE_MS, &code));
    assert_int_equal(code, 0);
    process_free(second);

    assert_true(wait_file_has(kept.path, "127.0.0.2/32"));
    tell(relay, "ban 127.0.0.4", 0, "127.0.0.4 is banned for ever; 0 sessions ended\n");
    assert_true(wait_file_has(kept.path, "127.0.0.4/32"));
    finish(relay, listener);
    str_format(text, sizeof text, "%s.lock", kept.path);
    assert_null(test_read_file(text));
    test_remove_dir(kept.dir);
}

static void bans_go_to_the_relay_that_takes_over(void **state)
{
    sock_t listener;
    struct kept kept;
    int code = -1;
    keep_state(&kept);
    struct relay_run *relay = start(state, &listener, kept.key, "");
    tell(relay, "ban 127.0.0.2", 0, "127.0.0.2 is banned for ever; 0 sessions ended\n");
    const char *args[] = {"run", "-c", relay->config, "--takeover", NULL};
    struct process *old = relay->process;
    struct process *successor = start_pairport(relay->dir, "successor", args, false);
    assert_true(process_wait_errors(successor, "reaches this relay at", NET_PATIENCE_MS));
    relay->process = successor;
    assert_true(process_wait(old, NET_PATIENCE_MS, &code));
    assert_int_equal(code, 0);
    process_free(old);

    expect_reset_from(relay, "127.0.0.2");
    tell(relay, "ban 127.0.0.4", 0, "127.0.0.4 is banned for ever; 0 sessions ended\n");
    assert_true(wait_file_has(kept.path, "127.0.0.4/32")); /* it writes now */
    assert_true(wait_file_has(kept.path, "127.0.0.2/32"));
    char *log = process_errors(successor);
    assert_null(strstr(log, "is written by another relay"));
    free(log);
    finish(relay, listener);
    test_remove_dir(kept.dir);
}

/* ---- a flood ---- */

static struct process *start_flood(const struct relay_run *relay)
{
    char words[TEXT_MAX], to[ADDR_TEXT_MAX];
    str_format(words, sizeof words,
               "flood %s --source 127.0.0.2 --connections 32 --duration 600s",
               addr_format(&relay->addr, to));
    return start_pairload(relay->dir, "flood", words);
}

static void expect_session_goes_on(struct relay_run *relay, const struct session *session,
                                   const char *reason, uint64_t refused)
{
    char member[128];
    str_format(member, sizeof member, REFUSED "%s", reason);
    uint64_t begun = os_mono_ms();
    do {
        for (unsigned i = 0; i < 50; i++)
            session_check(session);
        assert_true(os_mono_ms() - begun < NET_PATIENCE_MS);
    } while (relay_stat(relay, member) < refused);
}

static void a_flood_from_one_address_does_not_touch_others(void **state)
{
    sock_t listener;
    uint64_t refused = test_scaled(20000);
    test_wait_for_ports((unsigned)refused * 2);
    struct relay_run *relay = start(state, &listener, NULL,
                                    "deny = 127.0.0.2\n"
                                    "connect_rate_per_client = 20/s burst 100\n");
    struct session session = open_from(relay, listener, "127.0.0.3");
    struct process *flood = start_flood(relay);
    expect_session_goes_on(relay, &session, "denied", refused);
    struct session later = open_from(relay, listener, "127.0.0.4"); /* new ones come in, too */
    session_check(&later);
    process_kill(flood);
    process_wait(flood, NET_PATIENCE_MS, NULL);
    process_free(flood);
    session_end(&session);
    session_end(&later);
    finish(relay, listener);
    assert_true(relay_count_log(relay, " refused: ") < 100); /* and not a line each */
}

static void a_flood_bans_itself(void **state)
{
    struct echo_run echo;
    echo_run_start(&echo);
    const struct relay_setup setup = {
        .upstreams = &echo.addr,
        .upstream_count = 1,
        .route_keys = "guard_exempt =\nconnect_rate_per_client = 20/s burst 50\n"
                      "ban_after = 20 refusals in 10s for 10m\n"};
    uint64_t refused = test_scaled(5000);
    test_wait_for_ports((unsigned)refused * 2);
    struct relay_run *relay = relay_start(state, &setup);
    struct process *flood = start_flood(relay);
    uint64_t begun = os_mono_ms();
    while (relay_stat(relay, REFUSED "banned") < refused)
        assert_true(os_mono_ms() - begun < NET_PATIENCE_MS);
    assert_int_equal(relay_info(relay, "bans"), 1);
    /* Other workers may be judging when the twentieth refusal sets the ban. */
    assert_in_range(relay_stat(relay, REFUSED "rate_client"), 20, 20 + 16);
    sock_t other = connect_from(relay, "127.0.0.3");
    send_bytes(other, 1000);
    expect_bytes(other, 1000);
    net_close(other);
    process_kill(flood);
    process_wait(flood, NET_PATIENCE_MS, NULL);
    process_free(flood);
    assert_true(relay_wait_info(relay, "sessions_open", 0));
    relay_end(relay);
    echo_run_stop(&echo);
}

/* The console's own word for it is what sshd leaves in its environment. */
static void a_ban_of_the_operators_own_address_is_asked_about(void **state)
{
    static char ssh[] = "SSH_CONNECTION=127.0.7.7 50022 127.0.0.1 22",
                none[] = "SSH_CONNECTION=";
    struct addr upstream, from;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = relay_start_to(state, &upstream);
    struct session session;
    assert_int_equal(addr_parse_ip("127.0.7.7", &from), ERR_OK);
    assert_int_equal(net_connect_from(&from, &relay->addr, NET_PATIENCE_MS, &session.client),
                     ERR_OK);
    assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &session.upstream), ERR_OK);
    assert_int_equal(putenv(ssh), 0);
    tell(
        relay, "kill client 127.0.7.0/24", 1,
        "127.0.7.0/24 includes you: you are connected by SSH from 127.0.7.7; if that is meant, "
        "add `force`, as in `kill client 127.0.7.0/24 force`\n");
    tell(relay, "ban 127.0.7.7 for 1h", 1,
         "127.0.7.7 includes you: you are connected by SSH from 127.0.7.7; if that is meant, "
         "add `force`, as in `ban 127.0.7.7 force`\n");
    tell(relay, "kill client 127.0.8.0/24", 0, "0 sessions of client 127.0.8.0/24 ended\n");
    session_check(&session);
    tell(relay, "kill client 127.0.7.0/24 force", 0,
         "1 session of client 127.0.7.0/24 ended\n");
    session_expect_reset(&session);
    assert_int_equal(putenv(none), 0);
    relay_end(relay);
    net_close(listener);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, relay_teardown)
        TEST(a_client_has_so_many_sessions_and_others_have_theirs),
        TEST(a_client_that_comes_too_often_waits_until_it_may_again),
        TEST(an_access_list_turns_away_whom_it_denies),
        TEST(the_exempt_have_no_limits_of_a_client),
        TEST(a_dry_run_lets_in_whom_it_counts),
        TEST(with_close_a_refused_client_gets_a_fin),
        TEST(in_the_tarpit_a_client_waits_for_its_reset),
        TEST(the_tarpit_does_not_keep_a_stop),
        TEST(a_ban_ends_sessions_and_turns_new_ones_away_until_it_ends),
        TEST(with_keep_a_ban_lets_open_sessions_go_on),
        TEST(a_ban_is_over_by_itself),
        TEST(who_is_refused_too_often_is_banned_and_loses_its_sessions),
        TEST(bans_and_their_hits_outlive_a_restart),
        TEST(a_ban_outlives_even_a_kill_when_it_is_some_seconds_old),
        TEST(a_damaged_state_file_is_put_aside_and_the_start_goes_on),
        TEST(a_state_file_that_cannot_be_written_is_told_and_stops_nothing),
        TEST(a_second_relay_does_not_write_the_state_file_of_the_first),
        TEST(bans_go_to_the_relay_that_takes_over),
        TEST(a_flood_from_one_address_does_not_touch_others),
        TEST(a_flood_bans_itself),
        TEST(a_ban_of_the_operators_own_address_is_asked_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
