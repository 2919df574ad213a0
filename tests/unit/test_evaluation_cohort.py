"""Which scans are scored, by which labels, under which name; and what is said of leakage."""

from typing import Any

import numpy as np
import pytest

from voxtune.errors import DataError, ScanError, SettingError
from voxtune.evaluation.class_texts import other_templates
from voxtune.evaluation.cohort_selection import choose_classes, kind_of, label_rules, unseen_rows
from voxtune.evaluation.leakage import base_verdict, external_verdict, own_verdict
from voxtune.profiles.dementia import PROFILE as DEMENTIA
from voxtune.types.records import ManifestRow
from voxtune.types.volume import Volume

TRAINED = ("NC", "MCI", "AD")


def row(name: str, diagnosis: str | None, person: str | None = None, **more: Any) -> ManifestRow:
    return ManifestRow(
        participant_id=person or f"p-{name}",
        scan_id=name,
        image=f"{name}.nii.gz",
        diagnosis=diagnosis,
        **more,
    )


COHORT = [row("a", "NC"), row("b", "MCI"), row("c", "AD"), row("d", None), row("e", "FTD"), row("f", "AD")]


# -------------------------------------------------------------------------------------------- the choice
def test_the_adapters_classes_are_scored_and_the_rest_is_counted() -> None:
    found = choose_classes(COHORT, TRAINED)
    assert [one.scan_id for one in found.rows] == ["a", "b", "c", "f"]
    assert found.classes == TRAINED
    assert found.left_out == {"FTD": 1, "no diagnosis": 1}
    assert (found.held_out, found.label_map, found.people) == ((), None, 4)
    assert kind_of(None, found, adapted=True) == "fine-tuned, seen classes"
    assert kind_of(None, found, adapted=False) == "zero-shot"


def test_fewer_classes_are_stated() -> None:
    found = choose_classes(COHORT, TRAINED, ["AD", " NC"])
    assert found.classes == ("NC", "AD")  # the adapter's order
    assert [one.scan_id for one in found.rows] == ["a", "c", "f"]
    assert found.left_out == {"FTD": 1, "MCI": 1, "no diagnosis": 1}
    assert found.label_map == "the model chooses among NC, AD only, of its NC, MCI, AD"


def test_a_class_that_training_never_saw_is_held_out() -> None:
    found = choose_classes(COHORT, TRAINED, ["FTD", "AD"])
    assert found.classes == ("AD", "FTD")
    assert found.held_out == ("FTD",)
    assert kind_of(None, found, adapted=True) == "held-out classes"
    assert choose_classes(COHORT, ("NC", "AD"), ["AD", "MCI", "NC"]).classes == (
        "NC",
        "MCI",
        "AD",
    )  # by severity
    assert "FTD was never seen in training and is known by its class text alone" in str(found.label_map)


def test_labels_are_renamed_and_the_map_is_stated() -> None:
    cohort = [row("a", "CN"), row("b", "Dementia"), row("c", "AD"), row("d", None)]
    found = choose_classes(cohort, TRAINED, renamed={"CN": "NC", "Dementia": "AD"})
    assert [one.diagnosis for one in found.rows] == ["NC", "AD", "AD"]
    assert found.label_map == "CN as NC; Dementia as AD"
    assert cohort[0].diagnosis == "CN"


def test_a_base_alone_takes_the_labels_of_the_cohort() -> None:
    assert choose_classes(COHORT, ()).classes == ("NC", "MCI", "AD", "FTD")
    found = choose_classes(COHORT, (), ["FTD", "NC"])
    assert (found.classes, found.held_out, found.label_map) == (("FTD", "NC"), (), None)


@pytest.mark.parametrize("asked", [["AD"], ["AD", "AD"], ["NC", ""], [""]])
def test_impossible_classes_are_refused(asked: list[str]) -> None:
    with pytest.raises(SettingError, match="two or more different names of NC, MCI, AD"):
        choose_classes(COHORT, TRAINED, asked)


def test_slips_of_the_pen_are_refused() -> None:
    with pytest.raises(SettingError, match=r"\(it has AD, FTD, MCI, NC\), got 'ADD'"):
        choose_classes(COHORT, TRAINED, ["NC", "ADD"])
    with pytest.raises(SettingError, match="labels of this cohort: AD, FTD, MCI, NC, got 'CN'"):
        choose_classes(COHORT, TRAINED, renamed={"CN": "NC"})
    with pytest.raises(DataError, match=r"this cohort has X\. --map LABEL=CLASS"):
        choose_classes([row("a", "X")], TRAINED)
    with pytest.raises(DataError, match="this cohort has no label at all"):
        choose_classes([row("a", None)], TRAINED)


# --------------------------------------------------------------------------------------- a run's own scans
SIDES = {"train": {"t1", "t2"}, "val": {"v1"}, "test": {"s1", "s2"}}
OWN = [
    row("t1", "NC", "p1"), row("t2", "AD", "p2"), row("v1", "NC", "p3"), row("s1", "NC", "p4"), row("s2", "FTD", "p5"),
    row("x1", "FTD", "p6"), row("x2", "FTD", "p1"), row("x3", "NC", "p7"),
]  # fmt: skip


