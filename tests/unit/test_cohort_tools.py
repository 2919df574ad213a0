"""Outputs of the field's tools, in their real layouts with invented numbers, become the volumes of the right scans."""

from pathlib import Path

import pytest

from voxtune.cohorts.bids import Bids
from voxtune.cohorts.folder import Folder
from voxtune.cohorts.reading import Reading
from voxtune.errors import DataError, SettingError, TableError

PEOPLE = ("sub-01", "sub-02")
SESSIONS = ("ses-M000", "ses-M012")
REGIONS = ("hippocampus", "ventricles", "whole_brain", "entorhinal", "fusiform", "middle_temporal", "icv")
SIDES = {"L": ("Left", "left", "lh"), "R": ("Right", "right", "rh")}


def truth(person: int, visit: int) -> dict[str, float]:
    """Both sides of each region, in mm^3: other numbers for each scan."""
    base = {
        "hippocampus": 3000,
        "lateral": 12000,
        "inferior": 700,
        "entorhinal": 1800,
        "fusiform": 9000,
        "middletemporal": 10000,
    }
    parts = {
        name + side: value + 10 * person + visit + (5 if side == "R" else 0)
        for name, value in base.items()
        for side in "LR"
    }
    return parts | {"brain": 1_000_000 + 10 * person + visit, "etiv": 1_500_000 + 10 * person + visit}


def sums(person: int, visit: int, *regions: str) -> dict[str, float]:
    t = truth(person, visit)
    both = {name: t[part + "L"] + t[part + "R"] for name, part in (("hippocampus", "hippocampus"), ("entorhinal", "entorhinal"), ("fusiform", "fusiform"), ("middle_temporal", "middletemporal"))}  # fmt: skip
    full = both | {
        "ventricles": t["lateralL"] + t["lateralR"] + t["inferiorL"] + t["inferiorR"],
        "whole_brain": t["brain"],
        "icv": t["etiv"],
    }
    return {f"{name}_mm3": full[name] for name in regions or REGIONS}


SCANS = [(p, v, f"{PEOPLE[p]}_{SESSIONS[v]}") for p in (0, 1) for v in (0, 1)]


def tree(root: Path) -> Path:
    """A BIDS tree of two people with two visits each."""
    root.mkdir(exist_ok=True)
    (root / "participants.tsv").write_text("participant_id\tdiagnosis\nsub-01\tCN\nsub-02\tAD\n")
    for p, v, name in SCANS:
        path = root / PEOPLE[p] / SESSIONS[v] / "anat" / f"{name}_T1w.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def read(root: Path, also: str, **settings: object) -> Reading:
    reading = Bids.model_validate({"root": root, "also": also, **settings}).read()
    assert len(reading.rows) == 4, reading.dropped
    return reading


def agree(reading: Reading, *regions: str) -> None:
    """Each scan has its own volumes and no others."""
    for row, (p, v, name) in zip(reading.rows, SCANS, strict=True):
        assert row.scan_id == f"{name}_T1w"
        wanted = sums(p, v, *regions)
        assert {region: getattr(row, region) for region in wanted} == wanted
        others = {f"{region}_mm3" for region in REGIONS} - set(wanted)
        assert {getattr(row, region) for region in others} <= {None}


# ------------------------------------------------------------------------- statistics of FreeSurfer and FastSurfer
def aseg(p: int, v: int, *, cortex: bool = False, head: bool = True) -> str:
    t = truth(p, v)
    measures = [
        "# Title Segmentation Statistics ", "# generating_program mri_segstats", "# subjectname x",
        "# Measure BrainSeg, BrainSegVol, Brain Segmentation Volume, 1139045.000000, mm^3",
        f"# Measure BrainSegNotVent, BrainSegVolNotVent, Brain Segmentation Volume Without Ventricles, {t['brain']:.6f}, mm^3",
        "# Measure lhSurfaceHoles, lhSurfaceHoles, Number of defect holes in lh surfaces prior to fixing, 12, unitless",
        f"# Measure EstimatedTotalIntraCranialVol, eTIV, Estimated Total Intracranial Volume, {t['etiv']:.6f}, mm^3",
    ]  # fmt: skip
    names = {
        "Left-Lateral-Ventricle": t["lateralL"], "Left-Inf-Lat-Vent": t["inferiorL"], "Left-Hippocampus": t["hippocampusL"],
        "Right-Lateral-Ventricle": t["lateralR"], "Right-Inf-Lat-Vent": t["inferiorR"], "Right-Hippocampus": t["hippocampusR"],
    }  # fmt: skip
    if cortex:
        names |= {f"ctx-{side}-{name}": t[name + letter] for name in ("entorhinal", "fusiform", "middletemporal") for letter, (_, _, side) in SIDES.items()}  # fmt: skip
    rows = [f"{k:3d} {k:3d}  {int(value):8d}  {value:9.1f}  {name}   37.9     13.0     7.0   115.0   108.0 " for k, (name, value) in enumerate(names.items(), start=1)]  # fmt: skip
    columns = "# ColHeaders  Index SegId NVoxels Volume_mm3 StructName normMean normStdDev normMin normMax normRange  "
    return "\n".join([*(measures if head else measures[:3]), "# NTableCols 10", columns, *rows]) + "\n"


