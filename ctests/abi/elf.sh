#!/usr/bin/env bash
# How the installed libraries are linked: names, what they ask of the loader, and what no library of ours may have.
#   elf.sh LIB_DIR VERSION ABI_VERSION
set -euo pipefail
dir=$1 version=$2 abi=$3
so=$dir/libweft.so.$version
failed=0

# check WHAT EXPECTED ACTUAL
check() {
    [ "$2" = "$3" ] || { printf '%s: expected "%s", found "%s"\n' "$1" "$2" "$3" >&2; failed=1; }
}
# lacks WHAT COMMAND...: the command finds nothing
lacks() {
    local what=$1 found
    shift
    found=$("$@" || true)
    [ -z "$found" ] || { printf '%s:\n%s\n' "$what" "$found" >&2; failed=1; }
}
dynamic() { readelf --wide --dynamic "$so" | sed -nE "s/.*\($1\) *(.*)/\1/p"; }

check 'the file behind libweft.so' "libweft.so.$version" "$(basename "$(readlink -f "$dir/libweft.so")")"
check 'the link libweft.so' "libweft.so.$abi" "$(readlink "$dir/libweft.so")"
check 'the soname' "Library soname: [libweft.so.$abi]" "$(dynamic SONAME)"
# STATIC_TLS: one word of each thread's, see src/platform/local.rs.
check 'the flags' 'BIND_NOW STATIC_TLS' "$(dynamic FLAGS)"
check 'more flags' 'Flags: NOW NODELETE' "$(dynamic FLAGS_1)"
check 'the version nodes' "libweft.so.$abi WEFT_0.1" \
    "$(readelf --wide --version-info "$so" | sed -nE '/definition section/,/needs section/s/.*Name: //p' | paste -sd' ')"
# What a program that links Weft pulls in: hwloc, and what every program has.
check 'the libraries needed' 'libc.so libgcc_s.so libhwloc.so' \
    "$(dynamic NEEDED | sed -E 's/.*\[(.*\.so).*/\1/' | grep -v '^ld-linux' | sort | paste -sd' ')"
check 'the stack' 'RW' "$(readelf --wide --segments "$so" | awk '$1 == "GNU_STACK" { print $7 }')"
check 'read-only after relocation' 'R' "$(readelf --wide --segments "$so" | awk '$1 == "GNU_RELRO" { print $7 }')"
lacks 'relocations in the code' dynamic TEXTREL
lacks 'a search path' dynamic 'R(UN)?PATH'

# A member without .note.GNU-stack, or with an executable one, makes the stack of every program that links it executable.
check 'the members of libweft.a' 'weft.o' "$(ar t "$dir/libweft.a" | paste -sd' ')"
check 'the flags of the section that libweft.a asks for a stack with' 'flags ""' \
    "$(readelf --wide --sections "$dir/libweft.a" |
        sed -nE 's/.*\.note\.GNU-stack +PROGBITS( +[0-9a-f]+){4} +([A-Z]*) *[0-9]+ +[0-9]+ +[0-9]+$/flags "\2"/p')"
# Groups would let another Rust library's copy of a section replace ours; see cmake/prelink.cmake.
lacks 'section groups in libweft.a' grep -v 'no section groups' <(readelf --section-groups "$dir/libweft.a" | grep -i group)
exit $failed
