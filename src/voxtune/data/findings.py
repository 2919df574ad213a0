"""Findings of the manifest (0, 1, n/a) as arrays: labels by scan, weights by class, pair texts in their order."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from voxtune.data.manifest import MISSING_WORDS
from voxtune.errors import DataError, SettingError, TableError
from voxtune.types.records import ManifestRow

PRESENT = {"1": 1.0, "1.0": 1.0, "0": 0.0, "0.0": 0.0}


def finding_labels(rows: Sequence[ManifestRow], findings: Sequence[str]) -> Float[Tensor, "N F"]:
    """1, 0 or NaN of each finding in each scan.

    Raises:
        DataError: the manifest has no column of that name.
        TableError: a cell is neither 0 nor 1 nor missing; scan and column are named.
    """
    if rows:
        columns = {name for row in rows for name in (row.model_extra or {})}
        if absent := [name for name in findings if name not in columns]:
            raise DataError(
                f"The manifest has no column '{absent[0]}' ({len(absent)} of {len(findings)} findings are absent). Findings are columns "
                "named as in 'classes.findings', 0 or 1; 'voxtune ingest ct_rate' writes them."
            )
    labels = np.full((len(rows), len(findings)), np.nan, dtype=np.float32)
    for number, row in enumerate(rows):
        extra = row.model_extra or {}
        for place, name in enumerate(findings):
            cell = extra.get(name)
            if cell is None or str(cell) in MISSING_WORDS:
                continue
            if str(cell) not in PRESENT:
                raise TableError(
                    "manifest", f"scan '{row.scan_id}', column '{name}': expected 0, 1 or n/a, got '{cell}'"
                )
            labels[number, place] = PRESENT[str(cell)]
    return torch.from_numpy(labels)


def with_findings(rows: Sequence[ManifestRow], findings: Sequence[str]) -> list[ManifestRow]:
    """The rows in which at least one finding is known.

    Raises:
        DataError: none has one, or a column is absent.
    """
    known = ~finding_labels(rows, findings).isnan()
    kept = [row for row, some in zip(rows, known.any(dim=1).tolist(), strict=True) if some]
    if not kept:
        raise DataError(f"No scan of {len(rows)} has a label of any of the {len(findings)} findings.")
    return kept


def cell_weights(
    labels: Float[Tensor, "N F"], train: Float[Tensor, "M F"], *, balanced: bool
) -> Float[Tensor, "N F"]:
    """The weight of each cell in the loss: n / (2 n_side) of its finding and side in training, so that their mean is 1.

    A finding that training has only present or only absent says nothing of the difference and weighs 0; without
    ``balanced`` every other cell weighs 1.
    """
    present, absent = (train == 1).sum(dim=0), (train == 0).sum(dim=0)
    both = (present > 0) & (absent > 0)
    if not balanced:
        return both.float().expand_as(labels).clone()
    half = (present + absent) / 2
    side = torch.where(labels == 1, half / present.clamp(min=1), half / absent.clamp(min=1))
    return side * both


def seen_and_held_out(
    names: Sequence[str], held_out: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The findings that training sees, and those it never does.

    Raises:
        SettingError: a held-out one is no finding of the run, or nothing is left to train on.
    """
    seen = [name for name in names if name not in held_out]
    if not seen or not set(held_out) <= set(names):
        raise SettingError(
            "classes.held_out",
            "some, not all, of classes.findings",
            [name for name in held_out if name not in names] or list(held_out),
        )
    return tuple(seen), tuple(n for n in names if n in held_out)


def pair_texts(findings: Sequence[str], pair: tuple[str, str]) -> list[str]:
    """The texts of the pairs: present, absent of the first finding, then of the second, and so on.

    Raises:
        SettingError: a text does not name the finding, or both are the same.
    """
    if pair[0] == pair[1] or any("{finding}" not in text for text in pair):
        raise SettingError("classes.pair", "two different texts with {finding} in each", pair)
    return [text.replace("{finding}", name) for name in findings for text in pair]
