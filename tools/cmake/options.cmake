# Compile and link options, as two targets:
#   pairport_code_generation  hardening, sanitizers, paths: everything that gets into a program
#   pairport_options          that, and the language and warnings: every target of ours links it
set(PAIRPORT_SANITIZE "" CACHE STRING "sanitizers to build with: address,undefined or thread")
option(PAIRPORT_FUZZ "build the fuzz targets (needs clang)" OFF)
# On in the presets of developers. Off elsewhere, because a newer compiler knows new warnings.
option(PAIRPORT_WERROR "warnings are errors" OFF)

include(CheckCCompilerFlag)
include(CheckCSourceCompiles)

# Release is what players meet, so its asserts stay on, and it is what debuggers get to see.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")

add_library(pairport_code_generation INTERFACE)
# No path of the building machine gets into a program.
target_compile_options(pairport_code_generation INTERFACE
    -ffile-prefix-map=${CMAKE_BINARY_DIR}=build -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)

if(PAIRPORT_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "PAIRPORT_FUZZ needs clang: CC=clang or -DCMAKE_C_COMPILER=clang")
    endif()
    set(PAIRPORT_SANITIZE "address,undefined")
    target_compile_options(pairport_code_generation INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(PAIRPORT_SANITIZE)
    target_compile_options(pairport_code_generation INTERFACE
        -fsanitize=${PAIRPORT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_compile_definitions(pairport_code_generation INTERFACE PAIRPORT_CHECK_LOCKS)
    target_link_options(pairport_code_generation INTERFACE -fsanitize=${PAIRPORT_SANITIZE})
else() # a sanitizer checks more than this does, and gets confused by it
    target_compile_options(pairport_code_generation INTERFACE -fstack-protector-strong)
    target_link_options(pairport_code_generation INTERFACE -fstack-protector-strong)
    # Level 3 also checks sizes known only at run time. A C library without it warns and takes 2.
    set(CMAKE_REQUIRED_FLAGS "-O2 -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
    check_c_source_compiles("#include <string.h>\nint main(void) { return 0; }" HAS_FORTIFY_3)
    unset(CMAKE_REQUIRED_FLAGS)
    if(HAS_FORTIFY_3)
        set(FORTIFY_LEVEL 3)
    else()
        set(FORTIFY_LEVEL 2)
    endif()
    # Some compilers predefine it, so it is undefined first.
    target_compile_options(pairport_code_generation INTERFACE
        $<$<CONFIG:Release>:-U_FORTIFY_SOURCE>
        $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=${FORTIFY_LEVEL}>)
endif()

if(WIN32)
    # One file that needs no DLL but the system's.
    target_link_options(pairport_code_generation INTERFACE
        -static -Wl,--dynamicbase -Wl,--nxcompat -Wl,--high-entropy-va)
    target_compile_definitions(pairport_code_generation INTERFACE
        _WIN32_WINNT=0x0A00 __USE_MINGW_ANSI_STDIO=1)
else()
    # PIE by hand: CMake would build the libraries as PIC, which costs more and serves nothing.
    # -fcf-protection is left out on purpose: the linker marks a program as protected only when
    # all of it is, and the C library's start files of Debian 12 are not. -mbranch-protection
    # (ARM64) is the same.
    target_compile_options(pairport_code_generation INTERFACE -fPIE -fstack-clash-protection)
    target_link_options(pairport_code_generation INTERFACE
        -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed)
endif()

add_library(pairport_options INTERFACE)
target_link_libraries(pairport_options INTERFACE pairport_code_generation)
target_compile_definitions(pairport_options INTERFACE
    _GNU_SOURCE PAIRPORT_VERSION="${PROJECT_VERSION}")
target_compile_options(pairport_options INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
    -Wcast-qual -Wwrite-strings -Wundef -Wformat=2 -Wvla -fno-strict-aliasing)
if(PAIRPORT_WERROR)
    target_compile_options(pairport_options INTERFACE -Werror)
endif()
if(PAIRPORT_SANITIZE AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # Between the calls of a sanitizer GCC loses sight of what is initialised.
    target_compile_options(pairport_options INTERFACE -Wno-maybe-uninitialized)
endif()
