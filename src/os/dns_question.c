#include "os/dns_question.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "os/os.h"

/* An answer for one family waits so long for the other (RFC 8305 section 3 has 50 ms, for a user
 * who waits; a server that is not listed at once would be news in the log). */
#define LATE_MS 500

#define RECORDS_MAX 1024 /* of one reply that are looked at */

/* ---- replies ---- */

static void set_result(struct dns_family *family, enum dns_result result, int status)
{
    family->result = result;
    family->status = status;
}

static bool add(struct dns_family *family, struct addr addr, uint32_t ttl_ms)
{
    for (size_t i = 0; i < family->count; i++)
        if (addr_equal(&family->addrs[i], &addr))
            return true;
    if (family->addrs == NULL)
        family->addrs = malloc(DNS_ADDRS_MAX * sizeof *family->addrs);
    if (family->addrs == NULL)
        return false;
    if (family->count < DNS_ADDRS_MAX)
        family->addrs[family->count++] = addr;
    if (ttl_ms < family->ttl_ms)
        family->ttl_ms = ttl_ms;
    return true;
}

static uint32_t ttl_of(int seconds)
{
    if (seconds < 0)
        return 0; /* RFC 2181 section 8 */
    return (uint32_t)seconds < DNS_NO_TTL / 1000 ? (uint32_t)seconds * 1000 : DNS_NO_TTL - 1;
}

static void forget(struct dns_family *family)
{
    family->count = 0;
    family->ttl_ms = DNS_NO_TTL;
}

/* Of more records than there is room for, the same ones every time: the order of a reply is not. */
static int compare_records(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct in_addr));
}

static int compare_records6(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct in6_addr));
}

/* ARES_SUCCESS: the addresses are in the family. */
static int read_ipv4(struct dns_family *family, const unsigned char *reply, int len)
{
    struct ares_addrttl records[RECORDS_MAX];
    int count = RECORDS_MAX;
    int status = ares_parse_a_reply(reply, len, NULL, records, &count);
    if (status != ARES_SUCCESS)
        return status;
    if (count > DNS_ADDRS_MAX)
        qsort(records, (size_t)count, sizeof *records, compare_records);
    for (int i = 0; i < count; i++) {
        struct addr addr = {.family = ADDR_IPV4};
        memcpy(addr.ip, &records[i].ipaddr, 4);
        if (!add(family, addr, ttl_of(records[i].ttl)))
            return ARES_ENOMEM;
    }
    return family->count > 0 ? ARES_SUCCESS : ARES_ENODATA;
}

static int read_ipv6(struct dns_family *family, const unsigned char *reply, int len)
{
    struct ares_addr6ttl records[RECORDS_MAX];
    int count = RECORDS_MAX;
    int status = ares_parse_aaaa_reply(reply, len, NULL, records, &count);
    if (status != ARES_SUCCESS)
        return status;
    if (count > DNS_ADDRS_MAX)
        qsort(records, (size_t)count, sizeof *records, compare_records6);
    for (int i = 0; i < count; i++) {
        struct addr addr = {.family = ADDR_IPV6};
        memcpy(addr.ip, &records[i].ip6addr, 16);
        addr_normalise(&addr);
        if (!add(family, addr, ttl_of(records[i].ttl)))
            return ARES_ENOMEM;
    }
    return family->count > 0 ? ARES_SUCCESS : ARES_ENODATA;
}

static void try_form(struct dns_question *question);

/* One family of a form has its result. A form without any address is followed by the next one,
 * unless nobody knows whether it has one. */
static void advance(struct dns_question *question)
{
    const struct dns_family *ipv4 = &question->families[DNS_IPV4],
                            *ipv6 = &question->families[DNS_IPV6];
    if (ipv4->pending || ipv6->pending) {
        if (ipv4->result == DNS_FOUND || ipv6->result == DNS_FOUND)
            question->late_ms = os_mono_ms() + LATE_MS;
        return;
    }
    question->late_ms = 0;
    if (ipv4->result == DNS_NONE && ipv6->result == DNS_NONE) {
        question->form++;
        try_form(question);
        return;
    }
    if (ipv4->result == DNS_FAILED || ipv6->result == DNS_FAILED)
        question->channel->has_failed = true;
    question->done = true;
}

