#!/bin/sh
# Usage: sh scripts/processors.sh [--only NAME] [ARGUMENT ...]
#
# Runs the tests as other processors would: once under each configuration below, with the closing line of pytest
# for each. It fails if any of them does. Arguments go to pytest; --only runs one configuration, by its name.
#
# haswell, sandybridge, nehalem, skylakex  OpenBLAS with its kernels for that processor, numpy's and scipy's alike
# generic                                  compiled passes without the instructions of this very processor
# one-thread, two-threads                  BLAS on so many threads
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."

only=
if [ "${1:-}" = --only ]; then
    only=${2:?--only needs the name of a configuration}
    shift 2
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
known=
failed=

has() { grep -qw "$1" /proc/cpuinfo 2>/dev/null; }

# run NAME VARIABLE=VALUE [ARGUMENT ...]
run() {
    name=$1 setting=$2
    shift 2
    known="$known $name"
    if [ -n "$only" ] && [ "$only" != "$name" ]; then return; fi
    if [ "$name" = skylakex ] && ! has avx512f; then
        printf '%s: left out, this processor has no avx512f\n' "$name"
        return
    fi
    if [ "$name" = haswell ] && ! has avx2; then
        printf '%s: left out, this processor has no avx2\n' "$name"
        return
    fi
    if env "$setting" sh scripts/test.sh "$@" >"$log" 2>&1; then
        printf '%s (%s): %s\n' "$name" "$setting" "$(tail -n 1 "$log")"
    else
        cat "$log"
        printf '%s (%s): FAILED: %s\n' "$name" "$setting" "$(tail -n 1 "$log")"
        failed="$failed $name"
    fi
}

run haswell OPENBLAS_CORETYPE=Haswell "$@"
run sandybridge OPENBLAS_CORETYPE=Sandybridge "$@"
run nehalem OPENBLAS_CORETYPE=Nehalem "$@"
run skylakex OPENBLAS_CORETYPE=SkylakeX "$@"
run generic NUMBA_CPU_NAME=generic "$@"
run one-thread OPENBLAS_NUM_THREADS=1 "$@"
run two-threads OPENBLAS_NUM_THREADS=2 "$@"

case " $known " in
    *" ${only:-haswell} "*) ;;
    *) printf 'No configuration is called %s; there are:%s\n' "$only" "$known" >&2 && exit 2 ;;
esac
if [ -n "$failed" ]; then
    printf 'Failed:%s\n' "$failed"
    exit 1
fi
