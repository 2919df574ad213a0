"""Populations are data: what a file says is what people are, the best possible is a bound, and nothing trivial comes near it."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from voxtune.commands.simulate.command import simulate
from voxtune.data.manifest import read_manifest
from voxtune.errors import SettingError
from voxtune.simulate.anatomy import build, outline
from voxtune.simulate.atlas import LABELS, REGIONS
from voxtune.simulate.best_possible import best_possible
from voxtune.simulate.brains import anatomy_of, expected_rates, native_volumes, shape_of, template_anatomy
from voxtune.simulate.population import FOLDER, POPULATIONS, Population, population, vector
from voxtune.simulate.simple_rules import picture_numbers, simple_rule_accuracies, volume_regression_accuracy
from voxtune.simulate.subjects import CLASSES, CohortSettings, Scan, disease, participant, scans, written

PEOPLE = CohortSettings(participants=1500, visits=1, seed=77, population="published")


@pytest.fixture(scope="module")
def drawn() -> list[Scan]:
    return list(scans(PEOPLE))


def bent(name: str, **changes: Any) -> Population:
    return Population.model_validate(population(name).model_dump() | changes)


# ------------------------------------------------------------------------------------------ the data
def test_every_file_is_a_population_of_its_own_name() -> None:
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(POPULATIONS)
    assert all(population(name).name == name for name in POPULATIONS)


def test_a_population_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(SettingError, match="separable, published"):
        population("people")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"healthy": {"hippocampos": 0.1}}, "hippocampos"),
        ({"subtypes": {"diffuse": {"share": 0.5}}}, "sum to 1"),
        ({"labels": [[0.5, 0, 0], [0, 1, 0], [0, 0, 1]]}, "labels"),
    ],
)
def test_a_population_that_cannot_be_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        bent("published", **wrong)


def test_people_are_as_their_file_says(drawn: list[Scan]) -> None:
    people = PEOPLE.people
    for kind, name in enumerate(CLASSES):
        own = [scan.participant for scan in drawn if scan.true_class == name]
        assert np.mean([one.sex == "F" for one in own]) == pytest.approx(people.women[kind], abs=0.07)
        assert np.mean([one.age for one in own]) == pytest.approx(people.age_mean[kind], abs=1.2)
        assert np.mean([one.other_cause for one in own]) == pytest.approx(people.other_cause[kind], abs=0.06)
        damaged = 1 - (1 - people.other_cause[kind]) * (1 - people.vascular_share[kind])
        assert np.mean([one.vascular > 0 for one in own]) == pytest.approx(damaged, abs=0.07)
        labels = [scan.diagnosis for scan in drawn if scan.true_class == name]
        assert labels.count(name) / len(labels) == pytest.approx(people.labels[kind][kind], abs=0.06)
    for name, subtype in people.subtypes.items():
        assert np.mean([scan.participant.subtype == name for scan in drawn]) == pytest.approx(
            subtype.share, abs=0.04
        )
    assert {scan.participant.template for scan in drawn} == set(range(people.templates))


def test_subtypes_do_what_they_are_called() -> None:
    people = population("published")
    limbic, sparing, diffuse, minimal = (
        dict(zip(REGIONS, people.severe(1.0, name), strict=True))
        for name in ("limbic_predominant", "hippocampal_sparing", "diffuse", "minimal_atrophy")
    )
    assert limbic["hippocampus"] < diffuse["hippocampus"] < sparing["hippocampus"] < 0
    assert sparing["middle_temporal"] < diffuse["middle_temporal"] < limbic["middle_temporal"] < 0
    assert all(abs(minimal[name]) <= 0.5 * abs(diffuse[name]) for name in REGIONS)


def test_age_changes_the_brain_of_who_has_no_disease(drawn: list[Scan]) -> None:
    healthy = replace(drawn[0].participant, vascular=0.0, other_cause=False)
    young, old = (
        dict(zip(REGIONS, expected_rates(PEOPLE, healthy, 0.0, age), strict=True)) for age in (60, 90)
    )
    assert old["hippocampus"] < young["hippocampus"]
    assert old["ventricles"] > young["ventricles"]
    assert not disease(PEOPLE, healthy, 0.0).any()


def test_another_cause_leaves_the_disease_out_and_damages_vessels(drawn: list[Scan]) -> None:
    others = [scan for scan in drawn if scan.participant.other_cause]
    assert others
    assert all(scan.severity == scan.participant.reserve for scan in others)
    assert all(scan.participant.vascular > 0 for scan in others)


def test_people_leave_the_study_and_the_ill_leave_sooner() -> None:
    settings = CohortSettings(participants=900, visits=4, seed=3, population="published")
    stayed: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for index in range(settings.participants):
        person = participant(settings, index)
        stayed[person.kind].append(person.visits)
    share = [np.mean(np.array(stayed[kind]) == 4) for kind in range(3)]
    assert 1 > share[0] > share[2] > 0.4


def test_a_clinic_that_never_errs_writes_the_true_class() -> None:
    people = population("separable")
    assert all(written(people, kind, at) == kind for kind in range(3) for at in (0.0, 0.5, 0.9999999))


def test_measured_volumes_err_and_true_ones_do_not(drawn: list[Scan]) -> None:
    scan = drawn[0]
    anatomy = anatomy_of(PEOPLE, scan)
    exact = native_volumes(replace(scan, errors=(0.0,) * len(scan.errors)), anatomy)
    assert exact != native_volumes(scan, anatomy)
    errors = np.array([one.errors for one in drawn])
    assert 0.05 < errors[:, 3].std() < 0.08  # entorhinal: 6%, and half of that between scanners
    settings = CohortSettings(participants=3, visits=1, seed=1)
    assert all(not any(one.errors) for one in scans(settings))


# --------------------------------------------------------------------------------------- what is seen
def test_which_anatomy_a_brain_is_bent_from_says_nothing_of_its_volumes() -> None:
    plain = np.array([0.0])
    usual = vector(population("published").healthy)
    volumes = []
    for index in range(2):
        warp, even = template_anatomy("published", index)
        shape = replace(shape_of(PEOPLE, next(scans(PEOPLE))), rates=np.zeros((len(REGIONS), 2)), warp=warp)
        volumes.append(build(shape.plus(usual + even)).volumes())
        assert np.abs(warp).max() > 1, "a strong warp"
    for name in LABELS:
        assert volumes[0][name] == pytest.approx(volumes[1][name], rel=0.03), name
    assert not plain.any()


def test_the_mask_of_a_picture_does_not_shrink_with_the_brain(drawn: list[Scan]) -> None:
    shape = shape_of(PEOPLE, drawn[0])
    shrunk = shape.plus(np.full(len(REGIONS), -0.3))
    assert np.array_equal(outline(shape), outline(shrunk))
    assert build(shrunk).volumes()["brain"] < build(shape).volumes()["brain"]


def test_the_classes_can_be_sent_to_scanners() -> None:
    settings = CohortSettings(
        participants=90, visits=1, seed=4, scanners=3, population="published", confounding=1
    )
    assert all(scan.participant.scanner == CLASSES.index(scan.true_class) for scan in scans(settings))
    half = settings.model_copy(update={"confounding": 0.5})
    same = np.mean([scan.participant.scanner == scan.participant.kind for scan in scans(half)])
    assert 0.5 < same < 0.85


# ------------------------------------------------------------------------------ what can be reached
def test_the_posterior_is_calibrated_and_beats_the_regression_on_volumes(drawn: list[Scan]) -> None:
    best = best_possible(PEOPLE, drawn)
    assert best.posterior.sum(axis=1) == pytest.approx(1)
    assert best.between_halves < 0.02
    assert best.accuracy == pytest.approx(best.expected, abs=0.03)
    # Of scans that get a class with about this probability, about this many have it.
    labels = np.array([CLASSES.index(scan.diagnosis) for scan in drawn])
    said, right = best.posterior.max(axis=1), best.posterior.argmax(axis=1) == labels
    for low, high in ((0.35, 0.5), (0.5, 0.65), (0.65, 1.0)):
        some = (said >= low) & (said < high)
        assert right[some].mean() == pytest.approx(said[some].mean(), abs=0.08)
    few = drawn[:240]
    rates = np.array([expected_rates(PEOPLE, s.participant, s.severity, s.age) + s.participant.shape.rates.mean(1) for s in drawn])  # fmt: skip
    rows = [dict(zip(["hippocampus_mm3", "ventricles_mm3", "whole_brain_mm3", "entorhinal_mm3", "fusiform_mm3", "middle_temporal_mm3"], np.exp(row[[1, 0, 8, 2, 3, 4]]), strict=True)) | {"icv_mm3": 1.0} for row in rates]  # fmt: skip
    regression = volume_regression_accuracy(
        rows, [scan.diagnosis for scan in drawn], [scan.participant.participant_id for scan in drawn]
    )
    assert regression <= best.accuracy + 0.01
    assert len(few) == 240


def test_a_scanner_that_goes_by_class_raises_what_can_be_reached() -> None:
    plain = CohortSettings(participants=150, visits=1, seed=8, population="published")
    sent = plain.model_copy(update={"confounding": 1.0})
    plain_best, sent_best = (best_possible(one, list(scans(one)), 800) for one in (plain, sent))
    assert sent_best.expected > plain_best.expected + 0.15


def test_people_of_the_published_population_are_harder_to_tell_than_separable_ones() -> None:
    best = {
        name: best_possible(one, list(scans(one)), 800).expected
        for name in POPULATIONS
        if (one := CohortSettings(participants=150, visits=1, seed=8, population=name))
    }
    assert best["published"] < 0.75 < best["separable"]


def test_rules_that_need_no_model_read_numbers_alone() -> None:
    rng = np.random.default_rng(0)
    rows = [
        {
            "participant_id": f"P{n}", "diagnosis": CLASSES[n % 3], "age": 70.0 + rng.normal(), "sex": "F", "icv_mm3": 1e6,
            "ventricles_mm3": 1e4 * (1 + n % 3), **dict.fromkeys(("hippocampus_mm3", "whole_brain_mm3", "entorhinal_mm3", "fusiform_mm3", "middle_temporal_mm3"), 1e3),
        }
        for n in range(60)
    ]  # fmt: skip
    pictures = [picture_numbers(np.full((4, 4, 4), 0.5 + 0.1 * (n % 3), dtype=np.float32)) for n in range(60)]
    found = simple_rule_accuracies(rows, pictures)
    assert found["ventricles"] == found["volumes"] == found["mean_intensity"] == 1
    assert found["voxel_count"] < 0.5
    assert found["majority"] == pytest.approx(1 / 3)
    assert "voxel_count" not in simple_rule_accuracies(rows)
    assert picture_numbers(np.zeros((2, 2, 2), dtype=np.float32)) == {"voxel_count": 0, "mean_intensity": 0}


def test_a_published_cohort_on_disk_keeps_its_truth_and_says_what_can_be_reached(tmp_path: Path) -> None:
    manifest = simulate(
        tmp_path, participants=30, visits=1, seed=6, scanners=2, population="published", confounding=0.5
    )
    rows = read_manifest(manifest)
    settings = json.loads((tmp_path / "simulation.json").read_text(encoding="utf-8"))
    assert (settings["population"], settings["confounding"]) == ("published", 0.5)
    with (tmp_path / "truth" / "truth.tsv").open() as file:
        truth = list(csv.DictReader(file, delimiter="\t"))
    assert {row["subtype"] for row in truth} <= set(population("published").subtypes)
    assert any(row["true_class"] != known.diagnosis for row, known in zip(truth, rows, strict=True)), (
        "a clinic errs"
    )
    assert all("clinic" in str(row.diagnosis_rule) for row in rows)
    with (tmp_path / "truth" / "posterior.tsv").open() as file:
        posterior = list(csv.DictReader(file, delimiter="\t"))
    assert [row["scan_id"] for row in posterior] == [row.scan_id for row in rows]
    assert all(sum(float(row[f"p_{k}"]) for k in CLASSES) == pytest.approx(1, abs=1e-4) for row in posterior)
    limits = json.loads((tmp_path / "truth" / "limits.json").read_text(encoding="utf-8"))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f"{100 * limits['best_possible']['accuracy']:.1f}%" in page
    assert f"{100 * limits['rules']['voxel_count']:.1f}%" in page


def test_a_cohort_of_an_earlier_version_is_known_again(tmp_path: Path) -> None:
    simulate(tmp_path, participants=2, visits=1, seed=1, scanners=1)
    settings = json.loads((tmp_path / "simulation.json").read_text(encoding="utf-8"))
    assert not {"population", "confounding"} & settings.keys()
