# The C tests as CMake functions, so that one list serves the plain build and every instrumented one.
#
#   WEFT_C_TESTS            the names of all C tests; test <name> is c/<name>.c and what WEFT_C_EXTRA_<name> lists
#   WEFT_C_SUPPORT          sources that every test needs, compiled once per variant
#   WEFT_C_OPTIONS          the warnings that must not appear
#   WEFT_C_VALGRIND         options that a launcher gets when it is a valgrind: the suppressions, and which children it leaves alone
#
#   weft_c_test(<name> <source>...
#               [VARIANT <v>] [LINK <target>...] [OPTIONS <flag>...] [LINK_OPTIONS <flag>...]
#               [LAUNCHER <command>...] [ENVIRONMENT <k=v>...] [TIMEOUT <seconds>] [SERIAL])
#       makes the program weft_c_<name> and the CTest c.<name>; with VARIANT, weft_c_<name>_<v> and san.<v>.c.<name>. LINK
#       is Weft::shared unless told. A variant that names neither OPTIONS nor LINK (a launcher alone, such as valgrind) runs the
#       plain program again instead of building another.
#   weft_c_tests([TESTS <name>...] <the same keywords>)
#       weft_c_test for all of WEFT_C_TESTS, or those that TESTS names.
#
# For example: weft_c_tests(VARIANT tsan LINK weft_tsan OPTIONS -fsanitize=thread LINK_OPTIONS -fsanitize=thread TIMEOUT 600)

set(WEFT_C_DIRECTORY "${CMAKE_CURRENT_LIST_DIR}")
set(WEFT_C_TESTS
    selftest status interrupt log log_next bytes topology
    runtime kinds resize locals default_runtime blocking stall hooks shutdown leaving stats idle
    tasks submit outside priority fairness cancel timers timer_ends deadlines after async
    join forks forks_called loops reduce
    mutex deadlock
    futures future_callbacks fd_watch fd_watch_ends fd_watch_tasks future_combined future_cancel future_time future_poll
    channels channel_waits channel_ends channel_many channel_types
    channel_batches channel_counted channel_fd select select_poll
    breaker breaker_callbacks
    link link_waits link_death
    process process_lost process_ends process_births process_hostile process_faults process_host
    context context_fork context_fork_fails context_kinds context_pool context_process
    fork fork_waits ending scarcity misuse stress)
set(WEFT_C_EXTRA_timers ticks.c)
set(WEFT_C_EXTRA_timer_ends ticks.c)
set(WEFT_C_EXTRA_fd_watch descriptors.c)
set(WEFT_C_EXTRA_fd_watch_ends descriptors.c)
set(WEFT_C_EXTRA_fd_watch_tasks descriptors.c)
set(WEFT_C_EXTRA_fork_waits inherited.c descriptors.c)
set(WEFT_C_EXTRA_misuse misuse_values.c misuse_runtime.c misuse_kinds.c misuse_tasks.c misuse_cancel.c misuse_locks.c misuse_timer.c
    misuse_futures.c misuse_waiting.c
    misuse_channels.c misuse_select.c misuse_breaker.c misuse_link.c misuse_process.c misuse_process_host.c misuse_context.c)
set(WEFT_C_EXTRA_context contexts.c)
set(WEFT_C_EXTRA_context_fork contexts.c)
set(WEFT_C_EXTRA_context_fork_fails contexts.c)
set(WEFT_C_EXTRA_context_kinds contexts.c)
set(WEFT_C_EXTRA_context_pool contexts.c)
set(WEFT_C_EXTRA_context_process processes.c)
set(WEFT_C_EXTRA_link links.c)
set(WEFT_C_EXTRA_link_waits links.c)
set(WEFT_C_EXTRA_link_death links.c)
set(WEFT_C_EXTRA_process processes.c)
set(WEFT_C_EXTRA_process_ends processes.c)
set(WEFT_C_EXTRA_process_lost processes.c)
set(WEFT_C_EXTRA_process_births processes.c)
set(WEFT_C_EXTRA_process_hostile processes.c)
set(WEFT_C_EXTRA_process_faults processes.c)
set(WEFT_C_EXTRA_process_host processes.c)
set(WEFT_C_SUPPORT "${WEFT_C_DIRECTORY}/harness.c" "${WEFT_C_DIRECTORY}/support.c")
set(WEFT_C_OPTIONS -Wall -Wextra -Wpedantic -Werror)
set(WEFT_C_VALGRIND "--suppressions=${WEFT_C_DIRECTORY}/valgrind.supp"
    --trace-children=yes --trace-children-skip-by-arg=--child-without-leak-check)

# What all C tests of a variant are compiled with.
function(weft_c_compile_options target)
    set_target_properties(${target} PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
    # -g, and frames that a backtrace can follow: a failure here is often a failure of threads.
    target_compile_options(${target} PRIVATE ${WEFT_C_OPTIONS} -g -fno-omit-frame-pointer ${ARGN})
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
endfunction()

function(weft_c_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "VARIANT;TIMEOUT" "LINK;OPTIONS;LINK_OPTIONS;LAUNCHER;ENVIRONMENT")
    set(suffix "")
    set(test c.${name})
    if(arg_VARIANT)
        set(test san.${arg_VARIANT}.c.${name})
        if(arg_LINK OR arg_OPTIONS)
            set(suffix _${arg_VARIANT})
        endif()
    endif()
    if(NOT arg_LINK)
        set(arg_LINK Weft::shared)
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 180)
    endif()
    if(arg_LAUNCHER MATCHES "valgrind")
        list(APPEND arg_LAUNCHER ${WEFT_C_VALGRIND})
    endif()

    set(support weft_c_support${suffix})
    if(NOT TARGET ${support})
        add_library(${support} OBJECT ${WEFT_C_SUPPORT})
        weft_c_compile_options(${support} ${arg_OPTIONS})
        target_link_libraries(${support} PRIVATE ${arg_LINK})
    endif()
    set(target weft_c_${name}${suffix})
    if(NOT TARGET ${target})
        add_executable(${target} ${arg_UNPARSED_ARGUMENTS})
        weft_c_compile_options(${target} ${arg_OPTIONS})
        target_compile_definitions(${target} PRIVATE "WEFT_TEST_HEADER=\"${PROJECT_SOURCE_DIR}/include/weft/weft.h\"")
        target_link_options(${target} PRIVATE ${arg_LINK_OPTIONS})
        target_link_libraries(${target} PRIVATE ${support} ${arg_LINK} Threads::Threads)
    endif()
    add_test(NAME ${test} COMMAND ${arg_LAUNCHER} $<TARGET_FILE:${target}>)
    # The watchdog inside the program comes first: it names the test that hangs.
    math(EXPR watchdog "${arg_TIMEOUT} - ${arg_TIMEOUT} / 6")
    set_tests_properties(${test} PROPERTIES TIMEOUT ${arg_TIMEOUT} RUN_SERIAL "${arg_SERIAL}"
        ENVIRONMENT "WEFT_TEST_SECONDS=${watchdog};${arg_ENVIRONMENT}")
endfunction()

function(weft_c_tests)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "TESTS")
    if(NOT arg_TESTS)
        set(arg_TESTS ${WEFT_C_TESTS})
    endif()
    foreach(name IN LISTS arg_TESTS)
        list(TRANSFORM WEFT_C_EXTRA_${name} PREPEND "${WEFT_C_DIRECTORY}/" OUTPUT_VARIABLE extra)
        weft_c_test(${name} "${WEFT_C_DIRECTORY}/${name}.c" ${extra} ${arg_UNPARSED_ARGUMENTS})
    endforeach()
endfunction()
