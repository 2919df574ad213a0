"""The chest path by its commands: simulated people, findings held out, an external cohort with merged labels, a real chest crop."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from voxtune.cli import main
from voxtune.cohorts.ct_rate import FINDINGS
from voxtune.data.manifest import read_manifest, read_table, write_manifest
from voxtune.errors import DataError, UsageError
from voxtune.explanation import faithfulness, scan_explanation
from voxtune.imaging.read import read_scan
from voxtune.imaging.write import write_volume

HELD_OUT = ("Emphysema", "Pleural effusion")


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort, preprocessed, and a run on it with two findings held out, evaluated."""
    place = tmp_path_factory.mktemp("chest")
    call("simulate", place / "cohort", "--kind", "chest", "--participants", 18, "--visits", 1, "--seed", 6)
    call("ingest", "ct_rate", place / "cohort", "-o", place / "study" / "manifest.tsv")
    call("preprocess", place / "study" / "manifest.tsv", place / "ready", "--preset", "ct_clip_small")
    call(
        "train", "medct_small", "-o", place / "run", "--data", place / "ready" / "manifest.tsv", "--set", "training.epochs=1",
        "--set", f"classes.held_out={json.dumps(HELD_OUT)}",
    )  # fmt: skip
    call("evaluate", place / "run")
    return place


def test_a_run_on_findings_leaves_what_the_contract_promises(root: Path) -> None:
    adapter = json.loads((root / "run/adapter/adapter.json").read_text(encoding="utf-8"))
    assert adapter["task"] == "findings"
    assert adapter["classes"] == list(FINDINGS)
    assert adapter["held_out"] == list(HELD_OUT)
    assert set(adapter["thresholds"]) == set(FINDINGS)
    assert {adapter["thresholds"][name] for name in HELD_OUT} == {0.5}
    assert not set(adapter["training"]["findings"]) & set(HELD_OUT)
    folder = root / "run/evaluation/test"
    rows = read_table(folder / "predictions.tsv")
    assert [f"p_{name}" for name in FINDINGS] == [name for name in rows[0] if name.startswith("p_")]
    truth = {row.scan_id: row.model_extra or {} for row in read_manifest(root / "ready/manifest.tsv")}
    for row in rows:
        called = set(row["predicted"].split(", ")) - {"no finding"}
        for name in FINDINGS:
            assert row[f"true_{name}"] == truth[row["scan_id"]][name]
            assert (name in called) == (float(row[f"p_{name}"]) >= adapter["thresholds"][name])
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert {"value", "low", "high"} <= metrics["auroc"].keys()
    assert {
        "n_scans",
        "macro_f1",
        "ct_clip_f1",
        "baseline/zero_shot/auroc",
        "gain/auroc",
        "held_out_classes/auroc",
    } <= metrics.keys()
    page = (folder / "page.html").read_text(encoding="utf-8")
    for words in (
        "SIMULATED",
        "held-out classes",
        "fine-tuned, seen classes",
        "Weighted F1 as CT-CLIP prints it",
        "positive class",
    ):
        assert words in page
    assert (folder / "baselines/zero_shot/predictions.tsv").is_file()


def test_labels_of_held_out_findings_change_nothing(root: Path) -> None:
    rows = read_manifest(root / "ready" / "manifest.tsv")
    other = root / "ready" / "flipped.tsv"
    write_manifest(
        (
            row.model_copy(update={name: str(1 - int((row.model_extra or {})[name])) for name in HELD_OUT})
            for row in rows
        ),
        other,
    )
    split = json.loads((root / "run" / "split.json").read_text(encoding="utf-8"))
    call(
        "train", "medct_small", "-o", root / "flipped", "--data", other, "--set", "training.epochs=1",
        "--set", f"classes.held_out={json.dumps(HELD_OUT)}",
    )  # fmt: skip
    again = json.loads((root / "flipped" / "split.json").read_text(encoding="utf-8"))
    assert again["train"] == split["train"]
    name = "adapter/adapter.safetensors"
    assert (root / "run" / name).read_bytes() == (root / "flipped" / name).read_bytes()


