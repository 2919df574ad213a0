"""The tree of user errors: each says where, what was expected, what came, and what to do.

VoxTuneError                     exit code
├── UsageError                   2   the command or a setting is wrong
│   ├── SettingError             2   a named setting has an impossible value
│   └── LicenceError             2   the licence of a base forbids what was asked
├── DataError                    3   a file, table or scan is not what it should be
│   ├── ScanError                3   one scan cannot be read or processed
│   ├── TableError               3   a column or row of a table is missing or wrong
│   └── WeightsError             3   a checkpoint or adapter does not fit
├── StorageError                 3   the disk is full, read-only, failing, or we may not write there
├── LeakageError                 4   training or evaluation refused: information crosses a split
├── SomeScansFailedError         5   the rest is done; a table says which failed and why
├── SomeFoldsFailedError         5   the other folds of a cross-validation are trained
├── SomeTrainingsFailedError     5   the other trainings of a learning curve are done
└── StoppedError           130, 143  stopped by Ctrl-C or SIGTERM with everything saved; --resume goes on
"""

from collections.abc import Mapping
from pathlib import Path


class VoxTuneError(Exception):
    """An error a person can act on: one sentence, no traceback on the command line."""

    exit_code = 1


class UsageError(VoxTuneError):
    """The command or one of its arguments is wrong."""

    exit_code = 2


class SettingError(UsageError):
    """A named setting has a value it cannot have."""

    def __init__(self, setting: str, expected: str, came: object) -> None:
        super().__init__(f"Setting '{setting}': expected {expected}, got {came!r}.")
        self.setting = setting


class LicenceError(UsageError):
    """The licence of a base forbids what was asked; the message names the clause."""


class DataError(VoxTuneError):
    """A file, table or scan is not what it should be."""

    exit_code = 3


class ScanError(DataError):
    """One scan cannot be read or processed; the message names the file and the cause."""

    def __init__(self, scan: str | Path, cause: str, todo: str = "") -> None:
        # Only the file's own name: full paths often hold names of people and sites.
        name = Path(scan).name if isinstance(scan, Path) else scan
        super().__init__(
            f"{name}: {cause}{'.' if not cause.endswith('.') else ''}{' ' + todo if todo else ''}"
        )
        self.scan = name
        self.cause = cause
        self.todo = todo


class TableError(DataError):
    """A column or row of a table is missing or wrong."""

    def __init__(self, table: str | Path, cause: str, todo: str = "") -> None:
        name = Path(table).name if isinstance(table, Path) else table
        super().__init__(
            f"{name}: {cause}{'.' if not cause.endswith('.') else ''}{' ' + todo if todo else ''}"
        )
        self.table = name


class WeightsError(DataError):
    """A checkpoint or an adapter does not fit the model it is meant for, or is not safe to load."""


class StorageError(VoxTuneError):
    """The disk is full, read-only or failing, or we may not write there: whatever is being done ends, no single scan is to blame."""

    exit_code = 3


class LeakageError(VoxTuneError):
    """Information crosses a split; nothing was trained or scored."""

    exit_code = 4


class SomeScansFailedError(VoxTuneError):
    """Some scans failed and the rest are done."""

    exit_code = 5

    def __init__(self, failed: int, total: int, table: str | Path) -> None:
        # As the caller named its folder: this is read where the command was typed.
        super().__init__(f"{failed} of {total} scans failed, the rest are done; {table} says which and why.")
        self.failed = failed
        self.total = total


class SomeFoldsFailedError(VoxTuneError):
    """Some folds of a cross-validation failed and the others are trained."""

    exit_code = 5

    def __init__(self, failed: Mapping[str, str], total: int) -> None:
        listed = " ".join(f"{name}: {why}" for name, why in failed.items())
        super().__init__(
            f"{len(failed)} of {total} folds failed, the rest are trained; --resume tries these again. {listed}"
        )
        self.failed = dict(failed)


class SomeTrainingsFailedError(VoxTuneError):
    """Some trainings of a learning curve or cells of a paper's tables failed and the others are done."""

    exit_code = 5

    def __init__(self, failed: Mapping[str, str]) -> None:
        listed = " ".join(f"{name}: {why}" for name, why in failed.items())
        super().__init__(
            f"{len(failed)} trainings failed, the rest are done; the same command tries these again. {listed}"
        )
        self.failed = dict(failed)


class StoppedError(VoxTuneError):
    """A training was asked to stop and saved where it stood; 128 plus the signal, as shells report it."""

    def __init__(self, signal: int, epoch: int, step: int) -> None:
        super().__init__(
            f"Stopped on request in epoch {epoch + 1} after step {step}; everything is saved, --resume goes on from there."
        )
        self.exit_code = 128 + signal
