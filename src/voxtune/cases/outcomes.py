"""What became of people, where more than one class is asked: which findings are there, or by which horizon an event came."""

from collections.abc import Sequence

import numpy as np

from voxtune.cases.nearest import Floats
from voxtune.model.adapter import LoadedAdapter
from voxtune.model.questions import FindingQuestion, Question, question_of
from voxtune.types.records import ManifestRow


def outcome_names(loaded: LoadedAdapter) -> tuple[str, ...]:
    """The findings of an adapter, or its event by each horizon; none where one class of several, or numbers alone, are asked."""
    question, event = question_of(loaded.facts), loaded.config.event
    if question.choice == "one":
        return ()
    return tuple(f"{event.name.replace('_', ' ')} by {name}" if event else name for name in question.names)


def outcomes_of(loaded: LoadedAdapter, rows: Sequence[ManifestRow]) -> list[dict[str, float]]:
    """Of each row, 1 for a finding that is there or an event that came, 0 for one that did not; what the table does not say is absent.

    Raises:
        TableError: a cell is not what its column should hold.
    """
    names = outcome_names(loaded)
    if not names:
        return [{} for _ in rows]
    truth = known_truth(question_of(loaded.facts), rows)
    return [
        {name: float(value) for name, value in zip(names, one, strict=True) if np.isfinite(value)}
        for one in truth
    ]


def known_truth(question: Question, rows: Sequence[ManifestRow]) -> Floats:
    """What the manifest says (n, k); NaN where it does not, also of a finding that it has no column of: a bank needs no labels.

    Raises:
        TableError: a cell is not what its column should hold.
    """
    if rows and isinstance(question, FindingQuestion):
        columns = {name for row in rows for name in (row.model_extra or {})}
        unknown = {name: None for name in question.findings if name not in columns}
        rows = [ManifestRow.model_validate(rows[0].model_dump() | unknown), *rows[1:]]
    return question.truth(rows)
