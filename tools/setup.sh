#!/usr/bin/env bash
# Installs what `make demo`, `make test` or `make bench` needs and this machine lacks:
#
#   tools/setup.sh demo|test|bench
#
# Each need is a probe of what will be used (a command, a library by pkg-config, a Ruby library), not of where it came
# from, so what is there already is left alone. The Debian packages behind the failed probes go into one apt-get; the
# test profile also makes two virtual environments with the pinned Zig compilers under target/. Whatever cannot be
# installed is named with the command that would do it, and the script ends with status 1.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

profile=${1:-}
case $profile in
    demo | test | bench) ;;
    *) echo "usage: tools/setup.sh demo|test|bench" >&2; exit 2 ;;
esac

has() { command -v "$1" >/dev/null 2>&1; }

# at_least WANTED FOUND: FOUND is WANTED or newer
at_least() { [ -n "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# The interpreter for the virtual environments: Debian's own where it can make them, since a version manager's python3
# may go away; else whatever python3 is.
python_for_venv() {
    local python
    for python in /usr/bin/python3 python3; do
        if has "$python" && "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    return 1
}

cmake_new_enough() { has cmake && at_least 3.24 "$(cmake --version | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p')"; }
cargo_new_enough() { has cargo && at_least "$rust_wanted" "$(cargo --version 2>/dev/null | sed 's/^cargo \([0-9.]*\).*/\1/')"; }
has_python_for_venv() { python_for_venv >/dev/null; }
compiles_c() { has cc; }
compiles_cxx() { has c++ && has g++; }
found_pc() { has pkg-config && pkg-config --exists "$@"; }
found_header() { has c++ && printf '#include <%s>\n' "$1" | c++ -std=c++20 -fsyntax-only -x c++ - 2>/dev/null; }
# Debian's Ruby where there is one, as the tests choose it: only that one finds Debian's ruby-ffi.
ruby_has() {
    local ruby=/usr/bin/ruby
    [ -x "$ruby" ] || ruby=ruby
    has "$ruby" && "$ruby" -e 'ARGV.each { |name| require name }' "$@" 2>/dev/null
}
found_libclang() { compgen -G '/usr/lib/llvm-*/lib/libclang.so*' || compgen -G '/usr/lib/*/libclang*.so*' || has llvm-config; } >/dev/null

# need PACKAGES PROBE...: notes the Debian packages behind a failed probe
need() {
    local packages=$1
    shift
    "$@" || unmet+=($packages)
}

installed() { [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Sets unmet to the packages behind all failed probes, and missing to those of them that are not installed.
probe() {
    unmet=()
    probe_each
    mapfile -t unmet < <(printf '%s\n' "${unmet[@]}" | sed '/^$/d' | sort -u)
    missing=()
    local package
    for package in "${unmet[@]}"; do
        installed "$package" || missing+=("$package")
    done
}

probe_each() {
    need "gcc libc6-dev" compiles_c
    need cmake cmake_new_enough
    need ninja-build has ninja
    need "pkg-config libhwloc-dev" found_pc hwloc
    need "pkg-config libudev-dev" found_pc libudev
    if [ "$profile" = bench ]; then
        need g++ compiles_cxx
        need gcc has gcc
        need clang has clang
        need libtbb-dev found_pc tbb
        need libconcurrentqueue-dev found_header concurrentqueue/blockingconcurrentqueue.h
        need valgrind has valgrind
        need libnng-dev found_header nng/nng.h
        need libzmq3-dev found_pc libzmq
        need libboost-dev found_header boost/interprocess/ipc/message_queue.hpp
        need libclang-dev found_libclang
        need ruby has ruby
        need python3 has python3
    fi
    [ "$profile" = test ] || return 0
    need g++ compiles_cxx
    need gcc has gcc
    need clang has clang++
    need libclang-dev found_libclang
    need llvm has llvm-symbolizer # the sanitizers name functions with it, in reports and in suppressions
    need valgrind has valgrind
    need "ruby ruby-ffi ruby-minitest" ruby_has ffi minitest
    need "python3 python3-venv" has_python_for_venv
}

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

rust_wanted=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' Cargo.toml)
if ! cargo_new_enough; then
    if has rustup; then
        fail "Weft needs Rust $rust_wanted or newer. This would install it:  rustup toolchain install $rust_wanted"
    fi
    fail "Weft needs cargo of Rust $rust_wanted or newer. This would install it:" \
        "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
fi

probe
if [ ${#missing[@]} -gt 0 ]; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    install=("${as_root[@]}" apt-get install -y --no-install-recommends "${missing[@]}")
    has apt-get || fail "Missing, as Debian calls it: ${missing[*]}" "On Debian this would install it:  ${install[*]}"
    [ ${#as_root[@]} -eq 0 ] || has sudo ||
        fail "Missing: ${missing[*]}" "As root this would install it:  ${install[*]:1}"
    echo "installing: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    "${as_root[@]}" apt-get update -q && "${install[@]}" ||
        fail "Could not install: ${missing[*]}" "This would install it:  ${install[*]}"
    probe
fi
[ ${#unmet[@]} -eq 0 ] ||
    fail "These packages are installed, but what is found first is not theirs, or too old: ${unmet[*]}" \
        "(cmake must be 3.24 or newer.) See PATH and PKG_CONFIG_PATH."

# zig VERSION: the compiler from PyPI in target/zig-<first two numbers>. Running it is the only proof: the scripts of a
# virtual environment stop working when their directory or their Python is moved.
zig() {
    local version=$1 dir=target/zig-${1%.*} python
    [ "$("$dir/bin/python-zig" version 2>/dev/null)" != "$version" ] || return 0
    python=$(python_for_venv)
    echo "installing: Zig $version in $dir"
    rm -rf "$dir"
    "$python" -m venv "$dir" && "$dir/bin/pip" install --quiet "ziglang==$version" ||
        fail "Could not install Zig $version. This would:" \
            "  $python -m venv $dir && $dir/bin/pip install ziglang==$version"
}

if [ "$profile" = test ]; then
    zig 0.15.2
    zig 0.17.0
fi
exit 0
