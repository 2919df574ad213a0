"""The commands of the tutorial, in order, as a reader would paste them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def commands(page: Path) -> list[str]:
    """The lines of every ``sh`` block."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.mark.slow
def test_real_scans(shared_data: Path, tmp_path: Path) -> None:
    if not (shared_data / "oasis1_brains").is_dir() or not (shared_data / "ixi_heads_2mm").is_dir():
        pytest.skip("the tutorial's scans are not in this set")
    found = commands(ROOT / "docs/tutorial/real-scans.md")
    assert len(found) >= 10
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for line in found:
        done = subprocess.run(
            ["bash", "-euc", line], cwd=tmp_path, env={**os.environ, "DATA": str(shared_data), "PATH": path},
            capture_output=True, encoding="utf-8", check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    for page in (
        "oasis/page.html",
        "run/page.html",
        "run/evaluation/test/page.html",
        "run/evaluation/ixi/page.html",
    ):
        assert (tmp_path / page).stat().st_size > 10_000, page
    [picture] = (tmp_path / "predictions").glob("*.html")
    assert "A photo of younger than 40" in picture.read_text(encoding="utf-8")
