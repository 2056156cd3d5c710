#include "control/takeover/predecessors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "control/console/wire.h"
#include "os/os.h"

struct predecessors {
    struct os_mutex lock; /* guards all below */
    struct predecessor each[PREDECESSORS_MAX];
    size_t count;
};

enum err predecessors_open(struct predecessors **out)
{
    struct predecessors *predecessors = calloc(1, sizeof *predecessors);
    if (predecessors == NULL)
        return ERR_NOMEM;
    os_mutex_init(&predecessors->lock, LOCK_PREDECESSORS);
    *out = predecessors;
    return ERR_OK;
}

void predecessors_close(struct predecessors *predecessors)
{
    free(predecessors);
}

/* ---- the list ---- */

/* With the lock held. */
static void remove_at(struct predecessors *predecessors, size_t at)
{
    predecessors->count--;
    memmove(&predecessors->each[at], &predecessors->each[at + 1],
            (predecessors->count - at) * sizeof predecessors->each[0]);
}

void predecessors_add(struct predecessors *predecessors, uint64_t pid, const char *path)
{
    struct predecessor one = {.pid = pid};
    if (pid == 0 || path[0] == '\0' || strlen(path) >= sizeof one.path)
        return;
    str_format(one.path, sizeof one.path, "%s", path);
    os_mutex_lock(&predecessors->lock);
    if (predecessors->count == PREDECESSORS_MAX)
        remove_at(predecessors, 0);
    predecessors->each[predecessors->count++] = one;
    os_mutex_unlock(&predecessors->lock);
}

static void read_line(struct predecessors *predecessors, const char *line, size_t len)
{
    char text[LOCAL_NAME_MAX + 24];
    uint64_t pid;
    if (len >= sizeof text)
        return;
    memcpy(text, line, len);
    text[len] = '\0';
    char *blank = strchr(text, ' ');
    if (blank == NULL)
        return;
    *blank = '\0';
    if (str_parse_u64(text, &pid) == ERR_OK)
        predecessors_add(predecessors, pid, blank + 1);
}

void predecessors_read(struct predecessors *predecessors, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        read_line(predecessors, text, len);
        text += len + (text[len] == '\n');
    }
}

void predecessors_write(struct predecessors *predecessors, struct str *out)
{
    os_mutex_lock(&predecessors->lock);
    for (size_t i = 0; i < predecessors->count; i++)
        str_addf(out, "%" PRIu64 " %s\n", predecessors->each[i].pid,
                 predecessors->each[i].path);
    os_mutex_unlock(&predecessors->lock);
}

void predecessors_clear(struct predecessors *predecessors)
{
    os_mutex_lock(&predecessors->lock);
    predecessors->count = 0;
    os_mutex_unlock(&predecessors->lock);
}

size_t predecessors_copy(struct predecessors *predecessors,
                         struct predecessor each[PREDECESSORS_MAX])
{
    os_mutex_lock(&predecessors->lock);
    size_t count = predecessors->count;
    memcpy(each, predecessors->each, count * sizeof each[0]);
    os_mutex_unlock(&predecessors->lock);
    return count;
}

static void forget(struct predecessors *predecessors, const struct predecessor *one)
{
    os_mutex_lock(&predecessors->lock);
    for (size_t i = predecessors->count; i-- > 0;)
        if (predecessors->each[i].pid == one->pid)
            remove_at(predecessors, i);
    os_mutex_unlock(&predecessors->lock);
}

/* ---- asking ---- */

/* Another program may have its path by now. */
static bool is_it(const struct local_conn *conn, const struct predecessor *one)
{
    struct local_peer peer;
    return local_peer(conn, &peer) == ERR_OK && (peer.same_user || peer.admin) &&
           (peer.pid == 0 || peer.pid == one->pid);
}

enum err predecessors_ask(struct predecessors *predecessors, const struct predecessor *one,
                          const char *line, size_t len, uint32_t timeout_ms, struct str *answer,
                          bool *failed)
{
    struct local_conn *conn;
    struct wire_input input = {.len = 0};
    enum wire_status status = WIRE_ERROR;
    enum err err = local_connect(one->path, &conn);
    if (err == ERR_NOT_FOUND)
        forget(predecessors, one);
    if (err != ERR_OK)
        return err;
    err = is_it(conn, one) ? wire_send_line(conn, line, len) : ERR_ACCESS;
    if (err == ERR_OK)
        err = wire_read_answer_within(conn, &input, timeout_ms, &status, answer);
    local_conn_close(conn);
    *failed = status == WIRE_ERROR;
    return err;
}
