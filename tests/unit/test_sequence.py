"""Which sequence an image is: names as scanners and archives write them.

The lists are series names people show in public threads: aramis-lab/clinica 128, 204, 394, 479, 786, 955, 1082 (ADNI and AIBL), nipreps/fmriprep
860 (several T1w of a session) and bids-examples.
"""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxtune.cohorts.sequence import natural, read_sidecar, recognise

BEST = (
    "MPR__GradWarp__B1_Correction__N3__Scaled", "MPR-R__GradWarp__N3__Scaled", "MPR____N3__Scaled", "MP-RAGE", "MP_RAGE", "MPRAGE", "MPRAGE_SENSE2",
    "MT1__GradWarp__N3m", "MT1__N3m", "Accelerated_Sagittal_MPRAGE", "Accelerated_Sagittal_MPRAGE_REPEAT", "Sag_IR-SPGR", "Accelerated_SAG_IR-SPGR",
    "IR-FSPGR", "SAG_IR-FSPGR-Repeat", "MPRAGE_SAG_ISO_p2_ND", "MPRAGESAGISOp2ND", "MPRAGE_ADNI_confirmed_REPEATX2", "ADNI_SH______MPRAGE",
    "Sag_3D_T1_TFE", "IRSPGR_PURE", "Accelerated_Sagittal_MPRAGE_MPR_Cor", "3D_SAG_T1_BRAVO", "sub-01_acq-mprage_T1w.nii.gz",
)  # fmt: skip
OTHER_T1 = (
    "Spatially_Normalized,_Masked_and_N3_corrected_T1_image",
    "sub-01_ses-T2_T1w.nii.gz",
    "Axial_T1_FLAIR",
    "t1_fl3d",
    "SagT1",
    "PD_001_T1w.nii.gz",
    "CT_site_T1",
)
NOT_T1 = (
    "Axial_PD_T2_FSE", "Axial_PD/T2_FSE", "Axial_PD-T2_TSE_confirmed", "3-plane_localizer", "3_Plane_Localizer", "Axial_FLAIR", "Sagittal_3D_FLAIR", "AXIAL_FLAIR",
    "Flutemetamol", "Axial_T2_STAR", "Axial_T2-Star", "B1-Calibration_Head", "Field_Mapping", "Field_Mapping_AP_Phase", "Axial_DTI",
    "Resting_State_fMRI", "Axial_rsfMRI__EYES_OPEN_", "ASL_PERFUSION", "Perfusion_Weighted", "relCBF", "MoCoSeries", "HighResHippocampus", "Axial_3D_PASL",
    "Double_TSE", "ADNI3_AV1451__AC__Tau", "ADNI_Brain_PET__Raw_Tau", "ADNI_Brain_AC_3D_Tau", "Calibration_Scan", "Survey", "SmartBrain", "AAHScout_MPR_tra",
    "Coreg,_Avg,_Std_Img_and_Vox_Siz,_Uniform_Resolution", "HarP_135_final_release_2015", "sub-1_ses-M000_acq-localizer_T1w.nii.gz",
    "ADNI_901_S_9301_PT_Raw_I12.nii", "sub-1_trc-18FFDG_pet.nii.gz", "sub-1_desc-brain_mask.nii.gz", "sub-1_inv-1_MP2RAGE.nii.gz", "sub-1_PDw.nii", "sub-1_T2w.nii",
    "T1_seg.nii.gz",
    "PD_axial.nii",
)  # fmt: skip


@pytest.mark.parametrize("name", BEST)
def test_the_mprage_family_comes_first(name: str) -> None:
    assert recognise([name]).kind == "T1 (MPRAGE or SPGR)"
    assert recognise([name]).why_not == ""


@pytest.mark.parametrize("name", OTHER_T1)
def test_any_other_t1_comes_second(name: str) -> None:
    assert recognise([name]).kind == "T1"
    assert recognise([name]).order > recognise(["MPRAGE"]).order


@pytest.mark.parametrize("name", NOT_T1)
def test_what_is_no_t1_says_what_it_is(name: str) -> None:
    found = recognise([name])
    assert found.is_t1 is False
    assert name in found.why_not
    assert "not a T1" in found.why_not


@given(
    st.sampled_from(NOT_T1),
    st.lists(st.sampled_from([*BEST, *OTHER_T1]), max_size=3),
    st.booleans(),
    st.randoms(),
)
def test_a_sign_of_something_else_wins_wherever_it_stands(
    other: str, signs: list[str], upper: bool, random: Random
) -> None:
    words = [other, *signs]
    random.shuffle(words)
    words = [word.upper() for word in words] if upper else words
    if not (upper and other in {"MoCoSeries", "SmartBrain"}):
        assert recognise(words).is_t1 is False
    assert recognise([], {"SeriesDescription": other}).is_t1 is False
    assert recognise(["scan.nii"], {"ProtocolName": other}).is_t1 is False


def test_a_sidecar_is_believed_of_what_it_can_know() -> None:
    named = ["sub-01_T1w.nii.gz"]
    assert recognise(named, {"ProtocolName": "ADNI3 fMRI and PET study"}).kind == "T1"
    assert recognise(named, {"SeriesDescription": "Axial FLAIR"}).kind == "FLAIR"
    assert recognise(named, {"SeriesDescription": "AAHScout"}).kind == "localizer"


def test_nothing_that_tells_is_said_to_be_unknown() -> None:
    found = recognise(["2006-01-31_10_00_00.0", "I1000", "scan.nii"])
    assert (found.kind, found.is_t1, found.why_not) == ("unknown", None, "")
    assert found.order > recognise(["SagT1"]).order


def test_originals_come_before_repeats_and_derived() -> None:
    first, again, cut = (recognise([name]).order for name in ("MPRAGE", "MPRAGE_Repeat", "MPRAGE_MPR_Cor"))
    assert first < again < cut


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"EchoTime": 0.09}, "T2"), ({"EchoTime": 90}, "T2"), ({"EchoTime": 0.12, "InversionTime": 2.5}, "FLAIR"), ({"EchoTime": 0.003}, "unknown"),
        ({"EchoTime": True, "InversionTime": "x"}, "unknown"), ({"Modality": "PT"}, "PET"), ({"SeriesDescription": "t1_mprage_sag"}, "T1 (MPRAGE or SPGR)"),
        ({"SeriesDescription": 3}, "unknown"),
    ],
)  # fmt: skip
def test_the_sidecar_speaks_too(facts: dict[str, object], kind: str) -> None:
    assert recognise(["scan.nii"], facts).kind == kind


def test_a_sidecar_that_is_none_is_empty(tmp_path: Path) -> None:
    image = tmp_path / "a.nii.gz"
    assert read_sidecar(image) == {}
    for text in ("[1]", "{", '{"a": 1}'):
        (tmp_path / "a.json").write_text(text)
        assert read_sidecar(image) == ({"a": 1} if "a" in text else {})


def test_numbers_sort_as_numbers() -> None:
    names = ["run-10", "run-2", "run-1", "a", "a²"]
    assert sorted(names, key=natural) == ["a", "a²", "run-1", "run-2", "run-10"]
