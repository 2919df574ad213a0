"""Whatever the cohort and the model, an evaluation is sensible numbers or a refusal: never NaN or infinity on a page or in JSON."""

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxtune.commands.evaluate.facts import page_facts, stated_facts
from voxtune.config import read_recipe
from voxtune.errors import DataError
from voxtune.evaluation.baseline_answers import ClassAnswer
from voxtune.evaluation.baselines import Inputs, run_baselines
from voxtune.evaluation.cohort_selection import choose_classes
from voxtune.evaluation.evaluated_model import EvaluatedModel, ScoredCohort
from voxtune.evaluation.evaluation import Evaluation
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.metrics import evaluate
from voxtune.evaluation.predictions import of_records
from voxtune.model.questions import ClassQuestion
from voxtune.pages.evaluation_page import evaluation_page
from voxtune.tasks.task import scored_task
from voxtune.types.records import ManifestRow, Metric, Prediction

CLASSES = ("NC", "MCI", "AD")
MODELS = ("guesses", "constant", "ties", "perfect", "wrong", "skilled")
MMSE = ("all", "some", "none", "one", "equal")
NUMBERS_GONE_WRONG = re.compile(r"\b(nan|inf|infinity|none)\b", re.IGNORECASE)
RESAMPLES = 60  # with a dozen, all may lie on one side of the score by chance


