"""``voxtune evaluate`` by its command: every kind of figure under its own name, and what it refuses."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from voxtune.cli import main
from voxtune.evaluation.evaluated_model import read_model


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def renamed(manifest: Path, target: Path, labels: dict[str, str], prefix: str = "") -> Path:
    """The same manifest with other words for its labels, and optionally other names for scans and people."""
    header, *lines = manifest.read_text(encoding="utf-8").splitlines()
    columns = header.split("\t")
    out = [header]
    for line in lines:
        cells = line.split("\t")
        place = columns.index("diagnosis")
        cells[place] = labels.get(cells[place], cells[place])
        for name in ("scan_id", "participant_id"):
            cells[columns.index(name)] = prefix + cells[columns.index(name)]
        out.append("\t".join(cells))
    target.write_text("\n".join(out) + "\n", encoding="utf-8")
    return target


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that knows NC and AD of a cohort that has MCI as well, and another cohort."""
    root = tmp_path_factory.mktemp("kinds")
    manifest = root / "cohort" / "manifest.tsv"
    call("simulate", root / "cohort", "--participants", 24, "--visits", 1, "--seed", 3)
    call("simulate", root / "other", "--participants", 9, "--visits", 2, "--seed", 99)
    call("split", manifest, "-o", root / "split", "--seed", 1, "--test", 0.3, "--val", 0.25)
    call(
        "train", "deft", "-o", root / "run", "--data", manifest, "--split", root / "split",
        "--set", "training.epochs=1", "--set", 'classes.names=["NC","AD"]',
    )  # fmt: skip
    call("evaluate", root / "run")  # no --data: the run knows where its manifest is
    return root


