"""The commands of the tutorials, in order, as a reader would paste them."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

Paste = Callable[[str], None]
ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.no_cover]
OASIS = ("1000", "1003", "1018", "1023", "1038", "1113", "1116", "1122", "1128")
"""Everyone of 40 and older, both people who were scanned twice, and a few more: all 19 take minutes and take no other path."""
IXI = ("IXI034-HH-1260", "IXI048-HH-1326")


def commands(page: Path) -> list[str]:
    """The lines of every ``sh`` block."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def named_pages(page: Path) -> list[str]:
    """The pages that a tutorial sends its reader to."""
    return re.findall(r"`([\w-]+/[\w/-]*\.html)`", page.read_text(encoding="utf-8"))


def test_simulated_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paste: Paste) -> None:
    tutorial = ROOT / "docs/tutorial/simulated-people.md"
    found = commands(tutorial)
    assert not [line for line in found if "$" in line], "nothing but what ships"
    monkeypatch.chdir(tmp_path)
    for line in found:
        paste(line)
    pages = named_pages(tutorial)
    assert len(pages) >= 4
    for page in pages:
        assert (tmp_path / page).stat().st_size > 3_000, page
    [page] = (tmp_path / "predictions").glob("T1w_2mm-*.html")
    answer = page.read_text(encoding="utf-8")
    assert "unlike the scans this adapter was trained on" in answer.lower()
    assert "trained on SIMULATED scans" in answer
    card = (tmp_path / "adapter/README.md").read_text(encoding="utf-8")
    assert "On its own test side" in card


def some_of(folder: Path, table: str, scans: tuple[str, ...], out: Path) -> None:
    """A folder of the tutorial with fewer scans: links to their images, and their rows of the table."""
    out.mkdir(parents=True)
    header, *lines = (folder / table).read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.startswith(scans)]
    assert len(kept) == len(scans)
    (out / table).write_text("\n".join([header, *kept]) + "\n", encoding="utf-8")
    for image in folder.glob("*.nii.gz"):
        if image.name.startswith(scans):
            (out / image.name).symlink_to(image)


def test_real_scans(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paste: Paste) -> None:
    if not (shared_data / "oasis1_brains").is_dir() or not (shared_data / "ixi_heads_2mm").is_dir():
        pytest.skip("the tutorial's scans are not in this set")
    tutorial = ROOT / "docs/tutorial/real-scans.md"
    found = commands(tutorial)
    assert len(found) >= 10
    data = tmp_path / "data"
    some_of(shared_data / "oasis1_brains", "subjects.csv", OASIS, data / "oasis1_brains")
    some_of(shared_data / "ixi_heads_2mm", "demographics.csv", IXI, data / "ixi_heads_2mm")
    (data / "head_pddl").symlink_to(shared_data / "head_pddl")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA", str(data))
    for line in found:
        paste(line)
    pages = {*named_pages(tutorial), "ixi/page.html"}
    assert len(pages) >= 7
    for page in pages:
        assert (tmp_path / page).stat().st_size > 3_000, page
    [picture] = [one for one in (tmp_path / "predictions").glob("*.html") if one.name != "index.html"]
    assert "A photo of younger than 40" in picture.read_text(encoding="utf-8")
