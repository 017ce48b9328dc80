# Everything that CTest runs, from all corners of the project. Names begin with who is tested: c., cpp., ruby., zig.,
# demo., rust. and model. for the suites, abi. and install. for what gets installed, san. for instrumented runs.
enable_language(CXX)
find_package(Threads REQUIRED)
find_program(WEFT_BASH bash REQUIRED)
# Debian's Ruby where there is one: only that one finds Debian's ruby-ffi. (bindings/ruby looks further.)
find_program(WEFT_RUBY ruby PATHS /usr/bin NO_DEFAULT_PATH)

# Installed trees for the tests that look at what users get. CTest installs before the first of them runs: FIXTURES_REQUIRED
# weft_stage. The tree is installed to one place and moved to WEFT_STAGE, so all of them prove that it can be moved.
set(WEFT_STAGE "${PROJECT_BINARY_DIR}/stage/moved")
# Rust's tests share one directory for cargo, apart from the libraries', whose flags differ.
set(WEFT_CARGO_TEST_DIR "${PROJECT_BINARY_DIR}/cargo/test")

# weft_cargo_test(<name> <cargo command> <argument>...)
# weft_cargo_test(<name> SCRIPT <script> <argument>...)
# A test that runs cargo on the workspace, or a script that does (with CARGO and CARGO_TARGET_DIR in its environment).
# cargo locks its directory, so these run one after the other.
function(weft_cargo_test name command)
    set(arguments ${ARGN})
    if(command STREQUAL "SCRIPT")
        set(command_line "${WEFT_BASH}" ${arguments})
    else()
        set(command_line "${WEFT_CARGO}" ${command} --locked ${arguments})
    endif()
    add_test(NAME ${name} COMMAND ${command_line} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
    set_tests_properties(${name} PROPERTIES TIMEOUT 900 RESOURCE_LOCK weft_cargo_test
        ENVIRONMENT "CARGO=${WEFT_CARGO};CARGO_TARGET_DIR=${WEFT_CARGO_TEST_DIR}")
endfunction()

# What takes longest comes first: CTest starts its first run in this order.
add_subdirectory(bindings/zig)
add_subdirectory(ctests)
add_subdirectory(ctests/cpp)
add_subdirectory(bindings/ruby)
add_subdirectory(ctests/rust)
add_subdirectory(ctests/abi)
add_subdirectory(ctests/install)
if(WEFT_INSTRUMENTED)
    add_subdirectory(ctests/san)
endif()
