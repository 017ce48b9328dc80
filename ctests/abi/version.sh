#!/usr/bin/env bash
# One version everywhere: Cargo.toml has it, every other place must say the same.
#   version.sh SOURCE_DIR PREFIX LIB_SUBDIR PROGRAM     (PROGRAM is version.c)
set -euo pipefail
source=$1 prefix=$2 lib=$3 program=$4
version=$(sed -nE 's/^version *= *"([0-9.]+)".*/\1/p' "$source/Cargo.toml")
abi=$(sed -nE 's/^#define WEFT_ABI_VERSION ([0-9]+)$/\1/p' "$prefix/include/weft/weft.h")
failed=0

# same WHERE ACTUAL [EXPECTED]
same() {
    local expected=${3:-$version}
    if [ "$2" = "$expected" ]; then
        printf '%-28s %s\n' "$1" "$2"
    else
        printf '%-28s "%s", not "%s"\n' "$1" "$2" "$expected" >&2
        failed=1
    fi
}

same 'weft.h' "$("$program" | sed -n 's/^header //p')" "$version abi $abi"
same 'weft_version()' "$("$program" | sed -n 's/^library //p')" "$version abi $abi rest 0"
same 'soname' "$(readelf --dynamic "$prefix/$lib/libweft.so" | sed -nE 's/.*\(SONAME\).*\[(.*)\]/\1/p')" "libweft.so.$abi"
same 'libweft.so' "$(basename "$(readlink -f "$prefix/$lib/libweft.so")")" "libweft.so.$version"
same 'weft.pc' "$(PKG_CONFIG_PATH=$prefix/$lib/pkgconfig pkg-config --modversion weft)"
same 'WeftConfigVersion.cmake' \
    "$(sed -nE 's/^set\(PACKAGE_VERSION "(.*)"\)$/\1/p' "$prefix/$lib/cmake/Weft/WeftConfigVersion.cmake")"
same 'Cargo.lock' "$(sed -n '/^name = "weft"$/{n;s/^version = "\(.*\)"$/\1/p}' "$source/Cargo.lock")"
same 'the Ruby gem' "$(sed -nE 's/^ *VERSION *= *["'\'']([^"'\'']+)["'\''].*/\1/p' "$source/bindings/ruby/lib/weft/version.rb")"
same 'build.zig.zon' "$(sed -nE 's/^ *\.version *= *"(.*)".*/\1/p' "$source/bindings/zig/build.zig.zon")"
same 'CHANGELOG.md, first entry' "$(sed -nE 's/^## \[?v?([0-9]+\.[0-9]+\.[0-9]+).*/\1/p' "$source/CHANGELOG.md" | head -n 1)"
exit $failed
