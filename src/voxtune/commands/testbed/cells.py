"""One cell of a testbed: a row in a regime on a cohort, trained in memory and scored on both sides; and the rules beside it."""

import hashlib
import json
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from voxtune.commands.reproduce.paper import Mode, agrees, identity
from voxtune.commands.reproduce.sweep import Work
from voxtune.commands.testbed.design import SIDES, Regime
from voxtune.commands.testbed.people import People, Size, embedded_of, identity_of, people_of
from voxtune.config import ReportSettings, RunConfig
from voxtune.errors import SettingError
from voxtune.run_dir import shared_config
from voxtune.types.records import ManifestRow

if TYPE_CHECKING:
    from torch import Tensor

BEST = "best_possible"
"""Beside the simple rules: the reader that knows the true posterior given what a picture shows."""
CellMode = Mode | Literal["rules"]
Said = Mapping[str, Sequence[int]]
"""By side, the class that is said of each test scan in order."""


@dataclass(frozen=True)
class CohortCell:
    """A row in a regime on a cohort; or, in mode ``rules``, the rules that need no model."""

    config: RunConfig
    mode: CellMode
    regime: Regime
    cohort: int

    @property
    def base(self) -> str:
        """Name of the base; empty of rules."""
        return "" if self.mode == "rules" else str(self.config.model_dump(mode="json")["backbone"]["kind"])

    @property
    def name(self) -> str:
        """The folder of the cell; rows that describe the same run give the same name."""
        if self.mode == "rules":
            return f"rules-{self.regime.name}--cohort{self.cohort}"
        said = identity(self.config)
        if self.mode != "trained":
            said = {key: said[key] for key in ("backbone", "preset") if key in said}
        regime = [self.regime.scans, self.regime.labelled]
        digest = hashlib.sha256(json.dumps([said, self.mode, regime], sort_keys=True).encode()).hexdigest()[
            :10
        ]
        return f"{self.base}-{self.mode}-{self.regime.name}-{digest}--cohort{self.cohort}"

    def made_by(self, stored: dict[str, Any]) -> bool:
        """Whether a stored configuration made the very run that this cell asks for."""
        return self.mode != "trained" or agrees(stored, shared_config(self.config))


@dataclass(frozen=True)
class CohortSweep(Work[CohortCell]):
    """All cells of a testbed."""

    folder_of_all: Path
    cells: tuple[CohortCell, ...]
    encoders: Mapping[str, RunConfig]
    size: Size = field(default_factory=Size)

    @property
    def root(self) -> Path:
        """The folder of the testbed."""
        return self.folder_of_all

    @property
    def all_cells(self) -> tuple[CohortCell, ...]:
        """Every cell."""
        return self.cells

    def run(self, cell: CohortCell) -> dict[str, Any]:
        """Train (or not) and score."""
        return run_testbed_cell(self, cell)

    def resolved(self) -> "CohortSweep":
        """Under an absolute path."""
        return replace(self, folder_of_all=self.folder_of_all.resolve())


def run_testbed_cell(sweep: CohortSweep, cell: CohortCell) -> dict[str, Any]:
    """What a cell gives: the accuracy on each side, and what was said scan by scan. On one thread, so that it gives the same again."""
    import torch

    from voxtune.simulate.subjects import CLASSES
    from voxtune.training.environment import environment

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        people = people_of(sweep.root, cell.cohort, sweep.encoders, sweep.size)
        began, cpu = time.perf_counter(), time.process_time()
        said, counts = _RUN[cell.mode](sweep, cell, people)
    finally:
        torch.set_num_threads(threads)
    truth = [CLASSES.index(str(row.diagnosis)) for row in people.test("same")]
    return {
        "status": "done",
        "cell": cell.name,
        "mode": cell.mode,
        "regime": cell.regime.name,
        "cohort": cell.cohort,
        "simulated": True,
        **counts,
        "accuracy": {name: _accuracy(sides, truth) for name, sides in said.items()},
        "said": {
            name: {side: "".join(map(str, some)) for side, some in sides.items()}
            for name, sides in said.items()
        },
        "truth": "".join(map(str, truth)),
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "environment": environment(),
        "config": shared_config(cell.config),
    }


def _accuracy(sides: Said, truth: Sequence[int]) -> dict[str, float]:
    return {
        side: sum(one == true for one, true in zip(some, truth, strict=True)) / len(truth)
        for side, some in sides.items()
    }


Ran = tuple[dict[str, Said], dict[str, Any]]


