#!/bin/sh
# Usage: sh scripts/venv.sh [EXTRA[,EXTRA]]
#
# Creates or reuses the virtual environment .venv of this repository, installs the project into it (with the
# optional dependencies EXTRA of pyproject.toml: test, docs, or test,docs) and prints the path of its Python.
# What it does is told on stderr. A stamp in .venv makes the next call immediate until pyproject.toml changes.
#
# CLASSIC_MOE_VENV  another place for the environment, relative to the repository
# PYTHON            the Python that creates it, if the first suitable one on the path is not wanted
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."

extra=${1:-}
venv=${CLASSIC_MOE_VENV:-.venv}
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
python=$venv/bin/python
stamp=$venv/installed${extra:+-$extra}

say() { printf '%s\n' "$*" >&2; }
suitable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
fingerprint() { { cat pyproject.toml && pwd && "$python" -V; } | cksum; } # also notes a move and a new Python

if [ -f "$stamp" ] && suitable "$python" && [ "$(cat "$stamp")" = "$(fingerprint)" ]; then
    printf '%s\n' "$python"
    exit
fi

if ! { suitable "$python" && "$python" -m pip --version >/dev/null 2>&1; }; then
    if [ -e "$venv" ] && [ ! -f "$venv/pyvenv.cfg" ]; then
        say "$venv exists and is not a virtual environment: move it away, or set CLASSIC_MOE_VENV"
        exit 1
    fi
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python} ''; do
        if [ -z "$candidate" ]; then
            say "Python 3.11 or newer is needed and was not found: install it, or set PYTHON to its path"
            exit 1
        fi
        if suitable "$candidate"; then break; fi
    done
    say "Creating the virtual environment $venv ($("$candidate" -V))"
    "$candidate" -m venv --clear "$venv" >&2
fi

say "Installing classic_moe${extra:+[$extra]} into $venv (the first time takes a minute or two)"
"$python" -m pip install --quiet --disable-pip-version-check --editable ".${extra:+[$extra]}" >&2
fingerprint >"$stamp"
printf '%s\n' "$python"
