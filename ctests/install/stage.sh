#!/usr/bin/env bash
# Installs the build to one place and moves the tree to another, where the tests use it:
#   stage.sh CMAKE BUILD_DIR FIRST MOVED
# Nothing in it may remember a place: neither that of the installation nor the source or build tree. (Libraries are not
# searched: Rust writes source paths into panic messages, which nobody opens.)
set -euo pipefail
cmake=$1 build=$2 first=$3 moved=$4
rm -rf "$first" "$moved"
"$cmake" --install "$build" --prefix "$first"
mkdir -p "$(dirname "$moved")"
mv "$first" "$moved"

source=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$build/CMakeCache.txt")
if grep -rIn --fixed-strings -e "$first" -e "$build" -e "$source" "$moved"; then
    echo "these lines remember where the tree was made" >&2
    exit 1
fi
