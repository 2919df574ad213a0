"""Cross-validation as one thing: all folds trained, what failed tried again, pooled, compared; subsets of the train side."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import voxtune
from voxtune.cli import main
from voxtune.commands.simulate.command import simulate
from voxtune.commands.split import split
from voxtune.commands.train import folds, one_run
from voxtune.commands.train.one_run import Request, Trained
from voxtune.data.manifest import read_manifest, read_table
from voxtune.data.split_files import read_split
from voxtune.data.splits import Split
from voxtune.errors import DataError, LeakageError, SomeFoldsFailedError, StoppedError, UsageError
from voxtune.run_dir import write_json, write_text

FAST = ("training.epochs=1", "targets=none", "vision=visual_prompts(2)", "text=none")
EDITS = [word for one in ("training.epochs=1", "targets=none") for word in ("--set", one)]


def quiet(_: str) -> None:
    """Nobody listens."""


def cli(*words: object) -> str:
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def parts(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return split(people, tmp_path_factory.mktemp("split") / "folds", folds=3, train_sizes=(6, 9))


# ------------------------------------------------------------------------------------------- real runs
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "deft-on-m3d.md"


def lines() -> dict[str, list[list[str]]]:
    """The commands of the page that are run, by the heading they stand under."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for part in re.split(r"^(## .*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE):
        if part.startswith("## "):
            heading = part.split(" ")[1]
        for marks, block in re.findall(r"((?:<!--[^\n]*-->\n+)*)```sh\n(.*?)```", part, flags=re.DOTALL):
            if "not run" not in marks:
                found[heading] = [shlex.split(line)[1:] for line in block.splitlines()]
    return found


def stand_in(words: list[str]) -> list[str]:
    """The same command on the shipped base, two folds, one epoch."""
    said = ["deft" if word == "deft_m3d" else word for word in words]
    if "--folds" in said:
        said[said.index("--folds") + 1] = "2"
    return said + (EDITS if said[0] == "train" else [])


@pytest.mark.slow
@pytest.mark.usefixtures("few_draws")
def test_the_page_leads_from_a_split_to_a_comparison(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pre").symlink_to(people.parent)
    simulate(tmp_path / "other", participants=6, visits=1, seed=9)
    page = lines()
    assert list(page) == ["3.", "4.", "5.", "6."], "a block of the page is not run, or does not say so"
    for words in page["3."]:
        assert "deft_m3d" in words or words[0] == "split"
        cli(*stand_in(words))
    for words in page["4."]:
        cli(*words)
    rows = read_table(tmp_path / "cv/evaluation/test/predictions.tsv", ("scan_id",))
    assert sorted(row["scan_id"] for row in rows) == sorted(row.scan_id for row in read_manifest(people))
    stated = json.loads((tmp_path / "cv/evaluation/test/evaluation.json").read_text())
    assert (stated["pooled"], stated["folds"]) == (True, [0, 1])
    assert json.loads((tmp_path / "cv/evaluation/test/metrics.json").read_text())["balanced_accuracy"]["low"]
    found = json.loads((tmp_path / "compared/comparison.json").read_text())
    assert found["evaluations"][0]["n_scans"] == len(rows)
    assert "notes" not in found["evaluations"][0]
    for words in page["5."]:
        cli(*words)
    both = json.loads((tmp_path / "compared/comparison.json").read_text())
    external = next(one for one in both["evaluations"] if "folds" in one)
    assert len(both["evaluations"]) == 2
    assert (external["folds"], external["n_participants"]) == ([0, 1], 6)
    assert external["comparisons"][0]["n_folds"] == 2
    assert "paired by fold" in (tmp_path / "compared/page.html").read_text()
    (words,) = page["6."]
    assert words[0] == "curve"
    assert main.commands["curve"].make_context("curve", words[1:]), "test_curve.py runs one"  # type: ignore[attr-defined]


# ---------------------------------------------------------------------------------- runs of no training
Trainer = Callable[[Request, Path, Path], None]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Callable[[Trainer], None]:
    """Runs that a function of the test makes."""

    def use(make: Trainer) -> None:
        def one(request: Request, output: Path, fold: Path, **_: object) -> Trained:
            make(request, output, fold)
            return Trained(output, "trained")

        monkeypatch.setattr(one_run, "train_one", one)
        monkeypatch.setattr(one_run, "looked_at", lambda *_: None)

    return use


def finish(request: Request, output: Path, fold: Path) -> None:
    """A finished run as far as its files are looked at."""
    write_text(output / "config.json", request.config.to_json())
    cut = one_run.with_train_size(read_split(fold), request.train_size)
    write_json(output / "split.json", {side: list(scans) for side, scans in cut.sides().items()})
    write_text(output / "adapter" / "adapter.safetensors", "")
    write_text(output / "page.html", "")


def fit(people: Path, parts: Path, output: Path, **more: object) -> str:
    return voxtune.fit("deft", output, data=people, split_dir=parts, say=quiet, **more).summary  # type: ignore[no-any-return]


@pytest.mark.parametrize("error", [DataError("a bad table"), RuntimeError("out of memory"), OSError("disk")])
def test_a_fold_that_fails_does_not_lose_the_others_and_is_tried_again(
    people: Path,
    parts: Path,
    tmp_path: Path,
    error: Exception,
    trained: Callable[[Trainer], None],
) -> None:
    done: list[str] = []

    def one_fails(request: Request, output: Path, fold: Path) -> None:
        if fold.name == "fold_1":
            write_text(output / "config.json", request.config.to_json())
            raise error
        done.append(fold.name)
        finish(request, output, fold)

    trained(one_fails)
    with pytest.raises(SomeFoldsFailedError, match=f"1 of 3 folds failed.*fold_1: .*{error}"):
        fit(people, parts, tmp_path / "cv")
    assert done == ["fold_0", "fold_2"]
    with pytest.raises(DataError, match="fold_1 of 3 folds not trained yet"):
        voxtune.evaluate(tmp_path / "cv", say=quiet)
    with pytest.raises(UsageError, match="--resume finishes it"):
        fit(people, parts, tmp_path / "cv")
    for other in (
        {"assignments": ["training.epochs=2"]},
        {"train_size": 6},
    ):
        with pytest.raises(UsageError, match="was started with other"):
            fit(people, parts, tmp_path / "cv", resume=True, **other)
    done.clear()
    trained(lambda request, output, fold: (done.append(fold.name), finish(request, output, fold))[1])
    assert "3 of 3 folds" in fit(people, parts, tmp_path / "cv", resume=True)
    assert done == ["fold_1"]
    assert not (tmp_path / "cv/fold_1/failed.json").exists()


def test_what_every_fold_refuses_is_refused_as_it_is(
    people: Path, parts: Path, tmp_path: Path, trained: Callable[[Trainer], None]
) -> None:
    def refused(*_: object) -> None:
        raise LeakageError("information crosses")

    trained(refused)
    with pytest.raises(LeakageError):
        fit(people, parts, tmp_path / "cv")

    def stopped(*_: object) -> None:
        raise StoppedError(15, 0, 1)

    trained(stopped)
    with pytest.raises(StoppedError):
        fit(people, parts, tmp_path / "cv", resume=True)


def test_folds_of_another_split_are_not_mixed_in(
    people: Path, parts: Path, tmp_path: Path, trained: Callable[[Trainer], None]
) -> None:
    trained(finish)
    fit(people, parts, tmp_path / "cv")
    other = split(people, tmp_path / "folds", folds=3, seed=7)
    with pytest.raises(UsageError, match="was started on other scans"):
        fit(people, other, tmp_path / "cv", resume=True)
    more = split(people, tmp_path / "four", folds=4)
    with pytest.raises(UsageError, match="other folds"):
        fit(people, more, tmp_path / "cv", resume=True)
    with pytest.raises(UsageError, match="holds a run"):
        fit(people, parts, tmp_path / "cv/fold_0")


def test_shards_share_the_folds(
    people: Path, parts: Path, tmp_path: Path, trained: Callable[[Trainer], None]
) -> None:
    trained(finish)
    assert "still to train: fold_1" in fit(people, parts, tmp_path / "cv", shard="1/2")
    assert "next: voxtune evaluate" in fit(people, parts, tmp_path / "cv", shard="2/2")
    with pytest.raises(UsageError, match="share folds out"):
        fit(people, parts / "fold_0", tmp_path / "run", shard="1/2")
    with pytest.raises(UsageError, match="share folds out"):
        fit(people, parts / "fold_0", tmp_path / "run", workers=2)
    with pytest.raises(UsageError, match="several devices"):
        fit(people, parts, tmp_path / "more", assignments=["training.devices=2"])


def test_workers_share_the_folds_and_what_they_leave_is_done_here(
    people: Path,
    parts: Path,
    tmp_path: Path,
    trained: Callable[[Trainer], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained(finish)
    told: list[tuple[object, ...]] = []

    class Process:
        exitcode = 1

        def __init__(self, target: Callable[..., None], args: tuple[object, ...], name: str) -> None:
            told.append((name, *args[2:]))
            self.run = lambda: target(*args)

        def start(self) -> None:
            if told[-1][0] == "worker 2" and len(told) == 2:
                self.run()

        def join(self) -> None:
            """Done."""

    class Context:
        pass

    Context.Process = Process  # type: ignore[attr-defined]
    monkeypatch.setattr("multiprocessing.get_context", lambda _: Context)
    lines: list[str] = []
    done = voxtune.fit("deft", tmp_path / "cv", data=people, split_dir=parts, workers=2, say=lines.append)
    assert told == [("worker 1", 0, 2), ("worker 2", 1, 2)]
    assert "3 of 3" in done.summary
    assert any("2 of 2 workers were killed" in line for line in lines)
    assert "fold_1: done before." in lines
    write_json(tmp_path / "cv/fold_0/failed.json", {"error": "the worker said why"})
    (tmp_path / "cv/fold_0/adapter/adapter.safetensors").unlink()
    monkeypatch.setattr(folds, "_together", lambda *_: None)
    with pytest.raises(SomeFoldsFailedError, match="the worker said why"):
        fit(people, parts, tmp_path / "cv", workers=2, resume=True)


# --------------------------------------------------------------------------------- subsets of the train side
def test_a_size_that_was_not_written_is_refused(people: Path, parts: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no training subset of 7 scans; it has: 6, 9"):
        fit(people, parts / "fold_0", tmp_path / "run", train_size=7)
    with pytest.raises(UsageError, match="it has: none"):
        one_run.with_train_size(Split((), (), (), {}), 7)


def test_a_run_of_other_scans_is_not_gone_on_with(people: Path, parts: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit(people, parts / "fold_0", run, train_size=6, assignments=FAST)
    with pytest.raises(UsageError, match="its train side has 6, this one 9"):
        fit(people, parts / "fold_0", run, train_size=9, assignments=FAST, resume=True)
