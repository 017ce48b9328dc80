#!/usr/bin/env bash
# Builds and runs a program against an installed Weft, as the README tells users to:
#   consume.sh cmake|pkgconfig c|cpp shared|static|default PREFIX LIB_SUBDIR WORK_DIR
# (CC, CXX, CMAKE, CMAKE_GENERATOR in the environment.) Ends well if the program does, and if it loads libweft.so exactly
# when that was asked for.
set -euo pipefail
how=$1 language=$2 library=$3 prefix=$4 lib=$prefix/$5 work=$6
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rm -rf "$work"
mkdir -p "$work"

by_cmake() {
    local target=weft
    [ "$library" = default ] || target=$library
    "$CMAKE" -S "$here/consumer" -B "$work" "-DCMAKE_PREFIX_PATH=$prefix" "-DLANGUAGE=$language" "-DLIBRARY=$target"
    "$CMAKE" --build "$work"
}

# -l:libweft.a is how to ask for the static library where both are installed: -lweft would take the shared one.
by_pkgconfig() {
    local compile=("$CC" -std=c11) flags
    [ "$language" = c ] || compile=("$CXX" -std=c++17)
    export PKG_CONFIG_PATH=$lib/pkgconfig
    case $library in
        shared) flags="$(pkg-config --cflags --libs weft) -Wl,-rpath,$lib" ;;
        static) flags=$(pkg-config --static --cflags --libs weft | sed 's/-lweft/-l:libweft.a/') ;;
        default) flags=$(pkg-config --static --cflags --libs weft) ;;
    esac
    # The flags are words.
    # shellcheck disable=SC2086
    "${compile[@]}" -Wall -Wextra -Wpedantic -Werror "$here/consumer/consumer.$language" -o "$work/consumer" $flags
}

"by_$how"
loads=no
readelf --dynamic "$work/consumer" | grep -q 'NEEDED.*libweft' && loads=yes
expected=no
[ "$library" != shared ] || expected=yes
[ "$loads" = "$expected" ] || { echo "loads libweft.so: $loads, expected $expected" >&2; exit 1; }
"$work/consumer"
