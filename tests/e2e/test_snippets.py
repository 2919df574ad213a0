"""Every command and every piece of Python in the docs, as a reader would paste it, in a folder that holds what the page starts from."""

import csv
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner

from voxtune.cli import main

Paste = Callable[[str], None]
ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"(?P<marks>(?:^<!--[^\n]*-->\n+)*)^```(?P<language>[\w-]*)[^\n]*\n(?P<code>.*?)^```",
    re.DOTALL | re.MULTILINE,
)
SHELL = {"sh", "bash", "shell", "console"}


def pages() -> list[Path]:
    """Every page a reader may paste from."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and code of the blocks of a page that this file must run."""
    text = page.read_text(encoding="utf-8")
    if re.search(r"<!--[^>]*run by tests/", text):
        return []  # tests/house/test_docs_snippets.py looks whether that is so
    return [
        (one["language"], one["code"])
        for one in BLOCK.finditer(text)
        if one["language"] in {*SHELL, "python"} and "<!-- not run:" not in one["marks"]
    ]


def statements(language: str, code: str) -> list[str]:
    """The commands of a shell block: one a line, continued lines and heredocs whole; of a console block the lines after ``$``."""
    if language == "console":
        code = "\n".join(
            line[2:] if line.startswith("$ ") else line if line.startswith(" ") else ""
            for line in code.splitlines()
        )
    found, lines = [], iter(code.replace("\\\n", " ").splitlines())
    for first in lines:
        line, heredoc = first, re.search(r"<<'?(\w+)'?", first)
        if heredoc:
            rest = []
            for one in lines:
                rest.append(one)
                if one == heredoc[1]:
                    break
            line = "\n".join([line, *rest])
        if line.strip() and not line.lstrip().startswith("#"):
            found.append(line)
    return found


def run(language: str, code: str, paste: Paste) -> None:
    if language == "python":
        # its own process: a page's Python may start workers, which import it again
        Path("snippet.py").write_text(code, encoding="utf-8")
        paste(f"{shlex.quote(sys.executable)} snippet.py")
        return
    for line in statements(language, code):
        paste(line)


