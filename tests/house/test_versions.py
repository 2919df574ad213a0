"""One version everywhere, a changelog that knows it, and a citation that can be read."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import voxtune

ROOT = Path(__file__).resolve().parents[2]


def version_of(project: str, citation: str, changelog: str) -> list[str]:
    """What is wrong between the three, against the version of the package."""
    found = []
    if tomllib.loads(project)["project"]["version"] != voxtune.__version__:
        found.append("pyproject.toml has another version than voxtune.__version__")
    if str(yaml.safe_load(citation)["version"]) != voxtune.__version__:
        found.append("CITATION.cff has another version than voxtune.__version__")
    headings = re.findall(r"^## (?:\[)?(Unreleased|\d+\.\d+\.\d+)", changelog, re.MULTILINE)
    if "Unreleased" not in headings[:1] and voxtune.__version__ not in headings[:1]:
        found.append("CHANGELOG.md begins with neither 'Unreleased' nor this version")
    return found


@pytest.fixture
def texts() -> tuple[str, str, str]:
    names = ("pyproject.toml", "CITATION.cff", "CHANGELOG.md")
    project, citation, changelog = ((ROOT / name).read_text(encoding="utf-8") for name in names)
    return project, citation, changelog


def test_one_version(texts: tuple[str, str, str]) -> None:
    assert version_of(*texts) == []


def test_another_version_is_found(texts: tuple[str, str, str]) -> None:
    project, citation, changelog = texts
    wrong = version_of(
        project.replace(f'version = "{voxtune.__version__}"', 'version = "9.9.9"'),
        citation.replace(f"version: {voxtune.__version__}", "version: 9.9.9"),
        re.sub(r"^## .*$", "## 9.9.9", changelog, flags=re.MULTILINE),
    )
    assert len(wrong) == 3


def test_the_citation_is_whole(texts: tuple[str, str, str]) -> None:
    citation = yaml.safe_load(texts[1])
    assert {"cff-version", "message", "title", "authors", "license"} <= citation.keys()
    assert citation["license"] == tomllib.loads(texts[0])["project"]["license"] == "Apache-2.0"
    assert {"https://arxiv.org/abs/2509.07613", "https://arxiv.org/abs/2512.00597"} <= {
        one["url"] for one in citation["references"]
    }


def test_every_changelog_entry_is_one_sentence_or_more(texts: tuple[str, str, str]) -> None:
    entries = [line for line in texts[2].splitlines() if line.startswith("- ")]
    assert entries
    assert [line for line in entries if not line.rstrip().endswith(".")] == []


def test_constraints_pin_every_dependency(texts: tuple[str, str, str]) -> None:
    project = tomllib.loads(texts[0])["project"]
    pins = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    needed = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[\[<>=! ]", one)[0].lower().replace("_", "-") for one in needed}
    assert names - pins == set()
