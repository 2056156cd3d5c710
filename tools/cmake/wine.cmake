# Tests of a Windows program that was cross-built run under Wine; see under_wine.
if(WIN32 AND CMAKE_CROSSCOMPILING)
    set(CMAKE_CROSSCOMPILING_EMULATOR
        ${CMAKE_SOURCE_DIR}/tools/cmake/under_wine ${CMAKE_BINARY_DIR}/wine)
endif()
