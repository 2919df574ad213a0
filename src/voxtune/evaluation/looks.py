"""Every look at a test set is written down: the more often it is seen, the less a good figure on it means."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from voxtune.errors import DataError
from voxtune.types.records import Prediction


def log_look(log: Path, predictions: Sequence[Prediction], cohort: str, when: datetime) -> int:
    """Add one line to a log of looks and count the looks at these scans so far, this one included.

    The scans are kept as a hash: the log can be shared.

    Args:
        log: ``looks.jsonl``; made where it is absent.
        predictions: of the scans that were scored.
        cohort: its name, for a reader of the log.
        when: the time of the look.

    Raises:
        DataError: a line of the log is not one of ours.
    """
    scans = hashlib.sha256("\n".join(sorted(one.scan_id for one in predictions)).encode()).hexdigest()
    try:
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        before = [json.loads(line)["scans_sha256"] for line in lines].count(scans)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{log.name}: not a log of looks ({error}). Move it away to begin a new one."
        ) from None
    log.parent.mkdir(parents=True, exist_ok=True)
    line = {
        "when": when.isoformat(timespec="seconds"),
        "cohort": cohort,
        "scans": len(predictions),
        "scans_sha256": scans,
    }
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    return before + 1
