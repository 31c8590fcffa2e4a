#!/bin/sh
# Usage: sh scripts/nightly.sh [PROBLEMS]
#
# What takes too long for every change: all tests, the slow ones too; random problems that nobody has seen yet, by
# default 100,000, numbered from today's date; the tests with the oldest declared versions; and the passes without
# compilation. Every part is run, whatever became of the others; the faults of random problems are in
# nightly-faults.jsonl, a line each. It fails if any part does.
set -u
CDPATH='' cd -- "$(dirname -- "$0")/.."

problems=${1:-100000}
first=$(($(date +%s) / 86400 * 100000))
last=$((first + problems))
half=$((first + problems / 2))
compiled=$((problems / 50))
faults=nightly-faults.jsonl
failed=
python=$(sh scripts/venv.sh test) || exit 1
rm -f "$faults"

# part NAME COMMAND [ARGUMENT ...]
part() {
    name=$1
    shift
    printf '\n== %s\n' "$name"
    "$@" || failed="$failed
  $name"
}
random() { OPENBLAS_NUM_THREADS=1 "$python" tests/helpers/random_problems.py "$@" --out "$faults"; }
random_in_two() {
    random "$first" "$half" &
    random "$half" "$last"
    status=$?
    wait $! && [ $status -eq 0 ]
}

part "all tests" env CLASSIC_MOE_EVERY_CHECK=1 sh scripts/test.sh
part "random problems $first ... $last" random_in_two
part "random problems of many rows" random "$first" $((first + compiled)) --rows-above 512
part "oldest versions" sh scripts/oldest.sh
part "without compilation" sh scripts/interpreted.sh

if [ -n "$failed" ]; then
    printf '\nFailed:%s\n' "$failed"
    exit 1
fi
