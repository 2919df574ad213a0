"""Which rows of DEFT's tables can be told apart, and which cannot? The testbed over SIMULATED cohorts, and whether its cells come out again.

    python benchmarks/reproduce/testbed.py FOLDER            # all of it with two workers; goes on where it was stopped
    python benchmarks/reproduce/testbed.py FOLDER --again 3  # so many finished cells anew, beside what they gave

FOLDER keeps the cohorts and cells (about 0.7 GB). ``make tables`` writes the results into ``docs/concepts/reproduced-tables.md``.
"""

import json
import shutil
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "deft"
WORKERS = 2


def main() -> None:
    """Run or repeat."""
    root = Path(sys.argv[1])
    if "--again" in sys.argv:
        again(root, int(sys.argv[sys.argv.index("--again") + 1]))
        return
    from voxtune.commands.testbed.command import Machine, run_testbed
    from voxtune.commands.testbed.design import COHORTS
    from voxtune.commands.testbed.plan import Asked

    print(
        run_testbed(
            "deft", root, Asked(COHORTS), Machine(WORKERS), lambda line: print(line, flush=True)
        ).summary
    )
    found = json.loads((root / "testbed.json").read_text(encoding="utf-8"))
    if found["cells"]["done"] == found["cells"]["all"]:
        RESULTS.mkdir(parents=True, exist_ok=True)
        for ending in ("json", "csv"):
            shutil.copyfile(root / f"testbed.{ending}", RESULTS / f"testbed.{ending}")


def again(root: Path, count: int) -> None:
    """Do cells once more, spread over all that are finished, and keep how far their accuracies are from what they were."""
    from voxtune.catalog import TESTBEDS, load
    from voxtune.commands.testbed.cells import CohortSweep, run_testbed_cell
    from voxtune.commands.testbed.design import COHORTS
    from voxtune.commands.testbed.plan import Asked, plan_testbed

    design = load(TESTBEDS, "deft", "testbed")()
    plan = plan_testbed(design, Asked(COHORTS))
    sweep = CohortSweep(root, plan.cells, design.encoders)
    trained = [cell for cell in plan.cells if cell.mode == "trained" and sweep.result(cell)]
    kept = []
    for cell in trained[:: max(1, len(trained) // count)][:count]:
        first, second = sweep.result(cell), run_testbed_cell(sweep, cell)
        assert first is not None
        kept.append(
            {
                "cell": cell.name,
                "first": first["accuracy"][""],
                "again": second["accuracy"][""],
                "same_scan_by_scan": first["said"] == second["said"],
            }
        )
        print(kept[-1], flush=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "testbed_again.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