def test_only_unseen_scans_of_the_own_manifest_are_scored() -> None:
    assert [one.scan_id for one in unseen_rows(OWN, SIDES, ())] == ["s1", "s2"]
    # Of a held-out class also scans on no side, unless the training knows their participant.
    assert [one.scan_id for one in unseen_rows(OWN, SIDES, ("FTD",))] == ["s1", "s2", "x1"]
    assert [one.scan_id for one in choose_classes(OWN, ("NC", "AD"), sides=SIDES).rows] == ["s1"]
    found = choose_classes(OWN, ("NC", "AD"), ["NC", "AD", "FTD"], sides=SIDES)
    assert [one.scan_id for one in found.rows] == ["s1", "s2", "x1"]
    with pytest.raises(DataError, match="the test side of the run is empty of them"):
        choose_classes(OWN[:3], ("NC", "AD"), sides=SIDES)


def test_how_labels_were_made_is_told_once_where_it_is_one_rule() -> None:
    same = [row(name, label, diagnosis_rule="CDR") for name, label in (("a", "NC"), ("b", "AD"))]
    assert label_rules(same) == {"NC, AD": "CDR"}
    assert label_rules([row("a", "NC", diagnosis_rule="CDR 0")]) == {"NC": "CDR 0"}
    assert label_rules([row("a", "NC")]) == {}
    many = [row(f"s{n}", "NC", diagnosis_rule=f"rule {n // 2}") for n in range(9)]
    many += [row("x", "AD", diagnosis_rule="rule 1")]
    assert label_rules(many) == {"NC": "rule 0; rule 1; rule 2; and 2 more", "AD": "rule 1"}


def test_other_wordings_are_not_the_models_own() -> None:
    wordings = DEMENTIA.class_texts
    assert other_templates(["A photo of {name}."], wordings) == wordings[1:]
    assert other_templates(["something else {name}"], wordings) == wordings


# ----------------------------------------------------------------------------------------------- leakage
def test_the_audit_of_a_run_becomes_a_verdict() -> None:
    clean = own_verdict(
        {
            "verdict": "Nothing refuses training.",
            "checked": {"participants": "done", "same_image": "done", "near_duplicate": "not read"},
        }
    )
    assert (
        clean.text
        == "Leakage audit of the split: nothing refuses training. Checked: participants, same image."
    )
    assert not clean.alarms
    findings = [
        {"check": "participants", "level": "refuse"},
        {"check": "shortcut", "level": "warn"},
        {"check": "classes", "level": "note"},
    ]
    accepted = own_verdict({"findings": findings, "allowed": ["participants", "same_text"]})
    assert accepted.alarms
    assert "Warnings: shortcut (audit.json has the details)." in accepted.text
    assert accepted.text.endswith("accepted by hand, so the figures below may flatter: participants.")
    assert not base_verdict("m3d").alarms
    assert "m3d" in base_verdict("m3d").text


def heads(seeds: dict[str, int]) -> Any:
    """Reads a made-up head for a row: one seed, one head."""

    def read(one: ManifestRow) -> Volume:
        if one.scan_id not in seeds:
            raise ScanError(one.scan_id, "no such file")
        rng = np.random.default_rng(seeds[one.scan_id])
        field = rng.random((24, 24, 24)).astype(np.float32)
        i, j, k = np.indices(field.shape) - 11.5
        return Volume((field + 1) * (i**2 + j**2 + k**2 < 90), np.diag([4.0, 4.0, 4.0, 1.0]))

    return read


def test_another_cohort_is_told_from_a_known_one() -> None:
    seen = [row(f"t{n}", "NC", f"p{n}") for n in range(10)]
    others = [row(f"x{n}", "NC", f"q{n}") for n in range(4)]
    seeds = {one.scan_id: n for n, one in enumerate([*seen, *others])}
    clean = external_verdict(seen, others, heads(seeds))
    assert not clean.alarms
    assert "no participant ID, scan ID or image" in clean.text
    known = external_verdict(seen, [*others[:3], row("x3", "NC", "p2")], heads(seeds))
    assert known.alarms
    assert known.text.startswith("1 participant IDs of this cohort")
    same = external_verdict(seen, others, heads(seeds | {"x0": 0}))
    assert same.alarms
    assert "Some of its images are training or validation images" in same.text
    blind = external_verdict([], others, heads(seeds))
    assert blind.alarms
    assert "its manifest is not where it was" in blind.text


def test_a_person_under_another_id_is_noticed() -> None:
    seen = [row(f"t{n}", "NC", f"p{n}") for n in range(12)]
    others = [row(f"x{n}", "NC", f"q{n}") for n in range(3)]
    seeds = {one.scan_id: n for n, one in enumerate([*seen, *others])} | {"x0": 0}
    read = heads(seeds)

    def noisy(one: ManifestRow) -> Volume:
        found = read(one)
        noise = np.random.default_rng(99).normal(0, 0.02, found.voxels.shape).astype(np.float32)
        return found.with_voxels(found.voxels + noise * (found.voxels > 0)) if one.scan_id == "x0" else found

    verdict = external_verdict(seen, others, noisy)
    assert verdict.alarms
    assert verdict.text == "Some of its images look like people that the run has seen under another ID."
