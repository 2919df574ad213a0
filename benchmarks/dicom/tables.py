"""The tables of ``docs/how-to/dicom.md``, of ``results/cases.json``."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "cases.json"
SAID = {"read": "read", "said": "read, and said", "warned": "read, never a pass", "refused": "refused"}


def _found() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def kinds() -> str:
    """Case by case: what comes of it, and in which words."""
    lines = ["| kind | case | | what is said |", "|---|---|---|---|"]
    for row in _found()["cases"]:
        mine = row["voxtune"]
        words = mine["says"].replace("|", "\\|")
        lines.append(f"| {row['group']} | {row['what']} | {SAID[mine['outcome']]} | {words} |")
    return "\n".join(lines)


def against() -> str:
    """The same cases by dcm2niix: how often it agrees, and what it gave without an error where a volume would be wrong."""
    found = _found()
    # The mosaic here is one in name only: what dcm2niix does with real ones is not on trial.
    rows = [row for row in found["cases"] if "dcm2niix" in row and row["name"] != "mosaic"]
    quiet = [row for row in rows if _wrong_without_error(row)]
    none = [row for row in rows if row["voxtune"]["outcome"] != "refused" and not row["dcm2niix"]["volumes"]]
    return (
        f"Of {len(rows)} cases, dcm2niix {found['dcm2niix']} gave a volume with exit code 0 that is not the truth in {len(quiet)}: "
        + "; ".join(row["what"] for row in quiet)
        + f". It gave none in {len(none)} that are read here: {'; '.join(row['what'] for row in none)}."
    )


def _wrong_without_error(row: dict[str, Any]) -> bool:
    other = row["dcm2niix"]
    volumes = [one for one in other["volumes"] if one != "4D"]
    if other["exit"] or not volumes:
        return False
    return "equal" not in volumes and row["voxtune"].get("volume") not in volumes


def speed() -> str:
    """Seconds for whole scans."""
    lines = [
        "| scan | VoxTune, processor s | dcm2niix and reading its NIfTI, processor s | the same numbers |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row['scan']} | {row['voxtune_s']:.2f} | {row['dcm2niix_s']:.2f} | {'yes' if row['equal'] else 'no'} |"
        for row in _found()["speed"]
    ]
    return "\n".join(lines)
