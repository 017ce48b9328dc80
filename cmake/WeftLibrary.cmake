# The libraries: targets weft_shared and weft_static, in the build tree also Weft::shared, Weft::static and Weft::weft,
# the names that an installed Weft has too.
include(WeftCargo)
find_package(PkgConfig REQUIRED)
pkg_check_modules(WEFT_HWLOC REQUIRED IMPORTED_TARGET hwloc>=2.0)

# What the core needs of the system beside hwloc, which brings its own needs along: rustc's native-static-libs. They
# are wanted before cargo has run, so they stand here; the abi.native_libs test compares them with what rustc says.
set(WEFT_SYSTEM_LIBS gcc_s util rt pthread m dl c)
set(WEFT_SYMBOL_MAP "${CMAKE_CURRENT_LIST_DIR}/weft.map")

# CMAKE_BUILD_TYPE Debug means cargo's dev profile; anything else, a generator with many configurations too, release.
set(weft_profile release)
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
    set(weft_profile dev)
endif()
weft_cargo_staticlib(weft_core ARCHIVE weft_archive PROFILE "${weft_profile}")

# One object with only weft_* visible. Both libraries are made of it.
set(weft_object "${PROJECT_BINARY_DIR}/weft.o")
add_custom_command(OUTPUT "${weft_object}"
    COMMAND "${CMAKE_COMMAND}" "-DARCHIVE=${weft_archive}" "-DOBJECT=${weft_object}" "-DCC=${CMAKE_C_COMPILER}"
            "-DNM=${CMAKE_NM}" "-DOBJCOPY=${CMAKE_OBJCOPY}" -P "${CMAKE_CURRENT_LIST_DIR}/prelink.cmake"
    DEPENDS weft_core "${weft_archive}" "${CMAKE_CURRENT_LIST_DIR}/prelink.cmake"
    COMMENT "Linking the core to one object that shows only weft_*"
    VERBATIM)
set_source_files_properties("${weft_object}" PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
add_custom_target(weft_object DEPENDS "${weft_object}")
set(weft_headers "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")

if(WEFT_BUILD_SHARED)
    add_library(weft_shared SHARED "${weft_object}")
    add_library(Weft::shared ALIAS weft_shared)
    add_dependencies(weft_shared weft_object)
    set_target_properties(weft_shared PROPERTIES
        OUTPUT_NAME weft EXPORT_NAME shared LINKER_LANGUAGE C
        VERSION "${PROJECT_VERSION}" SOVERSION "${WEFT_ABI_VERSION}"
        LINK_DEPENDS "${WEFT_SYMBOL_MAP}")
    target_include_directories(weft_shared INTERFACE ${weft_headers})
    # nodelete: the library owns threads, so its code must stay when a host program calls dlclose.
    target_link_options(weft_shared PRIVATE
        "LINKER:--version-script=${WEFT_SYMBOL_MAP}" "LINKER:--no-undefined" "LINKER:--gc-sections" "LINKER:--as-needed"
        "LINKER:-z,relro,-z,now,-z,nodelete,-z,noexecstack")
    target_link_libraries(weft_shared PRIVATE PkgConfig::WEFT_HWLOC ${WEFT_SYSTEM_LIBS})
endif()

if(WEFT_BUILD_STATIC)
    add_library(weft_static STATIC "${weft_object}")
    add_library(Weft::static ALIAS weft_static)
    add_dependencies(weft_static weft_object)
    set_target_properties(weft_static PROPERTIES OUTPUT_NAME weft EXPORT_NAME static LINKER_LANGUAGE C)
    target_include_directories(weft_static INTERFACE ${weft_headers})
    target_link_libraries(weft_static INTERFACE
        "$<BUILD_INTERFACE:PkgConfig::WEFT_HWLOC>" "$<INSTALL_INTERFACE:Weft::hwloc>" ${WEFT_SYSTEM_LIBS})
endif()

if(WEFT_BUILD_SHARED)
    add_library(Weft::weft ALIAS weft_shared)
else()
    add_library(Weft::weft ALIAS weft_static)
endif()
