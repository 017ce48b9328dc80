# The measuring: runs on one worker and on several, in turn, with the same result each time. How large the speed-up is depends on the
# machine and is no test; that it comes from the times that are given is.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir tree
for n in $(seq 1 8); do words 30000 "$n" >"tree/$n"; done

expect_status 0 corpus --json --top all --workers 2 tree
expect repeats 3 changed false workers 2 partial false reads_peak '<= 48'
expect_words tree/*
python3 - <<'PYTHON'
import json
found = json.load(open("out"))
assert found["single_seconds"] > 0 and found["seconds"] > 0
assert abs(found["speedup"] - found["single_seconds"] / found["seconds"]) < 0.01 + 0.01 * found["speedup"], found["speedup"]
PYTHON

# With one worker there is nothing to compare.
expect_status 0 corpus --json --workers 1 tree
expect repeats 3 speedup null single_seconds null reads_peak '<= 32'

expect_status 0 corpus --workers 2 tree
grep -qE '^speed-up over one worker: [0-9]+\.[0-9]{2} \([0-9.]+ s; medians of 3 runs each, warmed, in turn\)$' out || fail "$(cat out)"
expect_status 0 corpus --workers 2 --once tree
if grep -q 'speed-up' out; then fail "a speed-up of a single run"; fi
