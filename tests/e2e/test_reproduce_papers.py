"""Whole papers on simulated people and shipped bases: the words and maps of one, the table of findings of the other."""

import csv
import json
from pathlib import Path

import pytest

from voxtune.commands.reproduce import explained
from voxtune.commands.reproduce.command import Options, reproduce
from voxtune.commands.reproduce.data import Request
from voxtune.commands.simulate.command import simulate
from voxtune.data.manifest import read_manifest, write_manifest


@pytest.mark.slow
def test_tokens_and_maps_of_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explained, "LIMIT", 1)
    cohort = simulate(tmp_path / "cohort", participants=24, visits=1, seed=3)
    rows = [row for row in read_manifest(cohort) if row.diagnosis in {"NC", "AD"}]
    request, out = Request(write_manifest(rows, cohort.with_name("two.tsv"))), tmp_path / "out"
    options = Options(
        tables=(6,), figures=(2,), request=request, seeds=1, base="tiny", edits=("training.epochs=1",)
    )
    done = reproduce("deft", out, options, lambda _: None)
    assert "Table 6: done" in done.summary
    assert "Figure 2: done" in done.summary
    (cell,) = (out / "cells").iterdir()
    facts = json.loads((out / "table_6.json").read_text(encoding="utf-8"))
    adapter = json.loads((cell / "adapter" / "adapter.json").read_text(encoding="utf-8"))
    assert facts["made_of"]["adapter_sha256"] == adapter["adapter_sha256"]
    assert facts["simulated"] is True
    assert {one["participants"] for one in facts["groups"].values()} == {1}, "the limit holds"
    with (out / "table_6.csv").open(encoding="utf-8") as stream:
        lines = list(csv.DictReader(stream))
    assert {line["stage"] for line in lines} == set(facts["tokens"])
    assert {float(line["value"]) for line in lines} == {
        one["value"] for tokens in facts["tokens"].values() for one in tokens
    }
    figure = json.loads((out / "figure_2.json").read_text(encoding="utf-8"))
    assert figure["stages"] == ["NC", "AD"]
    page = (out / "figure_2.html").read_text(encoding="utf-8")
    assert "SIMULATED" in page
    assert "a row for each stage (NC, AD)" in page
    assert "data:image/png" in page
    assert not [row for row in rows if row.participant_id in page]
    assert 'href="figure_2.html"' in (out / "page.html").read_text(encoding="utf-8")

    stamps = {path: path.stat().st_mtime_ns for path in out.glob("*_[26].json")}
    reproduce("deft", out, options, lambda _: None)
    assert stamps == {path: path.stat().st_mtime_ns for path in out.glob("*_[26].json")}, "not made again"


@pytest.mark.slow
def test_a_paper_of_findings_from_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    options = Options(request=Request(participants=18), seeds=1, edits=("training.epochs=1",))
    done = reproduce("medct", tmp_path, options, said.append)
    assert any("SIMULATED chest cohort of 18 participants" in line for line in said)
    assert "Table 1: 2 rows: 2 done" in done.summary
    base, tuned = json.loads((tmp_path / "table_1.json").read_text(encoding="utf-8"))["lines"]
    (cell,) = (tmp_path / "cells").iterdir()
    metrics = json.loads((cell / "evaluation" / "own" / "metrics.json").read_text(encoding="utf-8"))
    assert tuned["accuracy"]["auroc"]["mean"] == pytest.approx(100 * metrics["auroc"]["value"])
    assert base["accuracy"]["auroc"]["mean"] == pytest.approx(
        100 * metrics["baseline/zero_shot/auroc"]["value"]
    )
    assert tuned["accuracy"]["auroc"]["n_scans"] == metrics["n_scans"]
    page = (tmp_path / "table_1.html").read_text(encoding="utf-8")
    for words in ("SIMULATED", "1 seed(s)", "Every score is a mean over findings", "MedCT-VLM (LoRA)"):
        assert words in page
