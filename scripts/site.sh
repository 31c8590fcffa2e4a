#!/bin/sh
# Usage: sh scripts/site.sh [ARGUMENT ...]
#
# Builds the documentation into docs/_build in the repository's own virtual environment, which is created if missing.
# A warning is an error, and so is a link within the site that leads nowhere. Once the environment is there, neither
# building nor reading needs a network. Arguments go to sphinx: -E reads every page anew.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."

python=$(sh scripts/venv.sh docs)
rm -rf docs/_build/_modules docs/api/generated # pages of names that may have gone
"$python" -m sphinx --quiet -W -b html "$@" docs docs/_build
"$python" scripts/check_links.py docs/_build
printf 'Open %s/docs/_build/index.html\n' "$PWD" >&2
