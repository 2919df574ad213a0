"""Trees of people and visits with tables in other spellings: a value is that of its visit, or it is missing or refused, never another's."""

import csv
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxtune.cohorts.bids import Bids
from voxtune.cohorts.folder import Folder
from voxtune.errors import TableError

PADS: tuple[Callable[[int], str], ...] = (
    lambda number: f"{number}",
    lambda number: f"{number:02d}",
    lambda number: f"{number:03d}",
)
VISITS = st.dictionaries(
    st.integers(1, 14), st.sets(st.integers(0, 72), min_size=1, max_size=3), min_size=1, max_size=4
)


def put(path: Path, columns: list[str], rows: list[list[object]], separator: str = "\t") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=separator).writerows([columns, *rows])


def volume(person: int, month: int) -> int:
    """The truth: another number for each visit."""
    return 5000 + 100 * person + month


def t1(root: Path, person: str, session: str) -> None:
    path = root / person / session / "anat" / f"{person}_{session}_T1w.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


@settings(max_examples=40, deadline=None)
@given(
    visits=VISITS, lost=st.sets(st.tuples(st.integers(1, 14), st.integers(0, 72)), max_size=6), pads=st.tuples(*[st.sampled_from(PADS)] * 4),
    merged=st.booleans(), prefix=st.sampled_from(["ses-M", "M", "ses-m", "m"]), column=st.sampled_from(["session_id", "visit", "timepoint"]),
    holes=st.sets(st.tuples(st.integers(1, 14), st.integers(0, 72)), max_size=4),
)  # fmt: skip
def test_a_visit_gets_the_row_of_its_session_whatever_zeros_it_has(
    visits: dict[int, set[int]], lost: set[tuple[int, int]], pads: tuple[Callable[[int], str], ...], *, merged: bool, prefix: str,
    column: str, holes: set[tuple[int, int]],
) -> None:  # fmt: skip
    scans = [(person, month) for person, months in visits.items() for month in sorted(months)]
    tabled = [scan for scan in scans if scan not in lost]
    repeated = any(sum(person == one for one, _ in tabled) > 1 for person in visits)
    if column != "session_id" and not repeated:
        column = "session_id"
    folder_pad, file_pad, person_pad, table_person = pads
    rows = [
        [
            f"sub-{table_person(person)}",
            f"{prefix}{file_pad(month)}",
            "n/a" if (person, month) in holes else f"D{person}m{month}",
            60 + month / 12,
        ]
        for person, month in tabled
    ]
    with TemporaryDirectory() as place:
        root = Path(place)
        for person, month in scans:
            t1(root, f"sub-{person_pad(person)}", f"ses-M{folder_pad(month)}")
        if merged:
            put(root / "participants.tsv", ["participant_id", column, "diagnosis", "age"], rows)
        else:
            put(
                root / "participants.tsv",
                ["participant_id", "sex"],
                [[f"sub-{table_person(person)}", "F"] for person in visits],
            )
            for person in visits:
                own = [row[1:] for row in rows if row[0] == f"sub-{table_person(person)}"]
                if own:
                    name = f"sub-{person_pad(person)}"
                    put(root / name / f"{name}_sessions.tsv", ["session_id", "diagnosis", "age"], own)
        if merged and not rows:
            return
        reading = Bids(root=root).read()
    images = [one for one in reading.dropped if one.kind == "image"]
    assert len(reading.rows) + len(images) == len(scans)
    kept = {(row.participant_id, row.session_id): row for row in reading.rows}
    for person, month in scans:
        row = kept.get((f"sub-{person_pad(person)}", f"ses-M{folder_pad(month)}"))
        known = (person, month) in tabled and (person, month) not in holes
        assert (row is not None) == known, (person, month, [one.reason for one in images])
        if row is not None:
            assert row.diagnosis == f"D{person}m{month}"
            assert row.age == pytest.approx(60 + month / 12)


@settings(max_examples=50, deadline=None)
@given(
    visits=VISITS, lost=st.sets(st.tuples(st.integers(1, 14), st.integers(0, 72)), max_size=4),
    form=st.sampled_from(["scan", "slash", "path", "columns", "padded", "unprefixed", "file"]), twice=st.booleans(), order=st.randoms(),
    separator=st.sampled_from([",", ";", "\t", "|"]), names=st.sampled_from([("Subject", "Visit"), ("sub", "ses"), ("PTID", "timepoint")]),
)  # fmt: skip
def test_a_joined_value_is_that_of_the_scan(
    visits: dict[int, set[int]], lost: set[tuple[int, int]], form: str, *, twice: bool, order: object, separator: str,
    names: tuple[str, str],
) -> None:  # fmt: skip
    scans = [(person, month) for person, months in visits.items() for month in sorted(months)]
    tabled = [scan for scan in scans if scan not in lost]
    name = lambda person, month: f"sub-{person:02d}_ses-M{month:03d}"  # noqa: E731
    keys: dict[str, Callable[[int, int], list[object]]] = {
        "scan": lambda person, month: [name(person, month)],
        "slash": lambda person, month: [f"sub-{person:02d}/ses-M{month:03d}"],
        "path": lambda person, month: [
            f"/data/in/sub-{person:02d}/ses-M{month:03d}/anat/{name(person, month)}_T1w.nii.gz"
        ],
        "columns": lambda person, month: [f"sub-{person:02d}", f"ses-M{month:03d}"],
        "padded": lambda person, month: [f"{person:03d}", f"M{month}"],
        "unprefixed": lambda person, month: [f"{person}_M{month:02d}"],
        "file": lambda person, month: [f"{name(person, month)}_T1w.nii"],
    }
    columns = list(names) if form in {"columns", "padded"} else ["Measure:volume"]
    rows = [[*keys[form](*scan), volume(*scan)] for scan in tabled]
    if twice and rows:
        rows.append([*rows[0][:-1], 9999])
    order.shuffle(rows)  # type: ignore[attr-defined]
    with TemporaryDirectory() as place:
        root = Path(place)
        put(root / "main.csv", ["scan_id", "participant_id", "session_id", "label"], [[name(*scan), f"sub-{scan[0]:02d}", f"ses-M{scan[1]:03d}", "NC"] for scan in scans], ",")  # fmt: skip
        for scan in scans:
            (root / f"{name(*scan)}_T1w.nii.gz").write_bytes(b"x")
        put(root / "vol.txt", [*columns, "Hippo"], rows, separator)
        folder = Folder.model_validate(
            {"root": root, "table": "main.csv", "also": "vol.txt", "rename": "Hippo:hippocampus_mm3"}
        )
        if (twice and rows) or not rows:
            with pytest.raises(TableError, match="disagree" if rows else "no row|no column"):
                folder.read()
            return
        reading = folder.read()
    assert len(reading.rows) == len(scans)
    found = {row.scan_id: row.hippocampus_mm3 for row in reading.rows}
    assert found == {name(*scan): float(volume(*scan)) if scan in tabled else None for scan in scans}
