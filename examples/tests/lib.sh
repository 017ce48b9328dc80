# What the tests of the demo share; sourced by each. CTest gives the programs in HELLO, CORPUS and STAGED, a command to run them
# under in LAUNCHER (usually empty), and in WORK a directory of the test's own, which starts empty.
set -euo pipefail
export LC_ALL=C
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
case $WORK in /*/demo-tests/*) ;; *) echo "WORK is not a test's directory: $WORK" >&2; exit 1 ;; esac
if [ -e "$WORK" ]; then
    chmod -R u+rwX "$WORK"
    rm -rf "$WORK"
fi
mkdir -p "$WORK"
cd "$WORK"

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# corpus ARGUMENT...: runs it. LAUNCHER is several words.
corpus() {
    # shellcheck disable=SC2086
    ${LAUNCHER-} "$CORPUS" "$@"
}

staged() {
    # shellcheck disable=SC2086
    ${LAUNCHER-} "$STAGED" "$@"
}

# expect_status STATUS COMMAND...: runs it, with its output in `out` and `err`.
expect_status() {
    local wanted=$1 status=0
    shift
    "$@" >out 2>err || status=$?
    if [ "$status" != "$wanted" ]; then
        cat out err >&2
        fail "status $status instead of $wanted: $*"
    fi
}

# expect NAME VALUE [NAME VALUE]...: members of the JSON in `out`.
expect() {
    python3 "$TESTS/expect.py" out "$@" || fail "not what was expected, in $PWD/out"
}

# The reference: every word of the files given, counted with the usual tools, as "count word". File by file: words do not
# run on from one file into the next.
reference() {
    local file
    for file; do
        tr -cs 'A-Za-z' '\n' <"$file" | tr A-Z a-z
        echo
    done | sed '/^$/d' | sort | uniq -c | awk '{print $1, $2}'
}

# expect_words FILE...: the JSON in `out` lists exactly the words of these files, with their counts, in the order promised.
expect_words() {
    reference "$@" >reference.txt
    python3 "$TESTS/words.py" out reference.txt || fail "other words than in the files, in $PWD"
}

# words COUNT SEED: lines of made-up text, always the same for the same seed. A few words are frequent, most are not.
words() {
    awk -v count="$1" -v seed="$2" 'BEGIN {
        srand(seed)
        for (n = 1; n <= count; n++) {
            word = ""
            letters = rand() < 0.5 ? 1 + int(rand() * 2) : 1 + int(rand() * 12)
            for (i = 0; i < letters; i++)
                word = word substr("etaoinshrdlucmfwypvbgkjqxzETAOINSHRDL", 1 + int(rand() * rand() * 37), 1)
            printf "%s%s", word, rand() < 0.1 ? ".\n" : " "
        }
    }'
}

# letters COUNT LETTER: one long word, without a newline.
letters() {
    head -c "$1" /dev/zero | tr '\0' "$2"
}
