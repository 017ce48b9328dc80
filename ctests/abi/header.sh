#!/usr/bin/env bash
# Each header compiles without a warning, alone, twice in a row, and then together with the others:
#   header.sh COMPILER c|c++ STANDARD INCLUDE_DIR HEADER...
set -euo pipefail
compiler=$1 language=$2 standard=$3 include=$4
shift 4
flags=(-Wall -Wextra -Wpedantic -Werror -Wundef -Wshadow)
[ "$language" = c++ ] || flags+=(-Wstrict-prototypes)

check() {
    "$compiler" -x "$language" "-std=$standard" "${flags[@]}" -fsyntax-only -I "$include" -
}
for header in "$@"; do
    printf '#include <%s>\n#include <%s>\n' "$header" "$header" | check
done
printf '#include <%s>\n' "$@" | check
