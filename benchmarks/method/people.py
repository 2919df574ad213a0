"""SIMULATED people for the questions of this folder, in memory: what the frozen front of ``tiny`` makes of every scan, and the table.

Each cohort is simulated by ``voxtune simulate`` into a temporary folder, encoded once and kept as one small file, so that a question over
many cohorts costs their training alone.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from voxtune.types.records import ManifestRow

PEOPLE, TEST, SCANNERS = 330, 120, 3
DEVELOPMENT = tuple(range(300, 304))
"""Seeds that defaults were chosen on; no figure that is printed comes from them."""
FRESH = tuple(range(400, 420))
"""Seeds that figures are printed from; nothing was chosen on them."""


@dataclass(frozen=True)
class People:
    """One scan of each of ``PEOPLE`` participants: 120 to test, the others to train and validate."""

    rows: list[ManifestRow]
    embedded: dict[str, Tensor]
    """What ``vision.embed`` of the frozen base made of each scan, by scan_id."""

    @property
    def pool(self) -> list[ManifestRow]:
        """Those to learn from; they come in random order."""
        return self.rows[TEST:]

    @property
    def test(self) -> list[ManifestRow]:
        """Those that are scored."""
        return self.rows[:TEST]


def people_of(seed: int, kept: Path) -> People:
    """The cohort of a seed, made where it is not kept yet."""
    path = kept / f"people-{seed}.pt"
    if not path.is_file():
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept) as folder:
            made = _made(seed, Path(folder))
        part = path.with_suffix(".part")
        torch.save(
            {"rows": [row.model_dump(mode="json") for row in made.rows], "embedded": made.embedded}, part
        )
        part.replace(path)
    found = torch.load(path, weights_only=True)
    return People([ManifestRow.model_validate(row) for row in found["rows"]], found["embedded"])


def _made(seed: int, folder: Path) -> People:
    from voxtune.commands.simulate.command import simulate
    from voxtune.data.images import load_preset, scan_reader
    from voxtune.data.manifest import read_manifest
    from voxtune.evaluation.encode import encode
    from voxtune.model.build import frozen_base
    from voxtune_recipes.deft import recipe

    manifest = simulate(folder, participants=PEOPLE, visits=1, seed=seed, scanners=SCANNERS)
    rows = read_manifest(manifest)
    base = frozen_base(recipe())
    read = scan_reader(manifest, rows, load_preset("tiny"))
    embedded: dict[str, Tensor] = {}
    for names, some in encode(base, [row.scan_id for row in rows], read, base.vision.embed):
        embedded |= dict(zip(names, some.clone(), strict=True))
    return People(rows, embedded)


def main() -> None:
    """Make the cohorts that are not kept yet: FOLDER [SEED...]."""
    import sys
    import time

    asked = [int(seed) for seed in sys.argv[2:]] or [*DEVELOPMENT, *FRESH]
    for seed in asked:
        began, cpu = time.perf_counter(), time.process_time()
        people_of(seed, Path(sys.argv[1]))
        print(seed, round(time.perf_counter() - began, 1), round(time.process_time() - cpu, 1), flush=True)


if __name__ == "__main__":
    main()
