"""The page of an evaluation: one file, headline with interval first, no NaN, no request, every value escaped."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from voxtune.evaluation.calibration import reliability, top_label
from voxtune.evaluation.compare import compare
from voxtune.evaluation.curves import roc_curves, target_points
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.metrics import confusion, evaluate
from voxtune.evaluation.predictions import of_records
from voxtune.evaluation.subgroups import subgroups
from voxtune.pages import figures
from voxtune.pages.comparison_page import (
    ComparedCohort,
    ComparisonFacts,
    comparison_page,
    headline,
    number_text,
)
from voxtune.pages.evaluation_facts import ClassFacts, EvaluationFacts, TargetFacts
from voxtune.pages.evaluation_page import evaluation_page, headline_text, verdict
from voxtune.pages.score_labels import interval_text, p_text
from voxtune.pages.task_words import headline_scale
from voxtune.types.records import Comparison, ManifestRow, Metric, Prediction

CLASSES = ("NC", "MCI", "AD")
PERCENT = headline_scale("accuracy", "diagnosis")


def predictions(people: int = 24, seed: int = 0) -> list[Prediction]:
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(people * 2):
        true = n // 2 % 3
        p = np.exp(rng.normal(size=3) + 2 * np.eye(3)[true])
        rows.append(
            Prediction(
                scan_id=f"s{n}",
                participant_id=f"p{n // 2}",
                diagnosis=CLASSES[true],
                predicted=CLASSES[int(p.argmax())],
                probabilities=dict(zip(CLASSES, (p / p.sum()).tolist(), strict=True)),
                targets={
                    name: points
                    for name, points in {"mmse": 28 - 3 * true + float(rng.normal())}.items()
                    if points is not None
                },
            )
        )
    return rows


def facts(rows: list[Prediction], **more: object) -> EvaluationFacts:
    truth = {row.scan_id: 25.0 + n % 5 for n, row in enumerate(rows)}
    table = {
        row.scan_id: ManifestRow(
            participant_id=str(row.participant_id), scan_id=row.scan_id, image="x", sex="F"
        )
        for row in rows
    }
    scored = of_records(rows, CLASSES, {"mmse": truth})
    labels = ClassFacts(
        confusion=confusion(scored).tolist(),
        reliability=reliability(*top_label(scored)),
        roc=roc_curves(scored),
        temperature=more.pop("temperature", None),
    )
    values = {
        "model": "deft on tiny",
        "cohort": "simulated",
        "kind": "fine-tuned, seen classes",
        "task": "diagnosis",
        "classes": CLASSES,
        "metrics": evaluate(scored, Draw(resamples=60)),
        "headline": "accuracy",
        "second": "auroc",
        "labels": labels,
        "targets": {"mmse": TargetFacts("MMSE", "points", 30.0, target_points(scored, "mmse"))},
        "subgroups": subgroups(scored, table, Draw(resamples=60)),
        "resamples": 60,
    }
    return EvaluationFacts(**(values | more))


class Reader(HTMLParser):
    """Text in reading order, and the addresses a browser would ask for."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.asked: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.asked += [value or "" for name, value in attrs if name in {"src", "href"}]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def accuracies(*values: float) -> list[dict[str, Metric]]:
    return [
        {"accuracy": Metric(value=v, low=v - 0.01, high=v + 0.01, n_scans=48, n_participants=24)}
        for v in values
    ]


def test_the_headline_comes_first_with_its_interval_and_counts() -> None:
    some = facts(predictions(), simulated=True, leakage=["Audit: nothing crosses the split."], looks=3)
    page = evaluation_page(some)
    read = Reader(page)
    m = some.metrics["accuracy"]
    assert (
        f"Accuracy {100 * m.value:.1f}% (95% interval {100 * m.low:.1f} to {100 * m.high:.1f}%)" in read.text
    )
    assert (
        read.text.index("SIMULATED")
        < read.text.index("Accuracy ")
        < read.text.index("Against simple baselines")
    )
    assert "48 scans, 24 participants" in read.text
    assert "scored 3 times" in read.text
    assert "Audit: nothing crosses the split." in read.text
    assert read.asked == []
    assert "nan" not in read.text.lower().replace("not available", "")
    assert page == evaluation_page(some)