def test_runs_on_findings_are_compared(root: Path) -> None:
    folder = root / "run" / "evaluation" / "test"
    done = call("compare", root / "run", folder / "baselines" / "zero_shot", "-o", root / "against", "--json")
    (found,) = json.loads(done.stdout)["evaluations"]
    assert (found["task"], found["classes"]) == ("findings", list(FINDINGS))
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    by_score = {one["score"]: one for one in found["comparisons"]}
    for name in ("auroc", "average_precision", "accuracy", "macro_f1", "micro_f1", "samples_f1", "brier"):
        one = by_score[name]
        assert one["a"] == pytest.approx(metrics[name]["value"]), name
        assert one["b"] == pytest.approx(metrics[f"baseline/zero_shot/{name}"]["value"]), name
    assert by_score["auroc"]["difference"] == pytest.approx(metrics["gain/auroc"]["value"])
    page = (root / "against" / "page.html").read_text(encoding="utf-8")
    assert "SIMULATED" in page
    assert "Mean AUROC over findings of A minus B" in page


def test_a_base_is_scored_without_a_run(root: Path) -> None:
    done = call(
        "evaluate", "medct_small", "--data", root / "ready/manifest.tsv", "-o", root / "zero", "--json"
    )
    found = json.loads(done.stdout)
    assert found["evaluation"]["kind"] == "zero-shot"
    assert found["n_scans"] == 18
    assert found["baseline/majority/auroc"]["n_scans"] == 18, "fitted on other people of the cohort"
    assert not [name for name in found if name.startswith("baseline/zero_shot/")], "it is the base itself"


def test_an_external_cohort_may_merge_labels_and_lack_some(root: Path) -> None:
    call("simulate", root / "other", "--kind", "chest", "--participants", 5, "--visits", 1, "--seed", 7)
    rows = read_manifest(root / "other" / "manifest.tsv")
    labels = root / "rad" / "labels.csv"
    labels.parent.mkdir()
    from voxtune.cohorts.rad_chestct import LABELS, MERGED

    with labels.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["AccessionName", *LABELS])
        for row in rows:
            cells = row.model_extra or {}
            writer.writerow(
                [
                    f"{row.scan_id}.npz",
                    *(max(int(cells[part]) for part in MERGED.get(name, (name,))) for name in LABELS),
                ]
            )
            (labels.parent / f"{row.scan_id}.nii.gz").write_bytes((root / "other" / row.image).read_bytes())
    call("ingest", "rad_chestct", labels.parent, "-o", root / "rad.tsv")
    call("preprocess", root / "rad.tsv", root / "rad-ready", "--preset", "ct_clip_small")
    done = call(
        "evaluate",
        root / "run",
        "--data",
        root / "rad-ready/manifest.tsv",
        "-o",
        root / "rad-scores",
        "--json",
    )
    found = json.loads(done.stdout)
    assert found["evaluation"]["classes"][-1] == "Calcification"
    assert len(found["evaluation"]["classes"]) == 16
    for row in read_table(root / "rad-scores/predictions.tsv"):
        assert float(row["true_Calcification"]) in {0.0, 1.0}
    # one finding at a time gives the same probabilities: no pair looks at another
    call(
        "evaluate",
        root / "run",
        "--data",
        root / "rad-ready/manifest.tsv",
        "-o",
        root / "one",
        "--classes",
        "Calcification",
    )
    both = [read_table(root / name / "predictions.tsv") for name in ("rad-scores", "one")]
    for many, one in zip(*both, strict=True):
        assert float(many["p_Calcification"]) == pytest.approx(float(one["p_Calcification"]), abs=1e-6)


def test_scans_that_the_run_has_seen_are_no_external_cohort(root: Path) -> None:
    rows = read_manifest(root / "ready" / "manifest.tsv")
    again = write_manifest(rows[::-1], root / "ready" / "renamed.tsv")
    said = call("evaluate", root / "run", "--data", again, "-o", root / "renamed", code=3).output
    assert "have IDs of training or validation scans" in said
    assert not (root / "renamed" / "metrics.json").exists()


