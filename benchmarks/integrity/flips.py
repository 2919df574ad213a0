"""Flip single bits of every kind of stored file and read it back by the function that commands read it by.

    python benchmarks/integrity/flips.py FOLDER [--flips 10000]

Refused: an error of ours. Repaired: said on standard error, and the content is the one from before. Anything else is accepted in
silence. Results go to ``results/flips.json``.
"""

import argparse
import contextlib
import io
import json
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import study
import torch

RESULTS = Path(__file__).parent / "results" / "flips.json"
Door = Callable[[Path], object]
"""Reads a damaged file; what it returns is compared with what it returned of the whole one."""


def doors(root: Path) -> dict[str, tuple[Path, Door]]:
    """Each kind of file, one of it, and how it is read."""
    from voxtune.audit.manifests import edited
    from voxtune.data.feature_cache import FrozenFeatures
    from voxtune.data.images import load_preset
    from voxtune.data.manifest import read_manifest
    from voxtune.data.scans import ScanCache
    from voxtune.data.split_files import read_split
    from voxtune.errors import LeakageError
    from voxtune.imaging.step_cache import StepCache
    from voxtune.imaging.stored import check_stored
    from voxtune.model.adapter import read_facts
    from voxtune.training.checkpoint import load_checkpoint, standings

    run, adapter, split, manifest = (
        root / "run",
        root / "adapter",
        root / "split",
        root / "cohort" / "manifest.tsv",
    )
    checkpoint = standings(run / "checkpoints")[-1]
    scan = next((root / "pre").glob("*/chain.json")).parent
    cache = root / "pre" / "cache" / "tiny"
    rows = read_manifest(manifest)
    values = torch.arange(4096.0)

    def whole_split(_: Path) -> object:
        found = edited(read_split(split), rows, manifest, "refuse", split)
        if found:
            raise LeakageError(found[0].message)
        return None

    def whole_manifest(_: Path) -> object:
        found = edited(read_split(split), read_manifest(manifest), manifest, "refuse", split)
        if found:
            raise LeakageError(found[0].message)
        return None

    def features(path: Path) -> object:
        return FrozenFeatures(
            lambda _: torch.zeros(1), lambda _: values[None], path.parent, "a", places={"s": path}
        )("s")

    def array(_: Path) -> object:
        return ScanCache(cache).read(scan.name, scan / "volume.nii.gz")

    steps = StepCache(root / "steps")
    mask = np.random.default_rng(0).random((16, 16, 16)) > 0.5
    matrix = np.random.default_rng(0).random((4, 4))
    voxels = np.random.default_rng(0).random((8, 8, 8)).astype(np.float32)
    readers: dict[str, Door] = {
        "mask": lambda _: steps.mask("mask", "k", lambda: mask),
        "transform": lambda _: steps.matrix("transform", "k", lambda: matrix),
        "clean": lambda _: steps.voxels("clean", "k", lambda: (voxels, {"a": 1.0}))[0],
    }
    for read in readers.values():
        read(root)
    entry = root / "features" / "entry.npy"
    features(entry)
    load_preset("tiny")

    def checkpoints(_: Path) -> object:
        return load_checkpoint(run / "checkpoints", checkpoint)[1]

    return {
        "adapter.json": (adapter / "adapter.json", lambda _: read_facts(adapter)),
        "adapter.safetensors": (adapter / "adapter.safetensors", lambda _: read_facts(adapter)),
        "adapter SHA256SUMS": (adapter / "SHA256SUMS", lambda _: read_facts(adapter)),
        "checkpoint tensors": (run / "checkpoints" / f"{checkpoint}.safetensors", checkpoints),
        "checkpoint JSON": (run / "checkpoints" / f"{checkpoint}.json", checkpoints),
        "split.json": (split / "split.json", whole_split),
        "split table": (split / "train.tsv", whole_split),
        "manifest": (manifest, whole_manifest),
        "volume": (scan / "volume.nii.gz", lambda path: check_stored(path).model_dump()),
        "chain.json": (
            scan / "chain.json",
            lambda path: check_stored(path.with_name("volume.nii.gz")).model_dump(),
        ),
        "feature cache": (entry, features),
        "training cache": (next(cache.glob("*.npy")), array),
        "training cache index": (cache / "index.json", lambda _: dict(ScanCache(cache))),
        **more_doors(root),
        **{f"step cache, {name}": (root / "steps" / f"{name}-k", read) for name, read in readers.items()},
    }


