#!/usr/bin/env bash
# The Zig module with one compiler, for CTest:
#   run.sh tests ZIG translate|cimport INCLUDE LIB_DIR WORK_DIR    runs test/all.zig by hand-written modules
#   run.sh readme ZIG translate|cimport INCLUDE LIB_DIR WORK_DIR   compiles and runs the example in README.md as it stands there
#   run.sh build ZIG INCLUDE LIB_DIR WORK_DIR                      `zig build test`
# The module "c" is what translate-c makes of weft.h, or src/cimport.zig. ZIG_GLOBAL_CACHE_DIR comes from the environment: the first
# run of a compiler builds parts of itself into it, which takes minutes.
set -euo pipefail
action=$1 zig=$2
shift 2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if ! "$zig" version >/dev/null 2>&1; then
    echo "there is no Zig compiler at '$zig': \`make test\` installs it" >&2
    exit 1
fi

# modules COMMAND ROOT: runs a zig command on a root file that imports weft
modules() {
    local c=$work/c.zig
    if [ "$source" = translate ]; then
        "$zig" translate-c -lc -DWEFT_NO_INLINE "-I$include" "$include/weft/weft.h" >"$c"
    else
        c=$here/src/cimport.zig
    fi
    "$zig" "$1" "${@:3}" -lc --dep weft "-Mroot=$2" --dep c "-Mweft=$here/src/weft.zig" "-I$include" "-Mc=$c" \
        "-L$lib" -lweft -rpath "$lib"
}

tests() {
    modules test "$here/test/all.zig"
}

readme() {
    sed -n '/^```zig$/,/^```$/{/^```/!p}' "$here/README.md" >"$work/readme.zig"
    modules build-exe "$work/readme.zig" "-femit-bin=$work/readme"
    [ "$("$work/readme" 2>&1)" = "the primes below 10000 add up to 5736396" ]
}

if [ "$action" = build ]; then
    include=$1 lib=$2 work=$3
    mkdir -p "$work"
    cd "$here"
    exec "$zig" build test --summary all --cache-dir "$work/cache" "-Dinclude=$include" "-Dlib=$lib"
fi
source=$1 include=$2 lib=$3 work=$4
mkdir -p "$work"
export ZIG_LOCAL_CACHE_DIR=$work/cache
"$action"
