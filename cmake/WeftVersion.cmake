# Reads the version from Cargo.toml, the only place where it is written by hand; the abi.version test compares every
# other place with it.
set(WEFT_MANIFEST "${CMAKE_CURRENT_LIST_DIR}/../Cargo.toml")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${WEFT_MANIFEST}")
file(STRINGS "${WEFT_MANIFEST}" weft_version_lines REGEX "^version *= *\"[0-9]+\\.[0-9]+\\.[0-9]+\"")
list(LENGTH weft_version_lines weft_version_count)
if(NOT weft_version_count EQUAL 1)
    message(FATAL_ERROR "Cargo.toml must have exactly one line like: version = \"1.2.3\"; it has ${weft_version_count}")
endif()
string(REGEX REPLACE "^version *= *\"([0-9.]+)\".*" "\\1" WEFT_CARGO_VERSION "${weft_version_lines}")

# The ABI's version is another number: the shared library's soname has it. The Rust sources say it, the header repeats it.
set(WEFT_HEADER "${CMAKE_CURRENT_LIST_DIR}/../include/weft/weft.h")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${WEFT_HEADER}")
file(STRINGS "${WEFT_HEADER}" weft_abi_line REGEX "^#define WEFT_ABI_VERSION [0-9]+$")
if(NOT weft_abi_line)
    message(FATAL_ERROR "${WEFT_HEADER} does not define WEFT_ABI_VERSION")
endif()
string(REGEX REPLACE ".* " "" WEFT_ABI_VERSION "${weft_abi_line}")