def more_doors(root: Path) -> dict[str, tuple[Path, Door]]:
    """Those of cases, audits and answers."""
    from voxtune.audit.fingerprints import BODY, LENGTH, Fingerprint
    from voxtune.audit.kept import keep, read_kept
    from voxtune.cases.bank import anonymous_bank, read_bank
    from voxtune.cases.nearest import Case
    from voxtune.storage.seal import read_sealed, write_sealed
    from voxtune.types.case_bank import BANK

    numbers = np.random.default_rng(0).normal(size=(12, 16))
    numbers /= np.linalg.norm(numbers, axis=1, keepdims=True)
    cases = [Case(f"s{n}", f"p{n}", one, diagnosis=("NC", "AD")[n % 2]) for n, one in enumerate(numbers)]
    write_sealed(root / "bank" / BANK, anonymous_bank(cases, "a" * 64).model_dump(mode="json"), shared=True)
    plain, mirrored = np.random.default_rng(0).normal(size=(2, LENGTH))
    look = Fingerprint(None, {BODY: (plain, mirrored)})
    keep(root / "fingerprints" / "a.npz", look)

    def fingerprint(path: Path) -> object:
        found = read_kept(path)
        if found is None:  # as whoever asks makes it again
            keep(path, found := look)
        return np.stack(found.pictures[BODY])

    return {
        "bank of cases": (root / "bank" / BANK, lambda path: read_bank(path.parent, "a" * 64)),
        "fingerprint of a scan": (root / "fingerprints" / "a.npz", fingerprint),
        "record of an answer": (
            next((root / "predictions").rglob("*.json")),
            lambda path: read_sealed(path, "the record of an answer"),
        ),
    }


def trial(path: Path, door: Door, flips: int, seed: int) -> dict[str, Any]:
    """Flips of one file, each of a bit of its own as far as there are so many."""
    from voxtune.errors import VoxTuneError

    whole = path.read_bytes()
    expected = door(path)
    draw = random.Random(seed)
    bits = (
        draw.sample(range(8 * len(whole)), flips)
        if 8 * len(whole) >= flips
        else draw.choices(range(8 * len(whole)), k=flips)
    )
    count = {"refused": 0, "repaired": 0, "accepted": 0, "crashed": 0}
    examples: list[str] = []
    for bit in bits:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                found = door(path)
            end = "repaired" if said.getvalue() and _same(found, expected) else "accepted"
        except VoxTuneError:
            end = "refused"
        except Exception as error:  # noqa: BLE001
            end = "crashed"
            examples.append(f"bit {bit}: {type(error).__name__}: {error}"[:200])
        count[end] += 1
        if end == "accepted":
            examples.append(f"bit {bit}")
        path.write_bytes(whole)
    return {"flips": len(bits), "bytes": len(whole), **count, "examples": examples[:5]}


def _same(one: object, two: object) -> bool:
    return bool(np.array_equal(np.asarray(one), np.asarray(two)))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--flips", type=int, default=10_000)
    given = options.parse_args()
    study.preloaded()
    whole = study.make(given.folder.absolute())["whole"]
    copy = given.folder.absolute() / "flips"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(whole, copy)
    kinds = doors(copy)
    stored: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for seed, (name, (path, door)) in enumerate(kinds.items()):
        if name in stored:
            continue
        began = time.monotonic()
        stored[name] = trial(path, door, -(-given.flips // len(kinds)), seed)
        print(name, stored[name], f"{time.monotonic() - began:.0f} s", flush=True)
        RESULTS.write_text(json.dumps(stored, indent=1) + "\n")
    shutil.rmtree(copy)


if __name__ == "__main__":
    main()
