"""Several visits of one person, from training to predict and serve: the same answer by every door, and none from after the moment."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from voxtune.cli import main
from voxtune.commands.simulate.command import simulate
from voxtune.data.manifest import read_table, write_table
from voxtune.evaluation.tables import read_predictions
from voxtune.model import visits
from voxtune.serving.predictor import Predictor
from voxtune.serving.tasks import Bench


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == code, f"{arguments}: {result.output}"
    return result


@dataclass(frozen=True)
class Visits:
    run: Path
    manifest: Path
    """Of two other people, preprocessed: one with three visits, one with one."""

    @property
    def rows(self) -> list[dict[str, str]]:
        return read_table(self.manifest)

    def one(self, folder: Path, **changed: dict[str, str]) -> Path:
        """The manifest of the person with three visits, with cells changed by scan."""
        rows = [row | changed.get(row["scan_id"], {}) for row in self.rows[:3]]
        for row in rows:
            row["image"] = str((self.manifest.parent / row["image"]).resolve())
        return write_table(folder / "one.tsv", tuple(rows[0]), rows)


def _fitted(join: visits.VisitJoin, *_: object) -> str:
    """In place of learning from few people: weights at which every earlier scan tells."""
    draw = torch.Generator().manual_seed(0)
    join.directions.copy_(torch.randn(join.directions.shape, generator=draw))
    join.weights.copy_(torch.randn(join.weights.shape, generator=draw))
    return "Visits: set."


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Visits:
    root = tmp_path_factory.mktemp("visits")
    people: dict[str, Any] = {"proportions": (0, 1, 0), "event": "conversion(rate=0.15, dropout=0.2)"}
    cohort = simulate(root / "cohort", participants=14, visits=1, seed=3, **people)
    other = simulate(
        root / "other",
        participants=2,
        visits=3,
        seed=9,
        proportions=(0, 1, 0),
        event="conversion(rate=0.001, dropout=0)",
    )
    kept = read_table(other)[:4]
    for row in kept:
        row["image"] = str((other.parent / row["image"]).resolve())
    few = write_table(root / "few.tsv", tuple(kept[0]), kept)
    call("preprocess", few, root / "volumes", "--preset", "tiny")
    call("split", cohort, "-o", root / "split", "--seed", 1, "--test", 0.2, "--val", 0.4)
    asked = (
        "--set",
        "event=conversion(visits=3)",
        "--set",
        "aggregation.form=none",
        "--set",
        "targets=none",
        "--set",
        "loss.class_weight=1",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(visits, "learn_visits", _fitted)
        call(
            "train",
            "deft",
            *asked,
            "--set",
            "text=none",
            "--set",
            "training.epochs=1",
            "--data",
            cohort,
            "--split",
            root / "split",
            "-o",
            root / "run",
        )
    return Visits(root / "run", root / "volumes" / "manifest.tsv")


def said(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call("predict", *arguments, "--json").stdout)
    return found


def test_predict_says_what_evaluate_says_and_the_last_visit_is_the_answer(
    made: Visits, tmp_path: Path
) -> None:
    call("evaluate", made.run, "--data", made.manifest, "-o", tmp_path / "scored")
    scored = {one.scan_id: one for one in read_predictions(tmp_path / "scored" / "predictions.tsv").rows()}
    found = said(made.run, made.manifest, "-o", tmp_path / "out")
    assert len(found["predictions"]) == 4
    for one in found["predictions"]:
        assert one["probabilities"] == pytest.approx(scored[one["scan"]].probabilities, abs=1e-5)
    assert [len(one.get("visits", {}).get("earlier", ())) for one in found["predictions"]] == [0, 1, 2, 0]
    alone = said(
        made.run, *(made.manifest.parent / row["image"] for row in made.rows[:3]), "-o", tmp_path / "alone"
    )
    assert alone["predictions"][0]["probabilities"] == found["predictions"][0]["probabilities"]
    assert alone["predictions"][2]["probabilities"] == pytest.approx(
        found["predictions"][2]["visits"]["alone"]
    )
    assert alone["predictions"][2]["probabilities"] != pytest.approx(
        found["predictions"][2]["probabilities"], abs=1e-3
    )


def test_one_person_has_one_answer_by_manifest_by_files_and_from_a_server(
    made: Visits, tmp_path: Path
) -> None:
    whole = said(made.run, made.one(tmp_path), "-o", tmp_path / "a")
    assert whole["scan"] == made.rows[2]["scan_id"], "the last visit stands at the top"
    scans = [made.manifest.parent / row["image"] for row in made.rows[:3]]
    done = call(
        "predict", made.run, scans[2], scans[0], scans[1], "--when", "2,0,1", "-o", tmp_path / "b", "--json"
    )
    files = json.loads(done.stdout)
    assert len(files["predictions"]) == 1
    assert files["probabilities"] == pytest.approx(whole["probabilities"], abs=1e-9)
    assert [one["years"] for one in files["visits"]["earlier"]] == [1.0, 2.0]
    page = next((tmp_path / "a").glob(f"{made.rows[2]['scan_id']}*.html")).read_text(encoding="utf-8")
    for words in (
        "Earlier scans of this person",
        "What changed since",
        "SIMULATED",
        "read together with 2 scans of the same person, 2.00 and 1.00 years before",
        "% a year",
    ):
        assert words in page, words
    assert all(one["sentence"] in page for one in whole["visits"]["changes"])
    assert "read together" in call("predict", made.run, made.one(tmp_path), "-o", tmp_path / "a").stdout, (
        "and a kept answer says so too"
    )

    bench, jobs = Bench(Predictor(made.run / "adapter")), []
    assert bench.describe()["visits"] == 3
    for place, scan in enumerate(scans):
        folder = tmp_path / f"served-{place}"
        folder.mkdir()
        job = {"do": "predict", "folder": str(folder), "scan": str(scan), "name": f"s{place}"}
        if place == 2:
            job["earlier"] = [one | {"years": years} for one, years in zip(jobs, (2.0, 1.0), strict=True)]
        answer = bench.do(job, lambda _: None)
        jobs.append({"folder": str(folder), "name": f"s{place}"})
    # The scans of a manifest are read from its training cache, in which a voxel is a byte.
    assert answer["probabilities"] == pytest.approx(whole["probabilities"], abs=2e-3)
    served = (tmp_path / "served-2" / "page.html").read_text(encoding="utf-8")
    assert "What changed since s0, 2.00 years before" in served
    bench.do(
        {
            "do": "map",
            "folder": str(tmp_path / "served-2"),
            "file": "map-000-000",
            "target": "1 year",
            "biomarker": None,
        },
        print,
    )
    assert "What changed since s0" in (tmp_path / "served-2" / "page.html").read_text(encoding="utf-8")


def test_a_later_scan_never_changes_an_answer(made: Visits, tmp_path: Path) -> None:
    whole = said(made.run, made.one(tmp_path), "-o", tmp_path / "a")["predictions"]
    rows = read_table(made.one(tmp_path))
    part = write_table(tmp_path / "two.tsv", tuple(rows[0]), rows[:2])
    assert (
        said(made.run, part, "-o", tmp_path / "b")["predictions"][1]["probabilities"]
        == whole[1]["probabilities"]
    )


def test_an_earlier_scan_that_cannot_be_read_is_said_and_one_without_a_time_refused(
    made: Visits, tmp_path: Path
) -> None:
    first, second = (row["scan_id"] for row in made.rows[:2])
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no picture")
    found = json.loads(
        call(
            "predict",
            made.run,
            made.one(tmp_path, **{second: {"image": str(broken)}}),
            "-o",
            tmp_path / "a",
            "--json",
            code=5,
        ).stdout
    )
    last = found["predictions"][-1]
    assert last["verdict"].startswith("answer with caution")
    assert f"an earlier scan is not read ({second}" in last["verdict"]
    assert np.isfinite(list(last["probabilities"].values())).all()
    undated = made.one(tmp_path, **{first: {"visit_years": "n/a"}})
    assert "has no visit_years" in call("predict", made.run, undated, "-o", tmp_path / "b", code=3).output
    assert not (tmp_path / "b").exists()