def test_a_finding_is_explained_on_its_chest(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faithfulness, "ORDERS", 3)
    monkeypatch.setattr(faithfulness, "STEPS", 4)
    monkeypatch.setattr(scan_explanation, "SHUFFLED", 2)
    row = next(
        row
        for row in read_manifest(root / "ready/manifest.tsv")
        if (row.model_extra or {})[FINDINGS[0]] == "1"
    )
    scan = root / "ready" / row.image
    said = call("explain", root / "run", scan, "-o", root / "explained", "--target", FINDINGS[0], "--json")
    facts = json.loads(said.stdout)
    assert facts["simulated"]
    assert facts["target"]["name"] == FINDINGS[0]
    chances = facts["prediction"]["probabilities"]
    most = sorted(chances, key=lambda name: -chances[name])
    assert facts["panel"]["columns"] == most[: len(facts["panel"]["columns"])], "the findings it is surest of"
    assert facts["regions"] == [], "there is no atlas of a chest"
    heat = read_scan(root / "explained" / "heat.nii.gz")
    assert sorted(heat.shape) == sorted(read_scan(scan).shape)
    assert "SIMULATED" in (root / "explained" / "page.html").read_text(encoding="utf-8")


def test_a_finding_is_explained_over_a_cohort(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faithfulness, "ORDERS", 2)
    monkeypatch.setattr(faithfulness, "STEPS", 3)
    monkeypatch.setattr(scan_explanation, "SHUFFLED", 1)
    said = call(
        "explain", root / "run", root / "ready/manifest.tsv", "-o", root / "many", "--target", FINDINGS[0], "--limit", 1, "--json"
    )  # fmt: skip
    facts = json.loads(said.stdout)
    assert set(facts["groups"]) == {f"with {FINDINGS[0]}", f"without {FINDINGS[0]}"}
    assert {one["participants"] for one in facts["groups"].values()} == {1}


def test_a_real_chest_goes_through_predict(root: Path, shared_data: Path) -> None:
    crop = shared_data / "chest_ct" / "chest_crop.nii.gz"
    if not crop.is_file():
        pytest.skip("no chest CT among the real scans")
    done = call("predict", root / "run" / "adapter", crop, "-o", root / "predictions", "--json")
    found = json.loads(done.stdout)
    assert set(found["probabilities"]) == set(FINDINGS)
    assert all(0 <= value <= 1 for value in found["probabilities"].values())
    page = next(one for one in (root / "predictions").glob("*.html") if one.name != "index.html").read_text(
        encoding="utf-8"
    )
    assert "held out" in page
    assert "SIMULATED" in page


def test_fixed_volumes_are_taken_and_rescaled_ones_refused(root: Path, tmp_path: Path) -> None:
    """Volumes in HU whose table names slope and intercept pass as they are; rescaled again, or never, they are refused."""
    rows = read_manifest(root / "study" / "manifest.tsv")[:1]
    assert {(row.model_extra or {})["rescaleintercept"] for row in rows} == {"-1024"}
    ready = read_scan(root / "study" / rows[0].image)
    for name, shift, code in (("fixed", 0.0, 0), ("twice", -1024.0, 3), ("never", 1024.0, 3)):
        image = write_volume(ready.with_voxels(ready.voxels + shift), tmp_path / f"{name}.nii.gz")
        manifest = write_manifest(
            [rows[0].model_copy(update={"image": str(image)})], tmp_path / f"{name}.tsv"
        )
        call("preprocess", manifest, tmp_path / name, "--preset", "ct_clip_small", code=code)


def test_the_adapter_is_exported_with_its_card(root: Path) -> None:
    call("export", root / "run", "-o", root / "adapter")
    card = (root / "adapter" / "README.md").read_text(encoding="utf-8")
    assert "Held out" in card
    assert "SIMULATED" in card


def test_what_makes_no_sense_is_said(root: Path) -> None:
    from voxtune.commands.evaluate.command import evaluate
    from voxtune.commands.simulate.command import simulate

    with pytest.raises(UsageError, match="-o DIR"):
        evaluate(Path("medct_small"), data=root / "ready" / "manifest.tsv")
    call("evaluate", root / "run", "--classes", "Alzheimer", code=2)
    call("simulate", root / "x", "--kind", "chest", "--raw-heads", 1, code=2)
    brain = simulate(root / "brain", participants=1, visits=1)
    with pytest.raises(DataError, match="column for none of the findings"):
        evaluate(root / "run", data=brain)
