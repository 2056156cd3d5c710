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
    unsigned started = 0;
    while (started < options->threads && err == ERR_OK) {
        struct driver *driver = &drivers[started];
        driver->options = options;
        driver->result = result;
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
    result->elapsed_us = os_mono_us() - start_us;
    free(drivers);
    return err;
}