# ------------------------------------------------------------------------------------------ what pages start from
def scan(path: Path, seed: int, kind: type = nib.Nifti1Image) -> None:
    """A small smooth picture that resembles no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).random((4, 4, 4))
    voxels = np.kron(coarse, np.ones((5, 5, 5))) * 800
    nib.save(kind(voxels.astype(np.int16), np.diag([4.0, 4.0, 4.0, 1.0])), path)


def table(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)


def adni(folder: Path) -> None:
    rows: list[dict[str, object]] = []
    for number in range(1, 5):
        visits = (
            ("bl", "2006-01-31", 0, "CN" if number < 3 else "MCI"),
            ("m36", "2009-02-01", 3, "CN" if number < 3 else "Dementia"),
        )
        for viscode, day, years, diagnosis in visits:
            rows.append(
                {
                    "RID": number, "PTID": f"011_S_{number:04d}", "VISCODE": viscode, "SITE": 11, "COLPROT": "ADNI1", "EXAMDATE": day, "DX": diagnosis,
                    "DX_bl": "CN" if number < 3 else "LMCI", "AGE": 70, "PTGENDER": "Female", "MMSE": 27, "FLDSTRENG": "1.5 Tesla MRI",
                    "Hippocampus": 7000, "Ventricles": 30000, "WholeBrain": 1000000, "Entorhinal": 4000, "Fusiform": 17000, "MidTemp": 18000,
                    "ICV": 1500000, "Years_bl": years, "IMAGEUID": "",
                }
            )  # fmt: skip
        scan(
            folder
            / f"adni/ADNI/011_S_{number:04d}/MPRAGE/2006-02-10_10_38_37.0/I{number}00/ADNI_I{number}00.nii",
            number,
        )
    table(folder / "adni/ADNIMERGE_01Jan2026.csv", rows)


def aibl(folder: Path) -> None:
    root = folder / "aibl/Data_extract"
    table(
        root / "aibl_ptdemog_01-Jun-2018.csv",
        [{"RID": 2, "SITEID": 1, "VISCODE": "bl", "PTGENDER": 1, "PTDOB": "/1932"}],
    )
    table(root / "aibl_pdxconv_01-Jun-2018.csv", [{"RID": 2, "SITEID": 1, "VISCODE": "bl", "DXCURREN": 1}])
    table(root / "aibl_mmse_01-Jun-2018.csv", [{"RID": 2, "SITEID": 1, "VISCODE": "bl", "MMSCORE": 29}])
    table(root / "aibl_cdr_01-Jun-2018.csv", [{"RID": 2, "SITEID": 1, "VISCODE": "bl", "CDGLOBAL": 0}])
    table(
        root / "aibl_neurobat_01-Jun-2018.csv",
        [{"RID": 2, "SITEID": 1, "VISCODE": "bl", "EXAMDATE": "06/15/2007"}],
    )
    scan(folder / "aibl/AIBL/2/MPRAGE/2007-07-01_11_00_00.0/I10/AIBL_2_MR.nii", 2)


def oasis2(folder: Path) -> None:
    rows = []
    for number, cdr in enumerate((0, 0, 0.5, 1), start=1):
        name = f"OAS2_{number:04d}"
        rows.append(
            {
                "Subject ID": name, "MRI ID": f"{name}_MR1", "Group": "Demented" if cdr else "Nondemented", "Visit": 1, "MR Delay": 0, "M/F": "F",
                "Hand": "R", "Age": 70 + number, "EDUC": 14, "SES": 2, "MMSE": 28, "CDR": cdr, "eTIV": 1987, "nWBV": 0.696, "ASF": 0.883,
            }
        )  # fmt: skip
        for repeat in (1, 2):
            scan(
                folder / f"oasis2/OAS2_RAW_PART1/{name}_MR1/RAW/mpr-{repeat}.nifti.img",
                number,
                nib.AnalyzeImage,
            )
    table(folder / "oasis2/oasis_longitudinal.csv", rows)


def ct_rate(folder: Path) -> None:
    from voxtune.cohorts.ct_rate import FINDINGS

    names = [f"train_{person}_a_1.nii.gz" for person in range(1, 4)]
    root = folder / "ct_rate"
    table(
        root / "train_labels.csv",
        [{"VolumeName": name, **dict.fromkeys(FINDINGS, number % 2)} for number, name in enumerate(names)],
    )
    reports = [
        {
            "VolumeName": name,
            "ClinicalInformation_EN": "",
            "Technique_EN": "",
            "Findings_EN": f"Finding {name}.",
            "Impressions_EN": "None.",
        }
        for name in names
    ]
    table(root / "train_reports.csv", reports)
    meta = [
        {
            "VolumeName": name,
            "RescaleIntercept": -1024,
            "RescaleSlope": 1,
            "XYSpacing": "[0.7, 0.7]",
            "ZSpacing": 1,
            "PatientAge": "050Y",
            "PatientSex": "F",
        }
        for name in names
    ]
    table(root / "train_metadata.csv", meta)
    for number, name in enumerate(names):
        person = name.split("_")[1]
        scan(root / f"dataset/train_fixed/train_{person}/train_{person}_a/{name}", number)


def own_scans(folder: Path) -> None:
    people = [f"sub-{number:02d}" for number in range(1, 25)]
    rows = [
        {
            "participant_id": name,
            "age": 60 + number,
            "sex": "FM"[number % 2],
            "dx": ("CN", "Dementia")[number % 2],
            "cdr": number % 2,
            "site": "AB"[number > 11],
        }
        for number, name in enumerate(people)
    ]
    table(folder / "my_bids/participants.tsv", rows)
    (folder / "my_bids/dataset_description.json").write_text('{"Name": "mine", "BIDSVersion": "1.8.0"}')
    subjects = [
        {
            "scan_id": f"scan{number:02d}",
            "subject_id": name,
            "age": 25 + number,
            "site": "AB"[number % 2],
            "lateral_ventricles_mm3": 20000 + number,
        }
        for number, name in enumerate(people)
    ]
    table(folder / "my_scans/subjects.csv", subjects)
    for number, name in enumerate(people):
        scan(folder / f"my_bids/{name}/anat/{name}_T1w.nii.gz", number)
        scan(folder / f"my_scans/scan{number:02d}_T1w_brain.nii.gz", number)


def clinic(folder: Path) -> None:
    rows = [
        {"patient": f"P{number // 2}", "visit": f"V{number}", "finding": "healthy", "age": 70}
        for number in range(4)
    ]
    table(folder / "clinic/visits.csv", rows)
    scan(folder / "clinic/images/V0.nii.gz", 0)


def predicting(folder: Path) -> None:
    from voxtune.serving.bundled import DEMO, HEAD, adapter_folder, scan_file

    shutil.copytree(adapter_folder(Path(DEMO)), folder / "ADAPTER")
    shutil.copy(scan_file(Path(HEAD)), folder / "scan.nii.gz")


def measured(folder: Path) -> None:
    """Preprocessed pictures of people whose brightness follows how ill they are; some without a CDR-SB."""
    from voxtune.imaging.presets import TINY

    rng = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    for number in range(30):
        ill = number % 2
        picture = np.kron(rng.random((8, 8, 8)), np.ones(tuple(size // 8 for size in TINY.shape)))
        path = folder / "preprocessed" / f"s{number}.nii.gz"
        path.parent.mkdir(exist_ok=True)
        voxels = (0.5 * picture + 0.4 * ill).astype(np.float32)
        voxels[0, 0, 0] = (
            1  # as preprocessing scales every volume: else the range of its numbers would tell the class
        )
        nib.save(nib.Nifti1Image(voxels, TINY.affine), path)
        rows.append(
            {
                "participant_id": f"p{number}", "scan_id": f"s{number}", "image": path.name, "diagnosis": ("NC", "AD")[ill],
                "age": 60 + number, "mmse": 29 - 6 * ill - number % 3, "cdr_sb": "n/a" if number % 5 == 0 else 5 * ill + number % 4,
                "hippocampus_mm3": 7000 - 1500 * ill + number,
            }
        )  # fmt: skip
    table(folder / "preprocessed/manifest.tsv", rows)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SIMULATED cohort."""
    folder = tmp_path_factory.mktemp("simulated") / "cohort"
    result = CliRunner().invoke(
        main, ["simulate", str(folder), "--participants", "2", "--visits", "1", "--seed", "3"]
    )
    assert result.exit_code == 0, result.output
    return folder


