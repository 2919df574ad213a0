"""Figures of a reproduction: a row for each row of the table, the paper's figure beside ours, SIMULATED on what is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from voxtune.pages import print_files, reproduce_prints
from voxtune.pages.reproduce_prints import write_differences_figure, write_table_figure

ROWS = [("zero-shot", 40.0, 35.0, 45.0), ("RadFM + ours, on two lines of text", 78.0, None, None), ("missing", None, None, None)]  # fmt: skip


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """The axes of every figure that is written, with what was said of it."""
    found: list[tuple[Any, dict[str, Any]]] = []

    def write(folder: Path, name: str, draw: Callable[[Any], None], **said: Any) -> None:
        axes = Figure().subplots()
        draw(axes)
        found.append((axes, {"name": name, **said}))
        print_files.write_figure(folder, name, draw, **said)

    monkeypatch.setattr(reproduce_prints, "write_figure", write)
    return found


@pytest.mark.parametrize("simulated", [True, False])
def test_a_table_is_drawn_with_the_paper_beside_it(
    tmp_path: Path, drawn: list[tuple[Any, dict[str, Any]]], simulated: bool
) -> None:
    write_table_figure(tmp_path, "table_2", ROWS, [54.9, None, 71.5], axis="accuracy, %", simulated=simulated)
    [(axes, said)] = drawn
    names = [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()]
    assert names == ["zero-shot", "RadFM + ours, on two lines of text", "missing"]
    values = [
        (float(line.get_xdata()[0]), line.get_marker())
        for line in axes.get_lines()
        if len(line.get_xdata()) == 1
    ]
    assert values == [(40.0, "o"), (54.9, "x"), (78.0, "o"), (71.5, "x")]
    assert said["simulated"] is simulated
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["table_2.pdf", "table_2.svg"]


def test_a_table_of_which_nothing_was_computed_is_not_drawn(tmp_path: Path) -> None:
    write_table_figure(tmp_path, "table_2", ROWS[2:], [71.5], axis="accuracy, %", simulated=True)
    write_differences_figure(tmp_path, "table_3", {"24 training scans": []}, reference="ours")
    assert not list(tmp_path.iterdir())


def test_differences_are_drawn_for_each_regime_and_row(
    tmp_path: Path, drawn: list[tuple[Any, dict[str, Any]]]
) -> None:
    regimes = {"24 scans": [("probe", 3.0, 1.0, 5.0), ("lora", -8.0, -9.0, -7.0)], "48 scans": [("probe", 2.0, None, None)]}  # fmt: skip
    write_differences_figure(tmp_path, "table_2_tiny", regimes, reference="ours")
    [(axes, said)] = drawn
    points = [float(line.get_xdata()[0]) for line in axes.get_lines() if line.get_marker() in "os" and len(line.get_xdata())]  # fmt: skip
    assert points == [3.0, -8.0, 2.0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(regimes)
    assert "'ours'" in axes.get_xlabel()
    assert said["simulated"] is True
