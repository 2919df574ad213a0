"""Cells of some tables, where they are and what each of them gave."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

from voxtune.commands.reproduce.data import Sources
from voxtune.commands.reproduce.paper import Cell
from voxtune.config import RunConfig
from voxtune.errors import DataError
from voxtune.run_dir import read_json
from voxtune.types.stored import CellFailure, CellResult

RESULT = "result.json"
FAILED = "failed.json"


class AnyCell(Protocol):
    """A piece of work that is done once."""

    @property
    def name(self) -> str:
        """Its folder."""

    @property
    def config(self) -> RunConfig:
        """What is run."""

    def made_by(self, stored: dict[str, Any]) -> bool:
        """Whether a stored configuration made the very run that this cell asks for."""


CellT = TypeVar("CellT", bound=AnyCell)


class Work(Generic[CellT]):
    """Cells in a folder that any number of processes may work on."""

    @property
    def root(self) -> Path:
        """The folder of all of it."""
        raise NotImplementedError

    @property
    def all_cells(self) -> Sequence[CellT]:
        """Every cell."""
        raise NotImplementedError

    def run(self, cell: CellT) -> dict[str, Any]:
        """Do a cell; its result."""
        raise NotImplementedError

    def resolved(self) -> Self:
        """The same under absolute paths, for processes that run in folders of their own."""
        raise NotImplementedError

    def folder(self, cell: CellT) -> Path:
        """The run directory of a cell."""
        return self.root / "cells" / cell.name

    def result(self, cell: CellT) -> dict[str, Any] | None:
        """What a finished cell gave; ``None`` where it is not finished."""
        path = self.folder(cell) / RESULT
        if not path.is_file():
            return None
        found = read_json(path, "the result of a cell", CellResult)
        if not cell.made_by(found["config"]):
            raise DataError(
                f"Cell {cell.name} was made with other defaults of this program; remove that folder to run it again."
            )
        return found

    def failure(self, cell: CellT) -> str | None:
        """Why the last try of an unfinished cell failed."""
        path = self.folder(cell) / FAILED
        return str(read_json(path, "the failure of a cell", CellFailure)["error"]) if path.is_file() else None


@dataclass(frozen=True)
class Sweep(Work[Cell]):
    """The cells of some tables on one pair of cohorts or more."""

    sources: Sources
    cells: tuple[Cell, ...]
    external_classes: tuple[str, ...] = ()

    @property
    def root(self) -> Path:
        """The folder of the reproduction."""
        return self.sources.root

    @property
    def all_cells(self) -> tuple[Cell, ...]:
        """Every cell."""
        return self.cells

    def resolved(self) -> Self:
        """Root and manifests as absolute paths."""
        found = self.sources
        manifests = {role: path.resolve() for role, path in found.manifests.items()}
        return replace(self, sources=replace(found, root=found.root.resolve(), manifests=manifests))
