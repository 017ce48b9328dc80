# The line that tells how far a run is: on a terminal, and only there; it is wiped out before the result.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir tree
words 1000 1 >tree/file

expect_status 0 corpus tree
[ ! -s err ] || fail "progress in a pipe: $(cat err)"
cp out piped

# script makes a terminal; the result still goes to a file.
# shellcheck disable=SC2016
corpus_command="${LAUNCHER-} '$CORPUS' --once tree >out"
script -qec "$corpus_command" terminal >/dev/null
grep -q $'\r\e\\[Kcounting: [0-9]* files, [0-9]* MB' terminal || fail "no progress on a terminal: $(cat -v terminal)"
grep -v '^Script' terminal | tr -d '\n' | grep -q $'\r\e\\[K$' || fail "the line is left behind: $(cat -v terminal)"
[ "$(head -20 out)" = "$(head -20 piped)" ] || fail "another result on a terminal"