class Words(HTMLParser):
    """The text of a page, without its style sheet."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.styled = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.styled = tag == "style"
        # Coordinates of a drawing and widths of bars are numbers a browser must understand.
        self.words += [
            value
            for name, value in attrs
            if value
            and name not in {"class", "content", "style", "fill", "dominant-baseline", "stroke-dasharray"}
        ]

    def handle_endtag(self, tag: str) -> None:
        self.styled = False

    def handle_data(self, data: str) -> None:
        if not self.styled:
            self.words.append(data)


def rows_of(
    rng: np.random.Generator, people: int, visits: int, classes: tuple[str, ...], mmse: str, side: str
) -> list[ManifestRow]:
    """Participants with one to ``visits`` scans; one in four changes diagnosis between visits."""
    rows = []
    for person in range(people):
        diagnosis = classes[person % len(classes)]
        for visit in range(int(rng.integers(1, visits + 1))):
            if visit and rng.random() < 0.25:
                diagnosis = classes[int(rng.integers(len(classes)))]
            measured = {
                "all": True,
                "some": rng.random() < 0.5,
                "none": False,
                "one": not rows,
                "equal": True,
            }[mmse]
            points = 24.0 if mmse == "equal" else float(rng.integers(2, 31))
            rows.append(
                ManifestRow(
                    participant_id=f"{side}{person}",
                    scan_id=f"{side}{person}-{visit}",
                    image="x.nii.gz",
                    diagnosis=None if rng.random() < 0.05 else diagnosis,
                    mmse=points if measured else None,
                    age=float(rng.integers(40, 95)) if rng.random() < 0.8 else None,
                    sex="FM"[person % 2] if rng.random() < 0.8 else None,
                    site=f"site {person % 3}" if rng.random() < 0.7 else None,
                    hippocampus_mm3=float(rng.normal(7000, 500)) if rng.random() < 0.5 else None,
                    field_strength=3.0,
                )
            )
    return rows


def answers(
    rng: np.random.Generator, rows: list[ManifestRow], classes: tuple[str, ...], model: str, *, points: bool
) -> tuple[list[Prediction], dict[str, np.ndarray], list[Prediction]]:
    """Predictions of a model of that kind, its vectors, and its predictions in other words."""
    k = len(classes)

    def one(row: ManifestRow) -> Prediction:
        true = classes.index(str(row.diagnosis)) if row.diagnosis in classes else 0
        p = {
            "guesses": rng.dirichlet(np.ones(k)),
            "constant": np.eye(k)[0],
            "ties": np.full(k, 1 / k),
            "perfect": np.eye(k)[true],
            "wrong": np.eye(k)[(true + 1) % k],
            "skilled": (rng.dirichlet(np.ones(k)) + np.eye(k)[true]) / 2,
        }[model]
        return Prediction(
            scan_id=row.scan_id,
            participant_id=row.participant_id,
            diagnosis=row.diagnosis,
            predicted=classes[int(p.argmax())],
            probabilities=dict(zip(classes, (p / p.sum()).tolist(), strict=True)),
            targets={
                name: points
                for name, points in {"mmse": float(rng.normal(24, 4)) if points else None}.items()
                if points is not None
            },
        )

    vectors = {row.scan_id: rng.normal(size=4).astype(np.float32) for row in rows}
    return [one(row) for row in rows], vectors, [one(row) for row in rows]


def sane(metrics: dict[str, Metric]) -> None:
    for name, one in metrics.items():
        for number in (one.value, one.low, one.high):
            assert number is None or math.isfinite(number), name
        assert (one.low is None) == (one.high is None), name
        if one.low is not None:
            assert one.value is not None, name
            assert one.low <= one.value + 1e-9, name
            assert one.value <= one.high + 1e-9, name
        if (
            re.search(r"accuracy|auroc|sensitivity|specificity|f1|precision|brier$", name)
            and one.value is not None
        ):
            least = -1.0 if name.startswith("against/") else 0.0  # a difference
            assert least - 1e-9 <= one.value <= (2 if "brier" in name else 1) + 1e-9, name
        assert one.n_scans >= one.n_participants >= 0, name


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**31),
    people=st.integers(1, 12),
    visits=st.integers(1, 3),
    present=st.sets(st.sampled_from(CLASSES), min_size=1),
    model=st.sampled_from(MODELS),
    mmse=st.sampled_from(MMSE),
    points=st.booleans(),
    two=st.booleans(),
)
def test_an_evaluation_of_any_cohort_is_sane(
    seed: int, people: int, visits: int, present: set[str], model: str, mmse: str, points: bool, two: bool
) -> None:
    rng = np.random.default_rng(seed)
    classes = ("NC", "AD") if two else CLASSES
    test = rows_of(rng, people, visits, tuple(sorted(present)), mmse, "test")
    try:
        chosen = choose_classes(test, classes)
    except DataError:
        assert not [row for row in test if row.diagnosis in classes]
        return
    train = rows_of(rng, 9, 2, classes, "some", "train")
    said, vectors, reworded = answers(rng, chosen.rows, classes, model, points=points)
    rivals = run_baselines(ClassAnswer(ClassQuestion(tuple(classes), ())), train, chosen.rows, Inputs())
    truth = {row.scan_id: row.mmse for row in chosen.rows if row.mmse is not None}
    thresholds = {name: float(rng.random()) for name in classes[1:]}
    table = of_records(said, classes, {"mmse": truth}, thresholds)
    with TemporaryDirectory() as folder:
        cohort = ScoredCohort(
            Path(folder) / "manifest.tsv", own=False, chosen=chosen, training=None, train_rows=[], val_rows=[]
        )
        cohort.manifest.write_text("x", encoding="utf-8")
        subject = EvaluatedModel(read_recipe("deft"))
        words = {"{name}": of_records(reworded, classes)}
        found = Evaluation(
            subject, scored_task(subject), cohort, table, rivals, words, vectors, RESAMPLES,
            raw={"model": table, **rivals}, calibration="No row is calibrated.",
        )  # fmt: skip
        facts = page_facts(found)
        stated = stated_facts(found, facts)
    everything = found.all_metrics()
    sane(everything)
    json.dumps({name: one.model_dump() for name, one in everything.items()} | stated, allow_nan=False)
    page = " ".join(Words(evaluation_page(facts)).words).replace("pretraining of tiny: none", "")
    assert not (wrong := NUMBERS_GONE_WRONG.findall(page)), wrong
    assert f"{len(chosen.rows)} scans, {chosen.people} participants" in page


@pytest.mark.parametrize("model", MODELS)
def test_what_each_kind_of_model_gets(model: str) -> None:
    """Sixty people, two scans each: the scores that follow from how the model answers."""
    rng = np.random.default_rng(0)
    rows = [
        row.model_copy(update={"diagnosis": CLASSES[int(row.participant_id[4:]) % 3]})
        for row in rows_of(rng, 60, 1, CLASSES, "all", "test")
    ]
    metrics = evaluate(
        of_records(answers(rng, rows, CLASSES, model, points=True)[0], CLASSES), Draw(resamples=200)
    )
    accuracy, auroc = metrics["accuracy"], metrics["auroc"]
    want = {"constant": 1 / 3, "ties": 1 / 3, "perfect": 1.0, "wrong": 0.0}.get(model)
    if want is not None:
        assert accuracy.value == pytest.approx(want)
    assert accuracy.low < accuracy.high
    if model in {"constant", "ties"}:
        assert auroc.value == 0.5
    if model == "guesses":
        assert accuracy.low < 1 / 3 < accuracy.high
        assert auroc.low < 0.5 < auroc.high
    if model == "skilled":
        assert accuracy.low > 1 / 3
