"""The files around the code: what they name is there, and what they repeat is the same."""

import re
import tomllib
from pathlib import Path

import pytest

import classic_moe

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAPER = ROOT / "docs" / "paper"


def text(*path):
    return ROOT.joinpath(*path).read_text(encoding="utf-8")


def workflow():
    return yaml.safe_load(text(".github", "workflows", "ci.yml"))


def steps():
    return [step for job in workflow()["jobs"].values() for step in job["steps"]]


# -- continuous integration --------------------------------------------------------------------


def test_every_job_of_the_workflow_can_start():
    found = workflow()
    assert set(found[True]) >= {"push", "pull_request"}  # YAML 1.1 reads `on` as true
    for job in found["jobs"].values():
        assert {"runs-on", "steps", "timeout-minutes"} <= set(job)
        assert job["steps"][0]["uses"].startswith("actions/checkout@v")
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "a/b@v1"))


def test_what_the_workflow_runs_is_there():
    runs = "\n".join(step.get("run", "") for step in steps())
    named = re.findall(r"(?:scripts|tests|\.ci)/[\w./]+", runs)
    assert {".ci/run", "scripts/oldest.sh", "tests/quick.txt"} <= set(named)
    assert not [name for name in named if not (ROOT / name).is_file()]


def test_expressions_of_the_workflow_name_what_is_defined():
    whole = text(".github", "workflows", "ci.yml")
    matrix = workflow()["jobs"]["quick"]["strategy"]["matrix"]
    for name in re.findall(r"\$\{\{ matrix\.(\w+) \}\}", whole):
        assert name in matrix and all(name in more for more in matrix["include"])
    systems = {*matrix["os"], *(more["os"] for more in matrix["include"])}
    assert {system.split("-")[0] for system in systems} == {"ubuntu", "macos", "windows"}


def test_the_quick_round_sees_every_room():
    lines = text("tests", "quick.txt").split()
    missing = [line for line in lines if not (ROOT / line.split("::")[0]).exists()]
    assert not missing
    package = Path(classic_moe.__file__).parent
    rooms = {path.name for path in package.iterdir() if (path / "__init__.py").is_file()}
    tested = {room for room in rooms if (ROOT / "tests" / room.lstrip("_")).is_dir()}
    assert len(tested) > 15
    seen = {Path(line).parts[1] for line in lines}
    assert not {room for room in tested if room.lstrip("_") not in seen}


# -- templates, citation, recipe, paper --------------------------------------------------------


@pytest.mark.parametrize("name", ["bug", "feature", "question"])
def test_issue_forms_have_what_a_form_needs(name):
    form = yaml.safe_load(text(".github", "ISSUE_TEMPLATE", f"{name}.yml"))
    assert {"name", "description", "body"} <= set(form)
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids))
    for field in form["body"]:
        assert field["type"] in {"textarea", "input", "checkboxes", "dropdown"}
        assert field["attributes"]["label"]


def test_files_that_templates_and_policies_name_are_there():
    paths = [GITHUB / "pull_request_template.md", *(GITHUB / "ISSUE_TEMPLATE").iterdir()]
    paths += [ROOT / name for name in ("SECURITY.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md")]
    named = set()
    for path in paths:
        whole = path.read_text(encoding="utf-8")
        named |= set(re.findall(r"(?<![\w/.:-])(?:docs|tests|scripts)/[\w/]+(?:\.\w+)?", whole))
    assert {"docs/saving.md", "docs/adding_a_family.md", "tests/benchmarks/"} <= named
    named.discard("docs/_build")  # made when the documentation is
    assert not [name for name in named if not (ROOT / name).exists()]


COMING = set()
"""Pages that the README names and that are being written."""


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md"])
def test_what_is_linked_is_there(name):
    links = set(re.findall(r"\]\(((?!http)[^)#]+)\)", text(name)))
    assert links
    assert {link for link in links if not (ROOT / link).exists()} <= COMING


def test_the_citation_is_of_this_version_and_licence():
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    assert citation["version"] == classic_moe.__version__
    assert citation["license"] == PROJECT["license"]
    assert [a["name"] for a in citation["authors"]] == [a["name"] for a in PROJECT["authors"]]
    assert all({"type", "title", "authors"} <= set(each) for each in citation["references"])


def recipe():
    """The conda recipe with its variables filled in."""
    whole = text("conda", "meta.yaml")
    known = dict(re.findall(r'{% set (\w+) = "([^"]*)" %}', whole)) | {"PYTHON": "python"}
    whole = re.sub(r"{%.*?%}\n", "", whole)
    return yaml.safe_load(re.sub(r"{{ (\w+) }}", lambda m: known[m[1]], whole))


def test_the_conda_recipe_needs_what_the_project_needs():
    found = recipe()
    assert found["package"] == {"name": PROJECT["name"], "version": classic_moe.__version__}
    renamed = {"matplotlib-base": "matplotlib"}
    needs = dict(need.split(" ", 1) for need in found["requirements"]["run"])
    assert needs.pop("python") == PROJECT["requires-python"]
    needs = {renamed.get(name, name) + bound for name, bound in needs.items()}
    assert needs == set(PROJECT["dependencies"])
    (host,) = [n for n in found["requirements"]["host"] if n.startswith("hatchling")]
    backend = tomllib.loads(text("pyproject.toml"))["build-system"]["requires"]
    assert host.replace(" ", "") in backend
    script = [f"{name} = {target}" for name, target in PROJECT["scripts"].items()]
    assert found["build"]["entry_points"] == script
    assert found["about"]["license"] == PROJECT["license"]


def test_the_paper_has_the_form_that_the_journal_asks_for():
    _, head, body = text("docs", "paper", "paper.md").split("---\n", 2)
    head = yaml.safe_load(head)
    assert {"title", "tags", "authors", "affiliations", "date", "bibliography"} <= set(head)
    assert {a["affiliation"] for a in head["authors"]} <= {a["index"] for a in head["affiliations"]}
    assert (PAPER / head["bibliography"]).is_file()
    sections = re.findall(r"^# (.+)$", body, re.MULTILINE)
    assert sections[:2] == ["Summary", "Statement of need"] and sections[-1] == "References"
    assert 750 <= len(body.split()) <= 1750
    cited = set(re.findall(r"@(\w+)", body))
    entries = set(re.findall(r"^@\w+\{(\w+),", (PAPER / head["bibliography"]).read_text(), re.M))
    assert cited and cited == entries
