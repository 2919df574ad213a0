"""What a scan is of, by header and picture, against what a preset takes; and links, copies and archives go by their own names."""

import gzip
import json
import shutil
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from voxtune.commands.predict.inputs import scan_label
from voxtune.data.sources import as_manifest
from voxtune.errors import ScanError
from voxtune.imaging.boundary import one_sentence
from voxtune.imaging.dicom.facts import kind_of, number_of, text_of, whole_of
from voxtune.imaging.dicom.frames import frames_of
from voxtune.imaging.kind import Kind, Wanted, check_kind, kind_of_file, looks_like_head_ct, weighting
from voxtune.imaging.presets import CT_CLIP, DEFT, MERLIN
from voxtune.imaging.read import open_scan
from voxtune.types.volume import Volume

GRID = np.stack(np.meshgrid(*(np.arange(-n, n + 1) * 5.0 for n in (40, 36, 30)), indexing="ij"), axis=-1)
NOTHING = Volume(np.zeros((2, 2, 2), np.float32), np.eye(4))


def ellipsoid(*radii: float, middle: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    return (((GRID - middle) / radii) ** 2).sum(axis=-1) < 1


def volume(voxels: np.ndarray) -> Volume:
    return Volume(voxels.astype(np.float32), np.diag([5.0, 5.0, 5.0, 1.0]))


def head_ct() -> Volume:
    voxels = np.full(GRID.shape[:3], -1000.0)
    voxels[ellipsoid(80, 100, 110)] = 900  # skull
    voxels[ellipsoid(72, 92, 102)] = 35
    return volume(voxels)


def head_without_bone() -> Volume:
    """As where a window clipped it away."""
    return volume(np.minimum(head_ct().voxels, 100))


def chest_ct() -> Volume:
    voxels = np.full(GRID.shape[:3], -1000.0)
    voxels[ellipsoid(180, 120, 400)] = 40
    for side in (-1, 1):
        voxels[ellipsoid(60, 80, 120, middle=(side * 80, 0, 0))] = -800
    voxels[ellipsoid(20, 20, 400, middle=(0, 90, 0))] = 400  # spine
    return volume(voxels)


def abdomen_ct() -> Volume:
    voxels = np.full(GRID.shape[:3], -1000.0)
    voxels[ellipsoid(170, 120, 400)] = 40
    voxels[ellipsoid(25, 25, 400, middle=(0, 80, 0))] = 400
    return volume(voxels)


def test_a_head_looks_like_one_and_other_bodies_do_not() -> None:
    assert looks_like_head_ct(head_ct())
    assert not looks_like_head_ct(chest_ct())
    assert not looks_like_head_ct(abdomen_ct())
    assert not looks_like_head_ct(volume(np.full((8, 8, 8), -1000.0)))
    assert looks_like_head_ct(head_without_bone(), bone=0)
    assert not looks_like_head_ct(head_without_bone())
    # A chest that is cut off at the lungs still holds lung.
    assert not looks_like_head_ct(volume(chest_ct().voxels[20:61, 20:53]), bone=0)


def test_real_chests_are_no_heads(shared_data: Path) -> None:
    for file in sorted((shared_data / "chest_ct").glob("*.nii.gz")):
        scan = open_scan(file)
        assert check_kind("scan", scan.kind, scan.volume, CT_CLIP.wanted) == ()


@pytest.mark.parametrize(
    ("kind", "wanted", "says"),
    [
        (Kind("MR"), CT_CLIP.wanted, "it is an MR scan; this preset takes a CT"),
        (Kind("CT"), DEFT.wanted, "it is a CT; this preset takes an MR scan"),
        (Kind("PT"), DEFT.wanted, "it is a PET scan"),
        (Kind("MR", words="AX T2", echo_ms=95), DEFT.wanted, "echo time of 95 ms is that of a T2 image"),
        (Kind("MR", echo_ms=110, inversion_ms=2500), DEFT.wanted, "that of a FLAIR image"),
    ],
)
def test_what_a_header_says_by_physics_is_refused(kind: Kind, wanted: Wanted, says: str) -> None:
    with pytest.raises(ScanError, match=says):
        check_kind("scan", kind, NOTHING, wanted)


def test_a_head_ct_in_a_chest_preset() -> None:
    with pytest.raises(ScanError, match="header says head and it looks like one"):
        check_kind("scan", Kind("CT", region="HEAD"), head_ct(), CT_CLIP.wanted)
    assert "looks like a head" in check_kind("scan", Kind("CT"), head_ct(), CT_CLIP.wanted)[0]
    assert (
        "its header says head"
        in check_kind("scan", Kind("CT", words="Head 5.0"), chest_ct(), CT_CLIP.wanted)[0]
    )
    assert check_kind("scan", Kind("CT", region="CHEST"), chest_ct(), CT_CLIP.wanted) == ()
    # A chest and an abdomen are often one scan.
    assert check_kind("scan", Kind("CT", region="CHEST"), chest_ct(), MERLIN.wanted) == ()


def test_a_trunk_without_lung_in_a_chest_preset_is_warned_of() -> None:
    chest = chest_ct()
    voxels = np.where((chest.voxels > -950) & (chest.voxels < -600), np.float32(40), chest.voxels)
    abdomen = chest.with_voxels(voxels)
    assert "hardly any lung" in check_kind("scan", Kind("CT"), abdomen, CT_CLIP.wanted)[0]
    assert check_kind("scan", Kind("CT"), abdomen, MERLIN.wanted) == ()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("T1 MPRAGE SAG", "T1"), ("t1_mprage_sag_p2_iso", "T1"), ("T1 FLAIR", "T1"), ("AX T2 FLAIR", "FLAIR"), ("t2_tse_tra", "T2"),
        ("SWI_Images", "another contrast"), ("DTI 64 dir", "another contrast"), ("FSPGR 3D", "T1"), ("IR-FSPGR", "T1"), ("", None),
        ("cohort2", None), ("best2", None), ("Forest", None),
    ],
)  # fmt: skip
def test_the_weighting_that_words_name(words: str, found: str | None) -> None:
    assert weighting(Kind("MR", words=words)) == found


