# Memory runs out at each of corpus's own allocations in turn (staged.c): it says so and gives up, whatever task it happens in and
# whoever waits for a chunk or a slot at that moment. It ends when every number is past the last allocation.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir -p tree/a/b tree/c
for n in 1 2 3 4 5 6; do words 60000 "$n" >"tree/a/$n"; done
for n in $(seq 1 80); do words 5 "$n" >"tree/a/b/$n"; done
letters 600000 x >tree/c/word
ln -s nowhere tree/c/broken

failures=0
in_a_row=0      # runs that succeeded: tasks do not take turns the same way each time, so one does not prove that the end is reached
for ((n = 1; in_a_row < 25; n += 1 + n / 30)); do
    status=0
    STAGED_STARVE=$n staged --once --json --workers 2 tree >out 2>err || status=$?
    case $status in
    0)
        in_a_row=$((in_a_row + 1))
        ;;
    1)
        grep -q 'out of memory' err || fail "allocation $n: $(cat err)"
        [ ! -s out ] || fail "allocation $n: a result all the same"
        failures=$((failures + 1)) in_a_row=0
        ;;
    *)
        fail "allocation $n: status $status, $(cat err)"
        ;;
    esac
done
echo "$failures runs failed as they should, up to allocation $n"
[ "$failures" -gt 50 ] || fail "only $failures allocations failed"
