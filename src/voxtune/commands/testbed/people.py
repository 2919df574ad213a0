"""A SIMULATED cohort in memory: its rows, and what the frozen front of each base made of every picture; made once and kept."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.commands.testbed.design import POOL, SCANNERS, TEST, Regime
from voxtune.config import RunConfig
from voxtune.errors import DataError
from voxtune.run_dir import read_json, write_bytes, write_json
from voxtune.storage.lock import waited
from voxtune.types.records import ManifestRow

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from voxtune.imaging.presets import Preset
    from voxtune.simulate.subjects import CohortSettings, Scan

OTHER = "-other"
"""Behind the scan_id of a test person's picture from the further scanner."""
AT_ONCE = 16


@dataclass(frozen=True)
class Size:
    """How many people a cohort has."""

    pool: int = POOL
    test: int = TEST


@dataclass(frozen=True)
class People:
    """One scan of each participant: those to be tested first, then those to learn from."""

    rows: Sequence[ManifestRow]
    pictures: Mapping[str, Mapping[str, float]]
    """What trivial rules read of each picture, by scan_id; test people a second time under ``OTHER``."""
    best: Mapping[str, int]
    """Class that the best possible reader of a picture says, by scan_id of the test people."""
    size: Size

    def test(self, side: str) -> list[ManifestRow]:
        """Those that are scored, with the scan_ids of a side."""
        rows = list(self.rows[: self.size.test])
        if side == "same":
            return rows
        return [row.model_copy(update={"scan_id": row.scan_id + OTHER}) for row in rows]

    def sides(self, regime: Regime, seed: int) -> tuple[list[ManifestRow], list[ManifestRow]]:
        """Training and validation rows of a regime; smaller training sides lie in larger ones."""
        import numpy as np

        pool = self.rows[self.size.test :]
        order = np.random.default_rng(seed).permutation(len(pool)).tolist()
        chosen = [pool[place] for place in order]
        train = chosen[: regime.scans]
        if regime.labelled is not None:
            silent = {"diagnosis": None, "cdr": None}
            train = [
                row if place < regime.labelled else row.model_copy(update=silent)
                for place, row in enumerate(train)
            ]
        return train, chosen[regime.scans : regime.scans + regime.validation]


def people_of(root: Path, seed: int, encoders: Mapping[str, RunConfig], size: Size | None = None) -> People:
    """The cohort of a seed with the encoded pictures of every base; made by whoever asks first, also among several processes.

    Args:
        root: of the testbed; cohorts are kept in ``root/people``.
        seed: of the cohort.
        encoders: a configuration of each base, by its name.
        size: of the cohort.

    Raises:
        DataError: the kept cohort was simulated with other settings.
    """
    size = size or Size()
    record = root / "people" / f"cohort-{seed}.json"
    with waited(root / "locks", f"people-{seed}"):
        missing = {
            name: one for name, one in encoders.items() if not _encoded(root, seed, name, one).is_file()
        }
        if missing or not record.is_file():
            _make(root, seed, missing, size)
    said = read_json(record, "a cohort of the testbed")
    if said["settings"] != json.loads(settings_of(seed, size).model_dump_json()):
        raise DataError(
            f"{record.name} was simulated with other settings; remove the folder '{record.parent.name}' and 'cells' beside it, or give another -o."
        )
    return People(
        [ManifestRow.model_validate(row) for row in said["rows"]], said["pictures"], said["best"], size
    )


def embedded_of(root: Path, seed: int, base: str, encoder: RunConfig) -> "dict[str, Tensor]":
    """What the frozen front of a base made of every picture of a cohort (T, D), by scan_id.

    Args:
        root: of the testbed.
        seed: of the cohort.
        base: its name.
        encoder: a configuration of it.
    """
    from safetensors.torch import load_file

    return load_file(_encoded(root, seed, base, encoder))


def identity_of(config: RunConfig) -> str:
    """What decides the vectors of the frozen base of a configuration: its tensors and settings, and which tokens it reads."""
    tree = config.model_dump(mode="json")
    return _identity(
        json.dumps({"backbone": tree["backbone"], "vision": tree["vision"]}, sort_keys=True), config.preset
    )


