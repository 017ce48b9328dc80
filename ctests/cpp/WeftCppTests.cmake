# The C++ tests as CMake functions, so that one list serves the plain build and every instrumented one. They mirror those of the C
# tests (../c/WeftCTests.cmake).
#
#   WEFT_CPP_TESTS          the names of all C++ tests; test <name> is <name>.cpp
#   WEFT_CPP_ENDING         those that end processes on purpose: of no use to leak checkers, which then report what was cut short
#   WEFT_CPP_OPTIONS        the warnings that must not appear
#
#   weft_cpp_test(<name> [VARIANT <v>] [LINK <target>...] [OPTIONS <flag>...] [LINK_OPTIONS <flag>...]
#                 [LAUNCHER <command>...] [ENVIRONMENT <k=v>...] [TIMEOUT <seconds>] [SERIAL])
#       makes the program weft_cpp_<name> and the CTest cpp.<name>; with VARIANT, weft_cpp_<name>_<v> and san.<v>.cpp.<name>. LINK is
#       Weft::shared unless told. A variant that names neither OPTIONS nor LINK (a launcher alone, such as valgrind) runs the plain
#       program again instead of building another.
#   weft_cpp_tests([TESTS <name>...] [EXCEPT <name>...] <the same keywords>)
#       weft_cpp_test for all of WEFT_CPP_TESTS, or those that TESTS names, without those that EXCEPT names.
#
# For example: weft_cpp_tests(VARIANT asan LINK weft_asan OPTIONS -fsanitize=address -O1 TIMEOUT 600)

set(WEFT_CPP_DIRECTORY "${CMAKE_CURRENT_LIST_DIR}")
set(WEFT_CPP_TESTS runtime waiting default_runtime timers forkjoin loops mutex deadlock futures combinators poll descriptors channels ends select breaker links processes contexts unhandled callback_exception)
# Those in C++20, for what the compiler has of it.
set(WEFT_CPP_20 coroutines)
if(NOT (CMAKE_CXX_COMPILER_ID STREQUAL Clang AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 15))
    list(APPEND WEFT_CPP_TESTS ${WEFT_CPP_20})
endif()
set(WEFT_CPP_ENDING unhandled callback_exception)
set(WEFT_CPP_OPTIONS -Wall -Wextra -Wpedantic -Wshadow -Werror
    # gcc takes the empty half of a std::optional for an uninitialised read when it inlines one.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)

function(weft_cpp_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "VARIANT;TIMEOUT" "LINK;OPTIONS;LINK_OPTIONS;LAUNCHER;ENVIRONMENT")
    set(target weft_cpp_${name})
    set(test cpp.${name})
    if(arg_VARIANT)
        set(test san.${arg_VARIANT}.cpp.${name})
        if(arg_LINK OR arg_OPTIONS)
            string(APPEND target _${arg_VARIANT})
        endif()
    endif()
    if(NOT arg_LINK)
        set(arg_LINK Weft::shared)
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 180)
    endif()

    if(NOT TARGET ${target})
        add_executable(${target} "${WEFT_CPP_DIRECTORY}/${name}.cpp" "${WEFT_CPP_DIRECTORY}/check.cpp")
        set(standard 17)
        if(name IN_LIST WEFT_CPP_20)
            set(standard 20)
        endif()
        set_target_properties(${target} PROPERTIES CXX_STANDARD ${standard} CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
        target_compile_options(${target} PRIVATE ${WEFT_CPP_OPTIONS} -g -fno-omit-frame-pointer ${arg_OPTIONS})
        target_link_options(${target} PRIVATE ${arg_LINK_OPTIONS})
        target_link_libraries(${target} PRIVATE ${arg_LINK} Threads::Threads)
    endif()
    add_test(NAME ${test} COMMAND ${arg_LAUNCHER} $<TARGET_FILE:${target}>)
    set_tests_properties(${test} PROPERTIES TIMEOUT ${arg_TIMEOUT} RUN_SERIAL "${arg_SERIAL}" ENVIRONMENT "${arg_ENVIRONMENT}")
endfunction()

function(weft_cpp_tests)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "TESTS;EXCEPT")
    if(NOT arg_TESTS)
        set(arg_TESTS ${WEFT_CPP_TESTS})
    endif()
    list(REMOVE_ITEM arg_TESTS ${arg_EXCEPT})
    foreach(name IN LISTS arg_TESTS)
        weft_cpp_test(${name} ${arg_UNPARSED_ARGUMENTS})
    endforeach()
endfunction()
