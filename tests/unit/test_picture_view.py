"""Every picture is radiological unless it is asked to be neurological, and its letters and caption say which it is."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from voxtune.pages.explain_figures import heat_figure
from voxtune.pages.slices import View, current_view, cut, letters, seen_from, slice_figure, view_words
from voxtune.pages.viewer_page import STATIC
from voxtune.types.volume import Volume

RIGHT = np.zeros((8, 10, 12), dtype=np.float32)
RIGHT[6, 5, 6] = 1.0
"""One bright voxel on the person's right; axes to right, anterior, superior."""


@pytest.mark.parametrize("plane", ["coronal", "axial"])
@pytest.mark.parametrize(("view", "side"), [("radiological", 0), ("neurological", 1)])
def test_the_right_of_the_person_is_where_the_view_says(plane: str, view: View, side: int) -> None:
    with seen_from(view):
        picture = cut(RIGHT, plane, 0.5)
        column = int(np.argmax(picture.max(axis=0)))
        assert (column > picture.shape[1] / 2) == bool(side)
        assert letters(plane)[side] == "R"
        assert f"is on the {('left', 'right')[side]} of the picture" in view_words()
        assert letters("sagittal") == ("P", "A")
    assert current_view() == "radiological"


@pytest.mark.parametrize("view", ["radiological", "neurological"])
def test_letters_stand_at_the_sides_they_name(view: View) -> None:
    scan = Volume(RIGHT + np.arange(8, dtype=np.float32)[:, None, None], np.eye(4))
    with seen_from(view):
        for figure in (slice_figure(scan), heat_figure(scan, Volume(RIGHT, np.eye(4)), "heat")):
            for panel in figure.axes:
                sides = [text.get_text() for text in panel.texts if text.get_text() in {"L", "R"}]
                assert sides in ([], ["R", "L"] if view == "radiological" else ["L", "R"])
            assert any(panel.texts for panel in figure.axes)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not here to read the script")
def test_the_script_of_the_viewer_reads() -> None:
    for name, (path, _) in STATIC.items():
        if name.endswith(".js"):
            subprocess.run(["node", "--check", str(path)], check=True)


def test_the_viewer_turns_its_pictures_by_the_same_word() -> None:
    script = Path(STATIC["planes.js"][0]).read_text(encoding="utf-8")
    assert script.count("view.turned") == 4, "voxels, cross, pointer and arrow keys"
