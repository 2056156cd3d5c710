/* What both systems have in common; see tty.h. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/str.h"
#include "os/tty.h"

unsigned tty_columns_wanted(void)
{
    uint64_t columns;
    const char *text = getenv("COLUMNS");
    if (tty_is_terminal_out())
        return tty_columns();
    return text != NULL && str_parse_u64(text, &columns) == ERR_OK && columns <= 10000
               ? (unsigned)columns
               : 0;
}

/* "ADDRESS PORT ..." */
bool tty_remote(struct addr *out)
{
    static const char *const names[] = {"SSH_CONNECTION", "SSH_CLIENT"};
    for (size_t i = 0; i < 2; i++) {
        const char *value = getenv(names[i]);
        char ip[ADDR_TEXT_MAX];
        if (value == NULL)
            continue;
        str_format(ip, sizeof ip, "%.*s", (int)strcspn(value, " "), value);
        if (addr_parse_ip(ip, out) == ERR_OK) {
            addr_normalise(out);
            return true;
        }
    }
    return false;
}
