# The libraries: targets inih, jansson, cares and, for the tests, cmocka.
#
# Each is taken from the system by pkg-config, else built from its upstream release. Such a
# release is taken, in this order, from
#   1. FETCHCONTENT_SOURCE_DIR_INIH, _JANSSON, _CARES, _CMOCKA: an unpacked source tree,
#   2. build/deps/<name>, where tools/setup unpacks the distribution's source packages,
#   3. the download below, checked by its hash.
# A cross build takes nothing from the system.
include(FetchContent)

set(DEPENDENCY_inih_URL https://github.com/benhoyt/inih/archive/refs/tags/r59.tar.gz)
set(DEPENDENCY_inih_SHA256 062279922805f5e9a369551a08d5ddb506140fe50774183ffdbb7c22bb97e3f4)
set(DEPENDENCY_jansson_URL https://github.com/akheron/jansson/archive/refs/tags/v2.14.tar.gz)
set(DEPENDENCY_jansson_SHA256 c739578bf6b764aa0752db9a2fdadcfe921c78f1228c7ec0bb47fa804c55d17b)
set(DEPENDENCY_cares_URL https://c-ares.org/download/c-ares-1.18.1.tar.gz)
set(DEPENDENCY_cares_SHA256 1a7d52a8a84a9fbffb1be9133c0f6e17217d91ea5a6fa61f6b4729cda78ebbcf)
set(DEPENDENCY_cmocka_URL https://cmocka.org/files/1.1/cmocka-1.1.7.tar.xz)
set(DEPENDENCY_cmocka_SHA256 810570eb0b8d64804331f82b29ff47c790ce9cd6b163e98d47a4807047ecad82)

if(NOT CMAKE_CROSSCOMPILING)
    find_package(PkgConfig QUIET)
endif()

# Makes the source of a release available; its own CMakeLists.txt is not run, since not every
# one has one. Sets <name>_SOURCE_DIR and <name>_BINARY_DIR at the caller.
macro(fetch_source name)
    string(TOUPPER ${name} FETCH_NAME)
    if(NOT FETCHCONTENT_SOURCE_DIR_${FETCH_NAME} AND IS_DIRECTORY ${CMAKE_SOURCE_DIR}/build/deps/${name})
        set(FETCHCONTENT_SOURCE_DIR_${FETCH_NAME} ${CMAKE_SOURCE_DIR}/build/deps/${name})
    endif()
    if(NOT FETCHCONTENT_SOURCE_DIR_${FETCH_NAME})
        message(STATUS "${name}: not in build/deps, where tools/setup puts it; downloading")
    endif()
    FetchContent_Declare(${name} URL ${DEPENDENCY_${name}_URL}
        URL_HASH SHA256=${DEPENDENCY_${name}_SHA256}
        DOWNLOAD_EXTRACT_TIMESTAMP FALSE
        SOURCE_SUBDIR not-configured-here)
    FetchContent_MakeAvailable(${name})
    message(STATUS "${name}: built from ${${name}_SOURCE_DIR}")
endmacro()

# Adds a release that has a CMake build of its own; only what we link of it is built.
macro(add_source_build name)
    fetch_source(${name})
    set(CMAKE_POLICY_DEFAULT_CMP0077 NEW) # its options are our variables
    set(CMAKE_POLICY_VERSION_MINIMUM 3.5) # it may ask for an older CMake than this one supports
    set(CMAKE_WARN_DEPRECATED OFF)
    set(CMAKE_MESSAGE_LOG_LEVEL WARNING) # its many checks are not our news
    add_subdirectory(${${name}_SOURCE_DIR} ${${name}_BINARY_DIR} EXCLUDE_FROM_ALL SYSTEM)
    unset(CMAKE_WARN_DEPRECATED)
    unset(CMAKE_MESSAGE_LOG_LEVEL)
endmacro()

# ---- inih ----
# Chosen on purpose, and the reason why a system's inih seldom serves (it is mostly built with
# the presets: lines are cut after 200 bytes, an indented line continues the value above):
# a line may be as long as CONF_LINE_MAX (1024 bytes) and more, so that config/ can say itself
# that one is too long; a line stands for itself; an error does not hide those after it.
set(INIH_DEFINITIONS
    INI_USE_STACK=1 INI_MAX_LINE=2048 INI_ALLOW_MULTILINE=0 INI_ALLOW_BOM=1
    INI_STOP_ON_FIRST_ERROR=0 INI_HANDLER_LINENO=0 INI_CALL_HANDLER_ON_NEW_SECTION=0
    INI_ALLOW_NO_VALUE=0)

if(PKG_CONFIG_FOUND)
    pkg_check_modules(INIH QUIET IMPORTED_TARGET inih)
    if(INIH_FOUND AND NOT DEFINED INIH_SUITS)
        try_run(INIH_PROBE_RESULT INIH_PROBE_BUILT ${CMAKE_BINARY_DIR}/CMakeFiles/inih_probe
            ${CMAKE_CURRENT_LIST_DIR}/inih_probe.c LINK_LIBRARIES PkgConfig::INIH)
        if(INIH_PROBE_BUILT AND INIH_PROBE_RESULT EQUAL 0)
            set(INIH_SUITS TRUE CACHE INTERNAL "the system's inih reads as pairport needs it")
        else()
            set(INIH_SUITS FALSE CACHE INTERNAL "the system's inih reads as pairport needs it")
            message(STATUS "inih: the system's cuts or joins lines, not used")
        endif()
    endif()
endif()
if(INIH_FOUND AND INIH_SUITS)
    add_library(inih INTERFACE)
    target_link_libraries(inih INTERFACE PkgConfig::INIH)
else()
    fetch_source(inih)
    add_library(inih STATIC ${inih_SOURCE_DIR}/ini.c)
    target_include_directories(inih SYSTEM PUBLIC ${inih_SOURCE_DIR})
    target_compile_definitions(inih PUBLIC ${INIH_DEFINITIONS})
    target_link_libraries(inih PRIVATE pairport_code_generation)
endif()

# ---- jansson ----
if(PKG_CONFIG_FOUND)
    pkg_check_modules(JANSSON QUIET IMPORTED_TARGET jansson>=2.13)
endif()
if(JANSSON_FOUND)
    add_library(jansson INTERFACE)
    target_link_libraries(jansson INTERFACE PkgConfig::JANSSON)
else()
    set(JANSSON_BUILD_SHARED_LIBS OFF)
    set(JANSSON_EXAMPLES OFF)
    set(JANSSON_WITHOUT_TESTS ON)
    set(JANSSON_BUILD_DOCS OFF)
    set(JANSSON_INSTALL OFF)
    add_source_build(jansson)
    target_include_directories(jansson SYSTEM INTERFACE ${jansson_BINARY_DIR}/include)
    target_link_libraries(jansson PRIVATE $<BUILD_INTERFACE:pairport_code_generation>)
endif()

# ---- c-ares ----
if(PKG_CONFIG_FOUND)
    pkg_check_modules(LIBCARES QUIET IMPORTED_TARGET libcares>=1.18)
endif()
if(LIBCARES_FOUND)
    add_library(cares INTERFACE)
    target_link_libraries(cares INTERFACE PkgConfig::LIBCARES)
else()
    fetch_source(cares)
    if(WIN32 AND NOT IS_DIRECTORY ${cares_SOURCE_DIR}/src/lib/util)
        # Its own build would ask the compiler some 150 questions; 1.18 brings the answers.
        file(GLOB CARES_SOURCES ${cares_SOURCE_DIR}/src/lib/*.c)
        add_library(c-ares STATIC ${CARES_SOURCES})
        target_include_directories(c-ares SYSTEM PUBLIC ${cares_SOURCE_DIR}/include
            PRIVATE ${cares_SOURCE_DIR}/src/lib)
        target_compile_definitions(c-ares PUBLIC CARES_STATICLIB)
        target_compile_options(c-ares PRIVATE -include _mingw.h) # __int64 is needed first
        target_link_libraries(c-ares PUBLIC ws2_32 advapi32)
    else()
        set(CARES_STATIC ON)
        set(CARES_SHARED OFF)
        set(CARES_INSTALL OFF)
        set(CARES_BUILD_TOOLS OFF)
        add_source_build(cares)
    endif()
    target_compile_options(c-ares PRIVATE -w)
    target_link_libraries(c-ares PRIVATE $<BUILD_INTERFACE:pairport_code_generation>)
    add_library(cares INTERFACE)
    target_link_libraries(cares INTERFACE c-ares)
endif()
target_compile_definitions(cares INTERFACE CARES_NO_DEPRECATED)

# ---- cmocka ----
if(BUILD_TESTING)
    if(PKG_CONFIG_FOUND)
        pkg_check_modules(CMOCKA QUIET IMPORTED_TARGET cmocka>=1.1.5)
    endif()
    if(CMOCKA_FOUND)
        add_library(cmocka INTERFACE)
        target_link_libraries(cmocka INTERFACE PkgConfig::CMOCKA)
    else()
        set(BUILD_SHARED_LIBS OFF)
        set(WITH_EXAMPLES OFF)
        set(UNIT_TESTING OFF)
        add_source_build(cmocka)
        unset(BUILD_SHARED_LIBS)
        target_link_libraries(cmocka PRIVATE $<BUILD_INTERFACE:pairport_code_generation>)
        # C11 without extensions, as we compile, hides POSIX from it.
        target_compile_definitions(cmocka PRIVATE _GNU_SOURCE)
    endif()
endif()
