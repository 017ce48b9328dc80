# Wrong arguments: status 2, nothing on standard output, a message that names what is wrong, and how to use the program.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

refused() {
    local message=$1
    shift
    expect_status 2 corpus "$@"
    [ ! -s out ] || fail "output all the same: $*"
    grep -qF -- "$message" err || fail "$* gives no '$message': $(cat err)"
    grep -q '^usage: corpus ' err || fail "no usage: $*"
}

mkdir tree
echo word >tree/file
refused 'which directories?'
refused 'which directories?' --json --top 3
for workers in 0 -1 +1 1025 99999999999999999999 x 2x 1.5 '' ' 1' 0x2; do
    refused '--workers takes a number from 1 to 1024' --workers "$workers" tree
done
for processes in 0 -1 1025 x; do
    refused '--isolate takes a number from 1 to 1024' --isolate "$processes" tree
done
for chaos in 1 -0.1 nan inf x 0.5x ''; do
    refused '--chaos takes a number from 0 to below 1' --isolate 2 --chaos "$chaos" tree
done
refused 'needs --isolate' --chaos 0.5 tree
for top in -1 x '' 99999999999999999999999 1e3 ALL; do
    refused '--top takes a number, or all' --top "$top" tree
done
refused "'--frobnicate'" --frobnicate tree
refused "'--workers' requires an argument" tree --workers
refused "'--json' doesn't allow an argument" --json=yes tree
refused 'nowhere: No such file or directory' tree nowhere
refused 'tree/file/x: Not a directory' tree/file/x
refused ': No such file or directory' ''

expect_status 0 corpus --help
grep -q '^usage: corpus ' out || fail "no usage"
expect_status 0 corpus --json --once --workers 1024 tree
expect workers 1024 reads_limit 1024
expect_status 0 corpus --json --once --top 0 tree
expect words 1 top '[]'
mkdir ./--top
expect_status 0 corpus --json --once -- --top
expect directories 1
