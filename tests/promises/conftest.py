"""One small study for each task: a cohort, another one whose folder is called ``test``, two seeds and two folds."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from voxtune.cli import main
from voxtune.data.manifest import read_manifest, read_table, write_table

TASKS = ("diagnosis", "findings", "one target", "several targets", "event")


def call(*arguments: object, code: int = 0) -> Result:
    """A command in this process; its exit code is checked."""
    result = CliRunner().invoke(main, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == code, f"{arguments}: {result.output}"
    return result


@dataclass(frozen=True)
class Study:
    """The files of one task."""

    task: str
    root: Path

    def call(self, *arguments: object, code: int = 0) -> Result:
        """A command in this process; its exit code is checked."""
        return call(*arguments, code=code)

    @property
    def manifest(self) -> Path:
        return self.root / "cohort" / "manifest.tsv"

    @property
    def other(self) -> Path:
        """Another cohort, in a folder that has the name of a run's own evaluation."""
        return self.root / "test" / "manifest.tsv"

    @property
    def run(self) -> Path:
        return self.root / "seeds" / "run-0"

    @property
    def seeds(self) -> list[Path]:
        return [self.run, self.root / "seeds" / "run-1"]

    @property
    def folds(self) -> Path:
        return self.root / "cv"

    @property
    def own(self) -> Path:
        """The evaluation of the run on its own test side."""
        return self.run / "evaluation" / "test"

    def json(self, path: Path) -> dict[str, Any]:
        """A strict JSON file."""

        def refuse(text: str) -> None:
            raise AssertionError(f"{path.name} holds {text}")

        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
        return found

    @property
    def headline(self) -> str:
        return {"diagnosis": "accuracy", "findings": "auroc", "event": "c_index"}.get(self.task, "mmse_mae")

    @property
    def train(self) -> tuple[str, ...]:
        """The recipe and what is set of it."""
        if self.task == "findings":
            return ("medct_small",)
        fixed = ("deft", "--set", "vision=visual_prompts(2)", "--set", "text=none")
        if self.task == "one target":
            return (*fixed, "--set", "classes=none", "--set", "targets=mmse")
        if self.task == "event":
            return (
                *fixed,
                "--set",
                "event=conversion",
                "--set",
                "targets=none",
                "--set",
                "loss.class_weight=1",
            )
        return (
            (*fixed, "--set", "targets=mmse, age(units=years, low=0, high=120)")
            if self.task == "several targets"
            else fixed
        )


def _followed(cohort: Path, folder: Path) -> Path:
    """The same scans with an event that comes the sooner the smaller the hippocampus, and with people who are lost on the way."""
    rows = read_table(cohort / "manifest.tsv")
    for number, row in enumerate(rows):
        comes = round(0.3 + (float(row["hippocampus_mm3"]) / 2000) ** 2 / 4, 3)
        lost = 0.8 + (number * 7 % 10) / 2
        row |= {"conversion_years": str(min(comes, lost)), "conversion_status": str(int(comes <= lost))}
    folder.mkdir(parents=True)
    (folder / "scans").symlink_to(cohort / "scans", target_is_directory=True)
    write_table(folder / "manifest.tsv", tuple(rows[0]), rows)
    return folder


def _made(task: str, root: Path, cohorts: dict[str, Path]) -> Study:
    study = Study(task, root)
    kind = {"findings": "chest", "event": "event"}.get(task, "brain")
    for name in ("cohort", "test"):
        (root / name).symlink_to(cohorts[f"{kind}-{name}"], target_is_directory=True)
    call("split", study.manifest, "-o", root / "split", "--seed", 1, "--test", 0.34, "--val", 0.25)
    call("split", study.manifest, "-o", root / "folds", "--seed", 1, "--folds", 2, "--val", 0.3)
    one_epoch = ("--set", "training.epochs=1", "--data", study.manifest)
    for seed in (0, 1):
        call("train", *study.train, *one_epoch, "-o", root / "seeds" / f"run-{seed}", "--split", root / "split", "--set", f"seed={seed}")  # fmt: skip
        call("train", *study.train, *one_epoch, "-o", root / "cv" / f"fold-{seed}", "--split", root / "folds" / f"fold_{seed}")  # fmt: skip
    call("evaluate", study.run)
    return study


@pytest.fixture(scope="session")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Simulated brains and chests, two cohorts of each."""
    root = tmp_path_factory.mktemp("cohorts")
    found: dict[str, Path] = {}
    for name, people, seed in (("cohort", 30, 3), ("test", 9, 8)):
        call("simulate", root / "brain" / name, "--participants", people, "--visits", 1, "--seed", seed)
        found |= {f"event-{name}": _followed(root / "brain" / name, root / "event" / name)}
        raw, study = root / f"raw-{name}", root / f"study-{name}" / "manifest.tsv"
        call("simulate", raw, "--kind", "chest", "--participants", people, "--visits", 1, "--seed", seed)
        call("ingest", "ct_rate", raw, "-o", study)
        call("preprocess", study, root / "chest" / name, "--preset", "ct_clip_small")
        found |= {f"{kind}-{name}": root / kind / name for kind in ("brain", "chest")}
    return found


@pytest.fixture(scope="session", params=TASKS)
def study(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cohorts: dict[str, Path]
) -> Study:
    """The study of each task in turn."""
    task: str = request.param
    return _made(task, tmp_path_factory.mktemp(task.replace(" ", "_")), cohorts)


@pytest.fixture(scope="session")
def people() -> Any:
    """The participants of a manifest."""
    return lambda manifest: {row.participant_id for row in read_manifest(manifest)}
