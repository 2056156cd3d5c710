/* test_control_guard.c - bans and clients at the console: what is done, shown, and said of words
 * that mean nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/str.h"
#include "control/command/command.h"
#include "fake_server.h"
#include "os/os.h"
#include "shown.h"

static struct addr_net net_of(const char *text)
{
    struct addr_net net;
    assert_int_equal(addr_net_parse(text, &net), ERR_OK);
    return net;
}

static void assert_fails(const char *line, const char *text)
{
    unsigned calls = server->ban_calls;
    command_run(&session, line, strlen(line), &result);
    assert_string_equal(result.text.data, text);
    assert_true(result.failed);
    assert_int_equal(server->ban_calls, calls);
}

/* ---- ban ---- */

static void assert_banned(const char *net, uint64_t for_ms, const char *reason, bool keeps)
{
    struct addr_net wanted = net_of(net);
    assert_true(addr_equal(&server->banned.net.addr, &wanted.addr));
    assert_int_equal(server->banned.net.bits, wanted.bits);
    assert_int_equal(server->banned.until_ms, for_ms);
    assert_string_equal(server->banned.reason, reason);
    assert_int_equal(server->ban_keeps, keeps);
}

static void a_ban_says_for_how_long_and_how_many_sessions_ended(void **state)
{
    (void)state;
    server->ban_result.ended = 2;
    assert_shows(0, "ban 192.0.2.7", "192.0.2.7 is banned for ever; 2 sessions ended\n");
    assert_banned("192.0.2.7", 0, "", false);
    server->ban_result.ended = 1;
    assert_shows(0, "ban 192.0.2.0/24 for 90m reason \"speed hack\"",
                 "192.0.2.0/24 is banned for 90m; 1 session ended\n");
    assert_banned("192.0.2.0/24", 90 * 60000, "speed hack", false);
    assert_shows(0, "ban 2001:db8::/32 keep for 7d",
                 "2001:db8::/32 is banned for 7d; open sessions go on\n");
    assert_banned("2001:db8::/32", 7 * 86400000, "", true);
    server->ban_result.replaced = true;
    assert_shows(0, "ban ::ffff:192.0.2.7",
                 "192.0.2.7 is banned for ever, in the place of an older ban; 1 session "
                 "ended\n");
    server->ban_result.end_err = ERR_NOMEM;
    assert_shows(0, "ban 192.0.2.7",
                 "192.0.2.7 is banned for ever, in the place of an older ban; its sessions "
                 "could not be ended: out of memory or of the system's buffers\n");
}

static void a_ban_says_whom_it_does_not_reach(void **state)
{
    (void)state;
    server->ban_result.exempt_routes = 1;
    server->ban_result.exempt = net_of("127.0.0.0/8");
    str_format(server->ban_result.exempt_route, CONF_NAME_MAX, "lobby");
    assert_shows(0, "ban 0.0.0.0/0 force",
                 "0.0.0.0/0 is banned for ever; 0 sessions ended\n"
                 "note: 127.0.0.0/8 is on guard_exempt of route 'lobby': its clients still "
                 "come in\n");
    server->ban_result.exempt_routes = 3;
    server->ban_result.dry_routes = 1;
    assert_shows(
        0, "ban 0.0.0.0/0 force",
        "0.0.0.0/0 is banned for ever; 0 sessions ended\n"
        "note: 127.0.0.0/8 is on guard_exempt of route 'lobby', and 2 more routes like "
        "it: its clients still come in\n"
        "note: 1 route has `guard = dry_run` and lets banned clients in\n");
}

