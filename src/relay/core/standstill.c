#include "relay/core/standstill.h"

#include "relay/core/worker.h"
#include "relay/relay.h"

void standstill_init(struct relay *relay)
{
    relay->standstill = (struct standstill){
        .message = {
            .kind = OP_WAKE, .role = OP_ROLE_STANDSTILL, .sock = SOCK_NONE, .owner = relay}};
}

void standstill_enter(struct relay *relay)
{
    struct standstill *still = &relay->standstill;
    os_mutex_lock(&still->lock);
    while (still->closed)
        os_cond_wait(&still->changed, &still->lock, UINT32_MAX);
    still->visitors++;
    os_mutex_unlock(&still->lock);
    lateness_look_outside(&relay->lateness);
}

void standstill_leave(struct relay *relay)
{
    struct standstill *still = &relay->standstill;
    os_mutex_lock(&still->lock);
    if (--still->visitors == 0)
        os_cond_wake_all(&still->changed);
    os_mutex_unlock(&still->lock);
}

/* Visitors leave soon, and one that is there may come again meanwhile: it would wait for ever
 * if it had to wait for this. */
static void close_doors(struct standstill *still)
{
    os_mutex_lock(&still->lock);
    while (still->visitors > 0)
        os_cond_wait(&still->changed, &still->lock, UINT32_MAX);
    still->closed = true;
    still->parked = 0;
    still->number++;
    os_mutex_unlock(&still->lock);
}

bool standstill_begin(struct relay *relay)
{
    struct standstill *still = &relay->standstill;
    if (!lifecycle_keep(relay))
        return false;
    close_doors(still);
    port_post(relay->port, &still->message);
    os_mutex_lock(&still->lock);
    while (still->parked < relay->worker_count)
        os_cond_wait(&still->changed, &still->lock, UINT32_MAX);
    os_mutex_unlock(&still->lock);
    return true;
}

void standstill_end(struct relay *relay)
{
    struct standstill *still = &relay->standstill;
    os_mutex_lock(&still->lock);
    still->closed = false;
    os_cond_wake_all(&still->changed);
    os_mutex_unlock(&still->lock);
    lifecycle_part_ended(relay);
}

void standstill_park(struct worker *worker)
{
    struct relay *relay = worker->relay;
    struct standstill *still = &relay->standstill;
    os_mutex_lock(&still->lock);
    uint64_t number = still->number;
    bool last = ++still->parked == relay->worker_count;
    if (last) {
        os_cond_wake_all(&still->changed);
    } else {
        port_post(relay->port, &still->message);
        port_step_aside(relay->port); /* so that the next one wakes up for it at once */
    }
    while (still->closed && still->number == number)
        os_cond_wait(&still->changed, &still->lock, UINT32_MAX);
    os_mutex_unlock(&still->lock);
}
