#!/usr/bin/env bash
# Fuzzes links with the stable toolchain:
#
#   fuzz/run.sh build           builds the targets
#   fuzz/run.sh short           so many inputs from a fixed seed, which begin with the corpus
#   fuzz/run.sh long SECONDS    as long as that, shared among the targets, with what earlier runs have found
#
# cargo-fuzz asks a nightly compiler for coverage; the pass that makes it is in the stable one, and libFuzzer is in its
# crate. AddressSanitizer is in neither, so a read beyond the end shows only where nothing is mapped. What is found anew stays
# in long/ under the directory of the build: to keep it, merge it into fuzz/corpus (libFuzzer's -merge=1). An input that fails
# is left beside it and named. The build is in WEFT_FUZZ_DIR (target/fuzz).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
what=${1:-short}
cargo=${CARGO:-cargo}
directory=${WEFT_FUZZ_DIR:-$PWD/../target/fuzz}
targets=(ring socket)
triple=$("${cargo%cargo}rustc" -vV | sed -n 's/^host: //p')
# With --target they are not for build scripts.
flags=(--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares)
CARGO_TARGET_DIR=$directory RUSTFLAGS=${flags[*]} "$cargo" build --locked --release --quiet --target "$triple"

case $what in
    build) exit ;;
    # No limit in time: what a slow machine takes long for is no failure.
    short) options=(-runs=20000 -seed=1 -timeout=600) ;;
    long) options=(-max_total_time=$((${2:?seconds} / ${#targets[@]})) -timeout=60) ;;
    *) echo "usage: fuzz/run.sh build|short|long SECONDS" >&2; exit 2 ;;
esac
for target in "${targets[@]}"; do
    # libFuzzer writes what it finds into the first.
    found="$directory/$what/$target"
    [ "$what" = long ] || rm -rf "$found"
    mkdir -p "$found"
    echo "$target"
    if ! "$directory/$triple/release/$target" -max_len=4096 -artifact_prefix="$directory/$target-" "${options[@]}" \
        "$found" "corpus/$target" >"$directory/$target.log" 2>&1; then
        tail -n 60 "$directory/$target.log"
        exit 1
    fi
    tail -n 1 "$directory/$target.log"
done
