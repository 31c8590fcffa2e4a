#!/bin/sh
# Usage: sh scripts/test.sh [ARGUMENT ...]
#
# Runs the tests in the repository's own virtual environment, which is created if missing.
# Arguments go to pytest; paths are relative to the top of the repository.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."

python=$(sh scripts/venv.sh test)
printf 'Running python -m pytest -n auto\n' >&2
exec "$python" -m pytest -n auto --dist worksteal "$@"
