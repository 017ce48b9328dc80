# An output that takes nothing is an error that is told: a full disk, a reader that has gone, no output at all.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir tree
words 50000 1 >tree/file

for arguments in '--once' '--once --json' '--once --top all' '--once --top all --json' '--help'; do
    for output in '>/dev/full' '>&-' 'gone'; do
        status=0
        case $output in
        '>/dev/full') corpus $arguments tree >/dev/full 2>err || status=$? ;;
        '>&-') corpus $arguments tree >&- 2>err || status=$? ;;
        gone) python3 "$TESTS/gone.py" ${LAUNCHER-} "$CORPUS" $arguments tree 2>err || status=$? ;;
        esac
        [ "$status" = 1 ] || fail "$arguments $output: status $status, $(cat err)"
        grep -q '^corpus: standard output: ' err || fail "$arguments $output: $(cat err)"
    done
done

# Without standard input and error it works as well.
corpus --once --json --top all tree >out <&- 2>&-
expect_words tree/file
