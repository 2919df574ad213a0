"""Whatever lies in a folder and stands in its table: every image and every row is kept or listed once, and nothing is both."""

import csv
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from voxtune.commands.ingest.command import ingest
from voxtune.data.manifest import read_manifest, read_table
from voxtune.errors import DataError, SettingError

NAMES = st.sampled_from(
    [f"{letter}{number}" for letter in ("s", "S", "sub-", "x_") for number in (1, 2, 10, 11, 100)]
)
CLASSES = st.sampled_from(["NC", "AD", "", "n/a"])


@settings(max_examples=60, deadline=None)
@given(
    rows=st.dictionaries(NAMES, CLASSES, min_size=1, max_size=8), images=st.sets(NAMES, max_size=8), others=st.sets(NAMES, max_size=3),
    separator=st.sampled_from([",", ";", "\t", "|"]), ending=st.sampled_from(["_T1w.nii.gz", ".nii", "-mprage.nii.gz"]),
    named=st.booleans(),
)  # fmt: skip
def test_images_and_rows_of_a_folder_add_up(
    rows: dict[str, str], images: set[str], others: set[str], separator: str, ending: str, *, named: bool
) -> None:
    with TemporaryDirectory() as place:
        root = Path(place) / "in"
        root.mkdir()
        with (root / "liste.csv").open("w", newline="") as file:
            csv.writer(file, delimiter=separator).writerows(
                [["id", "subject", "label"], *([name, f"p{name}", label] for name, label in rows.items())]
            )
        for name in images:
            (root / f"{name}{ending}").write_bytes(b"x")
        for name in others:
            (root / f"{name}_mask.nii.gz").write_bytes(b"x")
        output = Path(place) / "m.tsv"
        try:
            done = ingest("folder", root, output, {"image": f"{{id}}{ending}"} if named else {})
        except (DataError, SettingError):
            assert not any(name in images and rows[name] in {"NC", "AD"} for name in rows)
            return
        kept = {row.scan_id: row for row in read_manifest(output)}
        gone = read_table(done.dropped)
    labelled = {name for name, label in rows.items() if label in {"NC", "AD"}}
    assert set(kept) == labelled & images
    assert all(row.diagnosis == rows[name] and row.participant_id == f"p{name}" for name, row in kept.items())
    assert sorted(one["what"] for one in gone if one["kind"] == "row") == sorted(set(rows) - images)
    left = sorted(
        [name for name in rows if name in images and name not in labelled]
        + [f"{name}{ending}" for name in images - set(rows)]
    )
    assert sorted(one["what"] for one in gone if one["kind"] == "image") == left
    assert len(kept) + sum(one["kind"] == "image" for one in gone) == len(images)
