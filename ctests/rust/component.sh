#!/usr/bin/env bash
# Runs a cargo command that is a component of its own, or says that it is missing, with the status that CTest counts as
# skipped:  component.sh clippy|fmt ARGUMENT...          (CARGO in the environment)
set -euo pipefail
if ! "$CARGO" "$1" --version >/dev/null 2>&1; then
    echo "skipped: this Rust toolchain has no cargo $1"
    exit 77
fi
exec "$CARGO" "$@"
