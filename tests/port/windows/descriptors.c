#include "descriptors.h"

bool descriptors_leave(unsigned more)
{
    (void)more;
    return false;
}

void descriptors_allow(void)
{
    /* There was nothing to take away. */
}
