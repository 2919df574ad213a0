"""The front page prints every comparator that was computed, with the figures of the result files, and claims no bound that is none."""

import json
import re
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEMO = ROOT / "benchmarks" / "demo" / "results"
FEW = ROOT / "benchmarks" / "method" / "results" / "few_scans"
ARMS = ("projections", "deft_labels")
COMPARATORS = ("linear_probe", "volumes", "mmse")


def block(name: str) -> str:
    """What stands between the markers of a result."""
    found = re.search(rf"<!-- results:{name} -->\n(.*?)\n?<!-- /results -->", README, re.DOTALL)
    assert found is not None, f"README has no results:{name}"
    return found.group(1)


def cells(folder: Path, prefix: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(f"{prefix}*.json"))]


def comparators(cell: dict[str, Any]) -> dict[str, float]:
    """Every accuracy of a demo cell that is not the model's own."""
    found = {name: one["value"] for name, one in cell.items() if isinstance(one, dict) and "value" in one}
    found |= {name: one["value"] for name, one in cell.get("baselines", {}).items()}
    return found | {"volume_regression": cell["volume_regression_accuracy"]}


def test_the_demo_line_names_every_comparator() -> None:
    some = cells(DEMO, "default--")
    text = block("summary")
    names = set(comparators(some[0]))
    assert {"zero_shot", "linear_probe", "volumes_on_test"} <= names
    for name in names:
        figure = f"{100 * mean(comparators(one)[name] for one in some):.1f}"
        assert figure in text, f"README leaves out {name}, {figure}%"
    assert f"{100 * mean(one['scores']['accuracy']['value'] for one in some):.1f}" in text


@pytest.mark.parametrize("size", sorted({one["scans"]["train"] for one in cells(FEW, "scans")} or {0}))
def test_the_line_of_few_scans_names_every_comparator(size: int) -> None:
    some = [one for one in cells(FEW, "scans") if one["scans"]["train"] == size]
    line = next(one for one in block("few-scans-summary").splitlines() if one.startswith(f"- {size} "))
    assert f"{len(some)} cohort" in line
    figures = [mean(one["arms"][name]["accuracy"] for one in some) for name in ARMS]
    figures += [mean(one["baselines"][name] for one in some) for name in COMPARATORS]
    for figure in figures:
        assert f"{100 * figure:.1f}" in line


def test_no_cell_was_chosen_on() -> None:
    """What is printed comes from seeds that no default was fixed on."""
    names: dict[str, Any] = {}
    source = (ROOT / "benchmarks" / "method" / "people.py").read_text(encoding="utf-8")
    for line in source.splitlines():
        if line.startswith(("DEVELOPMENT =", "FRESH =")):
            exec(line, names)  # two constants of our own script
    assert not set(names["DEVELOPMENT"]) & set(names["FRESH"])
    assert {one["seed"] for one in cells(FEW, "scans")} <= set(names["FRESH"])


@pytest.mark.parametrize(
    "page", ["README.md", "docs/concepts/demo-results.md", "docs/tutorial/simulated-people.md"]
)
def test_no_page_calls_a_regression_a_bound(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8").lower()
    for claim in ("best possible", "oracle", "hope for"):
        assert claim not in text


WORD = "ora" + "cle"
HISTORY = {"0107-the-best-possible-is-a-posterior.md", "0172-comparators-are-rows.md", "CHANGELOG.md"}
"""Pages that say what was once called so."""


def test_nothing_is_called_what_it_is_not() -> None:
    folders = ("src", "docs", "benchmarks", "README.md", "CHANGELOG.md")
    paths = [path for name in folders for path in (ROOT / name, *(ROOT / name).rglob("*")) if path.is_file()]
    found = [
        path.relative_to(ROOT)
        for path in paths
        if path.suffix in {".py", ".md", ".json", ".csv", ".tsv", ".j2", ".toml"}
        and path.name not in HISTORY
        and WORD in path.read_text(encoding="utf-8").lower()
    ]
    assert found == [], "the posterior is the best possible; a regression on true volumes is called that"
