/* The helpers of the tests, tested. Started with an argument, this program is its own child. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "os/os.h"
#include "support/net.h"
#include "support/platform.h"
#include "support/process.h"
#include "support/random.h"
#include "support/sha256.h"

static char own_path[TEST_PATH_MAX];

static void assert_sha256(const char *text, size_t repeat, const char *expected)
{
    struct sha256 sha;
    sha256_init(&sha);
    for (size_t i = 0; i < repeat; i++)
        sha256_add(&sha, text, strlen(text));
    char hex[SHA256_HEX];
    sha256_finish(&sha, hex);
    assert_string_equal(hex, expected);
}

/* The examples that NIST publishes with FIPS 180-4. */
static void sha256_gives_the_digests_of_the_standard(void **state)
{
    (void)state;
    assert_sha256("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_sha256("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    assert_sha256("a", 1000000,
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void sha256_does_not_depend_on_the_pieces(void **state)
{
    (void)state;
    unsigned char data[1000];
    struct random random;
    random_init(&random, 1, 1);
    random_fill(&random, data, sizeof data);
    char whole[SHA256_HEX];
    struct sha256 sha;
    sha256_init(&sha);
    sha256_add(&sha, data, sizeof data);
    sha256_finish(&sha, whole);
    for (size_t piece = 1; piece < 200; piece++) {
        sha256_init(&sha);
        for (size_t at = 0; at < sizeof data; at += piece)
            sha256_add(&sha, data + at, at + piece <= sizeof data ? piece : sizeof data - at);
        char pieces[SHA256_HEX];
        sha256_finish(&sha, pieces);
        assert_string_equal(pieces, whole);
    }
}

static void generators_of_one_seed_agree_and_streams_differ(void **state)
{
    (void)state;
    struct random a, b, c;
    random_init(&a, 7, 1);
    random_init(&b, 7, 1);
    random_init(&c, 7, 2);
    unsigned same = 0;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t value = random_next(&a);
        assert_true(value == random_next(&b));
        same += value == random_next(&c);
    }
    assert_int_equal(same, 0);
    for (unsigned i = 0; i < 1000; i++)
        assert_in_range(random_between(&a, 5, 9), 5, 9);
}

struct connection {
    sock_t client;
    sock_t server;
};

static struct connection connect_pair(enum addr_family family)
{
    struct addr addr = net_loopback(family, 0);
    struct connection made;
    sock_t listener;
    assert_int_equal(net_listen(&addr, 8, &listener, &addr), ERR_OK);
    assert_int_not_equal(addr.port, 0);
    assert_int_equal(net_connect(&addr, NET_PATIENCE_MS, &made.client), ERR_OK);
    assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &made.server), ERR_OK);
    net_close(listener);
    return made;
}

static void bytes_and_fin_arrive(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        if (round == 1 && !net_has_ipv6())
            return;
        struct connection made = connect_pair(round == 0 ? ADDR_IPV4 : ADDR_IPV6);
        assert_int_equal(net_send(made.client, "hello", 5, NET_PATIENCE_MS, NULL), ERR_OK);
        char got[5];
        assert_int_equal(net_receive_all(made.server, got, 5, NET_PATIENCE_MS), ERR_OK);
        assert_memory_equal(got, "hello", 5);
        size_t more;
        assert_int_equal(net_receive(made.server, got, 1, 20, &more), ERR_TIMEDOUT);

        net_finish(made.client);
        assert_int_equal(net_receive_end(made.server, NET_PATIENCE_MS, NULL, NULL),
                         NET_END_FIN);
        assert_int_equal(net_receive_end(made.client, 20, NULL, NULL), NET_END_NONE);
        assert_int_equal(net_send(made.server, "back", 4, NET_PATIENCE_MS, NULL), ERR_OK);
        assert_int_equal(net_receive_all(made.client, got, 4, NET_PATIENCE_MS), ERR_OK);
        net_close(made.server);
        net_close(made.client);
    }
}

