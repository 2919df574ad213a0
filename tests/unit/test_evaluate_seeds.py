"""Several seeds together: mean and sd by hand, runs that differ in more refused by name, missing scores counted, sets compared."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from voxtune.cli import main
from voxtune.commands.compare import compare
from voxtune.commands.evaluate.runs import evaluate_runs as evaluate_seeds
from voxtune.config import RunConfig
from voxtune.data.manifest import read_table
from voxtune.errors import DataError, UsageError
from voxtune.evaluation.cohort_selection import choose_classes
from voxtune.evaluation.compare import compare as compare_tables
from voxtune.evaluation.evaluated_model import EvaluatedModel, ScoredCohort, read_run
from voxtune.evaluation.evaluation import Evaluation
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.metrics import evaluate
from voxtune.evaluation.predictions import Predictions, of_records
from voxtune.evaluation.runs import mean_interval, over_runs
from voxtune.evaluation.scored_task import ScoredTask
from voxtune.run_dir import write_json, write_text
from voxtune.types.records import ManifestRow, Metric, OverRuns, Prediction
from voxtune_recipes.deft import recipe

CLASSES = ("NC", "MCI", "AD")


def tables(
    pairs: Mapping[int, tuple[Sequence[Prediction], Sequence[Prediction]]],
) -> dict[str, tuple[Predictions, Predictions]]:
    return {str(n): (of_records(a, CLASSES), of_records(b, CLASSES)) for n, (a, b) in pairs.items()}


def answers(skill: float, seed: int, people: Sequence[int] = range(24)) -> list[Prediction]:
    """Two scans a person, the same people whatever the seed."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in people:
        for visit in range(2):
            p = np.exp(rng.normal(size=3) + skill * np.eye(3)[person % 3])
            rows.append(
                Prediction(
                    scan_id=f"s{person:02d}v{visit}",
                    participant_id=f"p{person}",
                    diagnosis=CLASSES[person % 3],
                    predicted=CLASSES[int(p.argmax())],
                    probabilities=dict(zip(CLASSES, (p / p.sum()).tolist(), strict=True)),
                    targets={
                        name: points
                        for name, points in {"mmse": 28.0 - 3 * (person % 3) + float(rng.normal())}.items()
                        if points is not None
                    },
                )
            )
    return rows


def run(folder: Path, config: RunConfig, **more: Any) -> Path:
    """A finished run as far as its files are looked at."""
    manifest = folder.parent / "cohort" / "manifest.tsv"
    if not manifest.is_file():
        write_text(manifest, "scan_id\n")
    write_text(folder / "config.json", config.to_json())
    write_text(folder / "adapter" / "adapter.safetensors", "")
    write_json(
        folder / "adapter" / "adapter.json",
        {"base_sha256": "b" * 64, "adapter_sha256": f"{config.seed}" * 64} | more.pop("adapter", {}),
    )
    from voxtune.data.manifest import file_sha256

    split = {"manifest": "../cohort/manifest.tsv", "manifest_sha256": file_sha256(manifest)}
    write_json(folder / "split.json", split | {"train": ["t0"], "val": ["v0"], "test": ["s0"]} | more)
    return folder


def seeds(root: Path, *numbers: int, **edits: str) -> list[Path]:
    config = recipe()
    for path, value in edits.items():
        config = config.edit(f"{path.replace('__', '.')}={value}")
    return [run(root / f"run{n}", config.model_copy(update={"seed": n})) for n in numbers]


