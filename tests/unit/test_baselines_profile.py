"""The baseline of volumes is that of the profile: it does not vanish for another disease, and says which columns it took."""

import numpy as np

from voxtune.evaluation.baseline_answers import ClassAnswer
from voxtune.evaluation.baselines import (
    Inputs,
    baseline_notes,
    cross_fitted_baselines,
    input_columns,
    run_baselines,
    unlabelled_texts,
)
from voxtune.evaluation.predictions import Predictions
from voxtune.model.questions import ClassQuestion
from voxtune.profiles.blank import PROFILE as BLANK
from voxtune.profiles.dementia import PROFILE as DEMENTIA
from voxtune.types.profile import Profile, ReportField
from voxtune.types.records import ManifestRow

PARKINSON = Profile(
    name="parkinson",
    regions={
        "dat_ratio": ReportField(name="DaT ratio"),
        "putamen_mm3": ReportField(name="Putamen", text=False),
        "absent_mm3": ReportField(name="Absent"),
    },
    defining=("updrs*",),
)


ANSWER = ClassAnswer(ClassQuestion(("HC", "PD"), ()))
WITH = Inputs(profile=PARKINSON)


def accuracy(table: Predictions) -> float:
    rows = table.rows()
    return sum(row.predicted == row.diagnosis for row in rows) / len(rows)


def people(count: int = 40) -> list[ManifestRow]:
    rng = np.random.default_rng(0)
    return [
        ManifestRow.model_validate(
            {
                "participant_id": f"p{n}", "scan_id": f"s{n}", "image": "i", "diagnosis": ("HC", "PD")[n % 2],
                "diagnosis_rule": "rule: updrs_total>20:PD;updrs_total<=20:HC", "DaT ratio": f"{rng.normal(2.6 - 1.2 * (n % 2), 0.2):.3f}",
                "putamen_mm3": "unknown" if n == 3 else f"{rng.normal(8000, 500):.0f}", "updrs_total": f"{3 + 30 * (n % 2)}",
            }
        )
        for n in range(count)
    ]  # fmt: skip


def test_numeric_columns_that_the_profile_names_are_its_features() -> None:
    rows = people()
    assert accuracy(run_baselines(ANSWER, rows[:30], rows[30:], WITH)["volumes"]) == 1.0
    assert "volumes" in cross_fitted_baselines(ANSWER, rows, WITH)
    without = [row.model_copy(update={"DaT ratio": None}) for row in rows]
    assert accuracy(run_baselines(ANSWER, without[:30], without[30:], WITH)["volumes"]) < 1.0


def test_notes_say_which_columns_and_why_there_are_none() -> None:
    rows = people()
    notes = baseline_notes(ANSWER, rows[:30], rows[30:], PARKINSON)
    assert notes["volumes"].startswith("dat_ratio and putamen_mm3 among its columns")
    assert "training mean where missing: 1 of 30 training" in notes["volumes"]
    assert baseline_notes(ANSWER, rows[:30], rows[30:], BLANK)["volumes"] == "profile 'blank' names no region"
    assert "volumes" not in run_baselines(ANSWER, rows[:30], rows[30:], Inputs())
    assert input_columns(ANSWER, [], DEMENTIA)["volumes"][-1] == "icv_mm3"
    by_dat = PARKINSON.model_copy(update={"defining": ()})
    ruled = [
        row.model_copy(update={"diagnosis_rule": "rule: DaT ratio<2:PD;DaT ratio>=2:HC"}) for row in rows
    ]
    assert (
        "the label is made from dat_ratio"
        in baseline_notes(ANSWER, ruled[:30], ruled[30:], by_dat)["volumes"]
    )


def test_texts_for_the_baseline_are_the_profiles_and_hold_no_label() -> None:
    rows = people(4)
    texts = unlabelled_texts(
        rows, None, PARKINSON.model_copy(update={"regions": {"dat_ratio": ReportField(name="DaT ratio")}})
    )
    assert texts["s1"].text.startswith("The scan reveals the following measurements: DaT ratio: ")
    assert "PD" not in texts["s1"].text
    assert unlabelled_texts(rows, "mine.txt", BLANK) == {}
    assert "Dat ratio" in unlabelled_texts(rows, "mine.txt", BLANK, ("DaT ratio",))["s0"].text