static void a_reset_is_seen_as_a_reset(void **state)
{
    (void)state;
    struct connection made = connect_pair(ADDR_IPV4);
    assert_false(net_wait_reset(made.server, 20));
    net_reset(made.client);
    assert_true(net_wait_reset(made.server, NET_PATIENCE_MS));
    assert_int_equal(net_receive_end(made.server, NET_PATIENCE_MS, NULL, NULL), NET_END_RESET);
    net_close(made.server);
}

static void a_reader_that_stalls_fills_the_buffers(void **state)
{
    (void)state;
    struct connection made = connect_pair(ADDR_IPV4);
    uint64_t sent;
    assert_int_equal(net_send_until_full(made.client, 100, &sent), ERR_OK);
    assert_true(sent > 0);
    net_finish(made.client);
    uint64_t got;
    assert_int_equal(net_receive_end(made.server, NET_PATIENCE_MS, &got, NULL), NET_END_FIN);
    assert_true(got == sent);
    net_close(made.server);
    net_close(made.client);
}

static void a_refused_connect_says_so(void **state)
{
    (void)state;
    struct addr addr = net_loopback(ADDR_IPV4, net_free_port());
    assert_int_not_equal(addr.port, 0);
    sock_t sock;
    assert_int_equal(net_connect(&addr, NET_PATIENCE_MS, &sock), ERR_REFUSED);
}

static void a_deaf_listener_does_not_answer_until_it_hears(void **state)
{
    (void)state;
    if (test_on_windows() && !test_on_wine())
        skip(); /* Windows refuses what does not fit the backlog */
    struct net_deaf deaf;
    assert_int_equal(net_deaf_open(ADDR_IPV4, &deaf), ERR_OK);
    sock_t waiting;
    assert_int_equal(net_connect_begin(&deaf.addr, &waiting), ERR_OK);
    assert_int_equal(net_connect_finish(waiting, 100), ERR_TIMEDOUT);
    sock_t accepted;
    assert_int_equal(net_deaf_accept(&deaf, NET_PATIENCE_MS, &accepted), ERR_OK);
    assert_int_equal(net_connect_finish(waiting, NET_PATIENCE_MS), ERR_OK);
    net_close(accepted);
    net_close(waiting);
    net_deaf_close(&deaf);
}

struct child_test {
    char dir[TEST_PATH_MAX];
    struct process *process;
};

static struct child_test *start_child(const char *const *args, bool pipe_stdin)
{
    struct child_test *test = calloc(1, sizeof *test);
    assert_non_null(test);
    assert_int_equal(test_make_dir(test->dir), ERR_OK);
    struct process_options options = {
        .args = args, .dir = test->dir, .name = "child", .pipe_stdin = pipe_stdin};
    assert_int_equal(process_start(&test->process, &options), ERR_OK);
    return test;
}

static void end_child(struct child_test *test)
{
    process_free(test->process);
    test_remove_dir(test->dir);
    free(test);
}

static void a_child_gets_its_arguments_and_gives_its_code(void **state)
{
    (void)state;
    const char *args[] = {own_path, "print", "two words", "a\"b\\", "", "x\\\\", NULL};
    struct child_test *test = start_child(args, false);
    int code;
    assert_true(process_wait(test->process, NET_PATIENCE_MS, &code));
    char *output = process_output(test->process);
    char *errors = process_errors(test->process);
    assert_int_equal(code, 7);
    assert_string_equal(output, "<two words><a\"b\\><><x\\\\>\n");
    assert_string_equal(errors, "done\n");
    free(output);
    free(errors);
    end_child(test);
}

static void a_child_reads_what_it_is_written(void **state)
{
    (void)state;
    const char *args[] = {own_path, "repeat", NULL};
    struct child_test *test = start_child(args, true);
    assert_int_equal(process_write(test->process, "one\n"), ERR_OK);
    assert_true(process_wait_output(test->process, "got one\n", NET_PATIENCE_MS));
    assert_int_equal(process_write(test->process, "two\n"), ERR_OK);
    assert_true(process_wait_output(test->process, "got two\n", NET_PATIENCE_MS));
    process_end_input(test->process);
    int code;
    assert_true(process_wait(test->process, NET_PATIENCE_MS, &code));
    assert_int_equal(code, 0);
    assert_false(process_wait_output(test->process, "never written", NET_PATIENCE_MS));
    end_child(test);
}

