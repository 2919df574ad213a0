"""Keep the adapters that a run of the harness exported, each with a scan and its answer, for versions to come.

    python tests/bytes/freeze.py OUT.json tests/golden/adapters/VERSION

Done once a release, with the source of that release: ``tests/e2e/test_older_adapters.py`` holds that they load and answer the same.
"""

import argparse
import csv
import json
import shutil
from pathlib import Path

FILES = ("adapter.safetensors", "adapter.json", "README.md")
COHORTS = ("people", "chests")
NOT_ANSWERS = {"scan_id", "participant_id", "diagnosis", "page", "adapter"}
"""Columns of ``predictions.tsv`` that say whose answer it is and where its page lies."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="JSON file of the harness")
    parser.add_argument("folder", type=Path, help="where to put them")
    arguments = parser.parse_args()
    for cohort in COHORTS:
        source, target = arguments.out.with_suffix(".files") / cohort, arguments.folder / cohort
        (target / "adapter").mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copy(source / "adapter" / name, target / "adapter" / name)
        shutil.copy(source / "one.nii.gz", target / "scan.nii.gz")
        table = (source / "predicted" / "predictions.tsv").read_text(encoding="utf-8")
        (row,) = csv.DictReader(table.splitlines(), delimiter="\t")
        answer = {name: cell for name, cell in row.items() if name not in NOT_ANSWERS}
        (target / "answer.json").write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")
        print(
            f"{target}: {sum(path.stat().st_size for path in target.rglob('*') if path.is_file()) / 2**20:.2f} MiB"
        )


if __name__ == "__main__":
    main()
