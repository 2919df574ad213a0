"""Which leaks of a report text does the audit find, and which innocent texts does it let pass? Here, in ``forms.py`` and in ``joined.py``.

All people and numbers are SIMULATED. Each set is a table of 48 people (three classes, a third of them scanned twice) with volumes
that go with the class as they do in life, and a text for each scan; only the text differs between the sets. A leak counts as
caught where a check of texts refuses or warns; an innocent set passes where nothing refuses and nothing warns.

    python benchmarks/audit/texts.py            # one processor minute
"""

# ruff: noqa: ARG005  (one signature for all texts)

import json
from pathlib import Path

import forms
import joined
import numpy as np
from forms import CLASSES, Text, also, facts, label, mostly, plain

import voxtune
from voxtune.audit.checks import AuditInputs, find_leaks
from voxtune.data.splits import make_split
from voxtune.types.records import ManifestRow, Report

RESULTS = Path(__file__).parent / "results"
TEXT_CHECKS = {"label_in_text", "text_probe", "same_text"}
FIELDS = ("hippocampus_mm3", "ventricles_mm3", "whole_brain_mm3")
PEOPLE = 48


def table(seed: int, classes: tuple[str, ...] = CLASSES) -> list[ManifestRow]:
    """People with volumes that go with the class."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(PEOPLE):
        level = person % len(classes)
        sex, age = "FM"[int(rng.integers(2))], int(rng.normal(73, 7))
        visits = 1 + (person % 3 == int(rng.integers(3)))
        rows += [_scan(rng, person, visit, classes, level, sex, age) for visit in range(visits)]
    return rows


def _scan(
    rng: np.random.Generator,
    person: int,
    visit: int,
    classes: tuple[str, ...],
    level: int,
    sex: str,
    age: int,
) -> ManifestRow:
    return ManifestRow(
        participant_id=f"p{person:03d}", session_id=f"M{12 * visit:03d}", scan_id=f"p{person:03d}_{visit}", image=f"p{person:03d}_{visit}.nii",
        diagnosis=classes[level], age=age + visit, sex=sex,
        hippocampus_mm3=round(float(rng.normal(7300 - 450 * level, 700))), ventricles_mm3=round(max(9000.0, float(rng.normal(36000 + 6000 * level, 12000)))),
        whole_brain_mm3=round(float(rng.normal(1_040_000 - 20_000 * level, 80_000))), source="SIMULATED", simulated=True,
    )  # fmt: skip


def random_order(row: ManifestRow, rng: np.random.Generator) -> list[str]:
    return [facts(row)[i] for i in rng.permutation(3)]


LEAKS: dict[str, Text] = {
    "cdr in small letters": also(lambda r, c, g: f"cdr {(0, 0.5, 1)[c]}."),
    "C.D.R. with dots": also(lambda r, c, g: f"C.D.R. = {(0, 0.5, 1)[c]}."),
    "mmse in small letters": also(lambda r, c, g: f"mmse {int(g.normal(29 - 3 * c, 1))}."),
    "a stage": also(lambda r, c, g: f"Stage: {c}."),
    "a code for the class": also(lambda r, c, g: f"DX: {c + 1}."),
    "points of a test nobody knows": also(lambda r, c, g: f"Clock drawing {int(g.normal(9 - 2.5 * c, 1))}."),
    "errors instead of points": also(lambda r, c, g: f"Errors {int(max(0, g.normal(1 + 4 * c, 1)))}."),
    "hundreds of an exam number": also(lambda r, c, g: f"Exam {100 * (c + 1) + int(g.integers(100))}."),
    "points in words": also(lambda r, c, g: f"{('Twenty-nine', 'Twenty-six', 'Twenty-one')[mostly(g, c, 3)]} of thirty."),
    "other words for the classes": also(lambda r, c, g: ("Cognitively intact.", "Amnestic complaint.", "On donepezil.")[c]),
    "a drug in most of one class": also(lambda r, c, g: "Takes donepezil daily." if c == 2 and g.uniform() < 0.75 else ""),
    "a grade in Roman numerals": also(lambda r, c, g: f"Atrophy grade {('I', 'II', 'III')[mostly(g, c, 3, 0.85)]}."),
    "a group letter": also(lambda r, c, g: f"Group {'ABC'[c]}."),
    "no dementia, said of one class": also(lambda r, c, g: "No sign of dementia." if c == 0 else ""),
    "upper case": lambda r, c, g: plain(r).upper() if c == 2 else plain(r),
    "mark at the end": lambda r, c, g: plain(r, end="!" if c == 2 else "."),
    "decimals": lambda r, c, g: plain(r, facts(r, ".1f" if c == 1 else ".2f")),
    "rounded to hundreds": lambda r, c, g: plain(r, [f"Hippocampal volume: {round(r.hippocampus_mm3 or 0, -2 if c == 2 else 0):.2f} mm^3", *facts(r)[1:]]),
    "a field missing": lambda r, c, g: plain(r, facts(r)[: 2 if c == 2 else 3]),
    "order of facts": lambda r, c, g: plain(r, facts(r)[::-1] if c == 0 else facts(r)),
    "a wording of its own": lambda r, c, g: plain(r).replace("reveals the following biomarkers", "shows") if c == 1 else plain(r),
    "units of its own": lambda r, c, g: plain(r, facts(r, ".2f", "cm^3", 1e-3) if c == 2 else facts(r)),
    "sign of thousands": lambda r, c, g: plain(r, facts(r, ",.2f") if c == 0 else facts(r)),
    "a constant number": lambda r, c, g: plain(r, [*facts(r), f"Slices: {176 if c == 2 else int(g.integers(150, 200))}"]),
    "a sentence more": also(lambda r, c, g: "Image quality was good." if c == 0 else ""),
    "another apostrophe": also(lambda r, c, g: f"The scanner{chr(39) if c else chr(0x2019)}s field was even."),
    "site in the text": also(lambda r, c, g: f"Scanned in {('Leeds', 'Oslo', 'Turin')[mostly(g, c, 3, 0.9)]}."),
    "year of the scan": also(lambda r, c, g: f"Scanned in {2004 + 4 * c + int(g.integers(3))}."),
    "number of the visit": also(lambda r, c, g: f"Visit {1 + c + int(g.integers(2))}."),
    "spelling": also(lambda r, c, g: f"The {'gray' if c == 2 else 'grey'} matter was measured."),
}  # fmt: skip

NOTES = ("motion slight", "good contrast", "ringing", "nothing to remark", "field of view tight")
SCANNERS = ("Skyra", "Achieva", "Discovery")
INNOCENT: dict[str, Text] = {
    "the default": lambda r, c, g: plain(r),
    "age and sex": lambda r, c, g: plain(r, [f"Age: {r.age:.0f} years", f"Sex: {r.sex}", *facts(r)]),
    "age and sex in a sentence": also(lambda r, c, g: f"The {'woman' if r.sex == 'F' else 'man'} was {r.age:.0f} years old."),
    "the same remark in all": also(lambda r, c, g: "Quality control passed."),
    "name of an initiative": also(lambda r, c, g: "Data of the Alzheimer's Disease Neuroimaging Initiative."),
    "a class name in all": also(lambda r, c, g: "Read with the AD atlas of the clinic."),
    "notes by chance": also(lambda r, c, g: f"{str(g.choice(NOTES)).capitalize()}."),
    "scanner by chance": also(lambda r, c, g: f"Scanned on a {g.choice(SCANNERS)}."),
    "a field missing by chance": lambda r, c, g: plain(r, [f for f in facts(r) if g.uniform() < 0.8] or facts(r)[:1]),
    "order by chance": lambda r, c, g: plain(r, random_order(r, g)),
    "decimals by chance": lambda r, c, g: plain(r, facts(r, (".1f", ".2f")[int(g.integers(2))])),
    "wording by chance": lambda r, c, g: plain(r) if g.uniform() < 0.5 else plain(r).replace("reveals the following biomarkers", "shows"),
    "letter case by chance": lambda r, c, g: plain(r).upper() if g.uniform() < 0.2 else plain(r),
    "family history by chance": also(lambda r, c, g: "Family history of dementia." if g.uniform() < 0.3 else ""),
    "cubic centimetres in all": lambda r, c, g: plain(r, facts(r, ".2f", "cm^3", 1e-3)),
    "signs of thousands in all": lambda r, c, g: plain(r, facts(r, ",.2f")),
    "one fact alone": lambda r, c, g: plain(r, facts(r)[:1]),
    "a coarse fact, the same for several": lambda r, c, g: plain(r, [f"Age: {r.age:.0f} years"]),
    "day of the scan by chance": also(lambda r, c, g: f"Scanned on day {int(g.integers(1, 29))} of month {int(g.integers(1, 13))}."),
    "only the label": lambda r, c, g: label(r),
}  # fmt: skip


def judged(name: str, text: Text, seed: int, classes: tuple[str, ...] = CLASSES) -> dict[str, object]:
    """What the audit says of one set."""
    rows = table(seed, classes)
    rng = np.random.default_rng(seed)
    # What is said of a person is said at each visit alike only where it is no chance.
    reports = {
        row.scan_id: Report(
            scan_id=row.scan_id,
            text=text(row, classes.index(str(row.diagnosis)), rng),
            fields=("diagnosis", *FIELDS),
        )
        for row in rows
    }
    report = find_leaks(rows, make_split(rows, seed=seed), reports, AuditInputs(permute=0))
    said = [one for one in report.findings if one.level != "note"]
    texts = [one for one in said if one.check in TEXT_CHECKS - {"same_text"}]
    return {
        "set": name,
        "refused": sorted({one.check for one in said if one.level == "refuse"}),
        "warned": sorted({one.check for one in said if one.level == "warn"}),
        "caught": bool(texts),
        "tokens": list(dict.fromkeys(token for one in texts for token in one.tokens))[:3],
    }


def main() -> None:
    """Judge every set and write ``results/texts.json``."""
    leaks = [judged(name, text, 100 + i) for i, (name, text) in enumerate(LEAKS.items())]
    leaks += [judged(name, text, 300 + i) for i, (name, text) in enumerate(forms.LEAKS.items())]
    leaks += [judged(name, text, 500 + i) for i, (name, text) in enumerate(joined.LEAKS.items())]
    innocent = [judged(name, text, 200 + i) for i, (name, text) in enumerate(INNOCENT.items())]
    innocent += [
        judged(name, text, 400 + i, classes)
        for i, (name, (classes, text)) in enumerate({**forms.INNOCENT, **joined.INNOCENT}.items())
    ]
    stored = {
        "voxtune": voxtune.__version__,
        "what": f"SIMULATED tables of {PEOPLE} people, three classes",
        "caught": sum(bool(one["caught"]) for one in leaks),
        "leaks": leaks,
        "passed": sum(not one["refused"] and not one["warned"] for one in innocent),
        "innocent": innocent,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "texts.json").write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")
    print(f"caught {stored['caught']} of {len(leaks)}: not {[o['set'] for o in leaks if not o['caught']]}")
    wrong = [(o["set"], o["refused"], o["warned"]) for o in innocent if o["refused"] or o["warned"]]
    print(f"passed {stored['passed']} of {len(innocent)}: not {wrong}")


if __name__ == "__main__":
    main()
