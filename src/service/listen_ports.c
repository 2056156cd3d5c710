#include "service/listen_ports.h"

#include "base/str.h"
#include "config/value/listen.h"
#include "os/os.h"

#ifdef _WIN32
#define HOW_TO_RESERVE "netsh int ipv4 add excludedportrange tcp"
#else
#define HOW_TO_RESERVE "sysctl net.ipv4.ip_local_reserved_ports"
#endif

#define WHERE_MAX (CONF_PATH_MAX + 16)
#define TEXT_MAX  512

static bool describe(const struct conf_route *route, const struct conf_listen *listen,
                     char text[TEXT_MAX])
{
    char listens[LISTEN_TEXT_MAX];
    uint16_t first, last;
    uint16_t end = (uint16_t)(listen->addr.port + listen->port_count - 1);
    if (!os_ephemeral_overlap(listen->addr.port, end, &first, &last))
        return false;
    str_format(text, TEXT_MAX,
               "[route %s] listen: %s reaches into the ports %u-%u, which this system gives to "
               "outgoing connections; such a connection can keep the relay from starting; take "
               "a port outside, or reserve it (" HOW_TO_RESERVE ")",
               route->name, listen_text(listen, listens), (unsigned)first, (unsigned)last);
    return true;
}

void listen_ports_warn(const struct conf *conf,
                       void (*tell)(const char *where, const char *text))
{
    char where[WHERE_MAX], text[TEXT_MAX];
    for (size_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        for (size_t k = 0; k < route->listen_count; k++) {
            if (!describe(route, &route->listens[k], text))
                continue;
            str_format(where, sizeof where, "%s:%u", conf->path, route->listens[k].line);
            tell(where, text);
        }
    }
}
