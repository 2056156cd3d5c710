#include "relay/session/loop.h"

#include <stdlib.h>

struct loop_pass {
    struct list in_bucket;
    struct addr local; /* of the connection to the upstream */
    unsigned passes;   /* how often its session came from the relay itself */
};

/* By port alone: the address may not be known yet, and is nearly always the same. */
static struct list *bucket_of(struct loops *loops, uint16_t port)
{
    return &loops->buckets[(port ^ port >> 8) % LOOP_BUCKETS];
}

void loop_init(struct loops *loops)
{
    os_mutex_init(&loops->lock, LOCK_LOOPS);
    for (size_t i = 0; i < LOOP_BUCKETS; i++)
        list_init(&loops->buckets[i]);
}

void loop_listens(struct loops *loops, uint16_t port)
{
    atomic_fetch_or(&loops->ports[port / 64], UINT64_C(1) << port % 64);
}

static bool is_of(const struct loop_pass *pass, const struct addr *peer)
{
    return addr_equal(&pass->local, peer) ||
           (addr_is_any(&pass->local) && pass->local.port == peer->port);
}

unsigned loop_passes(struct loops *loops, const struct addr *peer)
{
    unsigned passes = 0;
    struct list *bucket = bucket_of(loops, peer->port);
    os_mutex_lock(&loops->lock);
    for (struct list *link = bucket->next; link != bucket; link = link->next) {
        const struct loop_pass *pass = list_owner(link, struct loop_pass, in_bucket);
        if (is_of(pass, peer) && pass->passes + 1 > passes)
            passes = pass->passes + 1;
    }
    os_mutex_unlock(&loops->lock);
    return passes;
}

bool loop_is_listener(const struct loops *loops, const struct addr *server)
{
    uint64_t marks =
        atomic_load_explicit(&loops->ports[server->port / 64], memory_order_relaxed);
    return (marks >> server->port % 64 & 1) != 0;
}

void loop_remember(struct loops *loops, sock_t sock, unsigned passes, struct loop_pass **pass)
{
    struct addr local;
    if (sock_local_addr(sock, &local) != ERR_OK || local.port == 0)
        return; /* it is not known yet */
    struct loop_pass *made = *pass == NULL ? malloc(sizeof *made) : NULL;
    if (*pass == NULL && made == NULL)
        return;
    os_mutex_lock(&loops->lock);
    if (made != NULL) {
        *made = (struct loop_pass){.local = local, .passes = passes};
        list_push(bucket_of(loops, local.port), &made->in_bucket);
        *pass = made;
    } else {
        (*pass)->local = local; /* the port is the same */
    }
    os_mutex_unlock(&loops->lock);
}

bool loop_is_known(const struct loop_pass *pass)
{
    return pass != NULL && !addr_is_any(&pass->local); /* only its owner writes it */
}

void loop_forget(struct loops *loops, struct loop_pass *pass)
{
    if (pass == NULL)
        return;
    os_mutex_lock(&loops->lock);
    list_remove(&pass->in_bucket);
    os_mutex_unlock(&loops->lock);
    free(pass);
}
