"""The participants nearest to a scan. A person is never their own neighbour, and counts once, by the scan that is nearest."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import DataError

Floats = NDArray[np.float64]
By = Literal["image", "text", "both"]
SAME_PICTURE = 1 - 1e-9
"""Cosine from which two image vectors are of the very same voxels: the person of a scan whose owner is unknown."""


@dataclass(frozen=True)
class Case:
    """One scan of a bank, or the one that is asked for."""

    name: str
    participant: str | None
    """``None``: nobody said whose it is, or it stands for a group."""
    image: Floats
    """(E,), of unit length."""
    text: Floats | None = None
    """(E,) of its report without the label sentence; ``None`` where it has none."""
    diagnosis: str | None = None
    targets: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, float | str] = field(default_factory=dict)
    """Of regions and facts by column."""
    z: Mapping[str, float] = field(default_factory=dict)
    """Of regions, where a normative model says them."""
    participants: int = 1
    """Those it stands for."""
    outcomes: Mapping[str, float] = field(default_factory=dict)
    """1 where a finding is there, or an event came by a horizon, 0 where not, of a group the share; absent where nobody knows."""


@dataclass(frozen=True)
class Neighbour:
    """A case with how near it is."""

    case: Case
    score: float
    """What the order goes by."""
    image: float
    """Cosine of the image vectors."""
    text: float | None
    """Cosine of the text vectors."""


@dataclass(frozen=True)
class Near:
    """The neighbours of a scan, and who was left out of the bank before."""

    neighbours: tuple[Neighbour, ...]
    by: By
    own: int
    """Cases of the bank that were left out because they are the person's own."""
    same_picture: int
    """Among these, those told by their picture alone."""
    wordless: int = 0
    """Participants who could not be compared because they have no text."""


def nearest(
    query: Case, bank: Sequence[Case], by: By, count: int,
    spelled: Collection[str] = frozenset(), pictured: Collection[str] = frozenset(),
) -> Near:  # fmt: skip
    """The nearest participants of a bank.

    Args:
        query: the scan that is asked for.
        bank: cases; those of the query's own participant are left out, and so is the same picture under another name.
        by: ``image`` or ``text``: the cosine; ``both``: the mean of the two, each in standard deviations of the bank.
        count: how many.
        spelled: participants of the bank whose ID is the query's, spelled otherwise.
        pictured: participants of the bank whose pictures show the person of the query (``cases/pictures.py``).

    Raises:
        DataError: the bank is of another model, nobody is left, or the query or the bank has no text where texts are compared.
    """
    if odd := next((one for one in bank if len(one.image) != len(query.image)), None):
        raise DataError(
            f"The bank's vectors have {len(odd.image)} numbers, those of this model {len(query.image)}: it is the bank of another model."
        )
    pictures = _cosines(query.image, [one.image for one in bank])
    mine = np.array(
        [one.participant is not None and one.participant in {query.participant, *spelled} for one in bank]
    )
    same = np.array([one.participants == 1 for one in bank]) & (pictures >= SAME_PICTURE)
    twins = {one.participant for one, twin in zip(bank, same, strict=True) if twin} - {None}
    theirs = np.array([one.participant in {*twins, *pictured} for one in bank], dtype=bool)
    gone = mine | theirs | same
    left = [place for place in range(len(bank)) if not gone[place]]
    if not left:
        raise DataError("The bank holds nobody else than this person: there is no neighbour.")
    texts = _texts(query, bank, left, by)
    scores = {"image": pictures, "text": texts}.get(by)
    if scores is None:
        scores = (_standard(pictures, left) + _standard(texts, left)) / 2
    order = sorted(
        (place for place in left if np.isfinite(scores[place])), key=lambda place: (-scores[place], place)
    )
    found: dict[str, Neighbour] = {}
    for place in order:
        one = bank[place]
        who = one.participant if one.participant is not None else one.name
        text = float(texts[place]) if np.isfinite(texts[place]) else None
        found.setdefault(who, Neighbour(one, float(scores[place]), float(pictures[place]), text))
    wordless = len({bank[place].participant or bank[place].name for place in left} - found.keys())
    return Near(tuple(list(found.values())[:count]), by, int(gone.sum()), int((gone & ~mine).sum()), wordless)


def _texts(query: Case, bank: Sequence[Case], left: Sequence[int], by: By) -> Floats:
    """Cosines of texts (n,), NaN where one has none."""
    found = np.full(len(bank), np.nan)
    have = [place for place, one in enumerate(bank) if one.text is not None]
    if query.text is not None and have:
        found[have] = _cosines(query.text, [text for one in bank if (text := one.text) is not None])
    if by != "image" and not np.isfinite(found[list(left)]).any():
        which = (
            "the scan has no facts to make a text of"
            if query.text is None
            else "no case of the bank has a text"
        )
        raise DataError(
            f"Cases cannot be compared by text: {which}. Ask by image, or give facts or a manifest with volumes."
        )
    return found


def _cosines(one: Floats, many: Sequence[Floats]) -> Floats:
    vectors = np.stack(many).astype(np.float64)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found: Floats = vectors @ (one / np.linalg.norm(one))
    return found


def _standard(scores: Floats, left: Sequence[int]) -> Floats:
    """Cosines as standard deviations from the mean of those who are left (n,), NaN where there is none: both kinds weigh alike."""
    known = scores[[place for place in left if np.isfinite(scores[place])]]
    spread = float(known.std())
    found: Floats = (scores - known.mean()) / (spread if spread > 0 else 1.0)
    return found
