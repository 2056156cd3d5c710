#include "os/dns_channel.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "os/os.h"

/* With two name servers or one, a question without any answer ends after 28 or 14 seconds. */
#define TIMEOUT_MS                                                                             \
    2000        /* of the first try; each round takes twice the time of the one before */
#define TRIES 3 /* a name server */

/* A channel on which something has failed is opened anew, but not sooner than this. */
#define RENEW_MS 10000

static enum err ares_error(int status)
{
    return status == ARES_ENOMEM ? ERR_NOMEM : ERR_RESOLVE;
}

static enum err open_files(struct dns_channel *channel)
{
    char lookups[] = "f";
    struct ares_options options = {.lookups = lookups};
    int status = ares_init_options(&channel->files, &options, ARES_OPT_LOOKUPS);
    return status == ARES_SUCCESS ? ERR_OK : ares_error(status);
}

static enum err open_servers(struct dns_channel *channel)
{
    struct ares_options options = {.timeout = TIMEOUT_MS, .tries = TRIES};
    int mask = 0;
    int status =
        ares_init_options(&channel->servers, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
    if (status != ARES_SUCCESS)
        return ares_error(status);
    status = ares_save_options(channel->servers, &channel->options, &mask);
    if (status != ARES_SUCCESS) {
        ares_destroy_options(&channel->options);
        ares_destroy(channel->servers);
        return ares_error(status);
    }
    channel->domains = channel->options.domains;
    channel->domain_count = (size_t)channel->options.ndomains;
    channel->ndots = channel->options.ndots > 0 ? (unsigned)channel->options.ndots : 0;
    return ERR_OK;
}

enum err dns_channel_open(struct dns_channel **out)
{
    struct dns_channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL)
        return ERR_NOMEM;
    channel->stamp = dns_system_stamp(); /* first: what changes meanwhile is seen later */
    channel->opened_ms = os_mono_ms();
    enum err err = open_files(channel);
    if (err != ERR_OK)
        goto free_channel;
    err = open_servers(channel);
    if (err != ERR_OK)
        goto close_files;
    *out = channel;
    return ERR_OK;

close_files:
    ares_destroy(channel->files);
free_channel:
    free(channel);
    return err;
}

void dns_channel_abort(struct dns_channel *channel)
{
    ares_cancel(channel->servers);
}

void dns_channel_close(struct dns_channel *channel)
{
    ares_destroy(channel->servers);
    ares_destroy(channel->files);
    ares_destroy_options(&channel->options);
    free(channel);
}

bool dns_channel_is_stale(const struct dns_channel *channel)
{
    if (channel->has_failed && os_mono_ms() - channel->opened_ms >= RENEW_MS)
        return true;
    return dns_system_stamp() != channel->stamp;
}

/* resolv.conf(5): a name with enough dots is tried as it is first, another one last; one that
 * ends with a dot in no other way. */
bool dns_channel_form(const struct dns_channel *channel, const char *host, size_t index,
                      char out[DNS_NAME_MAX])
{
    size_t dots = 0, len = strlen(host);
    for (const char *c = host; *c != '\0'; c++)
        dots += *c == '.';
    bool is_full = len > 0 && host[len - 1] == '.';
    bool first = is_full || dots >= channel->ndots;
    size_t domains = is_full ? 0 : channel->domain_count;
    if (index > domains)
        return false;
    if (index == (first ? 0 : domains))
        str_format(out, DNS_NAME_MAX, "%s", host);
    else
        str_format(out, DNS_NAME_MAX, "%s.%s", host, channel->domains[index - first]);
    return true;
}

size_t dns_channel_sockets(const struct dns_channel *channel,
                           struct pollfd out[DNS_SOCKETS_MAX])
{
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    int bits = ares_getsock(channel->servers, sockets, ARES_GETSOCK_MAXNUM);
    size_t count = 0;
    for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
        short events = 0;
        if (((unsigned)bits >> i & 1u) != 0) /* the macros of ares.h shift into the sign */
            events |= POLLIN;
        if (((unsigned)bits >> (i + ARES_GETSOCK_MAXNUM) & 1u) != 0)
            events |= POLLOUT;
        if (events != 0)
            out[count++] = (struct pollfd){.fd = sockets[i], .events = events};
    }
    return count;
}

void dns_channel_process(struct dns_channel *channel, const struct pollfd *sockets,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct pollfd *ready = &sockets[i];
        bool failed = (ready->revents & (POLLERR | POLLHUP)) != 0;
        bool readable = failed || (ready->revents & POLLIN) != 0;
        bool writable = (ready->revents & POLLOUT) != 0;
        if (readable || writable)
            ares_process_fd(channel->servers, readable ? ready->fd : ARES_SOCKET_BAD,
                            writable ? ready->fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(channel->servers, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}
