"""The architecture is a test: each rule is a function of a source tree, shown to hold here and to fail on a broken copy."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
HARD_LIMIT = 400
ROOMS = {
    "audit", "backbones", "cases", "cli", "cohorts", "commands", "data", "evaluation", "explanation", "imaging", "losses", "model", "pages", "peft",
    "profiles", "reports", "segmentation", "serving", "simulate", "storage", "tasks", "training", "types", "weights",
}  # fmt: skip
DATA_FOLDERS = {"templates", "assets", "graphs"}
NAMELESS = {"utils", "common", "helpers", "misc"}


def long_files(source: Path) -> list[str]:
    """Python files over the hard limit."""
    return [
        f"{path.relative_to(source)}: {lines} lines"
        for path in sorted(source.rglob("*.py"))
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > HARD_LIMIT
    ]


def unknown_folders(source: Path) -> list[str]:
    """Folders that are not rooms of the plan."""
    found = []
    for path in sorted(p for p in source.rglob("*") if p.is_dir() and p.name != "__pycache__"):
        parts = path.relative_to(source).parts
        if parts[0].endswith(".egg-info") or parts in {("voxtune",), ("voxtune_recipes",)}:
            continue
        room = parts[0] == "voxtune" and len(parts) > 1 and parts[1] in ROOMS
        # A command that needs more than a file is a folder, and so is the one file format that does.
        verb = len(parts) == 3 and (parts[1] == "commands" or parts[1:] == ("imaging", "dicom"))
        if not room or (len(parts) > 2 and parts[2] not in DATA_FOLDERS and not verb):
            found.append(str(path.relative_to(source)))
    return found


def nameless(source: Path) -> list[str]:
    """Files and folders whose names say nothing."""
    return [str(p.relative_to(source)) for p in sorted(source.rglob("*")) if p.stem in NAMELESS]


def import_rules(source: Path, project: Path) -> subprocess.CompletedProcess[str]:
    """What import-linter says of a tree, by the contracts of pyproject.toml."""
    script = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", script, "--no-cache", "--config", str(project / "pyproject.toml")],
        capture_output=True, encoding="utf-8", cwd=project, env={**os.environ, "PYTHONPATH": str(source)}, check=False,
    )  # fmt: skip


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the source and its rules, to break."""
    shutil.copytree(
        SOURCE,
        tmp_path / "src",
        ignore=lambda folder, names: {n for n in names if n in {"__pycache__", "assets"}},
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_no_file_is_too_long() -> None:
    assert long_files(SOURCE) == []


def test_a_file_of_401_lines_is_found(copy: Path) -> None:
    (copy / "src/voxtune/losses/long.py").write_text("x = 1\n" * (HARD_LIMIT + 1))
    assert long_files(copy / "src") == ["voxtune/losses/long.py: 401 lines"]


def test_every_folder_is_in_the_plan() -> None:
    assert unknown_folders(SOURCE) == []
    assert nameless(SOURCE) == []


@pytest.mark.parametrize("folder", ["voxtune/plugins", "voxtune/losses/extra", "voxtune_extras"])
def test_an_unknown_folder_is_found(copy: Path, folder: str) -> None:
    (copy / "src" / folder).mkdir()
    assert unknown_folders(copy / "src") == [folder]


def test_a_nameless_file_is_found(copy: Path) -> None:
    (copy / "src/voxtune/data/utils.py").touch()
    assert nameless(copy / "src") == ["voxtune/data/utils.py"]


def test_imports_point_down() -> None:
    done = import_rules(SOURCE, ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("errors.py", "import voxtune.config"),
        ("losses/regression.py", "import voxtune.model.vlm"),
        ("cohorts/folder.py", "import torch"),
        ("backbones/bert.py", "import voxtune.losses.total"),
        ("data/examples.py", "import voxtune_recipes.deft"),
    ],
)
def test_an_upward_import_is_found(copy: Path, file: str, line: str) -> None:
    path = copy / "src/voxtune" / file
    path.write_text(path.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    done = import_rules(copy / "src", copy)
    assert done.returncode != 0
    assert "BROKEN" in done.stdout, done.stdout + done.stderr


def test_a_room_outside_the_layers_is_found(copy: Path) -> None:
    (copy / "src/voxtune/plugins.py").touch()
    done = import_rules(copy / "src", copy)
    assert done.returncode != 0
    assert "plugins" in done.stdout + done.stderr
