/* plain_driver.c - feeds a fuzz target without libFuzzer: on every compiler and system.
 *
 * usage: fuzz_NAME FILE...
 * Each file goes in as it is; then random changes of them do, a fixed number of times. The
 * input that breaks a promise is left in the file fuzz-input.bin of the working directory.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "support/platform.h"
#include "support/random.h"

#define INPUT_MAX  (64u * 1024u)
#define ROUNDS     20000u
#define INPUT_FILE "fuzz-input.bin"

struct input {
    uint8_t bytes[INPUT_MAX];
    size_t len;
};

static struct input *files; /* as they were read */
static size_t file_count;
static struct input current; /* for what a crash leaves behind */

static void read_file(const char *path, struct input *input)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    input->len = fread(input->bytes, 1, sizeof input->bytes, file);
    fclose(file);
}

/* Nothing that a signal handler may do, but the program is lost anyway. */
static void save_input(int number)
{
    FILE *file = fopen(INPUT_FILE, "wb");
    if (file != NULL) {
        fwrite(current.bytes, 1, current.len, file);
        fclose(file);
    }
    fputs("the input is in " INPUT_FILE "\n", stderr);
    signal(number, SIG_DFL);
    raise(number);
}

/* Puts `len` bytes of `bytes` in the place of `cut` bytes at `at`. */
static void splice(struct input *input, size_t at, size_t cut, const uint8_t *bytes, size_t len)
{
    if (input->len - cut + len > INPUT_MAX)
        return;
    memmove(input->bytes + at + len, input->bytes + at + cut, input->len - at - cut);
    memcpy(input->bytes + at, bytes, len);
    input->len += len - cut;
}

static void change(struct input *input, struct random *random)
{
    static const char interesting[] =
        "\n\r\t \0;#=:[]{}*.,-_%\"'\\/0123456789azAZ\x7f\x80\xc3\xff";
    size_t at = random_below(random, input->len + 1);
    size_t left = input->len - at;
    size_t part = random_below(random, (left < 40 ? left : 40) + 1);

    switch (random_below(random, 5)) {
    case 0: /* one byte more, or another one */
    case 1: {
        uint8_t byte = random_chance(random, 70)
                           ? (uint8_t)interesting[random_below(random, sizeof interesting)]
                           : (uint8_t)random_next(random);
        splice(input, at, random_chance(random, 50) && left > 0, &byte, 1);
        break;
    }
    case 2: splice(input, at, part, input->bytes, 0); break;
    default: { /* a piece of another file */
        const struct input *other = &files[random_below(random, file_count)];
        size_t from = random_below(random, other->len + 1);
        size_t rest = other->len - from;
        size_t len = random_below(random, (rest < 120 ? rest : 120) + 1);
        splice(input, at, part, other->bytes + from, len);
        break;
    }
    }
}

/* A copy of exactly its length, so that a sanitizer sees every byte read beyond it. */
static void feed(const struct input *input)
{
    uint8_t *copy = malloc(input->len > 0 ? input->len : 1);
    if (copy == NULL)
        abort();
    memcpy(copy, input->bytes, input->len);
    LLVMFuzzerTestOneInput(copy, input->len);
    free(copy);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE...\n", argv[0]);
        return 2;
    }
    file_count = (size_t)argc - 1;
    files = calloc(file_count, sizeof *files);
    if (files == NULL)
        abort();
    signal(SIGABRT, save_input);
    signal(SIGSEGV, save_input);

    for (size_t i = 0; i < file_count; ++i) {
        read_file(argv[i + 1], &files[i]);
        current = files[i];
        feed(&current);
    }

    struct random random;
    random_init(&random, random_test_seed(), 0);
    uint64_t rounds = test_scaled(ROUNDS);
    for (uint64_t round = 0; round < rounds; ++round) {
        const struct input *start = &files[random_below(&random, file_count)];
        memcpy(current.bytes, start->bytes, start->len);
        current.len = start->len;
        for (uint64_t n = random_between(&random, 1, 8); n > 0; --n)
            change(&current, &random);
        feed(&current);
    }
    printf("%zu files and %llu changed ones\nPASS\n", file_count, (unsigned long long)rounds);
    free(files);
    return 0;
}
