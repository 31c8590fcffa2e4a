#!/bin/sh
# Usage: sh scripts/quick.sh [ARGUMENT ...]
#
# Runs a quick round of tests, some of every room: those that tests/quick.txt names, but for slow ones.
# Arguments go to pytest.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."

exec sh scripts/test.sh -m "not slow" @tests/quick.txt "$@"