static void a_network_that_holds_very_many_wants_a_word_more(void **state)
{
    (void)state;
    static const struct {
        const char *net;
        bool wide;
    } nets[] = {{"0.0.0.0/0", true},    {"10.0.0.0/7", true}, {"10.0.0.0/8", false},
                {"::/0", true},         {"2000::/15", true},  {"2001::/16", false},
                {"::ffff:0:0/96", true}};
    for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++) {
        char line[64];
        str_format(line, sizeof line, "kill client %s", nets[i].net);
        command_run(&session, line, strlen(line), &result);
        assert_int_equal(result.failed, nets[i].wide);
        str_format(line, sizeof line, "ban %s", nets[i].net);
        command_run(&session, line, strlen(line), &result);
        assert_int_equal(result.failed, nets[i].wide);
        str_format(line, sizeof line, "kill client %s force", nets[i].net);
        command_run(&session, line, strlen(line), &result);
        assert_false(result.failed);
    }
    assert_fails("ban 0.0.0.0/0 for 1h",
                 "0.0.0.0/0 is wider than /8 and holds very many clients; if that is meant, "
                 "add `force`, as in `ban 0.0.0.0/0 force`\n");
    assert_fails("kill client ::/0",
                 "::/0 is wider than /16 and holds very many clients; if that is meant, add "
                 "`force`, as in `kill client ::/0 force`\n");
}

static void a_network_with_the_operators_own_address_wants_a_word_more(void **state)
{
    (void)state;
    assert_int_equal(addr_parse_ip("192.0.2.7", &session.caller), ERR_OK);
    assert_fails("ban 192.0.2.0/24",
                 "192.0.2.0/24 includes you: you are connected by SSH from 192.0.2.7; if that "
                 "is meant, add `force`, as in `ban 192.0.2.0/24 force`\n");
    assert_int_equal(server->ban_calls, 0);
    assert_fails("kill client 192.0.2.7",
                 "192.0.2.7 includes you: you are connected by SSH from 192.0.2.7; if that is "
                 "meant, add `force`, as in `kill client 192.0.2.7 force`\n");
    assert_shows(0, "ban 192.0.3.0/24", "192.0.3.0/24 is banned for ever; 0 sessions ended\n");
    assert_shows(0, "ban 192.0.2.0/24 force",
                 "192.0.2.0/24 is banned for ever; 0 sessions ended\n");
    assert_int_equal(server->ban_calls, 2);
}

static void a_ban_that_finds_no_place_says_so(void **state)
{
    (void)state;
    server->ban_err = ERR_RANGE;
    command_run(&session, "ban 192.0.2.7", 13, &result);
    assert_true(result.failed);
    assert_string_equal(
        result.text.data,
        "192.0.2.7 could not be banned: there are 100000 bans, and no more fit; "
        "ban a wider network instead of single addresses\n");
}

#define NET_WANTED  "an IP address or a network, as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32\n"
#define TIME_WANTED "a time with its unit (ms, s, m, h, d), as 30m, 12h or 7d\n"

static void words_that_are_no_network_are_told_what_is_wrong(void **state)
{
    (void)state;
    assert_fails("ban", "`ban` needs " NET_WANTED);
    assert_fails("ban bob", "`ban` does not take 'bob'; it needs " NET_WANTED);
    assert_fails("ban 10.1", "`ban` does not take '10.1'; it needs " NET_WANTED);
    assert_fails("ban 10.0.0.5/8",
                 "`ban` does not take '10.0.0.5/8'; bits are set behind the first 8; write "
                 "10.0.0.0/8 for the network, or 10.0.0.5 for the address\n");
    assert_fails(
        "ban 2001:db8::5/64",
        "`ban` does not take '2001:db8::5/64'; bits are set behind the first 64; write "
        "2001:db8::/64 for the network, or 2001:db8::5 for the address\n");
    assert_fails("ban 10.0.0.0/33",
                 "`ban` does not take '10.0.0.0/33'; behind the / stand 0 to 32 bits for IPv4, "
                 "0 to 128 for IPv6\n");
    assert_fails("unban", "`unban` needs " NET_WANTED);
}

static void a_mapped_network_with_host_bits_is_explained_as_it_stands(void **state)
{
    (void)state;
    assert_fails(
        "ban ::ffff:10.0.0.5/104",
        "`ban` does not take '::ffff:10.0.0.5/104'; bits are set behind the first 104; "
        "write 10.0.0.0/8 for the network, or 10.0.0.5 for the address\n");
}