def test_real_scans_are_not_called_simulated() -> None:
    assert "SIMULATED" not in evaluation_page(facts(predictions()))


def test_every_figure_has_units_and_n() -> None:
    page = evaluation_page(facts(predictions()))
    for label in (
        "measured MMSE (points)",
        "predicted MMSE (points)",
        "1 - specificity",
        "probability of the",
    ):
        assert label in page
    assert re.findall(r'aria-label="([^"]*)"', page) == [
        "ROC curves of NC, MCI, AD against the rest",
        "Reliability of 48 predictions in 15 bins",
        "Predicted against measured MMSE of 48 scans",
    ]


def minus(difference: float | None, low: float | None = None, high: float | None = None) -> Comparison:
    """The accuracy of a model minus a baseline's."""
    rest = {
        "score": "accuracy",
        "test": "t",
        "a": 0.5,
        "b": 0.5,
        "p_value": 0.2,
        "n_scans": 48,
        "n_participants": 24,
    }
    return Comparison(**rest, difference=difference, low=low, high=high, p_holm=0.0004)


@pytest.mark.parametrize(
    ("low", "high", "place"),
    [(0.02, 0.4, "above"), (-0.4, -0.1, "below"), (-0.1, 0.3, "not told apart from")],
)
def test_the_verdict_is_the_paired_difference_to_the_best_baseline(
    low: float, high: float, place: str
) -> None:
    majority, volumes = accuracies(0.005, 0.61)
    page = Reader(
        evaluation_page(
            facts(
                predictions(),
                baselines={"majority": majority, "volumes": volumes, "odd": {}},
                against={"volumes": minus(0.123, low, high)},
                baseline_notes={"mmse": "no scored scan has an MMSE", "volumes": "the label is made from it"},
                n_predicted=50,
            )
        )
    ).text
    assert (
        f"The model is {place} the best baseline (regional volumes, 61.0%): +12.3 points on the same scans"
        in page
    )
    assert f"(95% interval {100 * low:+.1f} to {100 * high:+.1f}; p < 0.001)" in page
    assert "+12.3 [" in page
    assert "< 0.001" in page
    assert "2 more scans were predicted" in page
    assert "Not run: Age and sex; MMSE alone (no scored scan has an MMSE); Report" in page
    assert "Regional volumes the label is made from it" in page


def test_the_verdict_without_an_interval_or_a_score() -> None:
    some = facts(predictions(), baselines={"mmse": accuracies(0.5)[0]}, against={"mmse": minus(0.1)})
    said = verdict(some)
    assert "above the best baseline (MMSE alone, 50.0%): +10.0 points" in said
    assert "(no interval: it does not vary from participant to participant; p < 0.001)" in said
    few = replace(minus(-0.8), n_participants=5, p_holm=0.3)
    assert "not told apart from" in (said := verdict(replace(some, against={"mmse": few})))
    assert "no interval: too few participants" in said
    denied = replace(minus(-0.8, -0.857, -0.75), p_holm=1.0)
    assert "not told apart from" in verdict(replace(some, against={"mmse": denied}))
    unknown = replace(some, against={"mmse": minus(None)})
    assert "the difference is not defined" in verdict(unknown)
    assert verdict(replace(some, metrics={})) == ""
    assert verdict(facts(predictions())) == ""
    assert PERCENT.difference(minus(None)) == "not defined"
    assert PERCENT.difference(minus(0.1)) == "+10.0 [no\N{NO-BREAK SPACE}interval]"


def test_why_a_headline_is_not_defined_is_true_of_its_task() -> None:
    asked = replace(facts(predictions()), metrics={}, runs=None)
    for task, why in (("time_to_event", "nobody here was seen with the event within the horizons"), ("findings", "known to be there in some scans and absent in others")):  # fmt: skip
        assert why in headline_text(replace(asked, task=task))


