"""Learning curves: nested subsets of one train side, one test side, the baselines on the same scans; what is done stays."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from voxtune.cli import main
from voxtune.commands.curve import command
from voxtune.commands.curve.command import Curve
from voxtune.commands.curve.results import Point, write_results
from voxtune.commands.split import split
from voxtune.commands.train.one_run import Request, Trained, train_one
from voxtune.config import read_recipe
from voxtune.data.manifest import read_table
from voxtune.data.split_files import read_split
from voxtune.errors import DataError, SettingError, StoppedError, UsageError
from voxtune.types.records import Metric

FAST = ("training.epochs=1", "targets=none", "vision=visual_prompts(2)", "text=none")


def quiet(_: str) -> None:
    """Nobody listens."""


def curve(
    people: Path,
    output: Path,
    *sizes: str,
    seeds: int = 1,
    recipe: str = "deft",
    edits: tuple[str, ...] = FAST,
) -> Curve:
    return command.curve(recipe, output, data=people, sizes=sizes, seeds=seeds, assignments=edits, say=quiet)


@pytest.mark.slow
@pytest.mark.usefixtures("few_draws")
def test_a_curve_is_made_in_pieces_and_has_the_probe_beside_it(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [
        "curve",
        "deft",
        "--data",
        str(people),
        "--sizes",
        "8,all",
        "--seeds",
        "1",
        "-o",
        str(tmp_path / "c"),
    ]
    result = CliRunner().invoke(main, words + [word for one in FAST for word in ("--set", one)])
    assert result.exit_code == 0, result.output
    assert "SIMULATED" in result.stdout
    assert "linear probe" in result.stdout
    trained: list[tuple[int | None, int]] = []

    def watched(request: Request, *more: object, **named: object) -> Trained:
        trained.append((request.train_size, request.config.seed))
        if request.train_size == 9:
            raise RuntimeError("out of memory")
        return train_one(request, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(command, "train_one", watched)
    found = curve(people, tmp_path / "c", "8", "9", "all")
    assert trained == [(9, 0)], "what is done is neither trained nor scored again"
    assert found.failed == (("size 9, seed 0", "RuntimeError: out of memory"),)
    found = curve(people, tmp_path / "c", "8", "all", seeds=2)
    assert trained[1:] == [(8, 1), (None, 1)]
    rows = read_table(tmp_path / "c/curve.tsv", ("size", "seed", "model", "value"))
    assert {(row["size"], row["seed"]) for row in rows} == {
        ("8", "0"),
        ("all", "0"),
        ("8", "1"),
        ("all", "1"),
    }
    assert {"model", "linear_probe", "volumes", "zero_shot"} <= {row["model"] for row in rows}
    small = found.content["sizes"][0]
    assert small["n_train"] <= 8 < found.content["sizes"][1]["n_train"]
    each = [float(row["value"]) for row in rows if (row["size"], row["model"]) == ("8", "model")]
    assert small["models"]["model"]["mean"] == pytest.approx(sum(each) / 2)
    # The probe of a point stands on the scans of that point, and subsets are nested by seed.
    splits = [read_split(tmp_path / f"c/splits/seed-{seed}") for seed in (0, 1)]
    for one in splits:
        assert set(one.subsets[8]) < set(one.train)
    assert splits[0].test == splits[1].test
    assert splits[0].subsets[8] != splits[1].subsets[8]
    run = json.loads((tmp_path / "c/runs/size-8/seed-1/split.json").read_text())
    assert tuple(run["train"]) == splits[1].subsets[8]
    page = (tmp_path / "c/page.html").read_text(encoding="utf-8")
    assert "SIMULATED" in page
    assert "Linear probe on the frozen base" in page
    for name in ("figures/curve.svg", "figures/curve.pdf", "tables/curve.csv", "tables/curve.tex"):
        assert (tmp_path / "c" / name).is_file()
    with pytest.raises(UsageError, match="holds a curve of other settings"):
        curve(people, tmp_path / "c", "8", edits=())


@pytest.mark.parametrize(("task", "score"), [("time_to_event", "c_index"), ("findings", "auroc")])
def test_a_curve_without_a_defined_score_says_why(tmp_path: Path, task: str, score: str) -> None:
    nothing = Metric(value=None, n_scans=3, n_participants=3)
    points = [Point(size, 0, 5, 5, 6, score, task, {"model": nothing}) for size in (3, None)]
    found = write_results(tmp_path, points, read_recipe("deft"), simulated=True)
    assert [size["models"] for size in found["sizes"]] == [{}, {}]
    assert "with 5 training scans is not defined: no" in command._said(found)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Not defined: no" in page
    assert "<svg" not in page
    assert (tmp_path / "tables/curve.csv").read_text(encoding="utf-8").startswith("training scans,")


def test_what_cannot_be_drawn_is_refused(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="Say what to train on"):
        command.curve("deft", tmp_path / "c", data=None, sizes=["8"])
    with pytest.raises(UsageError, match="Say the numbers"):
        curve(people, tmp_path / "c")
    for wrong in ("many", "0", "5000"):
        with pytest.raises(SettingError, match="from 1 to"):
            curve(people, tmp_path / "c", wrong)

    def fails(*_: object, **__: object) -> Trained:
        raise DataError("a bad table")

    monkeypatch.setattr(command, "looked_at", lambda *_: None)
    monkeypatch.setattr(command, "train_one", fails)
    with pytest.raises(DataError, match="a bad table"):
        curve(people, tmp_path / "c", "8", "all")

    def stopped(*_: object, **__: object) -> Trained:
        raise StoppedError(15, 0, 1)

    monkeypatch.setattr(command, "train_one", stopped)
    with pytest.raises(StoppedError):
        curve(people, tmp_path / "c", "8")
    assert not (tmp_path / "c").exists(), "no training has begun"
    made = read_split(split(people, tmp_path / "made"))
    empty = tmp_path / "empty"
    empty.mkdir()
    for side in ("train", "val", "test"):
        rows = "" if side == "test" else "\n".join(f"{one}\t{one}" for one in made.sides()[side])
        (empty / f"{side}.tsv").write_text(f"scan_id\tparticipant_id\n{rows}\n")
    with pytest.raises(DataError, match="test side of the split has no labelled scan"):
        command.curve("deft", tmp_path / "d", data=people, sizes=["all"], split_dir=empty, say=quiet)
