# Install rules: headers, libraries, the CMake package and weft.pc. Nothing installed holds an absolute path, so the
# installed tree can be moved. Components: Runtime is what a program needs to run, Development what one needs to build.
include(CMakePackageConfigHelpers)
set(weft_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/Weft")

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/weft" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        COMPONENT Development FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE-MIT" "${PROJECT_SOURCE_DIR}/LICENSE-APACHE"
        DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT Runtime)
# An export set for each library: one can be delivered without the other.
if(WEFT_BUILD_SHARED)
    install(TARGETS weft_shared EXPORT WeftSharedTargets
            LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT Runtime NAMELINK_COMPONENT Development)
    install(EXPORT WeftSharedTargets NAMESPACE Weft:: DESTINATION "${weft_package_dir}" COMPONENT Development)
endif()
if(WEFT_BUILD_STATIC)
    install(TARGETS weft_static EXPORT WeftStaticTargets
            ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT Development)
    install(EXPORT WeftStaticTargets NAMESPACE Weft:: DESTINATION "${weft_package_dir}" COMPONENT Development)
endif()

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/WeftConfig.cmake.in" "${PROJECT_BINARY_DIR}/WeftConfig.cmake"
    INSTALL_DESTINATION "${weft_package_dir}" NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may change what programs rely on.
set(weft_compatibility SameMajorVersion)
if(PROJECT_VERSION_MAJOR EQUAL 0)
    set(weft_compatibility SameMinorVersion)
endif()
write_basic_package_version_file("${PROJECT_BINARY_DIR}/WeftConfigVersion.cmake" COMPATIBILITY ${weft_compatibility})
install(FILES "${PROJECT_BINARY_DIR}/WeftConfig.cmake" "${PROJECT_BINARY_DIR}/WeftConfigVersion.cmake"
        DESTINATION "${weft_package_dir}" COMPONENT Development)

# weft.pc finds the prefix from its own place. An absolute libdir is the packager's wish and stays.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(weft_pc_prefix "${CMAKE_INSTALL_PREFIX}")
    set(weft_pc_libdir "${CMAKE_INSTALL_LIBDIR}")
else()
    cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig"
               OUTPUT_VARIABLE weft_up)
    set(weft_pc_prefix "\${pcfiledir}/${weft_up}")
    set(weft_pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_INCLUDEDIR BASE_DIRECTORY "\${prefix}" OUTPUT_VARIABLE weft_pc_includedir)
list(TRANSFORM WEFT_SYSTEM_LIBS PREPEND "-l" OUTPUT_VARIABLE weft_pc_system_libs)
list(JOIN weft_pc_system_libs " " weft_pc_system_libs)
configure_file("${CMAKE_CURRENT_LIST_DIR}/weft.pc.in" "${PROJECT_BINARY_DIR}/weft.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/weft.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT Development)
