"""What is asked is audited: findings, numbers and events beside the class, columns in each of their ways and in pairs, numbers of a text together."""

from collections.abc import Callable
from pathlib import PurePosixPath

import numpy as np
import pytest

from voxtune.audit.answers import answers_of, yes_no_columns
from voxtune.audit.checks import AuditInputs, find_leaks
from voxtune.audit.columns import coded, day_of, shared_folders, strengths_of
from voxtune.audit.images import facts_of
from voxtune.audit.numbers import dated, spoken, together, words_of_numbers
from voxtune.audit.probe import text_probe
from voxtune.audit.report import Finding
from voxtune.audit.shortcuts import associations
from voxtune.audit.text import same_texts
from voxtune.data.splits import Split
from voxtune.profiles.dementia import PROFILE
from voxtune.types.records import ManifestRow, Report
from voxtune.types.volume import Volume

Say = Callable[[int, np.random.Generator], str]
TOLD = ("refuse", "warn")


def cohort(people: int = 48, **columns: object) -> list[ManifestRow]:
    """People without a class; a column is a value or a function of the person's number."""
    rng = np.random.default_rng(3)
    return [
        ManifestRow.model_validate(
            {"participant_id": f"p{n}", "scan_id": f"s{n}", "image": f"s{n}.nii", "hippocampus_mm3": int(rng.normal(6800, 700))}
            | {name: value(n) if callable(value) else value for name, value in columns.items()}
        )
        for n in range(people)
    ]  # fmt: skip


def everyone(rows: list[ManifestRow]) -> Split:
    return Split(
        tuple(row.scan_id for row in rows), (), (), {row.scan_id: row.participant_id for row in rows}
    )


def texts(rows: list[ManifestRow], say: Say) -> dict[str, Report]:
    rng = np.random.default_rng(4)
    return {
        row.scan_id: Report(scan_id=row.scan_id, text=f"Hippocampal volume: {row.hippocampus_mm3:.2f} mm^3. {say(n, rng)}")
        for n, row in enumerate(rows)
    }  # fmt: skip


def levels(
    rows: list[ManifestRow], reports: dict[str, Report] | None = None, **asked: object
) -> dict[str, Finding]:
    report = find_leaks(rows, everyone(rows), reports, AuditInputs(**asked))  # type: ignore[arg-type]
    return {one.check: one for one in report.findings if one.level in TOLD}


# ------------------------------------------------------------------------------------------------ answers
def test_what_is_asked_is_made_groups() -> None:
    rows = cohort(nodule=lambda n: n % 2, grip=lambda n: 20 + n, code=lambda n: n % 3, word="x", empty=None)
    assert yes_no_columns(rows) == ["nodule"]
    found = {one.name: one for one in answers_of(rows, targets=["grip", "word"])}
    assert set(found) == {"nodule", "grip"}
    assert [sum(group == one for group in found["grip"].groups.values()) for one in "012"] == [16, 16, 16]
    assert found["nodule"].said == "finding 'nodule'"
    assert not answers_of(cohort(grip=lambda n: n if n < 8 else None), targets=["grip"])
    assert not answers_of(cohort(grip=lambda n: float("inf") if n < 45 else 1), targets=["grip"])
    # With a class a column of 0 and 1 is no finding until it is named.
    classed = cohort(nodule=lambda n: n % 2, diagnosis=lambda n: "AB"[n % 2])
    assert not answers_of(classed)
    assert [one.name for one in answers_of(classed, findings=["nodule"])] == ["nodule"]


def test_an_event_is_an_answer_and_broken_columns_are_none() -> None:
    rows = cohort(dementia_years=lambda n: n + 1, dementia_status=lambda n: n % 2)
    assert [
        one.said for one in answers_of(rows, findings=["dementia_status"], targets=["dementia_years"])
    ] == ["event 'dementia'"]
    assert not answers_of(cohort(dementia_years="soon", dementia_status=lambda n: n % 2))
    unknown = cohort(
        dementia_years=lambda n: n + 1 if n else None, dementia_status=lambda n: n % 2 if n else None
    )
    assert "p0" not in answers_of(unknown)[0].groups


EVENT = {"dementia_years": lambda n: 1 + n % 7, "dementia_status": lambda n: n % 2}


