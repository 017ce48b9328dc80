# The README's first program prints pi.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# shellcheck disable=SC2086
expect_status 0 ${LAUNCHER-} "$HELLO"
[ "$(cat out)" = "pi is about 3.1415926" ] || fail "it says: $(cat out)"

# And it is the program that the README shows; the comment at its top is the README's text.
awk '/^```c$/ { on = 1; next } on && /^```$/ { exit } on' "$TESTS/../../README.md" >shown
sed 1d "$TESTS/../hello.c" | diff shown - >&2 || fail "the README shows another program"
