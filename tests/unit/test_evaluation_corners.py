"""Corners of an evaluation: numbers without classes, lists of folds, tables that are not what they should be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from voxtune.config import RunConfig
from voxtune.errors import DataError, TableError
from voxtune.evaluation.abstention import FEWEST, fit_abstention
from voxtune.evaluation.auroc_difference import auroc_difference
from voxtune.evaluation.compare import compare_with_each
from voxtune.evaluation.curves import target_points
from voxtune.evaluation.finding_scores import mean_auroc
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.metrics import evaluate, headline_names
from voxtune.evaluation.predictions import Predictions, of_findings
from voxtune.evaluation.run_list import (
    Member,
    RunList,
    read_run_list,
    run_folders,
)
from voxtune.evaluation.run_list import (
    test_side_in_words as in_words,
)
from voxtune.evaluation.tables import MEASURED, PREDICTIONS, read_predictions, write_predictions
from voxtune.model.questions import NoQuestion, Question
from voxtune.run_dir import RunDir, write_json, write_text
from voxtune.types.records import ManifestRow
from voxtune_recipes.deft import recipe

DRAW = Draw(resamples=50)
NAMES = ("Emphysema", "Lung nodule")


def numbers(n: int = 12, *, measured: bool = True) -> Predictions:
    """Ages of n people, half a year off."""
    nothing = np.empty((n, 0))
    true = np.linspace(50, 90, n)
    return Predictions(
        scan_ids=tuple(f"s{place}" for place in range(n)),
        participants=tuple(f"p{place}" for place in range(n)),
        names=(),
        probabilities=nothing,
        truth=nothing,
        called=nothing.astype(bool),
        targets={"age": true + 0.5},
        measured={"age": true} if measured else {},
    )


def findings(n: int = 12) -> Predictions:
    truth = np.array([[place % 2, 1 - place % 2] for place in range(n)], dtype=float)
    chances = np.clip(truth * 0.6 + 0.2 + np.linspace(0, 0.1, n)[:, None], 0, 1)
    scans, people = [f"s{place}" for place in range(n)], [f"p{place}" for place in range(n)]
    return of_findings(scans, people, NAMES, truth, chances, dict.fromkeys(NAMES, 0.5))


# ------------------------------------------------------------------------------------- numbers and findings
def test_numbers_alone_are_scored_by_their_error_on_scans_that_have_both() -> None:
    table = numbers()
    assert headline_names(table) == ("age_mae",)
    gap = replace(table, measured={"age": np.where(np.arange(12) < 2, np.nan, table.measured["age"])})
    found = evaluate(gap, DRAW)
    assert found["age_mae"].value == pytest.approx(0.5)
    assert (found["age_mae"].n_scans, found["participant/age_mae"].n_participants) == (10, 10)
    assert len(target_points(gap, "age")) == 10
    assert target_points(gap, "mmse") == ()


def test_a_number_beside_findings_has_no_error_within_a_class() -> None:
    both = replace(findings(), targets=numbers().targets, measured=numbers().measured)
    found = evaluate(both, DRAW)
    assert [name for name in found if name.startswith("age_mae")] == ["age_mae"]


def test_a_rival_that_gives_no_number_cannot_be_compared() -> None:
    own = numbers()
    silent = replace(own, targets={"age": np.full(len(own), np.nan)})
    with pytest.raises(DataError, match="no scan with which age_mae can be compared"):
        compare_with_each(own, {"silent": silent}, DRAW)


def test_a_gain_is_of_the_same_findings_with_the_same_labels() -> None:
    own = findings()
    for other in (own.of(NAMES[::-1]), replace(own, truth=1 - own.truth), own.some(np.arange(4))):
        with pytest.raises(DataError, match="same findings of the same scans"):
            auroc_difference(own, other, DRAW)


def test_with_few_validation_scans_there_is_no_rule_to_abstain_by() -> None:
    n = FEWEST - 1
    assert (
        fit_abstention(np.full((n, 2), 0.5), np.zeros(n, dtype=int), [str(place) for place in range(n)])
        is None
    )


def test_nothing_asked_is_answered_with_nothing() -> None:
    question, rows = NoQuestion(), [ManifestRow(participant_id="p", scan_id="s", image="x.nii.gz")]
    logits = torch.zeros(1, 0)
    assert isinstance(question, Question)
    assert question.log_odds(logits).shape == (1, 0)
    chances = question.probabilities(logits)
    assert chances.shape == question.called(chances).shape == question.truth(rows).shape == (1, 0)
    assert (question.reworded(), question.texts, question.says("age")) == ({}, [], "age")


def test_the_mean_area_leaves_out_findings_with_one_side_and_is_a_half_where_nothing_is_known() -> None:
    table = findings()
    nobody = np.zeros((len(table), 1))
    truth = np.hstack([table.truth, nobody])
    scores = np.hstack([table.probabilities, nobody])
    assert mean_auroc(truth, scores) == mean_auroc(table.truth, table.probabilities) == 1.0
    assert mean_auroc(nobody, nobody) == 0.5


# --------------------------------------------------------------------------------------------- the table
def test_numbers_are_read_as_they_were_written_and_old_ones_do_not_stay(tmp_path: Path) -> None:
    table = numbers()
    write_predictions(tmp_path, table)
    found = read_predictions(tmp_path / PREDICTIONS)
    assert (found.names, found.estimate("age").tolist()) == ((), table.estimate("age").tolist())
    assert found.measurement("age").tolist() == table.measurement("age").tolist()
    write_predictions(tmp_path, numbers(measured=False))
    assert not (tmp_path / MEASURED).exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("p3\t", "n/a\t", "no participant_id"),
        ("0.", "7.", "not a probability"),
        ("\t1\t0\n", "\t0.5\t0\n", "neither 0 nor 1 nor missing"),
        ("true_Emphysema", "Emphysema", "no column true_Emphysema"),
    ],
)
def test_a_table_of_findings_that_is_not_one_is_refused(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = write_predictions(tmp_path, findings())
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(TableError, match=said):
        read_predictions(path)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("s\tp\tNC\tNC\t0.6\t0.6", "do not sum to 1"),
        ("s\tp\tMCI\tNC\t0.6\t0.4", "diagnosis 'MCI' has no column p_MCI"),
    ],
)
def test_a_table_of_classes_that_is_not_one_is_refused(tmp_path: Path, cells: str, said: str) -> None:
    header = "scan_id\tparticipant_id\tdiagnosis\tpredicted\tp_NC\tp_AD"
    write_text(tmp_path / PREDICTIONS, f"{header}\n{cells}\n")
    with pytest.raises(TableError, match=said):
        read_predictions(tmp_path / PREDICTIONS)


# ------------------------------------------------------------------------------------------ lists of runs
def run(
    folder: Path, split: dict[str, list[str]], seed: int = 0, classes: tuple[str, ...] = ("NC", "AD")
) -> Path:
    """A finished run as far as its files are looked at."""
    config: RunConfig = recipe().model_copy(update={"seed": seed})
    write_text(folder / "config.json", config.to_json())
    write_text(folder / "adapter" / "adapter.safetensors", "")
    write_json(folder / "adapter" / "adapter.json", {"base_sha256": "b" * 64, "classes": classes})
    write_json(folder / "split.json", {"manifest_sha256": "m" * 64} | split)
    return folder


def sides(test: str) -> dict[str, list[str]]:
    rest = [scan for scan in "abcd" if scan not in test]
    return {"train": rest[:1], "val": rest[1:], "test": list(test)}


@pytest.mark.parametrize(
    ("names", "seeds", "keys"),
    [
        (("fold_0", "fold_1"), (0, 0), ["0", "1"]),
        (("fold-02", "fold-10"), (0, 1), ["2", "10"]),
        (("one", "two"), (0, 0), ["0", "1"]),
        (("a1", "b1"), (3, 3), ["0", "1"]),
    ],
)
def test_runs_whose_test_sides_share_nothing_are_folds(
    tmp_path: Path, names: tuple[str, str], seeds: tuple[int, int], keys: list[str]
) -> None:
    runs = [
        run(tmp_path / name, sides(test), seed)
        for name, test, seed in zip(names, ("ab", "cd"), seeds, strict=True)
    ]
    found = read_run_list(runs, tmp_path / "manifest.tsv")
    assert (found.of, [one.key for one in found.members]) == ("fold", keys)
    assert run_folders(tmp_path) == sorted(runs, key=lambda path: (len(path.name), path.name))
    assert run_folders(runs[0]) == [runs[0]]
    assert run_folders(tmp_path / "nowhere") == [tmp_path / "nowhere"]


def test_runs_of_other_seeds_that_leave_scans_untested_are_seeds(tmp_path: Path) -> None:
    runs = [
        run(tmp_path / name, sides(test), seed) for seed, (name, test) in enumerate((("x", "a"), ("y", "b")))
    ]
    assert read_run_list(runs, tmp_path / "manifest.tsv").of == "seed"
    shared = [runs[0], run(tmp_path / "z", sides("a"), 7)]
    assert read_run_list(shared, tmp_path / "manifest.tsv").of == "seed"
    with pytest.raises(DataError, match="'nowhere' is no run"):
        read_run_list([runs[0], tmp_path / "nowhere"], tmp_path / "manifest.tsv")


def test_folds_that_learned_other_classes_are_not_pooled(tmp_path: Path) -> None:
    """A rare class may be absent from the training scans of one fold: the columns would not be the same question."""
    runs = [
        run(tmp_path / "fold-0", sides("ab")),
        run(tmp_path / "fold-1", sides("cd"), classes=("NC", "MCI")),
    ]
    with pytest.raises(DataError, match="tell apart is NC, AD in 'fold-0' and NC, MCI in 'fold-1'"):
        read_run_list(runs, tmp_path / "manifest.tsv")


def test_what_runs_share_is_said() -> None:
    config = recipe()
    members = [
        Member(str(n), RunDir(Path(f"r{n}")), config, sides(test), {})
        for n, test in enumerate(("ab", "cd", "bc"))
    ]
    scans = {"0": {"a": "p1", "b": "p2"}, "1": {"c": "p3", "d": "p4"}}
    assert "4 scans of 4 participants" in in_words(RunList("fold", members[:2]), scans)
    assert "3 participants in all, 1 of them in more than one" in in_words(
        RunList("seed", members[::2]), {"0": {"a": "p1", "b": "p2"}, "2": {"b": "p2", "c": "p3"}}
    )
    same = {key: {"a": "p1", "b": "p2"} for key in "012"}
    assert "all 3 folds are scored on the same 2 scans" in in_words(RunList("fold", members), same)
    twin = [members[0], members[0]]
    assert "the sd is of training alone" in in_words(RunList("seed", twin), {"0": same["0"], "1": same["1"]})
