# weft_cargo_staticlib(<target> ARCHIVE <variable> [ENVIRONMENT name=value...] [PROFILE profile] [INSTRUMENTED])
#
# A target that has cargo compile the core to a static archive, whose path goes into <variable>. cargo is always asked
# and decides by itself what is stale; an archive that did not change keeps its time stamp, so nothing behind it is
# built again. The static archive is asked for alone (`cargo rustc --crate-type staticlib`), because cargo does not
# optimise across crates as soon as a Rust library comes out of the same compilation. Each target has its own
# directory for cargo, so that neither other flags nor other cargo commands throw its results away.
#
# INSTRUMENTED compiles for the host triple by name: build scripts and macros then stay free of ENVIRONMENT's RUSTFLAGS.
find_program(WEFT_CARGO cargo HINTS "$ENV{CARGO_HOME}/bin" "$ENV{HOME}/.cargo/bin" REQUIRED
             DOC "cargo, of the Rust toolchain that builds the core")
mark_as_advanced(WEFT_CARGO)

# The triple cargo compiles for when nobody says otherwise.
function(weft_host_triple variable)
    get_filename_component(directory "${WEFT_CARGO}" DIRECTORY)
    find_program(WEFT_RUSTC rustc HINTS "${directory}" REQUIRED DOC "rustc, beside cargo")
    mark_as_advanced(WEFT_RUSTC)
    execute_process(COMMAND "${WEFT_RUSTC}" -vV OUTPUT_VARIABLE description COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCH "host: ([^\n]+)" ignored "${description}")
    set(${variable} "${CMAKE_MATCH_1}" PARENT_SCOPE)
endfunction()

function(weft_cargo_staticlib target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "INSTRUMENTED" "ARCHIVE;PROFILE" "ENVIRONMENT")
    set(target_dir "${PROJECT_BINARY_DIR}/cargo/${target}")
    set(profile_dir "${arg_PROFILE}")
    if(profile_dir STREQUAL "dev")
        set(profile_dir "debug")
    endif()
    set(triple_option "")
    if(arg_INSTRUMENTED)
        weft_host_triple(triple)
        set(triple_option --target ${triple})
        string(PREPEND profile_dir "${triple}/")
    endif()
    set(archive "${target_dir}/${profile_dir}/libweft.a")
    add_custom_target(${target}
        COMMAND ${CMAKE_COMMAND} -E env ${arg_ENVIRONMENT} "CARGO_TARGET_DIR=${target_dir}"
                "${WEFT_CARGO}" rustc --locked --quiet --package weft --lib --crate-type staticlib
                --profile "${arg_PROFILE}" ${triple_option}
        BYPRODUCTS "${archive}"
        WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
        COMMENT "cargo: the core as a static archive (${target})"
        USES_TERMINAL VERBATIM)
    set(${arg_ARCHIVE} "${archive}" PARENT_SCOPE)
endfunction()
