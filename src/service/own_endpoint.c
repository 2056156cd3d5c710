#include "service/own_endpoint.h"

#include "base/log.h"
#include "os/local.h"
#include "os/os.h"

#define NAME_FREE_MS 10000 /* what the relay before may take to let go of the name */
#define NAME_LOOK_MS 10    /* between two tries */

/* A relay that was taken over lets go of its name at once, but not before its last answer. */
static enum err open_endpoint(const char *path, const struct console *console, bool patient,
                              struct endpoint **out)
{
    uint64_t until = os_mono_ms() + (patient ? NAME_FREE_MS : 0);
    for (;;) {
        enum err err = endpoint_start(out, path, console);
        if (err != ERR_IN_USE || os_mono_ms() >= until)
            return err;
        os_sleep_ms(NAME_LOOK_MS);
    }
}

struct endpoint *own_endpoint_start(const struct conf *conf, const struct console *console,
                                    bool patient)
{
    if (conf->console == CONF_CONSOLE_NONE)
        return NULL;
    char path[LOCAL_NAME_MAX];
    struct endpoint *endpoint = NULL;
    enum err err = local_path(conf->console_name, path);
    if (err == ERR_OK)
        err = open_endpoint(path, console, patient, &endpoint);
    else
        str_format(path, sizeof path, "%s", conf->console_name);
    if (err == ERR_OK) {
        log_notice("console: 'pairport console' reaches this relay at %s", path);
        return endpoint;
    }
    if (err == ERR_IN_USE) {
        log_warning("console: %s is in use by another relay; 'pairport console' cannot reach "
                    "this one until [console] has another 'name'",
                    path);
    } else {
        char problem[LOCAL_PROBLEM_MAX];
        str_format(problem, sizeof problem, "%s", err_text(err));
        if (err == ERR_ACCESS)
            local_problem(path, problem);
        log_warning("console: %s cannot be opened: %s; 'pairport console' cannot reach this "
                    "relay; set another 'name' in [console], or 'listen = none'",
                    path, problem);
    }
    return NULL;
}
