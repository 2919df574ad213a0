"""docs/how-to/bids-and-freesurfer.md, pasted: 200 people, volumes in FreeSurfer's tables, codes for sex, other names for the classes."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from voxtune.commands.ingest.command import read_cohort
from voxtune.data.manifest import read_manifest, read_reports, read_table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "bids-and-freesurfer.md"
PEOPLE = 200
ASEG = ("Left-Lateral-Ventricle", "Left-Inf-Lat-Vent", "Left-Hippocampus", "Right-Lateral-Ventricle", "Right-Inf-Lat-Vent", "Right-Hippocampus", "BrainSegVolNotVent", "EstimatedTotalIntraCranialVol")  # fmt: skip
CORTEX = ("entorhinal", "fusiform", "middletemporal")


def volumes(number: int) -> dict[str, int]:
    """Invented volumes of a person in mm^3, other ones for each."""
    base = dict(zip(ASEG, (14000, 600, 3300, 13000, 500, 3400, 1_050_000, 1_500_000), strict=True))
    cortex = {
        f"{side}_{name}": value
        for name, value in zip(CORTEX, (1900, 9000, 11000), strict=True)
        for side in ("lh", "rh")
    }
    return {name: value + number + 3 * place for place, (name, value) in enumerate((base | cortex).items())}


def study(root: Path) -> None:
    people = [f"sub-{number:03d}" for number in range(1, PEOPLE + 1)]

    def put(name: str, columns: list[str], rows: list[list[object]]) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            csv.writer(file, delimiter="\t").writerows([columns, *rows])

    put("participants.tsv", ["participant_id", "sex", "age", "group", "MMSE"], [[name, 1 + k % 2, 60 + k % 30, ("HC", "DAT")[k % 3 == 0], 29 - 8 * (k % 3 == 0)] for k, name in enumerate(people)])  # fmt: skip
    shuffled = sorted(enumerate(people), key=lambda one: (one[0] * 77) % PEOPLE)
    put(
        "tables/aseg.tsv",
        ["Measure:volume", *ASEG],
        [[name, *(volumes(k)[one] for one in ASEG)] for k, name in shuffled],
    )
    for side in ("lh", "rh"):
        put(f"tables/{side}.tsv", [f"{side}.aparc.volume", *(f"{side}_{one}_volume" for one in CORTEX), "eTIV"], [[name, *(volumes(k)[f"{side}_{one}"] for one in CORTEX), volumes(k)["EstimatedTotalIntraCranialVol"]] for k, name in enumerate(people)])  # fmt: skip
    for name in people:
        path = root / name / "anat" / f"{name}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")


def test_three_commands_lead_to_a_manifest_reports_and_a_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paste: Callable[[str], None]
) -> None:
    study(tmp_path / "study")
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    commands = [line.removeprefix("$ ") for line in block.replace("\\\n", " ").splitlines()]
    assert len(commands) == 3
    for command in commands:
        paste(command)
    rows = read_manifest(tmp_path / "out/manifest.tsv")
    assert len(rows) == PEOPLE
    for k, row in enumerate(rows):
        own = volumes(k)
        assert (row.participant_id, row.sex, row.diagnosis) == (
            f"sub-{k + 1:03d}",
            "MF"[k % 2],
            ("NC", "AD")[k % 3 == 0],
        )
        assert row.age == 60 + k % 30
        assert row.mmse == 29 - 8 * (k % 3 == 0)
        assert row.hippocampus_mm3 == own["Left-Hippocampus"] + own["Right-Hippocampus"]
        assert row.ventricles_mm3 == sum(own[name] for name in ASEG if "Vent" in name and "Not" not in name)
        assert row.whole_brain_mm3 == own["BrainSegVolNotVent"]
        assert row.icv_mm3 == own["EstimatedTotalIntraCranialVol"]
        assert row.entorhinal_mm3 == own["lh_entorhinal"] + own["rh_entorhinal"]
        assert row.fusiform_mm3 == own["lh_fusiform"] + own["rh_fusiform"]
        assert row.middle_temporal_mm3 == own["lh_middletemporal"] + own["rh_middletemporal"]
    reports = read_reports(tmp_path / "out/reports.tsv")
    first = volumes(0)["Left-Hippocampus"] + volumes(0)["Right-Hippocampus"]
    assert f"Hippocampal volume: {first}.00 mm^3" in reports["sub-001_T1w"].text
    assert len(reports) == PEOPLE
    sides = [
        {row["scan_id"] for row in read_table(tmp_path / f"out/split/{side}.tsv")}
        for side in ("train", "val", "test")
    ]
    assert sum(map(len, sides)) == len(set.union(*sides)) == PEOPLE


def test_a_volume_is_said_to_come_from_the_tables_that_have_its_parts(tmp_path: Path) -> None:
    study(tmp_path)
    reading = read_cohort("bids", tmp_path, {"diagnosis": "group", "also": "tables/aseg.tsv,tables/lh.tsv,tables/rh.tsv"})  # fmt: skip
    said = [note for note in reading.notes if "_mm3 is " in note]
    tables = {note.split()[0]: note.partition(" of ")[2].removesuffix(" (FreeSurfer).") for note in said}
    assert tables["hippocampus_mm3"] == tables["whole_brain_mm3"] == "aseg.tsv"
    assert tables["entorhinal_mm3"] == tables["fusiform_mm3"] == "lh.tsv, rh.tsv"