def test_what_is_absent_is_said() -> None:
    empty = EvaluationFacts(
        model="m",
        cohort="c",
        kind="zero-shot",
        classes=CLASSES,
        metrics=evaluate(of_records([], CLASSES)),
        task="diagnosis",
        headline="accuracy",
        labels=ClassFacts(confusion=[[0] * 3] * 3, reliability=reliability([], [])),
        targets={"mmse": TargetFacts("MMSE", "points")},
    )
    text = Reader(evaluation_page(empty)).text
    for said in (
        "not defined: no scan here has a diagnosis",
        "Leakage was not audited",
        "No scan here has both",
        "no sex, age, site",
    ):
        assert said in text
    assert "Accuracy not defined" in text
    no_metrics = EvaluationFacts(
        model="m",
        cohort="c",
        kind="zero-shot",
        classes=CLASSES,
        metrics={},
        task="diagnosis",
        headline="accuracy",
        labels=ClassFacts(confusion=[[0] * 3] * 3),
    )
    assert "on no scans from c" in evaluation_page(no_metrics)


def test_one_participant_has_no_interval() -> None:
    lone = {"accuracy": Metric(value=0.5, n_scans=2, n_participants=1)}
    text = Reader(evaluation_page(facts(predictions(), metrics=lone))).text
    assert "50.0% (too few participants for an interval)" in text
    assert interval_text(lone["accuracy"]) == "0.500 [no\N{NO-BREAK SPACE}interval]"
    assert interval_text(None) == "not defined"


def test_method_and_extras() -> None:
    text = Reader(
        evaluation_page(
            facts(
                predictions(),
                temperature=1.5,
                label_map="CDR 0 is NC, above is AD",
                site_probe="Site is read at chance.",
                label_rules={"NC": "CDR 0", "AD": "CDR 0.5 and above"},
                left_out={"MCI": 1, "no diagnosis": 4},
                held_out=("AD",),
                kind="held-out classes",
                leakage=["Some of its images are training images."],
                leakage_alarms=True,
                looks=7,
                models_looked=3,
                templates={
                    text: one | {"auroc": one["accuracy"]}
                    for text, one in zip(
                        ("A photo of <b>{name}</b>.", "{name}"), accuracies(0.5, 0.625), strict=True
                    )
                },
            )
        )
    ).text
    assert "one temperature (1.5)" in text
    assert text.count("Labels: CDR 0 is NC, above is AD.") == 2  # under the headline and in the method
    assert "How the labels were made: NC: CDR 0. AD: CDR 0.5 and above." in text
    assert "Not scored, for their label: MCI (1 scan), no diagnosis (4 scans)." in text
    assert "held-out classes · classes NC, MCI, AD · never seen in training: AD" in text
    assert "scored 7 times, by 3 models" in text
    assert "From 50.0 to 62.5% with the wording alone." in text
    assert "60 resamples of whole participants" in text
    assert "A photo of <b>{name}</b>." in text  # escaped: it reads as text
    assert "Site is read at chance." in text


def test_names_from_tables_are_escaped() -> None:
    page = evaluation_page(facts(predictions(), model="<script>alert(1)</script>"))
    assert "<script>" not in page
    assert "<script>" not in figures.legend(["<script>"], dashes=True)


def test_an_outlying_mmse_widens_its_axes() -> None:
    drawing = figures.target([(28.0, 72.0, "NC"), (3.0, -7.0, "AD")], CLASSES, "MMSE", "points", highest=30.0)
    assert all(f">{tick}</text>" in drawing for tick in (-10, 0, 70, 80))
    x = [float(v) for v in re.findall(r'cx="([\d.]+)"', drawing)]
    assert all(figures.LEFT <= one <= figures.RIGHT for one in x)
    assert figures.target([], CLASSES, "MMSE", "points", highest=30.0).startswith("<svg")


def test_interval_bar_stays_in_its_box() -> None:
    assert figures.interval_bar(None, None, None) == ""
    assert "stroke-width" not in figures.interval_bar(0.5, None, None)
    wide = figures.interval_bar(0.5, -1.0, 2.0)
    assert 'x1="4.0" x2="116.0"' in wide


