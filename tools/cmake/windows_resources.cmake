# add_windows_resources(PROGRAM DESCRIPTION): the version that Explorer shows, and the manifest
# by which the program's code page is UTF-8. Does nothing for another system.
if(WIN32)
    enable_language(RC)
endif()

function(add_windows_resources program description)
    if(NOT WIN32)
        return()
    endif()
    set(RESOURCE_NAME ${program})
    set(RESOURCE_DESCRIPTION ${description})
    set(RESOURCE_MANIFEST ${CMAKE_SOURCE_DIR}/tools/cmake/utf8.manifest)
    configure_file(${CMAKE_SOURCE_DIR}/tools/cmake/program.rc.in
        ${CMAKE_CURRENT_BINARY_DIR}/${program}.rc @ONLY)
    target_sources(${program} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/${program}.rc)
    set_source_files_properties(${CMAKE_CURRENT_BINARY_DIR}/${program}.rc PROPERTIES
        OBJECT_DEPENDS ${RESOURCE_MANIFEST})
endfunction()