@lru_cache(maxsize=64)
def _identity(base: str, preset: str) -> str:
    from voxtune.model.build import frozen_base

    plain = {"name": "base", "preset": preset, **json.loads(base)}
    return f"{frozen_base(RunConfig.model_validate(plain)).base_identity}|{preset}"


def settings_of(seed: int, size: Size) -> "CohortSettings":
    """The cohort of a seed."""
    from voxtune.simulate.subjects import CohortSettings

    return CohortSettings(participants=size.pool + size.test, visits=1, seed=seed, scanners=SCANNERS)


def _encoded(root: Path, seed: int, base: str, encoder: RunConfig) -> Path:
    digest = hashlib.sha256(identity_of(encoder).encode()).hexdigest()[:10]
    return root / "people" / f"cohort-{seed}-{base}-{digest}.safetensors"


def _make(root: Path, seed: int, encoders: Mapping[str, RunConfig], size: Size) -> None:
    import torch
    from safetensors.torch import save

    from voxtune.data.images import load_preset
    from voxtune.model.build import frozen_base
    from voxtune.simulate.best_possible import best_possible
    from voxtune.simulate.subjects import scans

    settings = settings_of(seed, size)
    digest = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()
    planned = list(scans(settings))
    bases = {name: frozen_base(config) for name, config in encoders.items()}
    rows: list[ManifestRow] = []
    pictures: dict[str, dict[str, float]] = {}
    encoded: dict[str, dict[str, Tensor]] = {name: {} for name in bases}
    [preset] = {config.preset for config in encoders.values()} or {"tiny"}
    for taken in _in_parts(_taken(settings, planned, size, digest, load_preset(preset))):
        rows += [one.row for one in taken if one.row]
        pictures |= {one.scan_id: one.numbers for one in taken}
        with torch.no_grad():
            stacked = torch.stack([one.picture for one in taken])
            for name, base in bases.items():
                seen = base.vision.embed(stacked.to(next(base.parameters()).device)).cpu()
                encoded[name] |= {one.scan_id: part.clone() for one, part in zip(taken, seen, strict=True)}
    for name, some in encoded.items():
        write_bytes(_encoded(root, seed, name, encoders[name]), save(some))
    best = best_possible(settings, planned[: size.test]).posterior.argmax(axis=1)
    write_json(
        root / "people" / f"cohort-{seed}.json",
        {
            "simulated": True,
            "settings": json.loads(settings.model_dump_json()),
            "rows": [row.model_dump(mode="json", exclude_none=True) for row in rows],
            "pictures": pictures,
            "best": {scan.scan_id: int(one) for scan, one in zip(planned, best, strict=False)},
        },
    )


@dataclass(frozen=True)
class _Taken:
    """A picture as it was taken."""

    scan_id: str
    picture: "torch.Tensor"
    """(1, X, Y, Z), rounded as on disk."""
    numbers: dict[str, float]
    row: ManifestRow | None
    """``None`` of a second picture of the same visit."""


def _taken(
    settings: "CohortSettings", planned: "Sequence[Scan]", size: Size, digest: str, preset: "Preset"
) -> Iterator[_Taken]:
    import numpy as np
    import torch

    from voxtune.imaging.tensor import to_tensor
    from voxtune.simulate.brains import render
    from voxtune.simulate.records import manifest_row
    from voxtune.simulate.scanner import Scanner
    from voxtune.simulate.simple_rules import picture_numbers

    machines = [Scanner.drawn(settings.seed, index) for index in range(SCANNERS + 1)]
    for place, scan in enumerate(planned):
        for second in (False, True)[: 1 + (place < size.test)]:
            scanner = machines[-1 if second else scan.participant.scanner]
            volume, anatomy = render(settings, scan, scanner)
            voxels = np.round(volume.voxels * 255).astype(np.float32) / np.float32(255)
            row = manifest_row(settings, scan, anatomy, scanner, image="none", digest=digest)
            yield _Taken(
                scan.scan_id + (OTHER if second else ""),
                torch.from_numpy(to_tensor(volume.with_voxels(voxels), preset)),
                picture_numbers(voxels),
                None if second else row,
            )


def _in_parts(taken: Iterator[_Taken]) -> Iterator[list[_Taken]]:
    part: list[_Taken] = []
    for one in taken:
        part.append(one)
        if len(part) == AT_ONCE:
            yield part
            part = []
    if part:
        yield part