static void a_running_child_is_measured_and_killed(void **state)
{
    (void)state;
    const char *args[] = {own_path, "repeat", NULL};
    struct child_test *test = start_child(args, true);
    assert_int_equal(process_write(test->process, "one\n"), ERR_OK);
    assert_true(process_wait_output(test->process, "got one\n", NET_PATIENCE_MS));
    assert_true(process_resident_bytes(test->process) > 100 * 1024);
    assert_true(process_descriptors(test->process) >= 3);
    assert_false(process_wait(test->process, 0, NULL));
    process_kill(test->process);
    int code;
    assert_true(process_wait(test->process, NET_PATIENCE_MS, &code));
    assert_int_equal(code, 137);
    end_child(test);
}

static void a_child_that_spins_shows_its_cpu_time(void **state)
{
    (void)state;
    const char *args[] = {own_path, "spin", NULL};
    struct child_test *test = start_child(args, false);
    assert_true(process_wait_output(test->process, "spun\n", NET_PATIENCE_MS));
    assert_in_range(process_cpu_us(test->process), 100000, 10000000);
    end_child(test);
}

static void a_child_is_stopped_gracefully(void **state)
{
    (void)state;
    const char *args[] = {own_path, "repeat", NULL};
    struct child_test *test = start_child(args, true);
    assert_int_equal(process_write(test->process, "one\n"), ERR_OK);
    assert_true(process_wait_output(test->process, "got one\n", NET_PATIENCE_MS));
    assert_int_equal(process_stop(test->process), ERR_OK);
    int code;
    assert_true(process_wait(test->process, NET_PATIENCE_MS, &code));
    /* It has no handler, the system's default ends it; nobody killed it. */
    assert_int_not_equal(code, 137);
    end_child(test);
}

static void a_program_that_is_missing_is_an_error(void **state)
{
    (void)state;
    char dir[TEST_PATH_MAX];
    assert_int_equal(test_make_dir(dir), ERR_OK);
    const char *args[] = {"no-such-program", NULL};
    struct process_options options = {.args = args, .dir = dir, .name = "child"};
    struct process *process;
    assert_int_not_equal(process_start(&process, &options), ERR_OK);
    test_remove_dir(dir);
}

static int be_child(int argc, char **argv)
{
    if (strcmp(argv[1], "print") == 0) {
        for (int i = 2; i < argc; i++)
            printf("<%s>", argv[i]);
        printf("\n");
        fprintf(stderr, "done\n");
        return 7;
    }
    if (strcmp(argv[1], "repeat") == 0) {
        char line[100];
        while (fgets(line, sizeof line, stdin) != NULL) {
            printf("got %s", line);
            fflush(stdout);
        }
        return 0;
    }
    while (os_cpu_us() < 200000)
        continue;
    printf("spun\n");
    fflush(stdout);
    for (;;)
        os_sleep_ms(1000);
}

int main(int argc, char **argv)
{
    os_init();
    if (argc > 1)
        return be_child(argc, argv);
    if (os_program_path(own_path, sizeof own_path) != ERR_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_digests_of_the_standard),
        cmocka_unit_test(sha256_does_not_depend_on_the_pieces),
        cmocka_unit_test(generators_of_one_seed_agree_and_streams_differ),
        cmocka_unit_test(bytes_and_fin_arrive),
        cmocka_unit_test(a_reset_is_seen_as_a_reset),
        cmocka_unit_test(a_reader_that_stalls_fills_the_buffers),
        cmocka_unit_test(a_refused_connect_says_so),
        cmocka_unit_test(a_deaf_listener_does_not_answer_until_it_hears),
        cmocka_unit_test(a_child_gets_its_arguments_and_gives_its_code),
        cmocka_unit_test(a_child_reads_what_it_is_written),
        cmocka_unit_test(a_running_child_is_measured_and_killed),
        cmocka_unit_test(a_child_that_spins_shows_its_cpu_time),
        cmocka_unit_test(a_child_is_stopped_gracefully),
        cmocka_unit_test(a_program_that_is_missing_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
