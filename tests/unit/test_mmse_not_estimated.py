"""An adapter that saw almost no MMSE scores says so in place of a number."""

from dataclasses import replace
from pathlib import Path

import pytest

from voxtune.commands.simulate.command import simulate
from voxtune.data.targets import target_values
from voxtune.model.adapter import load_adapter
from voxtune.pages.scan_page import scan_page
from voxtune.serving.answer import Answer, columns
from voxtune.serving.bundled import adapter_folder
from voxtune.serving.predictor import Predictor
from voxtune.types.records import ManifestRow
from voxtune.types.reliability import TargetScores
from voxtune.types.target import Target


def rows(*scores: float | None) -> list[ManifestRow]:
    return [
        ManifestRow(participant_id=f"p{n}", scan_id=f"s{n}", image="x.nii.gz", mmse=one)
        for n, one in enumerate(scores)
    ]


def mmse_scores(some: list[ManifestRow]) -> TargetScores:
    known = [value for value in target_values(some, Target(name="mmse")) if value is not None]
    return TargetScores(scans=len(known), values=len(set(known)))


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        ([30.0, 30.0, *[None] * 12], "only 2 training scans have a score"),
        ([30.0, *[None] * 12], "only 1 training scan has a score"),
        ([29.0, 21.0] * 4, "only 8 training scans have a score"),
        ([28.0] * 40, "all 40 training scans with a score have the same"),
        ([29.0, 21.0] * 5, None),
    ],
)
def test_few_or_equal_scores_teach_no_estimate(scores: list[float | None], why: str | None) -> None:
    assert mmse_scores(rows(*scores)).too_few == why


def test_a_prediction_says_so_in_place_of_a_number(tmp_path: Path) -> None:
    manifest = simulate(tmp_path / "cohort", participants=3, visits=1, seed=5)
    scan = min((manifest.parent / "scans").glob("*.nii.gz"))
    demo = load_adapter(adapter_folder(Path("demo")))
    said = {}
    for name, scores in {"older": None, "enough": rows(*[20.0, 30.0] * 8), "few": rows(30.0, 30.0)}.items():
        taught = {} if scores is None else {"mmse": mmse_scores(scores)}
        facts = demo.facts.model_copy(update={"target_scores": taught})
        said[name] = Predictor(replace(demo, facts=facts)).predict(scan), facts
    older, enough, few = (result for result, _ in said.values())
    assert older.prediction.mmse is not None
    assert older.prediction == enough.prediction
    assert older.caveats == enough.caveats

    note = "MMSE not estimated: only 2 training scans have a score"
    assert few.prediction.mmse is None
    assert few.prediction.probabilities == older.prediction.probabilities
    assert (few.caveats.mmse_note, few.caveats.mmse_interval) == (note, None)
    answer = Answer(few.prediction, few.caveats, tmp_path / "page.html")
    assert answer.lines()[1].endswith(f"; {note}")
    assert answer.as_json()["mmse"] is None
    row = answer.row()
    assert (row.get("mmse_predicted"), row["mmse_low"], row["mmse_note"]) == (None, None, note)
    assert {*row, "adapter"} == set(columns(demo.facts.classes))
    facts = said["few"][1].model_dump(mode="json")
    page = scan_page(few.prediction, few.caveats, few.preprocessed.volume, facts)
    assert note in page
    assert "predicted MMSE" not in page
