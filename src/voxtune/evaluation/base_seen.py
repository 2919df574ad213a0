"""Whether the base had seen the cohort that is scored: its register against the IDs, tables and folder of the scans."""

from collections.abc import Sequence
from pathlib import Path

from voxtune.evaluation.leakage import Verdict
from voxtune.types.records import ManifestRow
from voxtune.weights.seen import SEEN, Told, cohorts_of

HOW = {
    "seen": "was in the pretraining of {base}, so nothing measured on it is external evidence",
    "part": "is of a cohort of which another part was in the pretraining of {base}: same hospital, same protocol, no external evidence",
    "possibly": "is possibly in the pretraining of {base}, whose authors' list could not be read: do not call it external",
}


def seen_verdict(base: str, rows: Sequence[ManifestRow], manifest: Path) -> Verdict:
    """What is known of the pretraining of a base and these scans; it alarms where the cohort is, or may be, among them.

    Args:
        base: catalogue name.
        rows: what is scored.
        manifest: where they stand; the name of its folder counts.
    """
    known = SEEN.get(base)
    if known is None:
        return Verdict(f"What the pretraining of {base} saw is not known.")
    stands = f"The pretraining of {base}: {known.names} ({known.data}; {known.source})."
    if rows and all(row.simulated for row in rows):
        return Verdict(
            f"{stands} The scans are SIMULATED, and no base saw them." if not known.complete else stands
        )
    told = cohorts_of(
        [(row.participant_id, row.scan_id) for row in rows],
        sorted({row.source for row in rows if row.source}),
        manifest.resolve().parent.name,
    )
    hits = [one for one in told if one.cohort in known.cohorts]
    if hits:
        return Verdict(" ".join([*(_said(base, one) for one in hits), stands]), alarms=True)
    if known.complete:
        return Verdict(stands)
    if told:
        names = ", ".join(f"{one.cohort} (by {one.by})" for one in told)
        return Verdict(
            f"{stands} These scans look like {names}, which is not named there; that is no proof that it was not seen."
        )
    return Verdict(
        f"{stands} Which cohort these scans are of is told by neither their IDs nor their tables nor their folder: compare the names yourself."
    )


def _said(base: str, one: Told) -> str:
    level = SEEN[base].cohorts[one.cohort]
    return f"This cohort is {one.cohort} by {one.by}, and it {HOW[level].format(base=base)}."