def test_only_a_name_warns() -> None:
    [note] = check_kind("scan", Kind("MR", words="T2 TSE"), NOTHING, DEFT.wanted)
    assert note == "its name says T2, this preset takes T1-weighted images"
    assert check_kind("scan", Kind("MR", words="T1 MPRAGE", echo_ms=3), NOTHING, DEFT.wanted) == ()


def test_a_nifti_file_is_known_by_its_sidecar_and_its_bids_suffix(tmp_path: Path) -> None:
    file = tmp_path / "sub-01_T2w.nii.gz"
    assert weighting(kind_of_file(file)) == "T2"
    # Anything else in a name is its owner's word.
    assert weighting(kind_of_file(tmp_path / "swi_trial_baseline.nii.gz")) is None
    said = {"Modality": "MR", "EchoTime": 0.1, "InversionTime": 2.2, "BodyPartExamined": "BRAIN"}
    file.with_name("sub-01_T2w.json").write_text(json.dumps(said))
    kind = kind_of_file(file)
    assert (kind.modality, kind.echo_ms, kind.region) == ("MR", 100.0, "BRAIN")
    assert weighting(kind) == "FLAIR"
    for broken in ("[1]", "{", "[" * 100_000):
        file.with_name("sub-01_T2w.json").write_text(broken)
        assert kind_of_file(file).modality is None


# ------------------------------------------------------------------------------------------ names
def scan_bytes() -> bytes:
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4) * np.ones((1, 1, 1), np.int16)
    image = nibabel.Nifti1Image(np.kron(voxels, np.ones((4, 4, 4), np.int16)), np.diag([2.0, 2.0, 2.0, 1.0]))
    return gzip.compress(image.to_bytes(), mtime=0)


@pytest.fixture
def annexed(tmp_path: Path) -> Path:
    """A scan as git-annex keeps it: a link named by a person to a file named by its content."""
    store = tmp_path / ".git" / "annex" / "objects" / "MD5E-s9--0123.nii.gz"
    store.mkdir(parents=True)
    (store / store.name).write_bytes(scan_bytes())
    link = tmp_path / "sub-001_T1w.nii.gz"
    link.symlink_to(f".git/annex/objects/{store.name}/{store.name}")
    return link