static void words_that_are_no_duration_are_told_what_is_wrong(void **state)
{
    (void)state;
    assert_fails("ban 10.0.0.5 for", "'for' needs " TIME_WANTED);
    assert_fails("ban 10.0.0.5 for 10",
                 "`ban for` does not take '10'; the unit is missing; it needs " TIME_WANTED);
    assert_fails("ban 10.0.0.5 for 0",
                 "`ban for` does not take '0'; that is no time at all; it needs " TIME_WANTED);
    assert_fails("ban 10.0.0.5 for 99999d",
                 "`ban for` does not take '99999d'; that is over 3650d; it needs " TIME_WANTED);
    assert_fails("ban 10.0.0.5 for ever",
                 "`ban for` does not take 'ever'; it needs " TIME_WANTED);
}

static void a_reason_is_one_text_of_a_bounded_length(void **state)
{
    (void)state;
    char line[512], text[512];
    assert_fails(
        "ban 10.0.0.5 reason speed hack",
        "`ban` does not know 'hack'; a text with blanks goes in \"quotes\"; usage: ban "
        "IP|CIDR [for DURATION] [keep] [reason TEXT] [force]\n");
    str_format(line, sizeof line, "ban 10.0.0.5 reason %0*d", 201, 7);
    str_format(
        text, sizeof text,
        "`ban reason` does not take '%0*d'; it has 201 bytes, and at most 200 are kept\n", 201,
        7);
    assert_fails(line, text);
    str_format(line, sizeof line, "ban 10.0.0.5 reason %0*d", 200, 7);
    command_run(&session, line, strlen(line), &result);
    assert_false(result.failed);
    assert_int_equal(strlen(server->banned.reason), 200);
    assert_fails("ban 10.0.0.5 reason \"a\x1b[2J\"",
                 "byte 23 of the line (0x1b) is a control character\n");
}

static void ban_ends_sessions_so_it_is_written_in_full(void **state)
{
    (void)state;
    command_run(&session, "ba 10.0.0.5", 11, &result);
    assert_true(result.failed);
    assert_int_equal(server->ban_calls, 0);
}

/* ---- unban and show bans ---- */

static struct ban bans[2];

static void have_bans(void)
{
    uint64_t now = os_wall_us() / 1000;
    bans[0] = (struct ban){.net = net_of("10.0.0.0/8"),
                           .set_ms = now - 192000,
                           .until_ms = BAN_FOR_EVER,
                           .hits = 7,
                           .by = "console",
                           .reason = "a flood"};
    bans[1] = (struct ban){.net = net_of("192.0.2.7"),
                           .set_ms = now - 192000,
                           .until_ms = now + 5 * 3600000 + 200000,
                           .by = "ban_after of route 'lobby'"};
    server->bans.bans = bans;
    server->bans.count = 2;
}

static void unban_takes_exactly_the_network_of_a_ban(void **state)
{
    (void)state;
    have_bans();
    assert_fails("unban 10.0.0.7", "there is no ban of 10.0.0.7 itself, but one of 10.0.0.0/8; "
                                   "`show bans` lists all\n");
    assert_fails("unban 198.51.100.1",
                 "there is no ban of 198.51.100.1; `show bans` lists all\n");
    assert_shows(0, "unban 10.0.0.0/8", "10.0.0.0/8 is not banned any more\n");
    assert_int_equal(server->bans.count, 1);
    assert_shows(0, "unb 192.0.2.7", "192.0.2.7 is not banned any more\n");
}

static void bans_show_who_why_until_when_and_hits(void **state)
{
    (void)state;
    char time[32], text[512];
    have_bans();
    log_format_time(bans[1].until_ms * 1000, time, sizeof time);
    str_format(
        text, sizeof text,
        "NETWORK     UNTIL (UTC)           LEFT    AGE  HITS  BY                          "
        "REASON\n"
        "10.0.0.0/8  for ever                 -  3m12s     7  console                     "
        "a flood\n"
        "192.0.2.7   %.10s %.8s  5h03m  3m12s     0  ban_after of route 'lobby'  -\n"
        "2 bans, forgotten at a restart: `state_file` of [relay] keeps them\n",
        time, time + 11);
    assert_shows(0, "show bans", text);
}

