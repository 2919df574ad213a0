"""What a record of a prediction must hold before it can be scored."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from voxtune.errors import DataError
from voxtune.types.records import Prediction


def check_once(scan_ids: Sequence[str]) -> None:
    """Refuse a scan that stands twice.

    Raises:
        DataError: the scan is named.
    """
    twice = [name for name, times in Counter(scan_ids).items() if times > 1]
    if twice:
        raise DataError(
            f"{twice[0]}: predicted more than once, as {len(twice) - 1} other scans. Remove the copies."
        )


def check_record(one: Prediction, classes: Sequence[str]) -> None:
    """Refuse a scored scan without a participant, or with a label or probabilities that cannot be.

    Raises:
        DataError: what is wrong, and of which scan.
    """
    known = ", ".join(classes)
    if one.participant_id is None:
        raise DataError(
            f"{one.scan_id}: no participant_id, so no honest interval. Give every scored scan its participant."
        )
    if one.diagnosis not in classes:
        raise DataError(
            f"{one.scan_id}: diagnosis '{one.diagnosis}' is not among the classes {known}. "
            "Map it to one of them, or leave it empty so that the scan is predicted but not scored."
        )
    if one.predicted not in classes:
        raise DataError(f"{one.scan_id}: predicted '{one.predicted}' is not among the classes {known}.")
    values = np.array([one.probabilities.get(name, np.nan) for name in classes])
    if not np.isfinite(values).all():
        raise DataError(
            f"{one.scan_id}: expected a finite probability for each of {known}, got {one.probabilities}."
        )
    if (values < 0).any() or (values > 1).any() or abs(values.sum() - 1) > 1e-3:
        raise DataError(
            f"{one.scan_id}: probabilities must lie in 0..1 and sum to 1 over {known}, got {one.probabilities}."
        )
