"""Any manifest that can be made is read back as it was, and written again to the same bytes."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from voxtune.data.manifest import read_manifest, write_manifest
from voxtune.types.records import ManifestRow

WORDS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=12).map(
    lambda text: " ".join(text.split())
)
TEXT = WORDS.filter(lambda text: text not in {"", "n/a", "NA", "N/A", "nan", "NaN"})
VOLUME = st.one_of(st.none(), st.floats(0, 3e6, allow_nan=False))


@st.composite
def manifests(draw: st.DrawFn) -> list[ManifestRow]:
    ids = draw(
        st.lists(
            st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True),
            min_size=1,
            max_size=5,
            unique=True,
        )
    )
    ids = [name for name in ids if name not in {"NA", "nan", "NaN"}] or ["s"]
    return [
        ManifestRow.model_validate(
            {
                "participant_id": draw(TEXT),
                "scan_id": name,
                "image": draw(TEXT.map(lambda text: "i" + text.replace("/", "_"))),
                "diagnosis": draw(st.one_of(st.none(), TEXT)),
                "age": draw(st.one_of(st.none(), st.floats(0, 130))),
                "sex": draw(st.sampled_from(["F", "M", None])),
                "hippocampus_mm3": draw(VOLUME),
                "extra": draw(st.one_of(st.none(), TEXT)),
            }
        )
        for name in ids
    ]


@given(manifests())
@settings(max_examples=60, deadline=None)
def test_a_manifest_comes_back(rows: list[ManifestRow]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        first = write_manifest(rows, Path(folder) / "a.tsv")
        again = read_manifest(first)
        assert again == rows
        second = write_manifest(again, Path(folder) / "b.tsv")
        assert first.read_bytes() == second.read_bytes()