def stated(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert f"{facts['kind']} · classes {', '.join(facts['classes'])}" in page
    assert "SIMULATED" in page
    assert facts["simulated"] is True
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    for name, one in metrics.items():
        assert name in {"n_scans", "n_participants"} or {"value", "low", "high"} <= one.keys(), name
    return facts | {"metrics": metrics}


def test_a_run_finds_its_own_test_side(home: Path) -> None:
    facts = stated(home / "run" / "evaluation" / "test")
    assert facts["kind"] == "fine-tuned, seen classes"
    assert facts["classes"] == ["NC", "AD"]
    assert set(facts["thresholds"]) == {"NC", "AD"}
    assert facts["left_out"].keys() == {"MCI"}
    assert facts["leakage"].startswith("Leakage audit of the split: nothing refuses training.")
    names = facts["metrics"].keys()
    for name in (
        "sensitivity_at_threshold/AD", "auroc_obuchowski/NC", "micro_f1", "participant/accuracy", "mmse_r2/AD", "subgroup/sex/F/accuracy",
        *(f"baseline/{one}/accuracy" for one in ("majority", "age_sex", "mmse", "volumes", "linear_probe", "zero_shot")),
    ):  # fmt: skip
        assert name in names, name
    assert sum(name.startswith("class_text/") and name.endswith("/accuracy") for name in names) > 3
    page = (home / "run/evaluation/test/page.html").read_text(encoding="utf-8")
    assert "How much the wording" in page
    assert "frozen threshold" in page


def test_each_baseline_can_be_compared(home: Path) -> None:
    folder = home / "run/evaluation/test"
    result = call("compare", folder, folder / "baselines" / "zero_shot", "-o", home / "against", "--json")
    (found,) = json.loads(result.stdout)["evaluations"]
    assert found["kinds"] == ["fine-tuned, seen classes", "baseline: zero_shot"]
    assert found["simulated"] is True
    metrics = stated(folder)["metrics"]
    assert found["comparisons"][0]["a"] == metrics["accuracy"]["value"]
    assert found["comparisons"][0]["b"] == metrics["baseline/zero_shot/accuracy"]["value"]
    assert "SIMULATED" in (home / "against" / "page.html").read_text(encoding="utf-8")


def test_looks_of_other_runs_are_counted(home: Path) -> None:
    shutil.copytree(home / "run", home / "twin")  # beside it, so that its manifest is found
    answer = json.loads(CliRunner().invoke(main, ["evaluate", str(home / "twin"), "--json"]).stdout)
    before, after = (stated(home / name / "evaluation" / "test") for name in ("run", "twin"))
    assert (before["looks"], after["looks"]) == (1, 2)
    assert answer.pop("evaluation") == {name: one for name, one in after.items() if name != "metrics"}
    assert answer == after["metrics"] == before["metrics"]
    log = (home / "cohort" / "looks.jsonl").read_text(encoding="utf-8")
    assert "SIM3P" not in log


def test_seeds_together_are_each_seed_by_itself(home: Path) -> None:
    call(
        "train", "deft", "-o", home / "again", "--data", home / "cohort" / "manifest.tsv", "--split", home / "split",
        "--set", "training.epochs=1", "--set", 'classes.names=["NC","AD"]', "--set", "seed=1",
    )  # fmt: skip
    refused = call("evaluate", home / "run", home / "again", code=2)
    assert "-o DIR" in refused.output
    call("evaluate", home / "again")
    done = call("evaluate", home / "again", home / "run", "-o", home / "seeds", "--json")
    answer = json.loads(done.stdout)
    facts = answer.pop("evaluation")
    assert facts["seeds"] == [0, 1]
    assert facts["simulated"] is True
    assert facts["test_side"].startswith("One test side: both seeds")
    assert answer == json.loads((home / "seeds" / "metrics.json").read_text(encoding="utf-8"))
    single = [stated(home / name / "evaluation" / "test")["metrics"] for name in ("run", "again")]
    for name, one in answer.items():
        if name in {"n_seeds", "n_scans", "n_participants"}:
            continue
        assert [one["each"][seed] for seed in "01"] == [some[name] for some in single], name
        values = [some[name]["value"] for some in single if some[name]["value"] is not None]
        assert one["n_seeds"] == len(values)
        assert one["mean"] == (pytest.approx(sum(values) / len(values)) if values else None)
    assert "SIMULATED" in (home / "seeds" / "page.html").read_text(encoding="utf-8")
    assert stated(home / "seeds" / "seed-1")["kind"] == "fine-tuned, seen classes"
    against = json.loads(call("compare", home / "seeds", home / "seeds", "--json").stdout)["evaluations"][0]
    assert against["seeds"] == [0, 1]
    assert {row["difference"] for row in against["comparisons"]} == {0.0}
    held = call("evaluate", home / "run", home / "again", "--classes", "NC,MCI,AD", "-o", home / "three", "--json")  # fmt: skip
    assert json.loads(held.stdout)["evaluation"]["kind"] == "held-out classes"


def test_a_class_that_training_never_saw(home: Path) -> None:
    call("evaluate", home / "run", "--classes", "NC,MCI,AD", "-o", home / "held")
    facts = stated(home / "held")
    assert facts["kind"] == "held-out classes"
    assert (facts["classes"], facts["held_out"]) == (["NC", "MCI", "AD"], ["MCI"])
    assert facts["thresholds"] == {}
    assert facts["metrics"]["sensitivity/MCI"]["n_scans"] > 0
    seen = (home / "run/split.json").read_text(encoding="utf-8")
    split = json.loads(seen)
    scored = (home / "held/predictions.tsv").read_text(encoding="utf-8")
    assert not [scan for side in ("train", "val") for scan in split[side] if scan in scored]


def test_another_cohort_with_other_labels(home: Path) -> None:
    manifest = renamed(home / "other/manifest.tsv", home / "other/labels.tsv", {"NC": "CN", "AD": "Dementia"})
    call("evaluate", home / "run", "--data", manifest, code=3)
    call(
        "evaluate", home / "run", "--data", manifest, "--map", "CN=NC", "--map", "Dementia=AD", "--classes", "NC,AD",
    )  # fmt: skip
    facts = stated(home / "run/evaluation/other")
    assert facts["kind"] == "fine-tuned, seen classes"
    assert facts["label_map"] == "CN as NC; Dementia as AD"
    assert "Another cohort than the run was trained on: it shares no" in facts["leakage"]
    # The training manifest is at hand, so external figures have their baselines too.
    assert {"baseline/age_sex/accuracy", "baseline/linear_probe/accuracy"} <= facts["metrics"].keys()
    assert "CN as NC" in (home / "run/evaluation/other/page.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_cohort_of_the_same_people_is_told_on(home: Path) -> None:
    twin = renamed(home / "cohort/manifest.tsv", home / "cohort/twin.tsv", {}, prefix="x")
    call("evaluate", home / "run", "--data", twin, "-o", home / "twins")
    facts = stated(home / "twins")
    assert "Some of its images are training or validation images" in facts["leakage"]
    changed = home / "cohort" / "changed.tsv"
    changed.write_text((home / "cohort/manifest.tsv").read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert (
        "IDs of training or validation scans"
        in call("evaluate", home / "run", "--data", changed, code=3).output
    )


def test_a_base_without_training(home: Path) -> None:
    manifest = home / "other" / "manifest.tsv"
    call("evaluate", "deft", "--data", manifest, "-o", home / "base")
    facts = stated(home / "base")
    assert facts["kind"] == "zero-shot"
    assert (facts["temperature"], facts["thresholds"], facts["adapter_sha256"]) == (None, {}, None)
    assert facts["classes"] == ["NC", "MCI", "AD"]
    assert "Nothing was trained here" in facts["leakage"]
    assert "tiny as published" in (home / "base/page.html").read_text(encoding="utf-8")
    assert read_model(home / "run" / "config.json").classes == ("NC", "AD")
    assert "-o DIR" in call("evaluate", "deft", "--data", manifest, code=2).output
    assert "--data MANIFEST" in call("evaluate", "deft", code=2).output


def test_refusals(home: Path, tmp_path: Path) -> None:
    run = home / "run"
    assert "no run and no recipe" in call("evaluate", tmp_path / "nosuch", code=3).output
    assert "got 'NX'" in call("evaluate", run, "--classes", "AD,NX", code=2).output
    assert "--map takes LABEL=CLASS" in call("evaluate", run, "--map", "CN", code=2).output
    moved = shutil.copytree(run, tmp_path / "moved")
    assert "is not where it was" in call("evaluate", moved, code=2).output
    (moved / "adapter" / "adapter.safetensors").unlink()
    assert "has no adapter yet" in call("evaluate", moved, code=3).output
    # An external cohort is scored all the same, and the page says what could not be checked.
    again = shutil.copytree(run, tmp_path / "far" / "run", ignore=shutil.ignore_patterns("evaluation"))
    call("evaluate", again, "--data", home / "other/manifest.tsv")
    facts = stated(again / "evaluation" / "other")
    assert "its manifest is not where it was" in facts["leakage"]
    page = (again / "evaluation/other/page.html").read_text(encoding="utf-8")
    assert "by cross-validation over participants of this cohort" in page
