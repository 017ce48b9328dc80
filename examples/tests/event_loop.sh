# One epoll for a socket, a future and a channel. What comes first is open; the channel's steps come in their order.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# shellcheck disable=SC2086
expect_status 0 ${LAUNCHER-} "$EVENT_LOOP"
cat >wanted <<'END'
channel: closed
channel: step 1
channel: step 2
channel: step 3
future: 500500
socket: 5 bytes
END
sort out | diff wanted - >&2 || fail "it says something else"
grep '^channel' out | diff - <(printf 'channel: %s\n' 'step 1' 'step 2' 'step 3' closed) >&2 || fail "out of order"
