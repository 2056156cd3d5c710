#include "os/dns.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "os/dns_channel.h"
#include "os/dns_question.h"
#include "os/os.h"

#define CHANNELS_MAX 4 /* with more the newest stays, whatever it is */

struct dns {
    struct dns_question *questions; /* owned */
    struct dns_channel *channels;   /* owned, the newest first */
    struct dns_wake wake;
};

/* ---- open and close ---- */

enum err dns_open(struct dns **out)
{
    struct dns *dns = calloc(1, sizeof *dns);
    if (dns == NULL)
        return ERR_NOMEM;
    enum err err = dns_system_begin();
    if (err != ERR_OK)
        goto free_dns;
    err = dns_wake_open(&dns->wake);
    if (err != ERR_OK)
        goto end_system;
    err = dns_channel_open(&dns->channels);
    if (err != ERR_OK)
        goto close_wake;
    *out = dns;
    return ERR_OK;

close_wake:
    dns_wake_close(&dns->wake);
end_system:
    dns_system_end();
free_dns:
    free(dns);
    return err;
}

void dns_close(struct dns *dns)
{
    if (dns == NULL)
        return;
    for (struct dns_channel *at = dns->channels; at != NULL; at = at->next)
        dns_channel_abort(at);
    while (dns->questions != NULL) {
        struct dns_question *question = dns->questions;
        dns->questions = question->next;
        dns_question_free(question);
    }
    while (dns->channels != NULL) {
        struct dns_channel *channel = dns->channels;
        dns->channels = channel->next;
        dns_channel_close(channel);
    }
    dns_wake_close(&dns->wake);
    dns_system_end();
    free(dns);
}

/* ---- channels ---- */

static void drop_unused(struct dns *dns)
{
    struct dns_channel **at = &dns->channels->next; /* the newest stays */
    while (*at != NULL) {
        struct dns_channel *channel = *at;
        if (channel->users > 0) {
            at = &channel->next;
            continue;
        }
        *at = channel->next;
        dns_channel_close(channel);
    }
}

/* Opens another channel when the system's configuration has changed. One that can't be opened
 * leaves the one there is. */
static void renew(struct dns *dns)
{
    struct dns_channel *fresh;
    size_t count = 0;
    for (const struct dns_channel *channel = dns->channels; channel != NULL;
         channel = channel->next)
        count++;
    if (!dns_channel_is_stale(dns->channels) || count == CHANNELS_MAX ||
        dns_channel_open(&fresh) != ERR_OK)
        return;
    fresh->next = dns->channels;
    dns->channels = fresh;
    drop_unused(dns);
}

enum err dns_ask(struct dns *dns, const char *host, uint64_t id)
{
    struct dns_question *question;
    renew(dns);
    enum err err = dns_question_open(&question, dns->channels, host, id);
    if (err != ERR_OK)
        return err;
    question->next = dns->questions;
    dns->questions = question;
    return ERR_OK;
}

/* ---- answers ---- */

static const char *describe(int status)
{
    switch (status) {
    case ARES_ENOTFOUND: return "there is no such name";
    case ARES_ENODATA: return "the name has neither an IPv4 nor an IPv6 address";
    case ARES_ETIMEOUT: return "no name server answers";
    case ARES_ECONNREFUSED: return "the name servers fail or can't be reached";
    case ARES_EBADNAME: return "it can't be a name";
    case ARES_ENOMEM: return "out of memory";
    case ARES_EBADRESP: return "a name server's reply makes no sense";
    default: return ares_strerror(status);
    }
}

static void explain(const struct dns_question *question, struct dns_answer *out)
{
    static const char *const names[DNS_FAMILIES] = {"IPv4", "IPv6"};
    const struct dns_family *families = question->families;
    for (size_t i = 0; i < DNS_FAMILIES; i++) {
        const struct dns_family *other = &families[DNS_FAMILIES - 1 - i];
        if (families[i].pending || families[i].result != DNS_FAILED)
            continue;
        const char *why = describe(families[i].status);
        if (other->result == DNS_FAILED)
            str_format(out->why, sizeof out->why, "%s", why);
        else
            str_format(out->why, sizeof out->why, "%s: %s", names[i], why);
        return;
    }
    if (families[DNS_IPV4].result == DNS_NONE && families[DNS_IPV6].result == DNS_NONE)
        str_format(out->why, sizeof out->why, "%s",
                   describe(families[DNS_IPV4].status == ARES_ENODATA
                                ? ARES_ENODATA
                                : families[DNS_IPV6].status));
}

static void append(struct dns_answer *out, const struct dns_family *family, size_t most)
{
    for (size_t i = 0; i < family->count && i < most; i++)
        out->addrs[out->count++] = family->addrs[i];
}

