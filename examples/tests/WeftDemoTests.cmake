# The tests of the example programs, as a CMake function, so that instrumented builds of the library can run them too.
#
#   weft_demo_tests([VARIANT <v> [LINK <target>] [OPTIONS <flag>...]] [LAUNCHER <command>...] [ENVIRONMENT <k=v>...]
#                   [TESTS <name>...] [EXCEPT <name>...] [TIMEOUT <seconds>])
#
# Without VARIANT: demo.<name> for each name in WEFT_DEMO_TESTS, with the programs as users get them. With VARIANT: programs of
# their own, linked with LINK (Weft::weft unless told) and compiled with OPTIONS too, and the tests san.<v>.demo.<name>.
# LAUNCHER runs the programs within each test, such as valgrind and its options.
#
# What instruments need: ThreadSanitizer delivers signals late, so EXCEPT interrupt; and report_thread_leaks=0, because corpus ends
# with exit() when something fails, and its workers then have nobody to join them. Under valgrind hwloc warns on standard error,
# which some tests compare, unless HWLOC_COMPONENTS is -x86; words and memory take too long there.
#
# Each test is tests/<name>.sh; what they share is in tests/lib.sh. Some need corpus to meet files that change at the right
# moment: the program corpus_staged is corpus with tests/staged.c between it and the system.

set(WEFT_DEMO_DIRECTORY "${CMAKE_CURRENT_LIST_DIR}")
get_target_property(WEFT_DEMO_SOURCES corpus SOURCES)
list(TRANSFORM WEFT_DEMO_SOURCES PREPEND "${WEFT_DEMO_DIRECTORY}/../")
set(WEFT_DEMO_TESTS hello stages event_loop words isolate special changing interrupt memory arguments output progress speedup)
find_program(WEFT_DEMO_BASH bash REQUIRED)

function(weft_demo_program target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "LINK" "OPTIONS;SOURCES")
    add_executable(${target} ${arg_SOURCES})
    set_target_properties(${target} PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Werror ${arg_OPTIONS})
    target_link_libraries(${target} PRIVATE ${arg_LINK})
endfunction()

function(weft_demo_tests)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "VARIANT;LINK;TIMEOUT" "OPTIONS;LAUNCHER;ENVIRONMENT;TESTS;EXCEPT")
    if(NOT arg_LINK)
        set(arg_LINK Weft::weft)
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 180)
    endif()
    if(NOT arg_TESTS)
        set(arg_TESTS ${WEFT_DEMO_TESTS})
    endif()
    list(REMOVE_ITEM arg_TESTS "" ${arg_EXCEPT})

    set(suffix "")
    set(prefix demo)
    if(arg_VARIANT)
        set(prefix san.${arg_VARIANT}.demo)
        if(arg_OPTIONS OR NOT arg_LINK STREQUAL "Weft::weft")
            set(suffix _${arg_VARIANT})
            foreach(program IN ITEMS hello stages event_loop)
                weft_demo_program(${program}${suffix} LINK ${arg_LINK} OPTIONS ${arg_OPTIONS}
                    SOURCES "${WEFT_DEMO_DIRECTORY}/../${program}.c")
            endforeach()
            weft_demo_program(corpus${suffix} LINK ${arg_LINK} OPTIONS ${arg_OPTIONS} SOURCES ${WEFT_DEMO_SOURCES})
        endif()
    endif()
    set(staged corpus_staged${suffix})
    if(NOT TARGET ${staged})
        weft_demo_program(${staged} LINK ${arg_LINK} OPTIONS ${arg_OPTIONS} SOURCES ${WEFT_DEMO_SOURCES} "${WEFT_DEMO_DIRECTORY}/staged.c")
        target_compile_definitions(${staged} PRIVATE open=staged_open pread=staged_pread
            malloc=staged_malloc calloc=staged_calloc realloc=staged_realloc strdup=staged_strdup)
    endif()

    foreach(name IN LISTS arg_TESTS)
        set(test ${prefix}.${name})
        add_test(NAME ${test} COMMAND "${WEFT_DEMO_BASH}" "${WEFT_DEMO_DIRECTORY}/${name}.sh")
        # Lists are spelt with spaces in here: the scripts split them at blanks.
        string(REPLACE ";" " " launcher "${arg_LAUNCHER}")
        set_tests_properties(${test} PROPERTIES TIMEOUT ${arg_TIMEOUT} ENVIRONMENT
            "HELLO=$<TARGET_FILE:hello${suffix}>;STAGES=$<TARGET_FILE:stages${suffix}>;EVENT_LOOP=$<TARGET_FILE:event_loop${suffix}>;CORPUS=$<TARGET_FILE:corpus${suffix}>;STAGED=$<TARGET_FILE:${staged}>;LAUNCHER=${launcher};WORK=${CMAKE_CURRENT_BINARY_DIR}/demo-tests/${test};${arg_ENVIRONMENT}")
    endforeach()
endfunction()