@pytest.mark.parametrize(
    ("columns", "asked"),
    [
        ({"nodule": lambda n: n % 2, "site": lambda n: "AB"[n % 2]}, {}),
        ({**{f"f{k}": lambda n, k=k: (n >> k) % 2 for k in range(5)}, "scanner": lambda n: "AB"[n % 2]}, {}),
        ({"grip": lambda n: 20 + n, "site": lambda n: "ABC"[n // 16]}, {"targets": ("grip",)}),
        ({**EVENT, "protocol": lambda n: "AB"[n % 2]}, {}),
    ],
)
def test_how_a_scan_was_made_may_not_tell_what_is_asked(
    columns: dict[str, object], asked: dict[str, object]
) -> None:
    assert levels(cohort(**columns), **asked)["shortcut"].level in TOLD


@pytest.mark.parametrize(
    ("columns", "asked", "say"),
    [
        (
            {"nodule": lambda n: n % 2},
            {},
            lambda n, rng: f"Exam {1000 * (1 + n % 2) + int(rng.integers(900))}.",
        ),
        (
            {"grip": lambda n: 20 + n},
            {"targets": ("grip",)},
            lambda n, rng: f"Grip {2.2 * (20 + n) + rng.normal():.0f} lb.",
        ),
        (EVENT, {}, lambda n, rng: ("Returned.", "Referred.")[n % 2]),
    ],
)
def test_a_text_may_not_tell_what_is_asked(
    columns: dict[str, object], asked: dict[str, object], say: Say
) -> None:
    rows = cohort(**columns)
    assert levels(rows, texts(rows, say), **asked)["text_probe"].level in TOLD
    assert not levels(rows, texts(rows, lambda n, rng: f"Exam {int(rng.integers(1000, 3000))}."), **asked)


def test_a_target_beside_a_class_is_looked_at_where_the_class_is_not_told() -> None:
    rows = cohort(diagnosis=lambda n: ("NC", "AD")[n % 2], grip=lambda n: 20 + n * 7 % 48)
    reports = texts(rows, lambda n, rng: f"Grip {2.2 * (20 + n * 7 % 48):.0f} lb.")
    assert "target 'grip'" in levels(rows, reports, targets=("grip",))["text_probe"].message
    few = cohort(people=6, diagnosis=lambda n: ("NC", "AD")[n % 2])
    assert "needs two classes" in text_probe(few, texts(few, lambda n, rng: ""), profile=PROFILE)[1]


# ------------------------------------------------------------------------------------------------ columns
@pytest.mark.parametrize(
    "values",
    [
        [f"{2004 + n % 2}-{1 + n % 12:02d}-{1 + n * 5 % 28:02d}" for n in range(60)],
        [f"{1 + n * 5 % 28:02d}/{1 + n % 11:02d}/{2004 + n % 2}" for n in range(60)],
        [f"{2004 + n % 2}{1 + n % 12:02d}{1 + n * 5 % 28:02d}" for n in range(60)],
        [f"v{n} of {2004 + n % 2}" for n in range(60)],
        [f"{8 + n % 2}:{n % 60:02d}" for n in range(60)],
        [f"{'ab'[n % 2]}{n}" for n in range(60)],
        [f"x{n % 2 * 100 + n // 2}y" for n in range(60)],
        [str(n % 2 * 100 + n / 10) for n in range(60)],
        [None if n % 2 else str(n) for n in range(60)],
        ["ab"[n % 2] for n in range(60)],
        [str(n % 2) for n in range(60)],
    ],
)
def test_a_column_tells_in_whichever_way_it_does(values: list[str | None]) -> None:
    labels = np.arange(60) % 2
    found = coded("column", values)
    assert max(strengths_of(np.stack([one.codes for one in found], axis=1), labels)) > 0.9
    assert all("column" in one.said for one in found)


def test_what_does_not_vary_has_no_way_to_tell() -> None:
    assert not coded("column", ["a"] * 30)
    assert not coded("column", [f"{n:b}".replace("0", "x").replace("1", "y") for n in range(30)])
    assert not coded("column", [None] * 30)
    assert day_of("2004-02-31") is None
    assert day_of("03/25/2007") == day_of("25.03.2007") == day_of("20070325")
    paths = [PurePosixPath(f"data/{'ab'[n % 2]}/p{n}/x.nii") for n in range(12)]
    assert set(shared_folders(paths)) == {"data/a", "data/b"}


def test_strength_is_that_of_bergsma() -> None:
    even = np.array([[0], [1], [0], [1]] * 10)
    assert strengths_of(even, np.repeat([0, 1], 20))[0] == 0
    assert strengths_of(even, even[:, 0])[0] == pytest.approx(1, abs=0.02)


def test_two_columns_tell_together() -> None:
    rows = cohort(
        diagnosis=lambda n: ("NC", "AD")[n % 2],
        coil=lambda n: "ab"[n // 2 % 2],
        table=lambda n: "lr"[(n + n // 2) % 2],
    )
    (one,) = [one for one in associations(rows, everyone(rows)) if one.level in TOLD]
    assert one.tokens == ("coil", "table")
    assert "neither does alone" in one.message


@pytest.mark.parametrize(
    "columns",
    [{"participant_id": lambda n: f"{'CP'[n % 2]}{n:03d}"}, {"scan_id": lambda n: f"{'cp'[n % 2]}-{n}"}],
)
def test_ids_that_tell_the_class_are_a_note(columns: dict[str, object]) -> None:
    rows = cohort(diagnosis=lambda n: ("NC", "AD")[n % 2], **columns)
    assert [one.level for one in associations(rows, everyone(rows)) if "input of a model" in one.message] == [
        "note"
    ]


@pytest.mark.parametrize(
    "columns",
    [
        {"Research Group": lambda n: ("nc", "ad")[n % 2]},
        {
            "consensus": lambda n: ("fine", "ill")[n % 2],
            "diagnosis_rule": "consensus==fine:NC;consensus==ill:AD",
        },
    ],
)
def test_the_label_is_no_shortcut(columns: dict[str, object]) -> None:
    rows = cohort(diagnosis=lambda n: ("NC", "AD")[n % 2], **columns)
    assert not [one for one in associations(rows, everyone(rows)) if one.level in TOLD]


def test_a_picture_tells_how_it_was_made() -> None:
    plain = Volume(np.pad(np.arange(27, dtype=np.float32).reshape(3, 3, 3), 2), np.eye(4))
    facts = facts_of(plain)
    assert facts["image size"] == "7 x 7 x 7"
    assert facts["image axes"] == "RAS"
    others = [
        plain.with_voxels(plain.voxels * 64), plain.with_voxels(plain.voxels + 0.5), plain.with_voxels(plain.voxels - 5),
        plain.with_voxels(plain.voxels * 0),
    ]  # fmt: skip
    assert len({facts["image grey values"], *(facts_of(one)["image grey values"] for one in others)}) == 5


# ------------------------------------------------------------------------------------------------ numbers
def test_numbers_in_words_are_numbers() -> None:
    said = "Twenty-nine, neunundzwanzig, vingt-neuf, veintinueve, treinta y uno, einundzwanzig; vingt et un; XXIX, IV and a sixth"
    assert sorted(value for _, value in spoken(said)) == [4, 21, 21, 29, 29, 29, 29, 29, 31]
    assert set(words_of_numbers().values()) == set(range(100))
    assert not list(spoken("MRI of the CIVIL mix"))


def test_numbers_tell_together() -> None:
    found = dict(together([12, 17, 0, 5]))
    assert found["numbers: their sum"] == 34
    assert found["number 2 less number 1"] == 5
    assert found["number 3 over number 2"] == 0
    assert "number 4 over number 3" not in found
    assert not dict(together([]))
    days = dict(dated("1999-05-03, 2004-05-03 and 2004-13-40"))
    assert days["number: days from date 1 to date 2"] == 1827
    assert days["number: day of the week of date 1"] == 1


def test_two_words_tell_together() -> None:
    rows = cohort(diagnosis=lambda n: ("NC", "AD")[n % 2])
    reports = texts(
        rows, lambda n, rng: f"Coil {'ab'[n // 2 % 2]}; table {('left', 'right')[(n + n // 2) % 2]}."
    )
    assert "together with" in levels(rows, reports)["text_probe"].message


def test_a_code_that_looks_like_a_power_of_ten_ends_nothing() -> None:
    rows = cohort(diagnosis=lambda n: ("NC", "AD")[n % 2])
    assert not levels(
        rows,
        texts(
            rows, lambda n, rng: f"File {int(rng.integers(9))}e{int(rng.integers(300, 9999))} {'9' * 400}."
        ),
    )


def test_few_clauses_are_the_same_by_chance_and_copied_reports_are_not() -> None:
    rows = cohort()
    sides = {row.scan_id: ("train", "test")[n % 2] for n, row in enumerate(rows)}
    few = {row.scan_id: Report(scan_id=row.scan_id, text=f"{('No nodule', 'Nodule seen')[n // 2 % 2]}. {('No effusion', 'Effusion')[n // 4 % 2]}.") for n, row in enumerate(rows)}  # fmt: skip
    assert [one.level for one in same_texts(rows, few, sides)] == ["note"]
    copied = {row.scan_id: Report(scan_id=row.scan_id, text=f"Lesion {n // 2} of {n // 2 * 7 % 31} mm beside vessel {n // 2 * 5 % 23}") for n, row in enumerate(rows)}  # fmt: skip
    assert [one.level for one in same_texts(rows, copied, sides)] == ["refuse"]
