# Ctrl-C while corpus is in the middle of something: it stands before a certain file until the test lets it go on (staged.c), so the
# signal falls between two known points. The result up to there is printed and says that it is partial; a second signal kills.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
set -m          # else the shell starts background commands with SIGINT ignored
trap 'kill -KILL $(jobs -p) 2>/dev/null || true' EXIT

mkfifo at go err
export STAGED_AT=5 STAGED_GO=6
echo 'alpha beta beta' >first
echo 'gamma' >hold-second
echo 'delta' >third

begin() {               # opening a FIFO waits for its other end, so both sides open them in the same order
    # shellcheck disable=SC2086
    ${LAUNCHER-} "$STAGED" --workers 1 "$@" first hold-second third >out 5>at 6<go 2>err &     # no function: $! shall be the program
    pid=$!
    exec 3<at 4>go 7<err
}
until_held() {
    local line
    read -r line <&3 || fail "it ended before: $(cat <&7)"
}
go_on() { printf g >&4; }
interrupt() {           # returns when corpus has said that it knows
    kill -INT "$pid"
    local line
    while read -r line <&7; do
        [ "$line" = 'corpus: ending early; once more to end at once' ] && return
    done
    fail "no word about the interrupt"
}
finish() {
    local status=0
    wait "$pid" || status=$?
    [ "$status" = "$1" ] || fail "status $status instead of $1: $(cat <&7)"
    exec 3<&- 4>&- 7<&-
}

begin --json --top all --once
until_held
interrupt
go_on
finish 130
expect interrupted true partial true files 1 speedup null
expect_words first

begin --top all --once
until_held
interrupt
go_on
finish 130
grep -q '^INTERRUPTED: this is only a part of it$' out || fail "not marked: $(cat out)"
grep -q '^3 words, 2 different, in 1 files' out || fail "not what had been counted: $(cat out)"

# In a later run, which only measures: the words of the first are whole.
begin --json --top all
until_held
go_on
until_held
interrupt
go_on
finish 130
expect interrupted true partial false files 3 speedup null
expect_words first hold-second third

begin --json --once
until_held
interrupt
kill -INT "$pid"
finish 130
[ ! -s out ] || fail "it went on after the second signal"

# Ignored from the start, as under nohup: it stays ignored.
trap '' INT
begin --json --top all --once
until_held
kill -INT "$pid"
go_on
finish 0
expect interrupted false partial false files 3
expect_words first hold-second third
