#include "name_server.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/bsd.h"
#include "os/os.h"
#include "support/net.h"

#define ADDRS_MAX    64
#define UDP_MAX      512  /* RFC 1035 section 2.3.4 */
#define MESSAGE_MAX  4096 /* over TCP it may be more */
#define HEAD         12   /* section 4.1.1 */
#define TYPE_A       1
#define TYPE_AAAA    28
#define FAILS        2
#define NO_SUCH_NAME 3
#define TRUNCATED    0x0200
#define DAY_S        86400

static struct {
    struct os_mutex lock; /* guards what follows */
    bool deaf, fails_ipv6;
    char ignored[64]; /* names that begin so get no answer; "": none */
    unsigned ttl_s;
    unsigned turns; /* answers so far: each begins with another address */
    struct addr addrs[ADDRS_MAX];
    size_t count; /* 0: there is no such name */
} known;

static int sock = -1, listener = -1; /* UDP, TCP */
static struct os_thread *thread;
static atomic_bool stopping;
static atomic_uint asked; /* for IPv4 addresses, of names that are not ignored */

/* ---- one question ---- */

struct message {
    unsigned char bytes[MESSAGE_MAX];
    size_t len;
};

static unsigned get16(const struct message *message, size_t at)
{
    return (unsigned)message->bytes[at] << 8 | message->bytes[at + 1];
}

static void put16(struct message *message, size_t at, unsigned value)
{
    message->bytes[at] = (unsigned char)(value >> 8);
    message->bytes[at + 1] = (unsigned char)value;
}

static void add16(struct message *message, unsigned value)
{
    put16(message, message->len, value);
    message->len += 2;
}

/* The end of the one question behind the head; 0: there is none. */
static size_t end_of_question(const struct message *message)
{
    size_t at = HEAD;
    while (at < message->len && message->bytes[at] != 0)
        at += message->bytes[at] + 1u;
    at += 1 + 4; /* the root, type and class */
    return at <= message->len ? at : 0;
}

static void add_record(struct message *message, unsigned type, const struct addr *addr)
{
    unsigned size = type == TYPE_A ? 4 : 16;
    add16(message, 0xC000 | HEAD); /* the name of the question */
    add16(message, type);
    add16(message, 1); /* the Internet */
    add16(message, known.ttl_s >> 16);
    add16(message, known.ttl_s & 0xFFFF);
    add16(message, size);
    memcpy(message->bytes + message->len, addr->ip, size);
    message->len += size;
}

static bool is_ignored(const struct message *message)
{
    size_t len = strlen(known.ignored); /* within the first label, behind its length */
    return len > 0 && memcmp(message->bytes + HEAD + 1, known.ignored, len) == 0;
}

/* With the lock: adds the records of this type, the next address first. */
static unsigned add_records(struct message *message, unsigned type, size_t size_max,
                            bool *truncated)
{
    unsigned records = 0;
    known.turns++;
    for (size_t i = 0; i < known.count; i++) {
        const struct addr *addr = &known.addrs[(i + known.turns) % known.count];
        if ((addr->family == ADDR_IPV4 ? TYPE_A : TYPE_AAAA) != type)
            continue;
        *truncated |= message->len + 28 > size_max;
        if (*truncated)
            continue;
        add_record(message, type, addr);
        records++;
    }
    return records;
}

/* Makes the answer of a question; false: none. */
static bool answer(struct message *message, size_t size_max)
{
    size_t end = message->len < HEAD ? 0 : end_of_question(message);
    if (end == 0)
        return false;
    unsigned type = get16(message, end - 4), code = 0, records = 0;
    bool truncated = false;
    message->len = end;
    os_mutex_lock(&known.lock);
    bool deaf = known.deaf || is_ignored(message);
    atomic_fetch_add(&asked, type == TYPE_A && !is_ignored(message));
    if (known.count == 0)
        code = NO_SUCH_NAME;
    else if (type == TYPE_AAAA && known.fails_ipv6)
        code = FAILS;
    else
        records = add_records(message, type, size_max, &truncated);
    os_mutex_unlock(&known.lock);
    put16(message, 2, 0x8580 | code | (truncated ? TRUNCATED : 0)); /* authoritative */
    put16(message, 6, records);
    put16(message, 8, 0);
    put16(message, 10, 0);
    return !deaf;
}

static void answer_udp(void)
{
    struct sockaddr_storage from;
    socklen_t from_len = sizeof from;
    struct message message;
    ssize_t got =
        recvfrom(sock, message.bytes, UDP_MAX, 0, (struct sockaddr *)&from, &from_len);
    message.len = got < 0 ? 0 : (size_t)got;
    if (answer(&message, UDP_MAX))
        (void)sendto(sock, message.bytes, message.len, 0, (struct sockaddr *)&from, from_len);
}

