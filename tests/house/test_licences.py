"""Every file that is shipped has a licence line in docs/licences.md, every line has a file, and foreign assets name their source."""

import re
import shutil
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `(?P<pattern>[^`]+)` \| `(?P<licence>[^`]+)` \| (?P<source>[^|]+) \|$", re.MULTILINE)
LICENCES = {"Apache-2.0", "PDDL-1.0"}
OURS = "The VoxTune developers"


def rows(page: str) -> list[tuple[str, str, str]]:
    """Pattern, licence and source of each line."""
    return [(one["pattern"], one["licence"], one["source"].strip()) for one in ROW.finditer(page)]


def fits(path: str, pattern: str) -> bool:
    """``*`` stays in its folder, ``**`` does not."""
    if pattern.endswith("/**"):
        depth = pattern.count("/")
        return path.count("/") >= depth and fnmatchcase("/".join(path.split("/")[:depth]), pattern[:-3])
    return path.count("/") == pattern.count("/") and fnmatchcase(path, pattern)


def uncovered(files: list[str], table: list[tuple[str, str, str]]) -> tuple[list[str], list[str]]:
    """Files without a line, and lines that no file needs."""
    first = {path: next((row[0] for row in table if fits(path, row[0])), None) for path in files}
    used = set(first.values())
    return [path for path, pattern in first.items() if pattern is None], [
        row[0] for row in table if row[0] not in used
    ]


@pytest.fixture(scope="module")
def table() -> list[tuple[str, str, str]]:
    return rows((ROOT / "docs/licences.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def files() -> list[str]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("no git checkout, or no git: what is tracked cannot be told")
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    return done.stdout.splitlines()


def test_every_file_has_a_licence(files: list[str], table: list[tuple[str, str, str]]) -> None:
    assert uncovered(files, table) == ([], [])


def test_only_known_licences(table: list[tuple[str, str, str]]) -> None:
    assert {licence for _, licence, _ in table} == LICENCES


def test_what_is_not_code_or_text_has_a_line_of_its_own_with_its_source(
    files: list[str], table: list[tuple[str, str, str]]
) -> None:
    for path in files:
        if "/assets/" in path:
            pattern, _, source = next(row for row in table if fits(path, row[0]))
            assert "/assets/" in pattern, path
            assert source != OURS or path.endswith("README.md"), f"{path}: say where it comes from"


def test_foreign_licences_travel_with_their_files(
    files: list[str], table: list[tuple[str, str, str]]
) -> None:
    for pattern, licence, _ in table:
        if licence != "Apache-2.0" and pattern.endswith("/**"):
            assert f"{pattern[:-3]}/LICENSE.txt" in files


@pytest.mark.parametrize(
    ("path", "pattern", "answer"),
    [
        ("src/voxtune/cli/base.py", "src/**", True),
        ("Makefile", "*", True),
        ("data/scan.nii", "*", False),
        ("benchmarks/demo/results/a.json", "benchmarks/*/results/**", True),
        ("benchmarks/demo/run.py", "benchmarks/*/results/**", False),
    ],
)
def test_patterns(path: str, pattern: str, answer: bool) -> None:
    assert fits(path, pattern) is answer


def test_a_file_without_a_line_is_found() -> None:
    table = [("src/**", "Apache-2.0", OURS), ("gone/**", "Apache-2.0", OURS)]
    assert uncovered(["src/a.py", "data/scan.nii.gz"], table) == (["data/scan.nii.gz"], ["gone/**"])
