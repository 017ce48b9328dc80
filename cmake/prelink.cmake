# Links the core's archive to one relocatable object in which only weft_* can be seen from outside:
#   cmake -DARCHIVE=... -DOBJECT=... -DCC=... -DNM=... -DOBJCOPY=... -P prelink.cmake
#
# A Rust static archive shows every symbol of Rust's standard library. Two of them in one program clash, and a program
# could bind to what is no part of our interface. So:
#  1. nm lists the weft_* that the archive defines. They are the roots: the linker takes the members that these need,
#     so what an application gets does not depend on how Rust cut its archive into members. (No --gc-sections here: in
#     a relocatable link it would drop .init_array. Who links the library can still use it, sections stay apart.)
#  2. The compiler driver links with -r. --force-group-allocation dissolves COMDAT groups: a group's other copy, of
#     another Rust library in the same program, would otherwise replace ours after ours has been made local.
#  3. objcopy makes everything but weft_* local, rust_eh_personality among them. Unwinding goes on to work: the frame
#     tables refer to it by symbol index. It also removes the LLVM bitcode that members of Rust's standard library carry
#     beside their code: joined, it is no valid bitcode any more, and archivers with an LLVM plugin choke on it.
foreach(variable ARCHIVE OBJECT CC NM OBJCOPY)
    if(NOT ${variable})
        message(FATAL_ERROR "prelink.cmake: -D${variable}= is missing")
    endif()
endforeach()

execute_process(COMMAND "${NM}" --extern-only --defined-only --format=posix "${ARCHIVE}"
                OUTPUT_VARIABLE symbols ERROR_QUIET COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "\nweft_[A-Za-z0-9_]+ [TDBR]" roots "${symbols}")
if(NOT roots)
    message(FATAL_ERROR "prelink.cmake: ${ARCHIVE} defines no weft_* symbol")
endif()
list(TRANSFORM roots REPLACE "\n(weft_[A-Za-z0-9_]+) [TDBR]" "-Wl,-u,\\1")
list(REMOVE_DUPLICATES roots)
list(JOIN roots "\n" roots)
file(WRITE "${OBJECT}.roots" "${roots}\n")

execute_process(COMMAND "${CC}" -r -nostdlib -Wl,--force-group-allocation "@${OBJECT}.roots"
                        -o "${OBJECT}.all" "${ARCHIVE}"
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${OBJCOPY}" --wildcard "--keep-global-symbol=weft_*"
                        --remove-section=.llvmbc --remove-section=.llvmcmd "${OBJECT}.all" "${OBJECT}"
                COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE "${OBJECT}.all" "${OBJECT}.roots")
