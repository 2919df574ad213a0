"""Texts that state percentiles, as the probe reads them: what a fixed rule wrote from allowed values stands as those values.

A percentile, and words that hang on one, tell the class as far as the volume does; numbers and words of any other origin must explain
themselves. So nothing is taken on trust: each text is written again without the label, and only one that comes out the same counts as made of
the values. They are listed in its place, so that which of them are there, and how they are written, is looked at as in any text.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from voxtune.audit.text import after_label, body
from voxtune.config import ReportSettings
from voxtune.data.examples import reports_of
from voxtune.data.splits import Split
from voxtune.errors import VoxTuneError
from voxtune.reports.listed import Listed
from voxtune.reports.needed import needed_norms
from voxtune.reports.norms import FittedNorms
from voxtune.reports.policy import opened
from voxtune.reports.wording import GRAPH, NORMATIVE, columns_of, load_template
from voxtune.types.profile import Profile, plain
from voxtune.types.records import ManifestRow, Report

SIGN = "percentile"
"""A word that texts of our own templates with percentiles hold."""


def as_values(
    rows: Sequence[ManifestRow],
    split: Split,
    reports: Mapping[str, Report],
    profile: Profile,
    settings: ReportSettings | None = None,
    targets: Sequence[str] = (),
) -> dict[str, Report]:
    """The texts, those that a rule wrote from allowed values as a list of these values.

    Args:
        rows: of the cohort.
        split: whose training side percentiles are of.
        reports: texts by scan_id.
        profile: of the cohort.
        settings: by which the texts were made; ``None``, or where they come from a file: our own templates are tried.
        targets: columns that are predicted.
    """
    said = {
        row.scan_id: body(reports[row.scan_id].text, row.diagnosis, profile)
        for row in rows
        if row.scan_id in reports
    }
    worded = [row for row in rows if said.get(row.scan_id)]
    found = dict(reports)
    with suppress(VoxTuneError):  # no text of these rules: there is nothing to write it with
        for one in _candidates(settings, said):
            rule = _Rule.of(rows, split, profile, one, targets)
            first = next((row for row in worded if SIGN in said[row.scan_id]), None)
            if first is not None and one is not settings and not rule.made([first], said):
                continue
            for row in rule.made(worded, said):
                found[row.scan_id] = rule.listed(row, reports[row.scan_id])
            break
    return found


def _candidates(settings: ReportSettings | None, said: Mapping[str, str]) -> Iterator[ReportSettings]:
    """Settings by which the texts may have been made."""
    if settings is not None and settings.file is None:
        yield settings
    elif any(SIGN in text for text in said.values()):
        known = settings or ReportSettings()
        for template in (NORMATIVE, GRAPH):
            for missing in ("omit", "unavailable"):
                yield known.model_copy(update={"file": None, "template": template, "missing": missing})


@dataclass(frozen=True)
class _Rule:
    """How texts are made of rows."""

    settings: ReportSettings
    profile: Profile
    targets: Sequence[str]
    norms: FittedNorms | None
    columns: tuple[str, ...]
    """Of the profile, that texts are made of."""

    @classmethod
    def of(
        cls,
        rows: Sequence[ManifestRow],
        split: Split,
        profile: Profile,
        settings: ReportSettings,
        targets: Sequence[str],
    ) -> "_Rule":
        by_scan = {row.scan_id: row for row in rows}
        train = [by_scan[scan] for scan in split.train if scan in by_scan]
        policy = opened(settings.fields, profile, rows, targets)
        template = load_template(settings.template or profile.template, profile, policy)
        norms = needed_norms(settings, profile, train, targets)
        columns = columns_of(template, profile)
        return cls(settings, profile, targets, norms, tuple(one for one in profile.columns if one in columns))

    def made(self, rows: Sequence[ManifestRow], said: Mapping[str, str]) -> list[ManifestRow]:
        """The rows whose text is what the rule makes of them without their label; none where it states no percentiles."""
        if self.norms is None:
            return []
        again = reports_of(
            rows, self.settings, self.profile, label=False, targets=self.targets, norms=self.norms
        )
        return [row for row in rows if again[row.scan_id].text == said[row.scan_id]]

    def listed(self, row: ManifestRow, report: Report) -> Report:
        """The text of a row with its values in place of what was made of them."""
        label = report.text.removesuffix(after_label(report.text, row.diagnosis, self.profile))
        cells = {plain(name): value for name, value in row if value is not None}
        stated = {name: self.profile.columns[name] for name in self.columns if name in cells}
        known = [(one.name, cells[name], one.unit, one.decimals) for name, one in stated.items()]
        return report.model_copy(update={"text": f"{label}. {Listed(row.scan_id, 'omit')(*known)}."})
