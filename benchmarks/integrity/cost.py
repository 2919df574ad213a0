"""What the hashes cost a training: ``python benchmarks/integrity/cost.py FOLDER``.

Processor time, so that whatever else the machine does counts for nothing. Every function that hashes what is stored is timed during one training from filled caches, which reads and checks each entry.
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
    spent, trained = [0.0], [0.0]
    _timed(spent)
    import voxtune.training.loop

    voxtune.training.loop.fit = _wrapped(voxtune.training.loop.fit, trained)
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
    seconds = trained[0] / len(log)
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
        began = time.thread_time()
        try:
            return real(*words, **names)
        finally:
            spent[0] += time.thread_time() - began

    return timed


if __name__ == "__main__":
    main()
