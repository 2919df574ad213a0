"""What do DEFT's tables look like on SIMULATED people? The small files of ``voxtune reproduce``; the runs stay in a folder of your choice.

    python benchmarks/reproduce/run.py FOLDER            # every table; goes on where it was stopped
    python benchmarks/reproduce/run.py FOLDER 3 5        # these tables

Any number of such processes may share one FOLDER. ``make tables`` writes the results into ``docs/concepts/reproduced-tables.md``.
"""

import shutil
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "deft"
TABLES = (3, 5, 4, 2)


def main() -> None:
    """Reproduce, and keep the tables that have no cell left to do."""
    from voxtune.run_dir import read_json
    from voxtune.stages.reproduce import Options, reproduce

    folder = Path(sys.argv[1])
    for number in tuple(int(one) for one in sys.argv[2:]) or TABLES:
        print(reproduce("deft", folder, Options(tables=(number,))).summary, flush=True)
        states = {line["status"] for line in read_json(folder / f"table_{number}.json", "a table")["lines"]}
        if not states & {"pending", "partial", "failed"}:
            RESULTS.mkdir(parents=True, exist_ok=True)
            for ending in ("json", "csv", "md"):
                shutil.copyfile(folder / f"table_{number}.{ending}", RESULTS / f"table_{number}.{ending}")


if __name__ == "__main__":
    main()