# --------------------------------------------------------------------------------------------- curves
def test_roc_points_give_the_area_and_ties_move_together() -> None:
    rows = predictions()
    for name, points in roc_curves(of_records(rows, CLASSES)).items():
        x, y = np.array(points).T
        area = evaluate(of_records(rows, CLASSES), Draw(resamples=1))[f"auroc/{name}"].value
        assert np.diff(x) @ (y[1:] + y[:-1]) / 2 == pytest.approx(area)
        assert points[0] == (0, 0)
        assert points[-1] == (1, 1)
    same = [row.model_copy(update={"probabilities": dict.fromkeys(CLASSES, 1 / 3)}) for row in rows]
    assert roc_curves(of_records(same, CLASSES))["AD"] == ((0, 0), (1, 1))


def test_curves_leave_out_absent_classes_and_unlabelled_scans() -> None:
    rows = [row for row in predictions() if row.diagnosis != "MCI"]
    hidden = rows[0].model_copy(update={"diagnosis": None})
    assert set(roc_curves(of_records([hidden, *rows[1:]], CLASSES))) == {"NC", "AD"}
    assert roc_curves(of_records([], CLASSES)) == {}
    silent = rows[1].model_copy(update={"targets": {}})
    truth = {row.scan_id: 20 for row in rows[:3]}
    assert target_points(of_records([hidden, silent, *rows[2:]], CLASSES, {"mmse": truth}), "mmse") == (
        (20, rows[2].mmse, rows[2].diagnosis),
    )


# ----------------------------------------------------------------------------------------- comparison
def test_a_comparison_says_who_is_better_and_how_sure() -> None:
    a, b = predictions(seed=0), predictions(seed=1)
    rows = [
        one.comparison
        for one in compare({"": (of_records(a, CLASSES), of_records(b, CLASSES))}, Draw(resamples=100))
    ]
    page = Reader(
        comparison_page(
            ComparisonFacts("run-a", "run-b", [ComparedCohort("adni", CLASSES, rows, simulated=True)])
        )
    )
    assert "SIMULATED" in page.text
    assert "48 scans, 24 participants" in page.text
    assert "McNemar, exact" in page.text
    assert page.asked == []


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.05, 0.2, "A is better"),
        (-0.1, 0.2, "no difference"),
        (None, None, "not vary from participant to participant; p 0.010): A is better"),
    ],
)
def test_the_comparison_headline(low: float | None, high: float | None, said: str) -> None:
    one = next(
        one.comparison
        for one in compare(
            {"": (of_records(predictions(), CLASSES), of_records(predictions(seed=1), CLASSES))},
            Draw(resamples=20),
        )
    )

    def sentence(**values: float | None) -> str:
        return headline(ComparedCohort("adni", CLASSES, [replace(one, **({"p_holm": 0.01} | values))]))

    assert said in sentence(difference=0.1, low=low, high=high)
    if low == 0.05:
        assert "B is better" in sentence(difference=-0.1, low=-0.2, high=-0.05)
        assert "no difference can be told" in sentence(difference=-0.1, low=-0.2, high=-0.05, p_holm=0.4)
    assert "too few participants" in sentence(difference=0.1, low=None, high=None, n_participants=5)
    assert "not defined on these scans" in sentence(difference=None, low=None, high=None)


def test_p_and_numbers_as_a_paper_prints_them() -> None:
    assert [p_text(p) for p in (None, 0.0004, 0.0421)] == ["not defined", "< 0.001", "0.042"]
    assert [number_text(None), number_text(0.5), number_text(0.5, "+")] == ["not defined", "0.500", "+0.500"]
    assert number_text(-0.0002, "+") == "0.000", "no minus before nothing"
    wide = Metric(value=-13.889, low=-152.477, high=-5.894, n_scans=9, n_participants=5)
    assert interval_text(wide) == "-13.9 [-152.5,\N{NO-BREAK SPACE}-5.9]", (
        "an R² within a diagnosis fits a phone"
    )


def test_what_the_base_has_seen_stands_on_the_page() -> None:
    page = evaluation_page(
        facts(predictions(), base_seen="This cohort was in the pretraining.", base_seen_alarms=True)
    )
    assert '<p class="warn">This cohort was in the pretraining.</p>' in page
    quiet = evaluation_page(facts(predictions(), base_seen="Not known."))
    assert '<p class="soft">Not known.</p>' in quiet
