/* The system's resolver, which knows what a test told it. */
#include "support/fake_port.h"

#include <stdatomic.h>
#include <string.h>

#include "base/str.h"
#include "os/os.h"

static struct os_mutex lock; /* guards what follows: the relay asks from a thread of its own */
static struct addr known[FAKE_RESOLVE_MAX];
static size_t known_count;
static atomic_uint asked;

void fake_resolve_to(const struct addr *addrs, size_t count)
{
    os_mutex_lock(&lock);
    known_count = count < FAKE_RESOLVE_MAX ? count : FAKE_RESOLVE_MAX;
    if (known_count > 0)
        memcpy(known, addrs, known_count * sizeof known[0]);
    os_mutex_unlock(&lock);
}

unsigned fake_resolve_asked(void)
{
    return atomic_load(&asked);
}

enum err os_resolve(const char *host, uint16_t port, struct addr *out, size_t max,
                    size_t *count, char *why, size_t why_size)
{
    (void)host;
    os_mutex_lock(&lock);
    *count = known_count < max ? known_count : max;
    for (size_t i = 0; i < *count; i++) {
        out[i] = known[i];
        out[i].port = port;
    }
    os_mutex_unlock(&lock);
    atomic_fetch_add(&asked, 1);
    if (*count > 0)
        return ERR_OK;
    if (why != NULL)
        str_format(why, why_size, "nobody knows that name");
    return ERR_RESOLVE;
}
