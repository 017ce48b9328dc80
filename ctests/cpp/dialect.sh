#!/usr/bin/env bash
# weft.hpp in one compiler and dialect:
#   dialect.sh runs gcc|clang STANDARD SOURCE EXPECTED_OUTPUT WORK_DIR    compiles, links and runs a program
#   dialect.sh compiles gcc|clang STANDARD DIRECTORY                      every .cpp of a directory goes through the compiler
#   dialect.sh alone gcc|clang STANDARD...                                every C++ header compiles without the others before it
#   dialect.sh refuses gcc|clang SENTENCE FLAG...                         weft.hpp stops the compiler, saying so and nothing else
# Warnings are errors. WEFT_INCLUDE, WEFT_LIBRARY_FILE, GXX and CLANGXX come from the environment.
set -euo pipefail
action=$1 which=$2
shift 2

case $which in
    gcc) compiler=$GXX ;;
    clang) compiler=$CLANGXX ;;
esac
if [ -z "$compiler" ] || [ "${compiler%NOTFOUND}" != "$compiler" ]; then
    echo "there is no $which C++ compiler here: \`make test\` installs one" >&2
    exit 1
fi
flags=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -I "$WEFT_INCLUDE" -pthread)

runs() {
    local standard=$1 source=$2 expected=$3 program=$4/hello-$which-$1
    local libraries=${WEFT_LIBRARY_FILE%/*}
    "$compiler" "-std=c++$standard" -O2 "${flags[@]}" "$source" -o "$program" "-L$libraries" -lweft "-Wl,-rpath,$libraries"
    diff "$expected" <("$program")
}

compiles() {
    local source
    for source in "$2"/*.cpp; do
        "$compiler" "-std=c++$1" -fsyntax-only "${flags[@]}" -Wno-conversion "$source"
    done
}

alone() {
    local standard header
    for standard in "$@"; do
        for header in "$WEFT_INCLUDE"/weft/weft.hpp "$WEFT_INCLUDE"/weft/cpp/*.hpp; do
            "$compiler" "-std=c++$standard" -fsyntax-only "${flags[@]}" -include "$header" -x c++ /dev/null
        done
    done
}

refuses() {
    local sentence=$1 said
    shift
    if said=$("$compiler" "$@" "${flags[@]}" -fsyntax-only -include weft/weft.hpp -x c++ /dev/null 2>&1); then
        echo "compiled, and should not have" >&2
        exit 1
    fi
    printf '%s\n' "$said"
    [[ $said == *"$sentence"* ]]
    [ "$(grep -c 'error:' <<<"$said")" = 1 ]
}

"$action" "$@"