class Answered(Evaluation):
    """An evaluation without a model; seed 2 does not define a score that the others have."""

    def all_metrics(self) -> dict[str, Metric]:
        found = super().all_metrics()
        if self.model.config.seed == 2:
            found["auroc"] = found["auroc"].model_copy(update={"value": None, "low": None, "high": None})
            found.pop("baseline/volumes/auroc")
        return found


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[int, Sequence[Prediction]]], None]:
    """Evaluations without models: what each seed answers is given."""

    def use(found: Mapping[int, Sequence[Prediction]]) -> None:
        def model(folder: Path) -> EvaluatedModel:
            run, config, split = read_run(folder)
            write_json(folder / "audit.json", {"verdict": "Nothing found."})
            return EvaluatedModel(config, None, run, split)

        def evaluated(model: EvaluatedModel, asked: ScoredTask, *_: object) -> Evaluation:
            rows = list(found[model.config.seed])
            scans = [
                ManifestRow(
                    participant_id=str(one.participant_id), scan_id=one.scan_id, image="x", diagnosis=one.diagnosis, source="SIMULATED"
                )
                for one in rows
            ]  # fmt: skip
            manifest = model.manifest()
            assert manifest is not None
            cohort = ScoredCohort(manifest, True, choose_classes(scans, CLASSES), manifest, [], [])
            table = of_records(rows, CLASSES, {"mmse": {row.scan_id: 25.0 for row in rows}})
            weak = [
                one.model_copy(update={"probabilities": dict.fromkeys(CLASSES, 1 / 3), "predicted": "NC"})
                for one in rows
            ]
            return Answered(model, asked, cohort, table, {"volumes": of_records(weak, CLASSES)}, resamples=50)

        monkeypatch.setattr("voxtune.evaluation.evaluated_model.read_model", model)
        monkeypatch.setattr("voxtune.evaluation.evaluation.evaluation_of", evaluated)

    return use


# ------------------------------------------------------------------------------------------ mean and sd
def test_mean_and_sd_leave_out_what_is_not_defined() -> None:
    found = over_runs([0.7, 0.8, None])
    assert (found.mean, found.sd) == pytest.approx((0.75, 0.1 / 2**0.5))
    assert (found.defined, found.runs) == (2, 3)
    assert over_runs([0.7]) == OverRuns(0.7, None, 1, 1)
    assert over_runs([None, None]) == OverRuns(None, None, 0, 2)


def test_the_interval_of_a_mean_over_equal_seeds_is_that_of_one() -> None:
    rows = answers(1.5, 0)
    one = evaluate(of_records(rows, CLASSES), Draw(resamples=300))["accuracy"]
    found = mean_interval(
        [of_records(some, CLASSES) for some in (rows, rows[::-1], rows)], Draw(resamples=300)
    )
    assert found is not None
    assert found == pytest.approx((one.low, one.high), abs=0.03), "other draws of the same participants"
    with pytest.raises(DataError, match="different scans"):
        mean_interval([of_records(rows, CLASSES), of_records(rows[1:], CLASSES)], Draw(resamples=20))


def test_without_a_diagnosis_there_is_no_accuracy_and_no_interval() -> None:
    rows = [row.model_copy(update={"diagnosis": None}) for row in answers(1.5, 0)]
    assert mean_interval([of_records(rows, CLASSES)] * 2, Draw(resamples=20)) is None


