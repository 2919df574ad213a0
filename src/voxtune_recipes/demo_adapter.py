"""How the shipped demo adapter was made: ``python -m voxtune_recipes.demo_adapter --out DIR``.

Recipe ``deft`` on 200 SIMULATED participants, split by participant, scored once on its test side, exported with its card and its
control (``train --control``). About five minutes of one CPU core. Run it again (``--out src/voxtune/serving/assets/demo_adapter``) whenever the shipped weights of ``tiny``, the simulator
or the recipe change: an adapter loads only on the base it was trained on.
"""

import argparse
import tempfile
from pathlib import Path

from voxtune.commands.evaluate.command import evaluate
from voxtune.commands.export import export
from voxtune.commands.simulate.command import simulate
from voxtune.commands.split import split
from voxtune.commands.train.command import train

PARTICIPANTS = 200


def make(
    out: Path, work: Path, *, seed: int = 0, participants: int = PARTICIPANTS, edits: tuple[str, ...] = ()
) -> Path:
    """Simulate, split, train, evaluate, export; the folder of the adapter.

    Args:
        out: folder of the adapter.
        work: folder of the cohort, the split and the run.
        seed: of all of them.
        participants: how many are simulated.
        edits: further ``PATH=VALUE`` for the recipe.
    """
    manifest = work / "cohort" / "manifest.tsv"
    if not manifest.is_file():
        simulate(work / "cohort", participants=participants, seed=seed)
    sides = split(manifest, work / "split", seed=seed)
    run = train(
        "deft",
        work / "run",
        data=manifest,
        split_dir=sides,
        assignments=(f"seed={seed}", *edits),
        control=True,
    ).run
    evaluate(run, data=manifest)
    return export(run, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--work", type=Path, help="Folder of the cohort and the run; otherwise one that is deleted."
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="voxtune-demo-") as scratch:
        make(options.out, options.work or Path(scratch), seed=options.seed)
