"""Every look at a test set is written down: the more often it is seen, the less a good figure on it means."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from voxtune.errors import DataError, StorageError
from voxtune.run_dir import append_line
from voxtune.storage.strict_json import loads
from voxtune.storage.write import whole_lines

LOOKS = "looks.jsonl"


@dataclass(frozen=True)
class Look:
    """One scoring of a set of scans."""

    cohort: str
    """Its name, for a reader of the log."""
    model: str
    """What tells one model from another: the sha256 of the adapter, or the name of a base."""
    when: datetime


@dataclass(frozen=True)
class Looks:
    """How often the same scans have been scored, this time included, and by how many different models."""

    times: int
    models: int


def log_look(logs: Sequence[Path], scan_ids: Sequence[str], look: Look) -> Looks:
    """Add one line to each log and count the looks at these scans in the log that knows most of them.

    The scans are kept as a hash: a log can be shared. One log lies in the run, another beside the manifest, where all runs on
    the same test set meet; a folder that cannot be written to, or a log of another user, is passed over.

    Args:
        logs: files ``looks.jsonl``; made where absent.
        scan_ids: that were scored.
        look: by whom and when.

    Raises:
        DataError: a line of a log is not one of ours.
    """
    scans = hashlib.sha256("\n".join(sorted(scan_ids)).encode()).hexdigest()
    line = {
        "when": look.when.isoformat(timespec="seconds"),
        "cohort": look.cohort,
        "model": look.model,
        "scans": len(scan_ids),
        "scans_sha256": scans,
    }
    counts = Looks(1, 1)
    for log in logs:
        models = [*(one["model"] for one in _read(log) if one["scans_sha256"] == scans), look.model]
        counts = max(counts, Looks(len(models), len(set(models))), key=lambda one: (one.times, one.models))
        with suppress(OSError, StorageError):
            append_line(log, json.dumps(line))
    return counts


def _read(log: Path) -> list[dict[str, Any]]:
    try:
        lines = whole_lines(log.read_text(encoding="utf-8")) if log.exists() else []
        found = [loads(line) for line in lines]
        return [{"model": one.get("model", ""), "scans_sha256": one["scans_sha256"]} for one in found]
    except PermissionError:
        return []
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{log.name}: not a log of looks ({type(error).__name__}). Move it away to begin a new one."
        ) from None