# -------------------------------------------------------------------------------------------- the stage
def test_seeds_on_one_test_side(
    tmp_path: Path, scores: Callable[[Mapping[int, Sequence[Prediction]]], None]
) -> None:
    found = {n: answers(1.5, n) for n in range(3)}
    scores(found)
    runs = seeds(tmp_path, 0, 1, 2)
    done = evaluate_seeds(runs[::-1], output=tmp_path / "set", say=lambda _: None)
    values = [np.mean([row.predicted == row.diagnosis for row in rows]) for rows in found.values()]
    accuracy = done.metrics["accuracy"]
    assert accuracy["mean"] == pytest.approx(np.mean(values))
    assert accuracy["sd"] == pytest.approx(np.std(values, ddof=1))
    assert [accuracy["each"][seed]["value"] for seed in "012"] == pytest.approx(values)
    assert accuracy["n_seeds"] == 3
    assert accuracy["low"] < accuracy["mean"] < accuracy["high"]
    assert done.metrics["auroc"]["n_seeds"] == 2
    assert done.metrics["auroc"]["each"]["2"]["value"] is None
    assert done.metrics["baseline/volumes/auroc"]["each"]["2"] is None
    assert done.metrics["n_scans"] == {"0": 48, "1": 48, "2": 48}
    assert done.facts["seeds"] == [0, 1, 2]
    assert done.facts["test_side"].startswith(
        "One test side: all 3 seeds are scored on the same 48 scans of 24"
    )
    assert "sd is of training alone" in done.facts["test_side"]
    table = read_table(tmp_path / "set" / "seeds.tsv")
    assert [row["run"] for row in table] == ["run0", "run1", "run2"]
    assert [float(row["accuracy"]) for row in table] == pytest.approx(values)
    assert table[2]["auroc"] == "n/a"
    page = (tmp_path / "set" / "page.html").read_text(encoding="utf-8")
    for words in (
        "SIMULATED",
        f"{100 * np.mean(values):.1f} ± {100 * np.std(values, ddof=1):.1f}%",
        "mean ± sd of 3 seeds",
        "2 of 3",
        "95% interval over participants",
        "48&nbsp;/&nbsp;24",
        "Regional volumes",
        "the runs&#39; own test side",
        'href="seed-1/page.html"',
        "on the 48 scans of a seed",
    ):
        assert words in page, words
    assert "nan" not in page.lower().replace("nano", "")
    text = json.dumps([done.metrics, done.facts]) + page
    assert str(tmp_path) not in text
    assert "p12" not in text, "no participant IDs"
    assert f"{100 * np.mean(values):.1f} ±" in done.summary


def test_seeds_with_their_own_test_sides_say_so_and_have_no_common_interval(
    tmp_path: Path, scores: Callable[[Mapping[int, Sequence[Prediction]]], None]
) -> None:
    scores({0: answers(1.5, 0), 1: answers(1.5, 1, range(12, 30))})
    done = evaluate_seeds(seeds(tmp_path, 0, 1), output=tmp_path / "set", say=lambda _: None)
    said = "Each seed has its own test side: 30 participants in all, 12 of them in more than one."
    assert done.facts["test_side"].startswith(said)
    assert "low" not in done.metrics["accuracy"]
    assert done.metrics["n_participants"] == {"0": 24, "1": 18}
    page = (tmp_path / "set" / "page.html").read_text(encoding="utf-8")
    assert said in page
    assert "has now been scored" not in page
    assert "on the 36 to 48 scans of a seed" in page


def test_one_test_side_with_splits_of_their_own(
    tmp_path: Path, scores: Callable[[Mapping[int, Sequence[Prediction]]], None]
) -> None:
    scores({n: answers(1.5, n) for n in (0, 1)})
    runs = seeds(tmp_path, 0, 1)
    run(runs[1], recipe().model_copy(update={"seed": 1}), train=["t1"])
    done = evaluate_seeds(runs, output=tmp_path / "set", say=lambda _: None)
    assert "One test side: both seeds" in done.facts["test_side"]
    assert "each trained on its own split" in done.facts["test_side"]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"training__epochs": "7"}, "training.epochs is none in 'run0' and 7 in 'run1'"),
        ({"vision": "visual_prompts(4)"}, "vision.0.length is 20 in 'run0' and 4 in 'run1'"),
        ({"vision": "none"}, "vision.0.kind is visual_prompts in 'run0' and not there in 'run1'"),
        ({"classes__names": '["NC","AD"]'}, "classes.names"),
    ],
)
def test_another_setting_is_refused_by_name(tmp_path: Path, edit: dict[str, str], said: str) -> None:
    runs = [*seeds(tmp_path, 0), *seeds(tmp_path, 1, **edit)]
    with pytest.raises(DataError, match="differ in more than the seed") as refused:
        evaluate_seeds(runs, output=tmp_path / "set")
    assert said in str(refused.value)
    assert not (tmp_path / "set").exists()


