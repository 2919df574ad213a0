"""The heat map of biomarkers by stage: the numbers of the explanation, in every file, with the sign in the colour."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from voxtune.commands.reproduce.gradients import FRAME, heat_json, heat_of, write_heat_files
from voxtune.pages.reproduce_page import HeatCell, HeatMap, ShownMaps, figure_page
from voxtune.types.volume import Volume


def one(value: float | None, spread: float | None = 0.01) -> dict[str, Any]:
    ends = {"low": None, "high": None} if value is None or spread is None else {"low": value - spread, "high": value + spread}  # fmt: skip
    return {"value": value, **ends}


FACTS: dict[str, Any] = {
    "groups": {"NC": {"participants": 3}, "AD": {"participants": 5}},
    "text": {
        "parts": {"NC": {"Hippocampal volume": one(-0.02)}, "AD": {"Hippocampal volume": one(0.04), "Ventricular size": one(0.01, None)}},
        "frame": {"NC": one(0.005), "AD": one(None)},
        "completeness_error": {"mean": 0.02, "largest": 0.1},
    },
}  # fmt: skip


def test_a_cell_for_each_biomarker_and_stage() -> None:
    heat = heat_of(FACTS)
    assert heat.stages == ("NC (3 participants)", "AD (5 participants)")
    assert [cell.text for cell in heat.rows["Hippocampal volume"]] == ["-0.020 [-0.030, -0.010]", "+0.040 [+0.030, +0.050]"]  # fmt: skip
    assert [cell.text for cell in heat.rows["Ventricular size"]] == ["-", "+0.010"]
    assert [heat.shade(cell) for cell in heat.rows["Hippocampal volume"]] == [-0.5, 1.0]
    assert heat.shade(HeatCell(None)) == 0.0
    assert HeatMap((), {}, None).strongest == 0.0
    assert heat_json(heat)["rows"][FRAME][0]["value"] == 0.005


def test_every_file_holds_the_numbers(tmp_path: Path) -> None:
    write_heat_files(tmp_path / "figure_2", 2, heat_of(FACTS), simulated=True)
    texts = {ending: (tmp_path / f"figure_2.{ending}").read_text(encoding="utf-8") for ending in ("md", "csv", "tex")}  # fmt: skip
    assert "| Hippocampal volume | -0.020 [-0.030, -0.010] | +0.040 [+0.030, +0.050] |" in texts["md"]
    assert len(list(csv.DictReader(texts["csv"].splitlines()))) == 6
    for text in texts.values():
        assert "simulated" in text.lower()


def test_the_page_has_both_forms_or_says_why_not() -> None:
    picture = Volume(np.ones((8, 8, 8), np.float32), np.eye(4))
    maps = ShownMaps("maps of <b>", {"NC": picture}, {("NC", "full report"): picture})
    page = figure_page(2, maps, heat_of(FACTS), simulated=True)
    assert "data:image/png" in page
    assert "maps of &lt;b&gt;" in page
    assert "#2b7bd9 30.0%" in page, "below 0 is blue, half as strong as the strongest"
    assert "#d9822b 60.0%" in page
    assert "but for 2.0% on average" in page
    bare = figure_page(2, maps, heat_of({**FACTS, "text": None}), simulated=False)
    assert "name no biomarker" in bare
