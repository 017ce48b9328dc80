# Counting in worker processes gives the same words, and so it does while they kill themselves over every third piece of text.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir -p tree/text tree/small
words 60000 1 >tree/text/0
for n in $(seq 1 10); do
    tail -c "+$((n * 50))" tree/text/0 >"tree/text/$n"
done
for n in $(seq 1 50); do
    words "$n" "$n" >"tree/small/$n"
done
{ printf 'before '; letters 5000000 W; printf ' after'; } >tree/five-megabytes
mapfile -d '' files < <(find tree -type f -print0)

for processes in 1 3; do
    expect_status 0 corpus --once --json --top all --isolate "$processes" tree
    expect_words "${files[@]}"
    expect processes "$processes" deaths 0 sent_again 0 calls '> 10' files "${#files[@]}" problem_count 0
    expect_status 0 corpus --once --json --top all --isolate "$processes" --chaos 0.3 tree
    expect_words "${files[@]}"
    expect processes "$processes" deaths '> 0' sent_again '> 0' files "${#files[@]}" problem_count 0
    [ ! -s err ] || fail "it complains: $(cat err)"
done
expect_status 0 corpus --once --isolate 2 tree
grep -q '^counted in 2 processes: ' out || fail "nothing is said of the processes"
