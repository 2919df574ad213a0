"""``voxtune explain`` by its command: one scan with its truth, a real head, a cohort, and what a wrong question gets."""

import html
import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner, Result

import voxtune
from voxtune.cli import main
from voxtune.data.manifest import read_manifest, read_table, write_manifest
from voxtune.explanation import cohort_explanation, faithfulness, scan_explanation
from voxtune.imaging.template import field_of_view
from voxtune.model.adapter import FILES
from voxtune.serving.bundled import adapter_folder
from voxtune.storage.seal import write_sums

ADDRESS = re.compile(r"(?:src|href)=[\"'](?!data:)[^\"'#][^\"']*", re.IGNORECASE)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer random orders and shuffled models: the tests look at what is written, not at p."""
    monkeypatch.setattr(faithfulness, "ORDERS", 3)
    monkeypatch.setattr(faithfulness, "STEPS", 4)
    monkeypatch.setattr(scan_explanation, "SHUFFLED", 2)


def documented(number: int) -> list[str]:
    """The arguments of a command of docs/how-to/explain.md, as a reader would paste it."""
    page = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "explain.md"
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("$ voxtune ")]
    return lines[number].split()[2:]


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cohort, a run on it and its control."""
    folder = tmp_path_factory.mktemp("explain")
    call("simulate", folder / "cohort", "--participants", 18, "--visits", 1, "--seed", 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        call(*documented(3), "--set", "training.epochs=2")
    return folder


@pytest.fixture(scope="module")
def sick(root: Path) -> str:
    """A scan with AD."""
    return next(
        row.scan_id for row in read_manifest(root / "cohort" / "manifest.tsv") if row.diagnosis == "AD"
    )


def test_one_scan_with_its_truth(
    root: Path, sick: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    command = [one.replace("SCAN", sick) for one in documented(1)]
    said = call(*command, "-o", tmp_path / "out", "--target", "AD", "--stripped", "--json")
    facts = json.loads(said.stdout)
    assert (
        json.loads((tmp_path / "out" / "explanation.json").read_text(encoding="utf-8")).items()
        <= facts.items()
    )
    assert facts["simulated"]
    assert facts["target"]["name"] == "AD"
    assert facts["maps"]["heat"]["method"] == "grad_eclip"
    assert facts["text"]["completeness_error"] < 0.01
    assert set(facts["checks"]["localisation"]) == {"heat", "occlusion", "mmse"}
    assert facts["panel"]["rows"] == ["NC", "MCI", "AD"]
    assert len(facts["panel"]["columns"]) == 7
    empty = facts["maps"]["heat"]["peak"] == 0
    assert empty == any("say nothing." in warning for warning in facts["warnings"])
    assert empty or 0.5 < sum(row["share"] for row in facts["regions"]) <= 1
    assert {row["check"].split(":")[0] for row in facts["verdicts"]} >= {
        "Shuffled weights",
        "Shuffled labels",
        "Deletion",
        "Insertion",
        "Words",
    }
    assert facts["checks"]["shuffled_labels"] is not None, "the control of the run"
    assert "labels it was dealt" in facts["checks"]["control"]
    for name in facts["files"]:
        assert (tmp_path / "out" / name).is_file()
    heat = nib.load(tmp_path / "out" / "heat.nii.gz")
    assert np.allclose(heat.affine, field_of_view(64))
    assert int(heat.header["sform_code"]) == 4
    assert 0 <= heat.get_fdata().min() <= heat.get_fdata().max() <= 1
    hidden = nib.load(tmp_path / "out" / "occlusion.nii.gz").get_fdata()
    assert np.abs(hidden).max() == pytest.approx(1)
    page = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    assert "SIMULATED" in page
    assert not ADDRESS.search(page.replace("&#34;", '"').replace("&lt;", "<"))
    assert "default-src 'none'" in page
    assert str(root) not in page


@pytest.mark.no_cover
def test_the_same_question_gives_the_same_page(root: Path, sick: str, tmp_path: Path) -> None:
    scan = root / "cohort" / "scans" / f"{sick}.nii.gz"
    for name in ("a", "b"):
        voxtune.explain(
            root / "run", scan, output=tmp_path / name, stripped=True, facts={"hippocampus_mm3": "5000", "ventricles_mm3": "60000"}, biomarkers=["hippocampus"]
        )  # fmt: skip
    first, second = (
        json.loads((tmp_path / name / "explanation.json").read_text(encoding="utf-8")) for name in ("a", "b")
    )
    assert first == second
    assert first["panel"]["columns"] == ["full report", "Hippocampal volume"]
    assert first["text"] is None, "whose report it is was not said"
    assert (tmp_path / "a" / "page.html").read_bytes() == (tmp_path / "b" / "page.html").read_bytes()


@pytest.mark.parametrize("scores", [None, {"scans": 2, "values": 1}])
def test_the_page_warns_as_the_page_of_predict_does(
    root: Path, sick: str, tmp_path: Path, scores: dict[str, int] | None
) -> None:
    adapter = shutil.copytree(adapter_folder(Path("demo")), tmp_path / "adapter")
    facts = json.loads((adapter / "adapter.json").read_text(encoding="utf-8"))
    facts["trust"]["familiar"]["limit"] = facts["trust"]["verdict"]["far"] = 2e-3
    facts["trust"]["verdict"]["near"] = 1e-3
    facts["mmse_scores"] = scores
    (adapter / "adapter.json").write_text(json.dumps(facts), encoding="utf-8")
    write_sums(adapter, FILES)
    scan = root / "cohort" / "scans" / f"{sick}.nii.gz"
    answer = json.loads(call("predict", adapter, scan, "-o", tmp_path / "p", "--stripped", "--json").stdout)
    said = call("explain", adapter, scan, "-o", tmp_path / "e", "--stripped", "--method", "voxel_gradient")
    found = json.loads((tmp_path / "e" / "explanation.json").read_text(encoding="utf-8"))
    beside, of_targets = dict(found["caveats"]), found["caveats"]["targets"]
    assert beside.pop("targets").keys() <= answer["targets"].keys()
    unasked = {"series", "prediction_set", "discoveries", "visits"}
    assert {beside.pop(name) for name in unasked} == {None}
    assert not unasked & set(answer)
    assert beside.items() <= answer.items()
    assert all(one.items() <= answer["targets"][name].items() for name, one in of_targets.items())
    assert found["prediction"]["mmse"] == pytest.approx(answer["mmse"])
    assert ("mmse" in found["maps"]) == (scores is None)
    page, answered = (
        Path(one).read_text(encoding="utf-8") for one in (tmp_path / "e" / "page.html", answer["page"])
    )
    assert answer["verdict"].startswith("no answer: ")
    for said_of_it in (html.unescape(page), html.unescape(answered), said.output):
        assert answer["verdict"] in said_of_it
    assert ("only 2 training scans have a score" in answer["targets"]["mmse"]["note"]) == bool(scores)


def test_a_report_file_is_explained_word_by_word(root: Path, sick: str, tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    report.write_text("A photo of AD.\nHippocampal volume: 5000.00 mm^3.\n", encoding="utf-8")
    call("explain", root / "run", root / "cohort" / "scans" / f"{sick}.nii.gz", "-o", tmp_path, "--report", report, "--target", "report", "--method", "voxel_gradient")  # fmt: skip
    facts = json.loads((tmp_path / "explanation.json").read_text(encoding="utf-8"))
    assert [word["text"] for word in facts["text"]["words"]][:4] == ["A", "photo", "of", "AD."]
    assert facts["target"]["says"] == "the similarity to the report"
    assert facts["maps"]["heat"]["method"] == "voxel_gradient"


def test_a_cohort_by_stage(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    command = [one.replace("20", "1") for one in documented(2)]
    said = call(*command, "-o", tmp_path, "--control", "run", "--method", "voxel_gradient")
    facts = json.loads((tmp_path / "explanation.json").read_text(encoding="utf-8"))
    assert "top tokens" in said.output
    assert {one["participants"] for one in facts["groups"].values()} == {1}
    assert all(len(tokens) == 3 for tokens in facts["text"]["tokens"].values())
    assert facts["text"]["completeness_error"]["largest"] < 0.01
    assert facts["shuffled_labels"]["value"] > 0.99
    assert any("the control adapter" in warning for warning in facts["warnings"]), (
        "a control that gives the same map"
    )
    assert facts["localisation"]["occlusion"]["auc"]["value"] is not None
    assert len(facts["moves"]) == 5
    assert (tmp_path / "mean_ad_full_report.nii.gz").is_file()
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "SIMULATED" in page
    assert "Does one biomarker move the heat" in page
    assert not ADDRESS.search(page)


def test_scans_that_cannot_be_read_never_stop_the_others(root: Path, tmp_path: Path) -> None:
    cohort = root / "cohort"
    rows = read_manifest(cohort / "manifest.tsv")
    (tmp_path / "bad.nii.gz").write_bytes(b"no scan")
    broken = [
        row.model_copy(
            update={
                "image": str(tmp_path / "bad.nii.gz") if row.diagnosis == "AD" else str(cohort / row.image)
            }
        )
        for row in rows
    ]
    write_manifest(broken, tmp_path / "manifest.tsv")
    said = call(
        "explain", root / "run", tmp_path / "manifest.tsv", "-o", tmp_path / "out", "--limit", 1, "--method", "voxel_gradient", code=5
    )  # fmt: skip
    assert "failed.tsv says which and why" in said.output
    facts = json.loads((tmp_path / "out" / "explanation.json").read_text(encoding="utf-8"))
    assert "AD" not in facts["groups"]
    assert len(facts["groups"]) == 2
    assert "not a NIfTI file" in (tmp_path / "out" / "failed.tsv").read_text(encoding="utf-8")


def test_a_scan_that_breaks_while_it_is_explained_leaves_nothing_behind(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a library raises half-way: the others are explained, and nothing of this one is in their means."""
    whole = cohort_explanation.checks
    asked: list[str] = []

    def breaks(*given: Any, **named: Any) -> Any:
        asked.append(given[2].name)
        if len(asked) == 1:
            raise KeyError("secret")
        return whole(*given, **named)

    monkeypatch.setattr(cohort_explanation, "checks", breaks)
    said = call(
        "explain", root / "run", root / "cohort" / "manifest.tsv", "-o", tmp_path, "--limit", 1, "--method", "voxel_gradient", code=5
    )  # fmt: skip
    assert "secret" not in said.output
    [failed] = read_table(tmp_path / "failed.tsv", ("scan_id", "reason"))
    assert failed["scan_id"] == asked[0]
    assert "cannot be explained" in failed["reason"]
    facts = json.loads((tmp_path / "explanation.json").read_text(encoding="utf-8"))
    assert len(facts["groups"]) == len(asked) - 1 == 2


def test_wrong_questions_get_one_sentence(root: Path, sick: str, tmp_path: Path) -> None:
    run, scan = root / "run", root / "cohort" / "scans" / f"{sick}.nii.gz"
    manifest = root / "cohort" / "manifest.tsv"
    for arguments, code, words in (
        ([run, tmp_path / "none.nii.gz"], 3, "no such file"),
        ([run, scan, "--target", "XX"], 2, "It has: NC, MCI, AD, mmse"),
        ([run, scan, "--method", "magic"], 2, "Known: auto, grad_eclip"),
        ([run, scan, "--method", "grad_activation"], 2, "use method 'grad_eclip'"),
        ([run, scan, "--data", manifest, "--facts", "mmse=20"], 2, "one of --report, --facts and --data"),
        ([run, scan, "--facts", "hippocampus_mm3=big"], 2, "hippocampus_mm3"),
        ([run, scan, "--data", manifest, "--biomarker", "amygdala"], 2, "Hippocampal volume"),
        ([run, manifest, "--data", manifest], 2, "bring their own facts"),
        ([tmp_path, scan], 3, "adapter.json"),
    ):
        said = call("explain", *arguments, "-o", tmp_path / "out", code=code)
        assert words in said.output
    assert not (tmp_path / "out" / "page.html").exists()


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.every_step
def test_the_shipped_head_in_under_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured in processor seconds, of two cores: a busy machine says nothing about the program."""
    monkeypatch.undo()  # as many random orders as a user gets
    monkeypatch.chdir(tmp_path)
    began = time.process_time()
    call(*documented(0))
    assert time.process_time() - began < 2 * 60
    [folder] = (tmp_path / "explanations").iterdir()
    facts = json.loads((folder / "explanation.json").read_text(encoding="utf-8"))
    assert facts["simulated"]
    assert facts["panel"]["with_values"] is False
    assert facts["panel"]["columns"][0] == "class alone"
    assert facts["checks"]["shuffled_labels"] is not None
    assert not [row for row in facts["verdicts"] if row["verdict"] == "open"], "every check is run"
    assert facts["text"] is None
    assert nib.load(folder / "heat.nii.gz").shape == (64, 64, 64)


def test_a_stopped_control_goes_on_to_the_same_bytes(root: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(root / "run", run)
    made = (run / "control" / "adapter" / "adapter.safetensors").read_bytes()
    adapter = (run / "adapter" / "adapter.json").read_bytes()
    assert made != (run / "adapter" / "adapter.safetensors").read_bytes()
    shutil.rmtree(run / "control" / "adapter")
    last = max((run / "control" / "checkpoints").glob("epoch-*.json"))
    last.with_suffix(".safetensors").unlink()
    last.unlink()
    data = root / "cohort" / "manifest.tsv"
    said = call(
        "train", "deft", "-o", run, "--data", data, "--set", "training.epochs=2", "--resume", "--control"
    )
    assert "on the labels it was dealt" in said.output
    assert (run / "control" / "adapter" / "adapter.safetensors").read_bytes() == made
    assert (run / "adapter" / "adapter.json").read_bytes() == adapter
