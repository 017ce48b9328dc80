#!/usr/bin/env bash
# Instructions per call, counted by callgrind: a run with many calls less one with few, divided by the difference.
#   instructions.sh PROGRAM...     builds of instructions.c
set -euo pipefail

count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 | sed -n 's/.*refs: *//p' | tr -d ,
}
# per NAME PROGRAM KIND MORE LESS CALLS: CALLS is how many more calls MORE makes than LESS
per() {
    printf '%s %s\n' "$1" "$((($(count "$2" "$3" "$4") - $(count "$2" "$3" "$5")) / $6))"
}
for program in "$@"; do
    echo "${program##*/}"
    for kind in serial callbacks fork join; do
        per "  $kind, per join of Fibonacci:" "$program" "$kind" 20 10 $((10945 - 88))
    done
    for kind in spawn spawn-outside submit submit-outside; do
        per "  $kind, per task, run included:" "$program" "$kind" 40000 20000 20000
    done
    for kind in empty timer; do
        per "  $kind, per call:" "$program" "$kind" 40000 20000 20000
    done
    for kind in breaker breaker-time breaker-open; do
        per "  $kind, per acquire and record:" "$program" "$kind" 40000 20000 20000
    done
    for kind in mutex mutex-outside; do
        per "  $kind, per lock and unlock:" "$program" "$kind" 40000 20000 20000
    done
done
