#include "relay/core/quiesce.h"

#include "relay/core/worker.h"
#include "relay/relay.h"

void quiesce_init(struct relay *relay)
{
    relay->quiesce = (struct quiesce){
        .message = {
            .kind = OP_WAKE, .role = OP_ROLE_QUIESCE, .sock = SOCK_NONE, .owner = relay}};
    os_mutex_init(&relay->quiesce.lock, LOCK_QUIESCE);
}

void quiesce_enter(struct relay *relay)
{
    struct quiesce *quiesce = &relay->quiesce;
    os_mutex_lock(&quiesce->lock);
    while (quiesce->closed)
        os_cond_wait(&quiesce->changed, &quiesce->lock, UINT32_MAX);
    quiesce->visitors++;
    os_mutex_unlock(&quiesce->lock);
    standstill_check_outside(&relay->standstill);
}

void quiesce_leave(struct relay *relay)
{
    struct quiesce *quiesce = &relay->quiesce;
    os_mutex_lock(&quiesce->lock);
    if (--quiesce->visitors == 0)
        os_cond_wake_all(&quiesce->changed);
    os_mutex_unlock(&quiesce->lock);
}

/* Visitors leave soon, and one that is there may come again meanwhile: it would wait for ever
 * if it had to wait for this. */
void quiesce_keep_out(struct relay *relay)
{
    struct quiesce *quiesce = &relay->quiesce;
    os_mutex_lock(&quiesce->lock);
    while (quiesce->visitors > 0)
        os_cond_wait(&quiesce->changed, &quiesce->lock, UINT32_MAX);
    quiesce->closed = true;
    os_mutex_unlock(&quiesce->lock);
}

bool quiesce_begin(struct relay *relay)
{
    struct quiesce *quiesce = &relay->quiesce;
    if (!lifecycle_try_ref(relay))
        return false;
    os_mutex_lock(&quiesce->lock);
    quiesce->parks = true;
    quiesce->parked = 0;
    quiesce->number++;
    os_mutex_unlock(&quiesce->lock);
    port_post(relay->port, &quiesce->message);
    os_mutex_lock(&quiesce->lock);
    while (quiesce->parked < relay->worker_count)
        os_cond_wait(&quiesce->changed, &quiesce->lock, UINT32_MAX);
    os_mutex_unlock(&quiesce->lock);
    return true;
}

void quiesce_end(struct relay *relay)
{
    struct quiesce *quiesce = &relay->quiesce;
    os_mutex_lock(&quiesce->lock);
    bool began = quiesce->parks;
    quiesce->closed = quiesce->parks = false;
    os_cond_wake_all(&quiesce->changed);
    os_mutex_unlock(&quiesce->lock);
    if (began)
        lifecycle_unref(relay);
}

void quiesce_park(struct worker *worker)
{
    struct relay *relay = worker->relay;
    struct quiesce *quiesce = &relay->quiesce;
    os_mutex_lock(&quiesce->lock);
    uint64_t number = quiesce->number;
    bool last = ++quiesce->parked == relay->worker_count;
    if (last) {
        os_cond_wake_all(&quiesce->changed);
    } else {
        port_post(relay->port, &quiesce->message);
        port_step_aside(relay->port); /* so that the next one wakes up for it at once */
    }
    while (quiesce->parks && quiesce->number == number)
        os_cond_wait(&quiesce->changed, &quiesce->lock, UINT32_MAX);
    os_mutex_unlock(&quiesce->lock);
}
