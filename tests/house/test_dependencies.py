"""What is imported is asked for: a fresh environment has every library that the code, the tests and the docs use."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from voxtune.extras import install_line

ROOT = Path(__file__).resolve().parents[2]
OWN = {"voxtune", "voxtune_recipes"}
NOT_INSTALLED = {"ants": ["antspyx"]}
"""Packages of extras that the environment of the tests leaves out, by the name they are imported by."""


def imported(paths: Iterable[Path]) -> dict[str, str]:
    """Top-level names of other people's packages, and a file that imports each; siblings of a script are its own."""
    found: dict[str, str] = {}
    for path in paths:
        top = ROOT / path.relative_to(ROOT).parts[0]
        beside = {one.stem for one in path.parent.glob("*.py")} | {
            one.name for one in top.iterdir() if one.is_dir()
        }
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                top = name.split(".")[0]
                if top not in {*OWN, *beside, *sys.stdlib_module_names}:
                    found.setdefault(top, str(path.relative_to(ROOT)))
    return found


def plain(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def installed() -> Mapping[str, list[str]]:
    """The distributions of this environment by the names they are imported by; seconds to find."""
    return NOT_INSTALLED | packages_distributions()


def not_asked_for(found: dict[str, str], requirements: Iterable[str]) -> list[str]:
    """Imports whose distribution is in no requirement."""
    # dask[distributed] asks for both
    asked = {
        plain(name)
        for one in requirements
        for name in re.split(r"[\[\],]", re.split(r"[<>=! ;]", one)[0])
        if name
    }
    owners = installed()
    return [
        f"{file}: {name}"
        for name, file in sorted(found.items())
        if not asked & {plain(one) for one in owners.get(name, [name])}
    ]


def requirements(*extras: str) -> list[str]:
    """Those of the package and of the extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [
        *project["dependencies"],
        *(one for extra in extras for one in project["optional-dependencies"][extra]),
    ]


def test_the_library_asks_for_what_it_imports() -> None:
    extras = ("dask", "slurm", "hub", "serve", "augment")
    assert not_asked_for(imported((ROOT / "src").rglob("*.py")), requirements(*extras)) == []


def test_tests_and_docs_ask_for_what_they_import() -> None:
    paths = [
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "docs").rglob("*.py"),
        *(ROOT / "benchmarks").rglob("*.py"),
    ]
    assert not_asked_for(imported(paths), requirements("dev", "benchmarks")) == []


@pytest.mark.parametrize("extra", ["serve", "dask", "hub", "augment", "tensorboard"])
def test_a_printed_line_installs_what_an_extra_asks_for(extra: str) -> None:
    """The package is on no index: its own name would install a stranger's, or nothing."""
    line = install_line(extra)
    assert line.startswith("pip install '")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for one in project["optional-dependencies"][extra]:
        assert plain(re.split(r"[<>=\[]", one)[0]) in plain(line)
    assert install_line("serve", "a package that is nowhere") == "pip install -e '.[serve]' (in the clone)"


def test_nothing_tells_people_to_install_our_name_from_an_index() -> None:
    paths = [*(ROOT / "src").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in paths
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"(pip|uv pip|pipx|conda) install[^`]*\bvoxtune\b", line) and "--no-index" not in line
    ]
    assert found == []


def test_what_is_not_asked_for_is_found() -> None:
    assert not_asked_for({"yaml": "a.py", "numpy": "b.py"}, ["numpy>=1"]) == ["a.py: yaml"]
