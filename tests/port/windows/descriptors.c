#include "descriptors.h"

bool descriptors_forbid(void)
{
    return false;
}

void descriptors_allow(void)
{
    /* There was nothing to take away. */
}
