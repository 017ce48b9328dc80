#!/usr/bin/env bash
# A library exports exactly the functions that the installed C headers declare:
#   exports.sh shared|static GCC INCLUDE_DIR LIBRARY
#
# gcc itself lists the declarations (-aux-info), so that no pattern of ours decides what a function looks like. Inline
# functions are no exports and are left out. In the shared library each symbol must also carry the version node of the
# symbol map.
set -euo pipefail
kind=$1 gcc=$2 include=$3 library=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for header in "$include"/weft/*.h; do
    "$gcc" -std=c11 -DWEFT_NO_INLINE -fsyntax-only -aux-info "$work/info" -I "$include" -x c "$header"
    # /* path:line:NC */ extern weft_status weft_x (int);
    grep -F "/* $include/weft/" "$work/info" | grep ' extern ' | sed -E 's/^[^(]*[ *]([A-Za-z_0-9]+) \(.*/\1/'
done | sort -u >"$work/declared"

if [ "$kind" = shared ]; then
    # The node's own name is in the table, too, as an absolute symbol.
    nm --dynamic --defined-only --with-symbol-versions "$library" | awk '$2 != "A" { print $3 }' | sort >"$work/versioned"
    sed 's/@.*//' "$work/versioned" >"$work/exported"
    if grep -vE '^weft_[a-z0-9_]+@@WEFT_[0-9]+\.[0-9]+$' "$work/versioned"; then
        echo "these symbols have no version of their own" >&2
        exit 1
    fi
else
    nm --extern-only --defined-only "$library" | awk 'NF == 3 { print $3 }' | sort >"$work/exported"
fi

[ -s "$work/declared" ] || { echo "no function found in $include/weft" >&2; exit 1; }
if ! diff --unchanged-line-format= --old-line-format='declared, but not exported: %L' \
    --new-line-format='exported, but not declared: %L' "$work/declared" "$work/exported"; then
    exit 1
fi
echo "$(wc -l <"$work/declared") functions declared and exported"
