"""The cells of some tables and what each of them gave."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxtune.commands.reproduce.data import Sources
from voxtune.commands.reproduce.paper import Cell
from voxtune.errors import DataError
from voxtune.run_dir import read_json

RESULT = "result.json"
FAILED = "failed.json"


@dataclass(frozen=True)
class Sweep:
    """The cells of some tables and where they are."""

    sources: Sources
    cells: tuple[Cell, ...]
    external_classes: tuple[str, ...] = ()

    def folder(self, cell: Cell) -> Path:
        """The run directory of a cell."""
        return self.sources.root / "cells" / cell.name

    def result(self, cell: Cell) -> dict[str, Any] | None:
        """What a finished cell gave; ``None`` where it is not finished."""
        path = self.folder(cell) / RESULT
        if not path.is_file():
            return None
        found = read_json(path, "the result of a cell")
        if not cell.made_by(found["config"]):
            raise DataError(
                f"Cell {cell.name} was made with other defaults of this program; remove that folder to run it again."
            )
        return found

    def failure(self, cell: Cell) -> str | None:
        """Why the last try of an unfinished cell failed."""
        path = self.folder(cell) / FAILED
        return str(read_json(path, "the failure of a cell")["error"]) if path.is_file() else None
