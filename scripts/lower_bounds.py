"""Print the lower bounds of pyproject.toml as constraints for pip: name==version, one a line.

python scripts/lower_bounds.py
"""

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lower_bounds(project):
    """Return {name: version} of the requirements that have a bound, those of the tests included."""
    requirements = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    found = {}
    for requirement in requirements:
        match = re.fullmatch(r"([\w.-]+)\s*>=\s*([\w.]+)", requirement)
        if match:
            found[match[1]] = match[2]
    return found


def main():
    """Print the constraints; return the exit status."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    for name, version in lower_bounds(project).items():
        print(f"{name}=={version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
