#include "base/addr.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/str.h"

static_assert(sizeof(struct addr) == 24, "compared as bytes, so it must hold no padding");

#define GROUPS 8 /* 16-bit groups of an IPv6 address */

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

static bool is_mapped(const struct addr *addr)
{
    return addr->family == ADDR_IPV6 &&
           memcmp(addr->ip, mapped_prefix, sizeof mapped_prefix) == 0;
}

/* ---- writing ---- */

/* The longest run of zero groups, the first of equals; a single zero group is no run. */
static void find_zero_run(const uint16_t groups[GROUPS], size_t count, size_t *start,
                          size_t *len)
{
    *start = 0;
    *len = 0;
    for (size_t i = 0; i < count;) {
        size_t end = i;
        while (end < count && groups[end] == 0)
            end++;
        if (end - i > *len && end - i >= 2) {
            *start = i;
            *len = end - i;
        }
        i = end + 1;
    }
}

static size_t format_ipv4(const uint8_t ip[4], char *text, size_t size)
{
    return str_format(text, size, "%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
}

static size_t format_ipv6(const struct addr *addr, char *text, size_t size)
{
    uint16_t groups[GROUPS];
    for (size_t i = 0; i < GROUPS; i++)
        groups[i] = (uint16_t)(addr->ip[2 * i] << 8 | addr->ip[2 * i + 1]);

    /* The last two groups of a mapped address are written as IPv4 (RFC 5952 section 5). */
    bool mapped = is_mapped(addr);
    size_t count = mapped ? GROUPS - 2 : GROUPS;

    size_t run_start;
    size_t run_len;
    find_zero_run(groups, count, &run_start, &run_len);

    size_t len = 0;
    for (size_t i = 0; i < count;) {
        if (run_len != 0 && i == run_start) {
            len += str_format(text + len, size - len, "::");
            i += run_len;
            continue;
        }
        bool first = i == 0 || (run_len != 0 && i == run_start + run_len);
        len += str_format(text + len, size - len, first ? "%x" : ":%x", groups[i]);
        i++;
    }
    if (mapped) {
        len += str_format(text + len, size - len, ":");
        len += format_ipv4(addr->ip + 12, text + len, size - len);
    }
    if (addr->scope != 0)
        len += str_format(text + len, size - len, "%%%" PRIu32, addr->scope);
    return len;
}

static size_t format_ip(const struct addr *addr, char *text, size_t size)
{
    switch ((enum addr_family)addr->family) {
    case ADDR_NONE: return str_format(text, size, "-");
    case ADDR_IPV4: return format_ipv4(addr->ip, text, size);
    case ADDR_IPV6: return format_ipv6(addr, text, size);
    }
    assert(false && "not a family");
    return 0;
}

const char *addr_format_ip(const struct addr *addr, char text[ADDR_TEXT_MAX])
{
    format_ip(addr, text, ADDR_TEXT_MAX);
    return text;
}

const char *addr_format(const struct addr *addr, char text[ADDR_TEXT_MAX])
{
    char ip[ADDR_TEXT_MAX];
    format_ip(addr, ip, sizeof ip);
    if (addr->family == ADDR_NONE)
        str_format(text, ADDR_TEXT_MAX, "%s", ip);
    else if (addr->family == ADDR_IPV4)
        str_format(text, ADDR_TEXT_MAX, "%s:%u", ip, addr->port);
    else
        str_format(text, ADDR_TEXT_MAX, "[%s]:%u", ip, addr->port);
    return text;
}

/* ---- reading ---- */

/* Exactly four decimal numbers of 0..255 without leading zeros: "010" would be 8 to some
 * readers and 10 to others. */
static bool parse_ipv4(const char *text, uint8_t ip[4])
{
    uint8_t bytes[4];
    for (size_t i = 0; i < 4; i++) {
        if (i > 0 && *text++ != '.')
            return false;
        const char *start = text;
        unsigned value = 0;
        for (; *text >= '0' && *text <= '9'; text++) {
            value = value * 10 + (unsigned)(*text - '0');
            if (value > 255)
                return false;
        }
        size_t digits = (size_t)(text - start);
        if (digits == 0 || (digits > 1 && *start == '0'))
            return false;
        bytes[i] = (uint8_t)value;
    }
    if (*text != '\0')
        return false;
    memcpy(ip, bytes, sizeof bytes);
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Reads one group of 1 to 4 hexadecimal digits; *text moves behind it. */
static bool parse_group(const char **text, uint8_t group[2])
{
    unsigned value = 0;
    size_t digits = 0;
    for (; hex_value(**text) >= 0; (*text)++) {
        if (++digits > 4)
            return false;
        value = value << 4 | (unsigned)hex_value(**text);
    }
    group[0] = (uint8_t)(value >> 8);
    group[1] = (uint8_t)value;
    return digits != 0;
}

/* The bytes of an IPv6 address as read so far. */
struct ipv6_text {
    uint8_t bytes[16];
    size_t len;
    bool has_gap;
    size_t gap; /* bytes before "::" */
};

/* The colon after a group, and the one that makes it a gap. False: none may be there. */
static bool parse_colon(const char **text, struct ipv6_text *ip)
{
    if (*(*text)++ != ':' || **text == '\0')
        return false;
    if (**text != ':')
        return true;
    if (ip->has_gap)
        return false;
    ip->has_gap = true;
    ip->gap = ip->len;
    (*text)++;
    return true;
}

static bool parse_groups(const char *text, struct ipv6_text *ip)
{
    while (*text != '\0') {
        if (ip->len == sizeof ip->bytes)
            return false;
        if (ip->len + 4 <= sizeof ip->bytes && parse_ipv4(text, ip->bytes + ip->len)) {
            ip->len += 4;
            return true;
        }
        if (!parse_group(&text, ip->bytes + ip->len))
            return false;
        ip->len += 2;
        if (*text != '\0' && !parse_colon(&text, ip))
            return false;
    }
    return true;
}

/* RFC 4291 section 2.2: eight groups, or fewer with one "::" in place of at least one, the
 * last two perhaps as IPv4. */
static bool parse_ipv6(const char *text, uint8_t out[16])
{
    struct ipv6_text ip = {.len = 0};
    if (text[0] == ':') {
        if (text[1] != ':')
            return false;
        text += 2;
        ip.has_gap = true;
    }
    if (!parse_groups(text, &ip))
        return false;
    if (ip.has_gap == (ip.len == sizeof ip.bytes))
        return false; /* too short, or "::" in place of nothing */
    size_t head = ip.has_gap ? ip.gap : ip.len;
    size_t tail = ip.len - head;
    memset(out, 0, sizeof ip.bytes);
    memcpy(out, ip.bytes, head);
    memcpy(out + sizeof ip.bytes - tail, ip.bytes + head, tail);
    return true;
}

enum err addr_parse_ip(const char *text, struct addr *addr)
{
    struct addr result = {.family = ADDR_IPV4};
    if (parse_ipv4(text, result.ip)) {
        *addr = result;
        return ERR_OK;
    }

    char ip[ADDR_TEXT_MAX];
    size_t ip_len = strcspn(text, "%");
    if (ip_len >= sizeof ip)
        return ERR_INVALID;
    memcpy(ip, text, ip_len);
    ip[ip_len] = '\0';

    result = (struct addr){.family = ADDR_IPV6};
    if (!parse_ipv6(ip, result.ip))
        return ERR_INVALID;
    if (text[ip_len] == '%') {
        uint64_t scope;
        if (str_parse_u64(text + ip_len + 1, &scope) != ERR_OK || scope > UINT32_MAX)
            return ERR_INVALID;
        result.scope = (uint32_t)scope;
    }
    *addr = result;
    return ERR_OK;
}

static bool is_bracketed_ipv6(const char *text, size_t len)
{
    char inner[ADDR_TEXT_MAX];
    if (len < 2 || text[0] != '[' || text[len - 1] != ']' || len - 2 >= sizeof inner)
        return false;
    memcpy(inner, text + 1, len - 2);
    inner[len - 2] = '\0';

    struct addr addr;
    return addr_parse_ip(inner, &addr) == ERR_OK && addr.family == ADDR_IPV6;
}

enum err addr_split(const char *text, bool zero_ok, char *host, size_t size, uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL)
        return ERR_INVALID;

    const char *start = text;
    size_t len = (size_t)(colon - text);
    if (len == 1 && *start == '*')
        len = 0; /* the same as no host */
    if (memchr(start, '[', len) != NULL || memchr(start, ']', len) != NULL) {
        if (!is_bracketed_ipv6(start, len))
            return ERR_INVALID;
        start++;
        len -= 2;
    } else if (memchr(start, ':', len) != NULL) {
        return ERR_INVALID;
    }
    if (len >= size)
        return ERR_INVALID;

    uint64_t number;
    if (str_parse_u64(colon + 1, &number) != ERR_OK || number > UINT16_MAX ||
        (number == 0 && !zero_ok))
        return ERR_RANGE;
    memcpy(host, start, len);
    host[len] = '\0';
    *port = (uint16_t)number;
    return ERR_OK;
}

/* ---- comparing ---- */

void addr_normalise(struct addr *addr)
{
    if (!is_mapped(addr))
        return;
    struct addr ipv4 = {.family = ADDR_IPV4, .port = addr->port};
    memcpy(ipv4.ip, addr->ip + sizeof mapped_prefix, 4);
    *addr = ipv4;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

bool addr_is_any(const struct addr *addr)
{
    static const uint8_t zeros[sizeof addr->ip];
    return addr->family != ADDR_NONE && memcmp(addr->ip, zeros, sizeof zeros) == 0;
}

bool addr_is_loopback(const struct addr *addr)
{
    static const uint8_t one[sizeof addr->ip] = {[15] = 1};
    if (addr->family == ADDR_IPV4)
        return addr->ip[0] == 127;
    return addr->family == ADDR_IPV6 && memcmp(addr->ip, one, sizeof one) == 0;
}