def aparc(p: int, v: int, letter: str) -> str:
    t = truth(p, v)
    rows = [f"{name:40s} 1359    912   {t[name + letter]:.0f}  2.453 0.467     0.108     0.025       13     1.4" for name in ("entorhinal", "fusiform", "middletemporal")]  # fmt: skip
    return "\n".join(
        [
            "# Title FreeSurfer cortical parcellation anatomical statistics ", f"# hemi {SIDES[letter][2]}",
            "# Measure Cortex, NumVert, Number of Vertices, 132000, unitless",
            f"# Measure EstimatedTotalIntraCranialVol, eTIV, Estimated Total Intracranial Volume, {t['etiv']:.6f}, mm^3",
            "# ColHeaders StructName NumVert SurfArea GrayVol ThickAvg ThickStd MeanCurv GausCurv FoldInd CurvInd", *rows,
        ]
    ) + "\n"  # fmt: skip


@pytest.mark.parametrize(
    "layout",
    [
        "{person}_{session}",
        "{person}/{session}",
        "{person}_{session}_T1w",
        "{person}_{session}.long.{person}",
    ],
)
def test_a_folder_of_freesurfer_subjects_is_read_with_cortex_and_head(tmp_path: Path, layout: str) -> None:
    root = tree(tmp_path / "bids")
    for p, v, _ in SCANS:
        stats = (
            root / "derivatives/freesurfer" / layout.format(person=PEOPLE[p], session=SESSIONS[v]) / "stats"
        )
        stats.mkdir(parents=True)
        (stats / "aseg.stats").write_text(aseg(p, v))
        for letter, (_, _, side) in SIDES.items():
            (stats / f"{side}.aparc.stats").write_text(aparc(p, v, letter))
    (root / "derivatives/freesurfer/fsaverage/stats").mkdir(parents=True)
    (root / "derivatives/freesurfer/fsaverage/stats/aseg.stats").write_text(aseg(7, 7))
    reading = read(root, "derivatives/freesurfer")
    agree(reading)
    assert any(
        "hippocampus_mm3 is Left-Hippocampus + Right-Hippocampus of freesurfer (FreeSurfer)" in note
        for note in reading.notes
    )
    assert any("1 rows belong to no scan of the cohort: fsaverage" in note for note in reading.notes)


@pytest.mark.parametrize("name", ["aseg+DKT.VINN.stats", "aseg+DKT.stats"])
def test_fastsurfer_without_surfaces_gives_cortex_and_no_head_size(tmp_path: Path, name: str) -> None:
    root = tree(tmp_path)
    for p, v, scan in SCANS:
        (root / "fs" / scan / "stats").mkdir(parents=True)
        (root / "fs" / scan / "stats" / name).write_text(aseg(p, v, cortex=True, head=False))
    agree(read(root, "fs/sub-*"), "hippocampus", "ventricles", "entorhinal", "fusiform", "middle_temporal")


def test_a_file_that_is_no_statistics_is_named(tmp_path: Path) -> None:
    root = tree(tmp_path)
    (root / "fs/sub-01/stats").mkdir(parents=True)
    (root / "fs/sub-01/stats/aseg.stats").write_text("# ColHeaders A B\n1 2\n")
    with pytest.raises(TableError, match=r"aseg\.stats: no column 'StructName'"):
        read(root, "fs")
    with pytest.raises(DataError, match="nowhere: no such table"):
        read(root, "nowhere")


# ---------------------------------------------------------------------------------------- tables of FreeSurfer
def table(columns: list[str], rows: list[list[object]], separator: str = "\t") -> str:
    return "\n".join(separator.join(map(str, row)) for row in [columns, *rows]) + "\n"


