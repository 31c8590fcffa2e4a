#!/bin/sh
# Usage: sh scripts/interpreted.sh [ARGUMENT ...]
#
# Runs tests with the compiled passes interpreted by Python (NUMBA_DISABLE_JIT=1), where a fault in a kernel shows as
# an error and not as a number: the tests of kernels and of passes, or pytest with the arguments given.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."

export NUMBA_DISABLE_JIT=1
if [ $# -gt 0 ]; then
    exec sh scripts/test.sh "$@"
fi
exec sh scripts/test.sh tests/kernels tests/model/test_passes.py tests/model/test_staged_pass.py