def test_a_link_goes_by_its_own_name(annexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scan_label(annexed) == annexed.name
    made = as_manifest(annexed, tmp_path / "out").read_text(encoding="utf-8")
    assert "sub-001_T1w" in made
    assert "MD5E" not in made
    shutil.rmtree(tmp_path / ".git")
    with pytest.raises(ScanError, match=r"sub-001_T1w.nii.gz: its content is not here \(a DataLad"):
        open_scan(annexed)
    monkeypatch.chdir(tmp_path)
    assert scan_label(Path()) == tmp_path.name


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.nii").symlink_to("nowhere.nii")
    with pytest.raises(ScanError, match="a link to a file that does not exist"):
        open_scan(tmp_path / "a.nii")


def pair(folder: Path) -> dict[str, bytes]:
    image = nibabel.Nifti1Pair.from_image(nibabel.Nifti1Image.from_bytes(gzip.decompress(scan_bytes())))
    nibabel.save(image, folder / "a.img")
    return {f"study/sub-1/scan{end}": (folder / f"a{end}").read_bytes() for end in (".hdr", ".img")}


def zip_of(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_zips_of_one_volume(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(scan_bytes())
    plain = open_scan(tmp_path / "a.nii.gz").volume
    mac = {"__MACOSX/x/._scan.nii.gz": b"\0\5\x16\7", "x/.DS_Store": b"x"}
    sidecar = {"x/scan.json": b'{"EchoTime": 0.003}'}
    forms = {
        "plain": {"x/scan.nii.gz": scan_bytes()},
        "mac": {"x/scan.nii.gz": scan_bytes(), **mac},
        "sidecar": {"x/scan.nii.gz": scan_bytes(), **sidecar},
        "pair": pair(tmp_path),
        "inside": {
            "inner.zip": zip_of(tmp_path / "i.zip", {"x/scan.nii.gz": scan_bytes()}).read_bytes(),
            **mac,
        },
    }
    for name, members in forms.items():
        scan = open_scan(zip_of(tmp_path / f"{name}.zip", members))
        assert np.array_equal(scan.volume.voxels, plain.voxels), name
        assert np.allclose(scan.volume.affine, plain.affine), name
        assert scan.kind.echo_ms == (3 if name == "sidecar" else None)


@pytest.mark.parametrize("name", ["sub-01_T2w.nii.gz", "sub-01_T2w.NII.GZ", "sub-01_T2w.nii"])
def test_a_volume_goes_by_its_own_name_in_a_zip_too(name: str, tmp_path: Path) -> None:
    content = scan_bytes() if name.lower().endswith("gz") else gzip.decompress(scan_bytes())
    (tmp_path / name).write_bytes(content)
    for path in (tmp_path / name, zip_of(tmp_path / "a.zip", {f"x/{name}": content})):
        assert weighting(open_scan(path).kind) == "T2"


def test_a_metaimage_says_its_modality(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(scan_bytes())
    image = SimpleITK.ReadImage(str(tmp_path / "a.nii.gz"))
    SimpleITK.WriteImage(image, str(tmp_path / "a.mha"), useCompression=False)
    content = (tmp_path / "a.mha").read_bytes().replace(b"NDims = 3\n", b"NDims = 3\nModality = MET_MOD_CT\n")
    (tmp_path / "a.mha").write_bytes(content)
    for path in (tmp_path / "a.mha", zip_of(tmp_path / "a.zip", {"a.mha": content})):
        assert open_scan(path).kind.modality == "CT"


def enhanced_mr(tags: dict[str, float], anatomy: str, *, shared: bool) -> Dataset:
    """A multi-frame header: echo and inversion time, and the region as a code."""
    echo, modifier, code, region, group = (Dataset() for _ in range(5))
    for item, name in ((echo, "EffectiveEchoTime"), (modifier, "InversionTimes")):
        if name in tags:
            setattr(item, name, [tags[name]] if name.endswith("s") else tags[name])
    code.CodeMeaning, region.AnatomicRegionSequence = anatomy, [code]
    group.MREchoSequence, group.MRModifierSequence, group.FrameAnatomySequence = [echo], [modifier], [region]
    header = Dataset()
    header.Modality, header.NumberOfFrames = "MR", 3
    header.SharedFunctionalGroupsSequence = [group if shared else Dataset()]
    header.PerFrameFunctionalGroupsSequence = [Dataset() if shared else group for _ in range(3)]
    return header


@pytest.mark.parametrize("shared", [True, False])
def test_a_multi_frame_file_says_what_it_is(shared: bool, tmp_path: Path) -> None:
    header = enhanced_mr({"EffectiveEchoTime": 95, "InversionTimes": 2500}, "Knee", shared=shared)
    kind = kind_of(header, frames_of(header, tmp_path, tmp_path), "MR")
    assert (kind.echo_ms, kind.inversion_ms, kind.region) == (95, 2500, "Knee")
    assert weighting(kind) == "FLAIR"
    bare = enhanced_mr({}, "", shared=shared)
    kind = kind_of(bare, frames_of(bare, tmp_path, tmp_path), "MR")
    assert (kind.echo_ms, kind.inversion_ms, kind.region) == (None, None, None)
    assert kind_of(bare, [], "MR").echo_ms is None


def test_echo_planar_images_are_no_t1() -> None:
    header = Dataset()
    header.ScanningSequence = "EP"
    assert weighting(kind_of(header, [], "MR")) == "another contrast"


def test_a_tag_that_cannot_be_read_says_nothing() -> None:
    header = Dataset()
    header.add(DataElement("SeriesNumber", "IS", ""))
    assert (text_of(header, "SeriesNumber"), whole_of(header, "SeriesNumber")) == ("", None)
    header[0x0020, 0x0011] = RawDataElement(Tag(0x0020, 0x0011), "IS", 4, b"4x  ", 0, False, True)
    assert (text_of(header, "SeriesNumber"), number_of(header, "SeriesNumber")) == ("", None)
    assert number_of(enhanced_mr({}, "", shared=True), "SharedFunctionalGroupsSequence") is None


def test_more_lung_than_a_body_has_is_noted() -> None:
    chest = chest_ct()
    larger = Volume(chest.voxels, chest.affine * [[3, 3, 3, 1]])
    assert any("litres of lung" in note for note in check_kind("scan", Kind(), larger, CT_CLIP.wanted))


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"a.hdr": b"x" * 348}, "no DICOM series"),
        ({"a.nii": b"x", "b.nii": b"x"}, "2 volumes"),
        ({"a.zip": b"PK", "b.zip": b"PK"}, "2 zips"),
        ({"a.img": b"x" * 99}, "other half"),
        ({"a.nii": b"not a scan"}, "not a NIfTI|cut short"),
        ({"A.nii": b"x", "a.nii": b"x"}, "one name|2 volumes"),
    ],
)
def test_a_zip_that_is_no_scan_is_refused_by_its_own_name(
    tmp_path: Path, members: dict[str, bytes], says: str
) -> None:
    with pytest.raises(ScanError, match=says) as caught:
        open_scan(zip_of(tmp_path / "study.zip", members))
    assert str(caught.value).startswith("study.zip: ")


