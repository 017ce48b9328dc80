# Files that change at the worst moment, each played by the program's stand-in for the system (staged.c), and what corpus makes
# of them: the text there is, one line in the right count, never a hang.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

stage() {
    rm -rf tree
    mkdir tree
    echo 'a constant companion' >tree/other
}

stage
echo gone >tree/vanish-me
expect_status 0 staged --once --json --top all --workers 2 tree
expect files 1 vanished 1 problem_count 1
expect_words tree/other

stage
echo gone >tree/fifo-me
expect_status 0 staged --once --json --top all --workers 2 tree
expect files 1 special 1
expect_words tree/other

stage
echo lent >tree/leased-file
expect_status 0 staged --once --json --top all --workers 2 tree
expect files 2 unreadable 0
expect_words tree/other tree/leased-file

stage
words 100000 3 >tree/signal-often
expect_status 0 staged --once --json --top all --workers 2 tree
expect files 2
expect_words tree/other tree/signal-often

# Everything up to the new end, which is within a word or between two; truncate leaves there what the reference reads.
for size in 8192 300000; do
    for text in 'letters 299999 s' 'words 90000 4'; do
        stage
        $text >tree/shrink-me
        truncate -s "$size" tree/shrink-me
        truncate -s 400000 tree/shrink-me
        expect_status 0 staged --once --json --top all --workers 2 tree
        [ "$(stat -c %s tree/shrink-me)" = 8192 ] || fail "nothing has shrunk"
        expect files 2 shrank 1 unreadable 0
        expect_words tree/other tree/shrink-me
    done
done

stage
words 90000 5 >tree/grow-up
cp tree/grow-up before
expect_status 0 staged --once --json --top all --workers 2 tree
grep -q toolate tree/grow-up || fail "nothing has grown"
expect files 2 grew 1
expect_words tree/other before

# What was read before the error counts; the file does not.
stage
words 90000 6 >tree/broken-disk
head -c 8192 tree/broken-disk >before
expect_status 0 staged --once --json --top all --workers 2 tree
expect files 1 unreadable 1 problem_count 1
expect_words tree/other before
grep -q 'Input/output error' out || fail "the reason is not given"

# The longest word that is kept, and one that is a letter longer: left out, named, and the words around it counted.
stage
{ printf 'before '; letters $((64 << 20)) k; printf ' after '; } >tree/kept
{ printf 'before '; letters $(((64 << 20) + 1)) w; printf ' after '; letters 1000 v; } >tree/left-out
expect_status 0 staged --once --json --top all --workers 2 tree
expect files 3 long_words 1 problem_count 1 bytes "$(cat tree/* | wc -c)" words 9 distinct 7
python3 - <<'PYTHON'
import json
lengths = {len(entry["word"]): entry["word"][0] for entry in json.load(open("out"))["top"]}
assert lengths.get(64 << 20) == "k" and lengths.get(1000) == "v" and max(lengths) == 64 << 20, lengths
PYTHON
rm -rf tree out

# A file whose size is not known beforehand, as under /sys, ends earlier than it says.
odd=/sys/kernel/mm/transparent_hugepage/enabled
if [ -r "$odd" ] && [ "$(stat -c %s "$odd")" -gt "$(wc -c <"$odd")" ]; then
    expect_status 0 staged --once --json --top all "$odd"
    expect files 1 shrank 1
    expect_words "$odd"
fi