def aseg_table(first: str = "{name}", separator: str = "\t", mangled: bool = False) -> str:
    names = ["Left-Lateral-Ventricle", "Left-Inf-Lat-Vent", "Left-Hippocampus", "Right-Lateral-Ventricle", "Right-Inf-Lat-Vent", "Right-Hippocampus", "BrainSegVol", "BrainSegVolNotVent", "EstimatedTotalIntraCranialVol"]  # fmt: skip
    keys = [
        "lateralL",
        "inferiorL",
        "hippocampusL",
        "lateralR",
        "inferiorR",
        "hippocampusR",
        "brain",
        "brain",
        "etiv",
    ]
    rows = [
        [first.format(name=name, person=PEOPLE[p], session=SESSIONS[v]), *(truth(p, v)[key] for key in keys)]
        for p, v, name in SCANS
    ]
    return table(
        ["Measure:volume", *(name.replace("-", ".") if mangled else name for name in names)], rows, separator
    )


def aparc_table(letter: str, measure: str = "volume") -> str:
    side = SIDES[letter][2]
    names = ("entorhinal", "fusiform", "middletemporal")
    rows = [
        [name, *(truth(p, v)[one + letter] for one in names), truth(p, v)["brain"], truth(p, v)["etiv"]]
        for p, v, name in SCANS
    ]
    return table(
        [
            f"{side}.aparc.{measure}",
            *(f"{side}_{one}_{measure}" for one in names),
            "BrainSegVolNotVent",
            "eTIV",
        ],
        rows,
    )


def test_tables_of_asegstats2table_and_aparcstats2table_add_up_over_files(tmp_path: Path) -> None:
    root = tree(tmp_path)
    (root / "aseg.txt").write_text(aseg_table("/data/fs/{person}/{session}", ",", mangled=True))
    (root / "lh.tsv").write_text(aparc_table("L"))
    (root / "rh.tsv").write_text(aparc_table("R"))
    agree(read(root, "aseg.txt,lh.tsv,rh.tsv"))
    agree(
        read(root, "aseg.txt,lh.tsv"), "hippocampus", "ventricles", "whole_brain", "icv"
    )  # one side is no region
    notes = read(root, "aseg.txt,lh.tsv").notes
    assert (
        "entorhinal_mm3 is not taken from aseg.txt, lh.tsv (FreeSurfer): it lacks rh_entorhinal_volume."
        in notes
    )


def test_a_transposed_table_is_turned_round(tmp_path: Path) -> None:
    root = tree(tmp_path)
    rows = [line.split("\t") for line in aseg_table().splitlines()]
    (root / "aseg.tsv").write_text("\n".join("\t".join(cells) for cells in zip(*rows, strict=True)) + "\n")
    agree(read(root, "aseg.tsv"), "hippocampus", "ventricles", "whole_brain", "icv")


@pytest.mark.parametrize("measure", ["thickness", "area", "meancurv"])
def test_a_table_of_no_volumes_is_refused(tmp_path: Path, measure: str) -> None:
    root = tree(tmp_path)
    (root / "lh.tsv").write_text(aparc_table("L", measure))
    with pytest.raises(TableError, match=rf"lh\.tsv: this is a table of '{measure}' and not of volumes"):
        read(root, "lh.tsv")


# ------------------------------------------------------------------------------------------ SynthSeg, DLMUSE, UCSF
def test_synthseg_volumes_with_the_cortex(tmp_path: Path) -> None:
    root = tree(tmp_path)
    columns = ["subject", "total intracranial", "left cerebral white matter", "left lateral ventricle", "left inferior lateral ventricle", "left hippocampus", "csf", "right cerebral white matter", "right lateral ventricle", "right inferior lateral ventricle", "right hippocampus"]  # fmt: skip
    cortex = [
        f"ctx-{side}-{one}" for one in ("entorhinal", "fusiform", "middletemporal") for side in ("lh", "rh")
    ]
    rows: list[list[object]] = []
    for p, v, name in SCANS:
        t = truth(p, v)
        rest = t["brain"] - t["hippocampusL"] - t["hippocampusR"] - 400000
        regions = [t[one + letter] for one in ("entorhinal", "fusiform", "middletemporal") for letter in "LR"]
        rows.append([f"{name}_T1w", t["etiv"], rest, t["lateralL"], t["inferiorL"], t["hippocampusL"], 250000, 400000, t["lateralR"], t["inferiorR"], t["hippocampusR"], *regions])  # fmt: skip
    (root / "vol.csv").write_text(table([*columns, *cortex], rows, ","))
    agree(read(root, "vol.csv"))


