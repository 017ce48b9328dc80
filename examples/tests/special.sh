# Everything in a tree that is not plain text in plain directories: links broken, looping and doubled, FIFOs, sockets, devices,
# what may not be read, names of all kinds. Each is counted in its place, nothing blocks, and JSON stays JSON.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir -p tree/a/b tree/c outside
echo 'one two two' >tree/a/b/file
echo 'three' >outside/file
ln tree/a/b/file tree/c/hard-link           # repeated
ln -s ../a/b/file tree/c/soft-link          # repeated
ln -s b tree/a/link-beside                  # repeated: a directory
ln -s ../../outside tree/c/out              # followed: one more directory, one more file
ln -s ../.. tree/a/b/up                     # a loop
ln -s . tree/a/here                         # a loop
ln -s self tree/c/self                      # a loop that no file is in
ln -s nowhere tree/c/broken
ln -s a/b/file/x tree/through-a-file        # broken as well
ln -s /dev/null tree/device
mkfifo tree/fifo
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("tree/socket")'
mkdir tree/empty

# What may not be read: root reads everything unless it gives up two capabilities.
unprivileged=()
echo secret >tree/unreadable
mkdir tree/unreadable-directory
chmod 000 tree/unreadable tree/unreadable-directory
unreadable=1
if [ "$(id -u)" = 0 ]; then
    unprivileged=(setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-dac_override,-dac_read_search)
fi
if "${unprivileged[@]}" cat tree/unreadable >/dev/null 2>&1 || ! "${unprivileged[@]}" true; then
    echo "not tested here: files that may not be read"
    rm -rf tree/unreadable tree/unreadable-directory
    unprivileged=()
    unreadable=0
fi

for workers in 1 2 8; do
    # shellcheck disable=SC2086
    expect_status 0 "${unprivileged[@]}" ${LAUNCHER-} "$CORPUS" --once --json --top all --workers "$workers" tree
    expect files 2 words 4 directories 6 repeated 3 link_loops 3 broken_links 2 special 3 unreadable "$unreadable" \
        unreadable_directories "$unreadable" problem_count "$((3 + 2 * unreadable))" vanished 0 binary 0
    expect_words tree/a/b/file outside/file
done
[ ! -s err ] || fail "with --json it complains elsewhere too: $(cat err)"
rm -rf tree/unreadable tree/unreadable-directory

# Arguments that overlap; a file as an argument; a link as an argument.
expect_status 0 corpus --once --json --top all tree/a tree tree/a/b/file tree/a/b tree/c/out
expect files 2 directories 6 repeated 7
expect_words tree/a/b/file outside/file

expect_status 0 corpus --once --json tree/empty
expect files 0 words 0 distinct 0 bytes 0 directories 1 reads_peak 0 megabytes_per_second 0.0 top '[]' problems '[]'
expect_status 0 corpus --once tree/empty
grep -q '^0 words, 0 different, in 0 files (0.0 MB) of 1 directories$' out || fail "an empty tree: $(cat out)"

# Names. JSON is UTF-8 whatever they are; a terminal gets no control characters.
mkdir names
for name in 'two words' $'new\nline' $'ta\tb' 'quo"te' "apo'strophe" 'back\slash' $'\e[31mred' '-dash' 'caf\u00e9' $'caf\xc3\xa9' \
            $'latin\xe9' $'half\xe2\x82' $'surrogate\xed\xa0\x80' $'long\xc0\xaf' $'beyond\xf4\x90\x80\x80' '*' '$(touch oops)'; do
    echo word >"names/$name"
    ln -s nowhere "names/broken $name"
done
expect_status 0 corpus --once --json --top all names
expect files 17 words 17 broken_links 17 problem_count 17
python3 -m json.tool out >/dev/null || fail "not JSON"
python3 - <<'PYTHON'
import json, os
found = {problem["path"] for problem in json.load(open("out", encoding="utf-8"))["problems"]}
wanted = {os.fsencode("names/" + name).decode("utf-8", "replace") for name in os.listdir("names") if name.startswith("broken ")}
squeeze = lambda names: {"".join(c for c in name if c != "\ufffd") for name in names}    # decoders differ in how many they give
assert squeeze(found) == squeeze(wanted), (found, wanted)
PYTHON
expect_status 0 corpus --once names
grep -qF 'names/broken two words: broken link' err || fail "problems are not named: $(cat err)"
if grep -q $'[\x01-\x09\x0b-\x1f]' err; then fail "control characters on the terminal"; fi

# Problems beyond the hundred that are named are counted.
mkdir many
for n in $(seq 1 130); do ln -s nowhere "many/$n"; done
expect_status 0 corpus --once --json many
expect broken_links 130 problem_count 130
[ "$(grep -c '"path"' out)" = 100 ] || fail "named: $(grep -c '"path"' out)"
expect_status 0 corpus --once many
grep -qx 'corpus: and 30 more' err || fail "the rest is not mentioned"

# A directory whose path is longer than the system takes, below those whose path is not.
mkdir long
( cd long
  name=$(letters 250 n)
  for _ in $(seq 1 20); do mkdir "$name"; cd "$name"; echo word >file; done )
expect_status 0 corpus --once --json long
expect files 16 directories 17 unreadable_directories 1 problem_count 1
grep -q 'File name too long' out || fail "the reason is not given"
