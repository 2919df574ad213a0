"""What tells the class beside the disease is named; what an edited manifest changes is refused; what was found is drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from voxtune.audit.images import Images
from voxtune.audit.manifests import edited, moved_scans
from voxtune.audit.mentions import Body, mentions
from voxtune.audit.report import AuditReport, Finding
from voxtune.audit.shortcuts import associations, future_labels
from voxtune.audit.text import same_texts
from voxtune.data.manifest import file_sha256, write_manifest
from voxtune.data.splits import Split, make_split
from voxtune.pages.audit_page import audit_page, mark
from voxtune.profiles.dementia import PROFILE
from voxtune.types.records import ManifestRow, Report
from voxtune.types.volume import Volume


def cohort(**columns: object) -> list[ManifestRow]:
    """Forty people; a column is a value or a function of the person's number."""
    return [
        ManifestRow.model_validate(
            {
                "participant_id": f"p{n}", "scan_id": f"s{n}", "image": f"i/s{n}.nii", "diagnosis": ("NC", "AD")[n % 2],
                "age": 60 + n * 7 % 20, "sex": "FM"[n // 2 % 2],
            }
            | {name: value(n) if callable(value) else value for name, value in columns.items()}
        )
        for n in range(40)
    ]  # fmt: skip


def everyone(rows: list[ManifestRow]) -> Split:
    return Split(
        tuple(row.scan_id for row in rows), (), (), {row.scan_id: row.participant_id for row in rows}
    )


def levels(rows: list[ManifestRow], headers: dict[str, dict[str, str]] | None = None) -> dict[str, str]:
    return {one.tokens[0]: one.level for one in associations(rows, everyone(rows), headers=headers)}


@pytest.mark.parametrize(
    ("columns", "name", "level"),
    [
        ({"site": lambda n: "AB"[n % 2]}, "site", "refuse"),
        ({"site": lambda n: "A" if n % 2 else None}, "site", "refuse"),
        ({"scanner": lambda n: "XY"[n % 2] if n < 32 else "X"}, "scanner", "warn"),
        ({"Institution": lambda n: f"I{n % 2}"}, "Institution", "refuse"),
        ({"referral": lambda n: f"R{n % 2}"}, "referral", "warn"),
        ({"weight": lambda n: 50 + 10 * (n % 2) + n / 40}, "weight", "warn"),
        ({"image": lambda n: f"data/{n % 2}/s{n}.nii"}, "image folder", "note"),
        ({"image": lambda n: f"data/{n % 2}/sub-{n}/anat/s{n}.nii"}, "image folder", "note"),
        ({"image": lambda n: f"data/sub-{n}/{('anat', 'mri/orig')[n % 2]}/s.nii"}, "image folder", "note"),
        ({"image": lambda n: f"data/{('ad', 'nc')[n % 2]}_{n:03d}.nii"}, "image name", "note"),
        ({"image": lambda n: f"data/s{n}.nii{('', '.gz')[n % 2]}"}, "image name", "note"),
        (
            {"acquired": lambda n: f"{2004 + 5 * (n % 2) + n % 3}-0{1 + n % 9}-{10 + n % 19}"},
            "acquired",
            "warn",
        ),
        (
            {"acquired": lambda n: f"{1 + n % 28}/{1 + n % 12}/{2004 + 5 * (n % 2)} {n}:30"},
            "acquired",
            "warn",
        ),
        (
            {"acquired": lambda n: f"{2004 + 5 * (n % 2)}0{1 + n % 9}{10 + n % 19}T{n}" if n > 9 else None},
            "acquired",
            "warn",
        ),
        ({"series": lambda n: f"{'AB'[n % 2]}{1000 + n}"}, "series", "warn"),
        ({"series": lambda n: f"{1000 + n}" if n % 2 else f"x{1000 + n}"}, "series", "warn"),
        ({"age": lambda n: 50 + 20 * (n % 2) + n / 40}, "age", "note"),
        ({"site": lambda n: "AB"[n // 2 % 2]}, "site", "note"),
    ],
)
def test_columns_missingness_and_folders_that_tell_the_class(
    columns: dict[str, object], name: str, level: str
) -> None:
    rows = cohort(**columns)
    assert levels(rows)[name] == level


def test_what_defines_the_class_is_measured_on_the_scan_or_differs_for_all_is_no_shortcut() -> None:
    rows = cohort(
        cdr=lambda n: n % 2,
        CDRSB=lambda n: 3 * (n % 2),
        hippocampus_mm3=lambda n: 7000 - 3000 * (n % 2),
        code=lambda n: f"c{n}",
        series=lambda n: f"{'AB'[n // 2 % 2]}{n}",
        acquired=lambda n: f"{2004 + n // 4}-05-{10 + n % 19}",
        image=lambda n: f"data/{n // 2 % 2}/sub-{n}/anat/{n // 4 % 2}_{n}.nii",
        uid=lambda n: "".join(chr(97 + (n * 7 + at * n * n) % 26) for at in range(8)),
    )
    assert levels(rows) == {}
    assert associations(rows[:4], everyone(rows[:4])) == []


def test_the_header_of_the_scans_is_compared_too() -> None:
    rows = cohort()
    headers = {row.scan_id: {"image size": f"{64 + int(row.diagnosis == 'AD')} x 64 x 64"} for row in rows}
    assert levels(rows, headers)["image size"] == "refuse"


def test_a_sex_that_tells_everything_says_that_no_figure_can_tell_it_from_the_disease() -> None:
    (found,) = associations(rows := cohort(sex=lambda n: "FM"[n % 2]), everyone(rows))
    assert found.level == "note"
    assert "no figure can tell the two apart" in found.message


def test_labels_that_know_the_future_are_named() -> None:
    assert future_labels(cohort()) == []
    (found,) = future_labels(cohort(diagnosis=lambda n: ("sMCI", "pMCI")[n % 2]))
    assert "pMCI, sMCI" in found.message


# ------------------------------------------------------------------------------------------- words
def said(words: list[str], classes: tuple[str, ...] = ("NC", "AD")) -> dict[str, str]:
    bodies = [Body(f"s{n}", f"p{n}", classes[n % len(classes)], text) for n, text in enumerate(words)]
    return {one.word: one.level for one in mentions(bodies, classes, PROFILE)}


def test_words_are_weighed_by_what_they_tell() -> None:
    assert said(["Dementia clinic."] * 20) == {"Dementia": "note"}
    assert said([("No finding.", "Typical dementia.")[n % 2] for n in range(20)]) == {"dementia": "refuse"}
    assert said([("No finding.", "Old dementia remark.")[n // 2 % 2] for n in range(40)]) == {
        "dementia": "note"
    }
    assert said(["Old dementia remark.", *["No finding."] * 19]) == {"dementia": "warn"}
    assert said(["Family history of dementia.", *["No finding."] * 19]) == {"dementia": "note"}
    assert said(["No finding.", "Looks like AD.", *["No finding."] * 18]) == {"AD": "refuse"}
    assert said(["mmse 28", *["No finding."] * 19]) == {"mmse": "refuse"}
    assert said(["All demented."], ("AD",)) == {"demented": "refuse"}
    assert said(["Volume 3 mm^3, 1.0", "Volume 1 mm^3"], ("1", "3")) == {}
    assert set(said(["Class: 3", "Volume 1 mm^3"], ("3", "1"))) == {"Class: 3"}


def test_texts_of_few_facts_are_the_same_by_chance_and_copied_ones_are_not() -> None:
    rows = cohort()
    sides = {row.scan_id: ("train", "test")[n % 3 == 0] for n, row in enumerate(rows)}
    few = {
        row.scan_id: Report(scan_id=row.scan_id, text=f"Age: {60 + n % 5} years, sex {row.sex}.")
        for n, row in enumerate(rows)
    }
    assert [one.level for one in same_texts(rows, few, sides)] == ["note"]
    many = {
        row.scan_id: Report(scan_id=row.scan_id, text=f"Volume {7000 + n}, other {900 * n}.")
        for n, row in enumerate(rows)
    }
    assert same_texts(rows, many, sides) == []
    many["s1"] = many["s0"].model_copy(update={"scan_id": "s1"})
    assert [one.level for one in same_texts(rows, many, sides)] == ["refuse"]


# ---------------------------------------------------------------------------------------- manifests
def test_an_edited_manifest_is_found_and_a_derived_one_is_not(tmp_path: Path) -> None:
    rows = cohort()
    manifest = write_manifest(rows, tmp_path / "m.tsv")
    split = replace(make_split(rows), manifest="../m.tsv", manifest_sha256=file_sha256(manifest))
    folder = tmp_path / "split"
    folder.mkdir()
    assert edited(split, rows, manifest, "refuse", folder) == []
    assert edited(replace(split, manifest_sha256=None), rows, manifest, "refuse", folder) == []
    derived = [row.model_copy(update={"image": f"pre/{row.scan_id}.nii"}) for row in rows]
    other = write_manifest(derived, tmp_path / "pre" / "m.tsv")
    assert edited(split, derived, other, "refuse", folder) == []
    relabelled = [derived[0].model_copy(update={"diagnosis": "AD"}), *derived[1:]]
    write_manifest(relabelled, other)
    (found,) = edited(split, relabelled, other, "refuse", folder)
    assert "1 scans have another participant or diagnosis: s0" in found.message
    write_manifest(rows[1:], manifest)
    (found,) = edited(split, rows[1:], manifest, "refuse", folder)
    assert "its sha256 differs" in found.message
    (found,) = edited(split, derived, other, "refuse", folder)
    assert "m.tsv was edited since" in found.message
    assert moved_scans(split, rows) == []
    assert moved_scans(split, [rows[0].model_copy(update={"participant_id": "new"}), *rows[1:]])[0].scans == (
        "s0",
    )


# --------------------------------------------------------------------------------------------- page
def test_the_page_draws_pairs_and_marks_texts() -> None:
    findings = (
        Finding(
            check="near_duplicate",
            level="refuse",
            message="One person.",
            scans=("a", "b"),
            pairs=(("a", "b"), ("a", "c")),
        ),
        Finding(check="same_text", level="refuse", message="Twice.", scans=("a", "b"), pairs=(("a", "b"),)),
        Finding(check="text_probe", level="warn", message="Words.", tokens=("stage", "")),
        Finding(check="label_in_text", level="note", message="A note.", tokens=("x",)),
        Finding(check="shortcut", level="warn", message="Site.", tokens=("site",)),
    )
    report = AuditReport(findings=findings, checked={"same_text": "done"}, allowed=("same_text",))
    volume = Volume(np.random.default_rng(0).uniform(size=(8, 9, 10)).astype(np.float32), np.eye(4))
    page = audit_page(
        report.as_json(), {"a": "train", "b": "test"}, {"a": "<i>Stage 2</i> of 3"},
        lambda scan: volume if scan != "c" else None, simulated=True,
    )  # fmt: skip
    assert page.count("data:image/png;base64") == 1
    assert "&lt;i&gt;<mark>Stage</mark> 2&lt;/i&gt;" in page
    assert "SIMULATED" in page
    assert "accepted" in page
    assert "not drawn, a scan cannot be read" in page
    assert "Nothing was found." in audit_page(
        AuditReport().as_json(), {}, {}, lambda _: None, simulated=False
    )


def test_a_mark_keeps_the_letter_case_that_tells() -> None:
    assert mark("VOLUME volume", ["VOLUME"]) == "<mark>VOLUME</mark> volume"
    assert mark("a, b", [", b"]) == "a<mark>, b</mark>"
    assert mark("A. B. C.  D. E ", [".  D", "E "]) == "A. B. C<mark>.  D</mark>. <mark>E </mark>"


def test_images_know_their_headers() -> None:
    assert Images((), (), (), {}, {}, {}).headers == {}
