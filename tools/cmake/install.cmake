# `cmake --install`: GNU directories, and systemd's below the prefix, where systemd looks for
# prefixes /usr and /usr/local.
include(GNUInstallDirs)

install(TARGETS pairport pairload RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES LICENSE README.md conf/pairport.ini conf/minimal.ini
    DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY conf/examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES conf/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/conf)
install(FILES src/control/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/src/control)
if(WIN32)
    return()
endif()

configure_file(src/pairport.1.in pairport.1 @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/pairport.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
configure_file(conf/systemd/pairport.service.in pairport.service @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/pairport.service conf/systemd/pairport.socket
    DESTINATION lib/systemd/system)
install(FILES conf/systemd/pairport.sysusers DESTINATION lib/sysusers.d RENAME pairport.conf)
