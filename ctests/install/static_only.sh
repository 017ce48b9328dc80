#!/usr/bin/env bash
# A copy of the installed tree without the shared library:  static_only.sh PREFIX COPY LIB_SUBDIR
set -euo pipefail
prefix=$1 copy=$2 lib=$3
rm -rf "$copy"
cp -a "$prefix" "$copy"
rm "$copy/$lib"/libweft.so* "$copy/$lib"/cmake/Weft/WeftSharedTargets*.cmake
