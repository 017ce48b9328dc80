#!/usr/bin/env bash
# The system libraries that our packages name are those that rustc wants linked to the core:
#   native_libs.sh LIBRARY...          (CARGO and CARGO_TARGET_DIR in the environment)
# What hwloc needs of its own, its pkg-config file says, and so do our packages by referring to it.
set -euo pipefail
file=$CARGO_TARGET_DIR/native-libs.txt
"$CARGO" rustc --locked --quiet --package weft --lib --crate-type staticlib -- "--print=native-static-libs=$file"

names() { tr ' ' '\n' | sed -n 's/^-l//p' | sort -u; }
diff --label rustc <(names <"$file") \
    --label 'Weft and hwloc.pc' <({ printf -- '-l%s ' "$@"; pkg-config --static --libs hwloc; } | names)