World = Callable[[Path], None]
WORLDS: dict[str, World | str] = {
    "docs/how-to/adni.md": adni,
    "docs/how-to/aibl.md": aibl,
    "docs/how-to/oasis2.md": oasis2,
    "docs/how-to/ct-rate.md": ct_rate,
    "docs/how-to/own-bids.md": own_scans,
    "docs/how-to/predict.md": predicting,
    "docs/how-to/add-a-cohort.md": clinic,
    "docs/how-to/add-a-backbone.md": lambda _: None,
    "docs/how-to/add-a-target.md": measured,
    "docs/how-to/time-to-event.md": lambda _: None,
    "docs/how-to/volumes.md": lambda _: None,
    "docs/how-to/add-a-template.md": "simulated",
    "docs/how-to/dask.md": "simulated",
    "docs/how-to/class-imbalance.md": measured,
    "docs/how-to/choose-settings.md": measured,
}


@pytest.mark.no_cover
@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in pages() if blocks(page)])
def test_the_blocks_of_a_page_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, paste: Paste
) -> None:
    assert page in WORLDS, "Say here what this page starts from, or mark its blocks: <!-- not run: WHY -->."
    world = WORLDS[page]
    if isinstance(world, str):
        shutil.copytree(request.getfixturevalue(world), tmp_path, dirs_exist_ok=True)
    else:
        world(tmp_path)
    monkeypatch.chdir(tmp_path)
    for language, code in blocks(ROOT / page):
        run(language, code, paste)


def test_statements_are_told_apart() -> None:
    assert statements("console", "$ a \\\n    b\nc\n$ d\n") == ["a      b", "d"]
    assert statements("sh", "cat > f <<'EOF'\nx\nEOF\n# no\nrun f\n") == ["cat > f <<'EOF'\nx\nEOF", "run f"]