static void on_reply(void *arg, int status, int timeouts, unsigned char *reply, int len)
{
    struct dns_family *family = arg;
    struct dns_question *question = family->question;
    (void)timeouts;
    family->pending = false;
    if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED)
        return; /* of dns_close() */
    forget(family);
    if (status == ARES_SUCCESS)
        status = family == &question->families[DNS_IPV4] ? read_ipv4(family, reply, len)
                                                         : read_ipv6(family, reply, len);
    if (status == ARES_SUCCESS)
        set_result(family, DNS_FOUND, status);
    else if (status == ARES_ENODATA || status == ARES_ENOTFOUND)
        set_result(family, DNS_NONE, status);
    else
        set_result(family, DNS_FAILED, status);
    advance(question);
}

/* ---- questions ---- */

/* Asks for the form whose turn it is; the last one being over, so is the question. The results of
 * the form before stay until there are others. */
static void try_form(struct dns_question *question)
{
    enum { CLASS_IN = 1, TYPE_A = 1, TYPE_AAAA = 28 }; /* RFC 1035, RFC 3596 */
    char form[DNS_NAME_MAX];
    if (!dns_channel_form(question->channel, question->host, question->form, form)) {
        question->done = true;
        return;
    }
    for (size_t i = 0; i < DNS_FAMILIES; i++)
        question->families[i].pending = true;
    ares_channel servers = question->channel->servers; /* a reply may come within the call */
    ares_query(servers, form, CLASS_IN, TYPE_A, on_reply, &question->families[DNS_IPV4]);
    ares_query(servers, form, CLASS_IN, TYPE_AAAA, on_reply, &question->families[DNS_IPV6]);
}

/* What the hosts file says of the name; it says so at once. */
static void on_hosts(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
    struct dns_question *question = arg;
    (void)timeouts;
    if (status != ARES_SUCCESS || found == NULL)
        return;
    for (const struct ares_addrinfo_node *node = found->nodes; node != NULL;
         node = node->ai_next) {
        struct addr addr;
        if (bsd_to_addr(node->ai_addr, (size_t)node->ai_addrlen, &addr) != ERR_OK)
            continue;
        addr.port = 0;
        struct dns_family *family =
            &question->families[addr.family == ADDR_IPV4 ? DNS_IPV4 : DNS_IPV6];
        if (!add(family, addr, DNS_NO_TTL))
            set_result(family, DNS_FAILED, ARES_ENOMEM);
        else if (family->result != DNS_FAILED)
            set_result(family, DNS_FOUND, ARES_SUCCESS);
        question->done = true;
    }
    ares_freeaddrinfo(found);
}

enum err dns_question_open(struct dns_question **out, struct dns_channel *channel,
                           const char *host, uint64_t id)
{
    struct dns_question *question = calloc(1, sizeof *question);
    if (question == NULL)
        return ERR_NOMEM;
    question->id = id;
    str_format(question->host, sizeof question->host, "%s", host);
    question->channel = channel;
    channel->users++;
    for (size_t i = 0; i < DNS_FAMILIES; i++) {
        question->families[i].question = question;
        set_result(&question->families[i], DNS_NONE, ARES_ENOTFOUND);
        forget(&question->families[i]);
    }

    const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
                                              .ai_flags = ARES_AI_NOSORT};
    ares_getaddrinfo(channel->files, question->host, NULL, &hints, on_hosts, question);
    if (!question->done)
        try_form(question);
    *out = question;
    return ERR_OK;
}

void dns_question_free(struct dns_question *question)
{
    question->channel->users--;
    for (size_t i = 0; i < DNS_FAMILIES; i++)
        free(question->families[i].addrs);
    free(question);
}
