/* pairload - echo server and load generator for TCP relays. */
#include <stdio.h>
#include <stdlib.h>

#include "load.h"
#include "options.h"
#include "os/os.h"
#include "os/signals.h"
#include "report.h"
#include "serve.h"

/* The first signal ends the run in order, a second one at once. */
static void on_signal(enum signal_kind kind, void *ctx)
{
    static bool asked;
    (void)ctx;
    if (kind == SIGNAL_REOPEN)
        return;
    if (asked)
        _Exit(1);
    asked = true;
    load_interrupt();
    serve_stop();
}

static int run_load(const struct options *options)
{
    static struct result result; /* large, and shared by all threads */
    enum err err = load_run(options, &result);
    if (err != ERR_OK) {
        fprintf(stderr, "pairload: %s\n", err_text(err));
        return 1;
    }
    if (!report_print(options, &result)) {
        fprintf(stderr, "pairload: the result could not be printed\n");
        return 1;
    }
    return result_fault_total(&result) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    os_init();
    struct options options;
    int code;
    if (!options_parse(argc, argv, &options, &code))
        return code;
    enum err err = signals_start(on_signal, NULL);
    if (err != ERR_OK) {
        fprintf(stderr, "pairload: %s\n", err_text(err));
        return 1;
    }
    const char *limit_name;
    os_raise_descriptor_limit(&limit_name);
    code = options.mode == MODE_ECHO || options.mode == MODE_SINK ? serve_run(&options)
                                                                  : run_load(&options);
    signals_stopped();
    return code;
}
