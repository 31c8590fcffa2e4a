#!/bin/sh
# Usage: sh scripts/notebooks.sh [LECTURE ...]
#
# Runs the lectures, notebooks/NN_*.py, in the repository's own virtual environment, which is created if missing, and
# writes them with what they show to docs/notebooks/NN_*.ipynb. A lecture is named by its number, by the beginning of
# its name or by its path; without names all are run, which takes a few minutes.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."

python=$(sh scripts/venv.sh notebooks)
exec "$python" scripts/notebooks.py "$@"