/* One connection, until its other end closes it; each message has its length before it. */
static void answer_tcp(void)
{
    int client = accept(listener, NULL, NULL);
    if (client < 0)
        return;
    const struct timeval patience = {.tv_sec = 2};
    (void)setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    unsigned char size[2];
    while (recv(client, size, 2, MSG_WAITALL) == 2) {
        struct message message = {.len = (size_t)size[0] << 8 | size[1]};
        if (message.len > MESSAGE_MAX ||
            recv(client, message.bytes, message.len, MSG_WAITALL) != (ssize_t)message.len ||
            !answer(&message, MESSAGE_MAX))
            break;
        size[0] = (unsigned char)(message.len >> 8);
        size[1] = (unsigned char)message.len;
        (void)send(client, size, 2, MSG_NOSIGNAL | MSG_MORE);
        (void)send(client, message.bytes, message.len, MSG_NOSIGNAL);
    }
    close(client);
}

static void run(void *arg)
{
    (void)arg;
    while (!atomic_load(&stopping)) {
        struct pollfd wait[2] = {{.fd = sock, .events = POLLIN},
                                 {.fd = listener, .events = POLLIN}};
        if (poll(wait, 2, 20) < 1)
            continue;
        if (wait[0].revents != 0)
            answer_udp();
        if (wait[1].revents != 0)
            answer_tcp();
    }
}

/* ---- for the test ---- */

bool name_server_start(struct addr *addr)
{
    /* One of millions, by the number of the process: other tests may have theirs. */
    unsigned number = (unsigned)getpid();
    *addr =
        (struct addr){.family = ADDR_IPV4,
                      .port = 53,
                      .ip = {127, (uint8_t)(64 + number / 62500 % 64),
                             (uint8_t)(1 + number / 250 % 250), (uint8_t)(1 + number % 250)}};
    struct sockaddr_storage native;
    socklen_t len = (socklen_t)bsd_from_addr(addr, &native);
    sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(sock >= 0 && listener >= 0);
    if (bind(sock, (struct sockaddr *)&native, len) != 0 ||
        bind(listener, (struct sockaddr *)&native, len) != 0 || listen(listener, 16) != 0) {
        close(sock);
        close(listener);
        sock = -1;
        return false;
    }
    known.deaf = true;
    known.ttl_s = DAY_S;
    atomic_store(&stopping, false);
    assert_int_equal(os_thread_start(&thread, "name server", run, NULL), ERR_OK);
    return true;
}

void name_server_stop(void)
{
    if (sock < 0)
        return;
    atomic_store(&stopping, true);
    os_thread_join(thread);
    close(sock);
    close(listener);
    sock = -1;
}

void name_server_tell(const char *addrs)
{
    char text[2048];
    str_format(text, sizeof text, "%s", addrs);
    os_mutex_lock(&known.lock);
    known.deaf = false;
    known.count = 0;
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        assert_true(known.count < ADDRS_MAX);
        assert_int_equal(addr_parse_ip(word, &known.addrs[known.count++]), ERR_OK);
    }
    os_mutex_unlock(&known.lock);
}

void name_server_know_nothing(void)
{
    name_server_tell("");
}

void name_server_be_deaf(void)
{
    os_mutex_lock(&known.lock);
    known.deaf = true;
    os_mutex_unlock(&known.lock);
}

void name_server_set_ttl(unsigned seconds)
{
    os_mutex_lock(&known.lock);
    known.ttl_s = seconds;
    os_mutex_unlock(&known.lock);
}

void name_server_fail_ipv6(bool fail)
{
    os_mutex_lock(&known.lock);
    known.fails_ipv6 = fail;
    os_mutex_unlock(&known.lock);
}

void name_server_ignore(const char *beginning)
{
    os_mutex_lock(&known.lock);
    str_format(known.ignored, sizeof known.ignored, "%s", beginning == NULL ? "" : beginning);
    os_mutex_unlock(&known.lock);
}

unsigned name_server_asked(void)
{
    return atomic_load(&asked);
}

void name_server_wait_asked(unsigned more)
{
    unsigned until = atomic_load(&asked) + more;
    uint64_t start = os_mono_ms();
    while (atomic_load(&asked) < until) {
        if (os_mono_ms() - start > NET_PATIENCE_MS)
            fail_msg("%s", "the name server is not asked");
        os_sleep_ms(5);
    }
}
