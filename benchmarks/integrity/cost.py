"""What the hashes cost a training: ``python benchmarks/integrity/cost.py FOLDER``.

Every function that hashes what is stored is timed during one training from filled caches, which reads and checks each entry.
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import study

RESULTS = Path(__file__).parent / "results" / "cost.json"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    given = options.parse_args()
    study.preloaded()
    whole = study.make(given.folder.absolute())["whole"]
    folder = given.folder.absolute() / "cost"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    shutil.rmtree(folder / "run")
    spent = [0.0]
    _timed(spent)
    from voxtune.commands.train.command import train

    edits = [study.RECIPE[number + 1] for number, word in enumerate(study.RECIPE) if word == "--set"]
    train(
        "deft",
        folder / "run",
        data=folder / "cohort" / "manifest.tsv",
        split_dir=folder / "split",
        assignments=edits,
        say=lambda _: None,
    )
    log = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    seconds = sum(one["seconds"] for one in log) / len(log)
    found: dict[str, Any] = {
        "epochs": len(log), "scans": log[0]["scans"], "epoch_seconds": seconds, "hash_seconds": spent[0],
        "share_of_an_epoch": spent[0] / len(log) / seconds,
    }  # fmt: skip
    print(found)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    shutil.rmtree(folder)


def _timed(spent: list[float]) -> None:
    import voxtune.data.feature_cache
    import voxtune.data.scans
    import voxtune.imaging.stored
    import voxtune.storage.seal
    import voxtune.training.checkpoint

    for module in (
        voxtune.data.feature_cache, voxtune.data.scans, voxtune.imaging.stored, voxtune.training.checkpoint, voxtune.storage.seal,
    ):  # fmt: skip
        for name in ("with_hash", "without_hash", "file_sha256", "opened", "sealed_text"):
            if hasattr(module, name):
                setattr(module, name, _wrapped(getattr(module, name), spent))


def _wrapped(real: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    def timed(*words: Any, **names: Any) -> Any:
        began = time.perf_counter()
        try:
            return real(*words, **names)
        finally:
            spent[0] += time.perf_counter() - began

    return timed


if __name__ == "__main__":
    main()
