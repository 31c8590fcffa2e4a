#!/bin/sh
# Usage: sh scripts/oldest.sh [ARGUMENT ...]
#
# Runs tests with the oldest versions that pyproject.toml declares, in a virtual environment of their own,
# .venv-oldest: scikit-learn's common checks and the quick round, or pytest with the arguments given.
#
# PYTHON  the Python that creates it; the oldest declared, 3.11, is taken if it is on the path
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."

constraints=$(mktemp)
trap 'rm -f "$constraints"' EXIT
oldest=$(command -v python3.11 || command -v python3)
PYTHON=${PYTHON:-$oldest}
"$PYTHON" scripts/lower_bounds.py >"$constraints"
cat "$constraints" >&2

CLASSIC_MOE_VENV=.venv-oldest
PIP_CONSTRAINT=$constraints
export PYTHON CLASSIC_MOE_VENV PIP_CONSTRAINT
if [ $# -gt 0 ]; then
    sh scripts/test.sh "$@"
else
    sh scripts/test.sh tests/test_common.py
    sh scripts/test.sh -m "not slow" --ignore tests/test_common.py
fi