static void a_long_reason_is_cut_and_costs_no_column(void **state)
{
    (void)state;
    char time[32], text[512];
    have_bans();
    str_format(bans[0].reason, sizeof bans[0].reason,
               "sends more than a thousand chat lines a second, for the third time this week");
    str_format(bans[1].by, sizeof bans[1].by, "console");
    str_format(bans[1].reason, sizeof bans[1].reason, "short");
    log_format_time(bans[1].until_ms * 1000, time, sizeof time);
    str_format(text, sizeof text,
               "NETWORK     UNTIL (UTC)           LEFT    AGE  HITS  BY       REASON\n"
               "10.0.0.0/8  for ever                 -  3m12s     7  console  sends more "
               "than a\xe2\x80\xa6\n"
               "192.0.2.7   %.10s %.8s  5h03m  3m12s     0  console  short\n"
               "2 bans, forgotten at a restart: `state_file` of [relay] keeps them\n",
               time, time + 11);
    assert_shows(80, "show bans", text);
    assert_has("show bans json", "for the third time this week");
}

static void show_bans_says_where_they_are_kept(void **state)
{
    (void)state;
    have_bans();
    str_format(server->bans.path, sizeof server->bans.path, "/var/lib/state.json");
    assert_has("show bans", "2 bans, kept in /var/lib/state.json\n");
    server->bans.keep_err = ERR_NO_SPACE;
    assert_has("show bans", "2 bans, forgotten at a restart: /var/lib/state.json can't be "
                            "written: no space is left on the disk\n");
    server->bans.keep_err = ERR_OK;
    server->bans.read_err = ERR_NO_DESCRIPTORS;
    assert_has("show bans", "2 bans, in memory only: /var/lib/state.json can't be read: no "
                            "descriptors are left (open file limit); its own bans have no "
                            "effect yet\n");
    server->bans.read_err = ERR_OK;
    server->bans.handed_over = true;
    assert_has("show bans",
               "2 bans, kept by the process that took over, in /var/lib/state.json\n");
    server->bans.handed_over = false;
    server->bans.locked_out = true;
    server->bans.holder = 4711;
    assert_has("show bans", "2 bans, in memory only: /var/lib/state.json is written by another "
                            "relay, pid 4711, until that one ends\n");
    server->bans.locked_out = false;
    server->bans.aside = 3;
    assert_has("show bans", "2 bans, kept in /var/lib/state.json\n"
                            "3 more than fit are kept in the file and have no effect yet\n");
    server->bans.aside = 0;
    server->bans.count = 0;
    assert_has("show bans", "no bans; they are kept in /var/lib/state.json\n");
}

static void bans_as_json_have_everything(void **state)
{
    (void)state;
    have_bans();
    assert_has("show bans json", "\"network\": \"10.0.0.0/8\"");
    assert_has("show bans json", "\"until_ms\": null");
    assert_has("show bans json", "\"hits_total\": 7");
    assert_has("show bans json", "\"by\": \"ban_after of route 'lobby'\"");
    assert_has("show bans json", "\"kept\": false");
}

/* ---- clients ---- */

static void add_client(const char *net, size_t route, uint32_t sessions, uint64_t refused,
                       bool banned)
{
    server->clients[server->client_count++] = (struct server_client_info){
        .route = route,
        .net = net_of(net),
        .sessions = sessions,
        .entered_total = sessions + 3,
        .refused_total = refused,
        .quiet_ms = 4200,
        .banned = banned,
    };
}

static void have_clients(void)
{
    add_client("192.0.2.1", 0, 1, 0, false);
    add_client("192.0.2.2", 1, 2, 70, true);
    add_client("2001:db8::/64", 0, 5, 0, false);
}

#define EXEMPT "clients on guard_exempt are not remembered\n"

static void clients_show_the_most_refused_first(void **state)
{
    (void)state;
    have_clients();
    assert_shows(0, "show clients",
                 "CLIENT         ROUTE  OPEN  ENTERED  REFUSED  QUIET  BAN\n"
                 "192.0.2.2      world     2        5       70   4.2s  banned\n"
                 "2001:db8::/64  lobby     5        8        0   4.2s  -\n"
                 "192.0.2.1      lobby     1        4        0   4.2s  -\n"
                 "3 clients, the most refused first\n" EXEMPT);
    assert_shows(0, "show clients limit 1",
                 "CLIENT     ROUTE  OPEN  ENTERED  REFUSED  QUIET  BAN\n"
                 "192.0.2.2  world     2        5       70   4.2s  banned\n"
                 "1 of 3 clients shown, the most refused first; `show clients limit N` shows "
                 "more\n" EXEMPT);
    assert_has("show clients route lobby",
               "2 clients of route 'lobby', the most refused first\n");
    server->client_count = 0;
    assert_shows(0, "show clients", "no client is remembered\n" EXEMPT);
}