@pytest.mark.parametrize("prefix", ["", "MUSE_Volume_"])
def test_dlmuse_volumes_by_their_numbers(tmp_path: Path, prefix: str) -> None:
    root = tree(tmp_path)
    keys = {47: "hippocampusR", 48: "hippocampusL", 49: "inferiorR", 50: "inferiorL", 51: "lateralR", 52: "lateralL", 116: "entorhinalR", 117: "entorhinalL", 122: "fusiformR", 123: "fusiformL", 154: "middletemporalR", 155: "middletemporalL", 702: "etiv"}  # fmt: skip
    rows = [
        [f"{name}_T1w", *(truth(p, v)[key] for key in keys.values()), truth(p, v)["brain"] - 400000, 400000]
        for p, v, name in SCANS
    ]
    (root / "DLMUSE_Volumes.csv").write_text(
        table(["MRID", *(f"{prefix}{key}" for key in keys), f"{prefix}601", f"{prefix}604"], rows, ",")
    )
    agree(read(root, "DLMUSE_Volumes.csv"))


def ucsf(rows: list[dict[str, object]]) -> str:
    columns = ["RID", "VISCODE", "VISCODE2", "EXAMDATE", "VERSION", "IMAGEUID", "RUNDATE", "STATUS", "OVERALLQC", "ST10CV", "ST24CV", "ST26CV", "ST29SV", "ST30SV", "ST37SV", "ST40CV", "ST83CV", "ST85CV", "ST88SV", "ST89SV", "ST96SV", "ST99CV"]  # fmt: skip
    return table(columns, [[row.get(name, "") for name in columns] for row in rows], ",")


def ucsf_row(p: int, v: int, **more: object) -> dict[str, object]:
    t = truth(p, v)
    named = {"ST29SV": "hippocampusL", "ST88SV": "hippocampusR", "ST37SV": "lateralL", "ST96SV": "lateralR", "ST30SV": "inferiorL", "ST89SV": "inferiorR", "ST24CV": "entorhinalL", "ST83CV": "entorhinalR", "ST26CV": "fusiformL", "ST85CV": "fusiformR", "ST40CV": "middletemporalL", "ST99CV": "middletemporalR", "ST10CV": "etiv"}  # fmt: skip
    return {name: t[key] for name, key in named.items()} | {
        "OVERALLQC": "Pass",
        "RUNDATE": "2012-01-01",
        **more,
    }


def adni(root: Path) -> list[str]:
    """The same four scans as ADNI's BIDS names call them."""
    names = ["sub-ADNI901S9301", "sub-ADNI901S9302"]
    root.joinpath("participants.tsv").write_text(
        "participant_id\tdiagnosis\n" + "".join(f"{name}\tCN\n" for name in names)
    )
    for p, v, _ in SCANS:
        path = root / names[p] / SESSIONS[v] / "anat" / f"{names[p]}_{SESSIONS[v]}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    return names


def test_ucsf_tables_are_joined_by_number_and_visit_code_and_failed_runs_left_out(tmp_path: Path) -> None:
    adni(tmp_path)
    rows = [
        ucsf_row(p, v, RID=9301 + p, VISCODE2=("bl", "m12")[v], IMAGEUID=100 + 2 * p + v) for p, v, _ in SCANS
    ]
    wrong = [
        ucsf_row(3, 3, RID=9301, VISCODE2="bl", IMAGEUID=100, OVERALLQC="Fail"),
        ucsf_row(4, 4, RID=9302, VISCODE2="m12", IMAGEUID=103, RUNDATE="2011-01-01"),
    ]
    (tmp_path / "UCSFFSX51_11_08_19.csv").write_text(ucsf([*wrong[:1], *rows, *wrong[1:]]))
    reading = Bids(root=tmp_path, also=("UCSFFSX51_11_08_19.csv",)).read()
    regions = ("hippocampus", "ventricles", "entorhinal", "fusiform", "middle_temporal", "icv")
    for row, (p, v, _) in zip(reading.rows, SCANS, strict=True):
        wanted = sums(p, v, *regions)
        assert {name: getattr(row, name) for name in wanted} == wanted
        assert row.whole_brain_mm3 is None
    assert any("1 rows with OVERALLQC Fail" in note for note in reading.notes)