def _trained(sweep: CohortSweep, cell: CohortCell, people: People) -> Ran:
    from voxtune.commands.train.in_memory import train_in_memory
    from voxtune.simulate.subjects import CLASSES

    train, val = people.sides(cell.regime, cell.cohort)
    if not states_more_than_label(cell.config.report):
        train = [row for row in train if row.diagnosis]
    tests = {side: [row.scan_id for row in people.test(side)] for side in SIDES}
    wanted = {*(row.scan_id for row in (*train, *val)), *(name for names in tests.values() for name in names)}
    embedded = _embedded(sweep, cell)
    done = train_in_memory(
        cell.config, CLASSES, train, val, {name: embedded[name] for name in embedded if name in wanted}
    )
    said = {}
    for side, names in tests.items():
        logits = done.see(names).logits
        assert logits is not None
        said[side] = logits.argmax(dim=1).tolist()
    parameters = list(done.model.parameters())
    counts = {
        "trained_parameters": sum(one.numel() for one in parameters if one.requires_grad),
        "parameters": sum(one.numel() for one in parameters),
        "steps": done.plan.steps,
        "training_scans": len(train),
    }
    return {"": said}, counts


def _embedded(sweep: CohortSweep, cell: CohortCell) -> "dict[str, Tensor]":
    """The encoded pictures of the cohort.

    Raises:
        SettingError: the row is on another base than the one that encoded them.
    """
    encoder = sweep.encoders.get(cell.base)
    if encoder is None or identity_of(encoder) != identity_of(cell.config):
        raise SettingError("backbone", f"one of the testbed as it is shipped ({', '.join(sweep.encoders)})", cell.base)  # fmt: skip
    return embedded_of(sweep.root, cell.cohort, cell.base, encoder)


def states_more_than_label(report: ReportSettings) -> bool:
    """Whether the text of a scan without a diagnosis says anything."""
    return report.template != "label"


def _frozen(sweep: CohortSweep, cell: CohortCell, people: People) -> Ran:
    """The base as it was published, or a logistic regression on its vectors."""
    import torch

    from voxtune.evaluation.answers import see_scans
    from voxtune.evaluation.baseline_answers import regression
    from voxtune.model.build import frozen_base
    from voxtune.model.questions import encoded_texts
    from voxtune.simulate.subjects import CLASSES
    from voxtune.tasks.task import task_of

    base = frozen_base(cell.config)
    embedded: Mapping[str, Tensor] = _embedded(sweep, cell)
    texts = {"": encoded_texts(base, task_of(cell.config.settled(), CLASSES).class_texts())}

    def seen(rows: Sequence[ManifestRow]) -> "tuple[Tensor, Tensor]":
        names = [row.scan_id for row in rows]
        outputs, logits = see_scans(base, texts, names, embedded.__getitem__, embedded=True, published=True)
        return outputs.vectors, logits[""]

    train = [row for row in people.sides(cell.regime, cell.cohort)[0] if row.diagnosis]
    known = seen(train)[0].double().numpy()
    labels = torch.tensor([CLASSES.index(str(row.diagnosis)) for row in train]).numpy()
    said = {}
    for side in SIDES:
        vectors, logits = seen(people.test(side))
        answers = logits.numpy()
        if cell.mode == "linear_probe":
            answers = regression(known, vectors.double().numpy(), labels, len(CLASSES), 0)
        said[side] = [int(one) for one in answers.argmax(axis=1)]
    probe = cell.mode == "linear_probe"
    counts = {
        "trained_parameters": (known.shape[1] + 1) * len(CLASSES) if probe else 0,
        "parameters": sum(one.numel() for one in base.parameters()),
        "steps": 0,
        "training_scans": len(train) if probe else 0,
    }
    return {"": said}, counts


def _rules(_: CohortSweep, cell: CohortCell, people: People) -> Ran:
    """Rules that need no model, fitted on the same training scans, and the best possible."""
    from voxtune.simulate.simple_rules import simple_rule_answers
    from voxtune.simulate.subjects import CLASSES

    train = [row for row in people.sides(cell.regime, cell.cohort)[0] if row.diagnosis]
    best = [people.best[row.scan_id] for row in people.test("same")]
    said: dict[str, dict[str, Sequence[int]]] = {BEST: dict.fromkeys(SIDES, best)}
    for side in SIDES:
        test = people.test(side)
        found = simple_rule_answers(
            [row.model_dump() for row in train],
            [people.pictures[row.scan_id] for row in train],
            [row.model_dump() for row in test],
            [people.pictures[row.scan_id] for row in test],
        )
        for name, answers in found.items():
            said.setdefault(name, {})[side] = [CLASSES.index(one) for one in answers]
    return dict(said), {"training_scans": len(train)}


_RUN = {"trained": _trained, "zero_shot": _frozen, "linear_probe": _frozen, "rules": _rules}
