# The README's first program prints pi.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# shellcheck disable=SC2086
expect_status 0 ${LAUNCHER-} "$HELLO"
[ "$(cat out)" = "pi is about 3.1415926" ] || fail "it says: $(cat out)"
