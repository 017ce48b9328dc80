# Three stages, ended by the first: nothing is lost on the way, and the end reaches the last.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# shellcheck disable=SC2086
expect_status 0 ${LAUNCHER-} "$STAGES" 20000
[ "$(cat out)" = "2262 primes below 20000" ] || fail "it says: $(cat out)"
# shellcheck disable=SC2086
expect_status 0 ${LAUNCHER-} "$STAGES" 2
[ "$(cat out)" = "0 primes below 2" ] || fail "it says: $(cat out)"
