"""The register of what each base has seen, and what an evaluation says of a cohort that is among it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from voxtune.catalog import BACKBONES
from voxtune.commands.evaluate.write import _tell_seen
from voxtune.commands.weights.command import weights
from voxtune.errors import UsageError
from voxtune.evaluation.base_seen import HOW, seen_verdict
from voxtune.types.records import ManifestRow
from voxtune.weights.seen import COHORTS, SEEN, cohorts_of

IDS = {
    "ADNI": ("sub-ADNI011S0002", "011_S_0003", "ADNI_011_S_0004"),
    "OASIS-1": ("OAS1_0001_MR1", "sub-OAS10002"),
    "OASIS-2": ("OAS2_0001", "sub-OAS20002"),
    "OASIS-3": ("OAS30001", "sub-OAS30002"),
    "NACC": ("NACC000012", "mri123NACC000013"),
    "IXI": ("IXI012", "sub-IXI014"),
    "CT-RATE train": ("train_1_a_1", "train_20000_b_2"),
    "CT-RATE valid": ("valid_1_a_1", "valid_12"),
    "RAD-ChestCT": ("trn00001", "val12345", "tst00003"),
}
"""Forms of IDs as the curators give them, numbers made up."""


def rows(ids: Any, **more: Any) -> list[ManifestRow]:
    return [
        ManifestRow(participant_id=f"p{n}", scan_id=one, image="x.nii.gz", **more)
        for n, one in enumerate(ids)
    ]


def test_every_base_is_in_the_register_with_its_source() -> None:
    assert set(SEEN) == set(BACKBONES)
    for name, one in SEEN.items():
        assert one.source, name
        assert one.data, name
        assert set(one.cohorts.values()) <= set(HOW), name
        assert one.names
    assert SEEN["neurovfm"].names == "not known"
    assert SEEN["tiny"].names == "none"


@pytest.mark.parametrize("name", IDS)
def test_a_cohort_is_known_by_its_ids_and_by_no_others(name: str) -> None:
    found = cohorts_of([(f"p{n}", one) for n, one in enumerate(IDS[name])], [], "data")
    assert [one.cohort for one in found] == [name]
    assert cohorts_of([(one, "scan") for one in IDS[name]], [], "data") == found, "as participant too"


@pytest.mark.parametrize(
    "ids", [("sub-01", "sub-02"), ("P0001", "train"), ("retrain_1_a_1",), ("1011_S_00021",), ("OAS2x",)]
)
def test_other_ids_are_of_no_cohort(ids: tuple[str, ...]) -> None:
    assert cohorts_of([(one, one) for one in ids], ["table.csv"], "mine") == []


def test_a_few_ids_of_another_form_do_not_hide_a_cohort() -> None:
    most = [("011_S_0002", "a"), ("012_S_0002", "b"), ("phantom", "c")]
    assert [one.cohort for one in cohorts_of(most, [], "x")] == ["ADNI"]
    assert cohorts_of([*most, ("phantom2", "d"), ("phantom3", "e")], [], "x") == []


@pytest.mark.parametrize(
    ("tables", "folder", "cohort"),
    [
        (["ADNIMERGE.csv"], "x", "ADNI"), (["adni_merge.csv"], "x", "ADNI"), (["adnimerger.csv"], "x", None), ([], "AIBL-2", "AIBL"), (["oasis_longitudinal.csv"], "x", "OASIS-2"),
        (["oasis_cross-sectional.csv"], "x", "OASIS-1"), ([], "madnid", None), ([], "nlst_lung", "NLST"),
    ],
)  # fmt: skip
def test_tables_and_folders_tell_where_ids_do_not(tables: list[str], folder: str, cohort: str | None) -> None:
    found = [one.cohort for one in cohorts_of([("p", "s")], tables, folder)]
    assert found == ([] if cohort is None else [cohort])


@pytest.mark.parametrize(
    ("base", "ids", "said"),
    [
        ("brainiac", IDS["ADNI"], "possibly in the pretraining of brainiac"),
        ("medblip_vit", IDS["ADNI"], "was in the pretraining of medblip_vit"),
        ("ct_clip", IDS["CT-RATE train"], "nothing measured on it is external"),
        ("colipri", IDS["CT-RATE train"], "nothing measured on it is external"),
        ("colipri", IDS["CT-RATE valid"], "another part"),
    ],
)
def test_a_cohort_among_the_pretraining_alarms(base: str, ids: Any, said: str, tmp_path: Path) -> None:
    verdict = seen_verdict(base, rows(ids), tmp_path / "manifest.tsv")
    assert verdict.alarms
    assert said in verdict.text
    assert SEEN[base].source in verdict.text
    assert not any(one in verdict.text for one in ids), "no ID on a page"


@pytest.mark.parametrize(
    ("base", "ids", "simulated", "said"),
    [
        ("ct_clip", IDS["RAD-ChestCT"], False, "no proof that it was not seen"),
        ("neurovfm", ("sub-01",), False, "compare the names yourself"),
        ("tiny", ("sub-01",), False, "none"),
        ("tiny", ("sub-01",), True, "SIMULATED heads"),
        ("m3d", ("sub-01",), True, "no base saw them"),
        ("my_own", ("sub-01",), False, "not known"),
    ],
)
def test_what_cannot_be_decided_is_said_and_does_not_alarm(
    base: str, ids: Any, simulated: bool, said: str, tmp_path: Path
) -> None:
    verdict = seen_verdict(base, rows(ids, simulated=simulated), tmp_path / "manifest.tsv")
    assert not verdict.alarms
    assert said in verdict.text


@pytest.mark.parametrize(("base", "warns"), [("brainiac", True), ("neurovfm", False)])
def test_evaluate_warns_at_the_terminal(base: str, warns: bool, tmp_path: Path) -> None:
    cohort = SimpleNamespace(rows=rows(IDS["ADNI"]), manifest=tmp_path / "manifest.tsv")
    found: Any = SimpleNamespace(model=SimpleNamespace(base=base), cohort=cohort)
    said: list[str] = []
    _tell_seen(found, said.append)
    assert [one.startswith("Warning: This cohort is ADNI") for one in said] == [True] * warns


def test_the_list_of_weights_prints_the_register() -> None:
    said = weights("list", seen=True)
    for name, one in SEEN.items():
        assert f"{name}: {one.names}\n" in said
        assert one.source in said
    alone = weights("list", "colipri", seen=True)
    assert "CT-RATE train" in alone
    assert "brainiac" not in alone
    with pytest.raises(UsageError, match="Known"):
        weights("list", "colibri", seen=True)
    with pytest.raises(UsageError, match="--seen"):
        weights("get", "colipri", seen=True)


def test_the_list_names_hlips_variants_and_which_to_take() -> None:
    said = weights("list")
    assert "For one T1 take hub_large_slice" in said
    assert "zch0414/clip-vit_large-slice_scan_study-dualdinotxt1568" in said


def test_cohorts_of_the_register_can_be_told_or_are_of_2d_data() -> None:
    flat = {"MIMIC-CXR", "CheXpert", "NIH ChestX-ray14"}
    assert {name for one in SEEN.values() for name in one.cohorts} <= set(COHORTS) | flat
