/* Names, which are known as a test has told. An answer comes at the next dns_wait(), unless the
 * name is held. */
#include "support/fake_port.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/dns.h"
#include "os/os.h"

#define QUESTIONS_MAX 128
#define HOST_MAX      256

struct dns {
    struct {
        uint64_t id;
        char host[HOST_MAX];
    } questions[QUESTIONS_MAX];
    size_t count;
    bool woken;
};

static struct os_mutex lock; /* guards what follows: the relay asks from a thread of its own */
static struct os_cond changed;
static struct dns_answer known;  /* of every name */
static char held_host[HOST_MAX]; /* "": none */
static struct dns_answer held_answer;
static bool held_has_answer;
static atomic_uint asked;

void fake_resolve_answer(const struct dns_answer *answer)
{
    os_mutex_lock(&lock);
    known = *answer;
    os_mutex_unlock(&lock);
}

void fake_resolve_to(const struct addr *addrs, size_t count)
{
    struct dns_answer answer = {.ipv4 = DNS_NONE, .ipv6 = DNS_NONE, .ttl_ms = DNS_NO_TTL};
    assert_true(count <= DNS_ADDRS_MAX);
    if (count > 0)
        memcpy(answer.addrs, addrs, count * sizeof addrs[0]);
    answer.count = count;
    for (size_t i = 0; i < count; i++)
        *(addrs[i].family == ADDR_IPV4 ? &answer.ipv4 : &answer.ipv6) = DNS_FOUND;
    if (count == 0)
        str_format(answer.why, sizeof answer.why, "nobody knows that name");
    fake_resolve_answer(&answer);
}

void fake_resolve_hold(const char *host)
{
    os_mutex_lock(&lock);
    str_format(held_host, sizeof held_host, "%s", host);
    held_has_answer = false;
    os_mutex_unlock(&lock);
}

void fake_resolve_release(const struct dns_answer *answer)
{
    os_mutex_lock(&lock);
    held_answer = *answer;
    held_has_answer = true;
    os_cond_wake_all(&changed);
    os_mutex_unlock(&lock);
}

unsigned fake_resolve_asked(void)
{
    return atomic_load(&asked);
}

/* ---- dns.h ---- */

enum err dns_open(struct dns **out)
{
    struct dns *dns = calloc(1, sizeof *dns);
    if (dns == NULL)
        return ERR_NOMEM;
    *out = dns;
    return ERR_OK;
}

void dns_close(struct dns *dns)
{
    free(dns);
}

enum err dns_ask(struct dns *dns, const char *host, uint64_t id)
{
    os_mutex_lock(&lock);
    assert_true(dns->count < QUESTIONS_MAX);
    dns->questions[dns->count].id = id;
    str_format(dns->questions[dns->count++].host, HOST_MAX, "%s", host);
    os_mutex_unlock(&lock);
    atomic_fetch_add(&asked, 1);
    return ERR_OK;
}

/* With the lock. */
static bool answer(struct dns *dns, struct dns_answer *out)
{
    for (size_t i = 0; i < dns->count; i++) {
        bool held = strcmp(dns->questions[i].host, held_host) == 0;
        if (held && !held_has_answer)
            continue;
        *out = held ? held_answer : known;
        out->id = dns->questions[i].id;
        if (held)
            held_has_answer = false;
        if (!out->more)
            dns->questions[i] = dns->questions[--dns->count];
        return true;
    }
    return false;
}

bool dns_wait(struct dns *dns, uint32_t timeout_ms, struct dns_answer *out)
{
    os_mutex_lock(&lock);
    bool answered = answer(dns, out);
    if (!answered && !dns->woken) {
        os_cond_wait(&changed, &lock, timeout_ms);
        answered = answer(dns, out);
    }
    dns->woken = false;
    os_mutex_unlock(&lock);
    return answered;
}

void dns_wake(struct dns *dns)
{
    os_mutex_lock(&lock);
    dns->woken = true;
    os_cond_wake_all(&changed);
    os_mutex_unlock(&lock);
}
