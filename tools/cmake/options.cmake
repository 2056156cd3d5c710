# Compile and link options of every target of ours: link pairport_options.
add_library(pairport_options INTERFACE)
target_compile_definitions(pairport_options INTERFACE
    _GNU_SOURCE PAIRPORT_VERSION="${PROJECT_VERSION}")
target_compile_options(pairport_options INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
    -Wcast-qual -Wwrite-strings -Wundef -Wformat=2 -Wvla -Werror
    -fno-strict-aliasing -g)