static void clients_that_are_in_no_row_are_told_below_the_table(void **state)
{
    (void)state;
    have_clients();
    have_bans();
    assert_has("show clients",
               EXEMPT "bans have turned clients away 7 times, not counted in REFUSED; `show "
                      "bans` tells whom\n");
    server->conf->routes[0].exempt_count = 0;
    assert_has("show clients route world", EXEMPT);
    command_run(&session, "show clients route lobby", 24, &result);
    assert_null(strstr(result.text.data, "guard_exempt"));
}

static void clients_as_json_have_everything(void **state)
{
    (void)state;
    have_clients();
    assert_has("show clients json", "\"network\": \"192.0.2.2/32\"");
    assert_has("show clients json", "\"sessions_refused_total\": 70");
    assert_has("show clients json", "\"banned\": true");
    assert_has("show clients limit 1 json", "\"clients_shown\": 1");
    assert_has("show clients limit 1 json", "\"clients_remembered\": 3");
}

/* ---- what else shows it ---- */

static void statistics_tell_whom_a_dry_run_would_have_refused(void **state)
{
    (void)state;
    server->route_totals[0].would_refuse[REASON_DENIED] = 3;
    server->route_totals[0].would_refuse[REASON_RATE_CLIENT] = 12;
    assert_has("show stats route lobby", "\n  would refuse 3 denied, 12 rate_client\n");
    assert_has("show stats route lobby json", "\"rate_client\": 12");
    command_run(&session, "show stats route world", 22, &result);
    assert_null(strstr(result.text.data, "would"));
}

static void info_tells_of_clients_bans_and_the_tarpit(void **state)
{
    (void)state;
    server->info.clients = (struct clients_info){.used = 12, .capacity = 1000};
    server->info.bans = 3;
    server->info.tarpit_held = 5;
    server->info.tarpit_max = 100;
    server->info.tarpit_total = 50;
    server->info.tarpit_full_total = 2;
    assert_has("show info", "12 of 1000 remembered, 0 forgotten for others\n");
    assert_has("show info", "5 kept of at most 100, 50 so far, 2 found no place\n");
    assert_has("show info json", "\"bans\": 3");
    assert_has("show info json", "\"tarpit_held\": 5");
    server->info.clients.unremembered_total = 4;
    assert_has("show info", "0 forgotten for others, 4 found no place\n");
}

static void what_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    server->fail = ERR_NOMEM;
    assert_fails("show bans",
                 "the bans could not be read: out of memory or of the system's buffers\n");
    assert_fails("show clients",
                 "the clients could not be read: out of memory or of the system's buffers\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_console, close_console)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_ban_says_for_how_long_and_how_many_sessions_ended),
        TEST(a_ban_says_whom_it_does_not_reach),
        TEST(a_network_that_holds_very_many_wants_a_word_more),
        TEST(a_network_with_the_operators_own_address_wants_a_word_more),
        TEST(a_ban_that_finds_no_place_says_so),
        TEST(words_that_are_no_network_are_told_what_is_wrong),
        TEST(a_mapped_network_with_host_bits_is_explained_as_it_stands),
        TEST(words_that_are_no_duration_are_told_what_is_wrong),
        TEST(a_reason_is_one_text_of_a_bounded_length),
        TEST(ban_ends_sessions_so_it_is_written_in_full),
        TEST(unban_takes_exactly_the_network_of_a_ban),
        TEST(a_long_reason_is_cut_and_costs_no_column),
        TEST(bans_show_who_why_until_when_and_hits),
        TEST(show_bans_says_where_they_are_kept),
        TEST(bans_as_json_have_everything),
        TEST(clients_show_the_most_refused_first),
        TEST(clients_that_are_in_no_row_are_told_below_the_table),
        TEST(clients_as_json_have_everything),
        TEST(statistics_tell_whom_a_dry_run_would_have_refused),
        TEST(info_tells_of_clients_bans_and_the_tarpit),
        TEST(what_cannot_be_read_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