static bool has_route(const struct dns_family *family)
{
    struct sockaddr_storage to;
    if (family->count == 0)
        return false;
    struct addr addr = family->addrs[0];
    addr.port = 9; /* any: nothing is sent */
    socklen_t len = bsd_from_addr(&addr, &to);
    return dns_system_has_route((const struct sockaddr *)&to, len);
}

/* Where both are too many, each family gets half of the room at least. */
static void gather(const struct dns_question *question, struct dns_answer *out)
{
    const struct dns_family *first = &question->families[DNS_IPV6],
                            *second = &question->families[DNS_IPV4];
    if (!has_route(first)) {
        first = second;
        second = &question->families[DNS_IPV6];
    }
    size_t half = DNS_ADDRS_MAX / 2;
    append(out, first, DNS_ADDRS_MAX - (second->count < half ? second->count : half));
    append(out, second, DNS_ADDRS_MAX - out->count);
    out->ttl_ms = first->ttl_ms < second->ttl_ms ? first->ttl_ms : second->ttl_ms;
}

static enum dns_result result_of(const struct dns_family *family)
{
    return family->pending ? DNS_FAILED : family->result;
}

static void fill_answer(const struct dns_question *question, struct dns_answer *out)
{
    out->id = question->id;
    out->more = !question->done;
    out->ipv4 = result_of(&question->families[DNS_IPV4]);
    out->ipv6 = result_of(&question->families[DNS_IPV6]);
    out->count = 0;
    out->why[0] = '\0';
    gather(question, out);
    explain(question, out);
}

/* Takes the first answer there is. */
static bool take_answer(struct dns *dns, uint64_t now_ms, struct dns_answer *out)
{
    for (struct dns_question **at = &dns->questions; *at != NULL; at = &(*at)->next) {
        struct dns_question *question = *at;
        bool late = question->late_ms != 0 && question->late_ms <= now_ms;
        if (!question->done && !late)
            continue;
        fill_answer(question, out);
        question->late_ms = 0;
        if (question->done) {
            *at = question->next;
            dns_question_free(question);
        }
        return true;
    }
    return false;
}

/* ---- waiting ---- */

/* When something is to be done without a socket's being ready; at most `wait_ms` from now. */
static int next_ms(const struct dns *dns, uint64_t now_ms, uint64_t wait_ms)
{
    for (const struct dns_question *question = dns->questions; question != NULL;
         question = question->next) {
        if (question->late_ms == 0)
            continue;
        uint64_t left = question->late_ms > now_ms ? question->late_ms - now_ms : 0;
        wait_ms = left < wait_ms ? left : wait_ms;
    }
    for (const struct dns_channel *channel = dns->channels; channel != NULL;
         channel = channel->next) {
        struct timeval timeout;
        if (ares_timeout(channel->servers, NULL, &timeout) == NULL)
            continue;
        uint64_t left =
            (uint64_t)timeout.tv_sec * 1000 + ((uint64_t)timeout.tv_usec + 999) / 1000;
        wait_ms = left < wait_ms ? left : wait_ms;
    }
    return wait_ms < INT32_MAX ? (int)wait_ms : INT32_MAX;
}

/* Waits once, and lets c-ares read and send. True: dns_wake() was called. */
static bool turn(struct dns *dns, int timeout_ms)
{
    struct pollfd sockets[1 + CHANNELS_MAX * DNS_SOCKETS_MAX];
    size_t counts[CHANNELS_MAX] = {0}, count = 1, n = 0;
    sockets[0] = (struct pollfd){.events = POLLIN};
    sockets[0].fd = dns->wake.sock;
    for (const struct dns_channel *channel = dns->channels; channel != NULL;
         channel = channel->next, n++) {
        counts[n] = dns_channel_sockets(channel, &sockets[count]);
        count += counts[n];
    }
    if (dns_system_poll(sockets, count, timeout_ms) < 0)
        for (size_t i = 0; i < count; i++)
            sockets[i].revents = 0; /* a signal */

    const struct pollfd *at = &sockets[1];
    n = 0;
    for (struct dns_channel *channel = dns->channels; channel != NULL;
         channel = channel->next, n++) {
        dns_channel_process(channel, at, counts[n]);
        at += counts[n];
    }
    if (sockets[0].revents == 0)
        return false;
    dns_wake_drain(&dns->wake);
    return true;
}

bool dns_wait(struct dns *dns, uint32_t timeout_ms, struct dns_answer *out)
{
    uint64_t now_ms = os_mono_ms(), until_ms = now_ms + timeout_ms;
    for (;;) {
        drop_unused(dns);
        if (take_answer(dns, now_ms, out))
            return true;
        bool woken = turn(dns, next_ms(dns, now_ms, until_ms - now_ms));
        now_ms = os_mono_ms();
        if (take_answer(dns, now_ms, out))
            return true; /* a wake that came too is told by what it was for */
        if (woken || now_ms >= until_ms)
            return false;
    }
}

void dns_wake(struct dns *dns)
{
    dns_wake_send(&dns->wake);
}
