"""The wheel and the source archive as a stranger gets them: what is in them, and whether they work away from the repository."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 30_000_000  # bytes; PyPI refuses files over 100 MB


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, unmeasured: dict[str, str]) -> Path:
    """Both archives, built as `pip` and `python -m build` build them: by hatchling."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)],
        cwd=ROOT,
        env=unmeasured,
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory, unmeasured: dict[str, str]) -> Path:
    """A fresh environment with the wheel in it; the libraries are lent from this one, our editable install is not."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    [wheel] = built.glob("*.whl")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--no-deps",
        "--no-index",
        "--quiet",
        str(wheel),
    ]
    subprocess.run(pip, env=unmeasured, check=True, capture_output=True)
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    # A path line adds the folder without running the .pth files in it, so the editable install stays out.
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder / "bin"


def call(command: list[str], folder: Path) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV"))}
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    assert wheel.stat().st_size < LARGEST
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"voxtune", "voxtune_recipes"}
    packed = {name for name in names if name.startswith("voxtune") and ".dist-info" not in name}
    if shutil.which("git") and (ROOT / ".git").exists():
        tracked = subprocess.run(
            ["git", "ls-files", "src"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
        )
        assert {name.removeprefix("src/") for name in tracked.stdout.splitlines()} <= packed
    assert not [name for name in packed if "__pycache__" in name or name.endswith((".bin", ".pt", ".pkl"))]


def test_the_source_archive_can_be_tested_and_holds_no_data(built: Path) -> None:
    [archive] = built.glob("*.tar.gz")
    assert archive.stat().st_size < LARGEST
    with tarfile.open(archive) as tar:
        names = {name.split("/", 1)[1] for name in tar.getnames() if "/" in name}
    assert {
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "CITATION.cff",
        "pyproject.toml",
        "constraints.txt",
        "Makefile",
        "mkdocs.yml",
    } <= names
    assert {name.split("/")[0] for name in names if "/" in name} <= {
        "src",
        "tests",
        "docs",
        "benchmarks",
        "containers",
        ".ci",
    }
    scans = {name for name in names if name.endswith((".nii", ".nii.gz", ".dcm", ".img", ".csv"))}
    simulated = {f"tests/golden/adapters/0.1/{name}/scan.nii.gz" for name in ("people", "chests")}
    shipped = {"head_pddl/T1w_2mm.nii.gz", "person/SIMULATED_person.nii.gz"}
    assert scans == {f"src/voxtune/simulate/assets/{name}" for name in shipped} | simulated


def test_the_installed_wheel_speaks(installed: Path, tmp_path: Path) -> None:
    found = json.loads(call([str(installed / "voxtune"), "info", "--json"], tmp_path))
    assert (
        found["version"]
        == tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    )
    where = call([str(installed / "python"), "-c", "import voxtune; print(voxtune.__file__)"], tmp_path)
    assert where.startswith(str(installed.parent)), "the editable install was imported in place of the wheel"


def test_both_archives_pass_twine(built: Path) -> None:
    archives = sorted(str(path) for path in built.iterdir())
    assert len(archives) == 2
    done = subprocess.run(
        [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *archives],
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2


def test_import_costs_nothing(installed: Path, tmp_path: Path) -> None:
    """Less than 0.15 s of processor time: the clock would tell of other processes too."""
    script = "import time; began = time.process_time(); import voxtune; print(time.process_time() - began)"
    assert min(float(call([str(installed / "python"), "-c", script], tmp_path)) for _ in range(3)) < 0.15


def test_the_package_asks_for_no_ants(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    [name] = [name for name in archive.namelist() if name.endswith("METADATA")]
    asked = [
        line for line in archive.read(name).decode().splitlines() if line.startswith("Requires-Dist: antspyx")
    ]
    assert all(line.endswith("extra == 'benchmarks'") for line in asked)


PATH = """
simulate cohort --participants 16 --visits 1 --seed 5
describe cohort/manifest.tsv -o reports.tsv
split cohort/manifest.tsv -o split
train deft -o run --data cohort/manifest.tsv --split split --set training.epochs=1
export run -o adapter
"""
EACH = (
    "import sys; from voxtune.cli import main; [main(line.split(), standalone_mode=False) for line in sys.argv[1:]]; "
    "print(*[name for name in ('peft', 'transformers', 'monai', 'ants') if name in sys.modules])"
)
"""In one process: a process for each would spend its time on importing the same libraries."""


@pytest.mark.slow
def test_the_installed_wheel_goes_the_whole_path(installed: Path, tmp_path: Path) -> None:
    """From nothing to a prediction, with the weights, templates and pages that only the wheel can have brought."""
    said = call([str(installed / "python"), "-c", EACH, *PATH.strip().splitlines()], tmp_path)
    assert said.splitlines()[-1] == "", "a training with the parts of recipe deft needs none of these"
    [head] = installed.parent.rglob("T1w_2mm.nii.gz")
    answer = json.loads(
        call([str(installed / "voxtune"), "predict", "adapter", str(head), "--json"], tmp_path)
    )
    assert abs(sum(answer["probabilities"].values()) - 1) < 1e-5
