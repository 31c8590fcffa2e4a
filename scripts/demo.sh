#!/bin/sh
# Usage: sh scripts/demo.sh [ARGUMENT ...]
#
# Runs the demonstration in the repository's own virtual environment, which is created if missing.
# Arguments go to `python -m classic_moe demo`; paths are relative to the top of the repository.
# The picture of an earlier run is replaced with --force only.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."

python=$(sh scripts/venv.sh)
printf 'Running python -m classic_moe demo\n' >&2
exec "$python" -m classic_moe demo "$@"
