"""The whole path by its commands: simulated people, then real scans where they are; what a user sees when a scan is bad."""

import gzip
import json
import re
import shutil
from importlib.resources import files
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner, Result

from voxtune.cli import main

CARD_PATH = re.compile(r"(/[\w.-]+){2,}")


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a small simulated cohort, with its adapter exported beside it."""
    root = tmp_path_factory.mktemp("path")
    call("simulate", root / "cohort", "--participants", 30, "--visits", 2, "--seed", 3)
    manifest = root / "cohort" / "manifest.tsv"
    call("describe", manifest, "-o", root / "reports.tsv")
    call("split", manifest, "-o", root / "split", "--seed", 1)
    call("audit", root / "split")
    call(
        "train", "deft", "-o", root / "run", "--data", manifest, "--split", root / "split",
        "--set", "training.epochs=2", "--set", f"report.file={root / 'reports.tsv'}",
    )  # fmt: skip
    call("evaluate", root / "run", "--data", manifest)
    call("export", root / "run", "-o", root / "adapter")
    return root


def test_a_run_leaves_what_the_contract_promises(run: Path) -> None:
    for name in (
        "config.json",
        "environment.json",
        "split.json",
        "log.jsonl",
        "page.html",
        "adapter/adapter.json",
    ):
        assert (run / "run" / name).stat().st_size > 0
    metrics = json.loads((run / "run/evaluation/test/metrics.json").read_text(encoding="utf-8"))
    assert {"accuracy", "n_scans", "n_participants", "baseline/zero_shot/accuracy"} <= metrics.keys()
    assert {"value", "low", "high"} <= metrics["accuracy"].keys()
    header = (
        (run / "run/evaluation/test/predictions.tsv").read_text(encoding="utf-8").splitlines()[0].split("\t")
    )
    assert header == [
        "scan_id",
        "participant_id",
        "diagnosis",
        "predicted",
        "p_NC",
        "p_MCI",
        "p_AD",
        "mmse_predicted",
    ]
    for page in ("run/page.html", "run/evaluation/test/page.html"):
        assert "SIMULATED" in (run / page).read_text(encoding="utf-8")


def test_an_adapter_says_nothing_of_people_or_places(run: Path) -> None:
    manifest = (run / "cohort/manifest.tsv").read_text(encoding="utf-8").splitlines()[1:]
    ids = {cell for line in manifest for cell in line.split("\t")[:3]} - {"n/a"}
    for path in (run / "adapter").iterdir():
        content = path.read_bytes()
        assert str(run).encode() not in content
        assert not [one for one in ids if one.encode() in content and len(one) > 4], path.name


def test_the_card_inside_a_run_says_where_the_scores_are(run: Path) -> None:
    card = (run / "run/adapter/README.md").read_text(encoding="utf-8")
    assert "Leakage audit of the split: nothing refuses training." in card
    assert "`voxtune export RUN -o ADAPTER` writes the card with its scores" in card
    assert "On its own test side" in (run / "adapter/README.md").read_text(encoding="utf-8")


def test_training_twice_gives_the_same_bytes(run: Path) -> None:
    manifest = run / "cohort" / "manifest.tsv"
    again = run / "again"
    call(
        "train", "deft", "-o", again, "--data", manifest, "--split", run / "split",
        "--set", "training.epochs=2", "--set", f"report.file={run / 'reports.tsv'}",
    )  # fmt: skip
    assert (again / "adapter/adapter.safetensors").read_bytes() == (
        run / "run/adapter/adapter.safetensors"
    ).read_bytes()
    call("train", "deft", "-o", again, "--data", manifest, code=2)


def test_what_a_case_is_said_to_be_never_changes_its_prediction(run: Path) -> None:
    manifest = run / "cohort" / "manifest.tsv"
    lines = manifest.read_text(encoding="utf-8").splitlines()
    columns = lines[0].split("\t")
    changed = [lines[0]]
    for line in lines[1:]:
        cells = line.split("\t")
        cells[columns.index("diagnosis")] = "AD"
        cells[columns.index("mmse")] = "3"
        cells[columns.index("hippocampus_mm3")] = "1"
        cells[columns.index("scan_id")] = "other-" + cells[columns.index("scan_id")]
        changed.append("\t".join(cells))
    other = run / "cohort" / "changed.tsv"
    other.write_text("\n".join(changed) + "\n")
    call("evaluate", run / "run", "--data", other, "-o", run / "changed")
    before = dict(
        line.split("\t", 1)
        for line in (run / "run/evaluation/test/predictions.tsv").read_text(encoding="utf-8").splitlines()[1:]
    )
    after = dict(
        line.split("\t", 1)
        for line in (run / "changed/predictions.tsv").read_text(encoding="utf-8").splitlines()[1:]
    )
    for scan, rest in before.items():
        old, new = rest.split("\t")[3:], after["other-" + scan].split("\t")[3:]
        assert np.allclose([float(x) for x in old], [float(x) for x in new], atol=1e-4)


def test_predict_answers_for_the_shipped_head(run: Path, tmp_path: Path) -> None:
    head = Path(str(files("voxtune.simulate") / "assets" / "head_pddl" / "T1w_2mm.nii.gz"))
    result = CliRunner().invoke(
        main, ["predict", str(run / "adapter"), str(head), "-o", str(tmp_path), "--json"]
    )
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert {"scan", "predicted", "probabilities", "mmse", "adapter", "base"} <= answer.keys()
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert answer["predicted"] is None, "an adapter of SIMULATED people gives no answer for a real head"
    assert answer["verdict"].startswith("no answer: ")
    page = Path(answer["page"]).read_text(encoding="utf-8")
    assert "data:image/png;base64" in page
    assert "A photo of" in page


def bad_scans(folder: Path) -> dict[str, Path]:
    """Files that are no scan, each with a word its sentence must hold."""
    whole = folder / "whole.nii.gz"
    nib.save(
        nib.Nifti1Image(np.random.default_rng(0).random((20, 20, 20), dtype=np.float32), np.eye(4)), whole
    )
    (folder / "empty.nii.gz").touch()
    (folder / "truncated.nii.gz").write_bytes(whole.read_bytes()[:2000])
    (folder / "text.nii.gz").write_bytes(gzip.compress(b"not a scan at all"))
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 8, 3), dtype=np.float32), np.eye(4)), folder / "four.nii.gz")
    nib.save(nib.Nifti1Image(np.full((8, 8, 8), np.nan, dtype=np.float32), np.eye(4)), folder / "nan.nii.gz")
    return {
        "no such file": folder / "missing.nii.gz", "empty": folder / "empty.nii.gz", "trunc|cut|incomplete|end": folder / "truncated.nii.gz",
        "NIfTI|header": folder / "text.nii.gz", "4|four|volumes": folder / "four.nii.gz", "NaN|finite": folder / "nan.nii.gz",
    }  # fmt: skip


def test_a_bad_scan_is_one_sentence_and_exit_3(run: Path, tmp_path: Path) -> None:
    for words, path in bad_scans(tmp_path).items():
        result = call("predict", run / "adapter", path, "-o", tmp_path / "out", code=3)
        assert path.name in result.output
        assert re.search(words, result.output, re.IGNORECASE), (path.name, result.output)
        assert len(result.output.strip().splitlines()) == 1, result.output


def test_one_bad_scan_never_stops_the_others(run: Path, tmp_path: Path) -> None:
    bad = bad_scans(tmp_path)["empty"]
    good = next((run / "cohort" / "scans").glob("*.nii.gz"))
    shutil.copy(good, tmp_path / "good.nii.gz")
    result = call("predict", run / "adapter", bad, tmp_path / "good.nii.gz", "-o", tmp_path / "out", code=5)
    assert "empty.nii.gz" in result.output
    assert len(list((tmp_path / "out").glob("good-*.html"))) == 1


def test_a_leak_is_refused_with_exit_4(run: Path, tmp_path: Path) -> None:
    """A split by scan instead of by participant."""
    shutil.copytree(run / "split", tmp_path / "split")
    train, test = tmp_path / "split" / "train.tsv", tmp_path / "split" / "test.tsv"
    lines = train.read_text(encoding="utf-8").splitlines()
    people = [line.split("\t")[1] for line in lines[1:]]
    moved = next(place for place, person in enumerate(people, start=1) if people.count(person) > 1)
    test.write_text(test.read_text(encoding="utf-8").rstrip("\n") + "\n" + lines.pop(moved) + "\n")
    train.write_text("\n".join(lines) + "\n")
    manifest = run / "cohort" / "manifest.tsv"
    result = call(
        "train", "deft", "-o", tmp_path / "leaky", "--data", manifest, "--split", tmp_path / "split", code=4
    )
    assert people[moved - 1] in result.output
    assert not (tmp_path / "leaky" / "adapter").exists()