def test_another_method_is_named_without_its_settings(tmp_path: Path) -> None:
    runs = [*seeds(tmp_path, 0), *seeds(tmp_path, 1, vision="lora(8)")]
    with pytest.raises(
        DataError, match=r"vision\.0\.kind is visual_prompts in 'run0' and lora in 'run1'\. Mean"
    ):
        evaluate_seeds(runs, output=tmp_path / "set")


def test_other_data_and_another_base_are_refused(tmp_path: Path) -> None:
    one = recipe().model_copy(update={"seed": 1})
    first = seeds(tmp_path, 0)[0]
    other = run(tmp_path / "other", one, adapter={"base_sha256": "c" * 64})
    with pytest.raises(DataError, match=r"the base .* is bbbbbbbbbbbb in 'run0' and cccccccccccc in 'other'"):
        evaluate_seeds([first, other], output=tmp_path / "set")
    other = run(tmp_path / "other", one, manifest_sha256="d" * 64)
    with pytest.raises(DataError, match="the data it was trained on"):
        evaluate_seeds([first, other], output=tmp_path / "set")


def test_what_only_says_how_a_run_is_computed_may_differ(
    tmp_path: Path, scores: Callable[[Mapping[int, Sequence[Prediction]]], None]
) -> None:
    scores({n: answers(1.5, n) for n in (0, 1)})
    runs = [*seeds(tmp_path, 0), *seeds(tmp_path, 1, training__workers="3", name="deft_again")]
    assert evaluate_seeds(runs, output=tmp_path / "set", say=lambda _: None).facts["seeds"] == [0, 1]


def test_slips_are_refused_before_anything_is_scored(tmp_path: Path) -> None:
    runs = seeds(tmp_path, 0, 1)
    with pytest.raises(UsageError, match="-o DIR"):
        evaluate_seeds(runs, output=None)
    with pytest.raises(DataError, match="'run0' and 'run0' have the same seed 0"):
        evaluate_seeds([runs[0], runs[0]], output=tmp_path / "set")
    with pytest.raises(DataError, match="'deft' is no run"):
        evaluate_seeds([runs[0], Path("deft")], output=tmp_path / "set")
    (runs[1] / "adapter" / "adapter.safetensors").unlink()
    with pytest.raises(DataError, match="'run1' has no adapter yet"):
        evaluate_seeds(runs, output=tmp_path / "set")
    runs = seeds(tmp_path, 0, 1)
    (tmp_path / "cohort" / "manifest.tsv").unlink()
    with pytest.raises(UsageError, match="--data MANIFEST"):
        evaluate_seeds(runs, output=tmp_path / "set")
    result = CliRunner().invoke(main, ["evaluate", *[str(one) for one in runs]])
    assert result.exit_code == 2
    assert "-o DIR" in result.output
    assert CliRunner().invoke(main, ["evaluate"]).exit_code == 2


# ------------------------------------------------------------------------------------- sets of seeds compared
def test_one_seed_is_compared_as_two_runs_are() -> None:
    a, b = answers(2.0, 0), answers(0.5, 1)
    single = {
        r.score: r
        for r in [
            one.comparison
            for one in compare_tables(
                {"": (of_records(a, CLASSES), of_records(b, CLASSES))}, Draw(resamples=200)
            )
        ][::-1]
    }
    for one in compare_tables({"0": (of_records(a, CLASSES), of_records(b, CLASSES))}, Draw(resamples=200)):
        if one.differences:
            assert one.comparison == single[one.comparison.score]
            assert one.over.sd is None


