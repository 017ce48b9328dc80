#!/usr/bin/env bash
# Runs a `cargo test` with a filter, and fails also when the filter found nothing to run:  some.sh COMMAND...
set -euo pipefail
out=$(mktemp)
trap 'rm -f "$out"' EXIT
"$@" | tee "$out"
grep -qE '^test result: ok\. [1-9]' "$out" || { echo "the filter found no test: $*" >&2; exit 1; }
