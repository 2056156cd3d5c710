/* What both systems have in common; see tty.h. */
#include <stdint.h>
#include <stdlib.h>

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
