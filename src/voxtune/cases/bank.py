"""A bank that may be stored with an adapter: participants of one class put together by the look of their scans, never fewer than five.

Groups are made by MDAV (Domingo-Ferrer and Torra 2005, doi:10.1007/s10618-005-0007-5): the participant farthest from the middle and those
nearest to them are one group, then those farthest from these, until fewer than two groups are left.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from voxtune.cases.nearest import Case, Floats
from voxtune.errors import DataError, SettingError, WeightsError
from voxtune.types.case_bank import BANK, FEWEST, CaseBank, CaseGroup
from voxtune.types.words import unseen_in

LARGEST = 2**28
"""Bytes of a bank file."""


def anonymous_bank(
    cases: Sequence[Case], adapter_sha256: str, fewest: int = FEWEST, *, simulated: bool = False
) -> CaseBank:
    """Groups of at least ``fewest`` participants, each of one class, in place of the cases.

    Args:
        cases: scans; a participant counts once, by the mean of their scans, with the class and the outcomes of the last one.
        adapter_sha256: of the adapter whose image vectors these are.
        fewest: participants of a group.
        simulated: whether any scan is SIMULATED.

    Raises:
        SettingError: fewer than five.
        DataError: no class has that many participants.
    """
    if fewest < FEWEST:
        raise SettingError("case_bank", f"a whole number of at least {FEWEST} participants", fewest)
    people = _people(cases)
    groups: list[CaseGroup] = []
    left_out = 0
    for label in sorted({one.diagnosis for one in people}, key=str):
        some = [one for one in people if one.diagnosis == label]
        if len(some) < fewest:
            left_out += len(some)
            continue
        vectors = np.stack([one.image for one in some])
        groups += [_group([some[place] for place in places]) for places in grouped(vectors, fewest)]
    if not groups:
        raise DataError(f"No class has {fewest} participants: no bank can be made that tells nobody apart.")
    kept = sum(one.participants for one in groups)
    return CaseBank(
        adapter_sha256=adapter_sha256,
        fewest=fewest,
        participants=kept,
        left_out=left_out,
        simulated=simulated,
        groups=tuple(groups),
    )


def grouped(vectors: Floats, fewest: int) -> list[list[int]]:
    """Places (n,) in groups of ``fewest`` to twice as many less one, those near to each other together."""
    left = list(range(len(vectors)))
    found: list[list[int]] = []
    while len(left) >= 2 * fewest:
        middle = vectors[left].mean(axis=0)
        far = max(left, key=lambda place: (float(((vectors[place] - middle) ** 2).sum()), -place))
        own = sorted(left, key=lambda place: (float(((vectors[place] - vectors[far]) ** 2).sum()), place))[
            :fewest
        ]
        found.append(sorted(own))
        left = [place for place in left if place not in own]
    return [*found, left]


def _people(cases: Sequence[Case]) -> list[Case]:
    """One case a participant: the mean of their image vectors and of their numbers."""
    by_person: dict[str, list[Case]] = {}
    for one in cases:
        assert one.participant is not None, "a case of a bank belongs to somebody"
        by_person.setdefault(one.participant, []).append(one)
    found = []
    for person, own in by_person.items():
        means = {name: float(np.mean(values)) for name, values in _numbers(own).items()}
        vector = np.mean([one.image for one in own], axis=0)
        found.append(Case(person, person, vector / np.linalg.norm(vector), diagnosis=own[-1].diagnosis, targets={**means, **own[-1].outcomes}))  # fmt: skip
    return found


def _numbers(cases: Sequence[Case]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for one in cases:
        for name, value in {**one.values, **one.targets}.items():
            if not isinstance(value, str):
                found.setdefault(name, []).append(float(value))
    return found


def _group(people: Sequence[Case]) -> CaseGroup:
    vector = np.mean([one.image for one in people], axis=0)
    vector = vector / np.linalg.norm(vector)
    shared = set.intersection(*(set(one.targets) for one in people))
    means = {name: _kept(float(np.mean([one.targets[name] for one in people]))) for name in sorted(shared)}
    return CaseGroup(
        participants=len(people),
        diagnosis=people[0].diagnosis,
        vector=tuple(_kept(float(value)) for value in vector),
        means=means,
    )


def _kept(value: float) -> float:
    return float(f"{value:.6g}")


def cases_of(bank: CaseBank, targets: Sequence[str] = (), outcomes: Sequence[str] = ()) -> list[Case]:
    """The groups as cases; ``targets`` and ``outcomes`` are those of their means that an adapter is asked for."""
    return [
        Case(
            f"group {number}", None, np.array(one.vector), diagnosis=one.diagnosis, participants=one.participants,
            targets={name: one.means[name] for name in targets if name in one.means},
            outcomes={name: one.means[name] for name in outcomes if name in one.means},
            values={name: value for name, value in one.means.items() if name not in {*targets, *outcomes}},
        )
        for number, one in enumerate(bank.groups, start=1)
    ]  # fmt: skip


def read_bank(folder: Path, adapter_sha256: str) -> CaseBank | None:
    """The bank beside an adapter; ``None`` where there is none.

    Raises:
        WeightsError: it is damaged, of another adapter, or no bank.
    """
    from voxtune.storage.seal import read_sealed

    path = folder / BANK
    if not path.is_file():
        return None
    if path.stat().st_size > LARGEST:
        raise WeightsError(f"'{folder.name}/{BANK}' has more than {LARGEST} bytes.")
    try:
        tree = {name: value for name, value in read_sealed(path, "a bank of cases").items() if name not in {"sealed", "content_sha256"}}  # fmt: skip
        bank = CaseBank.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise WeightsError(
            f"'{folder.name}/{BANK}': {'.'.join(map(str, first['loc']))} {first['msg']}."
        ) from None
    except DataError as error:
        raise WeightsError(f"'{folder.name}/{BANK}': {error}") from None
    if place := unseen_in(tree):
        raise WeightsError(f"'{folder.name}/{BANK}': '{place}' holds control characters.")
    if bank.adapter_sha256 != adapter_sha256:
        raise WeightsError(
            f"'{folder.name}/{BANK}' is the bank of another adapter: its vectors mean nothing here."
        )
    return bank