def test_seeds_are_paired_and_people_swapped_in_all_of_them() -> None:
    pairs = {n: (answers(2.0, n), answers(0.3, 10 + n)) for n in range(3)}
    rows = {one.comparison.score: one for one in compare_tables(tables(pairs), Draw(resamples=300))}
    accuracy = rows["accuracy"]
    each = [
        np.mean([row.predicted == row.diagnosis for row in a]) - np.mean([row.predicted == row.diagnosis for row in b])
        for a, b in pairs.values()
    ]  # fmt: skip
    assert list(accuracy.differences.values()) == pytest.approx(each)
    assert accuracy.comparison.difference == pytest.approx(np.mean(each))
    assert accuracy.over.sd == pytest.approx(np.std(each, ddof=1))
    assert accuracy.comparison.p_value == 1 / 301
    assert accuracy.comparison.low is not None
    assert accuracy.comparison.low > 0
    assert (accuracy.comparison.n_scans, accuracy.comparison.n_participants) == (48, 24)


def test_seeds_with_other_test_sides_count_each_person_once() -> None:
    sides = {0: range(18), 1: range(6, 24)}
    pairs = {n: (answers(2.0, n, side), answers(0.3, 10 + n, side)) for n, side in sides.items()}
    found = compare_tables(tables(pairs), Draw(resamples=100))[0].comparison
    assert (found.n_scans, found.n_participants) == (48, 24)


def test_a_seed_without_a_score_is_left_out_of_it() -> None:
    alone = [range(24), [n for n in range(24) if n % 3 != 1]]  # nobody with MCI
    pairs = {n: (answers(2.0, n, side), answers(0.3, 10 + n, side)) for n, side in enumerate(alone)}
    rows = {one.comparison.score: one for one in compare_tables(tables(pairs), Draw(resamples=50))}
    assert (rows["auroc"].over.defined, rows["auroc"].differences["1"]) == (1, None)
    assert rows["accuracy"].over.defined == 2


def test_sets_are_compared_by_the_command(
    tmp_path: Path, scores: Callable[[Mapping[int, Sequence[Prediction]]], None]
) -> None:
    for name, skill, numbers in (("a", 2.0, (0, 1, 2)), ("b", 0.3, (1, 2, 3))):
        scores({n: answers(skill, n + (0 if name == "a" else 50)) for n in numbers})
        evaluate_seeds(seeds(tmp_path / name, *numbers), output=tmp_path / name / "set", say=lambda _: None)
    found = compare(tmp_path / "a" / "set", tmp_path / "b" / "set", tmp_path / "out")
    (one,) = found["evaluations"]
    assert one["seeds"] == [1, 2]
    assert one["notes"] == [
        "All seeds are scored on the same scans.",
        "Left out, because only A has it: seed 0.",
        "Left out, because only B has it: seed 3.",
    ]
    assert one["comparisons"][0]["n_seeds"] == 2
    assert one["comparisons"][0]["difference"] > 0
    assert "mmse_mae" in {row["score"] for row in one["comparisons"]}
    page = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    for words in ("SIMULATED", "mean of 2 seeds", "Seeds 1, 2, A and B paired by seed", "sd over seeds"):
        assert words in page, words
    header = (tmp_path / "out" / "comparison.tsv").read_text(encoding="utf-8").splitlines()[0]
    assert header.split("\t")[-2:] == ["n_seeds", "sd"]
    with pytest.raises(DataError, match="'seed-0' is no set of seeds"):
        compare(tmp_path / "a" / "set", tmp_path / "a" / "set" / "seed-0")
    scores({7: answers(1.0, 7)} | {8: answers(1.0, 8)})
    evaluate_seeds(seeds(tmp_path / "c", 7, 8), output=tmp_path / "c" / "set", say=lambda _: None)
    with pytest.raises(DataError, match="A has the seeds 0, 1, 2, B has 7, 8: none is shared"):
        compare(tmp_path / "a" / "set", tmp_path / "c" / "set")
    scores({n: answers(1.0, n, range(1, 24)) for n in (0, 1)})
    evaluate_seeds(seeds(tmp_path / "d", 0, 1), output=tmp_path / "d" / "set", say=lambda _: None)
    with pytest.raises(DataError, match=r"different scans.* Only in A: 2 \(s00v0, s00v1\)"):
        compare(tmp_path / "a" / "set", tmp_path / "d" / "set")
