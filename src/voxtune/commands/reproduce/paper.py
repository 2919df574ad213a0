"""What a paper reports, as data: its tables, their rows, the published numbers, and the run behind each row.

A paper is a function of ``catalog.PAPERS`` that takes the name of a base and returns a :class:`Paper`; two of them are in
``voxtune_recipes``. Rows whose runs are the same share their cells, whatever table they stand in.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from voxtune.config import RunConfig
from voxtune.run_dir import LOCAL, shared_config
from voxtune.types.settings import Settings

Mode = Literal["trained", "zero_shot", "linear_probe", "quoted"]
"""How a row comes about; ``quoted`` is the published number alone."""
Role = str
"""What a block of a table is about: ``own`` (the test side of the cohort that trained), ``external`` or ``external-NAME``; of findings, a score."""


@dataclass(frozen=True)
class Value:
    """A published figure in percent with its spread over runs, where the paper gives one."""

    value: float
    sd: float | None = None


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    label: str
    config: RunConfig | None = None
    """``None``: only quoted."""
    mode: Mode = "trained"
    published: Mapping[Role, Value] = field(default_factory=dict)
    published_trained: float | None = None
    """Trained parameters the paper gives, millions."""
    size: int | None = None
    """Training scans in the paper (its table of sizes); the share of the cohort is this over the table's largest."""
    against: str = ""
    """Label of the row it is tested against, where that is not the table's reference."""
    prefix: str = ""
    """Of findings: the row is what this prefix names in the scores of the run (``baseline/zero_shot/``)."""


@dataclass(frozen=True)
class Table:
    """A table of accuracies."""

    number: int
    caption: str
    rows: tuple[Row, ...]
    reference: str
    """Label of the row that the others are tested against."""

    def reference_of(self, row: Row) -> str:
        """Label of the row that a row is tested against."""
        return row.against or self.reference

    def is_reference(self, row: Row) -> bool:
        """Whether some row is tested against this one."""
        return any(self.reference_of(other) == row.label for other in self.rows)

    @property
    def largest(self) -> int | None:
        """The largest training size among the rows."""
        return max((row.size for row in self.rows if row.size is not None), default=None)


@dataclass(frozen=True)
class Paper:
    """A paper: its tables and what its two cohorts are called."""

    name: str
    citation: str
    cohorts: Mapping[Role, str]
    """By block; of findings, the scores."""
    external_classes: tuple[str, ...]
    tables: Mapping[int, Table]
    base: str
    """The backbone under the tables that have one base."""
    published_base: str
    """The one the paper used there."""
    task: Literal["diagnosis", "findings"] = "diagnosis"
    """What its runs are asked: one class of several, or many findings, each yes or no."""
    people: str = ""
    """Of findings: what the cohort is called."""
    participants: int = 200
    """Of the simulated cohort."""
    explained: Row | None = None
    """Whose first seed the tables of tokens and the figure of maps explain."""
    words: int | None = None
    """Number of the table of tokens."""
    maps: int | None = None
    """Number of the figure of maps, and of the heat map of words by stage."""
    participants_table: int | None = None
    """Number of the table that says who the people are."""
    people_published: str = ""
    """What the paper says of its people, in a sentence."""
    others: tuple[Role, ...] = ()
    """Of the cohorts, those that the user tests on and the paper has not."""
    simulated_edits: tuple[str, ...] = ()
    """Settings that differ where ``tiny`` learns on the simulated cohort, so that two CPU cores finish a table in an hour."""


@dataclass(frozen=True)
class Cell:
    """One run of a sweep: a configuration with a seed, on a share of the training scans."""

    config: RunConfig
    mode: Mode
    share: float | None = None
    """Of the training scans; ``None`` is all of them."""
    fingerprint: str = ""
    """Of the weights file, so that other weights are other cells."""

    @property
    def name(self) -> str:
        """The folder of the cell; rows that describe the same run give the same name."""
        config = self._read_of(identity(self.config))
        said = json.dumps([config, self.mode, self.share, self.fingerprint], sort_keys=True)
        digest = hashlib.sha256(said.encode()).hexdigest()[:10]
        size = f"-{round(100 * self.share)}pc" if self.share is not None else ""
        return f"{config['backbone']['kind']}-{self.mode}{size}-{digest}--seed{self.config.seed}"

    def made_by(self, stored: dict[str, Any]) -> bool:
        """Whether a stored configuration (of ``shared_config``) made the very run that this cell asks for."""
        return agrees(self._read_of(stored), shared_config(self.config))

    def _read_of(self, tree: dict[str, Any]) -> dict[str, Any]:
        """What the run reads of a configuration: what is never read makes no other run."""
        if self.mode == "trained":
            return tree
        return {key: tree[key] for key in ("backbone", "preset", "classes") if key in tree}


def identity(config: RunConfig) -> dict[str, Any]:
    """What makes a run this run and no other: settings that are not the default, without name, seed and places.

    Defaults stay out, so that a new setting whose default changes nothing leaves finished cells alone.
    """
    tree: dict[str, Any] = config.model_dump(
        mode="json", exclude_defaults=True, exclude={"name", "seed", "backbone", "vision", "text"}
    )
    kinds = config.model_dump(mode="json")

    def said(one: Settings, kind: str) -> dict[str, Any]:
        return {"kind": kind, **one.model_dump(mode="json", exclude_defaults=True, exclude=set(LOCAL))}

    tree["backbone"] = said(config.backbone, kinds["backbone"]["kind"])
    for side in ("vision", "text"):
        tree[side] = [
            said(one, full["kind"]) for one, full in zip(getattr(config, side), kinds[side], strict=True)
        ]
    return tree


def agrees(stored: Any, wanted: Any) -> bool:
    """Whether a stored configuration says the same as another in everything that both of them know."""
    if isinstance(stored, dict) and isinstance(wanted, dict):
        return all(agrees(stored[key], wanted[key]) for key in stored.keys() & wanted.keys() - {"name"})
    return bool(stored == wanted)


def cells_of(row: Row, table: Table, seeds: int, fingerprint: str = "") -> list[Cell]:
    """The runs behind a row, one a seed; what is not trained has no seed, so one."""
    if row.config is None:
        return []
    largest = table.largest
    share = row.size / largest if row.size is not None and largest else None
    count = seeds if row.mode == "trained" else 1
    share = share if share is not None and share < 1 else None
    config = row.config if share is None else same_steps(row.config, share)
    return [
        Cell(config.model_copy(update={"seed": seed}), row.mode, share, fingerprint) for seed in range(count)
    ]


def same_steps(config: RunConfig, share: float) -> RunConfig:
    """The configuration with as many steps on a share of the scans as on all of them: fewer scans, more epochs; a length in steps stays."""
    training = config.training
    if training.epochs is None:
        return config
    update: dict[str, Any] = {"epochs": round(training.epochs / share)}
    if training.stop_after is not None:
        update["stop_after"] = round(training.stop_after / share)
    return config.model_copy(update={"training": training.model_copy(update=update)})
