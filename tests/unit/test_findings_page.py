"""The page of many findings and the figures of it: what is not defined is said and not drawn, names fit, counts are there."""

import re

import numpy as np
import pytest

from voxtune.evaluation.auroc_difference import auroc_difference
from voxtune.evaluation.evaluation import Group
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.metrics import evaluate
from voxtune.evaluation.predictions import Predictions, of_findings
from voxtune.pages.evaluation_facts import EvaluationFacts, FindingsFacts
from voxtune.pages.evaluation_page import evaluation_page
from voxtune.pages.finding_figures import distribution, paired_bars, radar
from voxtune.pages.runs_figure import run_dots
from voxtune.types.records import Kind, Metric, OverRuns

NAMES = ("Emphysema", "Coronary artery wall calcification", "Never there")


def scored(shift: float) -> Predictions:
    rng = np.random.default_rng(0)
    labels = np.column_stack([rng.random((40, 2)) < 0.4, np.zeros(40)]).astype(float)
    chances = 1 / (1 + np.exp(-(rng.normal(size=(40, 3)) + shift * labels)))
    scans, people = [f"s{n}" for n in range(40)], [f"P{n // 2}" for n in range(40)]
    return of_findings(scans, people, NAMES, labels, chances, dict.fromkeys(NAMES, 0.5))


def facts(held_out: bool = False) -> EvaluationFacts:
    draw = Draw(resamples=40)
    own, base = (evaluate(scored(shift), draw) for shift in (1.5, 0.0))
    gain = auroc_difference(scored(1.5), scored(0.0), draw)
    kinds: dict[str, Kind] = dict.fromkeys(NAMES, "fine-tuned, seen classes")
    if held_out:
        kinds[NAMES[0]] = "held-out classes"
    return EvaluationFacts(
        model="medct on ct_clip",
        cohort="a cohort",
        kind="fine-tuned, seen classes",
        task="findings",
        classes=NAMES,
        metrics=own,
        headline="auroc",
        second="average_precision",
        baselines={"zero_shot": base},
        labels=FindingsFacts(
            kinds=kinds,
            base_metrics=base,
            gain=gain,
            thresholds=dict.fromkeys(NAMES, 0.5),
            threshold_rule="Thresholds are frozen.",
            groups=[Group("fine-tuned, seen classes", 3, own["auroc"], base["auroc"], gain["auroc"])],
            counts=dict.fromkeys(NAMES, (5, 2, 3)),
            sides=("train", "val", "test"),
            side_sizes=(60, 20, 40),
        ),
        looks=2,
        simulated=True,
    )


def test_counts_units_and_what_is_not_defined_are_said() -> None:
    page = evaluation_page(facts())
    for words in (
        "SIMULATED",
        "40 scans, 20 participants",
        "Means over findings with their 95% intervals, 40 scans, 20 participants.",
        "of 60 train, 20 val, 40 test scans",
        "every labelled scan is on one side: Never there",
        "Dotted spokes: not defined",
        "scored 2 times: choices made after an earlier look flatter",
        ">AUROC</text>",
        ">score</text>",
    ):
        assert words in page, words
    assert "nan" not in re.sub("<style>.*?</style>", "", page, flags=re.DOTALL).lower()


def test_the_kind_has_a_column_only_where_there_is_more_than_one() -> None:
    assert ">Kind</th>" not in evaluation_page(facts())
    page = evaluation_page(facts(held_out=True))
    assert ">Kind</th>" in page
    assert "In italics: held out" in page


def test_a_finding_without_an_auroc_is_no_corner_of_the_radar() -> None:
    svg = radar({"a": 0.6, "b": 0.7, "c": None}, {"a": 0.8, "b": 0.9, "c": None}, "x")
    corners = [points.split() for points in re.findall('polygon points="([^"]*)"', svg)]
    assert [len(one) for one in corners] == [2, 2]
    assert svg.count("stroke-dasharray=\"1 4\"") == 1  # fmt: skip
    labels = re.findall(r'<text x="([\d.]+)" y="([\d.]+)"', svg)
    spots = [(float(x), float(y)) for x, y in labels]
    apart = [np.hypot(a[0] - b[0], a[1] - b[1]) for n, a in enumerate(spots) for b in spots[:n]]
    assert min(apart) > 10, "the ring's numbers do not stand on those of the findings"


@pytest.mark.parametrize("kind", ["bars", "distribution"])
def test_figures_are_drawn_for_a_phone(kind: str) -> None:
    """Twelve units of type on 360 units of width are 12 px on a phone; every mark lies inside."""
    scores = dict.fromkeys(NAMES, ((0.4, 0.1, 1.0), (0.9, 0.5, 1.0)))
    svg = (
        paired_bars(scores, "x", "AUROC")
        if kind == "bars"
        else distribution(dict.fromkeys(NAMES, (30, 10, 5)), ("train", "val", "test"))
    )
    assert 'viewBox="0 0 360 ' in svg
    places = [float(x) for x in re.findall(r'(?:x|x1|x2|cx)="([\d.-]+)"', svg)]
    assert min(places) >= 0
    assert max(places) <= 348


def test_the_seeds_stand_in_their_own_lanes_inside_the_axis() -> None:
    each = {
        "0": Metric(value=0.7, low=0.31, high=0.99, n_scans=9, n_participants=5),
        "1": None,
        "2": Metric(value=1.0, n_scans=9, n_participants=5),
    }
    svg = run_dots({"Accuracy": (OverRuns(0.85, 0.21, 2, 3), each)}, "score", share=True)
    dots = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)]
    assert len(dots) == 2
    assert dots[1][1] - dots[0][1] == pytest.approx(18)
    assert dots[1][0] == pytest.approx(350)
    texts = re.findall(r">([\d.]+)</text>", svg)
    assert texts == ["0.2", "0.4", "0.6", "0.8", "1"]
    band = re.search(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', svg)
    assert band is not None
    assert float(band[1]) + float(band[2]) <= 350, "mean + sd may leave 0..1, its band not"
    points = run_dots(
        {"MMSE": (OverRuns(2.1, 0.3, 1, 1), {"0": Metric(value=2.1, low=1.3, high=13.4, n_scans=9, n_participants=5)})},
        "points", share=False,
    )  # fmt: skip
    assert re.findall(r">([\d.]+)</text>", points) == ["0", "5", "10", "15"]
