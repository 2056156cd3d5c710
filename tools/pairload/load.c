#include "load.h"

#include <stdlib.h>

#include "driver.h"

static _Atomic bool interrupted;

void load_interrupt(void)
{
    atomic_store(&interrupted, true);
}

enum err load_run(const struct options *options, struct result *result)
{
    struct driver *drivers = calloc(options->threads, sizeof *drivers);
    if (drivers == NULL)
        return ERR_NOMEM;
    uint64_t start_us = os_mono_us();
    enum err err = ERR_OK;
    struct window window = {.connecting = options->threads};
    unsigned started = 0;
    while (started < options->threads && err == ERR_OK) {
        struct driver *driver = &drivers[started];
        driver->options = options;
        driver->result = result;
        driver->window = &window;
        driver->interrupted = &interrupted;
        driver->index = started;
        err = driver_start(driver);
        if (err == ERR_OK)
            started++;
    }
    if (err != ERR_OK)
        load_interrupt();
    for (unsigned i = 0; i < started; i++) {
        enum err driver_err = driver_join(&drivers[i]);
        if (err == ERR_OK)
            err = driver_err;
    }
    uint64_t end_us = os_mono_us();
    if (options->warm_up_ms > 0) {
        start_us = atomic_load(&window.start_us);
        if (start_us == 0 || start_us > end_us)
            start_us = end_us; /* interrupted before anything was measured */
        if (end_us - start_us > options->duration_ms * 1000)
            end_us = start_us + options->duration_ms * 1000;
    }
    result->elapsed_us = end_us - start_us;
    free(drivers);
    return err;
}
