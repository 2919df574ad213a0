"""Texts that state percentiles say again, in other words, what allowed values say: the probe of texts must know it, and see what does not."""

from pathlib import Path

import numpy as np
import pytest

from voxtune.audit.checks import AuditInputs, find_leaks
from voxtune.audit.derived_texts import as_values
from voxtune.audit.report import AuditReport
from voxtune.config import ReportSettings
from voxtune.data.examples import reports_of
from voxtune.data.splits import make_split
from voxtune.profiles.read import read_profile
from voxtune.reports.needed import needed_norms
from voxtune.types.records import ManifestRow, Report

DEMENTIA = read_profile("dementia")
MINE = (
    "{% if label %}A photo of {{ label }}.{% endif %} The hippocampus has {{ '%.1f' | format(hippocampus_mm3) }} mm^3"
    "{% if hippocampus_mm3_percentile %}, rank {{ '%.0f' | format(hippocampus_mm3_percentile) }}{% endif %}."
)


def cohort(count: int = 75) -> list[ManifestRow]:
    """People of three classes whose volumes tell the class."""
    draw = np.random.default_rng(0)
    rows = []
    for place in range(count):
        stage = place % 3
        size = float(draw.normal(1.5e6, 1e5))
        scale = size / 1.5e6 * (1 - 0.15 * stage) * float(draw.normal(1, 0.06))
        rows.append(
            ManifestRow.model_validate(
                {
                    "participant_id": f"p{place}", "scan_id": f"s{place}", "image": "x", "diagnosis": ("NC", "MCI", "AD")[stage],
                    "age": round(float(draw.uniform(60, 85))), "sex": "FM"[place // 3 % 2], "icv_mm3": round(size),
                    **{name: round(6000 * scale * float(draw.normal(1, 0.02))) for name in DEMENTIA.regions if name != "icv_mm3"},
                }
            )
        )  # fmt: skip
    return rows


ROWS = cohort()
SPLIT = make_split(ROWS, seed=0)


def written(settings: ReportSettings, *, label: bool = True) -> dict[str, Report]:
    train = [row for row in ROWS if row.scan_id in set(SPLIT.train)]
    norms = needed_norms(settings, DEMENTIA, train)
    return reports_of(ROWS, settings, DEMENTIA, label=label, norms=norms)


def level(report: AuditReport) -> str:
    (found,) = [one for one in report.findings if one.check == "text_probe"]
    return found.level


@pytest.mark.parametrize(
    ("template", "told", "label"),
    [("normative", False, True), ("graph", False, True), ("graph", True, False)],
)
def test_percentiles_of_allowed_values_are_no_leak(template: str, told: bool, label: bool) -> None:
    settings = ReportSettings(template=template)
    inputs = AuditInputs(profile=DEMENTIA, report=settings if told else None)
    assert level(find_leaks(ROWS, SPLIT, written(settings, label=label), inputs)) == "note"


def test_controls_that_a_person_named_are_known() -> None:
    settings = ReportSettings(template="normative", controls=("MCI",))
    texts = written(settings)
    of_file = ReportSettings(file="reports.tsv", controls=("MCI",))
    assert level(find_leaks(ROWS, SPLIT, texts, AuditInputs(profile=DEMENTIA, report=of_file))) == "note"


def test_a_template_of_ones_own_is_known_where_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(MINE, encoding="utf-8")
    settings = ReportSettings(template=str(path))
    texts = written(settings)
    assert level(find_leaks(ROWS, SPLIT, texts, AuditInputs(profile=DEMENTIA, report=settings))) == "note"
    tells = MINE.replace("rank", "{% if label == 'AD' %}position{% else %}rank{% endif %}")
    path.write_text(tells, encoding="utf-8")
    leaky = written(settings)
    assert level(find_leaks(ROWS, SPLIT, leaky, AuditInputs(profile=DEMENTIA, report=settings))) != "note"


def test_what_the_rule_did_not_write_is_found() -> None:
    texts = written(ReportSettings(template="graph"))
    for row in ROWS:
        if row.diagnosis == "AD":
            old = texts[row.scan_id]
            texts[row.scan_id] = old.model_copy(update={"text": f"{old.text} Seen twice."})
    assert level(find_leaks(ROWS, SPLIT, texts, AuditInputs(profile=DEMENTIA))) == "refuse"


def test_percentiles_that_were_made_from_the_label_are_found() -> None:
    texts = written(ReportSettings(template="normative"))
    other = [
        row.model_copy(update={"hippocampus_mm3": 3000.0 if row.diagnosis == "AD" else 9000.0})
        for row in ROWS
    ]
    train = [row for row in ROWS if row.scan_id in set(SPLIT.train)]
    norms = needed_norms(ReportSettings(template="normative"), DEMENTIA, train)
    made_up = reports_of(other, ReportSettings(template="normative"), DEMENTIA, norms=norms)
    assert made_up != texts
    assert level(find_leaks(ROWS, SPLIT, made_up, AuditInputs(profile=DEMENTIA))) == "refuse"


def test_which_values_are_there_is_still_looked_at() -> None:
    settings = ReportSettings(template="normative")
    gone = [row.model_copy(update={"fusiform_mm3": None}) if row.diagnosis == "AD" else row for row in ROWS]
    train = [row for row in gone if row.scan_id in set(SPLIT.train)]
    texts = reports_of(gone, settings, DEMENTIA, norms=needed_norms(settings, DEMENTIA, train))
    assert level(find_leaks(gone, SPLIT, texts, AuditInputs(profile=DEMENTIA))) == "refuse"


def test_texts_of_other_rules_stay_as_they_are() -> None:
    plain = reports_of(ROWS, ReportSettings(template="deft"), DEMENTIA)
    assert as_values(ROWS, SPLIT, plain, DEMENTIA, ReportSettings(template="deft")) == plain
    assert as_values(ROWS, SPLIT, plain, DEMENTIA) == plain
    made = written(ReportSettings(template="normative"))
    few = [row for row in ROWS if row.diagnosis != "NC"]
    assert as_values(few, SPLIT, made, DEMENTIA) == made  # without controls nothing can be written again
    half = {row.scan_id: made[row.scan_id] for row in ROWS[::2]}
    values = as_values(ROWS, SPLIT, half, DEMENTIA)
    assert values.keys() == half.keys()
    assert all("percentile" not in report.text for report in values.values())
    assert values["s0"].text.startswith("A photo of NC. Hippocampal volume: ")
