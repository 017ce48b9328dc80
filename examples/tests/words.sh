# corpus counts what tr, sort and uniq count, word for word, on 1, 2 and 8 workers: in ordinary text, and in files that are built
# around the places where reading is cut (8 KiB of probing, 256 KiB of chunk) and around what a letter is. With one worker the
# limit on reads in flight is reached exactly, since the walk does not stop before it is.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir -p tree/text tree/small tree/deep/er/and/deeper tree/empty/directory
words 60000 1 >tree/text/0
for n in $(seq 1 40); do        # each more than a chunk, all different: letters change places
    tr 'a-z' "$(echo {a..z} | tr -d ' ' | sed -E "s/(.{$((n % 26))})(.*)/\\2\\1/")" <tree/text/0 | tail -c "+$((n * 50))" >"tree/text/$n"
done
[ "$(stat -c %s tree/text/0)" -gt 262144 ] || fail "the text is too short for this test"
for n in $(seq 1 150); do
    words "$n" "$n" >"tree/small/$n"
done
words 3000 7 >tree/deep/er/and/deeper/file

mkdir tree/cuts
for size in 8190 8191 8192 262142 262143 262144 262145; do
    { letters $((size - 3)) ' '; printf 'crossing the border'; } >"tree/cuts/blank-$size"
    { letters "$size" q; printf ' after'; } >"tree/cuts/word-$size"
    { printf 'before '; letters $((size - 7)) q; } >"tree/cuts/to-the-end-$size"
done
for n in $(seq 1 300); do letters 997 "$(printf '\\%03o' $((97 + n % 26)))"; printf '\n'; done >tree/cuts/long-words
{ printf 'before '; letters 5000000 W; printf ' after'; } >tree/cuts/five-megabytes

mkdir tree/letters
printf 'caf\xe9s na\xc3\xafve \xff\xfe\x80 Gr\xfc\xdfe' >tree/letters/high-bytes
printf 'no newline at the end' >tree/letters/a
printf 'and none at this beginning' >tree/letters/b
printf "MiXeD mixed MIXED don't under_score x2y3z @[\`{ A-Z" >tree/letters/classes
printf 'cr\r\nlf\n\n\n\ttab\vvt\fff' >tree/letters/blanks
printf '0123456789 .,;:!?' >tree/letters/none
: >tree/letters/empty
{ letters 8192 ' '; printf 'a NUL\0after eight KiB'; } >tree/letters/late-nul      # is text
printf 'a\0binary\n' >tree/letters/binary
{ letters 8191 ' '; printf '\0binary'; } >tree/letters/just-binary

mapfile -d '' files < <(find tree -type f ! -name '*binary' -print0)
for workers in 1 2 8; do
    expect_status 0 corpus --once --json --top all --workers "$workers" tree
    expect_words "${files[@]}"
    limit=$((16 * workers + 16))
    expect workers "$workers" files "${#files[@]}" binary 2 empty 1 directories "$(find tree -type d | wc -l)" \
        bytes "$(cat "${files[@]}" | wc -c)" reads_limit "$limit" reads_peak "<= $limit" problem_count 0 partial false interrupted false
    expect reads_peak "$([ "$workers" = 1 ] && echo "$limit" || echo '> 1')" tasks "> 80"
    [ ! -s err ] || fail "it complains: $(cat err)"
done

# The text form shows the same beginning of the list.
expect_status 0 corpus --once --top 3 tree
sort -k1,1nr -k2,2 reference.txt | sed -n 1,3p >wanted
sed -n 1,3p out | tr -d , | awk '{print $1, $2}' | cmp - wanted || fail "the text form shows other words"
