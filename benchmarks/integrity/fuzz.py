"""Throw damaged and hostile input at every door for a stated processor time: ``python benchmarks/integrity/fuzz.py FOLDER [--seconds 60]``.

Every run of a door ends as accepted, as refused (an error of ours), as escaped (any other exception) or as hung (20 s). For the
server a run is one connection; it has escaped where ``/health`` does not answer afterwards. Results go to ``results/fuzz.json``.
"""

import argparse
import contextlib
import io
import json
import os
import random
import signal
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import study
from doors_files import dicom_zip, manifest, nifti, profile, recipe, split, template
from doors_http import HUNG_SECONDS, http
from doors_models import adapter, answers, case_bank, norms, scores
from doors_stored import stored_files
from mutations import Target

RESULTS = Path(__file__).parent / "results" / "fuzz.json"
TARGETS = {
    "NIfTI": nifti,
    "DICOM zip": dicom_zip,
    "adapter": adapter,
    "answers of an adapter": answers,
    "manifest": manifest,
    "template": template,
    "case bank": case_bank,
    "normative model": norms,
    "profile": profile,
    "recipe": recipe,
    "split": split,
    "evaluation": scores,
    "stored files of a study": stored_files,
    "HTTP": http,
}


def _spent() -> float:
    """Processor time of this process and of those that it waited for: whatever else the machine does counts for nothing."""
    return sum(os.times()[:4])


def fuzz(make: Callable[[Path, Path], Target], root: Path, folder: Path, seconds: float) -> dict[str, Any]:
    """Run one target for some seconds."""
    from voxtune.errors import VoxTuneError

    target = make(root, folder)
    count: Counter[str] = Counter()
    examples: list[str] = []
    warnings.simplefilter("ignore")

    def hang(*_: object) -> None:
        raise TimeoutError("hung")

    signal.signal(signal.SIGALRM, hang)
    began, seed, longest = _spent(), 0, 0.0
    while _spent() - began < seconds:
        seed += 1
        start = time.monotonic()
        signal.alarm(HUNG_SECONDS)
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                target(random.Random(seed))
            end = "accepted"
        except VoxTuneError:
            end = "refused"
        except Exception as error:  # noqa: BLE001
            end = "hung" if str(error) == "hung" else "escaped"
            examples.append(f"seed {seed}: {type(error).__name__}: {error}"[:200])
        finally:
            signal.alarm(0)
        longest = max(longest, time.monotonic() - start)
        count[end] += 1
    ends = {name: count[name] for name in ("accepted", "refused", "escaped", "hung")}
    return {
        "seconds": seconds,
        "clock": "processor",
        "runs": sum(count.values()),
        **ends,
        "longest_seconds": round(longest, 1),
        "examples": examples[:5],
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--only", nargs="*")
    given = options.parse_args()
    study.preloaded()
    whole = study.make(given.folder.absolute())["whole"]
    stored: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for name, make in TARGETS.items():
        if name in stored or (given.only and name not in given.only):
            continue
        folder = given.folder.absolute() / "fuzz" / name.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        stored[name] = fuzz(make, whole, folder, given.seconds)
        print(name, stored[name], flush=True)
        RESULTS.write_text(json.dumps(stored, indent=1) + "\n")
    os._exit(0)  # the server's thread goes with the process


if __name__ == "__main__":
    main()