# --------------------------------------------------------------------------------------- boundary
@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "more memory than there is"),
        (
            PermissionError(13, "Permission denied", "/home/someone/secret"),
            r"cannot be read \(Permission denied\)",
        ),
        (OSError("secret"), r"cannot be read \(OSError\)"),
        (RecursionError(), "nested too deeply"),
        (KeyError("secret"), r"damaged, or of a form that is not known here \(KeyError\)"),
        (RuntimeError("/secret/itk::ERROR"), "RuntimeError"),
    ],
)
def test_whatever_a_library_raises_is_one_sentence_that_names_the_scan(error: Exception, says: str) -> None:
    with pytest.raises(ScanError, match=says) as caught, one_sentence("scan7"):
        raise error
    assert str(caught.value).startswith("scan7: ")
    assert "secret" not in str(caught.value)


def test_our_own_errors_pass_the_boundary_as_they_are() -> None:
    mine = ScanError("a", "cause")
    with pytest.raises(ScanError) as caught, one_sentence("b"):
        raise mine
    assert caught.value is mine


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("itk"), MemoryError(), IndexError("x")])
def test_a_reader_that_breaks_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    (tmp_path / "a.nii.gz").write_bytes(scan_bytes())

    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("voxtune.imaging.read.read_nifti", broken)
    with pytest.raises(ScanError, match=r"^a\.nii\.gz: "):
        open_scan(tmp_path / "a.nii.gz")
