#include "report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"

static uint64_t per_second(uint64_t count, uint64_t elapsed_us)
{
    return elapsed_us == 0 ? 0 : (uint64_t)((double)count * 1e6 / (double)elapsed_us);
}

/* "connect_refused", or "wrong_bytes" where no error of the system stands behind it. */
static const char *fault_name(int fault, int err, char *buf, size_t size)
{
    const char *word = fault_word((enum fault)fault);
    if (err == ERR_OK)
        str_format(buf, size, "%s", word);
    else
        str_format(buf, size, "%s_%s", word, err_word((enum err)err));
    return buf;
}

#define FAULT_NAME_MAX 64

static bool measures_latency(enum mode mode)
{
    return mode != MODE_BULK;
}

/* ---- for people ---- */

static void print_times(const char *label, const struct histogram *histogram)
{
    struct histogram_summary times;
    histogram_summarise(histogram, &times);
    if (times.count == 0)
        return;
    printf("%-12s p50 %.3f ms, p90 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, max %.3f ms\n", label,
           (double)times.p50 / 1e3, (double)times.p90 / 1e3, (double)times.p99 / 1e3,
           (double)times.p999 / 1e3, (double)times.max / 1e3);
}

static void print_faults(const struct result *result)
{
    uint64_t total = result_fault_total(result);
    printf("%-12s ", "errors");
    if (total == 0) {
        printf("none\n");
        return;
    }
    printf("%" PRIu64, total);
    const char *separator = " (";
    for (int fault = 0; fault < FAULT_COUNT; fault++)
        for (int err = 0; err < RESULT_ERRS; err++) {
            uint64_t count = atomic_load(&result->faults[fault][err]);
            char name[FAULT_NAME_MAX];
            if (count == 0)
                continue;
            printf("%s%s %" PRIu64, separator, fault_name(fault, err, name, sizeof name),
                   count);
            separator = ", ";
        }
    printf(")\n");
}

static void print_text(const struct options *options, const struct result *result)
{
    char target[ADDR_TEXT_MAX];
    char sent[STR_HUMAN_MAX], received[STR_HUMAN_MAX], rate[STR_HUMAN_MAX];
    uint64_t messages = atomic_load(&result->messages);
    uint64_t received_bytes = atomic_load(&result->received_bytes);
    printf("%s %s: %" PRIu32 " connection%s of %" PRIu32 " thread%s, messages of %" PRIu32
           " B, seed %" PRIu64 "\n",
           mode_word(options->mode), addr_format(&options->addr, target), options->connections,
           options->connections == 1 ? "" : "s", options->threads,
           options->threads == 1 ? "" : "s", options->message_bytes, options->seed);
    printf("%-12s %" PRIu64 " in %.2f s, %" PRIu64 " a second\n", "messages", messages,
           (double)result->elapsed_us / 1e6, per_second(messages, result->elapsed_us));
    printf("%-12s %s sent, %s came back, %s each way\n", "bytes",
           str_human_size(atomic_load(&result->sent_bytes), sent),
           str_human_size(received_bytes, received),
           str_human_rate(per_second(received_bytes, result->elapsed_us), rate));
    printf("%-12s %" PRIu64 " established, %" PRIu64 " ended in order\n", "connections",
           atomic_load(&result->connections), atomic_load(&result->closed));
    if (options->mode == MODE_FLOOD)
        printf("%-12s %" PRIu64 "\n", "turned away", atomic_load(&result->turned_away));
    if (measures_latency(options->mode))
        print_times("latency", &result->latency_us);
    if (options->mode == MODE_PACED)
        print_times("sent late", &result->lateness_us);
    print_faults(result);
}

/* ---- JSON ---- */

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *times_json(const struct histogram *histogram)
{
    struct histogram_summary times;
    histogram_summarise(histogram, &times);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "count", (json_int_t)times.count,
                     "mean", (json_int_t)times.mean, "p50", (json_int_t)times.p50, "p90",
                     (json_int_t)times.p90, "p99", (json_int_t)times.p99, "p999",
                     (json_int_t)times.p999, "max", (json_int_t)times.max);
}

static json_t *faults_json(const struct result *result)
{
    json_t *faults = json_object();
    for (int fault = 0; fault < FAULT_COUNT; fault++)
        for (int err = 0; err < RESULT_ERRS; err++) {
            uint64_t count = atomic_load(&result->faults[fault][err]);
            char name[FAULT_NAME_MAX];
            if (count > 0)
                json_object_set_new(faults, fault_name(fault, err, name, sizeof name),
                                    number(count));
        }
    return faults;
}

static bool print_json(const struct options *options, const struct result *result)
{
    char target[ADDR_TEXT_MAX];
    uint64_t messages = atomic_load(&result->messages);
    uint64_t received_bytes = atomic_load(&result->received_bytes);
    json_t *root = json_object();
    /* A member that could not be made for want of memory makes the call fail. */
    int failed = 0;
    failed |= json_object_set_new(root, "mode", json_string(mode_word(options->mode)));
    failed |=
        json_object_set_new(root, "target", json_string(addr_format(&options->addr, target)));
    failed |= json_object_set_new(root, "connections", number(options->connections));
    failed |= json_object_set_new(root, "threads", number(options->threads));
    failed |= json_object_set_new(root, "message_bytes", number(options->message_bytes));
    failed |= json_object_set_new(root, "seed", number(options->seed));
    failed |= json_object_set_new(root, "elapsed_us", number(result->elapsed_us));
    failed |= json_object_set_new(root, "messages_total", number(messages));
    failed |= json_object_set_new(root, "messages_per_s",
                                  number(per_second(messages, result->elapsed_us)));
    failed |=
        json_object_set_new(root, "sent_bytes_total", number(atomic_load(&result->sent_bytes)));
    failed |= json_object_set_new(root, "received_bytes_total", number(received_bytes));
    failed |= json_object_set_new(root, "bytes_per_s",
                                  number(per_second(received_bytes, result->elapsed_us)));
    failed |= json_object_set_new(root, "connections_total",
                                  number(atomic_load(&result->connections)));
    failed |= json_object_set_new(root, "connections_ended_in_order_total",
                                  number(atomic_load(&result->closed)));
    if (options->mode == MODE_FLOOD)
        failed |= json_object_set_new(root, "turned_away_total",
                                      number(atomic_load(&result->turned_away)));
    if (measures_latency(options->mode))
        failed |= json_object_set_new(root, "latency_us", times_json(&result->latency_us));
    if (options->mode == MODE_PACED)
        failed |= json_object_set_new(root, "lateness_us", times_json(&result->lateness_us));
    failed |= json_object_set_new(root, "errors_total", number(result_fault_total(result)));
    failed |= json_object_set_new(root, "errors", faults_json(result));
    char *text = failed != 0 ? NULL : json_dumps(root, JSON_COMPACT);
    json_decref(root);
    if (text == NULL)
        return false;
    puts(text);
    free(text);
    return true;
}

bool report_print(const struct options *options, const struct result *result)
{
    if (options->json)
        return print_json(options, result) && fflush(stdout) == 0;
    print_text(options, result);
    return fflush(stdout) == 0;
}
