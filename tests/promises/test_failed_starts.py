"""A start that fails leaves nothing and costs nothing: whatever the command, what can be known is said before a scan is read."""

import shutil
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from voxtune.cli import main
from voxtune.commands.shard import one_part
from voxtune.commands.split import split
from voxtune.config import RunConfig
from voxtune.data.manifest import write_manifest
from voxtune.model.adapter import read_facts
from voxtune.serving.bundled import adapter_folder
from voxtune.storage.lock import OUTPUT, claimed
from voxtune.types.records import ManifestRow

NOWHERE = "/nowhere/base.safetensors"
SCORES = "scan_id\tparticipant_id\tdiagnosis\tpredicted\tp_NC\tp_AD\n" + "".join(
    f"s{n}\tp{n}\t{('NC', 'AD')[n % 2]}\tNC\t0.75\t0.25\n" for n in range(12)
)
TRAIN = ("train", "deft", "--data", "manifest.tsv", "--split", "split", "-o", "new/out")
FOLDS = ("train", "deft", "--data", "manifest.tsv", "--split", "folds", "-o", "new/out")
CURVE = ("curve", "deft", "--data", "manifest.tsv", "--split", "split", "--sizes", "4", "-o", "new/out")
EVALUATE = ("evaluate", "run", "--data", "other.tsv", "-o", "new/out")
EXPORT = ("export", "run", "-o", "new/out")
PREDICT = ("predict", "demo", "scan.nii", "-o", "new/out")
EXPLAIN = ("explain", "demo", "scan.nii", "-o", "new/out")
EMBED = ("embed", "demo", "manifest.tsv", "-o", "new/out")
PREPROCESS = ("preprocess", "manifest.tsv", "new/out", "--preset", "tiny")
DESCRIBE = ("describe", "manifest.tsv", "-o", "new/out")
SPLIT = ("split", "manifest.tsv", "-o", "new/out")
AUDIT = ("audit", "split", "--data", "manifest.tsv")
INGEST = ("ingest", "bids", "download", "-o", "new/out")
REPRODUCE = ("reproduce", "deft", "-o", "new/out")
COMPARE = ("compare", "run", "run", "-o", "new/out")
WRONG: dict[tuple[str, ...], tuple[tuple[str, ...], ...]] = {
    TRAIN: (
        ("--set", f"backbone.weights={NOWHERE}"), ("--set", "backbone.tokenizer=/nowhere/words"), ("--device", "cuda:77"), ("--set", "nothing=1"),
        ("--set", "training.epochs=-1"), ("--set", "targets=nothing"), ("--set", "preset=nothing"), ("--set", "training.trackers=trackio"),
        ("--set", "report.template=nothing"), ("--allow", "nothing"), ("--train-size", "7"), ("--shard", "1/2"), ("--data", "short.tsv"),
        ("--split", "nothing"), ("-o", "file/out"), ("-o", "file"),
    ),
    CURVE: (
        ("--set", f"backbone.weights={NOWHERE}"), ("--set", "targets=nothing"), ("--set", "preset=nothing"), ("--sizes", "9999"),
        ("--allow", "nothing"), ("--data", "short.tsv"), ("-o", "file/out"),
    ),
    EVALUATE: (
        ("--device", "cuda:77"), ("--classes", "NC,nothing"), ("--classes", ""), ("--classes", "NC,,AD"), ("--map", "nothing"), ("--data", "short.tsv"), ("--data", "nothing.tsv"), ("--by-class",),
        ("-o", "file/out"), ("-o", "file"),
    ),
    EXPORT: (("--base", NOWHERE), ("--merge",), ("--peft",), ("-o", "file/out"), ("-o", "mine")),
    PREDICT: (
        ("--device", "cuda:77"), ("--base", NOWHERE), ("--orientation", "XXX"), ("--by-class",), ("-o", "file/out"), ("-o", "file"),
    ),
    EXPLAIN: (
        ("--device", "cuda:77"), ("--base", NOWHERE), ("--target", "nothing"), ("--method", "nothing"), ("--report", "nothing.txt"),
        ("--facts", "nothing"), ("--facts", "age=old"), ("--facts", "nothing=1"), ("--biomarker", "nothing"), ("--data", "manifest.tsv"), ("--control", "nothing"), ("--orientation", "XXX"),
        ("-o", "file/out"),
    ),
    EMBED: (
        ("--device", "cuda:77"), ("--base", NOWHERE), ("--preset", "nothing"), ("--set", "nothing=1"), ("-o", "file/out"), ("-o", "file"),
    ),
    PREPROCESS: (("--preset", "nothing"), ("--shard", "3/2"), ("--orientation", "XXX")),
    DESCRIBE: (
        ("--template", "nothing"), ("--profile", "nothing"), ("--set", "nothing=1"), ("--set", "report.fields=nothing"), ("-o", "file/out"), ("-o", "mine"),
    ),
    SPLIT: (
        ("--holdout", "nothing=1"), ("--folds", "500"), ("--share", "file/key"), ("--share", "file"), ("-o", "file/out"), ("-o", "file"),
    ),
    AUDIT: (
        ("--allow", "nothing"), ("--ancestor", "nothing"), ("--reports", "nothing.tsv"), ("--profile", "nothing"), ("--set", "report.fields=nothing"),
        ("--data", "short.tsv"),
    ),
    INGEST: (("--set", "nothing=1"), ("--profile", "nothing"), ("-o", "file/out")),
    FOLDS: (("--set", f"backbone.weights={NOWHERE}"), ("--set", "preset=nothing"), ("--train-size", "7"), ("--shard", "9/2")),
    REPRODUCE: (("--base", "nothing"), ("--set", "nothing=1"), ("--data", "nothing.tsv"), ("--table", "99"), ("-o", "file/out")),
    COMPARE: ((), ("-o", "file/out")),
}  # fmt: skip
"""The words of a command that would run, and those behind them that cannot be."""
ALONE = (
    ("train", "nothing", "--data", "manifest.tsv", "-o", "new/out"),
    ("evaluate", "nothing", "-o", "new/out"),
    ("export", "nothing", "-o", "new/out"),
    ("predict", "nothing", "scan.nii", "-o", "new/out"),
    ("predict", "demo", "nothing.nii", "-o", "new/out"),
    ("predict", "demo", "short.tsv", "-o", "new/out"),
    ("explain", "demo", "nothing.nii", "-o", "new/out"),
    ("embed", "nothing", "manifest.tsv", "-o", "new/out"),
    ("embed", "demo", "short.tsv", "-o", "new/out"),
    ("preprocess", "short.tsv", "new/out"),
    ("preprocess", "manifest.tsv", "file/out", "--preset", "tiny"),
    ("describe", "short.tsv", "-o", "new/out"),
    ("split", "short.tsv", "-o", "new/out"),
    ("audit", "nothing"),
    ("ingest", "bids", "nothing", "-o", "new/out"),
    ("ingest", "bids", "download", "-o", "new/out"),
    ("simulate", "file/out", "--participants", "1"),
    ("reproduce", "nothing", "-o", "new/out"),
    ("demo", "file/out"),
    ("serve", "nothing"),
    ("serve", "demo", "--token-file", "file/token"),
    ("serve", "demo", "--device", "cuda:77"),
    ("weights", "convert", "m3d_clip", "nothing.pt"),
)
CASES = [*(base + more for base, all_of_it in WRONG.items() for more in all_of_it), *ALONE]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables, a split and a run of which every command could begin; not one image."""
    root = tmp_path_factory.mktemp("starts")
    rows = [
        ManifestRow.model_validate(
            {
                "participant_id": f"p{n}", "scan_id": f"s{n}", "image": f"scans/s{n}.nii.gz", "diagnosis": ("NC", "MCI", "AD")[n % 3],
                "age": 60 + n % 30, "sex": "FM"[n % 2], "mmse": 20 + n % 9, "hippocampus_mm3": 3000 + 10 * n, "source": "SIMULATED",
            }
        )
        for n in range(60)
    ]  # fmt: skip
    write_manifest(rows, root / "manifest.tsv")
    others = [row.model_copy(update={"participant_id": f"o{row.participant_id}", "scan_id": f"o{row.scan_id}"}) for row in rows]  # fmt: skip
    write_manifest(others, root / "other.tsv")
    split(root / "manifest.tsv", root / "split")
    split(root / "manifest.tsv", root / "folds", folds=2)
    adapter = adapter_folder(Path("demo"))
    shutil.copytree(adapter, root / "run" / "adapter")
    config: Any = read_facts(adapter).config
    (root / "run" / "config.json").write_text(RunConfig.model_validate(config).to_json(), encoding="utf-8")
    (root / "short.tsv").write_text("a\tb\n1\n", encoding="utf-8")
    (root / "file").write_text("mine", encoding="utf-8")
    (root / "scan.nii").touch()
    for name in "ab":
        (root / "scores" / name).mkdir(parents=True)
        (root / "scores" / name / "predictions.tsv").write_text(SCORES, encoding="utf-8")
    for name in ("mine", "download"):
        (root / name).mkdir()
        (root / name / "note.txt").write_text("mine", encoding="utf-8")
    return root


def everything(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("words", CASES, ids=" ".join)
def test_a_failed_start_leaves_nothing_and_reads_no_scan(
    words: tuple[str, ...], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a scan was opened")

    monkeypatch.chdir(place)
    monkeypatch.setenv("VOXTUNE_HOME", str(place / "home"))
    monkeypatch.setattr("voxtune.imaging.read.open_scan", never)
    monkeypatch.setattr("voxtune.audit.checks.look_at", never)
    before = everything(place)
    ended = CliRunner().invoke(main, words)
    after = everything(place)
    shutil.rmtree(place / "new", ignore_errors=True)
    assert ended.exit_code in {2, 3}, ended.output
    assert "Traceback" not in ended.output
    said = [
        line for line in ended.output.splitlines() if line.startswith((f"voxtune {words[0]}: ", "Error: "))
    ]
    assert len(said) == 1, ended.output
    assert after == before


HELD: dict[tuple[str, ...], str] = {
    TRAIN: "train",
    CURVE: OUTPUT,
    ("evaluate", "deft", "--data", "other.tsv", "-o", "new/out"): OUTPUT,
    EXPORT: OUTPUT,
    EXPLAIN: OUTPUT,
    EMBED: OUTPUT,
    PREPROCESS: "part-1-of-1",
    (*PREPROCESS, "--shard", "2/3"): "part-2-of-3",
    (*PREPROCESS, "--shard", "1/3"): "part-1-of-2",
    SPLIT: OUTPUT,
    ("simulate", "new/out", "--participants", "1"): OUTPUT,
    ("simulate", "new/out", "--kind", "chest"): OUTPUT,
    ("demo", "new/out"): OUTPUT,
    ("drift", "demo", "other.tsv", "-o", "new/out"): OUTPUT,
    ("similar", "demo", "scan.nii", "--data", "manifest.tsv", "-o", "new/out"): OUTPUT,
    ("compare", "scores/a", "scores/b", "-o", "new/out"): OUTPUT,
    ("volumes", "scan.nii", "-o", "new/out.tsv"): OUTPUT,
}
"""The words of commands that fill a folder, and the lock under which another process would be filling it."""
TAKE_TURNS = {
    "predict": "answers of two calls stand in one table, which one writes after the other",
    "reproduce": "any number of processes share the cells of a table, each under its own lock",
    "ingest": "one file",
    "describe": "one file",
    "weights": "one file",
}


@pytest.mark.parametrize("words", HELD, ids=" ".join)
def test_a_folder_that_another_process_fills_is_left_to_it(
    words: tuple[str, ...], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a scan was opened")

    monkeypatch.chdir(place)
    monkeypatch.setattr("voxtune.imaging.read.open_scan", never)
    monkeypatch.setattr("voxtune.audit.checks.look_at", never)
    with claimed(place / "new" / "out", HELD[words]) as mine:
        assert mine
        before = everything(place)
        ended = CliRunner().invoke(main, words)
        after = everything(place)
    shutil.rmtree(place / "new", ignore_errors=True)
    assert ended.exit_code == 2, ended.output
    assert "Another process" in ended.output
    assert "Traceback" not in ended.output
    assert after == before


def test_every_command_with_an_output_is_held_or_takes_turns() -> None:
    assert isinstance(main, click.Group)
    writing = {
        name
        for name, one in main.commands.items()
        if any(
            isinstance(part.type, click.Path) and {"-o", "out", "output"} & {*part.opts, part.name}
            for part in one.params
        )
    }
    assert writing <= {words[0] for words in HELD} | set(TAKE_TURNS)


def test_parts_of_as_many_are_done_at_once(tmp_path: Path) -> None:
    with one_part(tmp_path, 1, 2), one_part(tmp_path, 2, 2):
        pass
    assert list(tmp_path.iterdir()) == []
