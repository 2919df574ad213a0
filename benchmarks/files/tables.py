"""The table of ``docs/reference/scan-files.md``, of ``results/files.json``."""

import json
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "files.json"
SAID = {"read": "read", "warned": "read, never a pass", "refused": "refused"}


def kinds() -> str:
    """Case by case: what comes of it, and in which words."""
    lines = ["| kind | case | | what is said |", "|---|---|---|---|"]
    for row in json.loads(RESULTS.read_text(encoding="utf-8")):
        words = row["says"].replace("|", "\\|")
        lines.append(f"| {row['group']} | {row['what']} | {SAID[row['outcome']]} | {words} |")
    return "\n".join(lines)
