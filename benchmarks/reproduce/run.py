"""What do the papers' tables look like on SIMULATED people? The small files of ``voxtune reproduce``; the runs stay in a folder of your choice.

    python benchmarks/reproduce/run.py FOLDER deft         # every table; goes on where it was stopped
    python benchmarks/reproduce/run.py FOLDER deft 3 5     # these tables
    python benchmarks/reproduce/run.py FOLDER medct

Any number of such processes may share one FOLDER. ``make tables`` writes the results into ``docs/concepts/reproduced-tables.md``.
"""

import shutil
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
TABLES = {"deft": (3, 5, 4, 2), "medct": (1,)}


def main() -> None:
    """Reproduce, and keep the tables that have no cell left to do."""
    from voxtune.commands.reproduce.command import Options, reproduce
    from voxtune.run_dir import read_json

    root, paper = Path(sys.argv[1]), sys.argv[2]
    folder, kept = root / paper, RESULTS / paper
    for number in tuple(int(one) for one in sys.argv[3:]) or TABLES[paper]:
        print(reproduce(paper, folder, Options(tables=(number,))).summary, flush=True)
        states = {line["status"] for line in read_json(folder / f"table_{number}.json", "a table")["lines"]}
        if not states & {"pending", "partial", "failed"}:
            kept.mkdir(parents=True, exist_ok=True)
            for ending in ("json", "csv", "md"):
                shutil.copyfile(folder / f"table_{number}.{ending}", kept / f"table_{number}.{ending}")


if __name__ == "__main__":
    main()
