"""The tables of ``docs/how-to/dicom.md``, of ``results/cases.json``."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "cases.json"
PUBLIC = Path(__file__).parent / "results" / "public.json"
WHERE = {
    "pydicom": "in the package pydicom 3",
    "pydicom-data": "the package pydicom-data",
    "nibabel": "in the package nibabel",
    "dcm_qa": "GitHub, neurolabusc/dcm_qa (Siemens)",
    "dcm_qa_ct": "GitHub, neurolabusc/dcm_qa_ct (GE, Philips)",
    "dcm_qa_enh": "GitHub, neurolabusc/dcm_qa_enh (multi-frame)",
    "dcm_qa_nih": "GitHub, neurolabusc/dcm_qa_nih (GE, Siemens)",
    "dcm_qa_uih": "GitHub, neurolabusc/dcm_qa_uih (UIH)",
    "dcm_qa_philips": "GitHub, neurolabusc/dcm_qa_philips",
    "pylibjpeg-data": "GitHub, pydicom/pylibjpeg-data (compressed)",
}
REASONS = (
    ("no slice of a CT, MR or PET volume", "no file of it is"),
    ("Siemens mosaics", "mosaics"),
    ("4D", "4D series"),
    ("positions not said", "lack a position|0 positions"),
    ("slices missing", "slices are missing"),
    ("cut short or damaged", "cut short|damaged|end too soon"),
    ("constant", "constant"),
    ("too few slices", "at least"),
)
"""Words for the refusals of public files, and patterns that tell them."""
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


def public() -> str:
    """What becomes of every series of public collections, against a reading by pydicom frame by frame."""
    if not PUBLIC.is_file():
        return "Not run yet."
    lines = [
        "| collection | series and single files | equal, voxel by voxel | resampled (tilt, uneven) | refused | wrong | why refused |",
        "|---|---|---|---|---|---|---|",
    ]
    found: dict[str, list[dict[str, Any]]] = json.loads(PUBLIC.read_text(encoding="utf-8"))
    for name in [name for name in WHERE if name in found]:
        rows = found[name]
        kinds = Counter(row["outcome"].split(":")[0].split(" ")[0] for row in rows)
        whys = Counter(_why(row["says"]) for row in rows if row["outcome"] == "refused")
        wrong = len(rows) - sum(kinds[one] for one in ("equal", "resampled", "refused"))
        said = ", ".join(f"{count} {why}" for why, count in whys.most_common())
        lines.append(
            f"| {WHERE[name]} | {len(rows)} | {kinds['equal']} | {kinds['resampled']} | {kinds['refused']} | {wrong} | {said} |"
        )
    return "\n".join(lines)


def _why(says: str) -> str:
    return next((words for words, pattern in REASONS if re.search(pattern, says)), "for another reason")


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