def test_ucsf_tables_are_joined_by_the_image_where_its_number_stands_in_the_path(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("scan,subject,label,file\n" + "".join(f"x{k},p{p},NC,ADNI/901_S_930{p}/I{1000 + k}/x.nii\n" for k, (p, _, _) in enumerate(SCANS)))  # fmt: skip
    for k, (p, _, _) in enumerate(SCANS):
        path = tmp_path / f"ADNI/901_S_930{p}/I{1000 + k}/x.nii"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    rows = [ucsf_row(p, v, RID=5, VISCODE="bl", IMAGEUID=1000 + k) for k, (p, v, _) in enumerate(SCANS)]
    (tmp_path / "ucsf.csv").write_text(ucsf(rows[::-1]))
    found = Folder.model_validate({"root": tmp_path, "table": "t.csv", "also": "ucsf.csv"}).read().rows
    assert [row.hippocampus_mm3 for row in found] == [sums(p, v)["hippocampus_mm3"] for p, v, _ in SCANS]


# --------------------------------------------------------------------------------------------- units, names, doubts
def test_units_and_renames_win_over_what_a_tool_is_known_for(tmp_path: Path) -> None:
    root = tree(tmp_path)
    (root / "aseg.tsv").write_text(aseg_table())
    halves = read(root, "aseg.tsv", rename="Left-Hippocampus:hippocampus_mm3")
    assert [row.hippocampus_mm3 for row in halves.rows] == [truth(p, v)["hippocampusL"] for p, v, _ in SCANS]
    assert not any("hippocampus_mm3 is" in note for note in halves.notes)
    text = aseg_table().splitlines()
    small = [text[0], *("\t".join([cells[0], *(str(float(cell) / 1000) for cell in cells[1:])]) for cells in (line.split("\t") for line in text[1:]))]  # fmt: skip
    (root / "cm.tsv").write_text("\n".join(small) + "\n")
    names = ("hippocampus_mm3", "ventricles_mm3", "whole_brain_mm3", "icv_mm3")
    reading = read(root, "cm.tsv", units=",".join(f"{name}:cm3" for name in names))
    assert [round(row.hippocampus_mm3 or 0, 3) for row in reading.rows] == [
        sums(p, v)["hippocampus_mm3"] for p, v, _ in SCANS
    ]
    with pytest.raises(
        TableError, match=r"hippocampus_mm3'.*too small by about 1000.*--set units=hippocampus_mm3:cm3"
    ):
        read(root, "cm.tsv").settle()
    with pytest.raises(SettingError, match="'units': expected a unit of volume"):
        read(root, "cm.tsv", units="icv_mm3:stone")


def test_a_table_of_people_gives_no_visit_its_volumes(tmp_path: Path) -> None:
    root = tree(tmp_path)
    (root / "aseg.tsv").write_text(
        "Measure:volume\tLeft-Hippocampus\tRight-Hippocampus\nsub-01\t3000\t3100\nsub-02\t3000\t3100\n"
    )
    (root / "sex.csv").write_text("subject,sex\nsub-01,1\nsub-02,2\n")
    reading = read(root, "aseg.tsv;sex.csv", values="sex=1:M,2:F")
    assert {row.hippocampus_mm3 for row in reading.rows} == {None}
    assert [row.sex for row in reading.rows] == ["M", "M", "F", "F"]
    assert any("names participants and not scans: 'hippocampus_mm3'" in note for note in reading.notes)


def test_on_says_which_columns_join_and_wrong_names_are_refused(tmp_path: Path) -> None:
    root = tree(tmp_path)
    rows = [[f"x{k}", PEOPLE[p], SESSIONS[v], 6000 + k] for k, (p, v, _) in enumerate(SCANS)]
    (root / "v.csv").write_text(table(["id", "who", "when", "H"], rows, ","))
    reading = read(root, "v.csv", on="v.csv:who+when", rename="H:hippocampus_mm3")
    assert [row.hippocampus_mm3 for row in reading.rows] == [6000, 6001, 6002, 6003]
    for settings, error, words in (
        ({"on": "v.csv:nobody"}, SettingError, "'on'.*id, who, when, H.*nobody"),
        ({"on": "other.csv:who"}, SettingError, "'on'.*v.csv.*other.csv"),
        ({"rename": "Hipp:hippocampus_mm3", "on": "v.csv:who+when"}, SettingError, "'rename'.*Hipp"),
        ({"values": "dx=1:A", "on": "v.csv:who+when"}, SettingError, "'values'.*dx"),
        ({"on": "v.csv:id"}, TableError, "no row belongs to a scan: its column 'id' has 'x0'"),
        ({"rename": "v.csv/H:hippocampus_mm3", "on": "v.csv:who+when"}, None, ""),
    ):  # fmt: skip
        if error is None:
            assert read(root, "v.csv", **settings).rows[3].hippocampus_mm3 == 6003
            continue
        with pytest.raises(error, match=words):
            read(root, "v.csv", **settings)


def test_two_tables_that_disagree_on_a_used_column_are_refused(tmp_path: Path) -> None:
    root = tree(tmp_path)
    for name, add in (("a.csv", 0), ("b.csv", 50)):
        (root / name).write_text(
            table(["scan", "H"], [[scan, 6000 + k + add] for k, (_, _, scan) in enumerate(SCANS)], ",")
        )
    with pytest.raises(
        TableError, match=r"b\.csv: line 2, column 'H' has '6050' where a\.csv, line 2 has '6000'"
    ):
        read(root, "a.csv,b.csv", rename="H:hippocampus_mm3")
    chosen = read(root, "a.csv,b.csv", rename="b.csv/H:hippocampus_mm3")
    assert [row.hippocampus_mm3 for row in chosen.rows] == [6050, 6051, 6052, 6053]


def test_tables_of_one_tool_that_disagree_or_hold_no_number_are_refused(tmp_path: Path) -> None:
    root = tree(tmp_path)
    (root / "a.tsv").write_text(aseg_table())
    (root / "b.tsv").write_text(aseg_table().replace(f"{truth(0, 0)['hippocampusL']}", "3999"))
    with pytest.raises(
        TableError, match=r"b\.tsv: line 2, column 'Left-Hippocampus': '3999' has '3000' in a\.tsv, line 2"
    ):
        read(root, "a.tsv,b.tsv")
    (root / "c.tsv").write_text(aseg_table().replace(f"{truth(0, 0)['hippocampusL']}", "3.000,5"))
    with pytest.raises(
        TableError, match=r"c\.tsv: line 2, column 'Left-Hippocampus': '3\.000,5' is no number"
    ):
        read(root, "c.tsv")


def test_columns_that_nobody_knows_are_found_by_their_cells(tmp_path: Path) -> None:
    root = tree(tmp_path)
    rows = [[f"{PEOPLE[p][4:]}", f"M{12 * v}", 6000 + k] for k, (p, v, _) in enumerate(SCANS)]
    (root / "v.csv").write_text(table(["proband", "zeitpunkt", "H"], rows, ";"))
    reading = read(root, "v.csv", rename="H:hippocampus_mm3")
    assert [row.hippocampus_mm3 for row in reading.rows] == [6000, 6001, 6002, 6003]
    assert any("joined on 'proband' and 'zeitpunkt'" in note for note in reading.notes)
    (root / "w.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(
        TableError,
        match=r"w\.csv: no column is known to name scans or people; it has a, b.*--set on=w\.csv:COLUMN",
    ):
        read(root, "w.csv")
    (root / "x.csv").write_text(
        "subject,session,H\nsub-01,,6000\n,ses-M000,6001\nsub-02,ses-M012,6002\nsub-09,,1\n"
    )
    reading = read(root, "x.csv", rename="H:icv_mm3", units="icv_mm3:ml")
    assert [row.icv_mm3 for row in reading.rows] == [None, None, None, None]  # 6 litres are no skull
    assert any("x.csv: 1 rows belong to no scan of the cohort: sub-09" in note for note in reading.notes)


def test_a_table_of_sessions_and_scans_without_any(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("scan,subject,label\na,P1,NC\nb,P2,AD\n")
    for name in "ab":
        (tmp_path / f"{name}.nii").write_bytes(b"x")
    (tmp_path / "v.csv").write_text("subject,visit,H\nP1,bl,6000\nP2,bl,6100\n")
    settings = {"root": tmp_path, "table": "t.csv", "also": "v.csv", "rename": "H:hippocampus_mm3"}
    reading = Folder.model_validate(settings).read()
    assert [row.hippocampus_mm3 for row in reading.rows] == [6000, 6100]
    assert any("names sessions and the scans do not" in note for note in reading.notes)
    (tmp_path / "v.csv").write_text("subject,visit,H\nP1,bl,6000\nP1,m12,5900\nP2,bl,6100\n")
    with pytest.raises(TableError, match="two rows of 'P1/m12' \\(lines 2 and 3\\) disagree"):
        Folder.model_validate(settings).read()
